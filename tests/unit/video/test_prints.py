"""A picture that is written is the one that was scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stamped import B, encode, image_folder, stamp, stamped

from vidal.errors import UnreadableClip
from vidal.report.frames import frame_names, write_frames
from vidal.types import Clip, FrameRef
from vidal.video import open_clip, read_frames, read_image
from vidal.video.prints import Prints, frame_print, printed


def scanned(clip: Clip) -> Prints:
    prints = np.zeros(clip.frames, np.uint64)
    for _ in printed(read_frames(clip), prints):
        pass
    return prints


def write(clip: Clip, prints: Prints, indices: list[int], out: Path) -> dict[int, Path]:
    out.mkdir()
    refs = [FrameRef(clip.id, index) for index in indices]
    names = write_frames(refs, {clip.id: clip}, out, prints=lambda _: prints).names
    return {ref.index: out / names[ref] for ref in refs}


def test_print_tells_pictures_apart_and_is_never_zero() -> None:
    picture = stamp(5, (480, 640))
    other = picture.copy()
    other[:8, :8] = 0
    assert frame_print(picture) == frame_print(picture.copy()) > 0
    assert frame_print(picture) != frame_print(other)


def test_unchanged_clip_is_written_as_it_was_scored(tmp_path: Path) -> None:
    clip = open_clip(encode(tmp_path / "a.mp4", options=B))
    prints = scanned(clip)
    assert (prints > 0).all()
    pictures = write(clip, prints, [3, 30, 59], tmp_path / "out")
    for index, path in pictures.items():
        image = read_image(path)
        assert image is not None
        assert stamped(image) == index


def test_clip_replaced_after_the_scan_is_refused_by_name(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", options=B)
    clip = open_clip(path)
    prints = scanned(clip)
    encode(path, options=B, first=100)
    with pytest.raises(
        UnreadableClip, match="frame 7 is not the picture that was scored"
    ) as caught:
        write(clip, prints, [7], tmp_path / "out")
    assert "Run the selection again" in caught.value.hint


def test_image_rewritten_after_the_scan_is_refused_by_name(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "drive", [1, 2, 3])
    clip = open_clip(folder)
    prints = scanned(clip)
    (folder / "cam2_000003.png").replace(folder / "cam2_000002.png")
    with pytest.raises(UnreadableClip, match="frame 1 is not the picture that was scored"):
        write(clip, prints, [0, 1], tmp_path / "out")


def test_frame_that_a_seek_shows_otherwise_is_read_in_sequence(tmp_path: Path) -> None:
    clip = open_clip(encode(tmp_path / "a.avi", "mpeg4", options={"bf": "0", "g": "60"}))
    prints = scanned(clip)
    misled = replace(clip, keyframes=np.array([0, 20, 40]))  # as a file that marks too much
    pictures = write(misled, prints, [25, 45], tmp_path / "out")
    for index, path in pictures.items():
        image = read_image(path)
        assert image is not None
        assert stamped(image) == index


def test_long_ids_give_file_names_that_can_be_written(tmp_path: Path) -> None:
    refs = [FrameRef("n" * 240 + f"-0000000{n}", 1) for n in (1, 2)]
    names = frame_names(refs)
    assert len(set(names.values())) == 2
    for name in names.values():
        (tmp_path / f".{name}.12345678.part.jpg").touch()
        assert name.endswith("_000001.jpg")
