"""Labelled frames were chosen, not drawn: two ways to make up for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vidal.types import BoolArray, FloatArray, IntArray, ScoreArray

LARGEST_WEIGHT = 10.0
"""Bound of an importance weight, and of its inverse, before they are scaled to a mean of 1."""
LEAST_RANDOM = 20
"""Rows drawn at random, of either verdict, below which nothing is calibrated."""
_EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """p -> sigmoid(slope * logit(p) + shift); the default changes nothing.

    Platt, "Probabilistic outputs for support vector machines", 1999.
    """

    slope: float = 1.0
    shift: float = 0.0

    def apply(self, probability: ScoreArray) -> ScoreArray:
        """(R,) in [0, 1]; the order is kept."""
        if self.slope == 1.0 and self.shift == 0.0:
            return probability
        return np.asarray(1 / (1 + np.exp(-(self.slope * _logit(probability) + self.shift))))


def calibrate(probability: ScoreArray, error: BoolArray) -> Calibration:
    """The calibration that fits verdicts on frames drawn at random.

    Args:
        probability: (R,) by models that did not see these rows.
        error: (R,) bool.
    """
    if min(np.count_nonzero(error), np.count_nonzero(~error)) < LEAST_RANDOM:
        return Calibration()
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1.0).fit(_logit(probability)[:, None], error)
    # A falling line would turn the order round.
    slope = float(fitted.coef_[0, 0])
    return Calibration(slope, float(fitted.intercept_[0])) if slope > 0 else Calibration()


def importance(chosen: FloatArray, pool: FloatArray) -> ScoreArray:
    """(R,) weights, mean 1, that make chosen rows look like the pool's.

    The density ratio by a logistic regression that tells the two apart. Shimodaira, "Improving
    predictive inference under covariate shift", 2000; Bickel et al., 2009.

    Args:
        chosen: (R, C) evidence of labelled rows.
        pool: (S, C) evidence of the rows that the estimate is for.
    """
    if not len(chosen) or not len(pool):
        return np.ones(len(chosen))
    classifier = line(0.01)
    both = np.concatenate([chosen, pool])
    use = varying(both)
    if not len(use):
        return np.ones(len(chosen))
    classifier.fit(both[:, use], np.repeat([0, 1], [len(chosen), len(pool)]))
    odds = np.exp(classifier.decision_function(chosen[:, use])) * len(chosen) / len(pool)
    weights = np.clip(odds, 1 / LARGEST_WEIGHT, LARGEST_WEIGHT)
    return weights / weights.mean()


def varying(evidence: FloatArray) -> IntArray:
    """Columns with at least two different values: the others tell nothing apart.

    They also have to go because scikit-learn cannot bin a column that is NaN throughout.
    """
    known = ~np.isnan(evidence)
    low = np.where(known, evidence, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, evidence, -np.inf).max(axis=0, initial=-np.inf)
    return np.flatnonzero(low < high)


def line(strength: float) -> Any:
    """Logistic regression on standardised columns; NaN becomes 0 and a column that says so."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=0.0, add_indicator=True),
        StandardScaler(),
        LogisticRegression(C=strength, max_iter=300),
    )


def _logit(probability: ScoreArray) -> ScoreArray:
    p = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.log(p / (1 - p))
