"""Real detections with their evidence, judged by the ground truth; for benchmarks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from real_detections import sequences

from vidal.boxes import overlapping
from vidal.coherence import CoherenceOptions
from vidal.evaluate.matching import ClipMatch, match_clip, overlaps
from vidal.evaluate.true_errors import true_errors
from vidal.evidence.gather import clip_evidence, estimate_errors
from vidal.evidence.judge import judge_candidates, misses_of
from vidal.expected_errors import Evidence, Examples, ExpectedErrorsOptions, Judged, Rows
from vidal.protocols import Motion
from vidal.types import ErrorEstimate


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One sequence without what lies in ignore regions.

    Attributes:
        name: of the sequence.
        evidence: of the rows that count.
        judged: their verdicts, row by row.
        signals: name -> (F,) fixed scores.
        true: (F, 2) true errors.
        seconds: what the evidence took.
    """

    name: str
    evidence: Evidence
    judged: Judged
    signals: dict[str, np.ndarray]
    true: np.ndarray
    seconds: float


def clips(
    root: Path, cache: Path, name: str, threshold: float, version: Literal[1, 2] = 2
) -> Iterator[Clip]:
    """The sequences of a configuration, with the evidence of a version."""
    options = ExpectedErrorsOptions(threshold=threshold, version=version)
    literal = CoherenceOptions(score_threshold=threshold)
    for number, entry in enumerate(sequences(root, name, cache)):
        table = entry.detections
        verdicts = estimate_errors(table, entry.motion, literal, size=entry.size)
        match = match_clip(table, entry.truth, score_floor=threshold)
        yield judged_clip(
            entry.name, number, match, entry.motion, verdicts, options, size=entry.size
        )


def judged_clip(
    name: str,
    number: int,
    match: ClipMatch,
    motion: Motion,
    verdicts: ErrorEstimate,
    options: ExpectedErrorsOptions,
    *,
    size: tuple[int, int],
) -> Clip:
    """One clip's evidence and verdicts.

    Args:
        name: of the clip.
        number: of the clip among its judged rows.
        match: of its detections above the threshold with the truth.
        motion: of the clip.
        verdicts: of temporal coherence.
        options: how evidence is gathered.
        size: (H, W) of the frames.
    """
    table = match.detections
    start = time.process_time()
    evidence = clip_evidence(table, motion, verdicts, options, size=size)
    seconds = time.process_time() - start
    hit, usable = judge_candidates(evidence.candidates, match)
    sure = ~match.ignored[evidence.rows]
    detections, candidates = kept(evidence.detections, sure), kept(evidence.candidates, usable)
    judged = Judged(
        evidence.columns,
        examples(detections, match.false_positive[evidence.rows][sure], number),
        examples(candidates, hit[usable], number),
        int(match.missed.sum()),
        misses_of(match, evidence.candidates, hit, number),
    )
    rows = replace(evidence, detections=detections, candidates=candidates, rows=evidence.rows[sure])
    true = true_errors(match).per_frame
    signals = fixed(rows, table.probs, literal_counts(verdicts, match))
    return Clip(name, rows, judged, signals, true, seconds)


def kept(rows: Rows, which: np.ndarray) -> Rows:
    """Some of the rows."""
    return replace(
        rows,
        frame=rows.frame[which],
        boxes=rows.boxes[which],
        labels=rows.labels[which],
        evidence=rows.evidence[which],
    )


def examples(rows: Rows, error: np.ndarray, number: int) -> Examples:
    """Judged rows of one clip."""
    n = len(rows)
    return Examples(
        rows.evidence, error, np.full(n, number), rows.frame, np.ones(n, np.bool_), rows.labels
    )


def fixed(evidence: Evidence, probs: np.ndarray, temporal: np.ndarray) -> dict[str, np.ndarray]:
    """The scores that need no labels, frame by frame; ``temporal`` (F, 2) is literal coherence."""
    detections, candidates, frames = evidence.detections, evidence.candidates, evidence.frames
    logs = np.log(probs, out=np.zeros_like(probs), where=probs > 0)
    entropy = -(probs * logs).sum(axis=1)[evidence.rows]

    def total(rows: Rows, values: np.ndarray) -> np.ndarray:
        return np.bincount(rows.frame, weights=values, minlength=frames)

    return {
        "n": total(detections, np.ones(len(detections))),
        "sum(1-score)": total(detections, 1 - detections.column("score")),
        "entropy": total(detections, entropy),
        "sub-threshold": total(candidates, candidates.column("score")),
        "TC fp": temporal[:, 0],
        "TC fn": temporal[:, 1],
        "TC fp+fn": temporal.sum(axis=1),
    }


def literal_counts(verdicts: ErrorEstimate, match: ClipMatch) -> np.ndarray:
    """(F, 2) verdicts of temporal coherence without those in ignore regions."""
    truth = match.truth
    sides = (verdicts.missed_frame, verdicts.missed_boxes), (truth.frame, truth.boxes)
    left, right, _ = overlapping(*sides)
    _, cover = overlaps(verdicts.missed_boxes[left], truth.boxes[right])
    counted = verdicts.missed & match.known[verdicts.missed_frame]
    counted[left[truth.ignore[right] & (cover > 0.5)]] = False
    false = verdicts.rows[verdicts.false_positive & ~match.ignored[verdicts.rows]]
    frames = match.detections.frames
    parts = match.detections.frame[false], verdicts.missed_frame[counted]
    return np.stack([np.bincount(part, minlength=frames) for part in parts], axis=1).astype(float)


def on_frames(judged: Judged, frames: np.ndarray) -> Judged:
    """The judged rows of some frames of one clip."""
    return replace(
        judged,
        detections=judged.detections.keep(frames[judged.detections.frame]),
        candidates=judged.candidates.keep(frames[judged.candidates.frame]),
        missed=int(judged.misses.missed[frames[judged.misses.frame]].sum()),
        misses=judged.misses.keep(frames[judged.misses.frame]),
    )


def on_random(judged: Judged, random: np.ndarray) -> Judged:
    """The same, knowing which frames were drawn at random."""
    return replace(
        judged,
        detections=replace(judged.detections, random=random[judged.detections.frame]),
        candidates=replace(judged.candidates, random=random[judged.candidates.frame]),
    )


def without(clip: Clip, frames: np.ndarray) -> Clip:
    """The clip without the rows of labelled frames; the frames keep their numbers."""
    rows = clip.evidence
    first, second = ~frames[rows.detections.frame], ~frames[rows.candidates.frame]
    evidence = replace(
        rows,
        detections=kept(rows.detections, first),
        candidates=kept(rows.candidates, second),
        rows=rows.rows[first],
    )
    return replace(clip, evidence=evidence, judged=on_frames(clip.judged, ~frames))
