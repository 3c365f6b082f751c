"""The size of pictures, from their heads: nothing is decoded, so a small bomb stays small."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from vidal.errors import FormatError, InputError
from vidal.formats._files import check_regular

Size = tuple[int, int]
"""(height, width) in pixels."""

LARGEST = 1 << 20
"""Pixels of the longest side that is believed."""

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)


def image_size(file: Path, stream: IO[bytes] | None = None) -> Size:
    """(height, width) of a picture as decoders show it: turned as its EXIF orientation says.

    Args:
        file: the picture; names it in errors.
        stream: its bytes, where they lie in an archive.

    Raises:
        InputError: it cannot be read, or is no picture.
    """
    if stream is None:
        check_regular(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(file if stream is None else stream) as image:
                width, height = image.size
                turned = _exif(image).get(_ORIENTATION) in _TURNED
    except (UnidentifiedImageError, Pillow.DecompressionBombError) as error:
        raise InputError(file, "not an image that can be read") from error
    except OSError as error:
        broken = error.errno is None  # Pillow's own, over damaged bytes
        why = "not an image that can be read" if broken else f"cannot be read ({error.strerror})"
        raise InputError(file, why) from error
    except Exception as error:  # Pillow's parsers raise what they like over damaged bytes
        raise InputError(file, "not an image that can be read") from error
    return (width, height) if turned else (height, width)


def _exif(image: Pillow.Image) -> Pillow.Exif:
    """What the head says; ``getexif`` of a PNG decodes it all to look behind the pixels, too."""
    if image.format != "PNG":
        return image.getexif()
    found = Pillow.Exif()
    if data := image.info.get("exif"):
        found.load(data)
    return found


def same_size(path: Path, sizes: Iterable[tuple[str, Size | None]]) -> Size | None:
    """The one size that the frames of a clip state; None where none does.

    Args:
        path: the file, for the error.
        sizes: (where, size) of every frame.

    Raises:
        FormatError: two frames of different sizes; names both.
    """
    first: tuple[str, Size] | None = None
    for where, size in sizes:
        if size is None:
            continue
        if first is None:
            first = where, size
        elif first[1] != size:
            raise FormatError(
                path,
                where,
                f"{shape(size)} pixels, but {first[0]} has {shape(first[1])}",
                hint="All frames of a clip have one size.",
            )
    return None if first is None else first[1]


def shape(size: Size) -> str:
    """``1280x720``: width first, as people say it."""
    return f"{size[1]}x{size[0]}"
