"""One line of a YOLO label file: a box, a polygon or a pose, normalised to the image."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from vidal.formats._segmentation import of_points

Box = tuple[float, float, float, float]

_SLACK = 1e-3
"""Exporters round: a value may lie this much beyond 1."""


class Unreadable(Exception):
    """A line that says no box; the argument says why."""


def parse(line: str, keypoints: int = 0) -> tuple[int, Box]:
    """Class number and box, xyxy in shares of the image.

    ``class cx cy w h [confidence]``; ``class x1 y1 x2 y2 x3 y3 ...``, of which the box is the
    extent; with ``keypoints`` numbers after the box of a pose.

    Raises:
        Unreadable: anything else.
    """
    parts = line.split()
    count = len(parts)
    if count not in (5, 6, 5 + keypoints) and (count < 7 or count % 2 == 0):
        raise Unreadable(f"expected class cx cy w h [confidence] or a polygon, got {count} columns")
    try:
        if "_" in line:
            raise ValueError(line)  # Python alone takes 1_0 for ten
        number, *values = (float(part) for part in parts)
    except ValueError:
        raise Unreadable("not numbers") from None
    if not isfinite(number) or number != int(number):
        raise Unreadable("class is not a whole number")
    polygon = count >= 7 and count != 5 + keypoints
    if count == 7 and polygon and parts[-1].isdecimal():
        raise Unreadable("a triangle, or a box with confidence and track: which is not certain")
    place = values if polygon else values[:4]
    if not all(map(isfinite, place)):
        raise Unreadable("box is not finite")
    if max(place) > 1 + _SLACK:
        raise Unreadable("not normalised: beyond 1")
    if polygon:
        box = of_points(values)
        if box is None:
            raise Unreadable("not a polygon")
    else:
        cx, cy, w, h = place
        box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    return int(number), box


def keypoints_of(keys: Mapping[str, Any]) -> int:
    """Numbers of a pose after its box, by ``kpt_shape`` of the YAML file; 0 = no poses."""
    shape = keys.get("kpt_shape")
    if not isinstance(shape, list) or len(shape) != 2:
        return 0
    count, each = shape
    if not isinstance(count, int) or not 0 < count < 1000 or each not in (2, 3):
        return 0
    return count * int(each)
