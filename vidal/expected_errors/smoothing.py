"""What is expected of a frame leans on its neighbours: errors last, noise does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import BoolArray, FloatArray, IntArray

REACH = 3.0
"""Standard deviations after which the Gaussian is cut off."""
FLICKER = 0.5
"""Weight of the neighbours in false alarms, as a share of that in misses: a missed object is missed
again in the next frame, a false alarm often is not."""
_AT_ONCE = 100_000
"""Frames that are worked on together."""


def blend(counts: FloatArray, known: BoolArray, weight: float, width: float) -> FloatArray:
    """(F, K, 2) float32: counts of a clip mixed with their mean over neighbouring frames.

    ``(1 - w) x + w G x`` with w = ``weight`` for misses and ``FLICKER`` times that for false
    alarms; G is a Gaussian over the frames where there is something to judge. Frames without
    anything keep what they have.

    Args:
        counts: (F, K, 2) false positives and misses.
        known: (F,) bool, frames with a detection or a candidate.
        weight: of the neighbours, in [0, 1].
        width: standard deviation of the Gaussian, in frames.
    """
    return blend_clips(counts, known, np.array([0, len(counts)]), weight, width)


def blend_clips(
    counts: FloatArray, known: BoolArray, starts: IntArray, weight: float, width: float
) -> FloatArray:
    """The same of many clips one behind the other; frames lean on those of their own clip only.

    Args:
        counts: (N, K, 2) of all frames.
        known: (N,) bool.
        starts: (C + 1,) where each clip begins, and N.
        weight, width: see ``blend``.
    """
    if weight == 0 or width == 0 or not known.any():
        return counts
    result = np.empty(counts.shape, np.float32)
    for first, last in _blocks(starts):
        here = slice(int(starts[first]), int(starts[last]))
        ends = starts[first : last + 1] - starts[first]
        result[here] = _blended(counts[here], known[here], ends, weight, width)
    return result


def _blocks(starts: IntArray) -> Iterator[tuple[int, int]]:
    """Half-open ranges of whole clips, of about ``_AT_ONCE`` frames each."""
    first, clips = 0, len(starts) - 1
    while first < clips:
        last = int(np.searchsorted(starts, starts[first] + _AT_ONCE, side="right")) - 1
        last = min(max(last, first + 1), clips)
        yield first, last
        first = last


def _blended(
    counts: FloatArray, known: BoolArray, starts: IntArray, weight: float, width: float
) -> NDArray[Any]:
    """Clips lie further apart than the Gaussian reaches, with nothing between them."""
    reach = int(np.ceil(REACH * width))
    lengths = np.diff(starts)
    place = np.arange(len(counts)) + reach * np.repeat(np.arange(len(lengths)), lengths)
    apart = np.zeros((len(counts) + reach * (len(lengths) - 1), *counts.shape[1:]))
    there = np.zeros(len(apart), np.bool_)
    apart[place], there[place] = np.where(known[:, None, None], counts, 0), known
    mean = _gaussian(apart, there, width)[place]
    share = np.where(known, weight, 0)[:, None, None] * np.array([FLICKER, 1.0])
    return (1 - share) * counts + share * mean


def _gaussian(values: NDArray[Any], known: BoolArray, width: float) -> NDArray[Any]:
    """Weighted mean over the known frames around each; 0 where there is none."""
    from scipy.ndimage import convolve1d

    reach = int(np.ceil(REACH * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    total = convolve1d(values.astype(np.float64), kernel, axis=0, mode="constant")
    weight = convolve1d(known.astype(np.float64), kernel, mode="constant")[:, None, None]
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
