"""Values of detections folded into values of their frames."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vidal.types import IntArray, ScoreArray

Fold = Literal["mean", "sum", "max", "top"]


def fold(
    values: NDArray[Any],
    frame: NDArray[Any],
    frames: int,
    how: Fold = "mean",
    top: int = 3,
    empty: float = 0.0,
) -> ScoreArray:
    """Values (N,) of detections on frames (N,) -> (frames,) float64, in the unit of the values.

    Args:
        values: (N,) of the detections.
        frame: (N,) int, the frame of each, in 0..frames-1, in any order.
        frames: how many there are.
        how: mean, sum, max, or top: the mean of the ``top`` highest, of all where there are fewer.
        top: at least 1; of ``how="top"`` only.
        empty: what a frame without detections gets.

    Raises:
        ValueError: another ``how``, ``top`` below 1, other numbers of frames than of values, or a
            frame out of range.
    """
    value = np.asarray(values, np.float64).reshape(-1)
    place = np.asarray(frame).astype(np.int64).reshape(-1)
    if how not in get_args(Fold) or top < 1:
        raise ValueError(f"how {how!r} is none of {', '.join(get_args(Fold))}, or top {top} < 1")
    if len(place) != len(value) or ((place < 0) | (place >= frames)).any():
        raise ValueError(f"{len(value)} values with {len(place)} frames in 0..{frames - 1}")
    if how == "top":
        rows = _highest(value, place, top)
        value, place = value[rows], place[rows]
    counts = np.bincount(place, minlength=frames)
    if how == "max":
        result = np.full(frames, -np.inf)
        np.maximum.at(result, place, value)
    else:
        result = np.bincount(place, weights=value, minlength=frames).astype(np.float64)
        if how != "sum":
            result /= np.maximum(1, counts)
    result[counts == 0] = empty
    return result


def _highest(values: ScoreArray, frame: IntArray, top: int) -> IntArray:
    """Rows of the ``top`` highest values of every frame."""
    order = np.lexsort((-values, frame))
    ordered = frame[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return order[rank < top]
