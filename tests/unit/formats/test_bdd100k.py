from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats import bdd100k
from vidal.types import Annotations, LabelledClip, Skipped

FIXTURE = Path(__file__).parents[2] / "fixtures" / "bdd100k"
BOX = {"x1": 10, "y1": 20, "x2": 29, "y2": 39}


def a_label(**changes):
    return {"id": "7", "category": "car", "attributes": {}, "box2d": BOX} | changes


def a_frame(*labels, index: int = 0, **changes):
    frame = {"name": f"v-{index}.jpg", "videoName": "v", "frameIndex": index}
    return frame | {"labels": list(labels)} | changes


def a_file(folder: Path, value) -> Path:
    file = folder / "v.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return file


def test_a_folder_gives_one_clip_a_video_with_half_open_corners():
    (clip,) = bdd100k.read(FIXTURE)
    table = clip.annotations
    assert clip.name == "b1c66a42-6f7d68ca"
    assert table.frame.tolist() == [0, 0, 0, 2]
    # The last pixel inside is x2 = 254, so the edge is at 255.
    assert table.boxes[0].tolist() == [45, 254, 255, 300]
    assert table.labels.tolist() == [2, 0, -1, 2]  # "person" is the alias of pedestrian
    assert table.ignore.tolist() == [False, True, True, False]  # crowd, other vehicle
    assert table.track.tolist() == [91078, 91079, 91080, 91078]
    assert table.labelled.tolist() == [True, True, True]
    assert clip.files[1] == "b1c66a42-6f7d68ca/b1c66a42-6f7d68ca-0000002.jpg"
    assert (clip.rate, clip.size) == (Fraction(5), (720, 1280))


def test_corners_may_be_read_as_edges():
    (clip,) = bdd100k.read(FIXTURE, inclusive=False)
    assert clip.annotations.boxes[0].tolist() == [45, 254, 254, 299]


def test_an_object_with_frames_is_read_like_a_list_and_may_hold_several_videos(tmp_path):
    frames = [a_frame(a_label()), a_frame(index=1, videoName="w"), a_frame(index=2)]
    clips = list(bdd100k.read(a_file(tmp_path, {"frames": frames, "config": None})))
    assert [(clip.name, clip.annotations.frames) for clip in clips] == [("v", 3), ("w", 2)]
    assert clips[0].annotations.labelled.tolist() == [True, False, True]


def test_frames_without_labels_are_not_annotated_and_empty_lists_are(tmp_path):
    unseen = a_frame(index=1)
    del unseen["labels"]
    file = a_file(tmp_path, [a_frame(), unseen, a_frame(index=2, labels=None)])
    (clip,) = bdd100k.read(file)
    assert clip.annotations.labelled.tolist() == [True, False, False]


def test_text_identities_are_numbered_in_the_order_they_come(tmp_path):
    labels = [a_label(id="b"), a_label(id="a"), a_label(id=None)]
    (clip,) = bdd100k.read(a_file(tmp_path, [a_frame(*labels), a_frame(labels[1], index=1)]))
    assert clip.annotations.track.tolist() == [0, 1, -1, 1]
    (clip,) = bdd100k.read(a_file(tmp_path, [a_frame(a_label(id="7"), a_label(id="07"))]))
    assert clip.annotations.track.tolist() == [0, 1]


def test_categories_outside_the_wanted_classes_are_unknown(tmp_path):
    file = a_file(tmp_path, [a_frame(a_label(), a_label(category="bike", id="8"))])
    (clip,) = bdd100k.read(file, classes=("Bicycle",))
    assert clip.annotations.labels.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ('[{"name": "a", ', "line 1, column 16: not JSON"),
        ("3", "neither a list of frames"),
        ({"images": []}, "neither a list of frames"),
        ([3], "frame 0: not an object"),
        ([a_frame(frameIndex="0")], "frame 0.frameIndex: '0' is not a whole number"),
        ([a_frame(frameIndex=-1)], "frame 0.frameIndex: -1 is not a whole number"),
        ([a_frame(frameIndex=10**12)], "cannot be right"),
        ([a_frame(), a_frame()], "frame 1: frameIndex 0 of 'v' occurs twice"),
        ([a_frame(labels={})], "frame 0: labels is not a list"),
        ([a_frame(a_label(category=3))], "frame 0, label 0.category: not text"),
        ([a_frame(a_label(category="cat"))], "'cat' is not a class"),
        ([a_frame(a_label(attributes=[1]))], "attributes is not an object"),
        ([a_frame(a_label(id=[1]))], "id: not an id"),
        ([a_frame(a_label(box2d={**BOX, "x2": "a"}))], "box2d.x2: 'a' is not a number"),
        ([a_frame(a_label(box2d={**BOX, "x2": 10**400}))], "box2d.x2: a number too large"),
        ([a_frame(a_label(), a_label())], "label 1: track 7 is in its frame already"),
    ],
)
def test_broken_files_are_one_error_with_place(tmp_path, value, why):
    file = a_file(tmp_path, value)
    with pytest.raises(FormatError) as caught:
        list(bdd100k.read(file))
    assert caught.value.path == file
    assert why in caught.value.message


def test_inverted_boxes_are_listed_with_labels_without_a_box_and_their_frame_is_not_complete(
    tmp_path,
):
    narrow = a_label(box2d={**BOX, "x2": 9.5})
    file = a_file(tmp_path, [a_frame(narrow, a_label(box2d=None), a_label(id="9"))])
    skipped = Skipped()
    (clip,) = bdd100k.read(file, skipped=skipped)
    assert not clip.annotations.labelled.any()
    assert not len(clip.annotations)
    assert skipped.entries == [
        (file, "frame 0, label 1", "no box2d"),
        (file, "frame 0, label 0", "box is inverted or empty"),
    ]


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no \.json files"):
        list(bdd100k.read(tmp_path))


@st.composite
def clips(draw) -> LabelledClip:
    frames = draw(st.integers(1, 5))
    labelled = np.array(draw(st.lists(st.booleans(), min_size=frames, max_size=frames)))
    eighths = st.integers(0, 5000).map(lambda n: n / 8)
    row = st.tuples(st.integers(0, frames - 1), eighths, eighths, st.integers(-1, 1), st.booleans())
    rows = [row for row in draw(st.lists(row, max_size=8)) if labelled[row[0]]]
    rows.sort(key=lambda row: row[0])
    labels = np.array([row[3] for row in rows], int)
    table = Annotations(
        classes=("pedestrian", "car"),
        labelled=labelled,
        frame=np.array([row[0] for row in rows], int),
        boxes=np.array([(x, y, x + 3.25, y + 7) for _, x, y, _, _ in rows]).reshape(-1, 4),
        labels=labels,
        track=np.arange(len(rows)) - 1,
        ignore=np.array([row[4] for row in rows], bool) | (labels == -1),
    )
    return LabelledClip(name="video-1", annotations=table)


@given(clip=clips(), inclusive=st.booleans())
def test_reading_what_was_written_gives_the_same_table(tmp_path_factory, clip, inclusive):
    folder = tmp_path_factory.mktemp("bdd")
    bdd100k.write(folder, [clip], inclusive=inclusive)
    (back,) = bdd100k.read(folder, classes=clip.annotations.classes, inclusive=inclusive)
    assert back.name == clip.name
    assert back.annotations == clip.annotations


def test_what_the_format_cannot_say_is_refused(tmp_path):
    def a_clip(label: int, width: float) -> LabelledClip:
        box = [[0, 0, width, 9]]
        return LabelledClip("v", Annotations(("car",), [True], [0], box, [label], [1], [False]))

    with pytest.raises(OutputError, match="outside the classes"):
        bdd100k.write(tmp_path, [a_clip(-1, 9)])
    with pytest.raises(OutputError, match="narrower than a pixel"):
        bdd100k.write(tmp_path, [a_clip(0, 0.5)])
    bdd100k.write(tmp_path, [a_clip(0, 0.5)], inclusive=False)


def test_the_spelling_of_2020_is_read(tmp_path):
    label = a_label(attributes={"Crowd": True, "Occluded": False})
    frame = {"name": "v-1.jpg", "video_name": "v", "index": 1, "labels": [label]}
    (clip,) = bdd100k.read(a_file(tmp_path, [frame]))
    assert (clip.name, clip.annotations.ignore.tolist()) == ("v", [True])
    assert clip.annotations.labelled.tolist() == [False, True]


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ({"poly2d": [{"vertices": [[1, 2], [9, 2], [9, 8]], "closed": True}]}, [1, 2, 9, 8]),
        ({"rle": {"size": [720, 1280], "counts": [725, 5, 720 * 1280 - 730]}}, [1, 5, 2, 10]),
    ],
)
def test_a_label_without_box_has_the_extent_of_its_shape(tmp_path, shape, box):
    (clip,) = bdd100k.read(a_file(tmp_path, [a_frame(a_label(box2d=None, **shape))]))
    assert clip.annotations.boxes.tolist() == [box]


def test_a_frame_lacks_an_object_without_box_but_no_lane(tmp_path):
    lane = a_label(box2d=None, category="lane/crosswalk", id=None)
    value = [a_frame(a_label(), lane), a_frame(a_label(box2d=None), index=1)]
    skipped = Skipped()
    (clip,) = bdd100k.read(a_file(tmp_path, value), skipped=skipped)
    assert clip.annotations.labelled.tolist() == [True, False]
    assert [where for _, where, _ in skipped.entries] == ["frame 0, label 1", "frame 1, label 0"]


def test_sizes_that_files_state_are_taken_and_have_to_agree(tmp_path):
    size = {"width": 640, "height": 360}
    (clip,) = bdd100k.read(a_file(tmp_path, [a_frame(size=size)]))
    assert clip.size == (360, 640)
    whole = {"config": {"imageSize": size}, "frames": [a_frame()]}
    (clip,) = bdd100k.read(a_file(tmp_path, whole))
    assert clip.size == (360, 640)
    whole["frames"][0]["size"] = {"width": 1280, "height": 720}
    with pytest.raises(FormatError, match=r"frame 0: 1280x720 pixels, but config\.imageSize has"):
        list(bdd100k.read(a_file(tmp_path, whole)))


def test_the_size_of_a_clip_survives_the_round_trip(tmp_path):
    (clip,) = bdd100k.read(FIXTURE)
    (file,) = bdd100k.write(tmp_path, [replace(clip, size=(360, 640))])
    (back,) = bdd100k.read(file)
    assert (back.size, back.annotations) == ((360, 640), clip.annotations)


def test_a_known_length_is_kept_and_a_longer_file_refused(tmp_path):
    file = a_file(tmp_path, [a_frame(index=2)])
    (clip,) = bdd100k.read(file, frames={"v": 7})
    assert clip.annotations.frames == 7
    with pytest.raises(FormatError, match="frame 0: 'v' has 2 frames"):
        list(bdd100k.read(file, frames={"v": 2}))
