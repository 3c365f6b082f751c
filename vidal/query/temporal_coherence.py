"""The estimated number of detector errors in a frame.

Zolfaghari Bengar et al., "Temporal Coherence for Active Learning in Videos", ICCV Workshops 2019:
the errors come from an energy over detections linked through time, see ``vidal.coherence``. The
authors found false positives, false negatives and their sum about equally good, and used the
false positives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vidal.types import Explanation, IntArray, Pool, ScoreArray

_KINDS = (
    ("unconfirmed detection", "unconfirmed detections"),
    ("expected object", "expected objects"),
)
_COUNTED = {"fp": (True, False), "fn": (False, True), "fp+fn": (True, True)}


@dataclass(frozen=True, slots=True)
class TemporalCoherence:
    """Ask for the frames in which the detector disagrees most with its neighbours in time.

    Reads the pool column ``errors`` (F, K, 2): estimated false positives and false negatives per
    class.

    Attributes:
        errors: what counts: fp (false positives, the paper's), fn (false negatives) or fp+fn.
    """

    errors: Literal["fp", "fn", "fp+fn"] = "fp"

    needs: ClassVar[frozenset[str]] = frozenset({"errors"})

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64: the number of estimated errors of the kinds that count."""
        kinds = pool.column("errors").sum(axis=1, dtype=np.float64)
        return kinds[:, list(_COUNTED[self.errors])].sum(axis=1)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """How many errors of which kind and class; those that did not count are said apart."""
        errors = pool.column("errors")[positions].astype(np.float64)
        words = tuple(_words(frame, pool.classes, _COUNTED[self.errors]) for frame in errors)
        kinds = errors.sum(axis=1)
        parts = {"false_positives": kinds[:, 0], "misses": kinds[:, 1]}
        # The names claim more than what neighbours do not confirm is worth: the words say it.
        return Explanation(words, parts, frozenset(parts))


def _words(errors: NDArray[Any], classes: tuple[str, ...], counted: tuple[bool, ...]) -> str:
    """One frame's errors (K, 2) as a sentence."""
    if not errors.any():
        return "no likely error found"
    said: list[str] = []
    aside: list[str] = []
    for kind, counts in enumerate(counted):
        amounts = errors[:, kind]
        if counts and not amounts.any() and not all(counted):
            said.append(f"no {_KINDS[kind][0]}")
        elif amounts.any():
            (said if counts else aside).append(_kind(amounts, classes, _KINDS[kind]))
    return ", ".join(said) + (f"; not counted: {', '.join(aside)}" if aside else "")


def _kind(amounts: NDArray[Any], classes: tuple[str, ...], names: tuple[str, str]) -> str:
    total = float(amounts.sum())
    which = [(float(amount), classes[k]) for k, amount in enumerate(amounts) if amount]
    if len(which) == 1:
        detail = which[0][1]
    else:
        detail = ", ".join(f"{amount:g} {name}" for amount, name in which)
    return f"{total:g} {names[0] if total == 1 else names[1]} ({detail})"
