"""CVAT for images: names to frames, empty or not annotated, broken files, round trip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.errors import FormatError, UsageError
from vidal.formats import cvat_images
from vidal.types import Annotations, FrameRef, LabelledClip, Skipped

FIXTURES = Path(__file__).parents[2] / "fixtures" / "cvat"
BOX = '<box label="car" occluded="0" xtl="1.5" ytl="2" xbr="11.5" ybr="22"></box>'


def document(*images, meta="<labels><label><name>bus</name></label></labels>"):
    return f"<annotations><meta><task>{meta}</task></meta>{''.join(images)}</annotations>"


def image(name, *boxes, width=100, height=80):
    return f'<image id="0" name="{name}" width="{width}" height="{height}">{"".join(boxes)}</image>'


@pytest.fixture
def many(tmp_path):
    """Reads the text of one file as a list of clips."""

    def read(text, **options):
        file = tmp_path / "a.xml"
        file.write_text(text)
        return list(cvat_images.read(file, **options))

    return read


def test_an_image_without_boxes_is_annotated_and_a_frame_without_image_is_not(many):
    (clip,) = many(document(image("a-1_000002.jpg", BOX), image("a-1_000004.jpg")))
    assert clip.name == "a-1"
    assert clip.size == (80, 100)
    found = clip.annotations
    assert found.labelled.tolist() == [False, False, True, False, True]
    assert found.frame.tolist() == [2]
    assert found.boxes.tolist() == [[1.5, 2, 11.5, 22]]
    assert found.track.tolist() == [-1]
    assert (found.classes, found.labels.tolist()) == (("bus", "car"), [1])


def test_the_fixture_of_two_clips_is_read_as_two_clips():
    clips = list(cvat_images.read(FIXTURES / "images.xml"))
    assert [clip.name for clip in clips] == ["night_drive-3f", "town-9a"]
    assert [len(clip.annotations) for clip in clips] == [2, 0]
    assert clips[0].annotations.labels.tolist() == [1, 0]
    assert clips[0].annotations.frame.tolist() == [7, 12]


def test_folders_in_names_are_passed_over_and_lengths_may_be_given(many):
    text = document(image("job/x_000001.jpg", BOX))
    (clip,) = many(text, frames={"x": 30})
    assert (clip.name, clip.annotations.frames) == ("x", 30)
    with pytest.raises(FormatError, match="frame 1 of 'x', which has 1"):
        many(text, frames={"x": 1})


def test_frames_are_found_by_mapping_function_or_expression(many):
    text = document(image("k/p7.png", BOX))
    for names in (
        {"k/p7.png": FrameRef("q", 7)},
        lambda name: FrameRef("q", int(name[3])),
    ):
        (clip,) = many(text, names=names)
        assert clip.name == "q"
        assert clip.annotations.frame.tolist() == [7]
    (clip,) = many(text, names=r"(?P<clip>p)(?P<index>\d)")
    assert clip.annotations.frame.tolist() == [7]
    with pytest.raises(UsageError, match="needs the groups"):
        many(text, names=r"(\d+)")
    with pytest.raises(UsageError, match="frame pattern"):
        many(text, names=r"(")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (image("cover.jpg", BOX), "name 'cover.jpg' does not say which frame it is"),
        (image("c_0.jpg", BOX.replace("11.5", "inf")), "box is not finite"),
        (image("c_0.jpg", BOX.replace("11.5", "0.5")), "box is inverted or empty"),
        (image("c_0.jpg", BOX, width=1), "box lies outside the image"),
        (image("c_0.jpg", BOX.replace("<box", '<box rotation="9"')), "rotated box"),
        (image("c_0.jpg", '<polygon points=""></polygon>'), "shape 'polygon' is not a box"),
    ],
)
def test_what_cannot_be_is_left_out_and_listed(many, bad, why):
    skipped = Skipped()
    clips = many(document(bad, image("d_0.jpg", BOX)), skipped=skipped)
    assert sum(len(clip.annotations) for clip in clips) == 1
    assert [reason for _, _, reason in skipped.entries] == [why]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document(image("c_0.jpg"), image("c_0.png")), "c@000000 twice"),
        (document(image("c_0.jpg"), image("c_1.jpg", width=99)), "99 x 80, other images of 'c'"),
        (document(image("c_0.jpg", width="wide")), "'wide' is not a whole number"),
        (document(image("c_0.jpg", width=0)), "image of 0 x 80"),
        (document(image("c_99999999999.jpg")), "cannot be right"),
        (document(image("c_0.jpg", "<box></box>")), "'label' is missing"),
        (document('<track id="0"></track>'), "CVAT for video"),
        ("<!DOCTYPE a []><annotations/>", "entities are refused"),
        (document(image("c_0.jpg"))[:-5], "not well-formed"),
        ("<a></a>", "expected <annotations>"),
    ],
)
def test_broken_files_give_one_format_error(many, text, message):
    with pytest.raises(FormatError, match=message):
        many(text)


@st.composite
def clips(draw):
    result = []
    for name in draw(st.lists(st.sampled_from(["a", "b_1", "c-d"]), unique=True, max_size=3)):
        frames = draw(st.integers(1, 8))
        labelled = np.array(draw(st.lists(st.booleans(), min_size=frames, max_size=frames)))
        labelled[-1] = True
        where = [f for f in np.flatnonzero(labelled) for _ in range(draw(st.integers(0, 2)))]
        boxes = [[draw(st.integers(1, 4000)) / 100 for _ in range(4)] for _ in where]
        boxes = np.array(boxes).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        n = len(where)
        table = Annotations(
            classes=("car", "bus"),
            labelled=labelled,
            frame=np.array(where, dtype=np.int64),
            boxes=boxes,
            labels=np.array([draw(st.integers(-1, 1)) for _ in range(n)], dtype=np.int64),
            track=np.full(n, -1),
            ignore=np.array([draw(st.booleans()) for _ in range(n)], dtype=bool),
        )
        result.append(LabelledClip(name, table, size=(80, 100)))
    return result


@settings(max_examples=60, deadline=None)
@given(clips=clips())
def test_what_is_written_is_read_back(tmp_path_factory, clips):
    file = tmp_path_factory.mktemp("images") / "t.xml"
    cvat_images.write(file, clips)
    back = list(cvat_images.read(file, classes=("car", "bus")))
    assert [clip.name for clip in back] == [clip.name for clip in clips]
    for mine, theirs in zip(clips, back, strict=True):
        assert theirs.size == mine.size
        assert theirs.annotations == mine.annotations


def test_unknown_objects_left_out_are_listed_and_sizes_are_needed(tmp_path):
    table = Annotations(("car",), [True], [0], [[0, 0, 5, 5]], [-1], [3], [False])
    skipped = Skipped()
    clip = LabelledClip("c", table, size=(9, 9))
    file = cvat_images.write(tmp_path / "t.xml", [clip], unknown=None, skipped=skipped)
    assert [entry[1:] for entry in skipped.entries] == [("c@000000", "unknown object")]
    assert "<box" not in file.read_text()
    with pytest.raises(ValueError, match="size is not known"):
        cvat_images.write(tmp_path / "t.xml", [LabelledClip("c", table)])
    assert not (tmp_path / "t.xml.part").exists()
