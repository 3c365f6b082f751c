"""What other detectors teach about errors before there are labels: rows that come with vidal.

Judged rows of detectors of different strength on rendered clips (``tools/make_prior.py``). A model
of them says how many errors to expect of a frame when nothing is labelled yet; it was not learned
from the user's labels, and everything that it says is marked as a prior.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.expected_errors.estimator import Estimator
from vidal.expected_errors.examples import Examples, Judged
from vidal.expected_errors.options import Estimator as EstimatorName
from vidal.expected_errors.options import ExpectedErrorsOptions

PRIOR = Path(__file__).with_name("prior.npz")
"""The rows that come with the package."""
Priors = tuple[Estimator, Estimator]
"""P(false positive) and P(missed object)."""
_KINDS = ("detections", "candidates")


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Judged rows of other detectors.

    Attributes:
        judged: the rows.
        about: how they were made: seeds, strength of the detectors; JSON values.
    """

    judged: Judged
    about: Mapping[str, Any]


@cache
def shipped_prior() -> Prior:
    """The rows that come with the package."""
    with np.load(PRIOR, allow_pickle=False) as arrays:
        told = json.loads(arrays["@"].tobytes())
        kinds = [_examples(arrays, kind) for kind in _KINDS]
    judged = Judged(tuple(told["columns"]), kinds[0], kinds[1], told["missed"])
    return Prior(judged, told["about"])


def _examples(arrays: Mapping[str, NDArray[Any]], kind: str) -> Examples:
    evidence = np.ascontiguousarray(arrays[f"{kind}.evidence"].T.astype(np.float32))
    count = len(evidence)
    return Examples(
        evidence,
        np.unpackbits(arrays[f"{kind}.error"], count=count).astype(np.bool_),
        arrays[f"{kind}.clip"].astype(np.int64),
        arrays[f"{kind}.frame"].astype(np.int64),
        np.ones(count, np.bool_),
    )


def prior_estimators(columns: tuple[str, ...], options: ExpectedErrorsOptions) -> Priors | None:
    """P(false positive) and P(missed object) as the prior has them.

    Args:
        columns: of the evidence they will be asked about.
        options: how that was gathered, and which estimator is wanted.

    Returns:
        None where no prior is wanted (``options.prior`` is 0), or where evidence is gathered in
        another way than that of the prior: its numbers would mean something else.
    """
    if options.prior == 0 or _gathered(options) != _gathered(ExpectedErrorsOptions()):
        return None
    if columns != shipped_prior().judged.columns:
        return None
    return _fitted(options.settled.estimator, options.ensemble)


def _gathered(options: ExpectedErrorsOptions) -> Mapping[str, Any]:
    """How evidence is gathered, but for the threshold: the prior has rows of several."""
    key = {**options.evidence_key, "floor": options.floor}
    del key["threshold"]
    return key


@lru_cache(maxsize=4)
def _fitted(kind: EstimatorName, ensemble: int) -> Priors:
    return estimators_of(shipped_prior().judged, kind, ensemble)


def estimators_of(judged: Judged, kind: EstimatorName, ensemble: int) -> Priors:
    """What judged rows teach, as a prior for evidence of their columns."""
    options = ExpectedErrorsOptions(estimator=kind, ensemble=ensemble)
    first, second = (
        Estimator(examples, np.ones(len(examples)), options, seed, judged.columns)
        for seed, examples in enumerate((judged.detections, judged.candidates))
    )
    return first, second


def nothing_judged(columns: tuple[str, ...]) -> Judged:
    """No rows of evidence with these columns: a model of them is the prior alone."""
    none, never = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    rows = Examples(np.zeros((0, len(columns)), np.float32), never, none, none, never)
    return Judged(columns, rows, rows, 0)
