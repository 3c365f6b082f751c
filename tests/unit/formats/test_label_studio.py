"""Label Studio: percent, 1-based frames, life spans, answered or not, counts, round trip."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

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
    (clip,) = many(video(region(key(1, 10), key(3, 10), broken)), skipped=skipped)
    assert clip.annotations.frame.tolist() == [0, 1, 2]
    assert len(skipped) == 2


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
        (image("c_1.jpg", rectangle(rotation=5)), "rotated box"),
        (image("c_1.jpg", rectangle(width=-1)), "box is inverted or empty"),
        (image("c_1.jpg", rectangle(x=100)), "box lies outside the image"),
        (image("c_1.jpg", rectangle(x=float("nan"))), "box is not finite"),
        (image("c_1.jpg", rectangle(rectanglelabels=["a", "b"])), "region has 2 labels"),
        (image("c_1.jpg", {"type": "choices"}), "region 'choices' is not a labelled box"),
        (image("cover.jpg"), "name 'cover.jpg' does not say which frame it is"),
        (video(region(key(1, 10, rotation=3))), "rotated box"),
        (video(region(key(11, 10))), "frame is outside the clip"),
        (video(region(key(0, 10))), "frame is outside the clip"),
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
        ([image("c_0.jpg", {**rectangle(), "original_width": None})], "is not a number"),
        (
            [image("c_0.jpg", rectangle()), image("c_1.jpg", {**rectangle(), "original_width": 9})],
            "images of a clip differ",
        ),
        ([image("c_99999999999.jpg")], "cannot be right"),
        ([video(frames=3), video(frames=3)], "clip 'drive' twice"),
        ([video(frames="3")], "expected a number of frames"),
        ([video(region(key(1, 1), key(1, 2)))], "frame 1 twice"),
        ([video(region(key(1, 1, enabled=2)))], "not a key frame"),
        ([video(region(key("1", 1)))], "'frame' is missing or not a int"),
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
