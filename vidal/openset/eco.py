"""Evidence conflict: features of an item that speak strongly, and for different classes.

Evidence Conflict Sampling is known from survey slides only; no code was found. There each feature j
is a Gaussian of each class and speaks for the class y_j that makes it most likely; the score is
printed as prod_y E_y with E_y = prod over j with y_j = y of exp P(x_j | y). As the features are
divided among the classes that is exp sum_j max_y P(x_j | y): the amount of evidence, no conflict
(``literal``). ``conflict`` is our reading: sum_y log(eps + sum over j with y_j = y of P_jy), which
is largest where all classes have evidence. Ours as well: statistics of each class (the slide: of
all items, with the deviation in place of the variance), the kernel exp(-z^2 / 2) for P, so that
features of small variance do not rule, and features made independent by PCA and scaled to deviation
1 before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vidal.errors import UsageError
from vidal.query.pools import items_of
from vidal.query.region_scores import Formula, RegionScore
from vidal.query.regions import Fold
from vidal.types import Explanation, IntArray, Items, Pool, ScoreArray

Form = Literal["conflict", "literal"]

_BLOCK = 1 << 20
"""Likelihoods that are held at once: 8 MB, which stays in a cache."""


def class_gaussians(
    features: NDArray[Any], labels: NDArray[Any], known: int, floor: float = 1e-4
) -> ScoreArray:
    """(2, K, D) mean and population variance of every feature in every class.

    A class with one item gets the pooled variance within classes. No variance is below ``floor``
    times the median of all K x D of them.

    Args:
        features: (M, D) finite.
        labels: (M,): 0..known-1; items of others are left out.
        known: K.
        floor: >= 0.

    Raises:
        ValueError: a class without items, other numbers of labels, or values that are not finite.
    """
    place = np.asarray(labels).astype(np.int64).reshape(-1)
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or len(place) != len(x) or not np.isfinite(x).all():
        raise ValueError(f"features {x.shape} with {len(place)} labels, or not finite")
    use = (place >= 0) & (place < known)
    x, place = x[use], place[use]
    counts = np.bincount(place, minlength=known)
    if (counts == 0).any():
        raise ValueError(f"no item of class {int(counts.argmin())}")
    groups = [x[place == c] for c in range(known)]
    shape = (known, x.shape[1])
    means = np.array([group.mean(axis=0) for group in groups]).reshape(shape)
    variances = np.array([group.var(axis=0) for group in groups]).reshape(shape)
    if (counts < 2).any():
        variances[counts < 2] = ((x - means[place]) ** 2).mean(axis=0)
    least = floor * np.median(variances) if variances.size else 0.0
    return np.stack([means, np.maximum(variances, least)])


def likelihood(
    features: NDArray[Any], gaussians: NDArray[Any], density: bool = False
) -> ScoreArray:
    """(N, D, K) exp(-z^2 / 2) of every feature under every class, in [0, 1]; or the density.

    Args:
        features: (N, D).
        gaussians: (2, K, D) of `class_gaussians`. Where a variance is 0 only the mean is likely.
        density: divide by the deviation times the root of 2 pi.

    Raises:
        ValueError: other numbers of features, or a density where a variance is 0.
    """
    x = np.asarray(features, np.float64)
    means, variances = np.asarray(gaussians, np.float64)
    if x.ndim != 2 or x.shape[1] != means.shape[1]:
        raise ValueError(f"features {x.shape} with Gaussians {means.shape}")
    away = x[:, :, None] - means.T
    away *= away
    flat = variances.T == 0
    if flat.any():
        if density:
            raise ValueError("the density of a variance of 0")
        away[:, flat] = np.where(away[:, flat] > 0, np.inf, 0.0)
    away /= np.where(flat, 1.0, variances.T) * -2.0
    result = np.exp(away, out=away)
    return result / np.sqrt(2 * np.pi * variances.T) if density else result


def evidence_literal(likelihoods: NDArray[Any]) -> ScoreArray:
    """(N,) sum_j max_y P_jy of likelihoods (N, D, K): the logarithm of the slide's product."""
    return np.asarray(np.asarray(likelihoods, np.float64).max(axis=2, initial=0.0).sum(axis=1))


def evidence_conflict(likelihoods: NDArray[Any], eps: float = 1e-6) -> ScoreArray:
    """(N,) sum_y log(eps + evidence for y) of likelihoods (N, D, K); of one class: the amount.

    The evidence for y is the sum of P_jy over the features j that speak most for y, the lower class
    among equals. Of even evidence: at most K log(eps + amount / K).

    Raises:
        ValueError: ``eps`` is not positive.
    """
    p = np.asarray(likelihoods, np.float64)
    if not eps > 0:
        raise ValueError(f"eps {eps}")
    n, _, classes = p.shape
    if classes < 2:
        return evidence_literal(p)
    winner = p.argmax(axis=2)
    most = np.take_along_axis(p, winner[:, :, None], axis=2)[:, :, 0]
    cells = np.arange(n)[:, None] * classes + winner
    evidence = np.bincount(cells.reshape(-1), most.reshape(-1), minlength=n * classes)
    return np.asarray(np.log(eps + evidence.reshape(n, classes)).sum(axis=1))


@dataclass(frozen=True, slots=True)
class EvidenceConflict:
    """Frames with objects whose features speak strongly for different classes.

    Evidence Conflict Sampling (survey slides, no paper or code at hand), on features that PCA of
    pool and labelled objects made independent; what is learned of a class are means and variances
    of its labelled objects. What is far from every class has no evidence. Where many features say
    little, chance divides them among the classes, and the conflict form sees conflict everywhere:
    ``whiten`` and ``kept`` are there to try. A class without labelled objects is left out; with one
    class left the amount of evidence decides. Where no object of the classes is labelled all are
    alike, and reasons say so.

    Attributes:
        form: conflict (evidence for several classes, our reading), or literal (the amount of
            evidence, what the printed formula comes to).
        whiten: make features independent before; false = as they are.
        kept: share of the variance that the principal components keep, in (0, 1].
        aggregate: how detections make a frame: mean, sum, max, or top (the mean of the highest).
        top: how many the highest are, for aggregate top.
    """

    form: Form = "conflict"
    whiten: bool = True
    kept: float = 1.0
    aggregate: Fold = "mean"
    top: int = 3

    needs: ClassVar[frozenset[str]] = frozenset({"regions", "features", "labelled", "labels"})

    def __post_init__(self) -> None:
        if not 0 < self.kept <= 1:
            raise UsageError(f"kept {self.kept}: not in (0, 1].", hint="1 keeps all.")
        self._scorer()  # refuses a top that is none

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) evidence, in the units of the form; as low as the lowest without detections."""
        return self._scorer().score(pool)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The frame's value, and the detection with the most."""
        return self._scorer().explain(pool, positions)

    def evidence(self, items: Items, features: NDArray[Any]) -> ScoreArray:
        """(N,) of features (N, D) by labelled items."""
        known = items.known()
        if not len(known) or not len(features):
            return np.zeros(len(features))
        whiten = (
            Whitening(features, items.features, self.kept)
            if self.whiten
            else lambda rows: rows.astype(np.float64)
        )
        classes, labels = np.unique(known.answers, return_inverse=True)
        gaussians = class_gaussians(whiten(known.features), labels, len(classes))
        rule = evidence_conflict if self.form == "conflict" else evidence_literal
        step = max(1, _BLOCK // max(1, gaussians[0].size))
        parts = [
            rule(likelihood(whiten(features[at : at + step]), gaussians))
            for at in range(0, len(features), step)
        ]
        return np.concatenate(parts)

    def _scorer(self) -> RegionScore:
        return RegionScore(
            Formula(
                self.evidence,
                self._words,
                "",
                reads=("items", "features"),
                signed=True,
                peak="most of it",
            ),
            aggregate=self.aggregate,
            top=self.top,
        )

    def _words(self, pool: Pool) -> str:
        if not len(items_of(pool).known()):
            return "evidence (no labelled object of the classes: all are alike)"
        return "conflict of evidence" if self.form == "conflict" else "amount of evidence"


class Whitening:
    """Principal components scaled to deviation 1, of all items that there are."""

    def __init__(self, pool: NDArray[Any], labelled: NDArray[Any], kept: float) -> None:
        """
        Args:
            pool: (N, D).
            labelled: (M, D).
            kept: share of the variance; components that do not vary are left out in any case.
        """
        count = len(pool) + len(labelled)
        width = pool.shape[1]
        products = np.zeros((width, width))
        step = max(1, _BLOCK // max(1, width))
        self.mean = (_sum(pool) + _sum(labelled)) / count
        for side in (pool, labelled):
            for at in range(0, len(side), step):
                block = side[at : at + step].astype(np.float64) - self.mean
                products += block.T @ block
        values, vectors = np.linalg.eigh(products / count)
        values, vectors = values[::-1], vectors[:, ::-1]
        least = values.max(initial=0.0) * max(1, width) * np.finfo(np.float64).eps
        before = np.cumsum(values) - values
        use = (values > least) & (before < kept * np.maximum(values, 0).sum())
        self._map = vectors[:, use] / np.sqrt(values[use])

    def __call__(self, features: NDArray[Any]) -> ScoreArray:
        """(n, D) -> (n, components)."""
        return np.asarray((features.astype(np.float64) - self.mean) @ self._map)


def _sum(rows: NDArray[Any]) -> ScoreArray:
    return np.asarray(rows.sum(axis=0, dtype=np.float64))
