"""Distances to the nearest centre while centres are added: quick, and exact where it matters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.arrays import nearest
from vidal.types import BoolArray, IntArray, ScoreArray

_BLOCK = 4096


class Nearest:
    """Euclidean distances of (N, D) items from the nearest centre.

    A centre is compared by one product of a matrix and a vector, which may round equal items
    differently; what might be the least is compared again by differences.
    """

    def __init__(self, points: NDArray[np.float64], known: NDArray[np.float64]) -> None:
        """
        Args:
            points: (N, D) items.
            known: (M, D) centres; without any the distances are those from the items' mean, until
                the first is added.
        """
        self._points = points
        self._sizes = (points**2).sum(axis=1)
        self._rough = squared_to_nearest(points, known)
        self._exact = self._rough.copy()
        self._seen = np.zeros(len(points), np.int64)
        self._added: list[int] = []
        self._centred = not len(known)
        largest = float(self._sizes.max(initial=0.0))
        self._slack = 8 * (points.shape[1] + 8) * np.finfo(np.float64).eps * largest

    def least(self, extra: ScoreArray, free: BoolArray) -> int:
        """The free item with the least ``extra - distance``; of equals the first."""
        slack = self._slack if self._added else 0.0
        far = extra - np.sqrt(np.maximum(self._rough - slack, 0.0))
        near = extra - np.sqrt(self._rough + slack)
        rows = np.flatnonzero(free & (near <= far[free].min()))
        if len(rows) == 1:
            return int(rows[0])
        return int(rows[np.argmin(extra[rows] - np.sqrt(self._squares(rows)))])

    def add(self, row: int) -> None:
        """An item becomes a centre."""
        one = self._points[row]
        new = self._sizes + float(one @ one)
        new -= 2.0 * (self._points @ one)
        np.maximum(new, 0.0, out=new)
        if self._centred and not self._added:
            self._rough, self._exact = new, np.full(len(new), np.inf)
        else:
            np.minimum(self._rough, new, out=self._rough)
        self._added.append(row)

    def _squares(self, rows: IntArray) -> ScoreArray:
        """(n,) by differences, from the centres that each was not yet compared with."""
        count = len(self._added)
        for seen in np.unique(self._seen[rows]).tolist():
            mine = rows[self._seen[rows] == seen]
            for at in range(0, len(mine), _BLOCK):
                part = mine[at : at + _BLOCK]
                points = self._points[part]
                for centre in self._added[seen:]:
                    new = ((points - self._points[centre]) ** 2).sum(axis=1)
                    self._exact[part] = np.minimum(self._exact[part], new)
        self._seen[rows] = count
        return np.asarray(self._exact[rows])


def squared_to_nearest(points: NDArray[Any], known: NDArray[Any]) -> ScoreArray:
    """(N,) squared distances from the nearest of (M, D); from the points' mean where M = 0."""
    parts = [np.zeros(0)]
    middle = points.mean(axis=0, dtype=np.float64) if len(points) else None
    for at in range(0, len(points), _BLOCK):
        block = np.asarray(points[at : at + _BLOCK], np.float64)
        others: Any = middle
        if len(known):
            others = known[nearest(block, known, 1, metric="euclidean")[:, 0]]
        parts.append(((block - others) ** 2).sum(axis=1))
    return np.concatenate(parts)
