"""What class balance weighed, for people: in words, and as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import ScoreArray

_SAID = 0.05
"""Less of a class than this is not worth a word."""
_NAMED = 2
_BEST = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class BalanceTold:
    """What was weighed for a query.

    Attributes:
        lam: what an object too few or too many was reckoned to cost.
        chosen_by_itself: lambda was found on the pool.
        unit: of lambda.
        kind: of the distance.
        classes: the K class names.
        shares: (K,) wanted shares of all labels.
        labelled: (K,) objects labelled before.
        target: (K,) what the query should bring.
        brings: (K,) what its frames are expected to bring.
        score_before, score_after: L1 score (thesis Eq. 4.10) of the labels before the query, and as
            expected after it, towards the wanted shares; None where there are no labels.
        gap: the choice is proven to be at most this share of the objective from the best one; None
            for a greedy choice, which proves nothing.
    """

    lam: float
    chosen_by_itself: bool
    unit: str
    kind: str
    classes: tuple[str, ...]
    shares: ScoreArray
    labelled: ScoreArray
    target: ScoreArray
    brings: ScoreArray
    score_before: float | None
    score_after: float | None
    gap: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON values; arrays by class."""

        def by_class(values: ScoreArray) -> dict[str, float]:
            return {n: round(float(v), 4) for n, v in zip(self.classes, values, strict=True)}

        return {
            "lambda": self.lam,
            "chosen_by_itself": self.chosen_by_itself,
            "unit": self.unit,
            "distance": self.kind,
            "wanted_shares": by_class(self.shares),
            "labelled_before": by_class(self.labelled),
            "target": by_class(self.target),
            "expected_to_bring": by_class(self.brings),
            "l1_score_before": self.score_before,
            "l1_score_expected_after": self.score_after,
            "certified_gap": self.gap,
        }

    @property
    def sentence(self) -> str:
        """For the notes of a query."""
        wanted = self._listed(self.target)
        by_itself = "; found on this pool" if self.chosen_by_itself else ""
        before, after = (
            "none" if score is None else f"{score:.2f}"
            for score in (self.score_before, self.score_after)
        )
        return (
            f"Class balance (lambda {self.lam:g} for an object, in {self.unit}{by_itself}): the"
            f" labels lack"
            f" {wanted or 'no class'}; the chosen frames are expected to bring"
            f" {self._listed(self.brings) or 'no objects'}. L1 score of the labels (0 = shares as"
            f" wanted, 1 = as far from them as can be):"
            f" {before} before, {after} expected after. {self._proof}"
        )

    @property
    def _proof(self) -> str:
        if self.gap is None:
            return "The choice was made greedily, without a proof of how good it is."
        if self.gap < _BEST:
            return "The choice is proven to be the best possible."
        return f"The choice is proven to be within {100 * self.gap:.2g} % of the best possible."

    def _listed(self, values: ScoreArray) -> str:
        named = [
            f"{value:.0f} {name}"
            for name, value in zip(self.classes, values.tolist(), strict=True)
            if value >= 0.5
        ]
        return ", ".join(named)


def brought_words(brings: NDArray[Any], target: NDArray[Any], classes: tuple[str, ...]) -> str:
    """``brings 0.8 cyclist (14 missing)``; both arrays are (K,)."""
    useful = np.where(target >= 0.5, brings, 0.0)
    rows = [int(row) for row in np.argsort(-useful, kind="stable")[:_NAMED] if useful[row] >= _SAID]
    if not rows:
        return "brings nothing that is missing"
    parts = (f"{brings[row]:.1f} {classes[row]} ({target[row]:.0f} missing)" for row in rows)
    return "brings " + " and ".join(parts)


def missing_parts(brings: NDArray[Any], target: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
    """Parts of an explanation, (n,) each: objects a frame brings, and those of lacking classes."""
    lacking = target >= 0.5
    return {
        "brings": brings.sum(axis=1),
        "brings_missing": brings[:, lacking].sum(axis=1),
    }
