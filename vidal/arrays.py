"""Pure helpers of array code that several rooms share; float64 inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import ScoreArray


def min_max(x: NDArray[Any]) -> ScoreArray:
    """(N,) scaled linearly to [0, 1]; zeros where all values are equal."""
    values = np.asarray(x, np.float64)
    if not values.size:
        return values
    low = values.min()
    spread = values.max() - low
    return (values - low) / spread if spread > 0 else np.zeros_like(values)


def z_score(x: NDArray[Any], reference: NDArray[Any] | None = None) -> ScoreArray:
    """(N,) in population standard deviations from the mean of ``reference`` (M,), or of ``x``.

    Zeros where the reference has no spread.
    """
    values = np.asarray(x, np.float64)
    of = values if reference is None else np.asarray(reference, np.float64)
    if not of.size:
        return np.zeros_like(values)
    deviation = of.std()
    return (values - of.mean()) / deviation if deviation > 0 else np.zeros_like(values)
