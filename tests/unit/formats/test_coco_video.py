"""COCO with videos: round trips, variants as others write them, broken files."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats._segmentation import extent
from vidal.formats.coco_video import read, write
from vidal.types import Annotations, LabelledClip, Skipped

CLASSES = ("car", "pedestrian")


@st.composite
def clips(draw: st.DrawFn) -> LabelledClip:
    length = draw(st.integers(0, 5))
    labelled = np.array(draw(st.lists(st.booleans(), min_size=length, max_size=length)), bool)
    where = np.flatnonzero(labelled).tolist()
    frames = sorted(draw(st.lists(st.sampled_from(where), max_size=6))) if where else []
    boxes, tracks = [], []
    for at in range(len(frames)):
        x, y = (draw(st.integers(0, 6000)) / 64 for _ in "xy")
        w, h = (draw(st.integers(1, 6000)) / 64 for _ in "wh")
        boxes.append((x, y, x + w, y + h))
        tracks.append(draw(st.sampled_from([-1, at, 100 + at])))
    listed = draw(st.booleans())
    name = draw(st.text("abc/-_ é", min_size=1, max_size=8).filter(lambda text: text.strip(" .")))
    return LabelledClip(
        name=name,
        annotations=Annotations(
            CLASSES,
            labelled,
            np.array(frames, np.int64),
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array([draw(st.integers(-1, 1)) for _ in frames], np.int64),
            np.array(tracks, np.int64),
            np.array([draw(st.booleans()) for _ in frames], bool),
        ),
        files=tuple(f"images/{at}.jpg" for at in range(length)) if listed else (),
        path=draw(st.sampled_from([None, Path("/data/one"), Path("/data/clips/one.mp4")])),
        size=draw(st.sampled_from([None, (200, 300)])),
        rate=draw(st.sampled_from([None, Fraction(25), Fraction(30000, 1001)])),
    )


def same(one: LabelledClip, other: LabelledClip) -> bool:
    fields = ("name", "annotations", "files", "path", "size", "rate")
    return all(getattr(one, field) == getattr(other, field) for field in fields)


@settings(deadline=None, max_examples=80)
@given(st.lists(clips(), max_size=3))
def test_reading_what_was_written_gives_the_same_clips(made: list[LabelledClip]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "labels.json"
        skipped = Skipped()
        write(path, made)
        found = list(read(path, classes=CLASSES, skipped=skipped))
        again = list(read(path)) if made else []
    assert not skipped
    assert len(found) == len(made)
    assert all(same(one, other) for one, other in zip(found, made, strict=True))
    assert all(same(one, other) for one, other in zip(again, made, strict=False))


def document(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "videos": [{"id": 7, "name": "a", "length": 3, "width": 100, "height": 50, "fps": 12.5}],
        "images": [
            {"id": 1, "video_id": 7, "frame_id": 0, "file_name": "a/0.jpg"},
            {"id": 2, "video_id": 7, "frame_id": 2, "file_name": "a/2.jpg"},
        ],
        "annotations": [
            {"id": 5, "image_id": 2, "category_id": 3, "instance_id": 4, "bbox": [10, 20, 30, 5]},
            {"id": 6, "image_id": 2, "category_id": 9, "bbox": [0, 0, 10, 10], "iscrowd": 1},
        ],
        "categories": [{"id": 9, "name": "van"}, {"id": 3, "name": "car"}],
    }
    return value | changes


def saved(folder: Path, value: Any) -> Path:
    path = folder / "labels.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_listed_images_are_annotated_and_others_are_not(tmp_path: Path) -> None:
    (clip,) = read(saved(tmp_path, document()))
    table = clip.annotations
    assert table.labelled.tolist() == [True, False, True]
    assert table.classes == ("van", "car")
    assert table.frame.tolist() == [2, 2]
    assert table.boxes.tolist() == [[10, 20, 40, 25], [0, 0, 10, 10]]
    assert table.labels.tolist() == [1, 0]
    assert table.track.tolist() == [4, -1]
    assert table.ignore.tolist() == [False, True]
    assert (clip.name, clip.size, clip.rate) == ("a", (50, 100), Fraction(25, 2))
    assert clip.files == ()


def test_categories_outside_the_asked_classes_are_unknown_objects(tmp_path: Path) -> None:
    (clip,) = read(saved(tmp_path, document()), classes=("car", "bus"))
    assert clip.annotations.labels.tolist() == [0, -1]


def test_tao_spelling_is_read(tmp_path: Path) -> None:
    value = document(
        videos=[{"id": 7, "name": "train/x/a", "width": 100, "height": 50}],
        images=[{"id": 1, "video_id": 7, "frame_index": 30, "file_name": "f.jpg"}],
        annotations=[
            {"id": 5, "image_id": 1, "category_id": 3, "track_id": 8, "bbox": [1, 2, 3, 4]}
        ],
        tracks=[{"id": 8, "category_id": 3, "video_id": 7}],
    )
    (clip,) = read(saved(tmp_path, value))
    assert clip.annotations.frames == 31
    assert np.flatnonzero(clip.annotations.labelled).tolist() == [30]
    assert clip.annotations.track.tolist() == [8]


def test_youtube_vis_tracks_become_boxes(tmp_path: Path) -> None:
    last = [2, 2, 8, 8]
    value = {
        "videos": [
            {
                "id": 1,
                "file_names": ["v0/00000.jpg", "v0/00005.jpg", "v0/00010.jpg"],
                "length": 3,
                "width": 64,
                "height": 48,
            }
        ],
        "annotations": [
            {"id": 11, "video_id": 1, "category_id": 2, "bboxes": [[0, 0, 8, 8], None, last]},
            {"id": 12, "video_id": 1, "category_id": 2, "bboxes": [None, None, [1, 1, 4, 4]]},
        ],
        "categories": [{"id": 2, "name": "dog"}],
    }  # fmt: skip
    (clip,) = read(saved(tmp_path, value))
    assert clip.name == "v0"
    assert clip.files == ("v0/00000.jpg", "v0/00005.jpg", "v0/00010.jpg")
    assert clip.annotations.labelled.all()
    assert clip.annotations.frame.tolist() == [0, 2, 2]
    assert clip.annotations.track.tolist() == [11, 11, 12]
    assert clip.annotations.boxes[1].tolist() == [2, 2, 10, 10]


@pytest.mark.parametrize(
    ("video", "name"),
    [
        ({"id": 7}, "7"),
        ({"id": 7, "file_name": "clips/one.mp4"}, "clips/one"),
        ({"id": 7, "file_name": "/"}, "/"),
        ({"id": 7, "file_names": ["0.jpg"]}, "7"),
        ({"id": 7, "file_names": ["a/b/0.jpg"]}, "a/b"),
    ],
)
def test_unnamed_videos_are_named_after_their_files(
    tmp_path: Path, video: dict[str, Any], name: str
) -> None:
    value = document(videos=[video], images=[], annotations=[])
    (clip,) = read(saved(tmp_path, value))
    assert clip.name == name


def test_file_without_annotations_annotates_nothing(tmp_path: Path) -> None:
    value = document()
    del value["annotations"]
    (clip,) = read(saved(tmp_path, value))
    assert not clip.annotations.labelled.any()


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ([float("nan"), 0, 5, 5], "not finite"),
        ([0, 0, float("inf"), 5], "not finite"),
        ([1e300, 0, 5, 5], "not finite"),
        ([10, 10, -5, 5], "inverted"),
        ([10, 10, 0, 5], "inverted"),
        ([100, 10, 5, 5], "outside the image"),
        ([-9, 10, 9, 5], "outside the image"),
    ],
)
def test_impossible_boxes_are_left_out_and_listed(
    tmp_path: Path, box: list[float], why: str
) -> None:
    value = document()
    value["annotations"][0]["bbox"] = box
    skipped = Skipped()
    (clip,) = read(saved(tmp_path, value), skipped=skipped)
    lacks = "outside" not in why  # the other box of the frame is left out, too: the frame waits
    assert len(clip.annotations) == (not lacks)
    assert clip.annotations.labelled.tolist() == [True, False, not lacks]
    ((_, where, reason),) = skipped.entries
    assert where == "annotations[0].bbox"
    assert why in reason


def test_box_partly_outside_the_image_stays_as_it_is(tmp_path: Path) -> None:
    value = document()
    value["annotations"][0]["bbox"] = [-5, 40, 10, 30]
    (clip,) = read(saved(tmp_path, value))
    assert clip.annotations.boxes[0].tolist() == [-5, 40, 5, 70]


def changed(place: str, new: Any) -> dict[str, Any]:
    """The document with ``videos.0.length`` and the like set to something else."""
    value = document()
    *way, last = place.split(".")
    node: Any = value
    for step in way:
        node = node[int(step)] if step.isdigit() else node[step]
    if new is None:
        del node[last]
    else:
        node[int(last) if last.isdigit() else last] = new
    return value


@pytest.mark.parametrize(
    ("place", "new", "where"),
    [
        ("annotations.0.bbox", [1, 2, 3], "annotations[0].bbox"),
        ("annotations.0.bbox", "1 2 3 4", "annotations[0].bbox"),
        ("annotations.0.bbox", [1, 2, "3", 4], "annotations[0].bbox"),
        ("annotations.0.bbox", [1, 2, True, 4], "annotations[0].bbox"),
        ("annotations.0.bbox", [10**400, 2, 3, 4], "annotations[0].bbox"),
        ("annotations.0.image_id", 99, "annotations[0].image_id"),
        ("annotations.0.category_id", 99, "annotations[0].category_id"),
        ("annotations.0.instance_id", "x", "annotations[0].instance_id"),
        ("annotations.1.id", 5, "annotations[1].id"),
        ("annotations.0", 3, "annotations[0]"),
        ("annotations", {}, "annotations"),
        ("images.1.id", 1, "images[1].id"),
        ("images.1.frame_id", 3, "images[1].frame_id"),
        ("images.1.frame_id", -1, "images[1].frame_id"),
        ("images.1.frame_id", 0, "images[1].frame_id"),
        ("images.1.frame_id", None, "images[1].frame_id"),
        ("images.1.video_id", 8, "images[1].video_id"),
        ("videos.0.id", None, "videos[0].id"),
        ("videos.0.id", [1], "videos[0].id"),
        ("videos.0.length", 10**12, "videos[0].length"),
        ("videos.0.fps", 0, "videos[0].fps"),
        ("videos.0.fps", "fast", "videos[0].fps"),
        ("videos.0.height", 0, "videos[0]"),
        ("videos.0.file_names", ["a"], "videos[0].file_names"),
        ("videos", None, "images"),
        ("categories.1.name", None, "categories[1].name"),
        ("categories.1.name", "\ud800", "categories[1].name"),
        ("videos.0.name", "\ud800", "videos[0].name"),
        ("videos.0.fps", "1e100000000", "videos[0].fps"),
        ("videos.0.fps", "1/0", "videos[0].fps"),
        ("videos.0.fps", 10**4000, "videos[0].fps"),
        ("videos.0.fps", float("inf"), "videos[0].fps"),
        ("videos.0.fps", float("nan"), "videos[0].fps"),
        ("videos.0.fps", 1e-300, "videos[0].fps"),
        ("videos.0.width", 10**4000, "videos[0].width"),
        ("videos.0.width", 99.5, "videos[0].width"),
        ("videos.0.width", 1 << 30, "videos[0]"),
        ("images.1.frame_id", 10**9, "images[1].frame_id"),
        ("images.1.id", 10**4000, "annotations[0].image_id"),
        ("categories", None, "categories"),
        ("categories.1.id", 9, "categories[1].id"),
    ],
)
def test_broken_files_raise_one_error_that_names_the_key(
    tmp_path: Path, place: str, new: Any, where: str
) -> None:
    path = saved(tmp_path, changed(place, new))
    with pytest.raises(FormatError) as caught:
        list(read(path))
    assert caught.value.where == where
    assert caught.value.path == path


def test_identity_twice_in_a_frame_is_refused(tmp_path: Path) -> None:
    value = document()
    value["annotations"][1]["instance_id"] = 4
    with pytest.raises(FormatError, match="track 4"):
        list(read(saved(tmp_path, value)))


def test_truncated_json_says_line_and_column(tmp_path: Path) -> None:
    text = json.dumps(document(), indent=1)
    with pytest.raises(FormatError, match=r"line \d+, column \d+"):
        list(read(saved(tmp_path, text[: len(text) // 2])))


@pytest.mark.parametrize("text", ["", "[]", "3", '{"videos": 1, "categories": []}', "[" * 100_000])
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FormatError):
        list(read(saved(tmp_path, text)))


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(read(tmp_path / "nothing.json"))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_mutated_files_give_clips_or_one_format_error(data: st.DataObject) -> None:
    text = json.dumps(document())
    at = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(at, min(len(text), at + 12)))
    junk = data.draw(st.sampled_from(["", "0", "-1", "null", "NaN", "1e999", '"', "[", "{}", "é"]))
    with TemporaryDirectory() as folder:
        path = saved(Path(folder), text[:at] + junk + text[end:])
        try:
            found = list(read(path))
        except FormatError:
            return  # anything else that is raised fails the test
        assert all(isinstance(clip, LabelledClip) for clip in found)


def test_clips_of_different_classes_do_not_go_into_one_file(tmp_path: Path) -> None:
    def empty(classes: tuple[str, ...]) -> LabelledClip:
        none = np.zeros(0, np.int64)
        table = Annotations(
            classes, np.ones(1, bool), none, np.zeros((0, 4), np.float32), none, none,
            np.zeros(0, bool),
        )  # fmt: skip
        return LabelledClip("a", table)

    with pytest.raises(OutputError, match="other classes"):
        write(tmp_path / "x.json", [empty(("car",)), empty(("bus",))])
    assert not (tmp_path / "x.json").exists()


def test_a_video_needs_neither_name_nor_a_known_length(tmp_path: Path) -> None:
    value = document(videos=[{"id": 7}])
    (clip,) = read(saved(tmp_path, value))
    assert (clip.name, clip.annotations.frames) == ("7", 3)
    with pytest.raises(FormatError, match=r"videos\[0\]\.id: is missing"):
        list(read(saved(tmp_path, document(videos=[{}]))))
    (clip,) = read(saved(tmp_path, value), frames={"7": 9}, sizes={"7": (50, 100)})
    assert (clip.annotations.frames, clip.size) == (9, (50, 100))
    with pytest.raises(FormatError, match="frame 2 of 2"):
        list(read(saved(tmp_path, value), frames={"7": 2}))


def test_sizes_and_frames_may_be_written_as_real_numbers(tmp_path: Path) -> None:
    value = document()
    value["videos"][0].update(width=100.0, height=50.0)
    value["images"][1]["frame_id"] = 2.0
    value["annotations"][0]["image_id"] = 2.0
    (clip,) = read(saved(tmp_path, value))
    assert (clip.size, clip.annotations.frame.tolist()) == ((50, 100), [2, 2])


def test_frames_of_one_clip_with_different_sizes_are_refused(tmp_path: Path) -> None:
    value = document()
    value["images"][1].update(width=640, height=640)
    with pytest.raises(
        FormatError, match=r"images\[1\]: 640x640 pixels, but videos\[0\] has 100x50"
    ):
        list(read(saved(tmp_path, value)))


@pytest.mark.parametrize("bbox", [[], None, [float("nan"), 0, 5, 5], [10, 10, -5, 5], [0, 0, 0, 0]])
@pytest.mark.parametrize(
    ("mask", "box"),
    [
        ([[1, 1, 5, 1, 5, 6]], [1, 1, 5, 6]),
        ([[1, 1, 5, 1, 5, 6], [20, 3, 30, 3, 30, 40]], [1, 1, 30, 40]),
        ({"size": [50, 100], "counts": [520, 5, 45, 5, 4425]}, [10, 20, 12, 25]),
        ({"size": [50, 100], "counts": [520, 45, 4435]}, [10, 0, 12, 50]),
    ],
)
def test_what_has_no_box_has_the_extent_of_its_mask(
    tmp_path: Path, bbox: Any, mask: Any, box: list[float]
) -> None:
    value = document()
    value["annotations"][0].update(bbox=bbox, segmentation=mask)
    skipped = Skipped()
    (clip,) = read(saved(tmp_path, value), skipped=skipped)
    assert clip.annotations.boxes[0].tolist() == box
    assert not skipped


def test_compressed_masks_are_those_of_the_coco_api(tmp_path: Path) -> None:
    masks = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(3)
    for _ in range(20):
        image = np.zeros((50, 100), np.uint8, order="F")
        x, y = rng.integers(0, 90), rng.integers(0, 40)
        image[y : y + 9, x : x + 8] = rng.integers(0, 2, (9, 8))[: 50 - y, : 100 - x]
        coded = masks.encode(image)
        text = {"size": coded["size"], "counts": coded["counts"].decode()}
        x, y, w, h = masks.toBbox(coded).tolist()
        assert extent(text) == (x, y, x + w, y + h)


@pytest.mark.parametrize(
    "mask",
    [
        None, [], [[]], [[1, 2, 3]], [[1, 2, 3, 4]], "x", {"size": [50, 100]}, [["a"] * 6],
        {"size": [50, 100], "counts": [5000]}, {"size": [50, 100], "counts": [1, 2]},
        {"size": [50], "counts": [50]}, {"size": [50, 100], "counts": [-1, 5001]},
        {"size": 3, "counts": 3}, {"size": [50, 100], "counts": "\x7f"},
        {"size": None, "counts": ""},
        {"size": [50, 100], "counts": "o" * 10_000}, [[10**400] * 6], [[float("nan")] * 6],
        {"size": [10**9, 10**9], "counts": [0, 10**18]},
    ],
)  # fmt: skip
def test_a_frame_with_neither_box_nor_mask_is_not_annotated(tmp_path: Path, mask: Any) -> None:
    value = document()
    value["annotations"][0].update(bbox=[], segmentation=mask)
    skipped = Skipped()
    (clip,) = read(saved(tmp_path, value), skipped=skipped)
    assert clip.annotations.labelled.tolist() == [True, False, False]
    ((_, where, why),) = skipped.entries
    assert (where, why) == ("annotations[0].bbox", "no box, and no mask that could be read")


def plain(*names: str, **more: Any) -> dict[str, Any]:
    images = [
        {"id": at, "file_name": name, "width": 100, "height": 50} for at, name in enumerate(names)
    ]
    box = {"id": 1, "image_id": 0, "category_id": 3, "bbox": [10, 20, 30, 5]}
    categories = [{"id": 3, "name": "car"}]
    return {"images": images, "annotations": [box], "categories": categories, **more}


@pytest.mark.parametrize("more", [{}, {"videos": []}])
def test_without_videos_the_names_of_images_say_clip_and_frame(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    value = plain("frames/town_000002.jpg", "frames/town_000000.jpg", "b/lane_1.png", **more)
    town, lane = read(saved(tmp_path, value))
    assert (town.name, lane.name) == ("town", "lane")
    assert town.annotations.labelled.tolist() == [True, False, True]
    assert (town.size, town.annotations.frame.tolist()) == ((50, 100), [2])
    (town, _) = read(saved(tmp_path, value), frames={"town": 7, "lane": 2})
    assert town.annotations.frames == 7


def test_uploaded_images_and_those_of_a_service_keep_their_former_names(tmp_path: Path) -> None:
    value = plain(
        "images\\0a1b2c3d-town_000002.jpg",
        "town_000000_jpg.rf.0123456789abcdef0123456789abcdef.jpg",
        "IMG_last.jpg",
    )
    skipped = Skipped()
    (clip,) = read(
        saved(tmp_path, value), names=r"(?P<clip>[a-z]+)_(?P<index>\d+)", skipped=skipped
    )
    assert clip.annotations.labelled.tolist() == [True, False, True]
    ((_, where, why),) = skipped.entries
    assert where == "images[2]"
    assert "does not say which frame" in why


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_mutated_plain_files_give_clips_or_one_format_error(data: st.DataObject) -> None:
    text = json.dumps(plain("a_0.jpg", "a_1.jpg"))
    at = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(at, min(len(text), at + 12)))
    junk = data.draw(
        st.sampled_from(["", "0", "-1", "null", "NaN", "1e999", '"', "[", "{}", "9" * 19])
    )
    with TemporaryDirectory() as folder:
        path = saved(Path(folder), text[:at] + junk + text[end:])
        try:
            found = list(read(path))
        except FormatError:
            return  # anything else that is raised fails the test
        assert all(isinstance(clip, LabelledClip) for clip in found)


def test_a_folder_or_a_zip_with_one_file_is_read_as_that_file(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "annotations"
    folder.mkdir(parents=True)
    saved(folder, plain("a_0.jpg"))
    (folder / "._labels.json").write_bytes(b"\0\5\x16\7")
    (clip,) = read(tmp_path / "set")
    with ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"annotations/{file.name}")
    (other,) = read(tmp_path / "set.zip")
    assert clip.annotations == other.annotations
    assert len(clip.annotations) == 1
    (folder / "more.json").write_text("{}")
    with pytest.raises(
        FormatError, match=r"2 \.json files \(annotations/labels.json, annotations/more.json\)"
    ):
        list(read(tmp_path / "set"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no \.json file in it"):
        list(read(tmp_path / "empty"))
