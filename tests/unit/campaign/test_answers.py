"""Which format a file of answers has, and which frame a name means."""

import json

import numpy as np
import pytest

from vidal.campaign.answers import frame_of
from vidal.errors import FormatError, InputError, UsageError
from vidal.evidence.label_files import detect_format
from vidal.formats import coco_video, cvat, cvat_images, label_studio, yolo
from vidal.types import Annotations, FrameRef, LabelledClip

TABLE = Annotations(
    classes=("car",),
    labelled=np.ones(4, bool),
    frame=np.array([1]),
    boxes=np.array([[1, 2, 9, 8]], np.float32),
    labels=np.array([0]),
    track=np.array([0]),
    ignore=np.array([False]),
)
CLIP = LabelledClip("clip-0a", TABLE, size=(20, 30))


@pytest.mark.parametrize(
    ("kind", "write", "name"),
    [
        ("cvat", cvat.write, "tracks"),
        ("cvat-images", cvat_images.write, "images.xml"),
        ("coco-video", coco_video.write, "a.json"),
        ("label-studio", label_studio.write, "tasks.json"),
        ("yolo", yolo.write, "folder"),
    ],
)
def test_the_format_is_seen_in_the_file(tmp_path, kind, write, name):
    write(tmp_path / name, [CLIP])
    place = tmp_path / name
    assert detect_format(place) == kind
    if kind == "cvat":
        assert detect_format(next(place.glob("*.xml"))) == "cvat"


def test_what_is_no_annotation_file_is_refused_with_the_choices(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        detect_format(tmp_path / "none.xml")
    (tmp_path / "a.txt").write_text("car 1 2 3 4")
    with pytest.raises(FormatError, match="of no known format") as refused:
        detect_format(tmp_path / "a.txt")
    assert "label-studio" in refused.value.hint
    (tmp_path / "a.json").write_text(json.dumps({"images": []}))
    with pytest.raises(FormatError, match="of no known format"):
        detect_format(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(FormatError, match="not JSON"):
        detect_format(tmp_path / "a.json")


def test_a_frame_is_named_by_its_ref_or_its_picture():
    names = {"c_000002.jpg": FrameRef("c", 2)}.get
    assert frame_of("my@clip-1@000012", names) == FrameRef("my@clip-1", 12)
    assert frame_of("c_000002.jpg", names) == FrameRef("c", 2)
    with pytest.raises(UsageError, match="'c_3' is not a frame"):
        frame_of("c_3", names)
