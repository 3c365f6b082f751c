"""The linear relaxation of a class-balanced query: weights in [0, 1] instead of a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vidal.query.balance_problem import Problem, apart, bound_at
from vidal.types import ScoreArray

_STEPS = 600
_STEPS_APART = 120
"""Each step is a search of its own where items exclude each other."""
_PATIENCE = 12
_LARGE = 1e6
"""Lambda, in units of the largest cost, that the simplex method always takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Relaxed:
    """A solution of the relaxation.

    Attributes:
        weights: (N,) float64 in [0, copies].
        prices: (K,) float64 of the target.
        value: of the objective at these weights.
    """

    weights: ScoreArray
    prices: ScoreArray
    value: float


def relaxed(problem: Problem, *, copies: float = 1.0) -> Relaxed:
    """Weights in [0, copies] that sum to the budget, and the prices that go with them.

    L1: exact, by the dual simplex method of HiGHS (Huangfu and Hall, "Parallelizing the dual
    revised simplex method", 2018). L2: prices by the subgradient method with a target level
    (Goffin and Kiwiel, "Convergence of a simple subgradient level method", 1999); the weights are
    a choice of the cheapest at these prices.
    """
    return _euclidean(problem, copies) if problem.euclidean else _linear(problem, copies)


def _linear(problem: Problem, copies: float) -> Relaxed:
    from scipy.optimize import linprog

    rows = linear_rows(problem, copies)
    # A lambda far above the costs is beyond what the method can take, if not always.
    for unit in (1.0, max(1.0, problem.lam / _LARGE), max(1.0, problem.lam)):
        found = linprog(
            rows.costs / unit,
            A_eq=rows.equal,
            b_eq=rows.right,
            A_ub=rows.less,
            b_ub=None if rows.less is None else np.ones(rows.less.shape[0]),
            bounds=np.stack([np.zeros_like(rows.upper), rows.upper], axis=1),
            method="highs-ds",
        )
        if found.success:
            n, k = problem.probs.shape
            prices = unit * found.eqlin.marginals[:k]
            return Relaxed(found.x[:n], prices, float(unit * found.fun))
    raise ArithmeticError(f"the relaxation was not solved: {found.message}")


@dataclass(frozen=True, slots=True, eq=False)
class LinearRows:
    """The relaxation as a linear programme: N weights, then what is over and under the target.

    Attributes:
        costs: (N + 2 K,) float64.
        equal, right: sparse (K + 1, N + 2 K) and (K + 1,): the classes, and the budget.
        less: sparse, at most 1: sets of items that exclude each other; None without.
        upper: (N + 2 K,) upper bounds; the lower ones are 0.
    """

    costs: ScoreArray
    equal: Any
    right: ScoreArray
    less: Any
    upper: ScoreArray


def linear_rows(problem: Problem, copies: float = 1.0) -> LinearRows:
    """Of a problem with the L1 norm."""
    from scipy.sparse import csr_array

    n, k = problem.probs.shape
    equal = np.zeros((k + 1, n + 2 * k))
    equal[:k, :n] = problem.probs.T
    equal[:k, n : n + k] = np.eye(k)
    equal[:k, n + k :] = -np.eye(k)
    equal[k, :n] = 1.0
    upper = np.full(n + 2 * k, np.inf)
    upper[:n] = copies
    return LinearRows(
        costs=np.concatenate([problem.costs, np.full(2 * k, problem.lam)]),
        equal=csr_array(equal),
        right=np.append(problem.target, problem.budget),
        less=None if problem.ranges is None else _windows(problem, n + 2 * k),
        upper=upper,
    )


def _windows(problem: Problem, columns: int) -> Any:
    """One row for every largest set of items that exclude each other all."""
    from scipy.sparse import csr_array

    assert problem.ranges is not None
    last = problem.ranges[:, 1]
    first = np.flatnonzero(np.diff(last, prepend=-1) > 0)
    first = first[last[first] - first > 1]
    lengths = last[first] - first
    ends = np.cumsum(lengths)
    inside = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
    where = np.repeat(first, lengths) + inside
    starts = np.concatenate([[0], ends])
    return csr_array((np.ones(len(where)), where, starts), shape=(len(first), columns))


def _euclidean(problem: Problem, copies: float) -> Relaxed:
    """Prices by steps towards a level between the best bound and what a choice is worth."""
    prices = start = np.zeros(len(problem.target))
    best, upper, level, idle = -np.inf, np.inf, np.inf, 0
    weights = np.zeros(len(problem))
    for _ in range(_STEPS if problem.ranges is None else _STEPS_APART):
        bound, chosen = _cheapest(problem, prices, copies)
        slope = problem.target - chosen @ problem.probs
        value = float(problem.costs @ chosen) + problem.lam * float(problem.norm(slope))
        if value < upper:
            upper, weights = value, chosen
        if bound > best:
            idle = 0 if bound > best + level / 2 else idle + 1
            best, start = bound, prices
        else:
            idle += 1
        level = min(level, (upper - best) / 2)
        if idle >= _PATIENCE:
            idle, level, prices = 0, level / 2, start
            bound, chosen = _cheapest(problem, prices, copies)
            slope = problem.target - chosen @ problem.probs
        length = float(slope @ slope)
        if level <= 1e-9 * max(1.0, abs(upper)) or length == 0:
            break
        prices = problem.feasible(prices + (best + level - bound) / length * slope)
    return Relaxed(weights, start, upper)


def _cheapest(problem: Problem, prices: ScoreArray, copies: float) -> tuple[float, ScoreArray]:
    """The dual bound at these prices, and the weights that it is reached with."""
    if problem.ranges is not None:
        known = bound_at(problem, prices)
        order = apart(known.reduced - known.threshold - 1e-12, problem.ranges)
        weights = np.zeros(len(problem))
        weights[order] = 1.0
        return known.bound, weights
    reduced = problem.reduced(prices)
    whole, part = divmod(problem.budget / copies, 1.0)
    count = int(whole) + (part > 0)
    order = np.argpartition(reduced, min(count, len(reduced)) - 1)[:count]
    weights = np.zeros(len(problem))
    weights[order] = copies
    if part > 0:
        weights[order[np.argmax(reduced[order])]] = copies * part
    return float(prices @ problem.target + reduced @ weights), weights
