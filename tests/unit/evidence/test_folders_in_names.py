"""Labels never go to another folder's clip of the same name, whatever a format calls a picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.errors import VidalError
from vidal.evidence.beside import labels_beside
from vidal.evidence.label_files import pictures_of
from vidal.types import Clip, FrameRef


def a_clip(place: str) -> Clip:
    bare = place.replace("/", "__")
    path = Path(f"clips/{place}.mp4")
    return Clip(f"{bare}-0a1b2c3d", path, np.arange(7), Fraction(1, 25), Fraction(25), (96, 192))


DAY, NIGHT, SOLO = (a_clip(place) for place in ("day/cam", "night/cam", "solo"))
SHAPE = '<box label="car" occluded="0" xtl="10" ytl="10" xbr="60" ybr="50"/>'


def cvat_images(folder: Path, place: str) -> Path:
    file = folder / "a.xml"
    image = f'<image id="0" name="{place}_000003.jpg" width="192" height="96">{SHAPE}</image>'
    file.write_text(f"<annotations>{image}</annotations>")
    return file


def coco(folder: Path, place: str) -> Path:
    file = folder / "a.json"
    image = {"id": 1, "file_name": f"{place}_000003.jpg", "width": 192, "height": 96}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 40]}
    value = {"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "car"}]}
    file.write_text(json.dumps(value))
    return file


def yolo(folder: Path, place: str) -> Path:
    file = folder / "labels" / f"{place}_000003.txt"
    file.parent.mkdir(parents=True)
    file.write_text("0 .5 .5 .2 .2\n")
    (folder / "classes.txt").write_text("car\n")
    return folder


def label_studio(folder: Path, place: str) -> Path:
    file = folder / "a.json"
    url = f"/data/local-files/?d={place}_000003.jpg"
    file.write_text(json.dumps([{"data": {"image": url}, "annotations": [{"result": []}]}]))
    return file


def label_studio_video(folder: Path, place: str) -> Path:
    file = folder / "a.json"
    data = {"video": f"/data/local-files/?d={place}.mp4"}
    file.write_text(json.dumps([{"data": data, "annotations": [{"result": []}]}]))
    return file


def coco_video(folder: Path, place: str) -> Path:
    file = folder / "a.json"
    video = {"id": 1, "name": Path(place).name, "file_name": f"{place}.mp4"}
    image = {"id": 1, "video_id": 1, "frame_id": 3}
    value = {"videos": [video], "images": [image], "annotations": [], "categories": []}
    file.write_text(json.dumps(value))
    return file


def cvat_video(folder: Path, place: str) -> Path:
    file = folder / "a.xml"
    size = "<original_size><width>192</width><height>96</height></original_size>"
    facts = "<name>Task 17</name><size>7</size><start_frame>0</start_frame>"
    facts += f"<stop_frame>6</stop_frame>{size}<source>{place}.mp4</source>"
    box = SHAPE.replace("<box", '<box frame="3" outside="0" keyframe="1"').replace(
        ' label="car"', ""
    )
    track = f'<track id="0" label="car">{box}</track>'
    file.write_text(f"<annotations><meta><task>{facts}</task></meta>{track}</annotations>")
    return file


EVERY = [cvat_images, coco, yolo, label_studio, label_studio_video, coco_video, cvat_video]
Make = Callable[[Path, str], Path]


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_labels_of_a_clip_in_another_folder_are_refused(tmp_path: Path, make: Make) -> None:
    with pytest.raises(VidalError):
        labels_beside(make(tmp_path, "night/cam"), [DAY, SOLO])


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_folders_tell_clips_of_one_name_apart(tmp_path: Path, make: Make) -> None:
    match = labels_beside(make(tmp_path, "night/cam"), [DAY, NIGHT, SOLO]).match
    assert [name for name, table in match.annotations.items() if table.labelled[3]] == [NIGHT.id]


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_a_name_without_folders_means_the_only_clip_of_that_name(
    tmp_path: Path, make: Make
) -> None:
    match = labels_beside(make(tmp_path, "cam"), [NIGHT, SOLO]).match
    assert list(match.annotations) == [NIGHT.id]


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("cam_000003.jpg", None),
        ("day/cam_000003.jpg", DAY),
        ("images/train/day/cam_000003.jpg", DAY),
        ("day\\cam_000003.jpg", DAY),
        ("day/images/cam_000003.png", DAY),
        ("C:/x/upload/1/solo_3.jpg", SOLO),
        ("obj_Train_data/solo_3.jpg", SOLO),
        ("anything/solo_3.jpg", SOLO),
        (f"night/{DAY.id}_000003.jpg", DAY),
        ("dusk/cam_000003.jpg", None),
        ("day/cam_000003_1.jpg", None),
        ("_3.jpg", None),
        ("", None),
    ],
)
def test_pictures_are_found_by_folder_and_name(name: str, clip: Clip | None) -> None:
    found = pictures_of([DAY, NIGHT, SOLO])(name)
    assert found == (None if clip is None else FrameRef(clip.id, 3))


def test_a_task_whose_name_and_video_are_of_different_clips_is_refused(tmp_path: Path) -> None:
    file = cvat_video(tmp_path, "solo")
    file.write_text(file.read_text().replace("Task 17", "night/cam"))
    with pytest.raises(VidalError, match=r"'night/cam' would be clip night__cam-\w+, but its vid"):
        labels_beside(file, [DAY, NIGHT, SOLO])


def test_where_nothing_fits_the_first_picture_that_was_left_out_is_named(tmp_path: Path) -> None:
    message = r"no labels of these clips; .*'night/cam_000003.jpg' does not say which frame"
    with pytest.raises(VidalError, match=message):
        labels_beside(cvat_images(tmp_path, "night/cam"), [DAY])
