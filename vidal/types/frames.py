"""Clips and frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidal.types.arrays import BoolArray, FloatArray, Image, IntArray, frozen, set_fields


@dataclass(frozen=True, slots=True, order=True)
class FrameRef:
    """One frame: clip id and zero-based presentation ordinal; prints ``clip@000123``."""

    clip: str
    index: int

    def __str__(self) -> str:
        return f"{self.clip}@{self.index:06d}"


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One video: a file, or a folder of numbered images.

    Attributes:
        id: name + content digest; the same on every machine.
        path: where it lies on this one.
        pts: (F,) int64, strictly increasing presentation times, in ticks of ``time_base``;
            for a folder of images the numbers in the file names.
        time_base: seconds a tick.
        rate: nominal frames a second.
        size: (height, width) in pixels, as displayed (after rotation).
        truncated: packets at the end that could not be decoded (0 for a whole clip).
        keyframes: (K,) int64, increasing indices of the frames where decoding can start; may be
            empty, then every frame is reached from the first one.
        reader: how frames are found: ``pts`` (by presentation time), ``order`` (by counting what
            is decoded, where a file has no usable times), ``opencv`` (counting, by OpenCV),
            ``images`` (a folder of numbered images) or ``none`` (no pixels: known by detections).
    """

    id: str
    path: Path
    pts: IntArray
    time_base: Fraction
    rate: Fraction
    size: tuple[int, int]
    truncated: int = 0
    keyframes: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    reader: str = "pts"

    def __post_init__(self) -> None:
        set_fields(
            self,
            pts=frozen(self.pts, np.int64, (None,), "pts"),
            keyframes=frozen(self.keyframes, np.int64, (None,), "keyframes"),
        )
        if len(self.pts) > 1 and not (np.diff(self.pts) > 0).all():
            raise ValueError("pts: not strictly increasing")
        if self.reader not in ("pts", "order", "opencv", "images", "none"):
            raise ValueError(f"reader: {self.reader!r}")

    @property
    def pixels(self) -> bool:
        """Whether there is anything to decode."""
        return self.reader != "none"

    @property
    def frames(self) -> int:
        """How many frames the clip has."""
        return len(self.pts)

    def seconds(self, index: int) -> float:
        """Time of a frame since the clip's first one, in seconds."""
        return float((int(self.pts[index]) - int(self.pts[0])) * self.time_base)


@dataclass(frozen=True, slots=True)
class SkippedClip:
    """An input that was not used, by name, with the cause in words.

    Attributes:
        passing: it is not the clip: it may well be used by another run.
    """

    path: Path
    reason: str
    passing: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A decoded frame: ``image`` is RGB uint8 (H, W, 3)."""

    ref: FrameRef
    image: Image


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A training image with its boxes.

    Attributes:
        image: RGB uint8 (H, W, 3).
        boxes: (n, 4) float32 xyxy; none = a negative image.
        labels: (n,) int64 in 0..K-1, or -1 (unknown object).
        ignore: (n,) bool, regions that count neither as object nor as background.
    """

    image: Image
    boxes: FloatArray
    labels: IntArray
    ignore: BoolArray
