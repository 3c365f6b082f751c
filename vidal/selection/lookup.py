"""What the pool and the report want to know of a clip, read from the store when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vidal.evidence.gathered import Gathered
from vidal.evidence.labels import LabelMatch
from vidal.evidence.plan import EvidencePlan
from vidal.evidence.verdicts import by_chances
from vidal.expected_errors import ErrorModel, Evidence, Totals
from vidal.selection.clip_frames import ClipFrames
from vidal.selection.doubts import Doubts
from vidal.selection.parts import PoolClip
from vidal.types import BoolArray, Clip
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
        plan: how the evidence was gathered; None = nobody asks how boxes move.
        doubts: what ``model`` says of boxes, once a pool was built.
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
    plan: EvidencePlan | None = None
    doubts: Doubts = field(default_factory=Doubts)

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

    def verdicts(self, part: PoolClip, rows: Evidence | None = None) -> Verdicts | None:
        """What the model says of a clip's boxes; None where it says nothing.

        ``rows``: of the detections of ``part``; None = those of the whole clip.
        """
        if self.model is None or part.detections is None:
            return None
        rows = self.gathered.rows(part.clip.id) if rows is None else rows
        if rows is None:
            return None
        return by_chances(
            rows,
            self.model.false_positive(rows.detections),
            self.model.missed(rows.candidates),
            learned=self.ranks,
        )
