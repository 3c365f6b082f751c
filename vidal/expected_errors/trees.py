"""Boosted trees as plain arrays: P(error) of rows without the library that fitted them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vidal.expected_errors.leaves import LeafTable, fits
from vidal.types import BoolArray, FloatArray, IntArray, ScoreArray

_AT_ONCE = 256
"""Rows that go down all trees together: what they need stays in the processor's cache."""
_MANY = 512
"""Rows from which on it is faster to ask every node of all of them."""


@dataclass(frozen=True, eq=False)
class Trees:
    """P(error) of rows, by boosted trees whose nodes lie in one table of M; a leaf leads to itself.

    Attributes:
        roots: (T,) int64 node at which each tree begins.
        feature: (M,) int64 column that a node asks about.
        threshold: (M,) float32: values up to it go left.
        left, right: (M,) int64 the nodes below.
        unknown_left: (M,) bool: NaN goes left.
        value: (M,) float64, what a leaf adds to the log-odds.
        base: log-odds before any tree.
        depth: steps from a root to the farthest leaf.
    """

    roots: IntArray
    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    unknown_left: BoolArray
    value: ScoreArray
    base: float
    depth: int

    def probability(self, evidence: FloatArray) -> ScoreArray:
        """(R,) in [0, 1]. Every row by itself: its number does not depend on the others."""
        if len(evidence) >= _MANY and self._leaves is not None:
            odds = self._leaves.sums(evidence)
        else:
            parts = [self._descend(evidence[at : at + _AT_ONCE]) for at in _starts(len(evidence))]
            odds = np.concatenate(parts) if parts else np.zeros(0)
        return np.asarray(1 / (1 + np.exp(-(self.base + odds))))

    @cached_property
    def _leaves(self) -> LeafTable | None:
        """The same trees, node by node; None where they are too many or too large for that."""
        nodes = (self.feature, self.threshold, self.left, self.right, self.unknown_left, self.value)
        return LeafTable.of(self.roots, *nodes) if fits(self.roots, self.left) else None

    def _descend(self, evidence: FloatArray) -> NDArray[np.float64]:
        """(R,) sums of the leaves that rows come to, step by step."""
        row = np.arange(len(evidence))[:, None]
        node = np.broadcast_to(self.roots, (len(evidence), len(self.roots)))
        for _ in range(self.depth):
            asked = evidence[row, self.feature[node]]
            left = np.where(np.isnan(asked), self.unknown_left[node], asked <= self.threshold[node])
            node = np.where(left, self.left[node], self.right[node])
        return np.asarray(self.value[node].sum(axis=1))


def _starts(count: int) -> Iterator[int]:
    return iter(range(0, count, _AT_ONCE))
