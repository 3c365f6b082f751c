"""Branch and bound on the few items of a class-balanced query that reduced costs leave open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vidal.query.balance_exchange import window
from vidal.query.balance_pairs import near
from vidal.query.balance_problem import Certificate, Problem, blockers, within
from vidal.query.balance_relaxation import linear_rows
from vidal.types import BoolArray, IntArray

_ITEMS = 400
_NODES = 300
_OPTIMAL, _LIMIT = 0, 1
"""Of SciPy's status codes."""


def branched(
    problem: Problem, positions: IntArray, known: Certificate
) -> tuple[IntArray, Certificate]:
    """A better choice and a better bound, by HiGHS, with a fixed number of nodes.

    Items whose reduced cost is farther from the threshold than the gap are fixed: they are the same
    in every better choice. Where more than ``_ITEMS`` are left nothing is done: so few nodes find
    nothing there. Where items exclude each other, all but the nearest stay as they are in
    ``positions``, and the bound is the old one.
    """
    gap = problem.value(positions) - known.bound
    if problem.euclidean or near(problem, positions, known.bound):
        return positions, known
    chosen = np.zeros(len(problem), np.bool_)
    chosen[positions] = True
    gap = np.inf if problem.ranges is not None else gap + 1e-12
    free = np.sort(np.concatenate(window(chosen, known, gap, len(problem))))
    whole = problem.ranges is None and len(free) <= _ITEMS
    if problem.ranges is None and not whole:
        return positions, known
    if len(free) > _ITEMS:
        free = np.sort(np.concatenate(window(chosen, known, gap, _ITEMS // 2)))
    found, bound = _solved(problem, chosen, free)
    if whole:
        known = replace(known, bound=max(known.bound, bound))
    if found is None or problem.value(found) >= problem.value(positions):
        return positions, known
    return found, known


def _solved(problem: Problem, chosen: BoolArray, free: IntArray) -> tuple[IntArray | None, float]:
    """The best choice that is found with all other items as they are, and a bound of these."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    others = chosen.copy()
    others[free] = False
    fixed = np.flatnonzero(others)
    if problem.ranges is not None:
        free = free[blockers(others, problem.ranges)[free] == 0]
    part = replace(
        problem,
        costs=problem.costs[free],
        probs=problem.probs[free],
        target=problem.residual(fixed),
        budget=problem.budget - len(fixed),
        ranges=None if problem.ranges is None else within(problem.ranges, free),
    )
    rows = linear_rows(part)
    limits = [LinearConstraint(rows.equal, rows.right, rows.right)]
    if rows.less is not None and rows.less.shape[0]:
        limits.append(LinearConstraint(rows.less, -np.inf, 1.0))
    whole = np.zeros(len(rows.costs))
    whole[: len(free)] = 1
    found = milp(
        rows.costs,
        constraints=limits,
        integrality=whole,
        bounds=Bounds(0, rows.upper),
        options={"node_limit": _NODES, "mip_rel_gap": 1e-7},
    )
    paid = float(problem.costs[fixed].sum())
    if found.status not in (_OPTIMAL, _LIMIT):  # its bound, if any, proves nothing
        return None, -np.inf
    bound = -np.inf if found.mip_dual_bound is None else float(found.mip_dual_bound) + paid
    if found.x is None:
        return None, bound
    taken = free[found.x[: len(free)] > 0.5]
    if len(taken) != part.budget:
        return None, bound
    return np.sort(np.concatenate([fixed, taken])), bound
