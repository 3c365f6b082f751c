"""CVAT for images: names to frames, empty or not annotated, broken files, round trip."""

from __future__ import annotations

import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.errors import FormatError, InputError, UsageError
from vidal.formats import cvat_images
from vidal.formats._cvat import flavour
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
        (image("c_0.jpg", BOX.replace("11.5", "-1e22")), "box is inverted or empty"),
        (image("c_0.jpg", BOX.replace("11.5", "1e22")), "box lies millions of pixels away"),
        (image("c_0.jpg", BOX.replace("<box", '<box rotation="inf"')), "box is not finite"),
        (
            image("c_0.jpg", '<polygon label="car" points=""></polygon>'),
            "shape 'polygon' has no box: c@000000 waits",
        ),
        (
            image("c_0.jpg", BOX, '<skeleton label="car"><points label="1"/></skeleton>'),
            "shape 'skeleton' has no box: c@000000 waits",
        ),
        (
            image("c_0.jpg", '<blob label="car"></blob>'),
            "shape 'blob' has no box: c@000000 waits",
        ),
    ],
)
def test_what_cannot_be_is_left_out_and_listed_and_its_frame_is_not_complete(many, bad, why):
    skipped = Skipped()
    clips = many(document(bad, image("d_0.jpg", BOX)), skipped=skipped)
    assert sum(len(clip.annotations) for clip in clips) == 1
    assert [reason for _, _, reason in skipped.entries] == [why]
    complete = {clip.name: clip.annotations.labelled.tolist() for clip in clips}
    assert complete.get("c", [False]) == [False]
    assert complete["d"] == [True]


def test_a_tag_is_no_object_and_leaves_its_image_complete(many):
    skipped = Skipped()
    (clip,) = many(document(image("c_0.jpg", '<tag label="night"></tag>', BOX)), skipped=skipped)
    assert clip.annotations.labelled.tolist() == [True]
    assert len(clip.annotations) == len(skipped) == 1


@pytest.mark.parametrize(
    ("shape", "extent"),
    [
        (
            '<box label="car" xtl="10" ytl="20" xbr="50" ybr="60" rotation="0.01"/>',
            [10, 20, 50, 60],
        ),
        ('<box label="car" xtl="10" ytl="20" xbr="50" ybr="40" rotation="90"/>', [20, 10, 40, 50]),
        ('<polygon label="car" points="10,10;50,10;30,60"/>', [10, 10, 50, 60]),
        ('<ellipse label="car" cx="30" cy="40" rx="10" ry="5" rotation="90"/>', [25, 30, 35, 50]),
        ('<mask label="car" rle="3,5,6" left="1" top="2" width="7" height="2"/>', [1, 2, 8, 4]),
    ],
)
def test_shapes_with_an_outline_are_read_as_their_extent(many, shape, extent):
    (clip,) = many(document(image("c_0.jpg", shape)))
    np.testing.assert_allclose(clip.annotations.boxes, [extent], atol=1e-4)
    assert clip.annotations.labelled.all()


LABEL = "<labels><label><name>car</name></label></labels>"
JOB = f"<job><id>7</id><size>3</size><start_frame>0</start_frame>{LABEL}</job>"
PROJECT = (
    f"<project><id>3</id><name>p</name>{LABEL}<subsets>train</subsets>"
    "<tasks><task><id>7</id><name>t</name><size>3</size></task></tasks></project>"
)


@pytest.mark.parametrize("meta", [JOB, PROJECT])
def test_exports_of_a_job_or_a_project_are_read(many, meta):
    text = f"<annotations><meta>{meta}</meta>{image('c_0.jpg', BOX)}</annotations>"
    (clip,) = many(text)
    assert clip.annotations.classes == ("car",)
    assert len(clip.annotations) == 1


def test_a_folder_is_read_like_its_files_and_hidden_ones_are_passed_over(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations.xml").write_text(document(image("c_0.jpg", BOX)))
    (tmp_path / "._annotations.xml").write_bytes(b"\0\5\x16\7")
    with zipfile.ZipFile(tmp_path / "job.zip", "w") as archive:
        archive.writestr("annotations.xml", document(image("c_2.jpg", BOX, BOX)))
        archive.writestr("__MACOSX/._annotations.xml", b"\0\5\x16\7")
    (clip,) = cvat_images.read(tmp_path)
    assert clip.annotations.frame.tolist() == [0, 2, 2]
    (tmp_path / "x.xml").write_text(document(image("c_0.jpg")))
    with pytest.raises(FormatError, match="c@000000 twice"):
        list(cvat_images.read(tmp_path))
    with pytest.raises(InputError, match=r"no \.xml"):
        list(cvat_images.read(tmp_path / "images"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (document(image("c_0.jpg", BOX)), "cvat-images"),
        (document('<track id="0" label="car"></track>'), "cvat"),
        (document(meta="<mode>interpolation</mode>"), "cvat"),
        (document(meta="<mode>annotation</mode>"), "cvat-images"),
    ],
)
def test_a_file_says_whether_it_is_for_video_or_for_images(tmp_path, text, kind):
    (tmp_path / "annotations.xml").write_text(text)
    (tmp_path / "._annotations.xml").write_bytes(b"\0\5\x16\7")
    assert flavour(tmp_path / "annotations.xml") == kind
    assert flavour(tmp_path) == kind


def test_many_long_clips_are_refused_before_they_take_memory(many):
    images = [image(f"c{at}_9999999.jpg") for at in range(200)]
    tracemalloc.start()
    with pytest.raises(FormatError, match="frames in all cannot be right"):
        many(document(*images))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 << 20


def test_two_large_lists_of_values_are_read_in_no_time(many):
    values = "\n".join(str(at) for at in range(100_000))
    attribute = f"<attribute><name>a</name><values>{values}</values></attribute>"
    label = f"<label><name>car</name><attributes>{attribute * 2}</attributes></label>"
    start = time.process_time()
    many(document(image("c_0.jpg", BOX), meta=f"<labels>{label}</labels>"))
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document(image("c_0.jpg"), image("c_0.png")), "c@000000 twice"),
        (document(image("c_0.jpg"), image("c_1.jpg", width=99)), "99 x 80, other images of 'c'"),
        (document(image("c_0.jpg", width="wide")), "'wide' is not a whole number"),
        (document(image("c_0.jpg", width=0)), "width: an image of 0 pixels"),
        (document(image("c_0.jpg", width="9" * 4301)), "is not a whole number"),
        (document(image("c_0.jpg", width="9" * 12)), "width: an image of 999999999999 pixels"),
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
