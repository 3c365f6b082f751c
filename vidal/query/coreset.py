"""Robust k-center: the least radius that covers all items but a few outliers.

Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach",
ICLR 2018, section 4.2: a mixed-integer feasibility problem for every radius tried. Here the
assignment variables are left out, which changes no solution: an item is covered where a centre
lies within the radius, or it is let off. The radius is one of the distances between items, so the
search is over those and ends at the optimum; its lower end is 0, because half of the greedy radius
is a bound without outliers only. The released code lets nobody off, and bisects squared distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.query.farthest import Takes, farthest_first
from vidal.types import BoolArray, IntArray, ScoreArray

LARGEST = 10_000
"""Items above which the greedy choice with outliers let off takes the place of the optimum."""
_PAIRS = 4_000_000
"""The same for pairs of items within the greedy radius: what a solver is given."""
_FEW = 64
"""Items up to which the first of several best sets is found, and distances are exact."""
_NODES = 1000
"""Of the solver's search tree; a radius at which they do not decide counts as too small."""
_ROUNDING = 1e-12
"""Share by which squared distances may differ that are the same but for rounding."""
_BLOCK = 1024


def coreset_robust(
    pool: NDArray[Any], labelled: NDArray[Any], budget: int, outliers: int
) -> IntArray:
    """Positions that give the least covering radius with ``outliers`` items let off, ascending.

    Labelled items are centres too. Of several best sets the first in lexicographic order where
    there are at most 64 items, any of them where there are more. Above 10,000 items, or 4 million
    pairs of items within the greedy radius, the choice is greedy: farthest-first, passing over the
    ``outliers`` farthest items at every step. Such a set need not be the best.

    Args:
        pool: (N, D) finite.
        labelled: (M, D) finite, M may be 0.
        budget: ``min(budget, N)`` are chosen.
        outliers: >= 0 items of the pool that need not be covered.

    Raises:
        ValueError: shapes that do not belong together, values that are not finite, or a negative
            number of outliers.
    """
    pool, labelled = np.asarray(pool), np.asarray(labelled)
    budget = min(budget, len(pool))
    greedy = farthest_first(pool, labelled, budget, let_off=outliers)
    found = improved(pool, labelled, greedy, outliers, first=True)
    if found is None or len(pool) <= _FEW:
        return np.sort(greedy if found is None else found.rows)
    chosen = found.needed
    free = np.ones(len(pool), np.bool_)
    free[chosen] = False
    known = [*([labelled] if len(labelled) else []), pool[chosen]]
    more = farthest_first(
        pool, np.concatenate(known), budget - len(chosen), free=free, let_off=outliers
    )
    return np.sort(np.concatenate([chosen, more]))


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A set of rows, ascending, and those of them that its radius needs."""

    rows: IntArray
    needed: IntArray


def improved(
    points: NDArray[Any],
    centres: NDArray[Any],
    greedy: IntArray,
    outliers: int,
    *,
    takes: Takes | None = None,
    free: BoolArray | None = None,
    first: bool = False,
) -> Solved | None:
    """The best set of as many rows as a greedy one has; None where that is too much to solve.

    Args:
        points: (N, D).
        centres: (M, D).
        greedy: rows, a choice that is allowed; the result is not worse.
        outliers: >= 0 points that need not be covered.
        takes: rows that exclude each other (``away``); None = only themselves.
        free: (N,) bool, rows that may be chosen; None = all.
        first: of several best sets the first, where there are few points.
    """
    if not 0 < len(greedy) < len(points):
        return Solved(np.sort(greedy), np.sort(greedy))
    if len(points) > LARGEST:
        return None
    known = _to_nearest(points, centres)
    near = np.minimum(known, _to_nearest(points, np.asarray(points)[greedy]))
    radius = float(np.sort(near)[::-1][min(outliers, len(near) - 1)])
    if outliers >= len(near):
        radius = 0.0
    radius *= 1 + _ROUNDING
    pairs = _pairs(points, radius)
    if pairs is None:
        return None
    cover = _Cover(known, pairs, len(greedy), outliers, takes, free)
    return cover.best(radius, greedy, first=first and len(points) <= _FEW)


def _to_nearest(points: NDArray[Any], centres: NDArray[Any]) -> ScoreArray:
    """(N,) squared distances; infinite without centres."""
    result = np.full(len(points), np.inf)
    for at in range(0, len(centres), _BLOCK):
        result = np.minimum(result, _squares(points, centres[at : at + _BLOCK]).min(axis=1))
    return result


def _squares(a: NDArray[Any], b: NDArray[Any]) -> ScoreArray:
    """(n, m) squared distances: of few points by differences, so that ties are ties."""
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if len(left) <= _FEW:
        rows = [((right - row) ** 2).sum(axis=1) for row in left]
        return np.array(rows).reshape(len(left), len(right))
    middle = left.mean(axis=0)
    left, right = left - middle, right - middle
    product = -2.0 * left @ right.T
    product += (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)
    return np.maximum(product, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Pairs of points within a distance of each other, both ways round, and of each with itself."""

    item: IntArray
    centre: IntArray
    square: ScoreArray


def _pairs(points: NDArray[Any], square: float) -> _Pairs | None:
    """Those within a squared distance; None where they are too many."""
    parts: list[tuple[IntArray, IntArray, ScoreArray]] = []
    count = 0
    for at in range(0, len(points), _BLOCK):
        block = _squares(points[at : at + _BLOCK], points)
        rows = np.arange(len(block))
        block[rows, at + rows] = 0.0
        item, centre = np.nonzero(block <= square)
        parts.append((item + at, centre, block[item, centre]))
        count += len(item)
        if count > _PAIRS:
            return None
    item, centre, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return _Pairs(item, centre, values)


@dataclass(frozen=True, slots=True, eq=False)
class _Cover:
    """One problem: which points become centres.

    Attributes:
        known: (N,) squared distance of each point from the centres that are there already.
        pairs: within the radius of a solution that is known.
        budget: how many points become centres.
        outliers: how many points need not be covered.
        takes: rows that exclude each other.
        free: (N,) bool, rows that may become centres.
    """

    known: ScoreArray
    pairs: _Pairs
    budget: int
    outliers: int
    takes: Takes | None
    free: BoolArray | None

    def best(self, radius: float, greedy: IntArray, *, first: bool) -> Solved:
        """Rows of the least radius by bisection over all distances below ``radius``."""
        below = [self.pairs.square, self.known, np.zeros(1)]
        radii = np.unique(np.concatenate(below))
        radii = np.append(radii[radii < radius], radius)
        # Of those that rounding alone tells apart the largest stands for all.
        radii = radii[np.append(np.diff(radii) > _ROUNDING * radii[1:], True)]
        low, high, chosen = 0, len(radii) - 1, np.sort(greedy)
        while low < high:
            middle = (low + high) // 2
            found = self.solve(float(radii[middle]))
            if found is None:
                low = middle + 1
            else:
                chosen = found
                high = min(middle, int(np.searchsorted(radii, self.radius(found))))
        if first:
            chosen = self.first(float(radii[high]))
        return Solved(chosen, self.needed(float(radii[high]), chosen))

    def needed(self, square: float, rows: IntArray) -> IntArray:
        """Without those that change nothing at this squared radius, tried from the last on."""
        use = (self.pairs.square <= square) & np.isin(self.pairs.centre, rows)
        by_centre = np.argsort(self.pairs.centre[use], kind="stable")
        centre, item = self.pairs.centre[use][by_centre], self.pairs.item[use][by_centre]
        covers = np.bincount(item, minlength=len(self.known)) + (self.known <= square)
        spare = self.outliers - int((covers == 0).sum())
        kept = []
        for row in rows[::-1].tolist():
            mine = item[slice(*np.searchsorted(centre, [row, row + 1]))]
            alone = int((covers[mine] == 1).sum())
            if alone <= spare:
                spare -= alone
                covers[mine] -= 1
            else:
                kept.append(row)
        return np.array(kept[::-1], np.int64)

    def radius(self, rows: IntArray) -> float:
        """The squared radius that a solution has."""
        near, use = self.known.copy(), np.isin(self.pairs.centre, rows)
        np.minimum.at(near, self.pairs.item[use], self.pairs.square[use])
        return float(np.sort(near)[::-1][self.outliers]) if self.outliers < len(near) else 0.0

    def first(self, square: float) -> IntArray:
        """The first set in lexicographic order that covers at a radius at which some set does."""
        low, high = np.zeros(len(self.known)), np.ones(len(self.known))
        for row in range(len(low)):
            if low.sum() == self.budget:
                break
            low[row] = 1.0
            if self.solve(square, low, high) is None:
                low[row] = high[row] = 0.0
        return np.flatnonzero(low)

    def solve(
        self, square: float, low: ScoreArray | None = None, high: ScoreArray | None = None
    ) -> IntArray | None:
        """Rows that cover at this squared radius, ascending; None where there are none."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import coo_array, hstack, identity

        n = len(self.known)
        left = np.flatnonzero(self.known > square)
        place = np.full(n, -1)
        place[left] = np.arange(len(left))
        use = (self.pairs.square <= square) & (place[self.pairs.item] >= 0)
        at = place[self.pairs.item[use]], self.pairs.centre[use]
        cover = coo_array((np.ones(len(at[0])), at), shape=(len(left), n))
        # One column a centre, then one for each item that may be let off.
        counts = np.repeat(np.eye(2), [n, len(left)], axis=0).T
        free = np.ones(n) if self.free is None else self.free.astype(np.float64)
        top = free if high is None else np.minimum(free, high)
        found = milp(
            np.zeros(n + len(left)),
            integrality=np.repeat([1, 0], [n, len(left)]),
            bounds=Bounds(
                np.append(np.zeros(n) if low is None else low, np.zeros(len(left))),
                np.append(top, np.ones(len(left))),
            ),
            constraints=[
                LinearConstraint(hstack([cover, identity(len(left))]).tocsr(), 1.0, np.inf),
                LinearConstraint(counts, [self.budget, 0], [self.budget, self.outliers]),
                *self._apart(n + len(left)),
            ],
            options={"node_limit": _NODES},
        )
        return None if found.x is None else np.flatnonzero(found.x[:n] > 0.5)

    def _apart(self, columns: int) -> list[Any]:
        """Of rows that exclude each other at most one."""
        from scipy.optimize import LinearConstraint
        from scipy.sparse import csr_array

        if self.takes is None:
            return []
        # From each row on, those that it takes away exclude each other, too: an interval.
        first = np.arange(len(self.known))
        sizes = self.takes.away[:, 1] - first
        rows = np.repeat(first, sizes)
        starts = np.append(0, np.cumsum(sizes))
        values = rows + np.arange(len(rows)) - starts[rows]
        matrix = csr_array((np.ones(len(rows)), values, starts), shape=(len(first), columns))
        return [LinearConstraint(matrix, -np.inf, 1.0)]
