"""How near an item is to a separating plane of a linear classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import ScoreArray


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
