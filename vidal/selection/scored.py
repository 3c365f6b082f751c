"""The report's view of a run: its clips, with the score of every frame that could be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from vidal.errors import EvidenceLost
from vidal.evidence.gathered import Gathered
from vidal.evidence.load import load_carried
from vidal.evidence.motion import CarriedMotion, reach_of
from vidal.evidence.places import store_at
from vidal.evidence.plan import EvidenceJob
from vidal.evidence.stored_motion import stored_motion
from vidal.evidence.tables import (
    bare,
    join_carried,
    join_detections,
    join_estimates,
    join_evidence,
)
from vidal.evidence.windows import Window
from vidal.expected_errors import Evidence
from vidal.protocols import Motion
from vidal.selection.clip_frames import ClipFrames
from vidal.selection.loads import FrameCounts, counted
from vidal.selection.lookup import Lookup
from vidal.selection.parts import PoolClip
from vidal.selection.result import ClipResult
from vidal.selection.stored import Entries
from vidal.types import (
    BoolArray,
    Carried,
    Clip,
    Detections,
    ErrorEstimate,
    FrameSet,
    IntArray,
    ScoreArray,
)

_Table = TypeVar("_Table")


class Scored:
    """Reads the clips of a run; implements ``Loader``."""

    def __init__(
        self, lookup: Lookup, frames: FrameSet, scores: ScoreArray, threshold: float
    ) -> None:
        """
        Args:
            lookup: the clips.
            frames: the pool's.
            scores: (F,) float64, one a frame.
            threshold: detections with a higher score count.
        """
        self._lookup = lookup
        self._frames = frames
        self._scores = scores
        self._threshold = threshold
        self._number = {clip: number for number, clip in enumerate(frames.clips)}
        self._first = np.searchsorted(frames.clip, np.arange(len(frames.clips) + 1))

    def __call__(self, clip_id: str) -> ClipResult:
        """One clip; hold one at a time."""
        part = self._lookup.part(self._lookup.gathered.clips[clip_id])
        return ClipResult(
            part.clip,
            part.detections,
            part.estimate,
            self._scores_of(part.clip),
            part.selectable,
            part.labelled,
            self._lookup.verdicts(part),
        )

    def bare(self, clip: str) -> ClipResult:
        """A clip without any boxes; what may be chosen of it stands in the pool."""
        own = self._lookup.gathered.clips[clip]
        selectable = np.zeros(own.frames, np.bool_)
        selectable[self._frames.index[self._place(clip)]] = True
        labels = self._lookup.labels
        labelled = np.zeros(own.frames, np.bool_) if labels is None else labels.labelled(own)
        return ClipResult(own, None, None, self._scores_of(own), selectable, labelled)

    def near(self, clip: str, frames: Sequence[int], reach: int) -> ClipResult:
        """A clip with the boxes of the windows that hold these frames and their neighbours.

        Verdicts of a model are those on these frames: asking it of all boxes would take longer
        than all else.
        """
        gathered, plain = self._lookup.gathered, self.bare(clip)
        if clip not in gathered.evidence or not len(frames):
            return plain
        near = _Near(gathered, plain.clip, stretches(gathered, clip, frames, reach))
        found = near.detections()
        part = PoolClip(plain.clip, plain.selectable, plain.labelled, found, None)
        rows = None if self._lookup.model is None else near.rows(found)
        if rows is not None:
            rows = rows.on(_about(frames, reach, plain.clip.frames))
        return replace(
            plain,
            detections=found,
            estimate=near.estimate(found),
            judged=self._lookup.verdicts(part, rows),
        )

    def motion(self, loaded: ClipResult, frames: Sequence[int], reach: int) -> Motion:
        """How the boxes move that ``near`` has loaded.

        Raises:
            EvidenceLost: that is not there any more.
        """
        gathered, plan, clip = self._lookup.gathered, self._lookup.plan, loaded.clip
        if plan is None or plan.coherence is None or loaded.detections is None:
            raise EvidenceLost
        near = stretches(gathered, clip.id, frames, reach)
        if near == (None,):
            return stored_motion(EvidenceJob(clip, plan), loaded.detections)
        carried = _Near(gathered, clip, near).carried(loaded.detections)
        return CarriedMotion(loaded.detections, carried, reach_of(plan.coherence, plan.expected))

    def counts(self) -> Iterator[FrameCounts]:
        """What the summaries of all frames say, in the order in which they lie."""
        gathered = self._lookup.gathered
        if not gathered.evidence:
            return
        frames = ClipFrames.of(list(gathered.clips.values()))
        entries = Entries.of(gathered, frames, "summary")
        if entries is None:
            for clip in frames.clips:
                yield counted(self(clip.id), self._threshold)
            return
        numbers = np.searchsorted(frames.starts, entries.first, side="right") - 1
        names, seen = ("scanned", "by_class", "doubts"), 0
        for at, arrays in store_at(gathered.store).scan(entries.keys, names):
            first, last = int(entries.first[at]), int(entries.last[at])
            own = self._lookup.doubts.by_frame
            doubts = arrays["doubts"] if own is None else own[first:last]
            seen += 1
            number = int(numbers[at])
            yield FrameCounts(
                frames.clips[number].id,
                first - int(frames.starts[number]),
                arrays["scanned"],
                arrays["by_class"],
                doubts,
            )
        if seen < len(entries):
            raise EvidenceLost

    @property
    def doubts_by_class(self) -> IntArray | None:
        """(K, 3) doubts of all frames that may be chosen, where ``counts`` tells no classes."""
        return self._lookup.doubts.by_class

    @property
    def estimated(self) -> bool:
        """Whether anything is said of single boxes."""
        evidence = self._lookup.gathered.evidence.values()
        return any(each.keys.estimate is not None for each in evidence)

    def _place(self, clip: str) -> slice:
        number = self._number[clip]
        return slice(int(self._first[number]), int(self._first[number + 1]))

    def _scores_of(self, clip: Clip) -> ScoreArray:
        scores, mine = np.full(clip.frames, np.nan), self._place(clip.id)
        scores[self._frames.index[mine]] = self._scores[mine]
        return scores


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


def _about(frames: Sequence[int], reach: int, length: int) -> BoolArray:
    """(F,) bool, these frames and their neighbours."""
    mask = np.zeros(length, np.bool_)
    for frame in frames:
        mask[max(0, frame - reach) : frame + reach + 1] = True
    return mask


class _Near:
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

    def carried(self, found: Detections) -> Carried:
        """Where the detections were carried within their stretches."""
        store = store_at(self._gathered.store)
        keys = self._gathered.evidence[self._clip.id].keys
        parts = [_must(load_carried(store, keys, window)) for window in self._near]
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
