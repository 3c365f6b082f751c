"""One kind of error: an ensemble of classifiers, or a constant where too little can be learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from vidal.expected_errors.correction import Calibration, line, varying
from vidal.expected_errors.examples import Examples
from vidal.expected_errors.features import PLACE
from vidal.expected_errors.options import ExpectedErrorsOptions
from vidal.types import FloatArray, IntArray, ScoreArray

LEAST_ERRORS = 5
"""Below this many errors, or this many rows without one, only their share is learned."""
MOST_ROWS = 10_000
"""Rows that one member of an ensemble is fitted to, drawn at random where there are more: keeps the
fit of 5,000 labelled frames within seconds, and makes the members differ."""
_LOGISTIC_WEIGHT = "logisticregression__sample_weight"
_UNKNOWN = -1.0
"""What a forest is told where nothing is known: below every value that is. Boosting keeps NaN; in
scikit-learn 1.5 a forest cannot."""


class Estimator:
    """P(error) of rows.

    Boosting and forests err in different ways (one over-fits few rows, the other is dull on many),
    so the mean of the two is better than either. The forest does not see ``PLACE``.
    """

    def __init__(
        self,
        examples: Examples,
        weights: ScoreArray,
        options: ExpectedErrorsOptions,
        seed: int,
        columns: tuple[str, ...],
        most: int | None = None,
    ) -> None:
        """
        Args:
            examples: to learn from.
            weights: (R,) of the rows.
            options: estimator and ensemble are used.
            seed: of the members.
            columns: names of the evidence columns.
            most: rows that a member is fitted to; None = ``MOST_ROWS``.
        """
        errors = int(np.count_nonzero(examples.error))
        # Laplace's rule keeps a share of 0 or 1 of few rows from being certain.
        self._share = (errors + 1) / (len(examples) + 2)
        self._families: list[list[tuple[Any, IntArray]]] = []
        self.calibration = Calibration()
        use = varying(examples.evidence)
        if min(errors, len(examples) - errors) < LEAST_ERRORS or not len(use):
            return
        blind = np.array([c for c in use if columns[c] not in PLACE], np.int64)
        blind = blind if len(blind) else use
        kind = options.settled.estimator
        plans = {
            "trees": [(use if member % 2 == 0 else blind) for member in range(options.ensemble)],
            "forest": [blind],
            "logistic": [blind],
        }
        for name in ("trees", "forest") if kind == "mixed" else (kind,):
            members = (
                _fitted(name, examples, weights, seed + member, seen, most or MOST_ROWS)
                for member, seen in enumerate(plans[name])
            )
            family = [each for each in members if each is not None]
            if family:
                self._families.append(family)

    def probability(self, evidence: FloatArray) -> ScoreArray:
        """(R,) in [0, 1]."""
        if not len(evidence) or not self._families:
            return np.full(len(evidence), self._share)
        means = [
            np.mean([_chances(member, evidence[:, seen]) for member, seen in family], 0)
            for family in self._families
        ]
        return self.calibration.apply(np.mean(means, axis=0))


def _chances(member: Any, evidence: FloatArray) -> ScoreArray:
    """(R,) of a member; of each row the same, to the bit, whichever rows it is judged with.

    Trees are so by themselves. A matrix product is cut into blocks, and the last bit of a row of it
    depends on them; a sum along the row does not.
    """
    if not hasattr(member, "steps") or not hasattr(member[-1], "coef_"):
        return np.asarray(member.predict_proba(evidence)[:, 1])
    from scipy.special import expit

    seen = np.ascontiguousarray(member[:-1].transform(evidence), np.float64)
    return np.asarray(expit((seen * member[-1].coef_[0]).sum(axis=1) + member[-1].intercept_[0]))


def _fitted(
    name: str,
    examples: Examples,
    weights: ScoreArray,
    seed: int,
    seen: IntArray,
    most: int,
) -> tuple[Any, IntArray] | None:
    """A member and the columns it sees; None where the rows it drew are all right or all wrong."""
    rows = _some(len(examples), seed, most)
    # scikit-learn bins weighted rows sixteen times slower, to the same thresholds: boosted trees
    # draw rows by their weight instead.
    if name == "trees" and not (examples.weight == 1).all():
        kept = np.random.default_rng(seed).random(len(rows)) < examples.weight[rows]
        rows = rows[kept]
    elif name != "trees":
        weights = weights * examples.weight
    error = examples.error[rows]
    if error.all() or not error.any():
        return None
    classifier = _classifier(name, seed)
    key = {"logistic": _LOGISTIC_WEIGHT, "forest": "extratreesclassifier__sample_weight"}
    given = {key.get(name, "sample_weight"): weights[rows]}
    given = {} if (weights == 1).all() else given
    classifier.fit(examples.evidence[rows][:, seen], error, **given)
    return classifier, seen


def _some(count: int, seed: int, most: int) -> IntArray:
    if count <= most:
        return np.arange(count, dtype=np.int64)
    drawn = np.random.default_rng(seed).choice(count, most, replace=False)
    return np.sort(drawn).astype(np.int64)


def _classifier(name: str, seed: int) -> Any:
    # scikit-learn takes a second to import: only where something is fitted.
    if name == "logistic":
        return line(0.1)
    if name == "forest":
        return forest(seed)
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=80,
        learning_rate=0.08,
        max_leaf_nodes=12,
        min_samples_leaf=20,
        max_features=0.3,
        early_stopping=False,
        random_state=seed,
    )


def forest(seed: int, trees: int = 120) -> Any:
    """Extremely randomised trees that take NaN. Geurts, Ernst, Wehenkel, 2006."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=_UNKNOWN, keep_empty_features=True),
        ExtraTreesClassifier(n_estimators=trees, min_samples_leaf=4, random_state=seed),
    )
