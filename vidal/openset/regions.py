"""What strategies of this room share where detections become frames and reasons."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vidal.query.batch import highest_rows
from vidal.query.pools import items_of, regions_of
from vidal.query.region_scores import foreground, named
from vidal.types import Explanation, FloatArray, IntArray, Pool, ScoreArray

LEARNS = frozenset({"regions", "features", "labelled", "labels", "trunk"})
"""What a strategy needs that trains on a trunk."""


def explained(
    pool: Pool,
    values: ScoreArray,
    positions: IntArray,
    what: Callable[[int], str],
    unfit: str = "no detections",
) -> Explanation:
    """For each frame what is said of its detection with the highest value, and its class.

    Args:
        pool: with detections.
        values: (N,) of the detections; also the part ``highest`` of the score, 0 for none.
        positions: of frames.
        what: row of a detection -> words.
        unfit: of a frame without detections.
    """
    regions = regions_of(pool)
    rows = highest_rows(pool, values, positions)
    words = tuple(
        f"{what(row)}; of a {named(pool.classes, regions, row)}" if row >= 0 else unfit
        for row in rows.tolist()
    )
    highest = np.zeros(len(positions))
    there = rows >= 0
    highest[there] = values[rows[there]]
    return Explanation(words, {"highest": highest})


def known_probs(pool: Pool) -> FloatArray:
    """(N, K) class distribution by the classifier in use, without background; rows sum to 1."""
    return foreground(regions_of(pool).probs)[:, :-1]  # type: ignore[return-value]


def class_sizes(pool: Pool) -> IntArray:
    """(K+1,) labelled items of each known class, and of unknown objects."""
    answers = items_of(pool).answers
    return np.bincount(answers[answers >= 0], minlength=len(pool.classes) + 1)
