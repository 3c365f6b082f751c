"""CVAT for video: frame numbers, interpolation, key frames, broken files, the real TfL tasks."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats import cvat
from vidal.types import Annotations, LabelledClip, Skipped

FIXTURES = Path(__file__).parents[2] / "fixtures" / "cvat"
JAMCAM = Path(__file__).parents[4] / "shared" / "data" / "video" / "tfl_jamcam"


def box(frame, x, *, outside=0, extra="", keyframe=1):
    return (
        f'<box frame="{frame}" outside="{outside}" occluded="0" keyframe="{keyframe}" '
        f'xtl="{x}" ytl="10" xbr="{x + 20}" ybr="40"{extra}></box>'
    )


def document(tracks, *, size=10, start=None, stop=None, rule="", more=""):
    task = f"<name>c</name><size>{size}</size>"
    task += "" if start is None else f"<start_frame>{start}</start_frame>"
    task += "" if stop is None else f"<stop_frame>{stop}</stop_frame>"
    labels = "<labels><label><name>car</name></label><label><name>bus</name></label></labels>"
    task += f"<frame_filter>{rule}</frame_filter>{more}{labels}"
    task += "<original_size><width>100</width><height>80</height></original_size>"
    body = "".join(
        f'<track id="{number}" label="{label}">{"".join(boxes)}</track>'
        for number, label, boxes in tracks
    )
    return (
        f"<annotations><version>1.1</version><meta><task>{task}</task></meta>{body}</annotations>"
    )


@pytest.fixture
def one(tmp_path):
    """Reads the text of one file as its one clip."""

    def read(text, **options):
        file = tmp_path / "a.xml"
        file.write_text(text)
        (clip,) = cvat.read(file, **options)
        return clip

    return read


def table(rows, frames, *, classes=("car", "bus"), labelled=None):
    """Rows (frame, x1, y1, x2, y2, label, track) as a table."""
    data = np.array(sorted(rows), dtype=np.float64).reshape(-1, 7)
    return Annotations(
        classes=classes,
        labelled=np.ones(frames, bool) if labelled is None else labelled,
        frame=data[:, 0].astype(np.int64),
        boxes=data[:, 1:5],
        labels=data[:, 5].astype(np.int64),
        track=data[:, 6].astype(np.int64),
        ignore=np.zeros(len(data), bool),
    )


def test_boxes_between_key_frames_are_interpolated_linearly(one):
    clip = one(document([(3, "bus", [box(2, 10), box(6, 30), box(7, 30, outside=1)])]))
    found = clip.annotations
    assert found.frame.tolist() == [2, 3, 4, 5, 6]
    assert found.boxes[:, 0].tolist() == [10, 15, 20, 25, 30]
    assert found.boxes[:, 2].tolist() == [30, 35, 40, 45, 50]
    assert found.track.tolist() == [3] * 5
    assert found.labels.tolist() == [1] * 5
    assert found.classes == ("car", "bus")
    assert clip.size == (80, 100)
    assert clip.name == "c"


def test_outside_hides_the_object_until_the_next_box(one):
    boxes = [box(0, 10), box(2, 14, outside=1), box(6, 40), box(7, 40, outside=1)]
    found = one(document([(0, "car", boxes)])).annotations
    assert found.frame.tolist() == [0, 1, 6]
    assert found.boxes[:, 0].tolist() == [10, 12, 40]


def test_frame_numbers_are_those_of_the_video_when_the_step_is_not_one(one):
    boxes = [box(4, 10), box(10, 30), box(13, 30, outside=1)]
    text = document([(0, "car", boxes)], size=5, start=4, stop=16, rule="step=3")
    found = one(text).annotations
    assert found.frame.tolist() == [4, 7, 10]
    assert found.boxes[:, 0].tolist() == [10, 20, 30]
    assert np.flatnonzero(found.labelled).tolist() == [4, 7, 10, 13, 16]
    assert found.frames == 17


def test_frame_numbers_of_the_task_are_mapped_to_the_video_on_request(one):
    boxes = [box(0, 10), box(2, 30), box(3, 30, outside=1)]
    text = document([(0, "car", boxes)], size=5, start=4, stop=16, rule="step=3")
    found = one(text, numbering="task").annotations
    assert found.frame.tolist() == [4, 7, 10]
    assert found.boxes[:, 0].tolist() == [10, 20, 30]


def test_a_frame_off_the_grid_of_the_task_is_an_error_that_names_the_way_out(one):
    text = document([(0, "car", [box(5, 10)])], size=5, start=4, stop=16, rule="step=3")
    with pytest.raises(FormatError, match=r"line 1, <box>.*frame 5 is not one of 4, 7") as caught:
        one(text)
    assert "numbering='task'" in caught.value.hint


@pytest.mark.parametrize(
    "bad",
    [
        box(3, 10).replace('xtl="10"', 'xtl="nan"'),
        box(3, 10).replace('xtl="10"', 'xtl="90"'),
        box(3, 10).replace('xtl="10"', 'xtl="-1e22"'),
        box(3, 10, extra=' rotation="nan"'),
        box(3, 10).replace("<box", "<polyline points='1,1;2,2'").replace("/box", "/polyline"),
    ],
)
def test_nothing_is_interpolated_across_a_bad_key_frame_and_the_frames_around_it_wait(one, bad):
    boxes = [box(0, 10), box(2, 14), bad, box(5, 20), box(6, 20, outside=1)]
    skipped = Skipped()
    found = one(document([(0, "car", boxes)]), skipped=skipped).annotations
    assert found.frame.tolist() == [0, 1, 2, 5]
    assert np.flatnonzero(~found.labelled).tolist() == [3, 4]
    assert len(skipped) == 2
    assert any("frames 4 to 4 after this shape" in entry[2] for entry in skipped.entries)


def test_a_turned_box_is_its_extent_and_turns_between_key_frames(one):
    boxes = [box(0, 10, extra=' rotation="350"'), box(2, 10, extra=' rotation="10"')]
    found = one(document([(0, "car", boxes)], size=3)).annotations
    assert found.labelled.all()
    assert found.boxes[1].tolist() == [10, 10, 30, 40]  # 0 degrees, not 180
    sin, cos = np.sin(np.pi / 18), np.cos(np.pi / 18)
    width, height = 20 * cos + 30 * sin, 20 * sin + 30 * cos
    expected = [20 - width / 2, 25 - height / 2, 20 + width / 2, 25 + height / 2]
    np.testing.assert_allclose(found.boxes[[0, 2]], [expected, expected], rtol=1e-6)


@pytest.mark.parametrize("rotation", ["0.01", "359.95", "-0.05", "720", "-360.02"])
def test_a_box_that_is_hardly_turned_is_the_box(one, rotation):
    bent = box(0, 10, extra=f' rotation="{rotation}"')
    found = one(document([(0, "car", [bent])], size=1)).annotations
    assert found.boxes.tolist() == [[10, 10, 30, 40]]


def shape(tag, frame, attributes, *, outside=0):
    return f'<{tag} frame="{frame}" outside="{outside}" {attributes}></{tag}>'


CUBOID = " ".join(
    f'x{corner}{face}="{20 + 7 * (corner[1] == "r") + 3 * (face == "2")}" '
    f'y{corner}{face}="{30 + 9 * (corner[0] == "b")}"'
    for face in "12"
    for corner in ("tl", "bl", "tr", "br")
)


@pytest.mark.parametrize(
    ("tag", "attributes", "extent"),
    [
        ("polygon", 'points="5,6;20.5,8;11,30"', [5, 6, 20.5, 30]),
        ("ellipse", 'cx="30" cy="40" rx="10" ry="5"', [20, 35, 40, 45]),
        ("ellipse", 'cx="30" cy="40" rx="10" ry="5" rotation="90"', [25, 30, 35, 50]),
        ("mask", 'rle="3, 5, 6" left="1" top="2" width="7" height="2"', [1, 2, 8, 4]),
        ("mask", 'rle="8, 2, 4" left="1" top="2" width="7" height="2"', [2, 3, 4, 4]),
        ("mask", 'rle="0, 2, 5, 1, 6" left="1" top="2" width="7" height="2"', [1, 2, 3, 4]),
        ("cuboid", CUBOID, [20, 30, 30, 39]),
    ],
)
def test_shapes_with_an_outline_are_read_as_their_extent(one, tag, attributes, extent):
    track = [shape(tag, 1, attributes), shape(tag, 2, attributes, outside=1)]
    skipped = Skipped()
    found = one(document([(0, "car", track)], size=3), skipped=skipped).annotations
    assert found.frame.tolist() == [1]
    np.testing.assert_allclose(found.boxes, [extent], rtol=1e-6)
    assert found.labelled.all()
    assert not skipped.entries


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [
        ("polyline", 'points="5,6;20,8;11,30"'),
        ("points", 'points="5,6"'),
        ("skeleton", ""),
        ("polygon", 'points=""'),
        ("polygon", 'points="5,6;20,6"'),
        ("ellipse", 'cx="30" cy="40" rx="-10" ry="5"'),
        ("mask", 'rle="14" left="1" top="2" width="7" height="2"'),
        ("blob", ""),
    ],
)
def test_a_frame_with_a_shape_that_has_no_extent_waits(one, tag, attributes):
    track = [shape(tag, 1, attributes), shape(tag, 2, attributes, outside=1)]
    other = [box(0, 10), box(2, 14)]
    skipped = Skipped()
    text = document([(0, "car", track), (1, "car", other)], size=3)
    found = one(text, skipped=skipped).annotations
    assert found.labelled.tolist() == [True, False, True]
    assert found.frame.tolist() == [0, 2]
    assert len(skipped) == 1
    assert f"<{tag}>" in skipped.entries[0][1]


def test_frames_between_two_polygons_wait(one):
    points = ('points="5,6;20,8;11,30"', 'points="15,6;30,8;21,30"')
    track = [shape("polygon", at, points[at > 1]) for at in (0, 3)]
    skipped = Skipped()
    found = one(document([(0, "car", track)], size=4), skipped=skipped).annotations
    assert found.labelled.tolist() == [True, False, False, True]
    assert found.frame.tolist() == [0, 3]
    assert [why for _, _, why in skipped.entries] == [
        "frames 1 to 2 after this shape are not stated: they wait"
    ]


def test_a_shape_outside_of_a_track_makes_its_frame_wait_and_a_tag_does_not(one):
    text = document([(0, "car", [box(0, 10), box(2, 14)])], size=3)
    body = shape("points", 1, 'label="car" points="1,1"') + '<tag label="night" frame="2"></tag>'
    skipped = Skipped()
    found = one(text.replace("</annotations>", f"{body}</annotations>"), skipped=skipped)
    assert found.annotations.labelled.tolist() == [True, False, True]
    assert len(skipped) == 2


@pytest.mark.parametrize(
    "attributes",
    [
        'rle="1, 2" left="1" top="2" width="7" height="2"',
        'rle="-1, 15" left="1" top="2" width="7" height="2"',
        'rle="x" left="1" top="2" width="7" height="2"',
        'rle="14" left="1" top="2" width="0" height="2"',
        'rle="14" left="1" top="2" width="9999999" height="9999999"',
        'left="1" top="2" width="7" height="2"',
    ],
)
def test_a_mask_that_is_none_is_refused(one, attributes):
    with pytest.raises(FormatError, match="line 1, <mask>"):
        one(document([(0, "car", [shape("mask", 1, attributes)])]))


def test_an_outside_box_without_extent_ends_the_track_and_is_no_loss(one):
    boxes = [box(0, 10), box(1, 14), box(2, 0, outside=1).replace('xbr="20"', 'xbr="0"')]
    skipped = Skipped()
    found = one(document([(0, "car", boxes)]), skipped=skipped).annotations
    assert found.frame.tolist() == [0, 1]
    assert not skipped.entries


def test_deleted_frames_are_not_annotated(one):
    boxes = [box(0, 10), box(3, 16), box(4, 16, outside=1)]
    found = one(document([(0, "car", boxes)], size=5), deleted=[1, 4]).annotations
    assert found.labelled.tolist() == [True, False, True, True, False]
    assert found.frame.tolist() == [0, 2, 3]


def test_a_task_without_shapes_is_not_annotated_unless_said_so(one):
    skipped = Skipped()
    assert not one(document([], size=3), skipped=skipped).annotations.labelled.any()
    assert "not annotated" in skipped.entries[0][2]
    assert one(document([], size=3), empty_is_labelled=True).annotations.labelled.all()


def test_a_track_without_an_end_stops_at_its_last_box_and_is_listed(one):
    skipped = Skipped()
    found = one(document([(5, "car", [box(0, 10), box(2, 14)])]), skipped=skipped).annotations
    assert found.frame.tolist() == [0, 1, 2]
    assert skipped.entries[0][2] == "track 5 has no outside box: taken to end at frame 2"


def test_the_class_may_be_an_attribute(one):
    value = '<attribute name="type">{}</attribute>'
    inner = box(0, 10).replace("></box>", ">" + value.format("van") + "</box>")
    definition = "<attributes><attribute><name>type</name><values>truck\nvan</values></attribute>"
    text = document([(0, "car", [inner])], size=1)
    text = text.replace("<name>car</name>", f"<name>car</name>{definition}</attributes>")
    found = one(text, label_from="type").annotations
    assert (found.classes, found.labels.tolist()) == (("truck", "van"), [1])
    with pytest.raises(FormatError, match="'colour' is missing"):
        one(text, label_from="colour")


def test_names_outside_the_given_classes_are_unknown_objects(one):
    text = document([(0, "car", [box(0, 10)]), (1, "bus", [box(0, 50)])], size=1)
    found = one(text, classes=["bus"]).annotations
    assert (found.classes, found.labels.tolist()) == (("bus",), [-1, 0])


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (box(0, 10).replace('xtl="10"', 'xtl="NaN"'), "box is not finite"),
        (box(0, 10).replace('xbr="30"', 'xbr="5"'), "box is inverted or empty"),
        (box(0, 300), "box lies outside the image"),
        (box(99, 10), "frame is outside the clip"),
        ('<polyline frame="0" points="1,1"/>', "shape 'polyline' has no box: frame 0 waits"),
    ],
)
def test_what_cannot_be_is_left_out_and_listed(one, tmp_path, bad, why):
    skipped = Skipped()
    clip = one(document([(0, "car", [bad, box(1, 10), box(2, 10, outside=1)])]), skipped=skipped)
    assert 1 in clip.annotations.frame
    assert 0 not in clip.annotations.frame
    assert [(path.name, reason) for path, _, reason in skipped.entries] == [("a.xml", why)]
    assert skipped.entries[0][1].startswith("line 1, <")


BOMB = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><annotations>&y;</annotations>'
OUTER = '<!DOCTYPE a SYSTEM "file:///etc/hostname"><annotations/>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "line 1: document types and entities are refused"),
        (OUTER, "document types and entities are refused"),
        ("<annotations>&y;</annotations>", "undefined entity"),
        (document([(0, "car", [box(0, 1)])])[:-30], "not well-formed XML"),
        ("", "not well-formed XML"),
        ("<annotations>" + "<a>" * 100, "nested too deeply"),
        ("<html></html>", "expected <annotations>"),
        (document([(0, "car", [box(0, 1), box(0, 2)])]), "track 0 has frame 0 twice"),
        (document([(0, "car", []), (0, "car", [])]), "track id 0 twice"),
        (document([("x", "car", [])]), "'x' is not a whole number"),
        (document([(0, "car", [box("one", 1)])]), "frame: 'one' is not a whole number"),
        (document([(0, "car", [box(0, 1, outside="yes")])]), "expected 0 or 1"),
        (document([(0, "car", ['<box frame="0" xtl="1"></box>'])]), "'ytl' is missing"),
        (document([], size=10, start=0, stop=5), "10 frames, but 6 from 0 to 5"),
        (document([], size=""), "neither size nor stop_frame is stated"),
        (document([], size=10**12), "cannot be right"),
        (document([], size=10, rule="step=0"), "expected step=N"),
        (document([], size=10, rule="step=" + "9" * 4301), "expected step=N"),
        (document([], size="9" * 4301), "is not a whole number"),
        (document([], size="-1e22"), "'-1e22' is not a whole number"),
        (document([], size=10, start="-1" + "0" * 21), "is not a whole number"),
        (document([], size=10, start=-(10**17), stop=5), "start_frame: -1"),
        (document([], size=10, stop=10**17), "cannot be right"),
        (document([(0, "car", [box("9" * 4301, 1)])]), "is not a whole number"),
        (document([("9" * 30, "car", [])]), "is not a whole number"),
        (
            document([], size=3, more=f"<deleted_frames>{'9' * 4301}</deleted_frames>"),
            "not a whole",
        ),
        (document([]).replace("<width>100", f"<width>{10**12}"), "an image of 1000000000000"),
        (document([], size=3, more="<deleted_frames>7</deleted_frames>"), "7: the task has 3"),
        ("<annotations><meta><project/></meta></annotations>", "project export"),
        ('<annotations><image id="0"></image></annotations>', "CVAT for images"),
    ],
)
def test_broken_and_hostile_files_give_one_format_error(one, text, message):
    with pytest.raises(FormatError, match=message):
        one(text)


def test_a_track_over_ten_million_frames_is_refused_within_a_second(one):
    text = document([(0, "car", [box(0, 10), box(9_999_998, 10, outside=1)])], size=9_999_999)
    start = time.process_time()
    with pytest.raises(FormatError, match="9999998 boxes between 2 key frames"):
        one(text)
    assert time.process_time() - start < 1


def test_a_long_track_is_read_in_seconds_and_memory_follows_the_boxes(one):
    text = document([(0, "car", [box(0, 10), box(1_000_000, 10, outside=1)])], size=1_000_001)
    start = time.process_time()
    found = one(text).annotations
    assert time.process_time() - start < 5
    assert len(found) == 1_000_000
    assert found.labelled.all()


def test_a_box_of_a_file_takes_some_hundred_bytes(one):
    count = 20_000
    text = document([(0, "car", [box(at, 10) for at in range(count)])], size=count)
    one(document([(0, "car", [box(0, 10)])]))  # what is imported and cached once
    tracemalloc.start()
    found = one(text).annotations
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == count
    assert peak < 400 * count + (2 << 20)


def test_keys_far_off_the_clip_leave_no_frame_complete_that_lacks_a_box(one):
    skipped = Skipped()
    boxes = [box(0, 10), box(2, 10), box(10**17, 10)]
    found = one(document([(0, "car", boxes)], size=5), skipped=skipped).annotations
    assert found.frame.tolist() == [0, 1, 2]
    assert found.labelled.tolist() == [True, True, True, False, False]
    assert {why for _, _, why in skipped.entries} == {
        "frame is outside the clip",
        "frames 3 to 4 after this shape are not stated: they wait",
    }


def test_many_kinds_of_elements_cost_no_more_than_one(one):
    elements = [f'<x{at} frame="{at % 10}"></x{at}>' for at in range(20_000)]
    skipped = Skipped()
    start = time.process_time()
    found = one(
        document([(0, "car", elements[:1])]).replace("</track>", "</track>" + "".join(elements)),
        skipped=skipped,
    )
    assert time.process_time() - start < 4
    assert not found.annotations.labelled.any()
    assert len(skipped) == 20_001


def test_hidden_files_in_folders_and_zips_are_passed_over(tmp_path):
    text = document([(0, "car", [box(0, 10)])], size=1)
    (tmp_path / "a.xml").write_text(text)
    (tmp_path / "._a.xml").write_bytes(b"\0\5\x16\7")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("x/annotations.xml", text)
        archive.writestr("__MACOSX/x/._annotations.xml", b"\0\5\x16\7")
    assert [len(clip.annotations) for clip in cvat.read(tmp_path)] == [1, 1]


def test_an_export_of_a_job_is_read_on_the_frames_of_the_job(one):
    text = document([(0, "car", [box(4, 10), box(5, 10)])], size=3, start=4, stop=6)
    found = one(text.replace("task>", "job>")).annotations
    assert np.flatnonzero(found.labelled).tolist() == [4, 5, 6]
    assert found.frame.tolist() == [4, 5]


def test_a_clip_shorter_than_the_task_is_refused(one):
    with pytest.raises(FormatError, match=r"frames 0\.\.9, but the clip has 8"):
        one(document([], size=10), frames=8)
    assert one(document([], size=10), frames=12).annotations.frames == 12


def test_gzip_zip_and_folders_are_read_and_broken_archives_refused(tmp_path):
    text = document([(0, "car", [box(0, 10)])], size=1)
    (tmp_path / "a.xml.gz").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("annotations.xml", text)
    (tmp_path / "c.xml").write_text(text)
    assert [len(clip.annotations) for clip in cvat.read(tmp_path)] == [1, 1, 1]
    (tmp_path / "a.xml.gz").write_bytes(gzip.compress(text.encode())[:-20])
    with pytest.raises(FormatError, match="broken archive"):
        next(cvat.read(tmp_path / "a.xml.gz"))
    with pytest.raises(InputError, match="cannot be read"):
        next(cvat.read(tmp_path / "none.xml"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no \.xml"):
        next(cvat.read(tmp_path / "empty"))


def test_memory_of_a_long_text_does_not_grow(one):
    with pytest.raises(FormatError, match="text too long"):
        one("<annotations><x>" + "y" * (1 << 21) + "</x></annotations>")


def test_a_straight_track_is_written_with_two_key_frames_and_an_end(tmp_path):
    rows = [(f, 10 + 2 * f, 5, 30 + 2 * f, 25, 0, 7) for f in range(8)]
    (file,) = cvat.write(tmp_path / "t.xml", [LabelledClip("c", table(rows, 10), size=(80, 100))])
    text = file.read_text()
    assert text.count('keyframe="1"') == 3
    assert text.count('outside="1"') == 1
    assert 'frame="8" outside="1"' in text
    assert '<track id="7" label="car">' in text


@pytest.mark.parametrize(("tolerance", "keys"), [(1.0, 3), (0.4, 4), (0.2, 5)])
def test_a_key_frame_is_kept_where_interpolation_is_off_by_more_than_the_tolerance(
    tmp_path, tolerance, keys
):
    xs = [10, 10.5, 10, 10]
    rows = [(f, x, 5, x + 20, 25, 0, 1) for f, x in enumerate(xs)]
    clip = LabelledClip("c", table(rows, 10))
    (file,) = cvat.write(tmp_path / "t.xml", [clip], tolerance=tolerance)
    assert file.read_text().count("<box") == keys


def test_boxes_without_a_track_become_tracks_of_one_frame_and_get_identities(tmp_path):
    rows = [(0, 10, 5, 30, 25, 0, -1), (1, 10, 5, 30, 25, 0, -1), (9, 10, 5, 30, 25, 0, 2)]
    clip = LabelledClip("c", table(rows, 10), size=(80, 100))
    (file,) = cvat.write(tmp_path / "t.xml", [clip])
    assert file.read_text().count("<track ") == 3
    assert file.read_text().count('outside="1"') == 2
    (back,) = cvat.read(file)
    assert back.annotations.frame.tolist() == [0, 1, 9]
    assert back.annotations.track.tolist() == [3, 4, 2]


def test_a_track_that_changes_class_is_written_as_one_track_a_class(tmp_path):
    rows = [(f, 10, 5, 30, 25, int(f > 1), 6) for f in range(4)]
    (file,) = cvat.write(tmp_path / "t.xml", [LabelledClip("c", table(rows, 4))])
    (back,) = cvat.read(file)
    assert back.annotations.frame.tolist() == [0, 1, 2, 3]
    assert back.annotations.labels.tolist() == [0, 0, 1, 1]
    assert back.annotations.track.tolist() == [6, 6, 7, 7]


def test_a_track_twice_in_one_frame_is_refused(tmp_path):
    rows = [(0, 10, 5, 30, 25, 0, 6), (0, 40, 5, 60, 25, 0, 6)]
    with pytest.raises(ValueError, match="track 6 twice in one frame"):
        cvat.write(tmp_path / "t.xml", [LabelledClip("c", table(rows, 1))])
    assert not list(tmp_path.iterdir())


def test_gaps_in_a_track_survive(tmp_path):
    rows = [(f, 10, 5, 30, 25, 1, 4) for f in (0, 1, 4, 5, 9)]
    clip = LabelledClip("c", table(rows, 10), size=(80, 100))
    cvat.write(tmp_path / "t.xml", [clip])
    (back,) = cvat.read(tmp_path / "t.xml")
    assert back.annotations == clip.annotations


def test_written_frame_numbers_follow_the_step_of_the_task(tmp_path):
    labelled = np.arange(11) % 5 == 0
    rows = [(f, 10, 5, 30, 25, 0, 4) for f in (0, 5)]
    clip = LabelledClip("c", table(rows, 11, labelled=labelled), size=(80, 100))
    (file,) = cvat.write(tmp_path / "t.xml", [clip], step=5)
    assert "<frame_filter>step=5</frame_filter>" in file.read_text()
    assert 'frame="10" outside="1"' in file.read_text()
    (back,) = cvat.read(file)
    assert back.annotations == clip.annotations
    (file,) = cvat.write(tmp_path / "t.xml", [clip], step=5, numbering="task")
    assert 'frame="2" outside="1"' in file.read_text()
    (back,) = cvat.read(file, numbering="task")
    assert back.annotations == clip.annotations


def test_boxes_off_the_task_and_unknown_objects_left_out_are_listed(tmp_path):
    rows = [(0, 10, 5, 30, 25, -1, 4), (3, 10, 5, 30, 25, 0, 5)]
    skipped = Skipped()
    clip = LabelledClip("c", table(rows, 6))
    cvat.write(tmp_path / "t.xml", [clip], step=2, unknown=None, skipped=skipped)
    assert [(w, y) for _, w, y in skipped.entries] == [
        ("c@000000", "unknown object"),
        ("c@000003", "not a frame of the task"),
    ]


def test_a_second_clip_for_one_file_and_names_outside_the_folder_are_refused(tmp_path):
    clip = LabelledClip("c", table([(0, 1, 1, 2, 2, 0, 0)], 1))
    with pytest.raises(OutputError, match="two clips"):
        cvat.write(tmp_path / "t.xml", [clip, clip])
    with pytest.raises(OutputError, match="leads out"):
        cvat.write(tmp_path / "d", [LabelledClip("../c", clip.annotations)])
    with pytest.raises(OutputError, match="cannot hold"):
        cvat.write(tmp_path / "d", [LabelledClip("a\x01", clip.annotations)])


def test_the_fixture_of_a_stepped_task_is_read_onto_the_frames_of_the_video():
    """Checked in as the server writes it: every frame of a track, numbers of the video."""
    skipped = Skipped()
    (clip,) = cvat.read(FIXTURES / "video_step5.xml", skipped=skipped)
    found = clip.annotations
    assert (clip.name, clip.path, clip.size) == ("drive", Path("drive.mp4"), (480, 640))
    assert found.classes == ("car", "pedestrian")
    assert found.frames == 21
    assert np.flatnonzero(found.labelled).tolist() == [5, 10, 15, 20]  # 0 has a polyline
    assert found.frame.tolist() == [5, 10, 15]
    assert found.track.tolist() == [0, 0, 1]
    assert found.labels.tolist() == [0, 0, 1]
    assert found.boxes[0].tolist() == pytest.approx([110.5, 120.25, 190.5, 180.25])
    assert [why for _, _, why in skipped.entries] == ["shape 'polyline' has no box: frame 0 waits"]


def test_names_with_markup_survive(tmp_path):
    name = 'a<b>&"c'
    rows = table([(0, 1, 1, 9, 9, 0, 0)], 1, classes=(name, 'x"y'))
    (file,) = cvat.write(tmp_path / "t.xml", [LabelledClip(name, rows, size=(80, 100))])
    (back,) = cvat.read(file)
    assert (back.name, back.annotations) == (name, rows)


@st.composite
def clips(draw):
    """A clip whose tracks have one class and at most one box a frame; cents of a pixel."""
    frames = draw(st.integers(1, 12))
    rows = []
    for track in range(draw(st.integers(1, 4))):
        label, ignore = draw(st.integers(-1, 1)), draw(st.booleans())
        for frame in sorted(draw(st.sets(st.integers(0, frames - 1), min_size=1))):
            x, y, w, h = (draw(st.integers(100, 3000)) / 100 for _ in range(4))
            rows.append((frame, x, y, x + w, y + h, label, track, ignore))
    rows.sort(key=lambda row: (row[0], row[6]))
    data = np.array(rows, dtype=np.float64)
    labelled = np.zeros(frames, bool)
    labelled[data[:, 0].astype(int)] = True
    labelled |= np.array(draw(st.lists(st.booleans(), min_size=frames, max_size=frames)))
    return LabelledClip(
        "clip",
        Annotations(
            classes=("car", "bus"),
            labelled=labelled,
            frame=data[:, 0].astype(np.int64),
            boxes=data[:, 1:5],
            labels=data[:, 5].astype(np.int64),
            track=data[:, 6].astype(np.int64),
            ignore=data[:, 7].astype(bool),
        ),
        path=Path("clip.mp4"),
        size=(80, 100),
    )


@settings(max_examples=80, deadline=None)
@given(clip=clips(), tolerance=st.sampled_from([0.0, 1.0]))
def test_what_is_written_is_read_back(tmp_path_factory, clip, tolerance):
    file = tmp_path_factory.mktemp("cvat") / "t.xml"
    cvat.write(file, [clip], tolerance=tolerance)
    (back,) = cvat.read(file, classes=("car", "bus"))
    mine, theirs = clip.annotations, back.annotations
    assert np.array_equal(mine.labelled, theirs.labelled)
    assert np.array_equal(mine.frame, theirs.frame)
    assert np.abs(mine.boxes - theirs.boxes).max(initial=0) <= tolerance + 0.006
    for name in ("labels", "track", "ignore"):
        assert np.array_equal(getattr(mine, name), getattr(theirs, name)), name
    assert (back.name, back.path, back.size) == (clip.name, clip.path, clip.size)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), cut=st.integers(0, 2000))
def test_damaged_files_raise_nothing_but_input_errors(tmp_path_factory, data, cut):
    text = document([(0, "car", [box(0, 10), box(3, 20)])]).encode()
    file = tmp_path_factory.mktemp("cvat") / "t.xml"
    file.write_bytes(text[:cut] + data + text[cut + len(data) :])
    try:
        list(cvat.read(file))
    except InputError:
        return


def truth(folder):
    """(frame, track, label, xyxy) of every line of ``gt.jsonl``."""
    with (folder / "gt.jsonl").open() as stream:
        for line in stream:
            entry = json.loads(line)
            for one in entry["boxes"]:
                yield (entry["frame"], one["track"], one["label"], one["xyxy"])


@pytest.mark.realdata
@pytest.mark.skipif(not JAMCAM.is_dir(), reason=f"no real clips at {JAMCAM}")
@pytest.mark.parametrize("name", ["3601_2019-06-28", "3604_2019-06-29", "6514_2019-06-28"])
def test_the_real_tasks_equal_the_ground_truth_frame_by_frame(name, tmp_path):
    skipped = Skipped()
    (clip,) = cvat.read(JAMCAM / name / "cvat.xml.gz", label_from="type", skipped=skipped)
    found = clip.annotations
    expected = sorted(truth(JAMCAM / name), key=lambda row: row[:2])
    order = np.lexsort((found.track, found.frame))
    assert found.frame[order].tolist() == [row[0] for row in expected]
    assert found.track[order].tolist() == [row[1] for row in expected]
    assert [found.classes[label] for label in found.labels[order]] == [row[2] for row in expected]
    assert np.abs(found.boxes[order] - [row[3] for row in expected]).max() < 1e-4
    assert found.frames == len((JAMCAM / name / "gt.jsonl").read_text().splitlines())
    assert found.labelled.all()
    assert clip.size == (288, 352)
    assert not skipped.entries
    (file,) = cvat.write(tmp_path / "t.xml", [clip], tolerance=1.0)
    (back,) = cvat.read(file, classes=found.classes)
    assert np.array_equal(back.annotations.frame, found.frame)
    assert np.abs(back.annotations.boxes - found.boxes).max() <= 1.01


@pytest.mark.realdata
@pytest.mark.skipif(not JAMCAM.is_dir(), reason=f"no real clips at {JAMCAM}")
def test_the_real_task_that_nobody_annotated_is_not_taken_as_empty():
    skipped = Skipped()
    (clip,) = cvat.read(JAMCAM / "8926_2019-06-28" / "cvat.xml.gz", skipped=skipped)
    assert clip.annotations.frames == 243
    assert not clip.annotations.labelled.any()
    assert len(skipped) == 1
