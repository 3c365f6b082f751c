"""What a query was worth, told by the truth: for evaluation and simulation, after the choice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.evaluate.curves import Picks
from vidal.evaluate.matching import ClipMatch, match_clip
from vidal.evaluate.quality import (
    VerdictCounts,
    class_entropy,
    false_positive_verdicts,
    missed_verdicts,
    nearest_pick_distance,
    rank_agreement,
)
from vidal.evaluate.true_errors import true_errors
from vidal.protocols import Detector
from vidal.selection.asked import Counts, count_regions
from vidal.selection.result import ClipResult
from vidal.types import UNKNOWN, Annotations, Clip, Detections, IntArray, Query
from vidal.video import read_frames


def judge_query(
    query: Query,
    load: Callable[[str], ClipResult],
    truth: Mapping[str, Annotations],
    *,
    threshold: float,
    detector: Detector | None = None,
    tags: Mapping[str, tuple[str, ...]] | None = None,
) -> Picks:
    """The true worth of a query's frames, and how good the estimates were that chose them.

    Args:
        query: the chosen frames.
        load: a clip's evidence, as ``SelectionResult.load``; one clip at a time.
        truth: clip id -> annotations with the detector's classes, of every clip of the pool.
        threshold: detections with a higher score count.
        detector: the model that chose, run on the picked frames where the strategy needed no
            detections; None = errors of such picks stay unknown.
        tags: clip id -> the conditions that the clip shows, of clips of the pool.
    """
    tally = _Tally(threshold)
    chosen: dict[str, list[int]] = {}
    for ref in query.frames:
        chosen.setdefault(ref.clip, []).append(ref.index)
    for clip_id, table in truth.items():
        picked = np.array(sorted(chosen.get(clip_id, ())), np.int64)
        part = load(clip_id)
        detections = part.detections
        if detections is None and detector is not None and len(picked):
            detections = detect_frames(part.clip, picked, detector)
        tally.add(part, detections, table, picked)
    order = {clip_id: number for number, clip_id in enumerate(truth)}
    clips = np.array([order[ref.clip] for ref in query.frames], np.int64)
    index = np.array([ref.index for ref in query.frames], np.int64)
    picks = tally.picks(len(query), _known(nearest_pick_distance(clips, index)))
    return replace(picks, conditions=_conditions(query, tags or {}))


def _conditions(query: Query, tags: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Picked frames of every tag that any clip has; 0 where none was picked."""
    counts = dict.fromkeys(sorted({tag for mine in tags.values() for tag in mine}), 0)
    for ref in query.frames:
        for tag in set(tags.get(ref.clip, ())):
            counts[tag] += 1
    return counts


def detect_frames(clip: Clip, indices: IntArray, detector: Detector) -> Detections:
    """Detections of some frames of a clip (increasing indices); the others are not ``scanned``."""
    frames = list(read_frames(clip, indices.tolist()))
    found = [frame.ref.index for frame in frames]
    parts = [detector.detect(frames)] if frames else []
    return Detections.gather(parts, found, frames=clip.frames, classes=tuple(detector.classes))


@dataclass(slots=True)
class _Tally:
    """Adds up over clips."""

    threshold: float
    errors: IntArray = field(default_factory=lambda: np.zeros(2, np.int64))
    counted: bool = False
    classes: IntArray | None = None
    unknown: int = 0
    asked: Counts = field(default_factory=Counts)
    verdicts: list[VerdictCounts] = field(
        default_factory=lambda: [VerdictCounts(), VerdictCounts()]
    )
    estimated: list[IntArray] = field(default_factory=list)
    true: list[IntArray] = field(default_factory=list)
    scores: list[NDArray[Any]] = field(default_factory=list)
    scored_errors: list[IntArray] = field(default_factory=list)

    def add(
        self, part: ClipResult, detections: Detections | None, table: Annotations, picked: IntArray
    ) -> None:
        """One clip more."""
        rows = np.isin(table.frame, picked) & (table.labels >= 0) & ~table.ignore
        counts = np.bincount(table.labels[rows], minlength=len(table.classes))
        self.classes = counts if self.classes is None else self.classes + counts
        others = np.isin(table.frame, picked) & (table.labels == UNKNOWN) & ~table.ignore
        self.unknown += int(np.count_nonzero(others))
        if detections is None:
            return
        above = (detections.scores > self.threshold) & np.isin(detections.frame, picked)
        self.asked = self.asked.plus(count_regions(detections.keep(np.flatnonzero(above)), table))
        match = match_clip(detections, table, score_floor=self.threshold)
        errors = true_errors(match).per_frame
        self.errors = self.errors + errors[picked].sum(axis=0)
        self.counted = True
        scored = match.known & part.selectable & np.isfinite(part.scores)
        self.scores.append(part.scores[scored])
        self.scored_errors.append(errors[scored].sum(axis=1))
        if part.estimate is not None:
            self._judge(part, match, errors)

    def _judge(self, part: ClipResult, match: ClipMatch, errors: IntArray) -> None:
        estimate = part.estimate
        assert estimate is not None
        self.verdicts[0] += false_positive_verdicts(estimate, match)
        self.verdicts[1] += missed_verdicts(estimate, match)
        false = match.detections.frame[estimate.rows[estimate.false_positive]]
        missed = estimate.missed_frame[estimate.missed]
        frames = part.clip.frames
        counts = [np.bincount(each, minlength=frames) for each in (false, missed)]
        use = match.known & part.selectable
        self.estimated.append(np.stack(counts, axis=1)[use])
        self.true.append(errors[use])

    def picks(self, frames: int, redundancy: float | None) -> Picks:
        """All of it."""
        spearman: list[float | None] = [None, None]
        if self.estimated:
            mine, due = np.concatenate(self.estimated), np.concatenate(self.true)
            spearman = [_known(rank_agreement(mine[:, k], due[:, k])) for k in (0, 1)]
        ranked = None
        if self.scores:
            scores, wrong = np.concatenate(self.scores), np.concatenate(self.scored_errors)
            ranked = _known(rank_agreement(scores, wrong))
        false, missed = self.verdicts
        return Picks(
            frames=frames,
            false_positives=int(self.errors[0]) if self.counted else None,
            misses=int(self.errors[1]) if self.counted else None,
            redundancy=redundancy,
            balance=None if self.classes is None else _known(class_entropy(self.classes)),
            fp_precision=_known(false.precision),
            fp_recall=_known(false.recall),
            fn_precision=_known(missed.precision),
            fn_recall=_known(missed.recall),
            fp_spearman=spearman[0],
            fn_spearman=spearman[1],
            score_spearman=ranked,
            query_precision=_known(self.asked.precision),
            unknown=self.unknown,
        )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
