"""The boxes around chosen frames of a clip, read from the windows that hold them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from vidal.errors import EvidenceLost
from vidal.evidence.estimates import only
from vidal.evidence.gathered import Gathered
from vidal.evidence.load import load_carried
from vidal.evidence.places import store_at
from vidal.evidence.tables import (
    bare,
    join_carried,
    join_detections,
    join_estimates,
    join_evidence,
)
from vidal.evidence.windows import Window
from vidal.expected_errors import Evidence
from vidal.selection.result import ClipResult
from vidal.types import BoolArray, Carried, Clip, Detections, ErrorEstimate, IntArray

MOST_HELD = 400_000
"""Rows of detections that are held, some 100 MB: reasons and report ask for the same ones."""

_Table = TypeVar("_Table")


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """The boxes around some frames of a clip, and no others.

    Attributes:
        frames: which, and ``reach``: how many frames on both sides of them.
        loaded: the clip.
        carried: where its detections were carried; None = that is not kept.
    """

    frames: frozenset[int]
    reach: int
    loaded: ClipResult
    carried: Carried | None

    def holds(self, frames: Sequence[int], reach: int) -> bool:
        """Whether these frames and their neighbours are among them."""
        return reach <= self.reach and self.frames.issuperset(frames)


@dataclass(slots=True)
class Held:
    """What was read last, as much as there is room for."""

    _clips: OrderedDict[str, Around] = field(default_factory=OrderedDict)
    _rows: int = 0

    def find(self, clip: str, frames: Sequence[int], reach: int) -> Around | None:
        """What is held of a clip, where it is enough."""
        known = self._clips.get(clip)
        return known if known is not None and known.holds(frames, reach) else None

    def keep(self, clip: str, around: Around) -> None:
        """Hold it, and forget what was read first."""
        self._forget(clip)
        self._clips[clip] = around
        self._rows += _size(around)
        while self._rows > MOST_HELD and len(self._clips) > 1:
            self._forget(next(iter(self._clips)))

    def _forget(self, clip: str) -> None:
        known = self._clips.pop(clip, None)
        self._rows -= 0 if known is None else _size(known)


def _size(around: Around) -> int:
    found = around.loaded.detections
    return 0 if found is None else len(found)


def read_around(
    gathered: Gathered, plain: ClipResult, frames: Sequence[int], reach: int, *, rows: bool
) -> tuple[Around, Evidence | None]:
    """The boxes around frames of a clip that has evidence.

    Args:
        gathered: where they lie.
        plain: the clip, without boxes.
        frames: at least one.
        reach: frames on both sides.
        rows: whether the rows for expected errors of the same boxes are wanted.

    Raises:
        EvidenceLost: they are not there any more.
    """
    clip = plain.clip
    near = Near(gathered, clip, stretches(gathered, clip.id, frames, reach))
    mask = about(frames, reach, clip.frames)
    found = near.detections()
    kept = np.flatnonzero(mask[found.frame])
    evidence = near.rows(found) if rows else None
    carried = near.carried(found) if gathered.evidence[clip.id].keys.carried is not None else None
    loaded = replace(
        plain, detections=found.keep(kept), estimate=_cut(near.estimate(found), found, kept, mask)
    )
    if carried is not None:
        carried = only(carried, found, kept, clip.frames)
    if evidence is not None:
        evidence = evidence.on(mask)
        evidence = replace(evidence, rows=_places(kept, len(found))[evidence.rows])
    return Around(frozenset(frames), reach, loaded, carried), evidence


def _places(kept: IntArray, rows: int) -> IntArray:
    """Row -> row among those that are kept."""
    place = np.full(rows, -1, np.int64)
    place[kept] = np.arange(len(kept))
    return place


def _cut(
    estimate: ErrorEstimate | None, found: Detections, kept: IntArray, mask: BoolArray
) -> ErrorEstimate | None:
    if estimate is None:
        return None
    rows = _places(kept, len(found))[estimate.rows]
    use, gone = rows >= 0, mask[estimate.missed_frame]
    return replace(
        estimate,
        rows=rows[use],
        false_positive=estimate.false_positive[use],
        false_positive_confidence=estimate.false_positive_confidence[use],
        missed_frame=estimate.missed_frame[gone],
        missed_boxes=estimate.missed_boxes[gone],
        missed_label=estimate.missed_label[gone],
        missed=estimate.missed[gone],
        missed_confidence=estimate.missed_confidence[gone],
    )


def stretches(
    gathered: Gathered, clip: str, frames: Sequence[int], reach: int
) -> tuple[Window | None, ...]:
    """The windows that hold some frames and ``reach`` more on both sides, joined where they meet.

    (None,) where the clip is one window.
    """
    windows = gathered.windows(clip)
    if len(windows) < 2:
        return (None,)
    starts = np.array([window.start for window in windows])
    ends = np.add.outer([-reach, reach], np.array(sorted(frames), np.int64)).clip(0)
    first, last = np.searchsorted(starts, ends, side="right") - 1
    found: list[Window] = []
    for low, high in zip(first.tolist(), last.tolist(), strict=True):
        if found and windows[low].start <= found[-1].stop:
            found[-1] = Window(found[-1].start, max(found[-1].stop, windows[high].stop))
        else:
            found.append(Window(windows[low].start, windows[high].stop))
    return tuple(found)


def about(frames: Sequence[int], reach: int, length: int) -> BoolArray:
    """(F,) bool, these frames and their neighbours."""
    mask = np.zeros(length, np.bool_)
    for frame in frames:
        mask[max(0, frame - reach) : frame + reach + 1] = True
    return mask


def windows_of(
    gathered: Gathered, clip: str, frames: Sequence[int], reach: int
) -> tuple[Window, ...]:
    """The clip's own windows that hold some frames and ``reach`` more on both sides."""
    near, windows = stretches(gathered, clip, frames, reach), gathered.windows(clip)
    if near == (None,):
        return windows
    spans = [span for span in near if span is not None]
    return tuple(each for each in windows if any(s.start <= each.start < s.stop for s in spans))


class Near:
    """Tables of some stretches of a clip, as if the rest of it had no boxes."""

    def __init__(self, gathered: Gathered, clip: Clip, near: tuple[Window | None, ...]) -> None:
        self._gathered, self._clip = gathered, clip
        self._whole = near == (None,)
        self._near = [window for window in near if window is not None]

    def detections(self) -> Detections:
        """Frames count in the clip; of others nothing was ``scanned``."""
        gathered, name = self._gathered, self._clip.id
        if self._whole:
            return _must(gathered.detections(name, columns=()))
        parts: list[Detections] = []
        at = 0
        for window in [*self._near, Window(self._clip.frames, self._clip.frames)]:
            if window.start > at and parts:
                parts.append(_nothing(parts[0], window.start - at))
            if window.frames:
                found = bare(_must(gathered.detections(name, window, columns=())))
                if not parts and window.start:
                    parts.append(_nothing(found, window.start))
                parts.append(found)
            at = window.stop
        return join_detections(parts)

    def estimate(self, found: Detections) -> ErrorEstimate | None:
        """Verdicts; rows are those of ``detections``."""
        if self._whole:
            return self._gathered.estimate(self._clip.id)
        parts = [self._gathered.estimate(self._clip.id, window) for window in self._near]
        known = [part for part in parts if part is not None]
        return join_estimates(known, self._near, self._rows(found)) if known else None

    def rows(self, found: Detections) -> Evidence | None:
        """Rows for expected errors, of the same detections."""
        if self._whole:
            return self._gathered.rows(self._clip.id)
        parts = [self._gathered.rows(self._clip.id, window) for window in self._near]
        known = [part for part in parts if part is not None]
        if not known:
            return None
        joined = join_evidence(known, self._near, self._rows(found))
        return replace(joined, frames=self._clip.frames)

    def carried(self, found: Detections) -> Carried | None:
        """Where the detections were carried within their stretches; None = that is not kept."""
        store = store_at(self._gathered.store)
        keys = self._gathered.evidence[self._clip.id].keys
        near: list[Window | None] = [None] if self._whole else list(self._near)
        try:
            parts = [_must(load_carried(store, keys, window)) for window in near]
        except EvidenceLost:
            return None
        if self._whole:
            return parts[0]
        if len(parts) > 1:
            return join_carried(parts, self._near, self._rows(found))
        return replace(parts[0], frame=parts[0].frame + self._near[0].start)

    def _rows(self, found: Detections) -> list[int]:
        """Of every stretch the row that it begins with."""
        starts = np.array([window.start for window in self._near], np.int64)
        return [int(row) for row in np.searchsorted(found.frame, starts)]


def _nothing(like: Detections, frames: int) -> Detections:
    """Frames that were not looked at."""
    table = like.keep(np.zeros(0, np.int64))
    none = np.zeros((frames, 0), np.float32)
    return replace(table, scanned=np.zeros(frames, np.bool_), embedding=none)


def _must(table: _Table | None) -> _Table:
    if table is None:
        raise EvidenceLost
    return table
