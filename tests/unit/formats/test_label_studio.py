"""Label Studio: percent, 1-based frames, life spans, answered or not, counts, round trip."""

from __future__ import annotations

import json
import tracemalloc
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.errors import FormatError, InputError
from vidal.formats import label_studio
from vidal.types import Annotations, FrameRef, LabelledClip, Skipped

FIXTURES = Path(__file__).parents[2] / "fixtures" / "label_studio"


def key(frame, x, *, enabled=True, **more):
    value = {"frame": frame, "x": x, "y": 10, "width": 20, "height": 50, "rotation": 0}
    return {**value, "time": 0.5, "enabled": enabled, **more}


def region(*keys, count=10, label="car", name="abc"):
    value = {"framesCount": count, "duration": 1, "labels": [label], "sequence": list(keys)}
    return {"id": name, "type": "videorectangle", "value": value}


def video(*regions, **data):
    data = {"video": "/data/upload/1/0123abcd-drive.mp4", "width": 200, "height": 100, **data}
    return {"data": data, "annotations": [{"result": list(regions)}]}


def rectangle(x=10, y=20, width=30, height=40, *, label="car", **more):
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0}
    value = {**value, "rectanglelabels": [label], **more}
    size = {"original_width": 200, "original_height": 100}
    return {"id": "r", "type": "rectanglelabels", "value": value, **size}


def polygon(*points, **more):
    value = {"points": list(points), "polygonlabels": ["car"], "closed": True, **more}
    size = {"original_width": 200, "original_height": 100}
    return {"id": "p", "type": "polygonlabels", "value": value, **size}


def other(kind, **value):
    size = {"original_width": 200, "original_height": 100}
    return {"id": "o", "type": kind, "value": {kind: ["car"], **value}, **size}


def image(name, *results):
    return {"data": {"image": name}, "annotations": [{"result": list(results)}]}


@pytest.fixture
def many(tmp_path):
    """Reads tasks as a list of clips."""

    def read(*tasks, **options):
        file = tmp_path / "a.json"
        file.write_text(json.dumps(tasks))
        return list(label_studio.read(file, **options))

    return read


def test_the_fixture_tells_answered_empty_cancelled_and_untouched_tasks_apart():
    (clip,) = label_studio.read(FIXTURES / "export.json")
    assert (clip.name, clip.size) == ("town-9a", (100, 200))
    found = clip.annotations
    assert np.flatnonzero(found.labelled).tolist() == [4, 6]
    assert found.frames == 10
    assert found.frame.tolist() == [4]
    assert found.boxes.tolist() == [[20, 20, 80, 60]]
    assert found.classes == ("car",)


def test_frames_count_from_one_and_boxes_move_linearly_between_enabled_keys(many):
    (clip,) = many(video(region(key(3, 10), key(7, 30, enabled=False))))
    found = clip.annotations
    assert (clip.name, clip.path, clip.size) == ("drive", Path("drive.mp4"), (100, 200))
    assert found.frame.tolist() == [2, 3, 4, 5, 6]
    assert found.boxes[:, 0].tolist() == [20, 30, 40, 50, 60]
    assert found.boxes[0].tolist() == [20, 10, 60, 60]
    assert found.labelled.all()
    assert found.frames == 10


def test_a_key_that_is_not_enabled_ends_a_stretch_and_the_last_enabled_one_holds(many):
    keys = [key(1, 10), key(2, 12, enabled=False), key(5, 40, enabled=False), key(8, 50)]
    (clip,) = many(video(region(*keys)))
    assert clip.annotations.frame.tolist() == [0, 1, 4, 7, 8, 9]
    assert clip.annotations.boxes[:, 0].tolist() == [20, 24, 80, 100, 100, 100]


@pytest.mark.parametrize("bad", [{"x": float("nan")}, {"width": -5}])
def test_nothing_is_interpolated_across_or_held_after_a_bad_key(many, bad):
    skipped = Skipped()
    broken = {**key(4, 10), **bad}
    (clip,) = many(video(region(key(2, 10), broken, key(6, 30, enabled=False))), skipped=skipped)
    assert clip.annotations.frame.tolist() == [1, 5]
    assert np.flatnonzero(~clip.annotations.labelled).tolist() == [2, 3, 4]
    (clip,) = many(video(region(key(1, 10), key(3, 10), broken)), skipped=skipped)
    assert clip.annotations.frame.tolist() == [0, 1, 2]
    assert not clip.annotations.labelled[3:].any()
    assert len(skipped) == 5  # the key and what lies before and after it; the key and the rest


def test_keys_out_of_order_are_the_same_track(many):
    (clip,) = many(video(region(key(3, 20, enabled=False), key(1, 10))))
    assert clip.annotations.boxes[:, 0].tolist() == [20, 30, 40]


def test_a_count_of_frames_that_differs_from_the_clip_is_refused(many):
    task = video(region(key(1, 10), count=535))
    with pytest.raises(FormatError, match=r"535 frames, but the clip has 641") as caught:
        many(task, frames={"drive": 641})
    assert "send images" in caught.value.hint
    with pytest.raises(FormatError, match="framesCount: 535 frames"):
        many(video(region(key(1, 10), count=535), frames=641))
    with pytest.raises(FormatError, match="6 frames, but the clip has 5"):
        many(video(region(key(1, 10), count=5), region(key(1, 10), count=6, name="b")))


def test_an_answered_video_without_regions_is_empty_where_its_length_is_known(many):
    (clip,) = many(video(frames=4))
    assert clip.annotations.labelled.tolist() == [True] * 4
    with pytest.raises(FormatError, match="length of 'drive' is not stated"):
        many(video())
    (clip,) = many({**video(frames=4), "annotations": []})
    assert not clip.annotations.labelled.any()


def test_the_size_of_a_video_may_be_given_and_is_needed(many):
    task = video(region(key(1, 10)))
    del task["data"]["width"]
    with pytest.raises(FormatError, match="size of the video is not stated"):
        many(task)
    (clip,) = many(task, sizes={"drive": (50, 100)})
    assert clip.annotations.boxes[0].tolist() == [10, 5, 30, 30]


def test_regions_get_identities_and_keep_those_vidal_wrote(many):
    regions = [region(key(1, 9, enabled=False), name=n) for n in ("x", "track-7", "y")]
    (clip,) = many(video(*regions))
    assert clip.annotations.track.tolist() == [8, 7, 9]


def test_the_newest_annotation_counts_and_older_ones_are_listed(many):
    task = image("c_0.jpg")
    task["annotations"] = [
        {"updated_at": "2024-01-02", "result": [rectangle(label="new")]},
        {"updated_at": "2024-01-01", "result": [rectangle(label="old")]},
        {"updated_at": "2024-01-03", "result": [rectangle(label="no")], "was_cancelled": True},
    ]
    skipped = Skipped()
    (clip,) = many(task, skipped=skipped)
    assert clip.annotations.classes == ("new",)
    assert [entry[1:] for entry in skipped.entries] == [
        ("task 0", "annotation superseded by a newer one")
    ]


def test_frame_and_clip_in_the_data_win_over_the_name(many):
    task = image("whatever.jpg", rectangle())
    task["data"] |= {"clip": "c", "index": 3}
    (clip,) = many(task)
    assert (clip.name, clip.annotations.frame.tolist()) == ("c", [3])


def test_names_outside_the_given_classes_are_unknown_objects(many):
    (clip,) = many(image("c_0.jpg", rectangle(), rectangle(label="bus")), classes=["bus"])
    assert clip.annotations.labels.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (image("c_1.jpg", rectangle(rotation=float("inf"))), "box is not finite"),
        (image("c_1.jpg", rectangle(width=-1)), "box is inverted or empty"),
        (image("c_1.jpg", rectangle(x=100)), "box lies outside the image"),
        (image("c_1.jpg", rectangle(x=float("nan"))), "box is not finite"),
        (
            image("c_1.jpg", rectangle(rectanglelabels=["a", "b"])),
            "region has 2 labels: c@000001 waits",
        ),
        (image("c_1.jpg", rectangle(rectanglelabels=[])), "region has 0 labels: c@000001 waits"),
        (
            image("c_1.jpg", {**rectangle(), "image_rotation": 90}),
            "region 'rectanglelabels' has no box: c@000001 waits",
        ),
        (image("c_1.jpg", {"type": "choices"}), "region 'choices' is not a labelled box"),
        (image("cover.jpg"), "name 'cover.jpg' does not say which frame it is"),
        (video(region(key(11, 10))), "frame is outside the clip"),
        (video(region(key(0, 10, enabled=False))), "frame is outside the clip"),
        (video({"type": "timelinelabels"}, frames=3), "region 'timelinelabels' is not a video box"),
    ],
)
def test_what_cannot_be_is_left_out_and_listed(many, task, why):
    skipped = Skipped()
    clips = many(task, image("d_0.jpg", rectangle()), skipped=skipped)
    assert sum(len(clip.annotations) for clip in clips) == 1
    assert [reason for _, _, reason in skipped.entries] == [why]
    assert skipped.entries[0][1].startswith("task 0")


@pytest.mark.parametrize(
    ("region_", "extent"),
    [
        (rectangle(rotation=0.01), [20, 20, 80, 60]),
        (rectangle(rotation=360), [20, 20, 80, 60]),
        (rectangle(50, 20, 30, 40, rotation=90), [60, 20, 100, 80]),  # about the top left corner
        (rectangle(50, 50, 10, 10, rotation=-180), [80, 40, 100, 50]),
        (polygon([10, 20], [40, 20], [25, 60]), [20, 20, 80, 60]),
        (other("ellipselabels", x=25, y=40, radiusX=15, radiusY=20), [20, 20, 80, 60]),
        (other("ellipselabels", x=25, y=40, radiusX=10, radiusY=5, rotation=90), [45, 20, 55, 60]),
    ],
)
def test_regions_with_an_outline_are_read_as_their_extent(many, region_, extent):
    skipped = Skipped()
    (clip,) = many(image("c_0.jpg", region_), skipped=skipped)
    np.testing.assert_allclose(clip.annotations.boxes, [extent], atol=1e-4)
    assert clip.annotations.labelled.all()
    assert not skipped.entries


@pytest.mark.parametrize(
    "region_",
    [
        other("brushlabels", format="rle", rle=[0, 1, 2]),
        other("keypointlabels", x=1, y=2, width=0.5),
        other("vectorlabels", vertices=[]),
        other("bitmasklabels", imageDataURL="data:"),
        other("rectangle", x=1, y=2, width=3, height=4),
        polygon([10, 20], [40, 20], closed=False),
        polygon(),
        polygon([10, 20], [40, 20]),
        rectangle(rectanglelabels=["a", "b"]),
        rectangle(width=0),
        other("ellipselabels", x=25, y=40, radiusX=-1, radiusY=2),
    ],
)
def test_a_frame_with_a_region_that_is_no_box_waits_and_is_never_empty(many, region_):
    skipped = Skipped()
    tasks = image("c_0.jpg", rectangle(), region_), image("c_1.jpg", rectangle())
    (clip,) = many(*tasks, skipped=skipped)
    assert clip.annotations.labelled.tolist() == [False, True]
    assert clip.annotations.frame.tolist() == [1]
    assert len(skipped) == 1


def test_answers_beside_regions_leave_the_frame_complete(many):
    skipped = Skipped()
    relation = {"type": "relation", "from_id": "r", "to_id": "r", "direction": "right"}
    choice = {"id": "r", "type": "choices", "value": {"choices": ["occluded"]}}
    (clip,) = many(image("c_0.jpg", rectangle(), choice, relation), skipped=skipped)
    assert clip.annotations.labelled.tolist() == [True]
    assert len(clip.annotations) == 1
    assert len(skipped) == 2


def test_a_shape_and_its_label_may_be_separate_controls_and_other_ids_twice_are_two_boxes(many):
    place = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}
    size = {"original_width": 200, "original_height": 100, "id": "r"}
    shape = {"type": "rectangle", "value": place, **size}
    label = {"type": "labels", "value": {**place, "labels": ["bus"]}, **size}
    for results in ([shape, label], [label, shape], [label]):
        (clip,) = many(image("c_0.jpg", *results))
        assert clip.annotations.classes == ("bus",)
        assert clip.annotations.boxes.tolist() == [[20, 20, 80, 60]]
        assert clip.annotations.labelled.all()
    (clip,) = many(image("c_0.jpg", rectangle(), rectangle(x=20)))
    assert len(clip.annotations) == 2


def test_a_video_region_without_one_label_makes_its_frames_wait(many):
    nameless = region(key(2, 10), key(4, 10, enabled=False), name="n")
    nameless["value"]["labels"] = []
    skipped = Skipped()
    (clip,) = many(video(region(key(1, 10)), nameless), skipped=skipped)
    assert np.flatnonzero(~clip.annotations.labelled).tolist() == [1, 2, 3]
    assert clip.annotations.frame.tolist() == [0, 4, 5, 6, 7, 8, 9]
    assert [why for _, _, why in skipped.entries] == ["region has 0 labels: its frames wait"]


def test_an_unknown_region_in_a_video_makes_all_its_frames_wait(many):
    skipped = Skipped()
    (clip,) = many(video(region(key(1, 10)), {"type": "videopolygon"}), skipped=skipped)
    assert not clip.annotations.labelled.any()
    assert "all frames of 'drive' wait" in skipped.entries[0][2]


def test_a_turned_box_turns_between_key_frames_of_a_video(many):
    keys = [key(1, 10, rotation=-20), key(3, 10, rotation=20, enabled=False)]
    (clip,) = many(video(region(*keys)))
    assert clip.annotations.frame.tolist() == [0, 1, 2]
    assert clip.annotations.boxes[1].tolist() == [20, 10, 60, 60]
    assert clip.annotations.boxes[0, 2] > 65


def test_size_and_length_are_those_of_the_clip_that_the_caller_knows(many):
    task = video(region(key(1, 10), count=10.0))
    del task["data"]["width"]
    known = {
        "frames": {"day__drive-12345678": 10, "x-1": 3},
        "sizes": {"day__drive-12345678": (50, 100)},
    }
    (clip,) = many(task, **known)
    assert (clip.name, clip.size, clip.annotations.frames) == ("drive", (50, 100), 10)
    assert clip.annotations.boxes[0].tolist() == [10, 5, 30, 30]
    with pytest.raises(FormatError, match="10 frames, but the clip has 9"):
        many(task, frames={"drive-12345678": 9}, sizes=known["sizes"])
    (clip,) = many(video(), **known)
    assert clip.annotations.labelled.tolist() == [True] * 10


def test_clips_of_one_name_give_only_what_they_share(many):
    task = video(region(key(1, 10)))
    del task["data"]["width"]
    both = {"day__drive-1": (50, 100), "night__drive-2": (50, 100)}
    (clip,) = many(task, sizes=both)
    assert clip.size == (50, 100)
    with pytest.raises(FormatError, match="size of the video is not stated"):
        many(task, sizes={**both, "night__drive-2": (60, 100)})


def test_the_size_that_a_file_states_is_the_one_that_is_stated(many):
    (clip,) = many(video(region(key(1, 10))), sizes={"drive": (50, 100)})
    assert clip.size == (100, 200)
    (clip,) = many(image("c_0.jpg", rectangle()), sizes={"c": (50, 100)})
    assert clip.size == (100, 200)
    bare = {k: v for k, v in rectangle().items() if not k.startswith("original")}
    (clip,) = many(image("c_0.jpg", bare), sizes={"c": (50, 100)})
    assert (clip.size, clip.annotations.boxes.tolist()) == ((50, 100), [[10, 10, 40, 30]])
    (clip,) = many(image("c_0.jpg", bare), image("c_1.jpg", rectangle()))
    assert clip.annotations.boxes.tolist() == [[20, 20, 80, 60]] * 2


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/data/upload/1/0a1b2c3d-c_0.jpg", "c_0.jpg"),
        ("upload/1/0a1b2c3d-c_0.jpg", "c_0.jpg"),
        ("https://host/data/upload/1/0a1b2c3d-c_0.jpg?x=1", "c_0.jpg"),
        ("/data/local-files/?d=a/0a1b2c3d-c_0.jpg", "0a1b2c3d-c_0.jpg"),
        ("s3://bucket/a%20b_0.jpg", "a b_0.jpg"),
        ("C:\\x\\c_0.jpg", "c_0.jpg"),
    ],
)
def test_the_name_behind_a_url_is_that_of_the_file(url, name):
    assert PurePosixPath(label_studio.location(url)).name == name


@pytest.mark.parametrize("medium", ["img", "picture"])
def test_the_key_of_the_image_follows_the_configuration(many, medium):
    task = image("c_3.jpg", rectangle())
    task["data"] = {"rank": 1, "note": "a.b", medium: task["data"]["image"]}
    (clip,) = many(task)
    assert clip.annotations.frame.tolist() == [3]


def test_json_min_is_refused_with_the_way_out(many):
    with pytest.raises(FormatError, match="JSON-MIN") as caught:
        many({"id": 1, "image": "/data/upload/1/0a1b2c3d-c_0.jpg", "label": []})
    assert caught.value.hint == 'Export as "JSON", not "JSON-MIN".'


def test_a_kilobyte_never_takes_gigabytes(many):
    bombs = [
        [video(region(key(1, 10), count=9_999_999, name=str(n))) for n in range(1)],
        [video(*(region(key(1, 10), count=9_999_999, name=str(n)) for n in range(3)))],
        [image(f"c{n}_9999999.jpg") for n in range(20)],
        [
            {**video(frames=9_999_999), "data": {"video": f"{n}.mp4", "frames": 9_999_999}}
            for n in range(20)
        ],
    ]
    for bomb in bombs:
        tracemalloc.start()
        with pytest.raises(FormatError, match="more than"):
            many(*bomb)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 300 << 20


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([{"data": {"image": "c_0.jpg"}}], "task 0: no 'annotations'"),
        ([{"annotations": []}], "'data' is missing"),
        ([[]], "'data' is missing"),
        ([{"data": {}, "annotations": []}], "neither 'image' nor 'video'"),
        ([{"data": {"image": "c_0.jpg"}, "annotations": [3]}], "not a list of objects"),
        ([{"data": {"image": "c_0.jpg"}, "annotations": [{}]}], "'result' is missing"),
        ([image("c_0.jpg"), image("c_0.png")], "c@000000 twice"),
        ([image("c_0.jpg", rectangle(x="12"))], "task 0, result 0: x: '12' is not a number"),
        ([image("c_0.jpg", rectangle(x=None))], "is not a number"),
        ([image("c_0.jpg", rectangle(x=10**400))], "is not a number"),
        ([image("c_0.jpg", {**rectangle(), "original_width": 0})], "original_width: 0"),
        ([image("c_0.jpg", {**rectangle(), "original_width": None})], "size of the images of 'c'"),
        ([image("c_0.jpg", {**rectangle(), "original_width": "9"})], "'9' is not a number"),
        ([image("http://[::1/c_0.jpg")], "is not a URL"),
        ([{"data": {"a": "c_0.jpg", "b": "c_1.jpg"}, "annotations": []}], "2 images or videos"),
        ([{"data": {"a": "http://[::1/x.jpg"}, "annotations": []}], "neither 'image' nor"),
        ([{"id": 3, "image": "c_0.jpg", "label": []}], "'data' is missing: not a task"),
        ([image("c_0.jpg", polygon([1, 2, 3]))], r"points: \[1, 2, 3\] is not"),
        ([video(frames=3.5)], "expected a number of frames, got 3.5"),
        ([video(frames=10**300)], "expected a number of frames"),
        ([video(frames=10**9)], "cannot be right"),
        ([video(region(key(1.5, 1)))], "frame 1.5 twice, or not a key frame"),
        (
            [image("c_0.jpg", rectangle()), image("c_1.jpg", {**rectangle(), "original_width": 9})],
            "images of a clip differ",
        ),
        ([image("c_99999999999.jpg")], "cannot be right"),
        ([video(frames=3), video(frames=3)], "clip 'drive' twice"),
        ([video(frames="3")], "expected a number of frames"),
        ([video(region(key(1, 1), key(1, 2)))], "frame 1 twice"),
        ([video(region(key(1, 1, enabled=2)))], "not a key frame"),
        ([video(region(key("1", 1)))], "'frame' is missing or not a number"),
        ([video(region(key(1, 1)), region(key(1, 1)))], "two regions with one id"),
    ],
)
def test_broken_files_give_one_format_error(many, tasks, message):
    with pytest.raises(FormatError, match=message):
        many(*tasks)


@pytest.mark.parametrize("text", ["{}", "[", '[{"data": ', "[" * 100_000, "", "\x00"])
def test_files_that_are_no_list_of_tasks_give_a_format_error(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FormatError):
        list(label_studio.read(tmp_path / "a.json"))


def test_image_tasks_carry_frame_rank_and_reason(tmp_path):
    table = Annotations(("car",), [False, True], [1], [[20, 20, 80, 60]], [0], [-1], [False])
    file = label_studio.write(
        tmp_path / "t.json",
        [LabelledClip("c", table, size=(100, 200))],
        url=lambda name: f"https://host/{name}",
        extra={FrameRef("c", 1): {"rank": 1, "score": 0.5, "reason": "two boxes disagree"}},
    )
    (task,) = json.loads(file.read_text())
    assert task["data"] == {
        "rank": 1,
        "score": 0.5,
        "reason": "two boxes disagree",
        "clip": "c",
        "index": 1,
        "image": "https://host/c_000001.jpg",
    }
    (result,) = task["predictions"][0]["result"]
    assert result["value"] == {
        "x": 10,
        "y": 20,
        "width": 30,
        "height": 40,
        "rotation": 0,
        "rectanglelabels": ["car"],
    }
    assert result["original_width"] == 200
    assert label_studio.config(['a"b']).count("<Label value='a\"b'/>") == 1
    assert "VideoRectangle" in label_studio.config(["car"], "video")


def test_an_import_of_vidal_that_nobody_answered_is_not_annotated(tmp_path):
    table = Annotations(("car",), [True], [0], [[20, 20, 80, 60]], [0], [-1], [False])
    clip = LabelledClip("c", table, size=(100, 200))
    file = label_studio.write(tmp_path / "t.json", [clip])
    (back,) = label_studio.read(file)
    assert not back.annotations.labelled.any()


def test_a_straight_track_is_written_with_two_keys_the_last_not_enabled(tmp_path):
    n = 6
    boxes = [[10 + 4 * f, 10, 30 + 4 * f, 60] for f in range(n)]
    table = Annotations(("car",), [True] * 8, range(1, n + 1), boxes, [0] * n, [3] * n, [False] * n)
    clip = LabelledClip("c", table, size=(100, 200), rate=Fraction(25))
    file = label_studio.write(tmp_path / "t.json", [clip], kind="video")
    (task,) = json.loads(file.read_text())
    (result,) = task["predictions"][0]["result"]
    keys = result["value"]["sequence"]
    assert [(k["frame"], k["enabled"], k["time"]) for k in keys] == [
        (2, True, 0.04),
        (7, False, 0.24),
    ]
    assert result["value"]["framesCount"] == 8
    with pytest.raises(ValueError, match="rate is not known"):
        label_studio.write(file, [LabelledClip("c", table, size=(1, 1))], kind="video")
    with pytest.raises(ValueError, match="size is not known"):
        label_studio.write(file, [LabelledClip("c", table)])


def test_ignore_regions_and_unknown_objects_left_out_are_listed(tmp_path):
    table = Annotations(
        ("car",), [True], [0, 0], [[0, 0, 5, 5]] * 2, [0, -1], [-1, -1], [True, False]
    )
    skipped = Skipped()
    clip = LabelledClip("c", table, size=(9, 9))
    label_studio.write(tmp_path / "t.json", [clip], unknown=None, skipped=skipped)
    assert [why for _, _, why in skipped.entries] == ["ignore region", "unknown object"]


@st.composite
def clips(draw):
    frames = draw(st.integers(1, 10))
    rows = []
    for track in range(draw(st.integers(0, 4))):
        label = draw(st.integers(-1, 1))
        for frame in draw(st.sets(st.integers(0, frames - 1), min_size=1)):
            x, y, w, h = (draw(st.floats(1, 40, width=32)) for _ in range(4))
            rows.append((frame, x, y, x + w, y + h, label, track))
    rows.sort(key=lambda row: (row[0], row[6]))
    data = np.array(rows, dtype=np.float64).reshape(-1, 7)
    table = Annotations(
        classes=("car", "bus"),
        labelled=np.ones(frames, bool),
        frame=data[:, 0].astype(np.int64),
        boxes=data[:, 1:5],
        labels=data[:, 5].astype(np.int64),
        track=data[:, 6].astype(np.int64),
        ignore=np.zeros(len(data), bool),
    )
    return LabelledClip("clip", table, path=Path("clip.mp4"), size=(97, 131), rate=Fraction(25))


@settings(max_examples=60, deadline=None)
@given(clip=clips(), kind=st.sampled_from(["image", "video"]), tolerance=st.sampled_from([0, 2]))
def test_what_is_written_is_read_back(tmp_path_factory, clip, kind, tolerance):
    file = tmp_path_factory.mktemp("ls") / "t.json"
    label_studio.write(file, [clip], kind=kind, tolerance=tolerance)
    (back,) = label_studio.read(file, source="predictions", classes=("car", "bus"))
    mine, theirs = clip.annotations, back.annotations
    assert np.array_equal(mine.labelled, theirs.labelled)
    assert np.array_equal(mine.frame, theirs.frame)
    assert np.array_equal(mine.labels, theirs.labels)
    error = np.abs(mine.boxes - theirs.boxes).max(initial=0)
    assert error <= (tolerance if kind == "video" else 0) + 1e-4
    if kind == "video":
        assert np.array_equal(mine.track, theirs.track)
        assert back.path == clip.path


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=40), cut=st.integers(0, 700))
def test_damaged_files_raise_nothing_but_input_errors(tmp_path_factory, data, cut):
    text = json.dumps([video(region(key(1, 2))), image("c_1.jpg", rectangle())]).encode()
    file = tmp_path_factory.mktemp("ls") / "t.json"
    file.write_bytes(text[:cut] + data + text[cut + len(data) :])
    try:
        list(label_studio.read(file))
    except InputError:
        return


@pytest.mark.parametrize("column", [{"index": 3}, {"clip": "of the morning"}, {"index": "3"}])
def test_a_column_of_the_users_own_does_not_hide_the_name_of_the_picture(many, column):
    task = image("c_0.jpg", rectangle())
    task["data"].update(column)
    (clip,) = many(task)
    assert (clip.name, clip.annotations.labelled.tolist()) == ("c", [True])


def test_the_newest_of_several_answers_is_found_across_time_zones(many):
    task = image("c_0.jpg", rectangle())
    later = {"result": [], "updated_at": "2024-01-01T23:30:00Z"}
    task["annotations"][0]["updated_at"] = "2024-01-02T00:00:00+02:00"
    for answers in (task["annotations"] + [later], [later] + task["annotations"]):
        (clip,) = many({**task, "annotations": answers})
        assert (len(clip.annotations), clip.annotations.labelled.tolist()) == (0, [True])


def test_a_frame_with_nothing_but_boxes_outside_of_the_image_was_not_found_empty(many):
    beyond = {**rectangle(), "value": {**rectangle()["value"], "x": 500}}
    skipped = Skipped()
    tasks = (image("c_0.jpg", beyond), image("c_1.jpg", rectangle(), beyond), image("c_2.jpg"))
    (clip,) = many(*tasks, skipped=skipped)
    assert clip.annotations.labelled.tolist() == [False, True, True]
    assert [why for *_, why in skipped.entries] == ["box lies outside the image"] * 2
