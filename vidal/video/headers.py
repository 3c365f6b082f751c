"""What the first bytes of a file tell before anything is decoded: pictures, videos, cut ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from av.codec.context import CodecContext
from av.error import InvalidDataError
from av.packet import Packet

MOST_PIXELS = 2**26
"""Larger pictures (8192 x 8192) are not decoded: a few bytes can declare gigabytes."""

_PNG = b"\x89PNG\r\n\x1a\n"
_NO_VIDEO = (b"M4A ", b"M4B ", b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis", b"crx ")
"""Brands of ISO files (ISO/IEC 14496-12, 4.3) that hold sound or still pictures."""

# Frames of a JPEG (ITU-T T.81, table B.1): all of C0..CF but tables and extensions.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END = 0xDA, 0xD9
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))


def declared_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) that a PNG, JPEG, BMP or WebP declares; None for anything else."""
    if data.startswith(_PNG) and data[12:16] == b"IHDR":
        return _big(data, 20, 4), _big(data, 16, 4)
    if data.startswith(b"\xff\xd8"):
        for kind, at, _ in _segments(data):
            if kind in _FRAME_HEADERS:
                return _big(data, at + 5, 2), _big(data, at + 7, 2)
        return None
    if data.startswith(b"BM") and len(data) >= 26:
        if _little(data, 14, 4) == 12:  # OS/2
            return _little(data, 20, 2), _little(data, 18, 2)
        return abs(_signed(data, 22)), abs(_signed(data, 18))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    if data[12:16] == b"VP8X":
        return _little(data, 27, 3) + 1, _little(data, 24, 3) + 1
    if data[12:16] == b"VP8L":
        bits = _little(data, 21, 4)
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if data[12:16] == b"VP8 ":
        return _little(data, 28, 2) & 0x3FFF, _little(data, 26, 2) & 0x3FFF
    return None


def broken_jpeg(data: bytes, *, closed: bool = True) -> bool:
    """Whether these are the bytes of a JPEG that is cut off, or whose scans do not decode.

    ``closed``: one without its end marker is cut off; cameras leave it out in videos.

    FFmpeg's decoder is asked, since libjpeg goes on after any damage. A few damaged bytes can
    decode to another picture without any contradiction: those nobody can tell.
    """
    if not data.startswith(b"\xff\xd8"):
        return False
    if closed and data.rfind(b"\xff\xd9") < data.rfind(
        b"\xff\xda"
    ):  # a thumbnail's end lies before it
        return True
    pieces = [b"\xff\xd8"]
    for kind, at, end in _segments(data):
        if kind == _SCAN:
            pieces.append(data[at:])
            break
        if not 0xE0 <= kind <= 0xEF and kind != 0xFE:  # whatever cameras write beside the picture
            pieces.append(data[at:end])
    decoder = CodecContext.create("mjpeg", "r")
    decoder.thread_count = 1
    decoder.options = {"err_detect": "explode", "lowres": "3"}  # an eighth: only the bits matter
    try:
        decoder.decode(Packet(b"".join(pieces)))
        decoder.decode(None)
    except InvalidDataError:
        return True
    except Exception:  # a kind of JPEG that FFmpeg does not know: libjpeg decides
        return False
    return False


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of the segments of a JPEG up to its first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF or kind in _ALONE:
            at += 1 if kind == 0xFF else 2
            continue
        end = at + 2 + _big(data, at + 2, 2)
        yield kind, at, end
        if kind in (_SCAN, _END):
            return
        at = end


def holds_video(path: Path) -> bool:
    """Whether the first bytes of a file are those of a container or stream of video.

    False where it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(600)
    except OSError:
        return False
    if data[4:8] == b"ftyp":
        return data[8:12] not in _NO_VIDEO
    if data[4:8] in (b"moov", b"mdat", b"wide", b"free") and b"ftyp" not in data[:4]:
        return data[4:8] == b"moov" or b"mdat" in data[:64]
    if data.startswith(b"RIFF"):
        return data[8:12] == b"AVI "
    starts = (
        *(b"\x1aE\xdf\xa3", b"FLV\x01", b"nut/multimedia", b"DHAV", b"DKIF", b"YUV4MPEG2", b"IMKH"),
        *(b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\x00\x00\x00\x01\x67", b"\x00\x00\x01\x67"),
        *(b"\x00\x00\x00\x01\x40\x01", b"0&\xb2u\x8ef\xcf\x11", b"\x06\x0e+4\x02\x05\x01\x01"),
    )
    return data.startswith(starts) or _transport_stream(data)


def _transport_stream(data: bytes) -> bool:
    """Packets of 188 bytes that begin with 0x47, bare or behind a time of 4 bytes."""
    return len(data) == 600 and any(
        all(data[first + n * size] == 0x47 for n in range(3))
        for first, size in ((0, 188), (4, 192))
    )


def breaks_off(path: Path) -> bool:
    """Whether a file is shorter than its container says: Matroska, MP4 and AVI state it.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(64)
        if start.startswith(b"\x1aE\xdf\xa3"):
            return _matroska_end(start) > size
        if start.startswith(b"RIFF"):
            return size < _little(start, 4, 4) + 8 < 2**32
        if start[4:8] != b"ftyp":
            return False
        at = 0
        while at + 8 <= size:
            stream.seek(at)
            head = stream.read(16)
            length = _big(head, 0, 4)
            length = _big(head, 8, 8) if length == 1 else length
            if length < 8:  # 0: up to the end of the file
                return False
            at += length
    return at > size


def _matroska_end(start: bytes) -> int:
    """Where the segment of a Matroska file ends (RFC 8794, 4 and 6); 0 where it does not say."""
    header, at = _vint(start, 4)
    at += header or 0
    if header is None or start[at : at + 4] != b"\x18S\x80g":
        return 0
    length, at = _vint(start, at + 4)
    return 0 if length is None else at + length


def _vint(data: bytes, at: int) -> tuple[int | None, int]:
    """A size of one to eight bytes, None where it is unknown (all ones), and where it ends."""
    if at >= len(data) or not data[at]:
        return None, at
    count = 9 - data[at].bit_length()
    value = _big(data, at, count) & ((1 << 7 * count) - 1)
    return (None if value == (1 << 7 * count) - 1 else value), at + count


def _big(data: bytes, at: int, count: int) -> int:
    return int.from_bytes(data[at : at + count])


def _little(data: bytes, at: int, count: int) -> int:
    return int.from_bytes(data[at : at + count], "little")


def _signed(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little", signed=True)
