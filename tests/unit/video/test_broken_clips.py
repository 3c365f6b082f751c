"""What cannot be read is reported by name with the cause; what is cut off keeps the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from stamped import CLIPS, X265, B, cut, encode, image_folder, stamp, stamped

from vidal.errors import UnreadableClip
from vidal.types import Clip
from vidal.video import open_clip, opencv, read_frame, read_frames

FAST = {"container": {"movflags": "faststart"}}
CUT: dict[str, dict[str, Any]] = {
    "h264.mp4": {"options": B, **FAST},
    "hevc.mp4": {"codec": "libx265", "options": X265, **FAST},
    "mpeg4.mp4": {**CLIPS["mpeg4.mp4"], **FAST},
    "mjpeg.avi": CLIPS["mjpeg.avi"],
    "mpeg4.avi": CLIPS["mpeg4.avi"],
    "h264.avi": {"options": B},
    "h264.mkv": {"options": B},
    "h264.ts": {"options": B},
    "hevc.ts": CLIPS["hevc.ts"],
    "raw.h264": {"options": B},
    "fragmented.mp4": CLIPS["h264_fragmented.mp4"],
}
COUNTED = {"h264.mp4", "hevc.mp4", "mpeg4.mp4", "mjpeg.avi"}  # the file says how many there were


def read(clip: Clip) -> list[int]:
    frames = list(read_frames(clip))
    assert [frame.ref.index for frame in frames] == list(range(clip.frames))
    return [stamped(frame.image) for frame in frames]


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("share", [0.55, 0.7, 0.9])
def test_truncated_clip_keeps_its_readable_part(name: str, share: float, tmp_path: Path) -> None:
    clip = open_clip(cut(encode(tmp_path / name, **CUT[name]), share))
    numbers = read(clip)
    # the last packets may be shown after pictures that were not received any more
    assert numbers[:-3] == list(range(len(numbers) - 3))
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 10
    assert all(stamped(read_frame(clip, n).image) == numbers[n] for n in (-1 + clip.frames, 5, 0))
    if name in COUNTED:
        assert clip.truncated == 60 - clip.frames


def test_download_that_left_zeros_is_truncated(tmp_path: Path) -> None:
    path = encode(tmp_path / "zeros.mp4", options=B, **FAST)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    clip = open_clip(path)
    assert clip.frames + clip.truncated == 60
    assert read(clip)[:10] == list(range(10))


def test_damage_in_the_middle_never_yields_a_wrong_frame(tmp_path: Path) -> None:
    path = encode(tmp_path / "damaged.mp4", options=B, **FAST)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    clip = open_clip(path)
    assert clip.frames == 60
    dense = {frame.ref.index for frame in read_frames(clip)}
    assert 40 < len(dense) < 60
    for index in sorted(set(range(60)) - dense):
        with pytest.raises(UnreadableClip, match=f"frame {index} does not decode"):
            read_frame(clip, index)
    ends = [*range(15), *range(50, 60)]
    assert [stamped(frame.image) for frame in read_frames(clip, ends)] == ends


def joined(folder: Path, name: str, starts: tuple[int, int]) -> Path:
    """Two recordings of 60 frames end to end, frames 0..119; times in milliseconds."""
    parts = [folder / f"{part}_{name}" for part in "ab"]
    codec = "mpeg2video" if name.endswith("mpg") else "libx264"
    for number, (path, start) in enumerate(zip(parts, starts, strict=True)):
        pts = [start + 40 * n for n in range(60)]
        encode(path, codec, options={"bf": "2", "g": "15"}, pts=pts, first=60 * number)
    whole = folder / name
    whole.write_bytes(b"".join(path.read_bytes() for path in parts))
    return whole


@pytest.mark.parametrize("starts", [(0, 0), (0, 13), (0, 60000), (60000, 0)])
def test_recordings_joined_end_to_end_are_counted_through(
    tmp_path: Path, starts: tuple[int, int]
) -> None:
    clip = open_clip(joined(tmp_path, "a.ts", starts))
    assert (clip.frames, clip.truncated) == (120, 0)
    dense = {frame.ref.index: stamped(frame.image) for frame in read_frames(clip)}
    assert len(dense) >= 116  # the demuxer reports damage where the counters of packets jump
    assert all(index == number for index, number in dense.items())
    for index in (0, 17, 80, 99, 119):
        assert stamped(read_frame(clip, index).image) == index


@pytest.mark.parametrize("name", ["raw.h264", "h264.avi", "h264.mp4", "h264.ts", "h264.mkv"])
@pytest.mark.parametrize("place", [0.45, 0.9])
def test_damaged_slice_keeps_its_place_in_the_count(
    tmp_path: Path, name: str, place: float
) -> None:
    path = encode(tmp_path / name, options={**B, "g": "20"}, frames=90)
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size > 600]
    within = packets[int(len(packets) * place)][200:240]  # no start code or header is touched
    data = bytearray(path.read_bytes())
    at = data.find(within)
    assert at > 0
    noise = np.random.default_rng(5).integers(1, 256, len(within), dtype=np.uint8)
    data[at : at + len(within)] = noise.tobytes()
    path.write_bytes(data)
    clip = open_clip(path)
    assert (clip.frames, clip.truncated) == (90, 0)
    near = range(int(90 * place) - 25, int(90 * place) + 25)
    for frame in read_frames(clip):
        if frame.ref.index not in near:
            assert stamped(frame.image) == frame.ref.index


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is an empty file"),
        (b"shopping list: milk, bread\n" * 40, "is not a video that can be decoded"),
        (b"#EXTM3U\n#EXTINF:5,\nhttp://192.0.2.1/a.ts\n", "is not a video that can be decoded"),
    ],
)
def test_what_is_not_a_video_is_named_with_the_cause(
    tmp_path: Path, content: bytes, cause: str
) -> None:
    path = tmp_path / "drive.mp4"
    path.write_bytes(content)
    with pytest.raises(UnreadableClip, match=rf"drive\.mp4: {cause}") as caught:
        open_clip(path)
    assert caught.value.path == path


def test_recording_cut_before_its_index_says_so(tmp_path: Path) -> None:
    path = cut(encode(tmp_path / "crash.mp4", options=B), 0.7)
    with pytest.raises(UnreadableClip, match=r"index is missing .* cut off before it was closed"):
        open_clip(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableClip, match=r"gone\.mp4: no such file"):
        open_clip(tmp_path / "gone.mp4")


def test_clip_deleted_after_opening_is_named(tmp_path: Path) -> None:
    clip = open_clip(encode(tmp_path / "gone.mp4", frames=5))
    clip.path.unlink()
    with pytest.raises(UnreadableClip, match=r"gone\.mp4: no such file"):
        list(read_frames(clip))


def test_folder_of_broken_images_is_named(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "drive", [1, 2])
    for file in folder.iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(UnreadableClip, match="none of its 2 images decodes"):
        open_clip(folder)


def test_two_images_of_one_number_are_named(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "drive", [1, 2])
    cv2.imwrite(str(folder / "left_1.png"), stamp(1))
    with pytest.raises(UnreadableClip, match=r"number 1: cam2_000001\.png and left_1\.png"):
        open_clip(folder)


@pytest.mark.parametrize("name", ["h264_vfr.mp4", "mjpeg.avi", "turned_90.mp4"])
def test_opencv_reader_counts_to_the_same_frames(name: str, tmp_path: Path) -> None:
    path = encode(tmp_path / name, **CLIPS[name])
    by_time = open_clip(path)
    counted = opencv.count(path)
    assert counted is not None
    assert counted[:2] == (60, by_time.size)
    wanted = np.array([0, 7, 31, 59])
    for (index, image), frame in zip(
        opencv.read(path, wanted), read_frames(by_time, wanted), strict=True
    ):
        assert index == frame.ref.index
        assert np.abs(image.astype(int) - frame.image).mean() < 4


def test_opencv_reader_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video")
    assert opencv.count(path) is None
