"""How many classes the annotated unknowns are of: k-means judged by the labels that are there.

E2OAL (arXiv 2603.07898), algorithm 1: with the right number of clusters each known class is one of
them, and what no known class takes is the unknowns'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import IntArray, ScoreArray

_STEPS = 50
_GRID = 8
"""Numbers of clusters that are tried beside the search: nothing says that F1 has one peak."""


def structure_f1(labels: NDArray[np.integer], clusters: NDArray[np.integer], known: int) -> float:
    """How well clusters fit what is labelled: the product of K+1 F1 scores, in [0, 1].

    Classes and clusters are matched so that most items agree (Hungarian method), equals by the sum
    of F1. F1 of a known class is that of its cluster, F1 of unknown that of all clusters without a
    known class; 0 where it is 0/0. The released code takes the geometric mean, which has the same
    order.

    Args:
        labels: (n,) in 0..K, K = unknown.
        clusters: (n,) int.
        known: K.
    """
    return _judged(labels, clusters, known)[0]


def _judged(
    labels: NDArray[np.integer], clusters: NDArray[np.integer], known: int
) -> tuple[float, IntArray]:
    """The product, and the clusters that known classes have."""
    from scipy.optimize import linear_sum_assignment

    place = np.asarray(labels).astype(np.int64).reshape(-1)
    numbers, where = np.unique(np.asarray(clusters).reshape(-1), return_inverse=True)
    table = np.zeros((len(numbers), known + 1), np.int64)
    np.add.at(table, (where.reshape(-1), place), 1)
    whole = table.sum(axis=1, keepdims=True) + table.sum(axis=0)
    each = 2 * table / np.maximum(1, whole)  # F1 of every pair
    each[:, known] = 0.0
    # Less than one item in all: decides only between matches in which equally many agree.
    row, column = linear_sum_assignment(table + each / (2 * known + 2), maximize=True)
    row, column = row[column < known], column[column < known]
    f1 = np.zeros(known + 1)
    f1[column] = each[row, column]
    free = np.setdiff1d(np.arange(len(numbers)), row)
    rest = table[free]
    f1[known] = 2 * rest[:, known].sum() / max(1, rest.sum() + table[:, known].sum())
    return float(np.prod(f1)), numbers[row]


def ternary_search(values: NDArray[np.floating], low: int) -> int:
    """The integer with the highest value, by ternary search; exact where there is one peak.

    While r - l > 2: m1 = l + floor((r - l) / 3), m2 = r - floor((r - l) / 3); l = m1 where the
    value at m1 is below that at m2, else r = m2. The rest is looked through. (The slide rounds m2
    down: one lower where 3 does not divide.)

    Args:
        values: (m,) of low, low + 1, ..., m >= 1.
        low: the first integer.

    Raises:
        ValueError: no values.
    """
    each = np.asarray(values, np.float64).reshape(-1)
    if not len(each):
        raise ValueError("no values to search")
    return search(lambda number: float(each[number - low]), low, low + len(each) - 1)


def search(value: Callable[[int], float], low: int, high: int) -> int:
    """As `ternary_search`, of a function on low..high."""
    while high - low > 2:
        first, second = low + (high - low) // 3, high - (high - low) // 3
        if value(first) < value(second):
            low = first
        else:
            high = second
    return max(range(low, high + 1), key=lambda number: (value(number), -number))


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """Classes of annotated unknowns.

    Attributes:
        extra: how many; 0 where nothing unknown is labelled.
        place: (n,) of each item 0..extra-1, -1 = of a known class.
    """

    extra: int
    place: IntArray


def estimate(
    features: NDArray[Any], labels: IntArray, known: int, seed: int, most: int
) -> Structure:
    """Number of classes of the unknowns, and the class of each.

    Args:
        features: (n, D) that no label has shaped; scaled to length 1 here.
        labels: (n,) in 0..K, K = unknown. Known classes without items are left out.
        known: K.
        seed: of k-means.
        most: clusters that are tried, known classes included.
    """
    place = np.full(len(labels), -1, np.int64)
    unknown = labels == known
    if not unknown.any():
        return Structure(0, place)
    classes, own = np.unique(labels[~unknown], return_inverse=True)
    relabelled = np.full(len(labels), len(classes))
    relabelled[~unknown] = own.reshape(-1)
    points = _unit(features)
    low, high = len(classes) + 1, min(most, len(np.unique(points, axis=0)))
    if high < low:
        place[unknown] = 0
        return Structure(1, place)
    tried = _Tried(points, relabelled, len(classes), seed)
    best = search(tried.value, low, high)
    grid = np.unique(np.geomspace(low, high, _GRID).round().astype(np.int64))
    best = max([best, *grid.tolist()], key=lambda number: (tried.value(number), -number))
    centres, taken = tried.centres(best)
    free = np.setdiff1d(np.arange(best), taken)
    far = ((points[unknown][:, None] - centres[free][None]) ** 2).sum(axis=2)
    place[unknown] = far.argmin(axis=1)
    return Structure(len(free), place)


class _Tried:
    """K-means for numbers of clusters, each once."""

    def __init__(self, points: ScoreArray, labels: IntArray, known: int, seed: int) -> None:
        self._points, self._labels, self._known, self._seed = points, labels, known, seed
        self._found: dict[int, tuple[float, ScoreArray, IntArray]] = {}

    def value(self, count: int) -> float:
        """`structure_f1` with so many clusters."""
        return self._of(count)[0]

    def centres(self, count: int) -> tuple[ScoreArray, IntArray]:
        """(count, D) centres, and those that known classes have."""
        return self._of(count)[1:]

    def _of(self, count: int) -> tuple[float, ScoreArray, IntArray]:
        if count not in self._found:
            from sklearn.cluster import KMeans

            fitted = KMeans(count, n_init=1, max_iter=_STEPS, random_state=self._seed % 2**32).fit(
                self._points
            )
            value, taken = _judged(self._labels, fitted.labels_, self._known)
            self._found[count] = value, fitted.cluster_centers_, taken
        return self._found[count]


def _unit(features: NDArray[Any]) -> ScoreArray:
    rows = np.asarray(features, np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
