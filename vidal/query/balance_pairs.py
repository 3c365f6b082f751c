"""Exchanges of two items at once, and a search that starts again near the best choice.

Where a large lambda asks for all targets to be met closely, an exchange of one item for another
leaves a rest that no further one makes smaller; two at once mostly do, because there are a million
pairs of a thousand exchanges. Of exchanges the cheapest by reduced cost are tried. From the best
choice the search goes on after a few exchanges drawn at random (iterated local search: Lourenço,
Martin and Stützle, in "Handbook of Metaheuristics", 2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from vidal.query.balance_exchange import window
from vidal.query.balance_problem import Certificate, Problem
from vidal.types import BoolArray, IntArray, ScoreArray

NEAR = 2e-5
"""Gap, as a share of the sizes of the two terms, below which nothing more is tried."""
_INSIDE, _OUTSIDE = 100, 300
"""Items on either side of the threshold that exchanges are made of."""
_EXCHANGES = 1_000
_KICKS, _IDLE = 120, 50
"""Kicks at most, and in a row without a better choice."""
_KICK, _FROM = 4, 400
"""Exchanges of a kick, and of how many of the cheapest they are drawn."""
_STEPS = 40
_TIE = 1e-12


def size_of(problem: Problem, positions: IntArray) -> float:
    """The absolute value of the costs' sum, and lambda times the distance, together; > 0."""
    costs = float(problem.costs[positions].sum())
    return max(1e-12, abs(costs) + problem.value(positions) - costs)


def near(problem: Problem, positions: IntArray, bound: float) -> bool:
    """Whether the bound leaves too little to search for."""
    return problem.value(positions) - bound <= NEAR * size_of(problem, positions)


def exchanged_twice(problem: Problem, positions: IntArray, known: Certificate) -> IntArray:
    """The positions (ascending) after exchanges of one or two items; never worse.

    Args:
        problem: without items that exclude each other.
        positions: (B,) a choice.
        known: the bound and the reduced costs of its prices.
    """
    rng = np.random.default_rng(0)
    best = _descend(problem, positions, known)
    value, idle = problem.value(best), 0
    for _ in range(_KICKS):
        if idle == _IDLE or near(problem, best, known.bound):
            break
        idle += 1
        other = _descend(problem, _kicked(problem, best, known, rng), known)
        if (found := problem.value(other)) < value - _TIE * abs(value):
            best, value, idle = other, found, 0
    return best


@dataclass(frozen=True, slots=True, eq=False)
class _Exchanges:
    """The M cheapest by reduced cost.

    Attributes:
        out, into: (M,) positions that leave the choice and come into it.
        costs: (M,) what that adds to the costs.
        brings: (M, K) what that adds to what is left of the target.
    """

    out: IntArray
    into: IntArray
    costs: ScoreArray
    brings: ScoreArray


def _exchanges(problem: Problem, chosen: BoolArray, known: Certificate) -> _Exchanges:
    inside, outside = window(chosen, known, np.inf, max(_INSIDE, _OUTSIDE))
    reduced = known.reduced
    inside = inside[np.argsort(-reduced[inside], kind="stable")[:_INSIDE]]
    outside = outside[np.argsort(reduced[outside], kind="stable")[:_OUTSIDE]]
    dearer = (reduced[outside][None] - reduced[inside][:, None]).ravel()
    cheapest = np.argsort(dearer, kind="stable")[:_EXCHANGES]
    a, b = np.divmod(cheapest, max(1, len(outside)))
    out, into = inside[a], outside[b]
    return _Exchanges(
        out,
        into,
        problem.costs[into] - problem.costs[out],
        problem.probs[out] - problem.probs[into],
    )


def _descend(problem: Problem, positions: IntArray, known: Certificate) -> IntArray:
    """The best exchange of one or two items, again and again, as long as the value falls."""
    chosen = np.zeros(len(problem), np.bool_)
    chosen[positions] = True
    for _ in range(_STEPS):
        left = problem.residual(np.flatnonzero(chosen))
        tried = _exchanges(problem, chosen, known)
        if not len(tried.costs):
            break
        at, change = _best(problem, left, tried)
        if not change < -_TIE * max(1.0, problem.lam, float(np.abs(tried.costs).max())):
            break
        chosen[tried.out[at]], chosen[tried.into[at]] = False, True
    return np.flatnonzero(chosen)


def _best(problem: Problem, left: ScoreArray, tried: _Exchanges) -> tuple[IntArray, float]:
    """Rows of the one or two exchanges that lower the value most, and by how much."""
    from scipy.spatial.distance import cdist

    after = left + tried.brings
    base = problem.lam * float(problem.norm(left))
    single = tried.costs + problem.lam * problem.norm(after) - base
    one = int(np.argmin(single))
    metric = "euclidean" if problem.euclidean else "cityblock"
    double = problem.lam * cdist(after, -tried.brings, metric)
    double += tried.costs[:, None] + tried.costs[None, :] - base
    double[tried.out[:, None] == tried.out[None, :]] = np.inf
    double[tried.into[:, None] == tried.into[None, :]] = np.inf
    two = int(np.argmin(double))
    if single[one] <= double.flat[two]:
        return np.array([one]), float(single[one])
    return np.array(divmod(two, len(single))), float(double.flat[two])


def _kicked(problem: Problem, positions: IntArray, known: Certificate, rng: Generator) -> IntArray:
    """The positions after a few cheap exchanges at random."""
    chosen = np.zeros(len(problem), np.bool_)
    chosen[positions] = True
    tried = _exchanges(problem, chosen, known)
    made = 0
    for row in rng.permutation(min(_FROM, len(tried.costs))).tolist():
        if chosen[tried.out[row]] and not chosen[tried.into[row]]:
            chosen[tried.out[row]], chosen[tried.into[row]] = False, True
            made += 1
        if made == _KICK:
            break
    return np.flatnonzero(chosen)
