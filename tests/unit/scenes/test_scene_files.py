"""Rendered scenes as files."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidal import scenes
from vidal.errors import OutputBusy, OutputError, UnknownName, UsageError
from vidal.formats import coco_video, synthia_al
from vidal.scenes.scene_files import LAYOUTS, synthia_name, write_scenes
from vidal.store import lock

SPECS = scenes.plan(2, 3, frames=(3, 5), size=(96, 160))


def test_videos_come_with_the_exact_truth(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path, SPECS)
    clips = list(coco_video.read(tmp_path / "labels.coco.json"))
    assert [clip.path for clip in clips] == paths
    for spec, clip, path in zip(SPECS, clips, paths, strict=True):
        truth = scenes.annotations(truth for _, truth in scenes.render(spec))
        assert clip.annotations == truth
        assert (clip.size, clip.rate) == ((96, 160), Fraction(25))
        video = cv2.VideoCapture(str(path))
        assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == spec.frames
        _, stored = video.read()
        image, _ = next(scenes.render(spec))
        assert np.abs(stored[:, :, ::-1].astype(int) - image).mean() < 8


def test_synthia_folders_hold_the_same_pixels_and_boxes(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path, SPECS, layout="synthia-al")
    found = {clip.name: clip for clip in synthia_al.read(tmp_path)}
    for spec, path in zip(SPECS, paths, strict=True):
        clip = found[synthia_name(spec)]
        truth = scenes.annotations(truth for _, truth in scenes.render(spec))
        assert np.array_equal(clip.annotations.boxes, truth.boxes)
        assert np.array_equal(clip.annotations.labels, truth.labels)
        stored = cv2.imread(str(path / "RGB" / "000000.png"))
        image, _ = next(scenes.render(spec))
        assert np.array_equal(stored[:, :, ::-1], image)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_finished_clips_are_kept_and_changed_ones_are_rendered_again(
    tmp_path: Path, layout: str
) -> None:
    first, second = write_scenes(tmp_path, SPECS, layout=layout)
    before = [path.stat().st_mtime_ns for path in (first, second)]
    write_scenes(tmp_path, SPECS, layout=layout)
    assert [path.stat().st_mtime_ns for path in (first, second)] == before
    longer = [SPECS[0], replace(SPECS[1], frames=SPECS[1].frames + 1)]
    write_scenes(tmp_path, longer, layout=layout)
    assert first.stat().st_mtime_ns == before[0]
    assert second.stat().st_mtime_ns != before[1]


def test_clip_without_its_file_is_rendered_again(tmp_path: Path) -> None:
    path, other = write_scenes(tmp_path, SPECS)
    kept = other.stat().st_mtime_ns
    path.unlink()
    write_scenes(tmp_path, SPECS)
    video = cv2.VideoCapture(str(path))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == SPECS[0].frames
    assert other.stat().st_mtime_ns == kept


def test_listing_names_specs_and_versions(tmp_path: Path) -> None:
    write_scenes(tmp_path, SPECS[:1])
    listing = json.loads((tmp_path / "scenes.json").read_text())
    assert listing["look"] == scenes.LOOK
    assert listing["clips"][0]["seed"] == SPECS[0].seed


def test_progress_is_told_after_each_clip(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    write_scenes(tmp_path, SPECS, progress=lambda *args: told.append(args))
    assert told == [(SPECS[0].name, 1, 2), (SPECS[1].name, 2, 2)]


def test_wheelchair_and_test_clips_are_named_as_in_the_data_set() -> None:
    (spec,) = scenes.plan(1, 0, split="test-wheelchair", frames=(300, 300))
    name = synthia_name(spec)
    assert name.startswith("test/test5_12segs_weather_0_")
    assert "_P_20_C_0_B_None_WC_100/" in name
    parsed = synthia_al.SceneName.parse(name)
    assert parsed is not None
    assert parsed.wheelchairs


def test_unknown_layouts_and_repeated_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="layout"):
        write_scenes(tmp_path, SPECS, layout="zip")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="one name"):
        write_scenes(tmp_path, [SPECS[0], SPECS[0]])


@pytest.mark.parametrize("name", ["labels.coco.json", "scenes.json", "clips/SPEC.mp4"])
def test_files_of_the_user_are_named_and_kept(tmp_path: Path, name: str) -> None:
    specs = scenes.plan(1, 3, frames=(4, 4), size=(64, 96))
    mine = tmp_path / name.replace("SPEC", specs[0].name)
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(OutputError, match="vidal did not write it") as caught:
        write_scenes(tmp_path, specs)
    assert caught.value.path == mine
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "mine"


def test_rendering_again_into_one_folder_replaces_the_listing(tmp_path: Path) -> None:
    for clips in (1, 2):
        write_scenes(tmp_path, scenes.plan(clips, 3, frames=(4, 4), size=(64, 96)))
    assert len(json.loads((tmp_path / "scenes.json").read_text())["clips"]) == 2
    assert not list(tmp_path.rglob("*.vidal-tmp"))


def test_two_renderings_into_one_folder_are_not_mixed(tmp_path: Path) -> None:
    with lock.locked(tmp_path), pytest.raises(OutputBusy):
        write_scenes(tmp_path, scenes.plan(1, 3, frames=(4, 4), size=(64, 96)))
    assert list(tmp_path.iterdir()) == []
