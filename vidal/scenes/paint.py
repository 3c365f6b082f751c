"""The canvas: the image, and beside it a buffer that holds whose pixel each one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]
SHIFT = 4
"""Fractional bits of pixel coordinates."""
_UNIT = float(1 << SHIFT)
_FAR = 1 << 14


@dataclass(frozen=True, slots=True)
class Stroke:
    """One filled convex polygon, or a line of some width.

    Attributes:
        points: (n, 2) pixels.
        colour: RGB, 0..255.
        width: of a line in pixels; 0 = a filled polygon.
        closed: does a line return to its start?
        inner: it lies within strokes painted before, so that the outline does not need it.
    """

    points: Array
    colour: tuple[float, float, float]
    width: float = 0.0
    closed: bool = False
    inner: bool = False


def picture(values: NDArray[Any]) -> Picture:
    """What a function of OpenCV returned for uint8 input, with its type; no copy."""
    return np.asarray(values, dtype=np.uint8)


def fixed(points: Array) -> NDArray[np.int32]:
    """Pixels -> the drawing functions' fixed-point integers, kept within their range.

    Pixel centres lie at half coordinates (boxes are half-open), at whole ones for the functions.
    """
    return np.rint(np.clip(points - 0.5, -_FAR, _FAR) * _UNIT).astype(np.int32)


@dataclass(slots=True)
class Canvas:
    """An image under work.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        ids: (H, W) uint8, 0 = nobody's, else the number an object was painted with.
        boxes: number -> (x1, y1, x2, y2) that holds all it painted.
    """

    image: NDArray[np.uint8]
    ids: NDArray[np.uint8]
    boxes: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)

    def paint(self, strokes: Sequence[Stroke], number: int) -> tuple[int, int, int, int] | None:
        """Paint strokes in order for object ``number`` (0 = a thing without label).

        Returns:
            The region that was touched (x1, y1, x2, y2), None if it is outside the image.
        """
        points = fixed(np.concatenate([stroke.points for stroke in strokes]))
        region = self._region(points, strokes)
        if region is None:
            return None
        start = 0
        for stroke in strokes:
            part = points[start : start + len(stroke.points)]
            start += len(stroke.points)
            colour = stroke.colour
            if stroke.width:
                width = max(1, int(stroke.width + 0.5))
                args = ([part], stroke.closed)
                cv2.polylines(self.image, *args, colour, width, cv2.LINE_AA, SHIFT)
                if not stroke.inner:
                    cv2.polylines(self.ids, *args, number, width, cv2.LINE_8, SHIFT)
            else:
                cv2.fillConvexPoly(self.image, part, colour, cv2.LINE_AA, SHIFT)
                if not stroke.inner:
                    cv2.fillConvexPoly(self.ids, part, number, cv2.LINE_8, SHIFT)
        if number:
            self.boxes[number] = region
        return region

    def _region(
        self, points: NDArray[np.int32], strokes: Sequence[Stroke]
    ) -> tuple[int, int, int, int] | None:
        margin = 2 + int(max(stroke.width for stroke in strokes))
        low = (points.min(axis=0) >> SHIFT) - margin
        high = (points.max(axis=0) >> SHIFT) + margin + 1
        height, width = self.ids.shape
        x1, y1 = max(int(low[0]), 0), max(int(low[1]), 0)
        x2, y2 = min(int(high[0]), width), min(int(high[1]), height)
        return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None

    def visible(self, number: int) -> tuple[tuple[int, int, int, int], int]:
        """The tight half-open box of an object's visible pixels, and how many there are."""
        x1, y1, x2, y2 = self.boxes[number]
        mask = (self.ids[y1:y2, x1:x2] == number).view(np.uint8)
        left, top, width, height = cv2.boundingRect(mask)
        box = (x1 + left, y1 + top, x1 + left + width, y1 + top + height)
        return box, cv2.countNonZero(mask)
