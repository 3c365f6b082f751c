"""OpenMax: the probability of none of the classes, from how far activations lie from class means.

Bendale and Boult, "Towards open set deep networks", CVPR 2016. Decisions: the distance is that of
the authors' code (`abhijitbendale/OSDN`, `openmax_utils.py`), a 200th of the Euclidean one plus
that of the cosine; the Weibull distribution is fitted as by their libMR, to the largest distances
moved so that the smallest of them is 1; alpha is 3, as in the re-implementations that papers on
open-set active learning compare with (the authors' code has 10). A row with a negative logit is
raised to begin at 0: else a smaller logit would grow when it is shrunk towards 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vidal.errors import UsageError
from vidal.openset.checks import finite
from vidal.query.pools import items_of
from vidal.query.region_scores import Formula, RegionScore
from vidal.query.regions import Fold
from vidal.types import Explanation, IntArray, Items, Pool, ScoreArray

LEAST = 3
"""Distances that a distribution is fitted to."""

_NO_SPREAD = 4 * float(np.finfo(np.float64).eps)
"""Of distances, as a share of the largest: what rounding alone makes of equal ones."""

_TIE = 1e-9
"""Weight of what orders equals: the largest probability of a class."""


def class_distances(
    activations: NDArray[Any], means: NDArray[Any], euclidean_weight: float = 0.005
) -> ScoreArray:
    """(N, K) weight * |x - m| + 1 - cos(x, m) of activations (N, D) and class means (K, D).

    The cosine with a zero vector is 0.

    Raises:
        ValueError: other numbers of columns, or values that are not finite.
    """
    x, m = _table(activations), _table(means)
    if x.shape[1] != m.shape[1]:
        raise ValueError(f"activations {x.shape} with means {m.shape}")
    result = np.empty((len(x), len(m)))
    for column, mean in enumerate(m):
        result[:, column] = euclidean_weight * np.linalg.norm(x - mean, axis=1)
    return result + 1.0 - np.clip(_directions(x) @ _directions(m).T, -1.0, 1.0)


def weibull_fit(distances: NDArray[Any], tail: int = 20) -> ScoreArray:
    """(3,) shape, scale, shift of a Weibull distribution of the ``tail`` largest distances.

    By maximum likelihood of two parameters on x = d + 1 - shift, where shift is the smallest of the
    tail: libMR's way, so that the CDF of a distance d is that of d + 1 - shift. Zeros = no
    distribution: fewer than three values, or all of them equal.

    Args:
        distances: (n,) finite.
        tail: how many of the largest count; all where there are fewer. At least 1.

    Raises:
        ValueError: a value that is not finite, or ``tail`` below 1.
    """
    values = np.sort(np.asarray(distances, np.float64).reshape(-1))
    if not np.isfinite(values).all() or tail < 1:
        raise ValueError(f"distances that are not finite, or a tail of {tail}")
    values = values[-tail:]
    logs = np.log1p(values - values[:1])  # of x = d + 1 - shift
    if len(values) < LEAST or logs[-1] <= _NO_SPREAD * (1 + values[-1]):
        return np.zeros(3)
    shape = _shape(logs - logs[-1])
    scale = np.exp(logs[-1] + np.log(np.exp(shape * (logs - logs[-1])).mean()) / shape)
    return np.array([shape, scale, values[0]])


def weibull_cdf(distances: NDArray[Any], models: NDArray[Any]) -> ScoreArray:
    """(N, K) W(d) in [0, 1] of distances (N, K) by models (K, 3) of `weibull_fit`; 0 without one.

    Raises:
        ValueError: other numbers of models than of columns.
    """
    d = np.asarray(distances, np.float64)
    each = np.asarray(models, np.float64).reshape(-1, 3)
    if d.ndim != 2 or d.shape[1] != len(each):
        raise ValueError(f"distances {d.shape} with {len(each)} models")
    there = (each[:, 0] > 0) & (each[:, 1] > 0)
    shape, scale, shift = np.where(there[:, None], each, 1.0).T
    with np.errstate(over="ignore"):  # far beyond the scale: exp(-inf) = 0 is what is meant
        powers = (np.maximum(d + 1.0 - shift, 0.0) / scale) ** shape
    return np.where(there, -np.expm1(-powers), 0.0)


def recalibrate(
    logits: NDArray[Any], cdf: NDArray[Any], alpha: int = 3, shift_negative: bool = True
) -> ScoreArray:
    """(N, K+1) class distribution; the last column is none of the classes, 1 - it is purity.

    Of the ``alpha`` largest logits v, r = 1, 2, ..., each becomes v (1 - w W) with the weight
    w = (alpha + 1 - r) / alpha; what is taken off all of them is the logit of the last column.

    Args:
        logits: (N, K), K >= 1.
        cdf: (N, K) W of the distance from each class.
        alpha: at least 1; K where there are fewer classes.
        shift_negative: raise a row that has a negative logit so that its smallest is 0.

    Raises:
        ValueError: other shapes, no classes, ``alpha`` below 1, or values that are not finite.
    """
    v, w = _table(logits), _table(cdf)
    if v.shape != w.shape or not v.shape[1] or alpha < 1:
        raise ValueError(f"logits {v.shape} with distributions {w.shape}, alpha {alpha}")
    if shift_negative:
        v = v - np.minimum(v.min(axis=1, keepdims=True), 0.0)
    top = min(alpha, v.shape[1])
    rank = np.argsort(np.argsort(-v, axis=1, kind="stable"), axis=1, kind="stable")
    taken = v * np.maximum(0, top - rank) / top * w
    whole = np.concatenate([v - taken, taken.sum(axis=1, keepdims=True)], axis=1)
    powers = np.exp(whole - whole.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _shape(logs: ScoreArray) -> float:
    """Root of the likelihood's derivative: sum L e^kL / sum e^kL - 1/k - mean L, L <= 0 at most.

    It rises with k, from minus infinity to minus the mean of L, which is negative.
    """
    from scipy.optimize import brentq

    mean = logs.mean()

    def slope(k: float) -> float:
        weights = np.exp(k * logs)
        return float(weights @ logs / weights.sum() - 1 / k - mean)

    low = high = 1.0 / -mean
    while slope(low) > 0:
        low /= 2
    while slope(high) < 0:
        high *= 2
    return float(brentq(slope, low, high, xtol=1e-14 * high, rtol=8.9e-16, maxiter=500))


def _table(values: NDArray[Any]) -> ScoreArray:
    rows = np.asarray(values, np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise ValueError(f"shape {rows.shape} is not (rows, columns), or values are not finite")
    return rows


def _directions(rows: ScoreArray) -> ScoreArray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


@dataclass(frozen=True, slots=True)
class OpenMax:
    """Frames with objects that OpenMax gives no chance to be of none of the classes (purity).

    Bendale and Boult, "Towards open set deep networks", CVPR 2016, as a score: 1 - P(none of the
    classes), from the logits of the last layer; equals by the largest probability of a class. Means
    and distances are those of labelled objects that the model gives the right class; a class with
    fewer than three of them has no distribution. Where none has one, as in a first round, what is
    left is the order of the logits' energy (raised to begin at 0), and the reasons say so. The form
    that NEAT compares with reads the answers of the pool; this one does not.

    Attributes:
        alpha: how many of the most likely classes are weighed.
        tail: the largest distances of a class that its distribution is fitted to.
        euclidean_weight: of the Euclidean distance beside that of the cosine.
        aggregate: how detections make a frame: mean, sum, max, or top (the mean of the highest).
        top: how many the highest are, for aggregate top.
    """

    alpha: int = 3
    tail: int = 20
    euclidean_weight: float = 0.005
    aggregate: Fold = "top"
    top: int = 3

    needs: ClassVar[frozenset[str]] = frozenset({"regions", "features", "labelled", "logits"})

    def __post_init__(self) -> None:
        if self.alpha < 1:
            raise UsageError(f"alpha {self.alpha}: less than 1.", hint="Give a number of classes.")
        if self.tail < LEAST:
            raise UsageError(f"tail {self.tail}: less than {LEAST}.", hint="Such as 20.")
        if self.euclidean_weight < 0:
            raise UsageError("euclidean_weight: negative.", hint="Give 0 for the cosine alone.")
        self._scorer()  # refuses a top that is none

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) in [0, 1], and a billionth of the largest probability of a class."""
        return self._scorer().score(pool)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The frame's value, and the detection with the highest one."""
        return self._scorer().explain(pool, positions)

    def purity(self, items: Items, logits: NDArray[Any]) -> ScoreArray:
        """(N,) of logits (N, K) by what is labelled: items with a column ``logits`` (M, K)."""
        if not logits.shape[1]:
            return np.zeros(len(logits))
        means, models = self._models(items)
        distances = class_distances(finite(logits, "logits"), means, self.euclidean_weight)
        probs = recalibrate(logits, weibull_cdf(distances, models), self.alpha)
        return 1.0 - probs[:, -1] + _TIE * probs[:, :-1].max(axis=1, initial=0.0)

    def _models(self, items: Items) -> tuple[ScoreArray, ScoreArray]:
        """(K, K) mean activations and (K, 3) distributions of the classes."""
        k = items.unknown
        means, models = np.zeros((k, k)), np.zeros((k, 3))
        right = _right(items)
        logits = np.asarray(items.column("logits"), np.float64)
        for c in range(k):
            own = finite(logits[right & (items.answers == c)], "logits")
            if len(own):
                means[c] = own.mean(axis=0)
                distances = class_distances(own, means[c : c + 1], self.euclidean_weight)
                models[c] = weibull_fit(distances[:, 0], self.tail)
        return means, models

    def _scorer(self) -> RegionScore:
        return RegionScore(
            Formula(
                self.purity,
                _words,
                "",
                reads=("items", "logits"),
                signed=True,
                peak="surest",
            ),
            aggregate=self.aggregate,
            top=self.top,
        )


def _right(items: Items) -> NDArray[np.bool_]:
    """(M,) labelled objects of known classes that the model gives their class."""
    found = items.probs[:, :-1].argmax(axis=1) if items.unknown else items.answers
    return (items.answers >= 0) & (items.answers == found)


def _words(pool: Pool) -> str:
    items = items_of(pool)
    counts = np.bincount(items.answers[_right(items)], minlength=1)
    if counts.max() >= LEAST:
        return "OpenMax purity"
    return "OpenMax purity (too few labelled objects have the right class: no distances)"
