"""What is trained on frozen features: a linear probe and a linear SVM.

The settings are the thesis's (Section 5.3): a probe by SGD with rate 30, cosine, 100 epochs, no
weight decay, batch 256; an SVM one against the rest with C = 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import softmax

from vidal.errors import UsageError
from vidal.types import FloatArray, IntArray, ScoreArray


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How a linear probe is trained.

    Attributes:
        epochs: passes over the features.
        batch: items a step.
        lr: first learning rate; it falls to zero along a cosine. 30 suits the features of a
            network whose last step is an average of rectified maps.
        momentum: of stochastic gradient descent.
        weight_decay: none, as in the thesis.
    """

    epochs: int = 100
    batch: int = 256
    lr: float = 30.0
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not self.lr > 0:
            raise UsageError(f"epochs {self.epochs}, batch {self.batch}, lr {self.lr}: below 1.")
        if not 0 <= self.momentum < 1 or self.weight_decay < 0:
            raise UsageError("momentum is not in [0, 1), or weight_decay is negative.")


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A linear map of features to one value a class.

    Attributes:
        weight: (K, D) float64.
        bias: (K,) float64; -inf for a class that no item has.
    """

    weight: ScoreArray
    bias: ScoreArray

    def decision(self, features: FloatArray) -> ScoreArray:
        """(N, K) float64 values of features (N, D)."""
        return np.asarray(features, np.float64) @ self.weight.T + self.bias

    def probabilities(self, features: FloatArray) -> ScoreArray:
        """(N, K) softmax of ``decision``."""
        return softmax(self.decision(features), axis=1)

    def predict(self, features: FloatArray) -> IntArray:
        """(N,) the class of the largest value; of equal ones the lower."""
        return self.decision(features).argmax(axis=1).astype(np.int64)

    @property
    def weight_norms(self) -> ScoreArray:
        """(K,) lengths of the weights, for ``vidal.query.svm.svm_margin``."""
        return np.linalg.norm(self.weight, axis=1)


def linear_probe(
    features: FloatArray,
    labels: IntArray,
    classes: int,
    rng: Generator,
    options: ProbeOptions | None = None,
) -> Linear:
    """Softmax regression on frozen features, weights beginning at zero.

    Args:
        features: (M, D), all finite.
        labels: (M,) in 0..classes-1. A class without items meets nothing but others' items.
        classes: K.
        rng: of the order.
        options: how; None = the thesis's.

    Raises:
        UsageError: no items, or arrays that cannot be meant.
    """
    settings = options or ProbeOptions()
    wide, answers = _checked(features, labels, classes)
    count, width = wide.shape
    weight, bias = np.zeros((classes, width)), np.zeros(classes)
    pace, pace_bias = np.zeros_like(weight), np.zeros_like(bias)
    steps = -(-count // settings.batch) * settings.epochs
    step = 0
    for _ in range(settings.epochs):
        order = rng.permutation(count)
        for first in range(0, count, settings.batch):
            rows = order[first : first + settings.batch]
            error = softmax(wide[rows] @ weight.T + bias, axis=1)
            error[np.arange(len(rows)), answers[rows]] -= 1
            error /= len(rows)
            rate = settings.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            decay = settings.weight_decay
            pace = settings.momentum * pace + error.T @ wide[rows] + decay * weight
            pace_bias = settings.momentum * pace_bias + error.sum(axis=0) + decay * bias
            weight, bias = weight - rate * pace, bias - rate * pace_bias
            step += 1
    return Linear(weight, bias)


def linear_svm(
    features: FloatArray, labels: IntArray, classes: int, *, cost: float = 5.0
) -> Linear:
    """A linear SVM, one class against the rest (scikit-learn's ``LinearSVC``), C = ``cost``.

    Args:
        features: (M, D), all finite.
        labels: (M,) in 0..classes-1, of two classes at least. A class without items has weights 0
            and the value -inf everywhere.
        classes: K.
        cost: C.

    Raises:
        UsageError: items of fewer than two classes, or arrays that cannot be meant.
    """
    from sklearn.svm import LinearSVC

    wide, answers = _checked(features, labels, classes)
    there = np.unique(answers)
    if len(there) < 2:
        raise UsageError("a support vector machine needs items of two classes at least.")
    # The dual problem is drawn in random order, the primal is not, and is smaller where M > D.
    machine = LinearSVC(C=cost, dual=False, max_iter=5000)
    machine.fit(wide, answers)
    weight, bias = np.zeros((classes, wide.shape[1])), np.full(classes, -np.inf)
    found, shift = machine.coef_, machine.intercept_
    if len(there) == 2:  # one plane stands for both classes
        found, shift = np.concatenate([-found, found]), np.concatenate([-shift, shift])
    weight[there], bias[there] = found, shift
    return Linear(weight, bias)


def _checked(features: FloatArray, labels: IntArray, classes: int) -> tuple[ScoreArray, IntArray]:
    wide, answers = np.asarray(features, np.float64), np.asarray(labels)
    if wide.ndim != 2 or answers.shape != wide.shape[:1]:
        raise UsageError(f"features {wide.shape} and labels {answers.shape} do not fit.")
    if not len(wide):
        raise UsageError("there are no items to learn from.")
    if not np.isfinite(wide).all():
        raise UsageError("features: not all of them are finite.")
    if answers.dtype.kind not in "iu" or not ((answers >= 0) & (answers < classes)).all():
        raise UsageError(f"labels: not all of them are in 0..{classes - 1}.")
    return wide, answers.astype(np.int64)
