"""Which packets that a file calls keyframes are whole pictures.

A stream may refresh its picture bit by bit (H.264's recovery points after several frames; ``x264
--intra-refresh``): parsers and muxers mark where a refresh begins as a keyframe, but a decoder that
starts there shows rubbish until it is complete. Other muxers mark more than they should.
"""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

from vidal.video.bits import HEADER, Bits, unescaped

_START = b"\0\0\1"
_MOST = 16
"""Units looked at: parameter sets and messages stand before the first slice."""

_H264_SLICE, _H264_DATA_A, _H264_IDR, _H264_SEI = 1, 2, 5, 6  # ITU-T H.264, table 7-1
_RECOVERY_POINT = 6  # ITU-T H.264, D.1.1
_INTRA = (2, 4, 7, 9)  # slice types I and SI, H.264 table 7-6
_HEVC_RANDOM_ACCESS = range(16, 24)  # ITU-T H.265, table 7-1


def whole(packet: Packet[VideoStream], codec: str) -> bool:
    """Whether decoding can start at a packet that is marked as a keyframe.

    Args:
        packet: of the video.
        codec: FFmpeg's name of its codec; other codecs than H.264 and HEVC are believed.
    """
    if codec not in ("h264", "hevc"):
        return True
    data = bytes(memoryview(packet)[:4096])
    units = list(_units(data))[:_MOST]
    if not units:
        return True
    return _whole_h264(units) if codec == "h264" else _whole_hevc(units)


def _whole_h264(units: list[bytes]) -> bool:
    for unit in units:
        kind = unit[0] & 31
        if kind == _H264_IDR:
            return True
        if kind == _H264_SEI:
            frames = _recovery(unescaped(unit[1:]))
            if frames is not None:
                return frames == 0
        if kind in (_H264_SLICE, _H264_DATA_A):
            bits = Bits(unescaped(unit[1:HEADER]))
            _number(bits)  # first_mb_in_slice
            return _number(bits) in _INTRA
    return True


def _whole_hevc(units: list[bytes]) -> bool:
    slices = [unit[0] >> 1 & 63 for unit in units if unit[0] >> 1 & 63 < 32]
    return not slices or slices[0] in _HEVC_RANDOM_ACCESS


def _recovery(data: bytes) -> int | None:
    """``recovery_frame_cnt`` of a recovery point among the messages of a unit; None without one."""
    at = 0
    while at + 2 < len(data):
        kind, at = _sum(data, at)
        size, at = _sum(data, at)
        if kind == _RECOVERY_POINT:
            return _number(Bits(data[at : at + size]))
        at += size
    return None


def _sum(data: bytes, at: int) -> tuple[int, int]:
    """A number written as bytes of 255 and a last one, and where it ends."""
    total = 0
    while at < len(data) and data[at] == 255:
        total, at = total + 255, at + 1
    return total + (data[at] if at < len(data) else 0), at + 1


def _units(data: bytes) -> list[bytes]:
    """NAL units, by start codes (Annex B) or by lengths of four bytes (MP4, Matroska)."""
    if data.startswith((_START, b"\0" + _START)):
        return [unit for unit in data.split(_START)[1:] if unit]
    found, at = [], 0
    while at + 5 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return [unit for unit in found if unit]


def _number(bits: Bits) -> int:
    """The next Exp-Golomb code; 0 at the end of what is there."""
    try:
        return bits.ue()
    except ValueError:
        return 0
