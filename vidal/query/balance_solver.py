"""The class-balanced query of Eq. 4.8 of the thesis, solved with a certificate.

Bengar et al., "Class-Balanced Active Learning for Image Classification", WACV 2022 (chapter 4 of
the thesis): of N items choose B that minimise ``costs . z + lam * d(target - probs' z)``. The
distance d is the L1 norm; L2 and, over ordered classes, Wasserstein-1 are the thesis's outlook.

A solution rests on the dual of the linear relaxation. For every price y that the dual norm allows
(L1: no entry beyond lam; L2: no longer than lam)

    y . target + the sum of the B smallest entries of (costs - probs y)

is a lower bound. Prices come from a sample; then from the exact relaxation on a band of items
around the threshold, all others being fixed by their reduced costs. The band grows until the bound
certifies the relaxation: one of fixed width can cycle. At a vertex at most K + 1 entries are
fractional; the items with the largest are kept, and then exchanged as long as that helps. Branch
and bound on the items that reduced costs leave open improves choice and bound.

Where items exclude each other (frames within a gap), a choice is an independent set of an interval
graph. Its constraints and the budget are consecutive ones, so the least sum for given prices is the
best over one multiplier of a dynamic programme, and the bound is that of the relaxation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.query.balance_branching import branched
from vidal.query.balance_exchange import best_of_all, countable, exchanged
from vidal.query.balance_pairs import exchanged_twice, size_of
from vidal.query.balance_problem import (
    Certificate,
    Distance,
    Problem,
    bound_at,
    most_apart,
    taken_apart,
    within,
)
from vidal.query.balance_relaxation import Relaxed, relaxed
from vidal.types import IntArray, ScoreArray

CERTIFIED = 1e-5
"""Relative gap between bound and relaxation at which prices are good enough."""
_SAMPLE = 3_000
_NARROWER = 8
_ROUNDS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A choice and its certificate: ``bound <= optimum <= value``.

    Attributes:
        positions: (B,) int64, ascending.
        value: of the objective.
        bound: certified lower bound of the optimum.
        prices: (K,) float64: what one object more of a class is worth, in the unit of the costs.
        size: the absolute value of the costs' sum, and lambda times the distance, together; > 0.
    """

    positions: IntArray
    value: float
    bound: float
    prices: ScoreArray
    size: float

    @property
    def gap(self) -> float:
        """``value - bound``, in the unit of the costs; 0 = proven best."""
        return self.value - self.bound

    @property
    def relative_gap(self) -> float:
        """The gap as a share of the two terms' sizes.

        Their sum may be close to 0 where costs are negative, and is no scale then.
        """
        return self.gap / self.size

    def times(self, unit: float) -> Solution:
        """The same where costs and lambda are ``unit`` times as large."""
        value, bound, size = (unit * each for each in (self.value, self.bound, self.size))
        return Solution(self.positions, value, bound, unit * self.prices, size)


def solve(
    costs: NDArray[Any],
    probs: NDArray[Any],
    target: NDArray[Any],
    lam: float,
    budget: int,
    *,
    kind: Distance = "l1",
    ranges: IntArray | None = None,
    thorough: bool = True,
) -> Solution:
    """The class-balanced query (thesis Eq. 4.8) with a certified bound.

    Args:
        costs: (N,) of asking for each item; lower = rather.
        probs: (N, K) >= 0, what an item is expected to bring of each class; rows need not sum to 1.
        target: (K,) what the query should bring.
        lam: >= 0, what an object too few or too many costs, in the unit of ``costs``.
        budget: items to choose; fewer where there are not as many.
        kind: the distance: ``l1``, ``l2`` or ``w1``.
        ranges: (N, 2) half-open ranges of positions that a pick takes away; see ``Problem``.
        thorough: branch where the bound is not near; up to two seconds more.

    Returns:
        The exact optimum where there are few choices (always up to 12 items); else what the bound
        certifies to within ``Solution.relative_gap``. The same input gives the same positions.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, a negative ``lam`` or
            budget, an unknown ``kind``.
    """
    problem = _problem(costs, probs, target, lam, budget, kind, ranges)
    # The solvers' tolerances are absolute. A power of two changes no digit.
    largest = float(np.abs(problem.costs).max(initial=0.0)) or problem.lam
    unit = 2.0 ** math.frexp(largest)[1]
    scaled = replace(problem, costs=problem.costs / unit, lam=problem.lam / unit)
    return _solved(scaled, thorough).times(unit)


def _solved(problem: Problem, thorough: bool) -> Solution:
    everything = np.arange(len(problem))
    if countable(len(problem), problem.budget):
        best = best_of_all(problem, everything[:0], everything, problem.budget)
        if best is not None:
            return _solution(problem, best, np.inf, np.zeros(len(problem.target)))
    if problem.ranges is None and (problem.lam == 0 or not len(problem.target)):
        plain = bound_at(problem, np.zeros(len(problem.target)))
        return _finished(problem, plain, None, thorough=False)
    return _certified(problem, thorough)


def _solution(problem: Problem, positions: IntArray, bound: float, prices: ScoreArray) -> Solution:
    value = problem.value(positions)
    return Solution(positions, value, min(bound, value), prices, size_of(problem, positions))


def _problem(
    costs: NDArray[Any],
    probs: NDArray[Any],
    target: NDArray[Any],
    lam: float,
    budget: int,
    kind: Distance,
    ranges: IntArray | None,
) -> Problem:
    u, p, omega = (np.asarray(values, np.float64) for values in (costs, probs, target))
    if u.ndim != 1 or p.shape != (len(u), len(omega)) or omega.ndim != 1:
        raise ValueError(f"costs {u.shape}, probs {p.shape} and target {omega.shape} do not fit")
    if not all(np.isfinite(values).all() for values in (u, p, omega)):
        raise ValueError("costs, probs or target: not finite")
    if not (np.isfinite(lam) and lam >= 0) or budget < 0:
        raise ValueError(f"lam {lam} or budget {budget}: negative or not finite")
    if kind not in ("l1", "l2", "w1"):
        raise ValueError(f"kind {kind!r}: neither l1, l2 nor w1")
    if kind == "w1":
        p, omega = np.cumsum(p, axis=1), np.cumsum(omega)
    fit = len(u) if ranges is None else len(most_apart(ranges))
    return Problem(u, p, omega, float(lam), min(int(budget), fit), kind == "l2", ranges)


def _certified(problem: Problem, thorough: bool) -> Solution:
    """Prices from a sample, then from bands that grow until the bound certifies them."""
    best = _refined(problem, bound_at(problem, _sampled(problem)))
    width = max(2_000, 4 * len(problem.target))
    weights: ScoreArray | None = None
    upper = np.inf
    for _ in range(_ROUNDS):
        found, values = _band(problem, best, min(width, len(problem)))
        if found.value < upper:
            upper, weights = found.value, values
        now = bound_at(problem, found.prices)
        if now.bound <= best.bound:
            # Prices of too narrow a band are extreme; the bound is concave in them.
            now = bound_at(problem, 0.75 * best.prices + 0.25 * now.prices)
        if now.bound > best.bound:
            best = now
        close = CERTIFIED * max(1e-9, abs(upper))
        if upper - best.bound <= close or width >= len(problem):
            break
        width *= 2
    return _finished(problem, best, weights, thorough=thorough)


def _sampled(problem: Problem) -> ScoreArray:
    """(K,) prices of a sample in which every item stands for several."""
    count = len(problem)
    size = min(max(_SAMPLE, count // 80), 4 * _SAMPLE)
    if count <= size:
        return np.zeros(len(problem.target))
    rows = np.sort(np.random.default_rng(0).choice(count, size, replace=False))
    part = replace(problem, costs=problem.costs[rows], probs=problem.probs[rows], ranges=None)
    return relaxed(part, copies=count / size).prices


def _refined(problem: Problem, known: Certificate) -> Certificate:
    """Better prices from samples of ever narrower bands around the threshold.

    The first sample has few items near the threshold where there are very many items; an exact band
    would have to be as wide as its prices are wrong.
    """
    width = len(problem) // _NARROWER
    while problem.ranges is None and not problem.euclidean and width > 8 * _SAMPLE:
        excess = known.reduced - known.threshold
        fixed = excess < 0
        band = _nearest(np.abs(excess), max(width, 2 * (problem.budget - int(fixed.sum()))))
        fixed[band] = False
        picked = band[np.sort(np.random.default_rng(1).choice(len(band), 4 * _SAMPLE, False))]
        part = replace(
            problem,
            costs=problem.costs[picked],
            probs=problem.probs[picked],
            target=problem.residual(np.flatnonzero(fixed)),
            budget=problem.budget - int(fixed.sum()),
        )
        now = bound_at(problem, relaxed(part, copies=len(band) / len(picked)).prices)
        if now.bound > known.bound:
            known = now
        width //= _NARROWER
    return known


def _band(problem: Problem, known: Certificate, width: int) -> tuple[Relaxed, ScoreArray]:
    """The relaxation with all items but the nearest to the threshold fixed; and its (N,) values.

    Items that exclude each other are fixed on the dear side only.
    """
    excess = known.reduced - known.threshold
    weights = np.zeros(len(problem))
    if problem.ranges is None:
        weights[excess < 0] = 1.0
        missing = problem.budget - int(weights.sum())
        band = _nearest(np.abs(excess), max(width, 2 * missing))
    else:
        band = _nearest(excess, max(width, 4 * problem.budget))
        band = np.union1d(band, _filled(problem, band[:0], known.reduced))
    weights[band] = 0.0
    fixed = np.flatnonzero(weights)
    part = replace(
        problem,
        costs=problem.costs[band],
        probs=problem.probs[band],
        target=problem.residual(fixed),
        budget=problem.budget - len(fixed),
        ranges=None if problem.ranges is None else within(problem.ranges, band),
    )
    found = relaxed(part)
    weights[band] = found.weights
    return replace(found, value=found.value + float(problem.costs[fixed].sum())), weights


def _nearest(distance: ScoreArray, width: int) -> IntArray:
    if width >= len(distance):
        return np.arange(len(distance))
    return np.sort(np.argpartition(distance, width)[:width])


def _finished(
    problem: Problem, known: Certificate, weights: ScoreArray | None, *, thorough: bool
) -> Solution:
    """Round the relaxation's weights, exchange, and prove what can be proven."""
    order = _preference(known.reduced, weights)
    if problem.ranges is None:
        chosen = np.sort(order[: problem.budget])
    else:
        chosen = np.sort(_filled(problem, order, known.reduced))
    if problem.ranges is not None or (problem.lam and len(problem.target)):
        chosen = exchanged(problem, chosen, known)
        chosen, known = _proven(problem, chosen, known)
        if thorough and problem.ranges is None:
            chosen = exchanged_twice(problem, chosen, known)
        if thorough:
            chosen, known = branched(problem, chosen, known)
    return _solution(problem, chosen, known.bound, known.prices)


def _preference(reduced: ScoreArray, weights: ScoreArray | None) -> IntArray:
    """Positions by falling weight, then rising reduced cost, then rising position."""
    if weights is None:
        return np.argsort(reduced, kind="stable")
    return np.lexsort((reduced, -np.round(weights, 9)))


def _filled(problem: Problem, order: IntArray, reduced: ScoreArray) -> IntArray:
    """As many of the order as are asked for, none in another's range."""
    assert problem.ranges is not None
    taken = taken_apart(order, problem.ranges, problem.budget)
    if len(taken) == problem.budget:
        return taken
    most = most_apart(problem.ranges)
    return most[np.argsort(reduced[most], kind="stable")[: problem.budget]]


def _proven(problem: Problem, chosen: IntArray, known: Certificate) -> tuple[IntArray, Certificate]:
    """The optimum, where reduced costs leave few choices that could be better."""
    if problem.ranges is not None:
        return chosen, known
    gap = problem.value(chosen) - known.bound
    excess = known.reduced - known.threshold
    free = np.flatnonzero(np.abs(excess) <= gap + 1e-12)
    fixed = np.flatnonzero(excess < -gap - 1e-12)
    if not countable(len(free), problem.budget - len(fixed)):
        return chosen, known
    best = best_of_all(problem, fixed, free, problem.budget - len(fixed))
    if best is None:
        return chosen, known
    value = problem.value(best)
    return best, replace(known, bound=value)
