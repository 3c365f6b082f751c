"""A stretch of a clip has the frames and the pixels that a reading of the whole clip gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from stamped import CLIPS, X265, B, encode, image_folder

from vidal.errors import UnreadableClip
from vidal.evidence.prints import disagreeing, keep_window_prints, known_prints
from vidal.evidence.windows import Window, cut_windows
from vidal.store import MemoryStore
from vidal.types import Clip, Frame
from vidal.video import open_clip, read_frames
from vidal.video.prints import Prints, printed
from vidal.video.stretch import read_stretch, run_up

Clips = Callable[[str], Path]


def assert_as_whole(clip: Clip, size: int = 17, margin: int = 3) -> None:
    dense = {frame.ref.index: frame.image for frame in read_frames(clip)}
    for at in range(0, clip.frames, size):
        start, stop = max(0, at - margin), min(clip.frames, at + size + margin)
        found = list(read_stretch(clip, start, stop))
        there = [index for index in sorted(dense) if start <= index < stop]
        assert [frame.ref.index for frame in found] == there
        for frame in found:
            assert frame.ref.clip == clip.id
            np.testing.assert_array_equal(frame.image, dense[frame.ref.index])


@pytest.mark.parametrize("name", CLIPS)
def test_stretches_have_the_frames_and_pixels_of_the_whole(name: str, stamped_clip: Clips) -> None:
    assert_as_whole(open_clip(stamped_clip(name)))


def test_stretches_of_a_folder_with_a_gap_and_a_broken_image(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "a", [*range(20), *range(30, 60)])
    (folder / "cam2_000012.png").write_bytes(b"no picture")
    assert_as_whole(open_clip(folder))


def damaged_copy(path: Path, target: Path, at: list[float], count: int = 24) -> Path:
    """A copy with noise in some places, given as shares of the file."""
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    for share in at:
        place = int(len(data) * share)
        data[place : place + count] = rng.integers(1, 256, count, dtype=np.uint8).tobytes()
    target.write_bytes(data)
    return target


DAMAGED = {
    "a.mp4": {"options": B},
    "open.mp4": {"options": {**B, "x264-params": "open-gop=1"}},
    "a.ts": {"options": B},
    "hevc.mp4": {"codec": "libx265", "options": X265},
    "mpeg4.mkv": {"codec": "mpeg4", "options": {"bf": "2", "g": "12", "qmax": "5"}},
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("places", [(0.3,), (0.47, 0.55), (0.2, 0.4, 0.6, 0.8)])
def test_damage_is_made_up_for_as_in_the_whole_or_seen_where_stretches_overlap(
    name: str, places: tuple[float, ...], tmp_path: Path
) -> None:
    path = encode(tmp_path / name, frames=120, **DAMAGED[name])  # type: ignore[arg-type]
    clip = open_clip(damaged_copy(path, tmp_path / f"hurt_{name}", list(places)))
    whole = prints_of(clip, read_frames(clip), Window(0, clip.frames))
    store, windows = MemoryStore(), cut_windows(clip.frames, 17)
    other = []
    for window in windows:
        around = window.grown(3, clip.frames)
        found = prints_of(clip, read_stretch(clip, around.start, around.stop), around)
        if not np.array_equal(found, whole[around.start : around.stop]):
            other.append(window)
        keep_window_prints(store, clip, window, found, around, windows)
    assert len(other) <= 2
    while wrong := disagreeing(store, clip, windows):
        for window in wrong:  # as ``vidal.evidence.gathering`` does: from the clip's first frame on
            around = window.grown(3, clip.frames)
            found = whole[around.start : around.stop]
            keep_window_prints(store, clip, window, found, around, windows)
    np.testing.assert_array_equal(known_prints(store, clip), whole)


def prints_of(clip: Clip, frames: Iterable[Frame], window: Window) -> Prints:
    prints = np.zeros(window.frames, np.uint64)
    for _ in printed(frames, prints, first=window.start):
        pass
    return prints


def test_decoding_begins_a_group_of_pictures_early_and_not_at_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = open_clip(encode(tmp_path / "a.mp4", frames=240, options={**B, "sc_threshold": "0"}))
    assert clip.keyframes.tolist() == list(range(0, 240, 12))
    assert run_up(clip, 5) == run_up(clip, 20) == run_up(clip, 27) == 0
    assert run_up(clip, 121) == 96  # the group before is shorter than pictures refer back
    decoded: list[int] = []

    def images(source: object, frame: object) -> np.ndarray:
        decoded.append(frame.pts)  # type: ignore[attr-defined]
        return np.zeros((*clip.size, 3), np.uint8)

    monkeypatch.setattr("vidal.video.source.Source.image", images)
    found = list(read_stretch(clip, 121, 125))
    assert [frame.ref.index for frame in found] == [121, 122, 123, 124]
    assert len(decoded) == 4  # no picture is made of what comes before


@pytest.mark.parametrize("name", ["mpeg2.mpg", "h264.avi", "h264_one_key.mp4"])
def test_files_without_places_to_begin_are_read_from_the_start(
    name: str, stamped_clip: Clips
) -> None:
    assert run_up(open_clip(stamped_clip(name)), 50) == 0


def test_images_are_read_where_they_are(tmp_path: Path) -> None:
    clip = open_clip(image_folder(tmp_path / "a", range(5)))
    assert run_up(clip, 3) == 3


def test_frames_outside_the_clip_are_refused_and_a_file_that_is_gone_is_named(
    tmp_path: Path,
) -> None:
    path = encode(tmp_path / "a.mp4", frames=60, options=B)
    clip = open_clip(path)
    for start, stop in ((-1, 3), (3, 2), (50, 61)):
        with pytest.raises(ValueError, match="no frames"):
            read_stretch(clip, start, stop)
    path.unlink()
    frames: list[Frame] = []
    with pytest.raises(UnreadableClip, match=r"a\.mp4"):
        frames.extend(read_stretch(clip, 50, 60))
