"""Single images: reading, JPEG, resizing. RGB outside, OpenCV's BGR only in here."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import cv2
import numpy as np

from vidal.errors import OutputError
from vidal.types import Image
from vidal.video.headers import MOST_PIXELS, broken_jpeg, declared_size


def read_image(path: Path) -> Image | None:
    """An image file as RGB uint8 (H, W, 3), upright by its EXIF tag; None if it does not decode.

    A JPEG that breaks off or whose data are damaged does not count as decoded: OpenCV would fill
    the rest with grey or rubbish. Neither does a file that is no JPEG, PNG, BMP or WebP by content,
    or one that declares more than ``MOST_PIXELS``.
    """
    data = _content(path)
    size = declared_size(data)
    if size is None or not 0 < size[0] * size[1] <= MOST_PIXELS or broken_jpeg(data):
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def why_unreadable(path: Path) -> str:
    """In words, why ``read_image`` has nothing for a file."""
    if not _regular(path):
        return "it is no file that may be read"
    size = declared_size(_content(path))
    if size is not None and size[0] * size[1] > MOST_PIXELS:
        return f"it declares {size[1]} x {size[0]} pixels, more than the limit of {MOST_PIXELS:,}"
    return "it does not decode"


def _content(path: Path) -> bytes:
    """The bytes of a file; none where it cannot be read, or is no plain file (a pipe waits)."""
    try:
        return path.read_bytes() if _regular(path) else b""
    except OSError:
        return b""


def _regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode) and os.access(path, os.R_OK)
    except (OSError, ValueError):
        return False


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


def encode_webp(image: Image, quality: int) -> bytes:
    """RGB uint8 (H, W, 3) as the bytes of a WebP file; ``quality`` 1..100.

    A third smaller than a JPEG that looks the same, which counts where pictures lie inside a page.

    Raises:
        ValueError: the quality is outside 1..100.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality: {quality}, outside 1..100")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return data.tobytes()


def save_jpeg(path: Path, image: Image, quality: int = 92) -> None:
    """Write an RGB image; afterwards the file is there whole or not at all.

    Raises:
        OutputError: the place cannot be written.
    """
    save_bytes(path, encode_jpeg(image, quality))


def save_bytes(path: Path, data: bytes) -> None:
    """Write a file; afterwards it is there whole or not at all.

    Raises:
        OutputError: the place cannot be written.
    """
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
