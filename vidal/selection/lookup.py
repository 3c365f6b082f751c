"""What the pool and the report want to know of a clip, read from the store when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vidal.evidence.gathered import Gathered
from vidal.evidence.labels import LabelMatch
from vidal.evidence.verdicts import by_chances
from vidal.expected_errors import ErrorModel, Totals
from vidal.selection.clip_frames import ClipFrames
from vidal.selection.parts import PoolClip
from vidal.selection.result import ClipResult
from vidal.types import BoolArray, Clip, FrameSet, ScoreArray
from vidal.types.verdicts import Verdicts


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """Clips with their evidence, what may be chosen of them, and what is expected of them.

    Attributes:
        gathered: the clips and where their evidence lies.
        labels: what is labelled, or None.
        barred: clip id -> (F,) bool, frames that may not be chosen though they are not labelled.
        model: what expects errors; None = nothing does.
        ranks: whether what it expects puts frames in order by itself; else it is fused with the
            fixed signals.
        totals: what makes counts of its sums; None = they are told as they are.
        numbers: clip id -> number of the clip in what was judged.
        unreadable: clip id -> frames that turned out not to decode.
        by_region: whether P(false alarm) of every detection is told, too.
        snapshots: what earlier states of the detector found, oldest first.
    """

    gathered: Gathered
    labels: LabelMatch | None
    barred: Mapping[str, BoolArray]
    model: ErrorModel | None = None
    totals: Totals | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    ranks: bool = True
    unreadable: Mapping[str, frozenset[int]] = field(default_factory=dict)
    snapshots: tuple[Gathered, ...] = ()
    by_region: bool = False

    def without(self, unreadable: Mapping[str, frozenset[int]]) -> Lookup:
        """The same, but these frames do not decode either."""
        known = dict(self.unreadable)
        for clip, frames in unreadable.items():
            known[clip] = known.get(clip, frozenset()) | frames
        return replace(self, unreadable=known)

    def masks(self, frames: ClipFrames) -> tuple[BoolArray, BoolArray]:
        """(N,) bool each of all frames in a row: may be chosen, if they decode; labelled."""
        tables = {} if self.labels is None else self.labels.annotations
        labelled = frames.mask({name: table.labelled for name, table in tables.items()})
        barred = frames.mask(self.unreadable, frames.mask(self.barred, labelled.copy()))
        return ~barred, labelled

    def part(self, clip: Clip) -> PoolClip:
        """A clip's evidence, and which of its frames may be chosen."""
        labelled = (
            np.zeros(clip.frames, np.bool_) if self.labels is None else self.labels.labelled(clip)
        )
        selectable = ~labelled
        if clip.id in self.barred:
            selectable &= ~self.barred[clip.id]
        selectable[list(self.unreadable.get(clip.id, ()))] = False
        detections = self.gathered.detections(clip.id)
        if detections is not None:
            selectable &= detections.scanned
        estimate = self.gathered.estimate(clip.id)
        told = None if self.labels is None else self.labels.annotations.get(clip.id)
        return PoolClip(clip, selectable, labelled, detections, estimate, annotations=told)

    def verdicts(self, part: PoolClip) -> Verdicts | None:
        """What the model says of a clip's boxes; None where it says nothing."""
        if self.model is None or part.detections is None:
            return None
        rows = self.gathered.rows(part.clip.id)
        if rows is None:
            return None
        return by_chances(
            rows,
            self.model.false_positive(rows.detections),
            self.model.missed(rows.candidates),
            learned=self.ranks,
        )


class Scored:
    """The report's view of a run: its clips, with the score of every frame that could be chosen."""

    def __init__(self, lookup: Lookup, frames: FrameSet, scores: ScoreArray) -> None:
        """
        Args:
            lookup: the clips.
            frames: the pool's.
            scores: (F,) float64, one a frame.
        """
        self._lookup = lookup
        self._frames = frames
        self._scores = scores
        self._number = {clip: number for number, clip in enumerate(frames.clips)}

    def __call__(self, clip_id: str) -> ClipResult:
        """One clip; hold one at a time."""
        part = self._lookup.part(self._lookup.gathered.clips[clip_id])
        number = self._number[clip_id]
        first, last = np.searchsorted(self._frames.clip, (number, number + 1))
        scores = np.full(part.clip.frames, np.nan)
        scores[self._frames.index[first:last]] = self._scores[first:last]
        return ClipResult(
            part.clip,
            part.detections,
            part.estimate,
            scores,
            part.selectable,
            part.labelled,
            self._lookup.verdicts(part),
        )
