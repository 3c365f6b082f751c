"""Stored evidence of a clip, or of some of its frames: put there and read again.

Frames are asked for by a ``Window``: one of the clip's own windows (nothing else is read), or any
other stretch (the windows that it touches are read). Frames, and rows of detections, then count
from the first of the stretch. None = the whole clip: of a long one better a window at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vidal.errors import EvidenceLost
from vidal.evidence.motion import carried_arrays, carried_of
from vidal.evidence.places import store_at
from vidal.evidence.plan import EMBEDDING, FEATURES, EvidenceKeys, EvidencePlan
from vidal.evidence.tables import (
    bare,
    carried_of_frames,
    estimate_of,
    evidence_of_frames,
    frames_of,
    join_carried,
    join_detections,
    join_estimates,
    join_evidence,
)
from vidal.evidence.windows import Window
from vidal.expected_errors import Evidence
from vidal.protocols import Store
from vidal.store import from_arrays, to_arrays
from vidal.types import (
    BoolArray,
    Carried,
    Clip,
    Detections,
    ErrorEstimate,
    FrameSummary,
    IntArray,
    Stored,
)

ALL = frozenset({FEATURES, EMBEDDING})
LOOKS = "looks"
"""Beside an embedding: that of one frame of every"""
BLOCK = 32
"""frames of a window, for pools of so many frames that looking at all of them takes too long."""
T = TypeVar("T")


def put(
    store: Store,
    key: str,
    arrays: Mapping[str, NDArray[Any]],
    stage: str,
    clip: Clip,
    window: Window,
    *,
    rows: int = 0,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Keep an entry, with what is to be known of it without opening it."""
    about = Stored(stage, clip.id, window.start, window.stop, rows, facts or {})
    store.put(key, arrays, about)


def put_detections(
    store: Store,
    keys: EvidenceKeys,
    clip: Clip,
    window: Window,
    table: Detections,
    *,
    given: bool = False,
) -> None:
    """Keep the table of a window: features and embedding where ``keys`` has a place for them.

    The table itself goes last: where it is, all is. ``given``: nobody can compute it again.
    """
    rows, of = len(table), "given-" if given else ""
    if keys.features is not None:
        wide: dict[str, NDArray[Any]] = {FEATURES: table.features}
        put(store, keys.features, wide, f"{of}features", clip, window, rows=rows)
    if keys.embeddings is not None:
        wide = {EMBEDDING: table.embedding}
        wide[LOOKS] = block_looks(table)
        put(store, keys.embeddings, wide, f"{of}embeddings", clip, window, rows=table.frames)
    facts = {
        "classes": list(table.classes),
        "frames": table.frames,
        "scanned": int(np.count_nonzero(table.scanned)),
        "suppressed": len(table.suppressed) == rows,
    }
    arrays = to_arrays(bare(table))
    put(store, keys.detections, arrays, f"{of}detections", clip, window, rows=rows, facts=facts)


def block_looks(table: Detections) -> NDArray[np.float32]:
    """(B, E) what every ``BLOCK`` frames look like: as the looked-at frame nearest their middle."""
    starts = range(0, table.frames, BLOCK)
    middles = np.array([min(start + BLOCK // 2, table.frames - 1) for start in starts], np.int64)
    scanned = np.flatnonzero(table.scanned)
    if not len(scanned):
        return np.zeros((len(middles), table.embedding.shape[1]), np.float32)
    after = np.minimum(np.searchsorted(scanned, middles), len(scanned) - 1)
    before = np.maximum(after - 1, 0)
    closer = np.abs(scanned[before] - middles) < np.abs(scanned[after] - middles)
    return table.embedding[np.where(closer, scanned[before], scanned[after])]


def put_clip(
    store: Store, keys: EvidenceKeys, clip: Clip, table: Detections, *, given: bool = False
) -> None:
    """Keep the table of a whole clip, window by window."""
    for window in own_windows(keys, table.frames):
        part = frames_of(table, window)
        put_detections(store, keys.of(window), clip, window, part, given=given)


def keeper(plan: EvidencePlan) -> Callable[[Clip, Detections], None]:
    """Puts tables that were given where the plan looks for detections, if they are not there.

    Features that were given are kept whoever asks for them: no detector can be asked again.
    """
    store, whole = store_at(plan.store), replace(plan, columns=ALL)

    def keep(clip: Clip, table: Detections) -> None:
        keys = whole.keys(clip)
        if not table.features.shape[1]:
            keys = replace(keys, features=plan.keys(clip).features)
        keys = replace(keys, embeddings=plan.keys(clip).embeddings)
        parts = [(each.detections, each.features, each.embeddings) for each in keys.parts()]
        asked = [key for part in parts for key in part if key is not None]
        if None in list(store.known(asked)):
            put_clip(store, keys, clip, table, given=True)

    return keep


def adopt(store: Store, clips: Iterable[tuple[EvidenceKeys, Clip]], *, given: bool = False) -> None:
    """Cut the tables that an earlier version kept in one: into windows, and into their columns.

    Where ``keys`` has a place for features and embeddings, those of the table go there.

    Args:
        store: holds the tables.
        clips: the keys of each.
        given: whether nobody can compute them again.
    """
    some = [
        (keys, clip)
        for keys, clip in clips
        if len(keys.windows) > 1 or given or keys.features or keys.embeddings
    ]
    told = store.known([keys.detections for keys, _ in some])
    for (keys, clip), known in zip(some, told, strict=True):
        long = len(keys.windows) > 1
        if known is None or (known.facts and not long):  # cut, or of this version
            continue
        table = load(store, keys.detections, Detections)
        if table is None or table.frames != clip.frames:
            continue
        features = keys.features if table.features.shape[1] else None
        embeddings = keys.embeddings if table.embedding.shape[1] and not given else None
        if long or features is not None or embeddings is not None:
            own = replace(keys, features=features, embeddings=embeddings)
            put_clip(store, own, clip, table, given=given)
        if long:
            store.drop([keys.detections])


def has_all(store: Store, keys: Iterable[EvidenceKeys], stage: str) -> bool:
    """Whether a stage of all windows of some clips is there; not where it was not wanted."""
    asked = [getattr(part, stage) for each in keys for part in each.parts()]
    return None not in asked and None not in list(store.known(asked))


def put_carried(
    store: Store, key: str, clip: Clip, window: Window, carried: Carried, table: Detections
) -> None:
    """Keep where the detections ``table`` of a window were carried."""
    arrays = carried_arrays(carried, table.frame)
    put(store, key, arrays, "carried", clip, window, rows=len(carried))


def put_estimate(
    store: Store, key: str, clip: Clip, window: Window, verdicts: ErrorEstimate
) -> None:
    """Keep the verdicts on a window."""
    judged = len(verdicts.rows)
    facts = {"judged": judged, "linked": round(verdicts.link_share * judged)}
    put(store, key, to_arrays(verdicts), "estimate", clip, window, rows=judged, facts=facts)


def own_windows(keys: EvidenceKeys, frames: int) -> tuple[Window, ...]:
    """The windows of a clip of that length."""
    return keys.windows or (Window(0, frames),)


def load_detections(
    store: Store,
    keys: EvidenceKeys,
    window: Window | None = None,
    *,
    columns: Collection[str] = ALL,
) -> Detections:
    """Detections that ``gather`` has put there.

    Args:
        store: holds them.
        keys: of the clip.
        window: the frames that are wanted; None = all.
        columns: of ``features`` and ``embedding`` those that are wanted; they come where the keys
            have a place for them.

    Raises:
        EvidenceLost: they are not there any more.
    """

    def one(own: EvidenceKeys) -> Detections:
        table = bare(must(load(store, own.detections, Detections)))
        more: dict[str, Any] = {}
        for column, key in ((FEATURES, own.features), (EMBEDDING, own.embeddings)):
            if key is not None and column in columns:
                more[column] = must(store.get(key))[column]
        return replace(table, **more) if more else table

    windows, own = touched(keys, window)
    table = join_detections([one(keys.of(each)) for each in windows])
    return table if own is None else frames_of(table, own)


def load_estimate(
    store: Store, keys: EvidenceKeys, window: Window | None = None
) -> ErrorEstimate | None:
    """The estimate that ``gather`` has put there; None where none was wanted.

    Args and errors as for ``load_detections``. ``energy`` and ``link_share`` are those of the
    windows that were read.
    """
    if keys.estimate is None:
        return None
    found = _joined(store, keys, window, "estimate", ErrorEstimate, join_estimates)
    own = touched(keys, window)[1]
    return found if own is None else estimate_of(found, _frames(store, keys, window), own)


def load_evidence(
    store: Store, keys: EvidenceKeys, window: Window | None = None
) -> Evidence | None:
    """The rows for expected errors that ``gather`` has put there; None where none were wanted.

    Args and errors as for ``load_detections``.
    """
    if keys.expected is None:
        return None
    found = _joined(store, keys, window, "expected", Evidence, join_evidence)
    own = touched(keys, window)[1]
    return found if own is None else evidence_of_frames(found, _frames(store, keys, window), own)


def load_carried(store: Store, keys: EvidenceKeys, window: Window | None = None) -> Carried | None:
    """Where detections of these frames were carried, within them; None where that was not wanted.

    Args and errors as for ``load_detections``; ``origin`` counts the detections of these frames.
    """
    if keys.carried is None:
        return None
    windows, own = touched(keys, window)
    frames = [_frames(store, keys, each) for each in windows]
    parts = [
        carried_of(must(store.get(must(keys.of(each).carried))), frame)
        for each, frame in zip(windows, frames, strict=True)
    ]
    if windows == (None,) and own is None:
        return parts[0]
    starts = _starts(windows)
    rows = [0, *np.cumsum([len(frame) for frame in frames]).tolist()][:-1]
    found = join_carried(parts, starts, rows)
    frame = np.concatenate([f + each.start for f, each in zip(frames, starts, strict=True)])
    return carried_of_frames(found, frame, own or Window(0, sum(w.frames for w in starts)))


def load_summary(
    store: Store, keys: EvidenceKeys, window: Window | None = None
) -> FrameSummary | None:
    """The sums by frame that ``gather`` has put there; None where none were wanted.

    Args and errors as for ``load_detections``, but that ``window`` is one of the clip's own.
    """
    if keys.summary is None:
        return None
    parts = keys.parts() if window is None else (keys.of(window),)
    found = [FrameSummary.of(must(store.get(must(each.summary)))) for each in parts]
    return FrameSummary.join(found)


def load_scanned(store: Store, keys: EvidenceKeys, window: Window) -> BoolArray:
    """(F,) of these frames, whether the detector looked at them.

    Raises:
        EvidenceLost: that is not known any more.
    """
    windows, own = touched(keys, window)
    names = ("scanned",)
    parts = [must(store.peek(keys.of(each).detections, names))["scanned"] for each in windows]
    scanned: BoolArray = np.concatenate(parts).astype(np.bool_)
    return scanned if own is None else scanned[own.start : own.stop]


def touched(
    keys: EvidenceKeys, window: Window | None
) -> tuple[tuple[Window | None, ...], Window | None]:
    """The clip's windows that a stretch touches (None = the clip is one), and which frames of them
    it is, counted from their first; None = all."""
    if not keys.windows:
        return (None,), window
    if window is None:
        return keys.windows, None
    there = tuple(each for each in keys.windows if _meet(each, window))
    if there == (window,):
        return there, None
    first = there[0].start
    return there, Window(window.start - first, window.stop - first)


def _meet(one: Window, other: Window) -> bool:
    return one.start < other.stop and other.start < one.stop


def _starts(windows: tuple[Window | None, ...]) -> list[Window]:
    """The windows, counted from the first frame of the first."""
    if windows == (None,):
        return [Window(0, 0)]
    known = [each for each in windows if each is not None]
    return [Window(w.start - known[0].start, w.stop - known[0].start) for w in known]


def _frames(store: Store, keys: EvidenceKeys, window: Window | None) -> IntArray:
    """The frames of the detections of all windows that a stretch touches."""
    windows, _ = touched(keys, window)
    parts = [must(store.peek(keys.of(w).detections, ("frame",)))["frame"] for w in windows]
    starts = _starts(windows)
    return np.concatenate([p + at.start for p, at in zip(parts, starts, strict=True)])


def _joined(
    store: Store,
    keys: EvidenceKeys,
    window: Window | None,
    stage: str,
    kind: type[T],
    join: Callable[..., T],
) -> T:
    """A stage of all windows that a stretch touches."""
    windows, _ = touched(keys, window)
    own = [keys.of(each) for each in windows]
    parts = [must(load(store, must(getattr(each, stage)), kind)) for each in own]
    if len(parts) == 1:
        found: T = parts[0]
        return found
    known = store.known([each.detections for each in own])
    rows = [0, *np.cumsum([must(each).rows for each in known]).tolist()][:-1]
    return join(parts, _starts(windows), rows)


def must(found: Any) -> Any:
    """What is there.

    Raises:
        EvidenceLost: nothing is.
    """
    if found is None:
        raise EvidenceLost
    return found


def load(store: Store, key: str, kind: type[Any]) -> Any:
    """A table that ``to_arrays`` took apart; None where there is none."""
    arrays = store.get(key)
    return None if arrays is None else from_arrays(kind, arrays)
