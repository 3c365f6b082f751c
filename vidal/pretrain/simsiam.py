"""SimSiam's loss and the measure of its collapse, as pure functions of arrays.

Chen and He, "Exploring Simple Siamese Representation Learning", CVPR 2021; Equations 5.1 and 5.2 of
Zolfaghari Bengar's thesis.
"""

from __future__ import annotations

import math

import numpy as np

from vidal.types import FloatArray, ScoreArray

_TINY = 1e-12
"""Shorter vectors have no direction: their cosine with anything is 0."""

COLLAPSED = 0.1
"""Spread (see ``spread``) below which features are all the same."""


def simsiam_loss(p1: FloatArray, z1: FloatArray, p2: FloatArray, z2: FloatArray) -> float:
    """Half the negative cosine of p1 and z2, plus half that of p2 and z1; the mean over N.

    In training z is a constant (its gradient is stopped), which changes nothing of the value.

    Args:
        p1, p2: (N, D) predictions from the first and the second view.
        z1, z2: (N, D) projections of the first and the second view.

    Returns:
        In [-1, 1]; -1 where each view predicts the other exactly, 0 for N = 0.

    Raises:
        ValueError: the four shapes differ, or are not two-dimensional.
    """
    arrays = [np.asarray(each, np.float64) for each in (p1, z1, p2, z2)]
    if arrays[0].ndim != 2 or len({each.shape for each in arrays}) != 1:
        raise ValueError(f"four arrays (N, D) are needed, not {[each.shape for each in arrays]}")
    if not arrays[0].size:
        return 0.0
    first, other, second, one = (unit(each) for each in arrays)
    cosines = 0.5 * (first * one).sum(axis=1) + 0.5 * (second * other).sum(axis=1)
    return float(np.clip(-cosines.mean(), -1.0, 1.0))


def unit(vectors: FloatArray | ScoreArray) -> ScoreArray:
    """(N, D) float64 vectors of length 1; those without a direction stay 0."""
    wide = np.asarray(vectors, np.float64)
    # Scaled first: the square of a very small or very large number leaves the range of float64.
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0.0)
    scaled = np.divide(wide, largest, out=np.zeros_like(wide), where=largest > _TINY)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.divide(scaled, length, out=scaled, where=length > 0)


def unit_std(z: FloatArray) -> float:
    """Standard deviation of the unit vectors of a batch, per dimension; the mean over dimensions.

    About ``healthy_std(D)`` where directions are spread over the sphere, 0 where all are the same:
    then training has collapsed (Section 4.1 of the paper).

    Args:
        z: (N, D) projections of N different pictures.
    """
    return float(unit(z).std(axis=0).mean()) if np.size(z) else 0.0


def healthy_std(dimensions: int) -> float:
    """``unit_std`` of directions that are spread evenly: 1 / sqrt(D)."""
    return 1 / math.sqrt(dimensions)


def spread(std: float, dimensions: int) -> float:
    """``unit_std`` as a share of ``healthy_std``: about 1 is healthy, 0 is collapse."""
    return std / healthy_std(dimensions)
