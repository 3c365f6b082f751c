"""A class-balanced query as arrays: its value, its dual bound, what excludes what."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vidal.query.exclusion import without_neighbours
from vidal.types import BoolArray, IntArray, ScoreArray

Distance = Literal["l1", "l2", "w1"]
"""How far a query's classes are from the target: L1, L2, or Wasserstein-1 of ordered classes."""

_STEPS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Choose ``budget`` items that minimise ``costs . z + lam * norm(target - probs' z)``.

    Attributes:
        costs: (N,) float64.
        probs: (N, K) float64; for Wasserstein-1 summed over the classes, as is the target.
        target: (K,) float64.
        lam: >= 0.
        budget: in 0..N, and no more than fit.
        euclidean: the norm is L2; else L1.
        ranges: (N, 2) half-open ranges of positions that a pick takes away, itself included; both
            columns never fall. None = items do not exclude each other.
    """

    costs: ScoreArray
    probs: NDArray[np.float64]
    target: ScoreArray
    lam: float
    budget: int
    euclidean: bool
    ranges: IntArray | None

    def __len__(self) -> int:
        return len(self.costs)

    def norm(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the last axis."""
        if self.euclidean:
            return np.asarray(np.sqrt(np.einsum("...k,...k->...", residual, residual)))
        return np.asarray(np.abs(residual).sum(axis=-1))

    def residual(self, positions: IntArray) -> ScoreArray:
        """(K,) what the positions leave of the target."""
        return np.asarray(self.target - self.probs[positions].sum(axis=0))

    def value(self, positions: IntArray) -> float:
        """What is minimised."""
        distance = float(self.norm(self.residual(positions)))
        return float(self.costs[positions].sum()) + self.lam * distance

    def feasible(self, prices: ScoreArray) -> ScoreArray:
        """The prices, cut to where the dual allows them."""
        if not self.euclidean:
            return np.clip(prices, -self.lam, self.lam)
        length = float(np.sqrt((prices**2).sum()))
        return prices * (self.lam / length) if length > self.lam else prices

    def reduced(self, prices: ScoreArray) -> ScoreArray:
        """(N,) ``costs - probs prices``."""
        return np.asarray(self.costs - self.probs @ prices)


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """A lower bound and what it rests on.

    Attributes:
        bound: of the optimum.
        prices: (K,) float64.
        reduced: (N,) float64 costs at these prices.
        threshold: what the dearest item of the choice costs at most.
    """

    bound: float
    prices: ScoreArray
    reduced: ScoreArray
    threshold: float


def bound_at(problem: Problem, prices: ScoreArray) -> Certificate:
    """The dual bound at some prices, which are cut to where the dual allows them."""
    prices = problem.feasible(prices)
    reduced = problem.reduced(prices)
    if problem.ranges is None:
        least, threshold = _cheapest(reduced, problem.budget)
    else:
        least, threshold = _cheapest_apart(reduced, problem.budget, problem.ranges)
    return Certificate(float(prices @ problem.target) + least, prices, reduced, threshold)


def _cheapest(reduced: ScoreArray, budget: int) -> tuple[float, float]:
    """The sum of the ``budget`` smallest, and the largest of them."""
    if budget == 0:
        return 0.0, float(reduced.min(initial=0.0))
    if budget == len(reduced):
        return float(reduced.sum()), float(reduced.max())
    first = np.partition(reduced, budget - 1)[:budget]
    return float(first.sum()), float(first[-1])


def _cheapest_apart(reduced: ScoreArray, budget: int, ranges: IntArray) -> tuple[float, float]:
    """The same of items that exclude each other: max over m of budget m + min (reduced - m) . z."""
    low = _cheapest(reduced, budget)[1]
    best, count, at = _lagrangian(reduced, budget, ranges, low)
    if count >= budget:
        return best, low
    high, width = low, float(np.ptp(reduced)) or 1.0
    for _ in range(_STEPS):  # until the multiplier asks for too many
        high += width
        value, count, _ = _lagrangian(reduced, budget, ranges, high)
        if value > best:
            best, at = value, high
        if count >= budget:
            break
        width *= 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        value, count, _ = _lagrangian(reduced, budget, ranges, middle)
        if value > best:
            best, at = value, middle
        if count == budget or high - low <= 1e-12 * max(1.0, abs(high)):
            break
        low, high = (middle, high) if count < budget else (low, middle)
    return best, at


def _lagrangian(
    reduced: ScoreArray, budget: int, ranges: IntArray, multiplier: float
) -> tuple[float, int, float]:
    """Value of the multiplier, how many items its choice has, and the multiplier."""
    chosen = apart(reduced - multiplier, ranges)
    total = float(reduced[chosen].sum()) - multiplier * len(chosen)
    return budget * multiplier + total, len(chosen), multiplier


def apart(weights: ScoreArray, ranges: IntArray) -> IntArray:
    """The positions, none in another's range, with the least sum of weights; ascending."""
    use = np.flatnonzero(weights < 0)
    # Views of arrays: lists of numbers take four times the memory.
    back = np.searchsorted(use, ranges[use, 0]).data
    own = weights[use].data
    best = np.zeros(len(own) + 1).data
    # A loop: each step depends on the one before. About 0.3 s for a million items.
    for at, weight in enumerate(own):
        taken = weight + best[back[at]]
        best[at + 1] = taken if taken < best[at] else best[at]
    found: list[int] = []
    at = len(own)
    while at:
        if best[at] < best[at - 1]:
            found.append(at - 1)
            at = back[at - 1]
        else:
            at -= 1
    return use[np.array(found[::-1], dtype=np.int64)]


def most_apart(ranges: IntArray) -> IntArray:
    """As many positions as fit, none in another's range, each as early as it can be."""
    ahead = np.ascontiguousarray(ranges[:, 1]).data
    found = array("q")
    at = 0
    while at < len(ahead):
        found.append(at)
        at = ahead[at]
    return np.array(found, dtype=np.int64)


def taken_apart(order: IntArray, ranges: IntArray, budget: int) -> IntArray:
    """The first ``budget`` of an order that exclude no earlier one."""
    return without_neighbours(order, ranges[:, 0], ranges[:, 1], budget)


def blockers(chosen: BoolArray, ranges: IntArray) -> IntArray:
    """(N,) how many chosen items exclude each item (itself, if chosen)."""
    total = np.concatenate([[0], np.cumsum(chosen)])
    return np.asarray(total[ranges[:, 1]] - total[ranges[:, 0]])


def within(ranges: IntArray, rows: IntArray) -> IntArray:
    """Ranges of the rows (ascending) alone, as places among them."""
    return np.searchsorted(rows, ranges[rows])
