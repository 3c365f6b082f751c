"""What the pool and the report want to know of a clip, read from the store when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vidal.evidence.gathered import Gathered
from vidal.evidence.labels import LabelMatch
from vidal.evidence.verdicts import by_chances
from vidal.expected_errors import ErrorModel, Totals
from vidal.selection.again import columns_of
from vidal.selection.pool import PoolClip
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

    def parts(self) -> Iterator[PoolClip]:
        """All clips, one at a time, with what is expected of them."""
        parts = (self._expecting(self.part(clip)) for clip in self.gathered.clips.values())
        return (self._voted(part) for part in parts)

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

    def _voted(self, part: PoolClip) -> PoolClip:
        """With what the snapshots say of its detections."""
        if not self.snapshots or part.detections is None:
            return part
        # A clip that was read a moment ago is skipped by none of them.
        earlier = [each.detections(part.clip.id) for each in self.snapshots]
        found = [table for table in earlier if table is not None]
        more = {**part.row_columns, **columns_of(part.detections, found)}
        return replace(part, row_columns=more)

    def _expecting(self, part: PoolClip) -> PoolClip:
        if self.model is None or part.detections is None:
            return part
        rows = self.gathered.rows(part.clip.id)
        if rows is None:
            return part
        expected = self.model.counts(rows, len(part.detections.classes))
        told = expected
        if self.totals is not None:
            told = self.totals.told(expected, self.numbers.get(part.clip.id))
        prior = 1 - min(self.model.own_share)
        more = dict(part.row_columns)
        if self.by_region:
            more["false_alarm"] = np.zeros(len(part.detections), np.float32)
            more["false_alarm"][rows.rows] = self.model.false_positive(rows.detections)
        ranked = expected if self.ranks else None
        return replace(part, expected=ranked, told=told, prior=prior, row_columns=more)


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
