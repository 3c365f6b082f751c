"""What methods without training share: arrays that they refuse, and what they read of a pool."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import UsageError
from vidal.types import ScoreArray

_BLOCK = 65_536


def finite(values: NDArray[Any], of: str = "features") -> NDArray[Any]:
    """The array itself.

    Raises:
        UsageError: a value is NaN or infinite; ``of`` says of what.
    """
    for at in range(0, len(values), _BLOCK):
        if not np.isfinite(values[at : at + _BLOCK]).all():
            why = f"{of} of detections hold NaN or infinite values."
            raise UsageError(why, hint="Look at the detector that they are of.")
    return values


def numbers(*arrays: NDArray[Any]) -> list[ScoreArray]:
    """The arrays as float64.

    Raises:
        ValueError: a value is NaN or infinite.
    """
    found = [np.asarray(each, np.float64) for each in arrays]
    if not all(np.isfinite(each).all() for each in found):
        raise ValueError("values are NaN or infinite")
    return found


def known_probs(probs: NDArray[Any]) -> ScoreArray:
    """(n, K+1) with the background last -> (n, K) of the classes alone, rows sum to 1.

    All classes alike where all of it was background.
    """
    own = np.asarray(probs[:, :-1], np.float64)
    whole = own.sum(axis=1, keepdims=True)
    even = np.full_like(own, 1 / max(1, own.shape[1]))
    return np.divide(own, whole, out=even, where=whole > 0)
