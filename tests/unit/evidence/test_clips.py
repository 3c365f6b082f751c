"""Which clips a run opens, under which names; what was scored; where clips leave out a stretch."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidal.errors import NoClips
from vidal.evidence.clips import open_clips, open_paths
from vidal.evidence.places import Engines, store_at
from vidal.evidence.prints import keep_prints, known_prints
from vidal.evidence.scan import gaps_after, scan_clip
from vidal.track import FlowMeter, FlowOptions
from vidal.types import Clip, SkippedClip
from vidal.video import open_clip, read_frames, write_video
from vidal.video.prints import frame_print

ENGINES = Engines(1, "cpu")
RATE = Fraction(10)


def pictures(count: int) -> list[np.ndarray]:
    """A textured picture that moves by two pixels a frame."""
    rng = np.random.default_rng(3)
    wide = cv2.resize(rng.integers(0, 255, (24, 60, 3), dtype=np.uint8), (240, 96))
    return [np.ascontiguousarray(wide[:, 2 * n : 2 * n + 128]) for n in range(count)]


def a_video(path: Path, frames: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, pictures(frames), Fraction(25))
    return path


def test_linked_clips_are_called_after_their_links_and_found_again(tmp_path: Path) -> None:
    a_video(tmp_path / "archive" / "deep" / "0001.mp4")
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "monday.mp4").symlink_to(tmp_path / "archive" / "deep" / "0001.mp4")
    (clips / "all").symlink_to(tmp_path / "archive")
    for _ in range(2):  # opened, then remembered
        found, skipped = open_clips(
            clips, engines=ENGINES, store=tmp_path / "store", image_rate=RATE
        )
        assert [clip.id.rpartition("-")[0] for clip in found] == ["all__deep__0001", "monday"]
        assert skipped == []
    again = open_paths(
        [(clip.path, clips) for clip in found],
        engines=ENGINES,
        store=tmp_path / "store",
        image_rate=RATE,
    )
    assert [clip.id for clip in again if isinstance(clip, Clip)] == [clip.id for clip in found]


def test_what_was_passed_over_is_listed_beside_what_could_not_be_read(tmp_path: Path) -> None:
    a_video(tmp_path / "clips" / "good.mp4")
    (tmp_path / "clips" / "bad.mp4").write_bytes(b"rubbish" * 99)
    (tmp_path / "clips" / "gone.mp4").symlink_to("nowhere.mp4")
    found, skipped = open_clips(
        tmp_path / "clips", engines=ENGINES, store=tmp_path / "store", image_rate=RATE
    )
    assert [clip.path.name for clip in found] == ["good.mp4"]
    assert sorted(each.path.name for each in skipped) == ["bad.mp4", "gone.mp4"]


def test_path_that_went_away_is_skipped_by_name(tmp_path: Path) -> None:
    paths = [(tmp_path / name, tmp_path) for name in ("gone.mp4", "loop.mp4")]
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    opened = open_paths(paths, engines=ENGINES, store=tmp_path / "store", image_rate=RATE)
    assert [each.path.name for each in opened if isinstance(each, SkippedClip)] == [
        "gone.mp4",
        "loop.mp4",
    ]


def test_device_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NoClips, match=r"/dev/null: is a device"):
        open_clips(Path("/dev/null"), engines=ENGINES, store=tmp_path / "store", image_rate=RATE)


def test_prints_are_kept_for_the_decoder_and_the_length_that_made_them(tmp_path: Path) -> None:
    clip = open_clip(a_video(tmp_path / "a.mp4"))
    store = store_at(tmp_path / "store")
    assert known_prints(store, clip) is None
    prints = np.array([frame_print(frame.image) for frame in read_frames(clip)], np.uint64)
    keep_prints(store, clip, prints)
    known = known_prints(store, clip)
    assert known is not None
    assert known.tolist() == prints.tolist()
    keep_prints(store, clip, prints[:-1])
    assert known_prints(store, clip) is None


def image_clip(folder: Path, numbers: list[int]) -> Clip:
    folder.mkdir()
    for number, picture in zip(numbers, pictures(len(numbers)), strict=True):
        cv2.imwrite(str(folder / f"{number:04d}.png"), picture)
    return open_clip(folder)


def test_flow_is_not_measured_across_a_gap(tmp_path: Path) -> None:
    clip = image_clip(tmp_path / "drive", [7, 8, 9, 20, 21, 23])
    assert gaps_after(clip).tolist() == [2]
    _, flow = scan_clip(
        clip,
        read_frames(clip),
        detector=None,
        meter=FlowMeter(FlowOptions(cuts=False), clip.frames, clip.size),
        batch=4,
        report=lambda done, total: None,
    )
    assert flow is not None
    assert flow.valid.tolist() == [True, True, False, True, True]


def test_regular_and_slightly_irregular_clips_have_no_gaps(tmp_path: Path) -> None:
    assert len(gaps_after(image_clip(tmp_path / "a", [0, 30, 60, 90]))) == 0
    assert len(gaps_after(image_clip(tmp_path / "b", [0, 1, 2, 5, 6]))) == 0
    assert len(gaps_after(image_clip(tmp_path / "c", [4, 5]))) == 0
