"""Farthest-first traversal: the greedy 2-approximation of k-center, exact and lazy.

Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science
38 (1985). Every pick needs the item that is farthest from its nearest centre, and the distance to
the nearest centre only ever falls. So an old distance bounds the true one from above, and an item
whose bound is below the best true distance need not be looked at: only the items at the top are
brought up to date, many at once against many centres at once, by matrix products. The picks are
those of the plain loop over all items: what rounding leaves open is decided by exact differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import BoolArray, IntArray, ScoreArray

_TOP = 1024
"""Items that are brought up to date at once."""
_FIRST = 64
"""Centres that all items are compared with at the start, to bound their distances."""
_BLOCK = 4096
_CENTRES = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Takes:
    """What happens to the items when one of them is picked: half-open ranges of rows.

    Attributes:
        own: (N, 2) rows that become centres: the item's frame.
        away: (N, 2) rows that cannot be picked any more: those of its frame and of its neighbours.
    """

    own: IntArray
    away: IntArray

    @staticmethod
    def itself(count: int) -> Takes:
        """Every item is picked alone."""
        rows = np.arange(count, dtype=np.int64)
        ranges = np.stack([rows, rows + 1], axis=1)
        return Takes(ranges, ranges)


def farthest_first(
    points: NDArray[Any],
    centres: NDArray[Any],
    budget: int,
    *,
    takes: Takes | None = None,
    free: BoolArray | None = None,
    order: IntArray | None = None,
    let_off: int = 0,
) -> IntArray:
    """Rows in the order in which each is the farthest from all centres and rows before it.

    Distances are Euclidean, in float64. Rows at distance zero come last. Where there are no
    centres the first is the farthest from the mean.

    Args:
        points: (N, D) finite; converted in blocks, never copied whole.
        centres: (M, D) finite, may be none.
        budget: how many rows at most.
        takes: what each pick takes with it; None = itself.
        free: (N,) bool, rows that may be picked; None = all.
        order: (N,) a permutation: of equal distances the lower one is taken; None = the row.
        let_off: this many of the farthest rows are passed over at every step: outliers.

    Returns:
        Rows, ``budget`` of them or as many as can be picked.

    Raises:
        ValueError: shapes that do not belong together, values that are not finite, or a negative
            number of outliers.
    """
    if let_off < 0:
        raise ValueError(f"{let_off} outliers")
    n = len(points)
    search = _Search(
        points,
        centres,
        Takes.itself(n) if takes is None else takes,
        np.ones(n, np.bool_) if free is None else free.copy(),
        np.arange(n) if order is None else order,
        let_off,
    )
    while len(search.picks) < budget and search.open.any():
        search.finish(budget) if search.covered else search.epoch(budget)
    return np.array(search.picks, dtype=np.int64)


class _Search:
    """The state of one traversal.

    ``_bound`` (N,) is an upper bound of each item's squared distance to the nearest centre, up to
    ``_slack``, and right for its first ``_seen`` centres; -inf where the item cannot be picked.
    """

    def __init__(
        self,
        points: NDArray[Any],
        centres: NDArray[Any],
        takes: Takes,
        free: BoolArray,
        order: IntArray,
        let_off: int,
    ) -> None:
        n = len(points)
        if points.ndim != 2 or (len(centres) and centres.shape[1:] != points.shape[1:]):
            raise ValueError(f"points {points.shape} with centres {centres.shape}")
        self._points, self._takes, self._order, self._let_off = points, takes, order, let_off
        self.open = free
        self.covered = False  # all that can be picked lies on centres
        self.picks: list[int] = []
        self._mean = points.mean(axis=0, dtype=np.float64) if n else np.zeros(points.shape[1])
        parts = [_squares(block) for _, block in self._blocks()]
        self._norms = np.concatenate([np.zeros(0), *parts])
        self._centres = _Centres(self._mean)
        if len(centres):
            self._centres.add(np.asarray(centres, np.float64))
        if not np.isfinite(self._norms).all() or not np.isfinite(self._centres.largest):
            raise ValueError("values that are not finite")
        self._bound = np.full(n, np.inf)
        self._seen = np.zeros(n, np.int64)
        self._exact = np.full(n, np.inf)
        self._exact_seen = np.zeros(n, np.int64)
        self._compare_all(min(_FIRST, self._centres.count))

    def epoch(self, budget: int) -> None:
        """Bring the items at the top up to date, and pick as long as none of the rest can be it."""
        if not self._centres.count:
            rows = np.flatnonzero(self.open)
            ranked = self._ranked(rows, self._norms[rows])
            self._take(int(ranked[min(self._let_off, len(rows) - 1)]))
            self._compare_all(1)
            return
        top, rest = self._top()
        near = self._points[top].astype(np.float64) - self._mean
        bound, start = self._bound[top], int(self._seen[top].min())
        while True:
            self._lower(bound, near, self._norms[top], start, self._centres.count)
            start = self._centres.count
            bound[~self.open[top]] = -np.inf
            row = self._next(top, bound, rest) if len(self.picks) < budget else None
            if row is None:
                break
            self._take(row)
            if self.covered:
                return
        self._bound[top], self._seen[top] = bound, start

    def finish(self, budget: int) -> None:
        """Pick from items that all lie on centres: in order."""
        rows = np.flatnonzero(self.open)
        for row in rows[np.argsort(self._order[rows])].tolist():
            if self.open[row] and len(self.picks) < budget:
                self.picks.append(row)
                self._close(row)

    def _top(self) -> tuple[IntArray, float]:
        """Rows of the highest bounds, all that nearly tie included, and the highest of the rest."""
        place = len(self._bound) - max(_TOP, 4 * self._let_off)
        limit = np.partition(self._bound, place)[place] if place > 0 else -np.inf
        if limit == -np.inf:
            return np.flatnonzero(self.open), -np.inf
        inside = self._bound >= limit - 4 * self._slack()
        return np.flatnonzero(inside), float(self._bound[~inside].max(initial=-np.inf))

    def _next(self, top: IntArray, bound: ScoreArray, rest: float) -> int | None:
        """The next row; None where it may be one of those that are not up to date."""
        slack, rank = self._slack(), 0
        if self._let_off:
            rank = min(self._let_off, int(self.open.sum()) - 1)
        if not 0 <= rank < int((bound > -np.inf).sum()):
            return None
        place = len(bound) - 1 - rank
        edge = float(np.partition(bound, place)[place] if rank else bound.max())
        if edge - slack <= rest + slack:
            return None
        near = np.abs(bound - edge) <= 2 * slack
        rows = top[near]
        if len(rows) == 1:
            return int(rows[0])
        values = self._distances(rows)
        self.covered = rank == 0 and values.max() == 0
        above = int((bound > edge + 2 * slack).sum())
        return int(self._ranked(rows, values)[rank - above])

    def _take(self, row: int) -> None:
        self.picks.append(row)
        first, last = self._takes.own[row].tolist()
        self._centres.add(self._points[first:last].astype(np.float64))
        self._close(row)

    def _close(self, row: int) -> None:
        first, last = self._takes.away[row].tolist()
        self.open[first:last] = False
        self._bound[first:last] = -np.inf

    def _ranked(self, rows: IntArray, values: ScoreArray) -> IntArray:
        """By falling distance: its square tells apart what is equal but for rounding."""
        return rows[np.lexsort((self._order[rows], -np.sqrt(values)))]

    def _slack(self) -> float:
        """What rounding can do to a squared distance that comes from a matrix product."""
        largest = self._norms.max(initial=0.0) + self._centres.largest
        return float(4 * (self._points.shape[1] + 8) * np.finfo(np.float64).eps * largest)

    def _distances(self, rows: IntArray) -> ScoreArray:
        """(n,) squared distances to the nearest centre, from differences: duplicates are at 0."""
        count = self._centres.count
        for seen in np.unique(self._exact_seen[rows]).tolist():
            mine = rows[self._exact_seen[rows] == seen]
            if seen < count:
                own, others = self._points[mine].astype(np.float64), self._centres.rows[seen:]
                np.minimum.at(self._exact, mine, _least(own, others))
                self._exact_seen[mine] = count
        return self._exact[rows]

    def _compare_all(self, count: int) -> None:
        if count:
            for at, block in self._blocks():
                part = slice(at, at + len(block))
                self._lower(self._bound[part], block, self._norms[part], 0, count)
        self._seen[:] = count
        self._bound[~self.open] = -np.inf

    def _lower(
        self, bound: ScoreArray, near: ScoreArray, norms: ScoreArray, start: int, stop: int
    ) -> None:
        """Lower the bounds of centred items (n, D) in place, by the centres start..stop."""
        for at in range(start, stop, _CENTRES):
            part = slice(at, min(at + _CENTRES, stop))
            product = near @ (self._centres.rows[part] - self._mean).T
            product *= -2.0
            product += self._centres.norms[part]
            np.minimum(bound, product.min(axis=1) + norms, out=bound)

    def _blocks(self) -> Iterator[tuple[int, ScoreArray]]:
        for at in range(0, len(self._points), _BLOCK):
            yield at, self._points[at : at + _BLOCK].astype(np.float64) - self._mean


class _Centres:
    """Centres in a growing array, and the squares of their distances from the mean."""

    def __init__(self, mean: ScoreArray) -> None:
        self._mean = mean
        self._rows = np.empty((16, len(mean)))
        self._norms = np.empty(16)
        self.count = 0
        self.largest = 0.0

    @property
    def rows(self) -> ScoreArray:
        """(count, D)"""
        return self._rows[: self.count]

    @property
    def norms(self) -> ScoreArray:
        """(count,)"""
        return self._norms[: self.count]

    def add(self, rows: ScoreArray) -> None:
        """(n, D) more of them."""
        need = self.count + len(rows)
        if need > len(self._rows):
            more = max(need, 2 * len(self._rows)) - self.count
            self._rows = np.concatenate([self.rows, np.empty((more, len(self._mean)))])
            self._norms = np.concatenate([self.norms, np.empty(more)])
        self._rows[self.count : need] = rows
        self._norms[self.count : need] = _squares(rows - self._mean)
        self.largest = max(self.largest, float(self._norms[self.count : need].max(initial=0.0)))
        self.count = need


def _squares(rows: ScoreArray) -> ScoreArray:
    return np.asarray((rows * rows).sum(axis=1))


def _least(points: ScoreArray, centres: ScoreArray) -> ScoreArray:
    """(n,) least squared distance of each point; one loop over the fewer of the two."""
    if len(points) <= len(centres):
        return np.array([_squares(centres - point).min() for point in points])
    result = np.full(len(points), np.inf)
    for centre in centres:
        np.minimum(result, _squares(points - centre), out=result)
    return result
