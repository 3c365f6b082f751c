"""Files that PyAV cannot open, read by OpenCV: always from the first frame on, counting.

OpenCV's seeking by frame number returns wrong frames on variable frame rates and is never used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from vidal.types import Image, IntArray
from vidal.video.headers import MOST_PIXELS

_DEFAULT_RATE = Fraction(25)
_LOGGING: Any = getattr(cv2.utils, "logging", cv2)  # OpenCV 4 has it at the top


def count(path: Path) -> tuple[int, tuple[int, int], Fraction] | None:
    """Number of frames, (height, width) and rate, by one pass; None if OpenCV reads no frame."""
    with _capture(path) as capture:
        pixels = capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        usable = capture.isOpened() and pixels <= MOST_PIXELS
        good, first = capture.read() if usable else (False, None)
        if not good or first is None:
            return None
        frames = 1
        while capture.grab():
            frames += 1
        rate = Fraction(capture.get(cv2.CAP_PROP_FPS)).limit_denominator(1001)
        size = (first.shape[0], first.shape[1])
    return frames, size, rate if 0 < rate <= 1000 else _DEFAULT_RATE


def read(path: Path, wanted: IntArray) -> Iterator[tuple[int, Image]]:
    """(index, RGB image) of the wanted frames (increasing, not empty) that decode."""
    with _capture(path) as capture:
        left = iter(wanted.tolist())
        target, index = next(left), 0
        while target >= 0 and capture.grab():
            if index == target:
                good, image = capture.retrieve()
                if good:
                    yield index, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
                target = next(left, -1)
            index += 1


@contextmanager
def _capture(path: Path) -> Iterator[cv2.VideoCapture]:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its remarks do not name the file
    name = str(path.absolute())
    with TemporaryDirectory(prefix="vidal-") as folder:
        if not name.isascii():  # OpenCV crashes on names that are not UTF-8
            name = str(Path(folder, f"clip{path.suffix if path.suffix.isascii() else ''}"))
            Path(name).symlink_to(path.absolute())
        level = _LOGGING.getLogLevel()
        _LOGGING.setLogLevel(0)
        try:
            capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
        except cv2.error as error:
            raise OSError(None, "OpenCV cannot read it") from error
        finally:
            _LOGGING.setLogLevel(level)
        try:
            yield capture
        finally:
            capture.release()
