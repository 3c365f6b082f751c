"""Small trees asked node by node, for many rows at once.

Going down a tree jumps through memory for every row and step. Asking one node of all rows reads one
column in order, several rows an instruction: every node that sends a row to the right strikes out
the leaves on its left, and the first leaf that is left is the row's (Lucchese et al. 2015,
QuickScorer: a fast algorithm to rank documents with additive ensembles of regression trees).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vidal.types import BoolArray, FloatArray, IntArray, ScoreArray

_LEAVES = 16
"""Of a tree, at most: two bytes say which are struck out."""
_TREES = 128
"""NumPy adds up to so many numbers in eight strands, and so is it done here: sums are equal, to the
bit, to those of leaves that lie side by side."""
_AT_ONCE = 1 << 15
"""Rows that are looked at together: NumPy is called some 5,000 times for them."""

Strike = tuple[int, np.uint8]
"""Byte (two a tree), bits of it."""


@dataclass(frozen=True, slots=True)
class _Question:
    """Values of a column above a threshold, or NaN where it goes right, strike out leaves."""

    column: int
    threshold: np.float32
    unknown_left: bool
    strikes: tuple[Strike, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LeafTable:
    """All questions of all trees, and (T, 16) what their leaves are worth, from left to right."""

    questions: tuple[_Question, ...]
    values: ScoreArray

    @classmethod
    def of(
        cls,
        roots: IntArray,
        feature: IntArray,
        threshold: FloatArray,
        left: IntArray,
        right: IntArray,
        unknown_left: BoolArray,
        value: ScoreArray,
    ) -> LeafTable:
        """From nodes as ``Trees`` has them; of a size that ``fits``."""
        strikes: dict[tuple[int, np.float32, bool], list[Strike]] = defaultdict(list)
        values = np.zeros((len(roots), _LEAVES))

        def walk(tree: int, node: int, first: int) -> int:
            """Number the leaves below a node; returns the number after the last."""
            if left[node] == node:
                values[tree, first] = value[node]
                return first + 1
            middle = walk(tree, int(left[node]), first)
            bits = (1 << middle) - (1 << first)
            asked = int(feature[node]), threshold[node], bool(unknown_left[node])
            for byte in (0, 1):
                if bits >> 8 * byte & 255:
                    strikes[asked].append((2 * tree + byte, np.uint8(bits >> 8 * byte & 255)))
            return walk(tree, int(right[node]), middle)

        for tree, root in enumerate(roots.tolist()):
            walk(tree, root, 0)
        # Column by column: it is in the cache when the next question asks about it.
        ordered = sorted(strikes.items(), key=lambda each: (each[0][0], each[0][1]))
        return cls(tuple(_Question(*asked, tuple(struck)) for asked, struck in ordered), values)

    def sums(self, evidence: FloatArray) -> NDArray[np.float64]:
        """(R,) sums of the leaves of all trees."""
        result = np.empty(len(evidence))
        for at in range(0, len(evidence), _AT_ONCE):
            part = slice(at, min(at + _AT_ONCE, len(evidence)))
            result[part] = self._some(evidence[part].T.copy())
        return result

    def _some(self, columns: FloatArray) -> NDArray[np.float64]:
        struck = self._struck(columns)
        first = _first_left()
        strands = np.zeros((8, columns.shape[1]))
        for tree, values in enumerate(self.values):
            low, high = struck[2 * tree : 2 * tree + 2]
            leaf = first.take(low | high.astype(np.uint16) << 8)
            strands[tree % 8] += values.take(leaf)
        pairs = strands[0::2] + strands[1::2]
        return np.asarray((pairs[0] + pairs[1]) + (pairs[2] + pairs[3]))

    def _struck(self, columns: FloatArray) -> NDArray[np.uint8]:
        """(2 T, R) the leaves that are struck out."""
        rows = columns.shape[1]
        struck = np.zeros((2 * len(self.values), rows), np.uint8)
        answer, every, some = np.empty((3, rows), np.uint8)
        yes, signed = answer.view(np.bool_), (answer.view(np.int8), every.view(np.int8))
        lines, one = list(struck), np.uint8(1)
        for question in self.questions:
            column = columns[question.column]
            if question.unknown_left:  # NaN is not above anything
                np.greater(column, question.threshold, yes)
                np.negative(*signed)
            else:
                np.less_equal(column, question.threshold, yes)
                np.subtract(answer, one, every)
            for byte, bits in question.strikes:
                line = lines[byte]
                np.bitwise_and(every, bits, some)
                np.bitwise_or(line, some, line)
        return struck


def fits(roots: IntArray, left: IntArray) -> bool:
    """Whether trees are few and small enough for ``LeafTable``."""
    ends = np.append(roots, len(left))
    if len(roots) % 8 or not 8 <= len(roots) <= _TREES or (np.diff(ends) <= 0).any():
        return False
    leaves = np.add.reduceat(left == np.arange(len(left)), roots)
    return bool((leaves <= _LEAVES).all())


@cache
def _first_left() -> NDArray[np.uint8]:
    """(65536,) number of the lowest bit that is 0, by the bits of all."""
    bits = np.arange(1 << _LEAVES)
    found = np.zeros(1 << _LEAVES, np.uint8)
    for leaf in reversed(range(_LEAVES)):
        found[bits >> leaf & 1 == 0] = leaf
    return found
