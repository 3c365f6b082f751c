"""Two estimators, P(false positive | evidence) and P(missed object | evidence), and their sums.

A fitted model is kept as the examples it was fitted to and a seed, and is fitted again when it is
read: the fit is deterministic and takes seconds, plain arrays outlive library versions (the arrays
inside scikit-learn's trees are private), nothing is unpickled, and the next round needs the
examples anyway, because it adds its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.expected_errors.correction import calibrate, importance
from vidal.expected_errors.estimator import Estimator
from vidal.expected_errors.examples import Examples, Judged
from vidal.expected_errors.features import Evidence, Rows
from vidal.expected_errors.options import ExpectedErrorsOptions
from vidal.expected_errors.prior import HasProbability, Priors, Shrunk, Trees, prior_for
from vidal.expected_errors.smoothing import blend
from vidal.expected_errors.totals import Totals, learn_totals
from vidal.types import FloatArray, IntArray, ScoreArray

FOLDS = 5
FEW_ROWS = 3_000
"""Rows that a fold is fitted to where only levels are wanted of it."""


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
    _false: Shrunk
    _missed: Shrunk

    def false_positive(self, rows: Rows) -> ScoreArray:
        """(R,) P(false positive) of detections."""
        self._check(rows)
        return self._false.probability(rows.evidence)

    def missed(self, rows: Rows) -> ScoreArray:
        """(R,) P(missed object) of candidates."""
        self._check(rows)
        return self._missed.probability(rows.evidence)

    def chances(
        self, detections: FloatArray, candidates: FloatArray
    ) -> tuple[ScoreArray, ScoreArray]:
        """(R,) P(false positive) and P(missed object) of rows of evidence, of any number of clips.

        Every row is judged by itself: many at once are the same numbers in less time.

        Args:
            detections, candidates: (R, C) evidence with the columns that the model was fitted to.
        """
        return self._false.probability(detections), self._missed.probability(candidates)

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
        """The weight of own labels beside the prior, in [0, 1], for either kind of error.

        1 = learned from own labels alone, 0 = the prior alone.
        """
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
        _shrunk(examples, other, rows, options, seed + shift, judged.columns)
        for shift, (examples, rows, other) in enumerate(kinds)
    ]
    return ErrorModel(judged, seed, options, pool, prior, *fitted)


def _shrunk(
    examples: Examples,
    prior: Trees | None,
    pool: FloatArray,
    options: ExpectedErrorsOptions,
    seed: int,
    columns: tuple[str, ...],
    most: int | None = None,
) -> Shrunk:
    own = _estimator(examples, pool, options, seed, columns, most)
    return Shrunk(own, int(np.count_nonzero(examples.error)), prior, options.prior)


def _estimator(
    examples: Examples,
    pool: FloatArray,
    options: ExpectedErrorsOptions,
    seed: int,
    columns: tuple[str, ...],
    most: int | None = None,
) -> Estimator:
    """Fitted and corrected as the options say."""
    fitted = partial(
        _uncalibrated, pool=pool, options=options, seed=seed, columns=columns, most=most
    )
    estimator = fitted(examples)
    if options.correction == "calibration" and examples.random.any():
        held_out = _out_of_fold(examples, fitted, _by_clip(examples))
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
    most: int | None,
) -> Estimator:
    weights = np.ones(len(examples))
    if options.correction == "importance" and len(examples):
        weights = importance(examples.evidence, pool)
    return Estimator(examples, weights, options, seed, columns, most)


def cross_probabilities(model: ErrorModel) -> tuple[ScoreArray, ScoreArray]:
    """Probabilities of a model's own rows by models that did not see their clip (or frame).

    What calibration curves and Brier scores are made of. Every fold is fitted as the model was:
    same options, seed and pool, so weighted or calibrated where the model is. Folds are clips
    where there are at least as many as folds, else frames.

    Returns:
        (R,) of the detections and of the candidates.
    """
    return _cross(model, model.options, _by_clip)


def model_totals(model: ErrorModel) -> Totals | None:
    """What makes counts of a model's sums, learned from its own labels.

    Every frame is expected by models that saw the other labelled frames of its clip: so is a frame
    that the model will be asked about.

    Returns:
        None where it is not known which misses nothing covers, or the version counts by sums.
    """
    if not len(model.judged.misses) or not model.options.settled.totals:
        return None
    # One boosted model and fewer rows than the whole has: enough for a level, in half the time.
    light = replace(model.options, ensemble=1)
    return learn_totals(model.judged, _cross(model, light, _by_frame, FEW_ROWS))


def _cross(
    model: ErrorModel,
    options: ExpectedErrorsOptions,
    folds: Callable[[Examples], IntArray],
    most: int | None = None,
) -> tuple[ScoreArray, ScoreArray]:
    """(R,) probabilities of a model's own detections and candidates, out of fold."""
    judged = model.judged
    columns, result = judged.columns, []
    priors = model.prior or (None, None)
    for shift, (examples, pool, prior) in enumerate(
        zip((judged.detections, judged.candidates), model.pool, priors, strict=True)
    ):
        fitted = partial(
            _shrunk,
            prior=prior,
            pool=pool,
            options=options,
            seed=model.seed + shift,
            columns=columns,
            most=most,
        )
        result.append(_out_of_fold(examples, fitted, folds(examples)))
    return result[0], result[1]


def _out_of_fold(
    examples: Examples, fitted: Callable[[Examples], HasProbability], fold: IntArray
) -> ScoreArray:
    """(R,) probability of every row by what is fitted to the rows of the other folds."""
    result = np.zeros(len(examples))
    for number in range(FOLDS):
        inside = fold == number
        if inside.any():
            rest = fitted(examples.keep(~inside))
            result[inside] = rest.probability(examples.evidence[inside])
    return result


def _by_clip(examples: Examples) -> IntArray:
    """(R,) fold of every row: clips in turn, or frames in turn where clips are few."""
    clips, number = np.unique(examples.clip, return_inverse=True)
    if len(clips) < FOLDS:
        return _by_frame(examples)
    return number.astype(np.int64) % FOLDS


def _by_frame(examples: Examples) -> IntArray:
    """(R,) fold of every row: frames in turn."""
    key = np.stack([examples.clip, examples.frame])
    number = np.unique(key, axis=1, return_inverse=True)[1].reshape(-1)
    return number.astype(np.int64) % FOLDS
