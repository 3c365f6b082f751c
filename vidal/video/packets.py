"""The packets of a file: times, keyframes, and what its header had announced."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from av.packet import Packet, PktSideDataT
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidal.types import IntArray
from vidal.video.keyframes import whole
from vidal.video.source import Source

REORDERED = 32
"""More places than a frame can be stored away from where it is shown (16 frames or 32 fields in
H.264 and HEVC): beyond that, the clock of a recording has jumped."""

_TIMES_BY_SEQUENCE = ("mpeg",)
"""Containers (MPEG program streams) that store a time for some frames only: FFmpeg works the others
out from those before, and to other times after a seek."""

_FIRST = 48
"""Packets kept of the beginning."""

_MOST_LAST, _MOST_BYTES = 600, 2**26
"""Packets and bytes of the last group that are kept, at most."""

_CHANGES: tuple[PktSideDataT, ...] = ("new_extradata", "param_change")


@dataclass
class Ends:
    """The first packets of a file, and those from the last keyframe on.

    Attributes:
        first: in decoding order.
        last: likewise; empty where the last group was too long to be kept.
        odd: a packet is half received, is not shown, or changes the parameters of the stream.
    """

    first: list[Packet[VideoStream]] = field(default_factory=list)
    last: list[Packet[VideoStream]] = field(default_factory=list)
    odd: bool = False
    _bytes: int = 0
    _long: bool = False

    def add(self, packet: Packet[VideoStream], *, key: bool) -> None:
        """Take the next packet; ``key``: a group begins with it."""
        self.odd |= packet.is_corrupt or packet.is_discard
        if packet.is_keyframe:  # where another description of the stream may begin
            self.odd |= any(packet.has_sidedata(kind) for kind in _CHANGES)
        if len(self.first) < _FIRST:
            self.first.append(packet)
        if key:
            self._bytes, self._long = 0, False
            self.last.clear()
        self._bytes += packet.size
        self._long |= self._bytes > _MOST_BYTES or len(self.last) == _MOST_LAST
        if self._long:
            self.last.clear()
        else:
            self.last.append(packet)


@dataclass(frozen=True)
class Packets:
    """The shown packets of a file in decoding order, and how many the file had announced.

    ``begins``: the file marks its first packet as a keyframe, so no earlier ones were cut away.
    """

    pts: IntArray
    key: NDArray[np.bool_]
    announced: int
    missing: int
    begins: bool

    @property
    def one_clock(self) -> bool:
        """Whether the times give the order: none twice, and none far from its place in the file.

        Recordings joined end to end may begin their times anew.
        """
        rank = np.empty(len(self.pts), np.int64)
        rank[np.argsort(self.pts, kind="stable")] = np.arange(len(self.pts))
        moved = np.abs(rank - np.arange(len(rank)))
        return bool((np.diff(self.table) > 0).all() and (moved <= REORDERED).all())

    def at_end(self, lost: IntArray) -> IntArray:
        """Those of the ``lost`` times behind which nothing else is stored, or nothing is shown.

        What was lost before is damage: it keeps its place, with no picture.
        """
        found = ~np.isin(self.pts, lost)
        if not found.any():
            return lost
        tail = self.pts[np.flatnonzero(found)[-1] + 1 :]
        return lost[np.isin(lost, tail) | (lost > self.pts[found].max())]

    @property
    def table(self) -> IntArray:
        """Presentation times in order."""
        return np.sort(self.pts)

    @property
    def keys(self) -> IntArray:
        """Presentation times of the keyframes in order."""
        return np.sort(self.pts[self.key])


def demux(source: Source, ends: Ends | None = None) -> Packets | None:
    """The packets that are shown (not cut away by an edit list); None where one has no time."""
    codec = source.stream.codec_context.name
    total, pts, key, begins = 0, [], [], False
    sought = source.container.format.name not in _TIMES_BY_SEQUENCE
    for packet in source.packets():
        total += 1
        begins = _begins(source, packet) if total == 1 else begins
        starts = sought and packet.is_keyframe and whole(packet, codec)
        if ends is not None:
            ends.add(packet, key=starts)
        if packet.is_discard:
            continue
        if packet.pts is None:
            return None
        pts.append(packet.pts)
        key.append(starts)
    missing = max(len(source.stream.index_entries) - total, 0)
    announced = max(source.stream.frames - total, 0)
    return Packets(np.array(pts, np.int64), np.array(key, np.bool_), announced, missing, begins)


def _begins(source: Source, first: Packet[VideoStream]) -> bool:
    """Whether the first packet is a keyframe, by itself or (where it is damaged) by the index."""
    entry = next(iter(source.stream.index_entries), None)
    if first.is_keyframe or entry is None:
        return first.is_keyframe
    return entry.is_keyframe and entry.timestamp in (first.dts, first.pts)
