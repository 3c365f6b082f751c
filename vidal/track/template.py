"""Template matching by normalised cross-correlation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidal.errors import UsageError
from vidal.track.session import Recent, one_step
from vidal.types import FloatArray, Frame, Image, IntArray

VERSION = 1
"""Raised whenever the same options would give other boxes than before."""
_LEAST_SIDE = 4
"""Pixels: smaller patches match anywhere."""
_LEAST_CONTRAST = 1.0
"""Grey levels (standard deviation): a flat patch matches anywhere."""


@dataclass(frozen=True, slots=True)
class TemplatePropagator:
    """Looks for the picture inside the box where it correlates best (Lewis 1995, equation 2).

    The template is taken where a track begins and is not renewed; the size of a box never changes.
    Trust is the correlation, 0 to 1.

    Attributes:
        margin: pixels searched around the box in every direction, ...
        reach: ... and that many more for every frame between the two.
        least: correlation under which a target is lost.
    """

    margin: int = 8
    reach: int = 4
    least: float = 0.3

    def __post_init__(self) -> None:
        if self.margin < 0 or self.reach < 0 or not 1 <= self.margin + self.reach <= 200:
            raise UsageError(f"margin {self.margin} and reach {self.reach}: not 1 to 200 pixels.")
        if not 0 <= self.least <= 1:
            raise UsageError(f"least {self.least!r} is not between 0 and 1.")

    @property
    def key(self) -> Mapping[str, Any]:
        """What carried boxes depend on."""
        return {"tracker": "template", "version": VERSION, **asdict(self)}

    def session(self) -> _Session:
        """For one clip."""
        return _Session(self)

    def step(self, before: Frame, after: Frame, boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4) of ``before`` -> boxes (N, 4) in ``after`` and trust (N,).

        Raises:
            ValueError: frames of different sizes or clips.
        """
        return one_step(self.session(), before, after, boxes)


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """A patch, and where its upper left corner lies as seen from the box's."""

    patch: Image
    x: float
    y: float


class _Session:
    def __init__(self, options: TemplatePropagator) -> None:
        self._options = options
        self._grey = Recent(grey)

    def begin(self, frame: Frame, boxes: FloatArray) -> list[_Target | None]:
        return [_target(self._grey(frame), box) for box in boxes.astype(np.float64)]

    def follow(
        self,
        targets: list[_Target | None],
        rows: IntArray,
        before: Frame,
        after: Frame,
        boxes: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        image = self._grey(after)
        gap = abs(after.ref.index - before.ref.index)
        radius = max(1, self._options.margin + self._options.reach * gap)
        shift, trust = np.zeros((len(rows), 2)), np.zeros(len(rows), dtype=np.float32)
        for i, row in enumerate(rows):
            target = targets[row]
            if target is not None:
                x, y = float(boxes[i, 0]) + target.x, float(boxes[i, 1]) + target.y
                shift[i], trust[i] = _match(image, target.patch, x, y, radius)
        lost = trust < self._options.least
        trust[lost], shift[lost] = 0, 0
        return (boxes + np.hstack([shift, shift])).astype(np.float32), trust


def grey(frame: Frame) -> Image:
    """(H, W) uint8."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(frame.image), cv2.COLOR_RGB2GRAY), np.uint8)


def _target(image: Image, box: np.ndarray) -> _Target | None:
    """The part of a box that lies inside the image; None where that is too little to know it."""
    height, width = image.shape
    x1, y1, x2, y2 = np.rint(np.clip(box, 0, [width, height, width, height])).astype(int)
    patch = image[y1:y2, x1:x2]
    if min(patch.shape) < _LEAST_SIDE or patch.std() < _LEAST_CONTRAST:
        return None
    return _Target(patch, x1 - float(box[0]), y1 - float(box[1]))


def _match(
    image: Image, patch: Image, x: float, y: float, radius: int
) -> tuple[tuple[float, float], float]:
    """Shift (dx, dy) of the best match from (x, y), and its correlation in [0, 1]."""
    left, top = round(x) - radius, round(y) - radius
    there = _cut(image, left, top, patch.shape[1] + 2 * radius, patch.shape[0] + 2 * radius)
    if there is None:
        return (0.0, 0.0), 0.0
    score = cv2.matchTemplate(there, patch, cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(int(np.argmax(score)), score.shape)
    best = float(score[row, column])
    if not np.isfinite(best):
        return (0.0, 0.0), 0.0
    dx = left + column + _vertex(score[row], int(column)) - x
    dy = top + row + _vertex(score[:, column], int(row)) - y
    return (float(dx), float(dy)), min(max(best, 0.0), 1.0)


def _cut(image: Image, left: int, top: int, width: int, height: int) -> Image | None:
    """A window of the image, its border repeated outside; None where nothing is inside."""
    rows, columns = image.shape
    x1, x2 = max(left, 0), min(left + width, columns)
    y1, y2 = max(top, 0), min(top + height, rows)
    if x1 >= x2 or y1 >= y2:
        return None
    pads = (y1 - top, top + height - y2, x1 - left, left + width - x2)
    if not any(pads):
        return image[y1:y2, x1:x2]
    padded = cv2.copyMakeBorder(image[y1:y2, x1:x2], *pads, cv2.BORDER_REPLICATE)
    return np.asarray(padded, dtype=np.uint8)


def _vertex(score: NDArray[Any], at: int) -> float:
    """Where the parabola through a peak and its two neighbours is highest, from the peak."""
    if not 0 < at < len(score) - 1:
        return 0.0
    low, peak, high = (float(score[at + offset]) for offset in (-1, 0, 1))
    bend = low - 2 * peak + high
    return 0.5 * (low - high) / bend if bend < 0 else 0.0
