"""Files of which the packets prove what decoding their first and last pictures would show.

H.264 and HEVC in MP4, MOV or Matroska, whole, begun at a picture that needs none before it. The
headers of the first packets and of the last group say that every packet is one picture, that none
is missing, and that the decoder shows them in the order of their times. Of H.264 three pictures are
decoded: the first, and right after it the one stored last and the one shown last. Without what
they are predicted from they look wrong, but whether they are whole does not depend on it. Of any
other file, and wherever a header leaves a doubt, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidal.video.avc import AvcHeaders
from vidal.video.headers import breaks_off
from vidal.video.hevc import HevcHeaders
from vidal.video.packets import REORDERED, Ends, Packets, demux
from vidal.video.pictures import agrees, reorder_depth
from vidal.video.source import NoVideo, Source

_HEADERS: dict[str, type[AvcHeaders | HevcHeaders]] = {"h264": AvcHeaders, "hevc": HevcHeaders}
_PIXELS = frozenset(("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv420p10le"))
"""Formats that FFmpeg converts to RGB whatever the size."""

_ALONE = frozenset(("h264",))
"""Codecs whose decoder goes on where what a picture is predicted from is missing."""


@dataclass(frozen=True)
class Plain:
    """An opened file whose first frames are those of its packets.

    Attributes:
        size: (height, width) of the pictures, upright.
        ends: the last packets are frames, too; else that has to be seen by decoding them.
    """

    source: Source
    packets: Packets
    size: tuple[int, int]
    ends: bool


@contextmanager
def known(path: Path) -> Iterator[Plain | None]:
    """A file that begins as its packets say; None where that is not proven.

    Raises:
        OSError: the file cannot be read.
    """
    source = _opened(path)
    if source is None:
        yield None
        return
    with source:
        yield _proven(path, source)


def _opened(path: Path) -> Source | None:
    with path.open("rb") as stream:
        start = stream.read(8)
    stated = start[4:] == b"ftyp"
    if not stated and not start.startswith(b"\x1aE\xdf\xa3"):
        return None
    with suppress(FFmpegError, NoVideo):
        source = Source(path, quick=stated)
        if not stated or source.stream.frames:
            return source
        source.close()  # in fragments: the rate is that of the first packets
        return Source(path)
    return None


def _proven(path: Path, source: Source) -> Plain | None:
    codec = source.stream.codec_context
    headers = _HEADERS.get(codec.name)
    if headers is None or breaks_off(path):
        return None
    ends = Ends()
    packets = demux(source, ends)
    if packets is None or ends.odd or not _whole(packets):
        return None
    if reorder_depth(packets.pts, REORDERED) > codec.reorder_depth:
        return None
    try:
        reader = headers(codec.extradata or b"")
    except ValueError:
        return None
    if not _in_order(reader, ends.first, begins=True):
        return None
    ordered = bool(ends.last) and _in_order(reader, ends.last)
    last = _last(ends) if ordered and codec.name in _ALONE else []
    frames = source.given([ends.first[0], *last])
    size = _size(source, frames, ends.first[0])
    if size is None:
        return None
    shown = {frame.pts for frame in frames if not frame.is_corrupt}
    good = ordered and codec.name in _ALONE and all(packet.pts in shown for packet in last)
    return Plain(source, packets, size, good)


def _in_order(
    reader: AvcHeaders | HevcHeaders, packets: Sequence[Packet[VideoStream]], begins: bool = False
) -> bool:
    """Whether these are pictures in the order of their times; ``begins``: the first needs none."""
    try:
        pictures = [reader.picture(bytes(packet)) for packet in packets]
    except ValueError:
        return False
    times = np.array([packet.pts for packet in packets], np.int64)
    return (pictures[0].refresh or not begins) and agrees(pictures, times)


def _last(ends: Ends) -> list[Packet[VideoStream]]:
    """The packets stored last and shown last, as stored, but for the very first of the file."""
    shown = max(packet.pts for packet in ends.last if packet.pts is not None)
    stored = ends.last[-1].pts
    return [each for each in ends.last if each.pts in (shown, stored) and each is not ends.first[0]]


def _whole(packets: Packets) -> bool:
    """Whether nothing is missing that the file announced, and nothing is shown before the first."""
    return (
        packets.begins
        and not packets.missing
        and not packets.announced
        and packets.one_clock
        and packets.pts[0] == packets.pts.min()
    )


def _size(
    source: Source, frames: Sequence[VideoFrame], first: Packet[VideoStream]
) -> tuple[int, int] | None:
    """(height, width) of the first picture; None unless it is whole and can be converted."""
    for frame in frames:
        if frame.pts == first.pts:
            fine = not frame.is_corrupt and frame.format.name in _PIXELS
            return source.upright(frame) if fine else None
    return None
