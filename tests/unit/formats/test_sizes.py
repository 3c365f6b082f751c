"""The size of pictures by their heads: as decoders show them, and without decoding."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from vidal.errors import FormatError, InputError
from vidal.formats._sizes import image_size, same_size, shape


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_the_size_is_that_of_the_decoded_picture(tmp_path, suffix):
    file = tmp_path / f"a{suffix}"
    cv2.imwrite(str(file), np.zeros((31, 57, 3), np.uint8))
    assert image_size(file) == cv2.imread(str(file)).shape[:2] == (31, 57)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_has_the_size_that_it_is_shown_with(tmp_path, orientation):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "a.jpg"
    Pillow.new("RGB", (57, 31)).save(file, exif=exif)
    assert image_size(file) == cv2.imread(str(file)).shape[:2]


def png_head(width: int, height: int, data: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        check = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data)


def test_nothing_is_decoded(tmp_path):
    # its pixels are no deflate stream: whoever decodes them fails
    file = tmp_path / "a.png"
    file.write_bytes(png_head(9000, 9000, b"x" * 100_000))
    assert image_size(file) == (9000, 9000)
    with pytest.raises(InputError, match="not an image that can be read"):
        image_size(file, BytesIO(png_head(60_000, 60_000, b"")))


@pytest.mark.parametrize("data", [b"", b"x", b"\xff\xd8\xff", png_head(5, 5, b"")[:20], b"BM" * 40])
def test_what_is_no_picture_is_one_error(tmp_path: Path, data):
    file = tmp_path / "a.png"
    file.write_bytes(data)
    with pytest.raises(InputError, match="not an image that can be read"):
        image_size(file)
    with pytest.raises(InputError, match="cannot be read"):
        image_size(tmp_path / "none.png")


def test_frames_of_one_clip_state_one_size_or_none():
    assert same_size(Path("a"), [("x", None), ("y", (2, 3)), ("z", (2, 3))]) == (2, 3)
    assert same_size(Path("a"), [("x", None)]) is None
    assert shape((720, 1280)) == "1280x720"
    with pytest.raises(FormatError, match="z: 4x2 pixels, but y has 3x2"):
        same_size(Path("a"), [("x", None), ("y", (2, 3)), ("z", (2, 4))])
