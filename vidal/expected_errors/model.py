"""Two estimators, P(false positive | evidence) and P(missed object | evidence), and their sums.

A fitted model is kept as the examples it was fitted to and a seed, and is fitted again when it is
read: the fit is deterministic and takes seconds, plain arrays outlive library versions (the arrays
inside scikit-learn's trees are private), nothing is unpickled, and the next round needs the
examples anyway, because it adds its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.expected_errors.correction import calibrate, importance
from vidal.expected_errors.estimator import Estimator, HasProbability
from vidal.expected_errors.examples import Examples, Judged
from vidal.expected_errors.features import Evidence, Rows
from vidal.expected_errors.options import ExpectedErrorsOptions
from vidal.expected_errors.prior import Priors, prior_for
from vidal.expected_errors.smoothing import blend
from vidal.types import FloatArray, IntArray, ScoreArray

FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class ErrorModel:
    """A fitted estimate of errors.

    Attributes:
        judged: what it was fitted to.
        seed: of its estimators: together with ``judged`` and ``options`` it is the whole model.
        options: how it was fitted.
        pool: evidence of the frames it is for, where ``correction`` is importance; else empty.
        prior: what says the rest where own labels are few; None = nothing does.
    """

    judged: Judged
    seed: int
    options: ExpectedErrorsOptions
    pool: tuple[FloatArray, FloatArray]
    prior: Priors | None
    _false: Estimator
    _missed: Estimator

    def false_positive(self, rows: Rows) -> ScoreArray:
        """(R,) P(false positive) of detections."""
        self._check(rows)
        return self._false.probability(rows.evidence)

    def missed(self, rows: Rows) -> ScoreArray:
        """(R,) P(missed object) of candidates."""
        self._check(rows)
        return self._missed.probability(rows.evidence)

    def probabilities(self, judged: Judged) -> tuple[ScoreArray, ScoreArray]:
        """(R,) P(false positive) and P(missed object) of judged rows, verdicts unseen.

        Raises:
            ValueError: other columns than the model was fitted to.
        """
        if judged.columns != self.judged.columns:
            raise ValueError("judged rows with other columns than the model was fitted to")
        return (
            self._false.probability(judged.detections.evidence),
            self._missed.probability(judged.candidates.evidence),
        )

    def _check(self, rows: Rows) -> None:
        if rows.columns != self.judged.columns:
            raise ValueError("evidence with other columns than the model was fitted to")

    @property
    def own_share(self) -> tuple[float, float]:
        """The weight of own labels beside the shipped prior, in [0, 1], in P(false positive) and in
        P(missed object); 1 = learned from own labels alone, 0 = the prior alone."""
        return self._false.share, self._missed.share

    def counts(self, evidence: Evidence, classes: int) -> FloatArray:
        """(F, K, 2) float32: expected false positives and missed objects of a clip's frames."""
        kinds = (
            (evidence.detections, self.false_positive(evidence.detections)),
            (evidence.candidates, self.missed(evidence.candidates)),
        )
        sums = np.stack(
            [frame_sums(rows, values, evidence.frames, classes) for rows, values in kinds], axis=2
        )
        known = np.zeros(evidence.frames, np.bool_)
        for rows, _ in kinds:
            known[rows.frame] = True
        return blend(sums, known, self.options.settled.blend, self.options.width)


def frame_sums(rows: Rows, values: NDArray[Any], frames: int, classes: int) -> FloatArray:
    """(F, K) float32 sums of the rows' values by frame and class."""
    cell = rows.frame * classes + rows.labels
    sums = np.bincount(cell, weights=values, minlength=frames * classes)
    return sums.reshape(frames, classes).astype(np.float32)


def fit(
    judged: Judged,
    rng: Generator,
    options: ExpectedErrorsOptions,
    *,
    pool: Sequence[Evidence] = (),
    prior: Priors | None = None,
) -> ErrorModel:
    """Fit both estimators; the same examples, seed and options give the same model.

    Args:
        judged: rows of all labelled frames, judged while the detector had not seen them.
        rng: one number is drawn from it.
        options: estimator and correction are used.
        pool: evidence of unlabelled clips, needed by ``correction = "importance"`` only.
        prior: what says the rest where labels are few; None = what comes with vidal, if
            ``options`` want it.

    Raises:
        ValueError: importance is asked for and there is no pool, or its columns differ.
    """
    seed, rows = int(rng.integers(2**31)), _pool_rows(judged, options, pool)
    return refit(judged, seed, options, rows, prior)


def _pool_rows(
    judged: Judged, options: ExpectedErrorsOptions, pool: Sequence[Evidence]
) -> tuple[FloatArray, FloatArray]:
    empty = np.zeros((0, len(judged.columns)), np.float32)
    if options.correction != "importance":
        return empty, empty
    if not pool or any(evidence.columns != judged.columns for evidence in pool):
        raise ValueError("correction by importance needs the evidence of the pool, same columns")
    return (
        np.concatenate([evidence.detections.evidence for evidence in pool]),
        np.concatenate([evidence.candidates.evidence for evidence in pool]),
    )


def refit(
    judged: Judged,
    seed: int,
    options: ExpectedErrorsOptions,
    pool: tuple[FloatArray, FloatArray],
    prior: Priors | None = None,
) -> ErrorModel:
    """The model that was fitted with this seed, see ``fit``."""
    prior = prior or prior_for(judged.columns, options)
    kinds = zip((judged.detections, judged.candidates), pool, prior or (None, None), strict=True)
    fitted = [
        _estimator(examples, rows, options, seed + shift, judged.columns, other)
        for shift, (examples, rows, other) in enumerate(kinds)
    ]
    return ErrorModel(judged, seed, options, pool, prior, *fitted)


def _estimator(
    examples: Examples,
    pool: FloatArray,
    options: ExpectedErrorsOptions,
    seed: int,
    columns: tuple[str, ...],
    prior: HasProbability | None,
) -> Estimator:
    """Fitted and corrected as the options say."""
    estimator = _uncalibrated(examples, pool, options, seed, columns, prior)
    if options.correction == "calibration" and examples.random.any():
        fitted = partial(
            _uncalibrated, pool=pool, options=options, seed=seed, columns=columns, prior=None
        )
        held_out = _out_of_fold(examples, fitted)
        estimator.calibration = calibrate(
            held_out[examples.random], examples.error[examples.random]
        )
    return estimator


def _uncalibrated(
    examples: Examples,
    pool: FloatArray,
    options: ExpectedErrorsOptions,
    seed: int,
    columns: tuple[str, ...],
    prior: HasProbability | None,
) -> Estimator:
    weights = np.ones(len(examples))
    if options.correction == "importance" and len(examples):
        weights = importance(examples.evidence, pool)
    return Estimator(examples, weights, options, seed, columns, prior)


def cross_probabilities(model: ErrorModel) -> tuple[ScoreArray, ScoreArray]:
    """Probabilities of a model's own rows by models that did not see their clip (or frame).

    What calibration curves and Brier scores are made of. Every fold is fitted as the model was:
    same options, seed and pool, so weighted or calibrated where the model is. Folds are clips
    where there are at least as many as folds, else frames.

    Returns:
        (R,) of the detections and of the candidates.
    """
    judged = model.judged
    kinds = zip(
        (judged.detections, judged.candidates),
        model.pool,
        model.prior or (None, None),
        strict=True,
    )
    first, second = (
        _out_of_fold(
            examples,
            partial(
                _estimator,
                pool=pool,
                options=model.options,
                seed=model.seed + shift,
                columns=judged.columns,
                prior=prior,
            ),
        )
        for shift, (examples, pool, prior) in enumerate(kinds)
    )
    return first, second


def _out_of_fold(examples: Examples, fitted: Callable[[Examples], Estimator]) -> ScoreArray:
    """(R,) probability of every row by what is fitted to the rows of the other folds."""
    result = np.zeros(len(examples))
    fold = _folds(examples)
    for number in range(FOLDS):
        inside = fold == number
        if inside.any():
            rest = fitted(examples.keep(~inside))
            result[inside] = rest.probability(examples.evidence[inside])
    return result


def _folds(examples: Examples) -> IntArray:
    """(R,) fold of every row: clips in turn, or frames in turn where clips are few."""
    clips, number = np.unique(examples.clip, return_inverse=True)
    if len(clips) < FOLDS:
        key = np.stack([examples.clip, examples.frame])
        number = np.unique(key, axis=1, return_inverse=True)[1].reshape(-1)
    return number.astype(np.int64) % FOLDS
