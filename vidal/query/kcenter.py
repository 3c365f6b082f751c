"""Cover feature space: k-center, greedy and robust.

Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach",
ICLR 2018: choose so that the farthest item from its nearest labelled or chosen one is near.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.arrays import nearest
from vidal.query.coreset import coreset_robust
from vidal.query.farthest import farthest_first
from vidal.types import IntArray

__all__ = ["coreset_robust", "covering_radius", "kcenter_greedy"]


def kcenter_greedy(pool: NDArray[Any], labelled: NDArray[Any], budget: int) -> IntArray:
    """Positions, each the farthest from all labelled and chosen items before it; in that order.

    The covering radius is at most twice the least possible one (Gonzalez 1985). Ties go to the
    lower position; items at distance zero come last, each once. Where nothing is labelled the
    first is the farthest from the mean.

    Args:
        pool: (N, D) finite.
        labelled: (M, D) finite, M may be 0.
        budget: ``min(budget, N)`` are chosen.

    Raises:
        ValueError: shapes that do not belong together, or values that are not finite.
    """
    return farthest_first(np.asarray(pool), np.asarray(labelled), budget)


def covering_radius(pool: NDArray[Any], centres: NDArray[Any], outliers: int = 0) -> float:
    """The largest Euclidean distance of an item (N, D) from its nearest centre (M, D).

    Infinite where there are items and no centres; 0 where nothing is left to cover.

    Args:
        pool: the items.
        centres: labelled and chosen ones.
        outliers: this many of the farthest items do not count.

    Raises:
        ValueError: shapes that do not belong together, values that are not finite, or a negative
            number of outliers.
    """
    if outliers < 0:
        raise ValueError(f"{outliers} outliers")
    if outliers >= len(pool):
        return 0.0
    if not len(centres):
        return float("inf")
    rows = nearest(pool, centres, 1, metric="euclidean")[:, 0]
    points, others = np.asarray(pool), np.asarray(centres)
    step = 4096
    parts = [
        points[at : at + step].astype(np.float64) - others[rows[at : at + step]]
        for at in range(0, len(pool), step)
    ]
    far = np.concatenate([np.linalg.norm(part, axis=1) for part in parts])
    return float(np.sort(far)[len(far) - 1 - outliers])
