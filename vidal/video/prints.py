"""Fingerprints of decoded frames: whether a picture is the one that was looked at before."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from hashlib import blake2b

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vidal.types import Frame, Image

Prints = NDArray[np.uint64]
"""(F,) uint64, one a frame of a clip; 0 = not decoded."""

_GRID = 64
"""Rows and columns of pixels that are looked at: some 10 microseconds a frame at any size."""

DECODERS = {
    **{name: list(version) for name, version in av.library_versions.items()},
    "opencv": cv2.__version__,
    "machine": platform.machine(),
}
"""What made the pixels; the colours that another version computes may differ by a shade."""


def frame_print(image: Image) -> int:
    """Of an RGB uint8 (H, W, 3) image; at least 1."""
    rows, columns = (max(1, side // _GRID) for side in image.shape[:2])
    sample = image[rows // 2 :: rows, columns // 2 :: columns].tobytes()
    return int.from_bytes(blake2b(sample, digest_size=8).digest()) or 1


def printed(frames: Iterable[Frame], prints: Prints, first: int = 0) -> Iterator[Frame]:
    """The same frames; their fingerprints are written into ``prints`` as they pass.

    ``first``: the frame that ``prints`` begins with.
    """
    for frame in frames:
        prints[frame.ref.index - first] = frame_print(frame.image)
        yield frame


def same(frame: Frame, prints: Prints | None) -> bool:
    """Whether a frame looks as it did; True where nothing is known of it."""
    if prints is None or not prints[frame.ref.index]:
        return True
    return int(prints[frame.ref.index]) == frame_print(frame.image)
