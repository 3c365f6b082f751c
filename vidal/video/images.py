"""Single images: reading, JPEG, resizing. RGB outside, OpenCV's BGR only in here."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from vidal.errors import OutputError
from vidal.types import Image

MOST_PIXELS = 2**26
"""Larger pictures (8192 x 8192) are not decoded: a few bytes can declare gigabytes."""


def read_image(path: Path) -> Image | None:
    """An image file as RGB uint8 (H, W, 3), upright by its EXIF tag; None if it does not decode.

    A JPEG that breaks off does not count as decoded: OpenCV would fill the rest with grey.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError:
        return None
    if not len(data) or _cut_jpeg(data.tobytes()):
        return None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _cut_jpeg(data: bytes) -> bool:
    """Whether a JPEG has no end marker after its last scan (a thumbnail's lies before it)."""
    return data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")


def encode_jpeg(image: Image, quality: int = 92) -> bytes:
    """RGB uint8 (H, W, 3) as the bytes of a JPEG file; ``quality`` 1..100.

    Raises:
        ValueError: the quality is outside 1..100.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality: {quality}, outside 1..100")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def save_jpeg(path: Path, image: Image, quality: int = 92) -> None:
    """Write an RGB image; afterwards the file is there whole or not at all.

    Raises:
        OutputError: the place cannot be written.
    """
    data = encode_jpeg(image, quality)
    scratch = scratch_name(path)
    try:
        scratch.write_bytes(data)
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise OutputError(path, (error.strerror or str(error)).lower()) from error


def scratch_name(path: Path) -> Path:
    """A hidden name beside ``path``, for a file that is renamed once it is whole."""
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")


def resize(image: Image, height: int) -> Image:
    """The image (H, W, 3) at that height, aspect kept, width at least 1.

    Averages pixel areas when shrinking, interpolates linearly when enlarging.

    Raises:
        ValueError: the height is below 1.
    """
    if height < 1:
        raise ValueError(f"height: {height}, below 1")
    have = image.shape[0]
    if have == height:
        return image
    width = max(1, round(image.shape[1] * height / have))
    how = cv2.INTER_AREA if height < have else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def thumbnail(image: Image, longest: int = 320) -> Image:
    """The image (H, W, 3) with no side over ``longest`` pixels; smaller ones stay as they are."""
    height, width = image.shape[:2]
    if max(height, width) <= longest:
        return image
    scale = longest / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
