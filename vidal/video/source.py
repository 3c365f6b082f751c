"""One opened video file: packets, decoded frames, seeking to keyframes, upright RGB images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import av.logging
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vidal.types import Image

# FFmpeg writes its remarks on damaged files to stderr, without naming the file; the causes that
# matter are raised as errors, and reported with the name.
av.logging.set_libav_level(av.logging.PANIC)

_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: cover art, not a video


class NoVideo(Exception):
    """The file opens, but holds no video that can be decoded."""


class Source:
    """A file opened by PyAV. A context manager; not for several threads at once.

    Args:
        path: the file.
        threads: threads of the decoder; they change nothing in the output.

    Raises:
        FFmpegError: the file cannot be opened.
        NoVideo: it has no video stream, or no decoder knows its codec.

    Attributes:
        damaged: frames left out so far, because the decoder reported damage.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._path = path
        self._threads = threads
        self._used = False
        self._turn: _Turn | None = None
        self.damaged = 0
        self._rgb = VideoReformatter()
        self.container, self.stream = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.container.close()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        # An absolute name cannot be taken for a URL ("12:30.mp4"), and a play list that calls
        # itself .mp4 may not reach out to the network.
        container = av.open(
            str(self._path.absolute()), "r", container_options={"protocol_whitelist": "file"}
        )
        try:
            stream = container.streams.best("video")
            if not isinstance(stream, VideoStream) or stream.disposition & _ATTACHED_PICTURE:
                raise NoVideo("holds no video stream")
            if stream.codec_context is None:
                raise NoVideo("no decoder for its video codec")
            stream.codec_context.thread_count = self._threads
            stream.codec_context.thread_type = "AUTO" if self._threads > 1 else "NONE"
        except BaseException:
            container.close()
            raise
        return container, stream

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The video packets from here on, up to the end or the first fault of the container."""
        self._used = True
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError:  # the file breaks off: what came before stays usable
                return
            if packet is None:
                return
            if packet.size or packet.pts is not None or packet.dts is not None:
                yield packet

    def restart(self) -> Iterator[VideoFrame]:
        """All undamaged frames, from the beginning, in the decoder's (presentation) order."""
        if self._used:  # opening anew: seeking to the first packet is not exact in all containers
            self.container.close()
            self.container, self.stream = self._open()
        return self._decode(self.packets())

    def start_at(self, key: int) -> Iterator[VideoFrame] | None:
        """Frames from a keyframe on, or from an earlier one where the container lands there.

        Args:
            key: presentation time of the keyframe, in ticks of the stream.

        Returns:
            Frames not earlier than the keyframe landed on: what an open group of pictures shows
            before its keyframe needs references from further back. None: it landed too late.
        """
        self._used = True
        try:
            self.container.seek(key, stream=self.stream, backward=True)
        except FFmpegError:
            return None
        packets = self.packets()
        first = next((packet for packet in packets if packet.is_keyframe), None)
        if first is None or first.pts is None or first.pts > key:
            return None
        return self._from_key(first, first.pts, packets)

    def _from_key(
        self, first: Packet[VideoStream], key: int, rest: Iterator[Packet[VideoStream]]
    ) -> Iterator[VideoFrame]:
        for frame in self._decode(chain([first], rest)):
            if frame.pts is not None and frame.pts >= key:
                yield frame

    def _decode(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[VideoFrame]:
        """Frames without reported damage, which decoders conceal with pixels of other frames."""
        broken: set[int] = set()
        for packet in chain(packets, [None]):
            if packet is not None and packet.is_corrupt:  # half a packet: the file breaks off
                if packet.pts is None:
                    self.damaged += 1
                    continue
                broken.add(packet.pts)
            try:
                frames = self.stream.decode(packet)
            except FFmpegError:  # this packet is damaged, its frame stays out; or the end
                self.damaged += packet is not None
                continue
            for frame in frames:
                if frame.is_corrupt or frame.pts in broken:
                    self.damaged += 1
                else:
                    yield frame

    def image(self, frame: VideoFrame) -> Image:
        """The frame as RGB uint8 (H, W, 3), upright by the file's display matrix."""
        if self._turn is None:
            self._turn = _Turn.of(frame)
        pixels = self._rgb.reformat(frame, format="rgb24").to_ndarray()
        return self._turn.apply(pixels.astype(np.uint8, copy=False))


class _Turn:
    """The display matrix, rounded to the nearest quarter turn and mirroring.

    Matrix of the track header (ISO/IEC 14496-12, 8.3.2): a pixel (x, y) is shown at
    (a x + c y, b x + d y).
    """

    def __init__(self, transpose: bool, flip_x: bool, flip_y: bool) -> None:
        self.transpose, self.flip_x, self.flip_y = transpose, flip_x, flip_y

    @classmethod
    def of(cls, frame: VideoFrame) -> _Turn:
        try:
            data = bytes(cast(SideDataContainer, frame.side_data)["DISPLAYMATRIX"])
        except KeyError:
            return cls(False, False, False)
        a, b, _, c, d = (int(value) for value in np.frombuffer(data, dtype=np.int32)[:5])
        if abs(b) > abs(a):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    def apply(self, image: Image) -> Image:
        if not (self.transpose or self.flip_x or self.flip_y):
            return image
        turned = image.transpose(1, 0, 2) if self.transpose else image
        return np.ascontiguousarray(
            turned[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
        )
