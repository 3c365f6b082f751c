"""The last steps of a class-balanced query: all choices of a few items, or exchanges of pairs."""

from __future__ import annotations

import math
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

from vidal.query.balance_problem import Certificate, Problem, blockers
from vidal.types import IntArray, ScoreArray

MOST_CHOICES = 20_000
"""Choices that are looked at one by one."""
_CELLS = 3_000_000
_TIE = 1e-12


def countable(items: int, budget: int) -> bool:
    """Whether there are few enough choices to look at them all."""
    if min(budget, items - budget) > 20 or not 0 <= budget <= items:
        return False
    return math.comb(items, budget) <= MOST_CHOICES


def best_of_all(problem: Problem, fixed: IntArray, free: IntArray, budget: int) -> IntArray | None:
    """The best choice of ``fixed`` and ``budget`` items of ``free``, ascending; None = none fits.

    Of equals the first in the order of positions.
    """
    count = math.comb(len(free), budget)
    flat = np.fromiter(chain.from_iterable(combinations(free.tolist(), budget)), np.int64)
    choices = flat.reshape(count, budget)
    if problem.ranges is not None:
        choices = choices[_stand_apart(choices, fixed, problem.ranges)]
    if not len(choices):
        return None
    start, brings = problem.residual(fixed), problem.probs[choices]
    far = _without_rounding(
        problem.norm(start - brings.sum(axis=1)),
        float(np.abs(start).sum() + np.abs(brings).sum(axis=(1, 2)).max()),
    )
    best = choices[_first_of_least(problem.costs[choices], far, problem.lam)]
    return np.sort(np.concatenate([fixed, best]))


def _without_rounding(distances: ScoreArray, size: float) -> ScoreArray:
    """Those that differ by rounding alone made equal: a large lambda would make much of it.

    ``size`` is the sum of the terms that a distance comes from.
    """
    order = np.argsort(distances, kind="stable")
    ordered = distances[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-np.inf) > _TIE * size)
    lengths = np.diff(np.append(starts, len(order)))
    result = np.empty_like(distances)
    result[order] = np.repeat(ordered[starts], lengths)
    return result


def _first_of_least(costs: NDArray[np.float64], distances: ScoreArray, lam: float) -> int:
    """The first of the least ``costs summed + lam distances``; (n, b) and (n,).

    Compared by differences from one that is nearly the least, so that neither a large lambda nor
    large costs of other choices hide what is small.
    """
    total = costs.sum(axis=1)
    one = int(np.argmin(total + lam * distances))
    for _ in range(2):
        change = total - total[one] + lam * (distances - distances[one])
        one = int(np.argmin(change))
    change = total - total[one] + lam * (distances - distances[one])
    terms = np.abs(costs).sum(axis=1) + np.abs(costs[one]).sum()
    terms += lam * np.abs(distances - distances[one])
    return int(np.flatnonzero(change <= _TIE * terms)[0])


def _stand_apart(choices: IntArray, fixed: IntArray, ranges: IntArray) -> NDArray[np.bool_]:
    mine = np.zeros(len(ranges), np.bool_)
    mine[fixed] = True
    free = (blockers(mine, ranges) == 0)[choices].all(axis=1)
    if choices.shape[1] > 1:
        free &= (choices[:, 1:] >= ranges[choices[:, :-1], 1]).all(axis=1)
    return np.asarray(free)


def exchanged(problem: Problem, positions: IntArray, known: Certificate) -> IntArray:
    """The positions after exchanges of one item for another, as long as the value falls.

    Only items whose reduced cost is nearer to the threshold than the gap can be in a better choice
    on the wrong side of it; of these the nearest are tried. Where items exclude each other, any.
    """
    chosen = np.zeros(len(problem), np.bool_)
    chosen[positions] = True
    gap = np.inf if problem.ranges is not None else problem.value(positions) - known.bound
    half = max(8, int(math.sqrt(_CELLS / max(1, len(problem.target)))))
    inside, outside = window(chosen, known, gap, half)
    return _descend(problem, chosen, inside, outside, 40 + 4 * len(problem.target))


def window(
    chosen: NDArray[np.bool_], known: Certificate, gap: float, half: int
) -> tuple[IntArray, IntArray]:
    """Chosen and other items that a better choice may have on the other side; ``half`` each."""
    near = []
    for rows, sign in ((np.flatnonzero(chosen), -1.0), (np.flatnonzero(~chosen), 1.0)):
        excess = sign * (known.reduced[rows] - known.threshold)
        rows, excess = rows[excess <= gap], excess[excess <= gap]
        if len(rows) > half:
            rows = rows[np.argpartition(excess, half)[:half]]
        near.append(np.sort(rows))
    return near[0], near[1]


def _descend(
    problem: Problem, chosen: NDArray[np.bool_], inside: IntArray, outside: IntArray, limit: int
) -> IntArray:
    left = problem.residual(np.flatnonzero(chosen))
    scale = max(1.0, float(np.abs(problem.costs).max(initial=0.0)), problem.lam)
    for _ in range(limit):
        if not (len(inside) and len(outside)):
            break
        change = _changes(problem, chosen, left, inside, outside)
        at = int(np.argmin(change))
        if not change.flat[at] < -_TIE * scale:
            break
        a, b = divmod(at, len(outside))
        out, into = inside[a], outside[b]
        chosen[out], chosen[into] = False, True
        left = left + problem.probs[out] - problem.probs[into]
        inside[a], outside[b] = into, out
    return np.flatnonzero(chosen)


def _changes(
    problem: Problem,
    chosen: NDArray[np.bool_],
    left: ScoreArray,
    inside: IntArray,
    outside: IntArray,
) -> NDArray[np.float64]:
    """(inside, outside) what each exchange adds to the value; infinite where it is not allowed."""
    freed = left + problem.probs[inside]
    after = problem.norm(freed[:, None, :] - problem.probs[outside][None, :, :])
    change = problem.costs[outside][None, :] - problem.costs[inside][:, None]
    change += problem.lam * (after - float(problem.norm(left)))
    if problem.ranges is not None:
        first, last = problem.ranges[outside, 0], problem.ranges[outside, 1]
        by = blockers(chosen, problem.ranges)[outside]
        own = (inside[:, None] >= first) & (inside[:, None] < last)
        change[by[None, :] > own] = np.inf
    return np.asarray(change)
