"""What other detectors teach about errors before there are labels: a model that comes with vidal.

Boosted trees (``trees``), fitted to judged rows of detectors of different strength on rendered
clips (``tools/make_prior.py``) and kept as plain arrays. They say how many errors to expect of a
frame when nothing is labelled yet; that was not learned from the user's labels, and everything that
rests on it is marked as a prior.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vidal.expected_errors.examples import Examples, Judged
from vidal.expected_errors.options import ExpectedErrorsOptions
from vidal.expected_errors.trees import Trees
from vidal.types import FloatArray, ScoreArray

VANISHES = 9
"""Own errors, in those that the prior is worth, from which on the prior is not asked."""
PRIOR = Path(__file__).with_name("prior.npz")
"""The model that comes with the package."""


Priors = tuple[Trees, Trees]
"""P(false positive) and P(missed object)."""


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What other detectors teach.

    Attributes:
        columns: of the evidence.
        trees: P(false positive) and P(missed object).
        about: how it was made: seeds, detectors and their strength, rows; JSON values.
    """

    columns: tuple[str, ...]
    trees: Priors
    about: Mapping[str, Any]


@cache
def shipped_prior() -> Prior:
    """The model that comes with the package."""
    return read_prior(PRIOR)


def read_prior(path: Path) -> Prior:
    """A prior as ``tools/make_prior.py`` writes it."""
    with np.load(path, allow_pickle=False) as arrays:
        told = json.loads(arrays["@"].tobytes())
        false, missed = (_trees(arrays, kind, told[kind]) for kind in ("false", "missed"))
    return Prior(tuple(told["columns"]), (false, missed), told["about"])


def _trees(arrays: Mapping[str, NDArray[Any]], kind: str, told: Mapping[str, Any]) -> Trees:
    def column(name: str, dtype: Any) -> NDArray[Any]:
        return arrays[f"{kind}.{name}"].astype(dtype)

    whole = {name: column(name, np.int64) for name in ("roots", "feature", "left", "right")}
    return Trees(
        **whole,
        threshold=column("threshold", np.float32),
        unknown_left=column("unknown_left", np.bool_),
        value=column("value", np.float64),
        base=told["base"],
        depth=told["depth"],
    )


class HasProbability(Protocol):
    """What says P(error) of rows."""

    def probability(self, evidence: FloatArray) -> ScoreArray:
        """(R,) in [0, 1]."""
        ...


class Shrunk:
    """What own labels say, mixed with a prior while they are few.

    Attributes:
        share: the weight of own labels, see ``own_share``; 1 without a prior.
    """

    def __init__(self, own: HasProbability, errors: int, prior: Trees | None, worth: float) -> None:
        """
        Args:
            own: what own labels say.
            errors: that they have judged.
            prior: None = there is none.
            worth: errors that the prior counts for.
        """
        self.share = 1.0 if prior is None else own_share(errors, worth)
        self._own, self._prior = own, prior

    def probability(self, evidence: FloatArray) -> ScoreArray:
        """(R,) in [0, 1]."""
        if self._prior is None or self.share == 1:
            return self._own.probability(evidence)
        before = self._prior.probability(evidence)
        if self.share == 0:
            return before
        return self.share * self._own.probability(evidence) + (1 - self.share) * before


def own_share(errors: int, worth: float) -> float:
    """The weight, in [0, 1], of what own labels say beside a prior.

    ``e / (e + worth)`` for e judged errors, the shrinkage of a mean towards a prior that is worth
    as many observations; 1, so that the prior is gone, from ``VANISHES * worth`` errors on.
    """
    return 1.0 if errors >= VANISHES * worth else errors / (errors + worth)


def prior_for(columns: tuple[str, ...], options: ExpectedErrorsOptions) -> Priors | None:
    """P(false positive) and P(missed object) as the shipped prior has them.

    Args:
        columns: of the evidence that it will be asked about.
        options: how that was gathered.

    Returns:
        None where no prior is wanted (``options.prior`` is 0), or where evidence is gathered in
        another way than that of the prior: its numbers would mean something else.
    """
    if options.prior == 0 or _gathered(options) != _gathered(ExpectedErrorsOptions()):
        return None
    prior = shipped_prior()
    return prior.trees if columns == prior.columns else None


def _gathered(options: ExpectedErrorsOptions) -> Mapping[str, Any]:
    """How evidence is gathered, but for the threshold: the prior knows rows of several."""
    key = {**options.evidence_key, "floor": options.floor}
    del key["threshold"]
    return key


def nothing_judged(columns: tuple[str, ...]) -> Judged:
    """No rows of evidence with these columns: a model of them is the prior alone."""
    none, never = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    rows = Examples(np.zeros((0, len(columns)), np.float32), never, none, none, never)
    return Judged(columns, rows, rows, 0)
