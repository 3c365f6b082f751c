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
NEAR = 2e-5
"""Relative gap at which nothing more is tried."""
_TURNS = 6
_HALF = 300
_DRAWN = 1_500


def countable(items: int, budget: int) -> bool:
    """Whether there are few enough choices to look at them all."""
    if min(budget, items - budget) > 20 or budget > items:
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
    costs = problem.costs[choices].sum(axis=1)
    left = problem.residual(fixed) - problem.probs[choices].sum(axis=1)
    values = costs + problem.lam * problem.norm(left)
    scale = max(1.0, float(np.abs(values).max()))
    best = choices[np.flatnonzero(values <= values.min() + _TIE * scale)[0]]
    return np.sort(np.concatenate([fixed, best]))


def _stand_apart(choices: IntArray, fixed: IntArray, ranges: IntArray) -> NDArray[np.bool_]:
    mine = np.zeros(len(ranges), np.bool_)
    mine[fixed] = True
    free = (blockers(mine, ranges) == 0)[choices].all(axis=1)
    if choices.shape[1] > 1:
        free &= (choices[:, 1:] >= ranges[choices[:, :-1], 1]).all(axis=1)
    return np.asarray(free)


def exchanged(problem: Problem, positions: IntArray, known: Certificate) -> IntArray:
    """The positions after exchanges of one item for another, then of two for two, while it helps.

    Only items whose reduced cost is nearer to the threshold than the gap can be in a better choice
    on the wrong side of it; of these the nearest are tried. Two for two are tried where the bound
    is not near after that, among some exchanges drawn with a fixed seed.
    """
    chosen = np.zeros(len(problem), np.bool_)
    chosen[positions] = True
    for turn in range(1 + _TURNS):
        positions = _pairs(problem, chosen, known)
        value = problem.value(positions)
        if value - known.bound <= NEAR * abs(value) or problem.ranges is not None:
            break
        if turn == _TURNS or not _two_for_two(problem, chosen, known, turn):
            break
    return positions


def _two_for_two(
    problem: Problem, chosen: NDArray[np.bool_], known: Certificate, turn: int
) -> bool:
    """Make the best exchange of two items for two that is found; whether one helps."""
    left = problem.residual(np.flatnonzero(chosen))
    gap = problem.value(np.flatnonzero(chosen)) - known.bound
    inside, outside = _window(chosen, known, gap, _HALF)
    loss = known.reduced[outside][None, :] - known.reduced[inside][:, None]
    cells = np.flatnonzero(loss <= gap)
    if len(cells) > _DRAWN:
        cells = np.sort(np.random.default_rng(turn).choice(cells, _DRAWN, replace=False))
    if not len(cells):
        return False
    out, into = inside[cells // len(outside)], outside[cells % len(outside)]
    moved = problem.probs[out] - problem.probs[into]
    paid = problem.costs[into] - problem.costs[out]
    best, pair = -_TIE * max(1.0, problem.lam), (-1, -1)
    before = problem.lam * float(problem.norm(left))
    step = max(1, _CELLS // (len(cells) * max(1, len(left))))
    for at in range(0, len(cells), step):
        some = slice(at, at + step)
        after = problem.norm((left + moved[some])[:, None, :] + moved[None, :, :])
        change = paid[some][:, None] + paid[None, :] + problem.lam * after - before
        same = (out[some][:, None] == out[None, :]) | (into[some][:, None] == into[None, :])
        change[same] = np.inf
        low = int(np.argmin(change))
        if change.flat[low] < best:
            best, pair = float(change.flat[low]), (at + low // len(cells), low % len(cells))
    if pair[0] < 0:
        return False
    chosen[out[list(pair)]], chosen[into[list(pair)]] = False, True
    return True


def _pairs(problem: Problem, chosen: NDArray[np.bool_], known: Certificate) -> IntArray:
    """Exchange one for one, in place, as long as the value falls; the positions then."""
    gap = problem.value(np.flatnonzero(chosen)) - known.bound
    half = max(8, int(math.sqrt(_CELLS / max(1, len(problem.target)))))
    window = _window(chosen, known, gap, half)
    return _descend(problem, chosen, *window, 40 + 4 * len(problem.target))


def _window(
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
