"""How much an item would change the last layer if its label were known.

Settles, Craven and Ray, "Multiple-instance active learning", NIPS 2007.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import ScoreArray


def expected_gradient_length(probs: NDArray[Any], features: NDArray[Any]) -> ScoreArray:
    """||f|| sum_c p_c ||p - e_c||; (N, K) and (N, D) -> (N,) >= 0.

    The expected length of the gradient of the cross-entropy in the weights of the last layer, over
    the labels that the model holds likely. 0 where it is certain.
    """
    p = np.asarray(probs, np.float64)
    total = np.zeros(len(p))
    for column in range(p.shape[1]):
        residual = p.copy()
        residual[:, column] -= 1.0
        total += p[:, column] * np.linalg.norm(residual, axis=1)
    return total * np.linalg.norm(np.asarray(features, np.float64), axis=1)
