"""Pyramidal Lucas-Kanade flow at a few points of every box, checked forward and backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from vidal.errors import UsageError
from vidal.track.session import Recent, one_step
from vidal.track.template import grey
from vidal.types import FloatArray, Frame, Image, IntArray

VERSION = 1
"""Raised whenever the same options would give other boxes than before."""
_LARGEST_GROWTH = 0.2
"""A box does not grow or shrink by more than this share a step."""


@dataclass(frozen=True, slots=True)
class SparseFlowPropagator:
    """Median flow (Kalal, Mikolajczyk and Matas 2010) of a grid of points.

    Points whose backward flow does not return to them are left out. The box moves by the median
    of the others, and grows by the median ratio of the distances between them. Trust is the share
    of points that return.

    Attributes:
        grid: points a side.
        part: the part of the box's width and height over which they lie.
        window: side of the patch that is followed, in pixels.
        levels: of the pyramid above the image itself.
        returns: pixels between a point and where it returns to, at most.
        least: share of points that return under which a box is lost.
        scale: the box also grows and shrinks.
    """

    grid: int = 4
    part: float = 0.7
    window: int = 9
    levels: int = 2
    returns: float = 1.0
    least: float = 0.25
    scale: bool = True

    def __post_init__(self) -> None:
        ranges = {"grid": (2, 16), "part": (0.1, 1), "window": (3, 63), "levels": (0, 8)}
        for name, (low, high) in {**ranges, "returns": (0.01, 100), "least": (0, 1)}.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} {value!r} is not between {low} and {high}.")

    @property
    def key(self) -> Mapping[str, Any]:
        """What carried boxes depend on."""
        return {"tracker": "sparse", "version": VERSION, **asdict(self)}

    def session(self) -> _Session:
        """For one clip."""
        return _Session(self)

    def step(self, before: Frame, after: Frame, boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4) of ``before`` -> boxes (N, 4) in ``after`` and trust (N,).

        Raises:
            ValueError: frames of different sizes or clips.
        """
        return one_step(self.session(), before, after, boxes)


class _Session:
    def __init__(self, options: SparseFlowPropagator) -> None:
        self._options = options
        self._grey = Recent(grey)

    def begin(self, frame: Frame, boxes: FloatArray) -> None:
        """Nothing is learned: points are chosen anew in every frame."""

    def follow(
        self, targets: None, rows: IntArray, before: Frame, after: Frame, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        if not len(boxes):
            return boxes.astype(np.float32), np.zeros(0, dtype=np.float32)
        points = _points(boxes, self._options.grid, self._options.part)
        ends, good = self._ends(before, after, points)
        shift, growth = _median_shift(points, ends, good)
        trust = good.mean(axis=1, dtype=np.float32)
        trust[trust < max(self._options.least, 1e-6)] = 0
        shift[trust == 0] = 0
        if not self._options.scale:
            growth[:] = 0
        growth[trust == 0] = 0
        grow = (boxes[:, 2:] - boxes[:, :2]) * (growth[:, None] / 2)
        moved = boxes + np.concatenate([shift - grow, shift + grow], axis=1)
        return moved.astype(np.float32), trust

    def _ends(
        self, before: Frame, after: Frame, points: FloatArray
    ) -> tuple[FloatArray, np.ndarray]:
        """(N, P, 2) where points go, (N, P) whether they return from there."""
        first, second = self._grey(before), self._grey(after)
        flat = points.reshape(-1, 1, 2)
        there, found = self._lucas_kanade(first, second, flat)
        back, returned = self._lucas_kanade(second, first, there)
        away = np.hypot(*np.moveaxis((back - flat)[:, 0], 1, 0))
        height, width = before.image.shape[:2]
        inside = ((there[:, 0] >= 0) & (there[:, 0] < (width, height))).all(axis=1)
        good = found & returned & inside & (away <= self._options.returns)
        return there.reshape(points.shape), good.reshape(points.shape[:2])

    def _lucas_kanade(
        self, first: Image, second: Image, points: FloatArray
    ) -> tuple[FloatArray, np.ndarray]:
        side = self._options.window
        # Any: OpenCV's type stubs do not know that the ends need not be guessed.
        calculate: Any = cv2.calcOpticalFlowPyrLK
        found = calculate(
            first, second, points, None, winSize=(side, side), maxLevel=self._options.levels
        )
        there = found[0]
        known = (found[1].reshape(-1) > 0) & np.isfinite(there).all(axis=(1, 2))
        return np.where(np.isfinite(there), there, 0).astype(np.float32), known


def _points(boxes: FloatArray, grid: int, part: float) -> FloatArray:
    """(N, grid * grid, 2) a regular grid over the inner part of every box, at pixel centres.

    Coordinates of OpenCV: the centre of the first pixel is 0, not a half.
    """
    ticks = (np.arange(grid) / (grid - 1) - 0.5) * part
    x, y = (axis.ravel() for axis in np.meshgrid(ticks, ticks))
    sides = boxes[:, None, 2:] - boxes[:, None, :2]
    centre = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    return np.asarray(centre + sides * np.stack([x, y], axis=1) - 0.5, dtype=np.float32)


def _median_shift(
    points: FloatArray, ends: FloatArray, good: np.ndarray
) -> tuple[FloatArray, FloatArray]:
    """Shift (N, 2) and growth (N,) of boxes by their good points; 0 where too few are good."""
    shift = _median(ends - points, good[:, :, None])
    first, second = np.triu_indices(points.shape[1], 1)
    both = good[:, first] & good[:, second]
    was = np.hypot(*np.moveaxis(points[:, first] - points[:, second], 2, 0))
    now = np.hypot(*np.moveaxis(ends[:, first] - ends[:, second], 2, 0))
    ratio = np.divide(now, was, out=np.ones_like(now), where=was > 0)
    growth = _median((ratio - 1)[:, :, None], both[:, :, None])[:, 0]
    return shift, np.clip(growth, -_LARGEST_GROWTH, _LARGEST_GROWTH)


def _median(values: FloatArray, good: np.ndarray) -> FloatArray:
    """Median over axis 1 of the good ones; 0 where there are none."""
    ordered = np.sort(np.where(good, values, np.inf), axis=1)
    count = np.broadcast_to(good.sum(axis=1), (len(values), values.shape[2]))
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[1] - 1)
    pick = (np.take_along_axis(ordered, each[:, None], axis=1)[:, 0] for each in (low, high))
    middle = sum(np.where(count > 0, each, 0) for each in pick) / 2
    return np.asarray(middle, dtype=np.float32)
