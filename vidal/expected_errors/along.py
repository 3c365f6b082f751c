"""What the track says that a detection or an expected box lies on."""

from __future__ import annotations

import numpy as np

from vidal.expected_errors.nodes import Columns, Nodes, at
from vidal.expected_errors.pairs import tracks
from vidal.types import BoolArray, Detections, IntArray

LONGEST_RUN = 20
"""Frames: longer runs and distances to the ends of the clip count as this."""
FAR = 10
"""Frames each way of the wider look along a track."""


def nearest_ways(
    detections: Detections, nodes: Nodes, before: IntArray, after: IntArray, reach: int
) -> Columns:
    """How far the nearest meeting is, and its score, both ways."""
    far = np.full((2, len(nodes.frame)), reach + 1.0, np.float32)
    score = np.zeros_like(far)
    for way, other in enumerate((before, after)):
        has = other >= 0
        far[way, has] = np.abs(detections.frame[other[has]] - nodes.frame[has])
        score[way, has] = detections.scores[other[has]]
    return {
        "nearest": far.min(axis=0),
        "furthest": far.max(axis=0),
        "nearest score": score.max(axis=0),
        "furthest score": score.min(axis=0),
    }


def host_of(detections: Detections, nodes: Nodes, before: IntArray, after: IntArray) -> IntArray:
    """(R,) the detection on whose track a node lies: itself, or what expects it from nearest by."""
    n = len(detections)
    pair = np.stack([before[n:], after[n:]], axis=1)
    rank = np.abs(at(detections.frame, pair) - nodes.frame[n:, None])
    rank = np.where(pair >= 0, rank - 0.5 * at(detections.scores, pair), np.inf)
    chosen = pair[np.arange(len(pair)), rank.argmin(axis=1)]
    return np.concatenate([np.arange(n, dtype=np.int64), chosen])


def along_track(
    detections: Detections,
    nodes: Nodes,
    best: IntArray,
    host: IntArray,
    strong: BoolArray,
    window: int,
) -> Columns:
    """Length, scores and class of the track that a node lies on."""
    n, count = len(detections), len(nodes.frame)
    number = tracks(best, window)
    if not n:
        number = np.zeros(1, dtype=np.int64)
    mine = number[host]
    order = np.lexsort((detections.frame, number[:n]))
    span = np.int64(detections.frames + 2 * FAR + 2)
    key = number[:n][order] * span + detections.frame[order] + FAR

    def between(low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
        return (
            np.searchsorted(key, mine * span + low + FAR, side="left"),
            np.searchsorted(key, mine * span + high + FAR, side="right"),
        )

    score = detections.scores.astype(np.float64)
    tables = {"score": score, "square": score**2, "strong": strong.astype(np.float64)}
    sums = {name: np.append(0.0, np.cumsum(values[order])) for name, values in tables.items()}
    low, high = between(nodes.frame - FAR, nodes.frame + FAR)
    begin, end = between(np.full(count, -FAR), np.full(count, detections.frames + FAR - 1))
    inside = np.maximum(high - low, 1)
    mean = (sums["score"][high] - sums["score"][low]) / inside
    variance = (sums["square"][high] - sums["square"][low]) / inside - mean**2
    ends = (
        np.stack(
            [
                nodes.frame - detections.frame[order][begin],
                detections.frame[order][np.maximum(end - 1, 0)] - nodes.frame,
            ]
        )
        if n
        else np.zeros((2, count))
    )
    runs = np.clip(ends, 0, LONGEST_RUN)
    return {
        "run": runs.sum(axis=0).astype(np.float32),
        "lesser run": runs.min(axis=0).astype(np.float32),
        "track score": mean.astype(np.float32),
        "track spread": np.sqrt(np.maximum(variance, 0)).astype(np.float32),
        "track dip": (nodes.scores - mean).astype(np.float32),
        "track strong": ((sums["strong"][high] - sums["strong"][low]) / inside).astype(np.float32),
        "track seen": (high - low).astype(np.float32),
    }
