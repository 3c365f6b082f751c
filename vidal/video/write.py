"""Writing clips, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidal.errors import OutputError
from vidal.types import Image
from vidal.video.images import scratch_name

_OPTIONS = {
    # Macroblock trees make x264's choices depend on the timing of its threads.
    # A key frame every 25: chosen frames are sought one by one, each from the key before it.
    "libx264": {"preset": "fast", "x264-params": "no-mbtree=1:keyint=25"},
    "libx265": {"preset": "fast", "x265-params": "log-level=error"},
}
_BY_CRF = frozenset(("libx264", "libx265", "libvpx-vp9", "libsvtav1"))


class VideoWriter:
    """Encodes frames to a file that appears under its name when all are written.

    A context manager: leaving it normally finishes and renames the file, an exception removes it.
    The encoder uses one thread and writes no dates, so the same frames give the same bytes with
    the same version of the encoder. 4:2:0 sampling, as players expect; H.264 and HEVC cannot hold
    odd sizes in that, those are written in 4:4:4.

    Args:
        path: the file; its suffix chooses the container.
        rate: frames a second.
        codec: name of the encoder.
        quality: the encoder's constant rate factor (x264: 0 = lossless, 18 = visually so, 51 =
            worst); for encoders without one, their quantiser scale (1 = best, 31 = worst).

    Raises:
        OutputError: the file cannot be written, or there is no such encoder.
    """

    def __init__(
        self, path: Path, rate: Fraction, *, codec: str = "libx264", quality: int = 18
    ) -> None:
        self.path = Path(path)
        self.frames = 0
        self._scratch = scratch_name(self.path)
        self._rate = Fraction(rate)
        self._codec = codec
        self._quality = quality
        self._size: tuple[int, int] | None = None
        try:
            self._scratch.touch()  # the encoder would find out only when it is closed
            self._container = av.open(
                str(self._scratch.absolute()), "w", options={"fflags": "+bitexact"}
            )
            self._stream = self._add_stream()
        except (FFmpegError, OSError, ValueError) as error:
            self._scratch.unlink(missing_ok=True)
            raise OutputError(self.path, _why(error)) from error

    def _add_stream(self) -> VideoStream:
        options = dict(_OPTIONS.get(self._codec, {}))
        if self._codec in _BY_CRF:
            options["crf"] = str(self._quality)
        else:
            options |= {"qmin": str(self._quality), "qmax": str(self._quality)}
        stream = self._container.add_stream(self._codec, rate=self._rate, options=options)
        return cast(VideoStream, stream)

    def write(self, image: Image) -> None:
        """Append an RGB uint8 (H, W, 3) image.

        Raises:
            ValueError: it has another size than the first one.
            OutputError: encoding or writing failed.
        """
        if self._size is None:
            self._start(image)
        elif image.shape[:2] != self._size:
            raise ValueError(f"image: expected {self._size}, got {image.shape[:2]}")
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = self.frames, 1 / self._rate
        self._mux(frame)
        self.frames += 1

    def _start(self, image: Image) -> None:
        height, width = image.shape[:2]
        odd = bool(height % 2 or width % 2)
        context = self._stream.codec_context
        context.width, context.height = width, height
        if self._codec == "mjpeg":
            context.pix_fmt = "yuvj420p"
        else:
            context.pix_fmt = "yuv444p" if odd and self._codec in _OPTIONS else "yuv420p"
        context.thread_count = 1
        self._size = (height, width)

    def _mux(self, frame: VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except (FFmpegError, OSError) as error:
            raise OutputError(self.path, _why(error)) from error

    def close(self) -> None:
        """Finish the file and give it its name.

        Raises:
            OutputError: nothing was written, or the place cannot be written.
        """
        if not self.frames:
            self.abort()
            raise OutputError(self.path, "no frames were given")
        try:
            self._mux(None)
            self._container.close()
            self._scratch.replace(self.path)
        except (FFmpegError, OSError) as error:
            self.abort()
            raise OutputError(self.path, _why(error)) from error

    def abort(self) -> None:
        """Give up: remove what was written."""
        try:
            self._container.close()
        except (FFmpegError, OSError):  # a full disk fails here once more; the file goes anyway
            pass
        finally:
            self._scratch.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def write_video(
    path: Path,
    images: Iterable[Image],
    rate: Fraction,
    *,
    codec: str = "libx264",
    quality: int = 18,
) -> int:
    """Encode images to a file, whole or not at all; returns how many (see ``VideoWriter``).

    Raises:
        OutputError: there are no images, or the file cannot be written.
        ValueError: the images differ in size.
    """
    with VideoWriter(path, rate, codec=codec, quality=quality) as writer:
        for image in images:
            writer.write(image)
    return writer.frames


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
