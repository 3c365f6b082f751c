"""Evidence by clip, read from the store when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from vidal.evidence.gather import (
    ClipEvidence,
    load_detections,
    load_estimate,
    load_evidence,
)
from vidal.evidence.places import store_at
from vidal.evidence.prints import known_prints
from vidal.expected_errors import ErrorModel
from vidal.selection.plan import Prepared, SelectionPlan
from vidal.selection.pool import PoolClip
from vidal.selection.result import ClipResult
from vidal.types import Clip, Pool
from vidal.video.prints import Prints


class Lookup:
    """Evidence by clip id, read from the store when it is asked for."""

    def __init__(
        self,
        plan: SelectionPlan,
        clips: Mapping[str, Clip],
        evidence: Mapping[str, ClipEvidence],
        prepared: Prepared,
    ) -> None:
        self._plan = plan
        self.model: ErrorModel | None = None
        self._clips = clips
        self._evidence = evidence
        self._labels = prepared.labels
        self._barred = prepared.barred
        self._store = store_at(plan.evidence.store)
        self._unreadable: dict[str, set[int]] = {}
        self._scores: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def clip(self, clip_id: str) -> Clip:
        """The clip of an id."""
        return self._clips[clip_id]

    def prints(self, clip_id: str) -> Prints | None:
        """How the clip's frames looked when they were scored; None where they were not."""
        known = clip_id in self._evidence
        return known_prints(self._store, self._clips[clip_id]) if known else None

    def exclude(self, clip: str, frames: Sequence[int]) -> None:
        """These frames turned out not to decode."""
        self._unreadable.setdefault(clip, set()).update(frames)

    def part(self, clip: Clip) -> PoolClip:
        """The clip's evidence."""
        labelled = (
            np.zeros(clip.frames, np.bool_) if self._labels is None else self._labels.labelled(clip)
        )
        selectable = ~labelled
        if clip.id in self._barred:
            selectable &= ~self._barred[clip.id]
        selectable[list(self._unreadable.get(clip.id, ()))] = False
        known = self._evidence.get(clip.id)
        if known is None:
            return PoolClip(clip, selectable, labelled, None, None)
        detections = load_detections(self._store, known.keys)
        estimate = load_estimate(self._store, known.keys)
        selectable = selectable & detections.scanned
        return PoolClip(clip, selectable, labelled, detections, estimate)

    def parts(self) -> Iterator[PoolClip]:
        """All clips, one at a time."""
        return (self._expecting(self.part(clip)) for clip in self._clips.values())

    def _expecting(self, part: PoolClip) -> PoolClip:
        known = self._evidence.get(part.clip.id)
        if self.model is None or known is None or part.detections is None:
            return part
        rows = load_evidence(self._store, known.keys)
        if rows is None:
            return part
        return replace(part, expected=self.model.counts(rows, len(part.detections.classes)))

    def keep_scores(self, pool: Pool, scores: np.ndarray) -> None:
        """Remember each frame's score, for the report."""
        for number, clip in enumerate(pool.frames.clips):
            first, last = np.searchsorted(pool.frames.clip, (number, number + 1))
            self._scores[clip] = (pool.frames.index[first:last], scores[first:last])

    def result(self, clip_id: str) -> ClipResult:
        """What the report wants to know of a clip."""
        part = self.part(self._clips[clip_id])
        scores = np.full(part.clip.frames, np.nan)
        index, values = self._scores[clip_id]
        scores[index] = values
        return ClipResult(
            part.clip, part.detections, part.estimate, scores, part.selectable, part.labelled
        )
