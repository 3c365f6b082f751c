"""One opened video file: packets, decoded frames, seeking to keyframes, upright RGB images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, dropwhile
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import av.logging
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vidal.errors import UnreadableClip
from vidal.types import Image
from vidal.video.headers import MOST_PIXELS, broken_jpeg

# FFmpeg writes its remarks on damaged files to stderr, without naming the file; the causes that
# matter are raised as errors, and reported with the name.
av.logging.set_libav_level(av.logging.PANIC)

_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: cover art, not a video

_LIMITS = {"max_pixels": str(MOST_PIXELS)}
"""A few damaged bytes can declare a picture of gigabytes."""


class NoVideo(Exception):
    """The file opens, but holds no video that can be decoded."""


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """What FFmpeg and the system refuse in this block is told of the file.

    Raises:
        UnreadableClip: names it, and why.
    """
    try:
        yield
    except NoVideo as error:
        raise UnreadableClip(path, str(error)) from error
    except (FFmpegError, OSError) as error:
        raise UnreadableClip(path, (error.strerror or str(error)).lower()) from error


class Source:
    """A file opened by PyAV. A context manager; not for several threads at once.

    Args:
        path: the file.
        threads: threads of the decoder; they change nothing in the output.
        quick: for times and sizes alone: what the container states is not completed by decoding,
            and decoded pictures are not smoothed.

    Raises:
        FFmpegError: the file cannot be opened.
        NoVideo: it has no video stream, or no decoder knows its codec.

    Attributes:
        cut: 1 once ``counted`` has left out the last packet of the file, as damaged.
    """

    def __init__(self, path: Path, threads: int = 1, *, quick: bool = False) -> None:
        self._path = path
        self._threads = threads
        self._quick = quick
        self._used = False
        self.cut = 0
        self._turn: _Turn | None = None
        self._delay = 0  # ticks by which keyframes are stored before they are shown
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
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        # An absolute name cannot be taken for a URL ("12:30.mp4"), and a play list that calls
        # itself .mp4 may not reach out to the network. Tags may be in any encoding: not needed.
        try:
            container = av.open(
                str(self._path.absolute()),
                "r",
                options={**_LIMITS, "skip_frame": "all"} if self._quick else _LIMITS,
                container_options={"protocol_whitelist": "file"},
                metadata_errors="replace",
            )
        except (FFmpegError, OSError):
            raise
        except Exception as error:  # PyAV trips over what damaged headers declare
            raise NoVideo(f"is damaged ({error})") from error
        try:
            stream = container.streams.best("video")
            if not isinstance(stream, VideoStream) or stream.disposition & _ATTACHED_PICTURE:
                raise NoVideo("holds no video stream")
            if stream.codec_context is None:
                raise NoVideo("no decoder for its video codec")
            stream.codec_context.thread_count = self._threads
            stream.codec_context.thread_type = "AUTO" if self._threads > 1 else "NONE"
            smooth = {"skip_loop_filter": "all"} if self._quick else {}
            stream.codec_context.options = _LIMITS | smooth
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
            except Exception:  # FFmpeg: the file breaks off; PyAV: a stream that was not declared
                return  # what came before stays usable
            if packet is None:
                return
            if packet.size or packet.pts is not None or packet.dts is not None:
                yield packet

    def restart(self) -> Iterator[VideoFrame]:
        """All undamaged frames, from the beginning, in the decoder's (presentation) order."""
        self._reopen()
        return self._decode(self.packets())

    def counted(self) -> Iterator[VideoFrame | None]:
        """Every frame from the beginning, in presentation order; None where one is damaged.

        For files without usable times: a damaged frame keeps its place in the count. In a recording
        that starts between keyframes the count begins at the first whole frame; the very last
        packet of a file does not count where it is damaged (it was cut off).
        """
        self._reopen()
        # Frames that lack what they are predicted from are given out too, marked as damaged.
        self.stream.codec_context.flags |= Flags.output_corrupt
        packets = self.packets()
        first = next(packets, None)
        if first is None:
            return iter(())
        frames = self._count(chain([first], packets))
        return frames if first.is_keyframe else dropwhile(lambda frame: frame is None, frames)

    def _reopen(self) -> None:
        if self._used:  # opening anew: seeking to the first packet is not exact in all containers
            self.container.close()
            self.container, self.stream = self._open()

    def start_at(self, key: int) -> Iterator[VideoFrame] | None:
        """Frames from a keyframe on, or from an earlier one where the container lands there.

        Args:
            key: presentation time of the keyframe, in ticks of the stream.

        Returns:
            Frames not earlier than the keyframe landed on: what an open group of pictures shows
            before its keyframe needs references from further back. None: it landed too late.
        """
        landed = self._land(key - self._delay)
        if landed is None:
            return None
        first, packets = landed
        if first.pts is not None and first.dts is not None and first.pts > key:
            # Some containers (MPEG-TS) seek by decoding times, which are earlier.
            self._delay = max(self._delay, 2 * (first.pts - first.dts))
            landed = self._land(key - self._delay)
            if landed is None:
                return None
            first, packets = landed
        if first.pts is None or first.pts > key:
            return None
        return self._from_key(first, first.pts, packets)

    def _land(self, time: int) -> tuple[Packet[VideoStream], Iterator[Packet[VideoStream]]] | None:
        """The first keyframe's packet after a seek, and the packets after it."""
        self._used = True
        try:
            self.container.seek(time, stream=self.stream, backward=True)
        except Exception:  # FFmpeg cannot seek there; OverflowError: a time beyond 64 bits
            return None
        packets = self.packets()
        first = next((packet for packet in packets if packet.is_keyframe), None)
        return None if first is None else (first, packets)

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
            if packet is not None and self._damaged(packet):
                if packet.pts is None:
                    continue
                broken.add(packet.pts)
            for frame in self._frames(packet) or ():
                if not frame.is_corrupt and frame.pts not in broken:
                    yield frame

    def _damaged(self, packet: Packet[VideoStream]) -> bool:
        """Half a packet (the file breaks off); a JPEG that its decoder would fill up silently."""
        if packet.is_corrupt or self.stream.codec_context.name != "mjpeg":
            return packet.is_corrupt
        return broken_jpeg(bytes(packet), closed=False)

    def _frames(self, packet: Packet[VideoStream] | None) -> list[VideoFrame] | None:
        """What the decoder gives out for a packet (None = the end); None: it is damaged."""
        try:
            return self.stream.decode(packet)
        except Exception:  # FFmpeg: damage; PyAV: sizes or formats that damage has made up
            return None

    def _count(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[VideoFrame | None]:
        broken: set[int] = set()
        lost: list[int] = []  # packets that did not decode and have no place yet, increasing
        placed: set[int] = set()
        last = -1
        for number, packet in _numbered(packets):
            if packet is not None:
                # Decoders hand a packet's time on to its frame: a number tells which one it was.
                last, packet.pts = number, number
                if self._damaged(packet):
                    broken.add(number)
            frames = self._frames(packet)
            if frames is None and packet is not None:
                lost.append(number)
            for frame in frames or ():
                origin = last if frame.pts is None else frame.pts
                while lost and lost[0] < origin:
                    placed.add(lost.pop(0))
                    yield None
                if lost and lost[0] == origin:
                    lost.pop(0)
                if origin in placed:
                    continue  # it came after all, late: its place is taken
                good = not frame.is_corrupt and origin not in broken
                if good or packet is not None or origin != last:
                    yield frame if good else None
                else:
                    self.cut = 1
        self.cut = max(self.cut, int(last in lost))
        yield from [None] * sum(number != last for number in lost)

    def given(self, packets: Sequence[Packet[VideoStream]]) -> list[VideoFrame]:
        """What the decoder shows of these packets and no others, whole or not.

        Decoding can go on after it only from a seek.
        """
        return [frame for packet in (*packets, None) for frame in self._frames(packet) or ()]

    def upright(self, frame: VideoFrame) -> tuple[int, int]:
        """(height, width) of a frame by the file's display matrix."""
        turned = _Turn.of(frame).transpose
        return (frame.width, frame.height) if turned else (frame.height, frame.width)

    def image(self, frame: VideoFrame) -> Image | None:
        """The frame as RGB uint8 (H, W, 3), upright by the file's display matrix.

        None where it cannot be converted: damage can make up formats and sizes.
        """
        try:
            if self._turn is None:
                self._turn = _Turn.of(frame)
            pixels = self._rgb.reformat(frame, format="rgb24").to_ndarray()
        except Exception:  # whatever PyAV makes of it, the frame has no picture
            return None
        return self._turn.apply(pixels.astype(np.uint8, copy=False))


def _numbered(
    packets: Iterator[Packet[VideoStream]],
) -> Iterator[tuple[int, Packet[VideoStream] | None]]:
    """Packets with their place in the file; None after the last, for what the decoder holds."""
    number = -1
    for number, packet in enumerate(packets):
        yield number, packet
    yield number + 1, None


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
