"""The oracles of a simulation: they know the labels of the pool, and show what asking could gain.

Zolfaghari Bengar et al., "Temporal Coherence for Active Learning in Videos", ICCV Workshops 2019,
"Oracle (FP)" and "Oracle (FN)": the true number of a frame's errors in place of an estimate; and
both kinds together. They
read the pool column ``truth_errors``, which a pool has only if it was built with truth; that is
done for these strategies alone, and for simulations alone (``vidal.assemble.ORACLES``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vidal.types import Explanation, IntArray, Pool, ScoreArray

COLUMN = "truth_errors"
"""(F, K, 2): true false positives and false negatives of a frame, per class."""

_WORDS = (("true false alarm", "true false alarms"), ("true miss", "true misses"))


@dataclass(frozen=True, slots=True)
class OracleFalsePositives:
    """Ask for the frames with the most false positives, known from the labels. Simulation only."""

    needs: ClassVar[frozenset[str]] = frozenset({COLUMN})

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64: the number of false positives."""
        return _counts(pool)[:, 0]

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """How many false positives and misses there truly are."""
        return _explain(pool, positions, 0)


@dataclass(frozen=True, slots=True)
class OracleFalseNegatives:
    """Ask for the frames with the most missed objects, known from the labels. Simulation only."""

    needs: ClassVar[frozenset[str]] = frozenset({COLUMN})

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64: the number of missed objects."""
        return _counts(pool)[:, 1]

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """How many false positives and misses there truly are."""
        return _explain(pool, positions, 1)


@dataclass(frozen=True, slots=True)
class OracleErrors:
    """Ask for the frames with the most errors, false positives and misses. Simulation only."""

    needs: ClassVar[frozenset[str]] = frozenset({COLUMN})

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64: the number of both."""
        return np.asarray(_counts(pool).sum(axis=1))

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """How many false positives and misses there truly are."""
        counts = _counts(pool)[positions]
        said = [
            " and ".join(
                f"{count:g} {one if count == 1 else many}"
                for count, (one, many) in zip(frame, _WORDS, strict=True)
            )
            for frame in counts.tolist()
        ]
        return Explanation(tuple(said), {"false_positives": counts[:, 0], "misses": counts[:, 1]})


def _counts(pool: Pool) -> ScoreArray:
    """(F, 2): false positives and misses over all classes."""
    return np.asarray(pool.column(COLUMN).sum(axis=1, dtype=np.float64))


def _explain(pool: Pool, positions: IntArray, kind: int) -> Explanation:
    counts = _counts(pool)[positions]
    one, many = _WORDS[kind]
    words = tuple(f"{count:g} {one if count == 1 else many}" for count in counts[:, kind])
    return Explanation(words, {"false_positives": counts[:, 0], "misses": counts[:, 1]})
