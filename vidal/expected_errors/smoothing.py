"""What is expected of a frame leans on its neighbours: errors last, noise does not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import BoolArray, FloatArray

REACH = 3.0
"""Standard deviations after which the Gaussian is cut off."""
FLICKER = 0.5
"""Weight of the neighbours in false alarms, as a share of that in misses: a missed object is missed
again in the next frame, a false alarm often is not."""


def blend(counts: FloatArray, known: BoolArray, weight: float, width: float) -> FloatArray:
    """(F, K, 2) float32: counts mixed with their mean over neighbouring frames.

    ``(1 - w) x + w G x`` with w = ``weight`` for misses and ``FLICKER`` times that for false
    alarms; G is a Gaussian over the frames where there is something to judge. Frames without
    anything keep what they have.

    Args:
        counts: (F, K, 2) false positives and misses.
        known: (F,) bool, frames with a detection or a candidate.
        weight: of the neighbours, in [0, 1].
        width: standard deviation of the Gaussian, in frames.
    """
    if weight == 0 or width == 0 or not known.any():
        return counts
    mean = _gaussian(np.where(known[:, None, None], counts, 0), known, width)
    share = np.where(known, weight, 0)[:, None, None] * np.array([FLICKER, 1.0])
    return ((1 - share) * counts + share * mean).astype(np.float32)


def _gaussian(values: NDArray[Any], known: BoolArray, width: float) -> NDArray[Any]:
    """Weighted mean over the known frames around each; 0 where there is none."""
    from scipy.ndimage import convolve1d

    reach = int(np.ceil(REACH * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    total = convolve1d(values.astype(np.float64), kernel, axis=0, mode="constant")
    weight = convolve1d(known.astype(np.float64), kernel, mode="constant")[:, None, None]
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
