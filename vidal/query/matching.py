"""How alike frames are by the detections in them, and frames that represent all others.

Yang, Huang and Crowley, "Plug and Play Active Learning for Object Detection", CVPR 2024, as in its
public code; what is followed and what differs stands in ``vidal.query.ppal``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.types import IntArray, ScoreArray

LARGEST = 5_000
"""Candidates up to which all distances are held at once."""
_STEPS = 100
_FAR = 2.0
_VALUES = 8_000_000
"""Numbers that are held at once while detections are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The detections of C frames, to be compared with each other.

    Attributes:
        frame: (n,) int64 in 0..C-1, rising.
        labels: (n,) int64 class of each.
        scores: (n,) weights > 0.
        features: (n, D).
        frames: C.
    """

    frame: IntArray
    labels: IntArray
    scores: NDArray[Any]
    features: NDArray[Any]
    frames: int


class Matching:
    """Category-conditioned matching distances between frames, in [0, 2]."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        features = shown.features.astype(np.float32)
        length = np.linalg.norm(features, axis=1, keepdims=True)
        self._unit = np.divide(features, length, out=np.zeros_like(features), where=length > 0)
        self._full = np.unique(shown.frame)
        self._starts = np.searchsorted(shown.frame, self._full)
        self._weight = np.asarray(shown.scores, np.float64)
        self._total = np.bincount(shown.frame, self._weight, minlength=shown.frames)

    def matrix(self) -> NDArray[np.float32]:
        """(C, C) all distances; 0 on the diagonal."""
        count = self._shown.frames
        result = np.empty((count, count), np.float32)
        size, at = max(1, _VALUES // max(1, len(self._weight))), 0
        while at < count:
            # As many frames as have that many detections, but at least one.
            row = np.searchsorted(self._shown.frame, at)
            last = self._shown.frame[row + size] if row + size < len(self._weight) else count
            until = max(at + 1, int(last))
            result[at:until] = self.rows(np.arange(at, until))
            at = until
        return result

    def rows(self, frames: IntArray) -> NDArray[np.float32]:
        """(f, C) distances of consecutive frames from all."""
        result = np.full((len(frames), self._shown.frames), _FAR, np.float32)
        empty = np.ones(self._shown.frames, np.bool_)
        empty[self._full] = False
        result[np.ix_(empty[frames], empty)] = 0.0
        mine = np.flatnonzero(~empty[frames])
        if len(mine):
            first, last = np.searchsorted(self._shown.frame, [frames[0], frames[-1] + 1])
            result[np.ix_(mine, self._full)] = self._matched(slice(first, last))
        result[np.arange(len(frames)), frames] = 0.0
        return result

    def _matched(self, rows: slice) -> ScoreArray:
        """Of frames that have detections: those of these rows, from all."""
        shown, weight = self._shown, self._weight
        alike = self._unit[rows] @ self._unit.T
        alike[shown.labels[rows, None] != shown.labels] = -1.0
        own = np.unique(shown.frame[rows])
        starts = np.searchsorted(shown.frame[rows], own)
        there = 1.0 - np.maximum.reduceat(alike, self._starts, axis=1).astype(np.float64)
        there = np.add.reduceat(there * weight[rows, None], starts, axis=0)
        back = 1.0 - np.maximum.reduceat(alike, starts, axis=0).astype(np.float64)
        back = np.add.reduceat(back * weight, self._starts, axis=1)
        total = self._total
        return 0.5 * (there / total[own, None] + back / total[self._full])


def spread_choice(shown: Shown, budget: int, rng: Generator) -> IntArray:
    """``min(budget, C)`` frames that represent all: farthest-first, then k-medoids; ascending.

    Args:
        shown: detections of the C candidates.
        budget: how many.
        rng: the first one.
    """
    count = min(budget, shown.frames)
    if count == shown.frames or not count:
        return np.arange(count)
    matching = Matching(shown)
    table = matching.matrix() if shown.frames <= LARGEST else None
    chosen = [int(rng.integers(shown.frames))]
    least = np.full(shown.frames, np.inf)
    while True:
        at = np.array(chosen[-1:])
        np.minimum(least, matching.rows(at)[0] if table is None else table[at[0]], out=least)
        least[chosen[-1]] = -np.inf
        if len(chosen) == count:
            break
        chosen.append(int(np.argmax(least)))
    medoids = np.array(chosen)
    return np.sort(medoids if table is None else k_medoids(table, medoids))


def k_medoids(table: NDArray[Any], medoids: IntArray) -> IntArray:
    """Medoids that nothing in their own cluster would improve, by alternation from a start.

    Args:
        table: (C, C) distances.
        medoids: (k,) distinct rows to start from.
    """
    for _ in range(_STEPS):
        cluster = table[:, medoids].argmin(axis=1)
        cluster[medoids] = np.arange(len(medoids))
        order = np.argsort(cluster, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(cluster, minlength=len(medoids)))[:-1])
        moved = np.array([rows[table[np.ix_(rows, rows)].sum(axis=1).argmin()] for rows in groups])
        if (moved == medoids).all():
            break
        medoids = moved
    return medoids
