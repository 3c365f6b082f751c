"""What strategies share that choose a whole batch: items of frames, and the budget in frames.

A batch is chosen item by item; an item is a frame or a detection. A detection that is chosen takes
its frame, which costs one frame of the budget: all detections of that frame count as chosen, and
those of frames within the gap cannot be chosen any more. So no pick is thrown away afterwards.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.arrays import nearest
from vidal.query import exclusion
from vidal.query.farthest import Takes
from vidal.query.pools import regions_of, take
from vidal.query.region_scores import foreground
from vidal.types import AnyGap, BoolArray, IntArray, Pool, ScoreArray

Unit = Literal["frames", "regions"]
"""What is compared: whole frames, or their detections."""


def frame_takes(pool: Pool, gap: AnyGap) -> tuple[Takes, BoolArray]:
    """What choosing a frame takes, and (F,) bool: frames that are away from labelled ones."""
    first, last = exclusion.neighbourhoods(pool.frames, gap)
    free = exclusion.away_from_labelled(pool.frames, pool.labelled, gap)
    return Takes(Takes.itself(len(pool)).own, np.stack([first, last], axis=1)), free


def region_takes(pool: Pool, gap: AnyGap) -> tuple[Takes, BoolArray]:
    """What choosing a detection takes, and (N,) bool: those away from labelled frames."""
    frames, free = frame_takes(pool, gap)
    pos = regions_of(pool).pos
    return (
        Takes(*(np.searchsorted(pos, ranges[pos]) for ranges in (frames.own, frames.away))),
        free[pos],
    )


def filled(pool: Pool, picks: IntArray, budget: int, rng: Generator, gap: AnyGap) -> IntArray:
    """Picks and, behind them, frames drawn at random as far as they fit: those without items."""
    if len(picks) >= budget:
        return picks[:budget]
    known = pool.labelled.with_more(take(pool.frames, picks))
    others = np.setdiff1d(np.arange(len(pool)), picks)
    order = others[rng.permutation(len(others))]
    more = exclusion.thin(pool.frames, known, order, gap, budget - len(picks))
    return np.concatenate([picks, more])


def distributions(pool: Pool, background: bool) -> NDArray[Any]:
    """(N, K+1) class distributions of the detections; the background at 0 unless it counts."""
    probs = regions_of(pool).probs
    return probs if background else foreground(probs)


def nearest_others(points: NDArray[Any], known: NDArray[Any]) -> tuple[IntArray, ScoreArray]:
    """The nearest of known rows and other points to each of (n, D) points, and its distance.

    Returns:
        (n,) rows of ``known`` followed by ``points``, -1 where there is nothing else; and (n,)
        Euclidean distances, infinite there.
    """
    points = points.astype(np.float64)
    base = np.concatenate([known, points]) if len(known) else points
    own = len(known) + np.arange(len(points))
    if len(base) < 2:
        return np.full(len(points), -1), np.full(len(points), np.inf)
    two = nearest(points, base, 2, metric="euclidean")
    rows = np.where(two[:, 0] == own, two[:, 1], two[:, 0])
    return rows, np.linalg.norm(points - base[rows], axis=1)


def highest_rows(pool: Pool, values: ScoreArray, positions: IntArray) -> IntArray:
    """(n,) the detection with the highest value in each of these frames, -1 where there is none."""
    pos = regions_of(pool).pos
    order = np.lexsort((-values, pos))
    first = np.searchsorted(pos, positions)
    there = first < np.searchsorted(pos, positions, side="right")
    # Rows of a frame are contiguous, so sorting within frames leaves its first place as it was.
    return np.where(there, order[np.minimum(first, len(pos) - 1)] if len(pos) else -1, -1)
