"""Writing clips and images."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from stamped import stamp, stamped

from vidal.errors import OutputError
from vidal.scenes import SceneSpec, render
from vidal.video import (
    VideoWriter,
    encode_jpeg,
    open_clip,
    read_frames,
    read_image,
    resize,
    save_jpeg,
    thumbnail,
    write_video,
)

RATE = Fraction(30000, 1001)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
@pytest.mark.parametrize("size", [(96, 128), (95, 127)])
def test_written_clip_is_read_back_frame_by_frame(
    tmp_path: Path, codec: str, size: tuple[int, int]
) -> None:
    path = tmp_path / "clip.mp4"
    quality = 3 if codec == "mpeg4" else 18
    images = (stamp(n, size) for n in range(20))
    assert write_video(path, images, RATE, codec=codec, quality=quality) == 20
    clip = open_clip(path)
    assert (clip.frames, clip.size, clip.rate) == (20, size, RATE)
    assert [stamped(frame.image) for frame in read_frames(clip)] == list(range(20))
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.mp4", "b.mp4")]
    for path in paths:
        write_video(path, (stamp(n) for n in range(20)), Fraction(10))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_failed_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="expected \\(96, 128\\), got \\(48, 64\\)"):
        write_video(path, [stamp(0), stamp(1, (48, 64))], RATE)
    with pytest.raises(OutputError, match="no frames were given"):
        write_video(path, [], RATE)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*clip\.mp4: no such file or directory"):
        VideoWriter(tmp_path / "missing" / "clip.mp4", RATE)
    with pytest.raises(OutputError, match="no_such_codec"):
        VideoWriter(tmp_path / "clip.mp4", RATE, codec="no_such_codec")
    with pytest.raises(OutputError, match="no such file or directory"):
        save_jpeg(tmp_path / "missing" / "a.jpg", stamp(0))


def test_jpeg_is_read_back_in_rgb(tmp_path: Path) -> None:
    save_jpeg(tmp_path / "a.jpg", stamp(77))
    image = read_image(tmp_path / "a.jpg")
    assert image is not None
    assert stamped(image) == 77
    assert (tmp_path / "a.jpg").read_bytes() == encode_jpeg(stamp(77))
    assert len(encode_jpeg(stamp(77), 30)) < len(encode_jpeg(stamp(77), 92))
    with pytest.raises(ValueError, match=r"quality: 0, outside 1\.\.100"):
        encode_jpeg(stamp(0), 0)


def test_shrinking_averages_areas() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    image[:2, :2] = [[[10], [20]], [[30], [40]]]
    small = resize(image, 2)
    assert small.shape == (2, 3, 3)
    assert small[:, :, 0].tolist() == [[25, 0, 0], [0, 0, 0]]


def test_resizing_keeps_the_aspect() -> None:
    assert resize(stamp(0, (96, 128)), 48).shape == (48, 64, 3)
    assert resize(stamp(0, (96, 128)), 192).shape == (192, 256, 3)
    assert resize(np.zeros((100, 1, 3), np.uint8), 10).shape == (10, 1, 3)
    with pytest.raises(ValueError, match="height: 0"):
        resize(stamp(0), 0)


def test_thumbnail_only_shrinks() -> None:
    assert thumbnail(stamp(0, (480, 300)), 320).shape == (320, 200, 3)
    assert thumbnail(stamp(0, (96, 128)), 320).shape == (96, 128, 3)


def test_same_frames_of_a_scene_give_the_same_bytes(tmp_path):
    # Small synthetic frames did not show that x264 chose differently with every run.
    images = [image for image, _ in render(SceneSpec("city", frames=24, seed=3))]
    files = []
    for number in range(4):
        path = tmp_path / f"{number}.mp4"
        write_video(path, images, Fraction(25))
        files.append(path.read_bytes())
    assert len(set(files)) == 1
