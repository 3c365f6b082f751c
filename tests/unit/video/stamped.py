"""Clips whose frames carry their number in the pixels, written by PyAV in every awkward way."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

LIGHT = (240, 220, 30)  # red and green high, blue low: a BGR mix-up shows
DARK = (20, 30, 110)
SIDE = 4


def stamp(number: int, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """An image of 4 x 4 blocks: top-left light, the other corners dark, 12 bits between.

    Grain makes packets as large as in real recordings.
    """
    bits = [number >> n & 1 for n in range(12)]
    cells = np.array([1, *bits[:2], 0, *bits[2:10], 0, *bits[10:], 0]).reshape(SIDE, SIDE)
    rows = np.arange(size[0]) * SIDE // size[0]
    columns = np.arange(size[1]) * SIDE // size[1]
    blocks = np.array([DARK, LIGHT])[cells[rows][:, columns]]
    grain = np.random.default_rng(number).integers(-12, 13, (*size, 1))
    return np.clip(blocks + grain, 0, 255).astype(np.uint8)


def stamped(image: np.ndarray) -> int:
    """The number in an image; fails where it is damaged, turned, mirrored or BGR."""
    height, width = image.shape[:2]
    ys = (np.arange(SIDE) * 2 + 1) * height // (2 * SIDE)
    xs = (np.arange(SIDE) * 2 + 1) * width // (2 * SIDE)
    colours = image[ys][:, xs].reshape(-1, 3).astype(int)
    near = [np.abs(colours - colour).max(axis=1) < 80 for colour in (DARK, LIGHT)]
    assert (near[0] ^ near[1]).all(), "blocks are neither dark nor light"
    cells = near[1].astype(int)
    assert cells[[0, 3, 12, 15]].tolist() == [1, 0, 0, 0], "not upright"
    bits = [*cells[1:3], *cells[4:12], *cells[13:15]]
    return int(sum(int(bit) << n for n, bit in enumerate(bits)))


def encode(
    path: Path,
    codec: str = "libx264",
    *,
    frames: int = 60,
    size: tuple[int, int] = (96, 128),
    options: dict[str, str] | None = None,
    pts: Sequence[int] | None = None,
    pixels: str = "yuv420p",
    container: dict[str, str] | None = None,
    matrix: dict[str, Any] | None = None,
    first: int = 0,
) -> Path:
    """Write stamped frames ``first``, ...; ``pts`` in milliseconds, else 25 frames a second."""
    base = Fraction(1, 1000) if pts is not None else Fraction(1, 25)
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], pixels
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = base
        if matrix is not None:
            stream.set_display_rotation(**matrix)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(stamp(first + number, size))
            frame.pts, frame.time_base = number if pts is None else pts[number], base
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def irregular(frames: int = 60, start: int = 0) -> list[int]:
    """Presentation times in milliseconds with gaps of 5 to 120."""
    gaps = np.random.default_rng(7).integers(5, 121, frames)
    return (start + np.cumsum(gaps) - gaps[0]).tolist()


def cut(whole: Path, share: float) -> Path:
    """A copy that breaks off."""
    data = whole.read_bytes()
    part = whole.with_name(f"cut_{whole.name}")
    part.write_bytes(data[: int(len(data) * share)])
    return part


def image_folder(folder: Path, numbers: Sequence[int], suffix: str = ".png") -> Path:
    """A folder of stamped images ``cam2_000007.png``."""
    folder.mkdir(parents=True)
    for number in numbers:
        bgr = cv2.cvtColor(stamp(number), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"cam2_{number:06d}{suffix}"), bgr)
    return folder


def sequential(path: Path) -> list[np.ndarray]:
    """Every frame by the plainest decoding loop there is, not turned."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


B = {"bf": "3", "g": "12"}
X265 = {"x265-params": "log-level=none:keyint=12:min-keyint=12:bframes=3"}

# name -> what `encode` gets; every one of them must be read frame by exact frame
CLIPS: dict[str, dict[str, Any]] = {
    "h264.mp4": {"options": B},
    "h264_open_gop.mp4": {"options": {**B, "x264-params": "open-gop=1"}},
    "h264_one_key.mp4": {"options": {"bf": "3", "g": "250", "sc_threshold": "0"}},
    "h264_refresh.mp4": {"options": {"bf": "0", "g": "12", "x264-params": "intra-refresh=1"}},
    "h264_vfr.mp4": {"options": B, "pts": irregular()},
    "h264_vfr.mkv": {"options": B, "pts": irregular()},
    "h264.ts": {"options": B},
    "h264_fragmented.mp4": {
        "options": B,
        "container": {"movflags": "frag_keyframe+empty_moov"},
    },
    "h264.avi": {"options": B},
    "raw.h264": {"options": B},
    "h264_444_odd.mp4": {"options": B, "size": (95, 127), "pixels": "yuv444p"},
    "hevc.mp4": {"codec": "libx265", "options": X265},
    "hevc_vfr.mp4": {"codec": "libx265", "options": X265, "pts": irregular()},
    "hevc.ts": {"codec": "libx265", "options": X265},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"bf": "2", "g": "12", "qmax": "5"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "12", "qmax": "5"}},
    "mpeg4_odd_vfr.mkv": {
        "codec": "mpeg4",
        "options": {"bf": "2", "g": "12", "qmax": "5"},
        "size": (95, 127),
        "pts": irregular(),
    },
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2", "g": "12", "qmax": "5"}},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p", "options": {"qmax": "4"}},
    "mjpeg_vfr_odd.mkv": {
        "codec": "mjpeg",
        "pixels": "yuvj420p",
        "options": {"qmax": "4"},
        "size": (95, 127),
        "pts": irregular(),
    },
    "vp9.webm": {
        "codec": "libvpx-vp9",
        "options": {"g": "12", "deadline": "realtime", "cpu-used": "8"},
    },
    "turned_90.mp4": {"options": B, "matrix": {"degrees": 90}},
    "turned_180.mp4": {"options": B, "matrix": {"degrees": 180}},
    "turned_270_odd.mkv": {
        "codec": "mpeg4",
        "options": {"g": "12", "qmax": "5"},
        "size": (95, 127),
        "matrix": {"degrees": 270},
    },
}
