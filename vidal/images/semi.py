"""Training on images whose label is the model's own: the two-model scheme of the thesis, and CEAL.

Two models (thesis, section 3.4.3): A is trained on what people labelled; the images of the pool
whose predicted label is surest get it as a pseudo-label; B is trained on both, is judged, and
chooses what people are asked; then the pseudo-labels are forgotten. CEAL (Wang et al. 2017): one
model; what it is sure of and nobody is asked about gets its label for the next training.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import IntArray


def surest(values: NDArray[Any], share: float, ties: NDArray[Any]) -> IntArray:
    """(n,) ascending positions of the lowest values: floor(share * N) of them.

    Args:
        values: (N,) low = sure.
        share: in [0, 1].
        ties: (N,) decides between equal values, low first; then the position.

    Raises:
        ValueError: a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share: {share}, outside [0, 1]")
    count = math.floor(share * len(values) + 1e-9)
    return np.sort(np.lexsort((ties, values))[:count]).astype(np.int64)
