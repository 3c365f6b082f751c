"""The extent of masks as COCO writes them: polygons, and run lengths plain or compressed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

Box = tuple[float, float, float, float]

_MOST = 1 << 22
"""Runs of the longest mask that is read."""


def extent(segmentation: Any) -> Box | None:
    """The box around a mask, xyxy; None where it holds nothing, or is not of a known form.

    Args:
        segmentation: ``[[x1, y1, x2, y2, ...], ...]`` of at least three corners each, or
            ``{"size": [height, width], "counts": [...] or text}``: runs of 0 and 1 down the
            columns, compressed as in the COCO API's ``rleToString``.
    """
    if isinstance(segmentation, list):
        return _of_polygons(segmentation)
    if isinstance(segmentation, dict):
        return _of_runs(segmentation.get("size"), segmentation.get("counts"))
    return None


def of_points(points: Sequence[float]) -> Box | None:
    """The box around x1, y1, x2, y2, ...; None for fewer than three corners, or one not finite."""
    if len(points) < 6 or len(points) % 2:
        return None
    wide = np.array(points, dtype=np.float64)
    if not np.isfinite(wide).all():
        return None
    x, y = wide[0::2], wide[1::2]
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _of_polygons(parts: list[Any]) -> Box | None:
    if parts and not isinstance(parts[0], list):
        parts = [parts]  # one polygon without its outer brackets
    corners = []
    for part in parts:
        if not isinstance(part, list) or not all(map(_number, part)):
            return None
        try:
            box = of_points(part)
        except OverflowError:
            return None
        if box is None:
            return None
        corners.append(box)
    return _around(corners)


def _around(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return min(x1), min(y1), max(x2), max(y2)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_runs(size: Any, counts: Any) -> Box | None:
    if isinstance(counts, str):
        counts = _expanded(counts)
    if not isinstance(size, list) or not isinstance(counts, list):
        return None
    if not all(isinstance(v, int) and not isinstance(v, bool) for v in chain(size, counts)):
        return None
    if len(size) != 2 or not all(1 <= side <= 1 << 20 for side in size) or len(counts) > _MOST:
        return None
    if min(counts, default=-1) < 0 or sum(counts) != size[0] * size[1]:
        return None
    height = size[0]
    ends = np.cumsum(np.array(counts, dtype=np.int64))
    starts, stops = ends[0::2][: len(ends) // 2], ends[1::2]
    seen = stops > starts
    starts, last = starts[seen], stops[seen] - 1
    if not len(starts):
        return None
    # A run that goes on in the next column touches both the top and the bottom.
    spans = starts // height != last // height
    top = np.where(spans, 0, starts % height).min()
    bottom = np.where(spans, height - 1, last % height).max() + 1
    left, right = starts[0] // height, last[-1] // height + 1
    return float(left), float(top), float(right), float(bottom)


def _expanded(text: str) -> list[int] | None:
    """Counts of the COCO API's compressed text: six bits a character, differences after the
    second; None where it is none."""
    counts: list[int] = []
    value = bits = 0
    for character in text:
        part = ord(character) - 48
        if not 0 <= part < 64 or bits > 60:
            return None
        value |= (part & 31) << bits
        bits += 5
        if part & 32:
            continue
        if part & 16:
            value -= 1 << bits
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = bits = 0
    return None if bits else counts
