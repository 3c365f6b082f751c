"""How near an item is to a separating plane of a linear classifier."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import EvidenceMissing
from vidal.types import Items, ScoreArray

REGULARISATION = 5.0
"""C of the linear SVM (thesis, chapter 5)."""
_ITERATIONS = 2000


def svm_margin(decision: NDArray[Any], weight_norms: NDArray[Any]) -> ScoreArray:
    """-min_c |d_c| / ||w_c||; (N, C) and (C,) -> (N,) <= 0, high = near a plane.

    A class without a plane (norm 0) does not count; 0 throughout where no class has one. Tong and
    Koller, "Support vector machine active learning with applications to text classification",
    JMLR 2001, section 4 ("simple margin"), by true distances.

    Args:
        decision: w_c . f + b_c of each class.
        weight_norms: Euclidean, >= 0.
    """
    norms = np.asarray(weight_norms, np.float64)
    planes = np.flatnonzero(norms > 0)
    if not len(planes):
        return np.zeros(len(decision))
    distances = np.abs(np.asarray(decision, np.float64)[:, planes]) / norms[planes]
    return np.asarray(-distances.min(axis=1))


def margin_of_labelled(features: NDArray[Any], items: Items) -> ScoreArray:
    """(N,) <= 0 `svm_margin` of detections, by planes between what is labelled.

    One plane a class against the rest, the background being one more class; objects outside the
    classes teach nothing. Features are scaled to deviation 1 first: distances are in that space.

    Args:
        features: (N, D).
        items: labelled, with features.

    Raises:
        EvidenceMissing: what is labelled is of fewer than two classes.
    """
    planes = _fitted(items)
    rows = (features.astype(np.float64) - planes.mean) / planes.spread
    return svm_margin(rows @ planes.weights.T + planes.offsets, planes.norms)


@dataclass(frozen=True, slots=True, eq=False)
class _Planes:
    """Scale (D,) of the features; weights (C, D), offsets (C,) and norms (C,) of the planes."""

    mean: ScoreArray
    spread: ScoreArray
    weights: ScoreArray
    offsets: ScoreArray

    @property
    def norms(self) -> ScoreArray:
        return np.asarray(np.linalg.norm(self.weights, axis=1))


@lru_cache(maxsize=1)  # of one round: scores, picks and reasons ask for the same planes
def _fitted(items: Items) -> _Planes:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    kept = items.keep(items.answers != items.unknown)
    if len(np.unique(kept.answers)) < 2:
        raise EvidenceMissing(
            "svm-margin",
            "labelled",
            f"needs labelled detections of two classes, and there are {len(kept)} of"
            f" {len(np.unique(kept.answers))}",
            hint="Label a first round chosen by another strategy, such as random.",
        )
    base = kept.features.astype(np.float64)
    spread = base.std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    machine = LinearSVC(C=REGULARISATION, random_state=0, max_iter=_ITERATIONS)
    with warnings.catch_warnings():
        # Planes that are not the very best separate well enough to rank by.
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit((base - base.mean(axis=0)) / scale, kept.answers)
    return _Planes(base.mean(axis=0), scale, machine.coef_, machine.intercept_)
