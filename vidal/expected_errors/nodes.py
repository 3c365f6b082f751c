"""Detections and expected boxes in one list, and the small operations on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.expected_errors.pairs import Meetings
from vidal.types import BoolArray, FloatArray, IntArray

Columns = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """Detections 0..N-1 and, after them, expected boxes N..N+M-1."""

    frame: IntArray
    boxes: FloatArray
    labels: IntArray
    scores: FloatArray
    meetings: Meetings


def at(values: NDArray[Any], other: IntArray) -> NDArray[Any]:
    """``values[other]`` with any value where there is no other."""
    return values[np.maximum(other, 0)] if len(values) else np.zeros(other.shape, values.dtype)


def mean_of(values: NDArray[Any], mask: BoolArray) -> FloatArray:
    """(R,) mean over the columns of the mask; NaN where it is empty."""
    total = np.where(mask, values, 0).sum(axis=1, dtype=np.float32)
    count = mask.sum(axis=1)
    return np.divide(total, count, out=np.full(len(total), np.nan, np.float32), where=count > 0)
