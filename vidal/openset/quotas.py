"""A batch in two steps for every predicted class: likely known first, of those the informative."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidal.types import IntArray, ScoreArray


def highest(values: ScoreArray, count: int, rows: IntArray | None = None) -> IntArray:
    """Rows of the ``count`` highest values, the highest first, equals by the lower row.

    Args:
        values: (N,).
        count: of all of them where there are fewer.
        rows: ascending, of which are chosen; None = all.
    """
    own = np.arange(len(values)) if rows is None else rows
    return own[np.argsort(-values[own], kind="stable")[: max(0, count)]]


def filtered_per_class(
    clean: NDArray[np.floating],
    info: NDArray[np.floating],
    predicted: NDArray[np.integer],
    known: int,
    first: int,
    budget: int,
) -> IntArray:
    """(min(budget, N),) ascending rows.

    Of every class 0..known-1 the ``first`` cleanest, of these the ceil(budget / known) most
    informative. Too many: the least informative are left out. Too few: the cleanest of all others.
    The released codes of EAOA and E2OAL cut at random, and end early or fail where a class is
    short.

    Args:
        clean, info: (N,) higher = more so.
        predicted: (N,) class; items of no known class only fill.
        known: K >= 1.
        first: >= 0.
        budget: >= 0.
    """
    pure, telling = np.asarray(clean, np.float64), np.asarray(info, np.float64)
    place = np.asarray(predicted).astype(np.int64).reshape(-1)
    each = -(-budget // known)
    parts = [np.zeros(0, np.int64)]
    for number in range(known):
        cleanest = np.sort(highest(pure, first, np.flatnonzero(place == number)))
        parts.append(highest(telling, each, cleanest))
    chosen = np.sort(np.concatenate(parts))
    if len(chosen) > budget:
        return np.sort(highest(telling, budget, chosen))
    rest = np.setdiff1d(np.arange(len(pure)), chosen)
    more = highest(pure, budget - len(chosen), rest)
    return np.sort(np.concatenate([chosen, more]))
