"""Label files beside clips: what the readers are told of the clips, and what they are not."""

from __future__ import annotations

import json
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.errors import FormatError
from vidal.evidence.beside import labels_beside
from vidal.evidence.label_files import detect_format, read_labels
from vidal.types import Clip

CLASSES = ("pedestrian", "car")
CLIP = Clip(
    "town-0a1b2c3d", Path("town.mp4"), np.arange(7), Fraction(1, 25), Fraction(25), (96, 192)
)


def yolo_labels(folder: Path, names: dict[str, str], beside: dict[str, str]) -> Path:
    for name, text in {**{f"labels/{n}": t for n, t in names.items()}, **beside}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_numbers_without_a_list_are_not_read_in_the_campaigns_order(tmp_path):
    root = yolo_labels(tmp_path, {"town-0a1b2c3d_000003.txt": "0 .5 .5 .5 .5\n"}, {})
    with pytest.raises(FormatError, match=r"names of the classes are not stated.*classes\.txt"):
        list(read_labels(root, "yolo", classes=CLASSES, clips=[CLIP]))


@pytest.mark.parametrize(
    "name", ["town-0a1b2c3d_000003.txt", "town_000003.txt", "01234567-town_000003.txt"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_labels_alone_get_length_and_size_of_the_clip_they_name(tmp_path, name, packed):
    labels = {name: "0 .5 .5 .5 .5\n"}
    path = yolo_labels(tmp_path / "set", labels, {"obj.names": "car\npedestrian\n"})
    if packed:
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in (tmp_path / "set").rglob("*.*"):
                archive.write(file, f"set/{file.relative_to(tmp_path / 'set')}")
    assert detect_format(path) == "yolo"
    (entry,) = read_labels(path, "yolo", classes=CLASSES, clips=[CLIP])
    table = entry.annotations
    assert (table.frames, entry.size) == (7, (96, 192))
    assert table.boxes.tolist() == [[48, 24, 144, 72]]
    assert table.classes[table.labels[0]] == "car"


def test_a_folder_with_one_file_of_coco_is_that_and_with_notes_of_yolo_is_not(tmp_path):
    value = {
        "images": [{"id": 1, "file_name": "town_000003.jpg", "width": 192, "height": 96}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "car"}],
    }
    (tmp_path / "README.txt").write_text("exported")
    (tmp_path / "_annotations.coco.json").write_text(json.dumps(value))
    assert detect_format(tmp_path) == "coco-video"
    (entry,) = read_labels(tmp_path, "coco-video", classes=CLASSES, clips=[CLIP])
    assert (entry.name, entry.annotations.frames, entry.size) == (CLIP.id, 7, (96, 192))
    (tmp_path / "_annotations.coco.json").unlink()
    (tmp_path / "notes.json").write_text('{"categories": []}')
    assert detect_format(tmp_path) == "yolo"


COCO = {"images": [], "annotations": [], "categories": []}
CVAT = """<annotations><image id="0" name="{name}.jpg" width="192" height="96">
<box label="car" occluded="0" xtl="10" ytl="10" xbr="60" ybr="50"/></image></annotations>"""


@pytest.mark.parametrize("packed", [False, True])
def test_the_notes_of_a_service_beside_coco_do_not_make_it_yolo(tmp_path, packed):
    value = {**COCO, "images": [{"id": 1, "file_name": "town_000003.jpg"}]}
    texts = {
        "README.dataset.txt": "provided by",
        "README.roboflow.txt": "exported",
        "train/_annotations.coco.json": json.dumps(value),
        "train/town_000003.jpg": "",
    }
    path = tmp_path / "set"
    for name, text in texts.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    if packed:
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in texts.items():
                archive.writestr(name, text)
    assert detect_format(path) == "coco-video"
    (entry,) = read_labels(path, "coco-video", classes=None, clips=[CLIP])
    assert np.flatnonzero(entry.annotations.labelled).tolist() == [3]


def test_several_files_of_coco_are_told_apart_by_their_folders(tmp_path):
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(COCO))
    assert detect_format(tmp_path) == "coco-video"
    with pytest.raises(FormatError, match=r"train/_annotations\.coco\.json, valid/_anno.*Name the"):
        list(read_labels(tmp_path, "coco-video", classes=None, clips=[CLIP]))


def test_jobs_of_cvat_in_folders_of_their_own_are_read_together(tmp_path):
    for number in (1, 2):
        (tmp_path / f"job_{number}").mkdir()
        file = tmp_path / f"job_{number}" / "annotations.xml"
        file.write_text(CVAT.format(name=f"town_00000{number}"))
    assert detect_format(tmp_path) == "cvat-images"
    (entry,) = read_labels(tmp_path, "cvat-images", classes=None, clips=[CLIP])
    assert np.flatnonzero(entry.annotations.labelled).tolist() == [1, 2]


def test_videos_of_one_name_in_one_file_of_label_studio_are_told_apart_by_folders(tmp_path):
    clips = [
        Clip(f"{n}__cam-0a1b2c3d", Path(n, "cam.mp4"), np.arange(f), Fraction(1), Fraction(1), size)
        for n, f, size in (("day", 7, (96, 192)), ("night", 9, (48, 64)))
    ]
    region = {"type": "videorectangle", "value": {"labels": ["car"]}}
    key = {"frame": 1, "enabled": False, "x": 0, "y": 0, "width": 50, "height": 50}
    tasks = []
    for place, count in (("day", 7), ("night", 9)):
        value = {**region["value"], "framesCount": count, "sequence": [key]}
        result = [{**region, "value": value}]
        data = {"video": f"/data/local-files/?d=clips/{place}/cam.mp4"}
        tasks.append({"data": data, "annotations": [{"result": result}]})
    (tmp_path / "a.json").write_text(json.dumps(tasks))
    match = labels_beside(tmp_path / "a.json", clips).match
    assert {n: (t.frames, t.boxes[0, 2]) for n, t in match.annotations.items()} == {
        clips[0].id: (7, 96),
        clips[1].id: (9, 32),
    }
