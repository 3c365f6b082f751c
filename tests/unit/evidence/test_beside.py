"""Labels beside clips: what was not taken of them is said."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.evidence.beside import labels_beside
from vidal.types import Clip

CLIPS = [
    Clip(f"{name}-0a1b2c3d", Path(f"{name}.mp4"), np.arange(7), Fraction(1, 25), Fraction(25), size)
    for name, size in (("town", (96, 192)), ("lane", (48, 64)))
]
BOX = '<box label="car" occluded="0" xtl="10" ytl="10" xbr="60" ybr="50"/>'


def cvat_images(path: Path, **images: str) -> Path:
    said = "".join(
        f'<image id="{at}" name="{name}.jpg" width="192" height="96">{inner}</image>'
        for at, (name, inner) in enumerate(images.items())
    )
    path.write_text(f"<annotations><version>1.1</version>{said}</annotations>")
    return path


def test_frames_without_boxes_of_cvat_are_counted_and_named(tmp_path):
    path = cvat_images(tmp_path / "a.xml", town_000001=BOX, town_000002="", town_000005="")
    beside = labels_beside(path, CLIPS)
    assert np.flatnonzero(beside.match.annotations[CLIPS[0].id].labelled).tolist() == [1]
    assert beside.notes == (
        "a.xml: 1 frame labelled (0 of them without objects); read as cvat-images.",
        "a.xml: 2 frames without boxes not taken, for cvat-images does not say that somebody"
        " looked (town-0a1b2c3d@000002, town-0a1b2c3d@000005). Exports as COCO or YOLO are taken at"
        " their word.",
    )


def test_what_the_reader_leaves_out_is_counted_and_the_first_few_are_named(tmp_path):
    points = '<points label="car" points="1,2"/>'
    path = cvat_images(
        tmp_path / "a.xml",
        **{f"town_{at:06d}": points for at in range(4)},
        town_000005=BOX,
        other=BOX,
    )
    (labelled, left) = labels_beside(path, CLIPS).notes
    assert labelled.startswith("a.xml: 1 frame labelled")
    assert left.startswith("a.xml: left out 5 things: line 1, <points>: shape 'points' has no box")
    assert left.count("shape 'points'") == 3
    assert left.endswith("; ....")


@pytest.mark.parametrize("kind", ["yolo", "coco-video"])
def test_frames_without_objects_that_are_taken_at_their_word_are_counted(tmp_path, kind):
    if kind == "yolo":
        path = tmp_path / "set"
        path.mkdir()
        (path / "classes.txt").write_text("car\n")
        (path / "town_000001.txt").write_text("0 .5 .5 .5 .5\n")
        (path / "town_000002.txt").write_text("")
    else:
        path = tmp_path / "set"
        images = [
            {"id": at, "file_name": f"town_{at:06d}.jpg", "width": 192, "height": 96}
            for at in (1, 2)
        ]
        box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 30, 30]}
        value = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "car"}]}
        path.write_text(json.dumps(value))
    (note,) = labels_beside(path, CLIPS, kind=kind).notes
    assert note == f"set: 2 frames labelled (1 of them without objects); read as {kind}."


def test_clips_that_are_not_here_are_told(tmp_path):
    path = cvat_images(tmp_path / "a.xml", town_000001=BOX)
    text = path.read_text()
    value = {
        "videos": [{"id": 1, "name": "town"}, {"id": 2, "name": "moor"}],
        "images": [
            {"id": at, "video_id": at, "frame_id": 0, "width": 192, "height": 96} for at in (1, 2)
        ],
        "annotations": [],
        "categories": [{"id": 1, "name": "car"}],
    }
    path.write_text(json.dumps(value))
    assert "a clip" not in text
    notes = labels_beside(path, CLIPS, kind="coco-video").notes
    assert notes[-1] == "The labels file names 1 clip that is not here, such as moor."
