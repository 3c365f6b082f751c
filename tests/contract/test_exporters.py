"""What every target of `vidal export` keeps: frames, boxes, pictures, and the way back."""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from vidal.errors import OutputError, UsageError
from vidal.exports import EXPORTERS, write_bundle
from vidal.exports.bundle import Boxes, Bundle, ClipFacts, Shot
from vidal.formats import coco_video, cvat, cvat_images, label_studio, mot, yolo
from vidal.formats._notes import RowNote
from vidal.report.frames import frame_names
from vidal.report.query_files import csv_value
from vidal.types import Annotations, FrameRef
from vidal.video import save_jpeg

CLASSES = ("car", 'R&D "<van>", 5\' : x', "=SUM(1)", "unknown")
SIZE = (60, 100)
FRAMES = {
    "a__cam-00000001": [3, 11],  # two clips of one file name, in different folders
    "b__cam-00000002": [0],
    "wet Straße #2-00000003": [7, 8, 9],
    "one frame-00000004": [0],
}
LENGTHS = dict.fromkeys(FRAMES, 20) | {"one frame-00000004": 1}
TRACKS = ("coco", "fiftyone", "mot", "cvat-video", "csv")
ROUNDING = {"cvat": 0.006, "cvat-video": 0.006, "yolo": 0.0002}


def boxes_of(index: int, *, judged: bool) -> Boxes:
    """One box more on each frame, none on frame 8; classes in turn."""
    count = 0 if index == 8 else index % 4 + 1
    corners = [[7 * at + 0.25, 3 + at, 7 * at + 30.625, 40.5] for at in range(count)]
    labels = [at % len(CLASSES) for at in range(count)]
    if not judged:
        table = Annotations(
            CLASSES,
            np.ones(1, bool),
            np.zeros(count, np.int64),
            np.array(corners, np.float32).reshape(-1, 4),
            np.array(labels, np.int64),
            np.arange(count),
            np.zeros(count, bool),
        )
        return Boxes.labelled(table, 0)
    words = ("likely_correct", "likely_false_alarm", "likely_miss", "")
    notes = [
        RowNote(words[at], 0.5 + at / 10, float("nan") if at == 2 else 0.9) for at in range(count)
    ]
    return Boxes.of(corners, labels, notes)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict[FrameRef, Path]:
    folder = tmp_path_factory.mktemp("frames")
    names = frame_names([FrameRef(clip, at) for clip, found in FRAMES.items() for at in found])
    rng = np.random.default_rng(3)
    for name in names.values():
        save_jpeg(folder / name, rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8))
    return {ref: folder / name for ref, name in names.items()}


def bundle_of(pictures: dict[FrameRef, Path], *, judged: bool = True, **changes) -> Bundle:
    shots = [
        Shot(
            ref=ref,
            name=path.name,
            picture=path,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            print=f"{rank:016x}",
            pts=ref.index * 512,
            time_base=Fraction(1, 12800),
            seconds=ref.index / 25,
            rank=rank,
            score=1 / rank if rank > 1 else float("nan"),
            reason='=1+1, "two" boxes\nin two lines',
            boxes=boxes_of(ref.index, judged=judged),
            answered=not judged,
        )
        for rank, (ref, path) in enumerate(pictures.items(), start=1)
    ]
    clips = {
        name: ClipFacts(
            id=name,
            stem=next(p.stem.rpartition("_")[0] for r, p in pictures.items() if r.clip == name),
            written=f"../clips/{name}.mp4",
            path=Path(f"/clips/{name}.mp4"),
            frames=LENGTHS[name],
            size=SIZE,
            rate=Fraction(25),
        )
        for name in FRAMES
    }
    return Bundle("it's ours", CLASSES, clips, tuple(shots), judged=judged, **changes)


def read_back(to: str, out: Path, bundle: Bundle, tmp_path: Path) -> dict[FrameRef, list]:
    """Frame -> (class, box, track) of each row, by vidal's own readers."""
    refs = {PurePosixPath(shot.name).stem: shot.ref for shot in bundle.shots}
    place = tmp_path / "unpacked"
    with zipfile.ZipFile(out) as archive:
        archive.extractall(place)
    if to == "csv":
        return rows_of_csv(place)
    known = {"names": lambda name: refs.get(PurePosixPath(name).stem), "frames": LENGTHS}
    clips = {
        "cvat": lambda: cvat_images.read(out, **known),
        "cvat-video": lambda: cvat.read(place / "tasks"),
        "label-studio": lambda: label_studio.read(
            place / "tasks.json", source="predictions", frames=LENGTHS
        ),
        "coco": lambda: coco_video.read(out, **known),
        "fiftyone": lambda: coco_video.read(out, **known),
        "yolo": lambda: yolo.read(out, **known),
        "mot": lambda: mot.read(place, empty_is_labelled=True),
    }[to]()
    found = {}
    map_ = {row["file"]: row for row in frame_map(place)}
    for clip in clips:
        table = clip.annotations
        assert clip.size == SIZE
        for index in np.flatnonzero(table.labelled).tolist():
            ref = FrameRef(clip.name, index)
            if to == "mot":
                row = map_[f"{clip.name}/img1/{index + 1:06d}.jpg"]
                ref = FrameRef(row["clip"], row["ordinal"])
            rows = range(*table.on(index).indices(len(table)))
            found[ref] = [
                (name_of(table, at), table.boxes[at].tolist(), int(table.track[at])) for at in rows
            ]
    return found


def name_of(table: Annotations, row: int) -> str:
    label = int(table.labels[row])
    return "unknown" if label < 0 else table.classes[label]


def rows_of_csv(place: Path) -> dict[FrameRef, list]:
    found = {FrameRef(row["clip"], row["ordinal"]): [] for row in frame_map(place)}
    with (place / "boxes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            box = [float(row[side]) for side in ("x1", "y1", "x2", "y2")]
            track = int(row["track"] or -1)
            ref = FrameRef(row["clip"], int(row["ordinal"]))
            found[ref].append((csv_value(row["class"]), box, track))
    return found


def frame_map(place: Path) -> list[dict]:
    return json.loads((place / "frame_map.json").read_text(encoding="utf-8"))["frames"]


@pytest.mark.parametrize("to", EXPORTERS)
@pytest.mark.parametrize("judged", [True, False], ids=["proposals", "labels"])
def test_every_frame_and_every_box_comes_back(pictures, tmp_path, to, judged):
    bundle = bundle_of(pictures, judged=judged)
    out = tmp_path / "it's ours.zip"
    done = write_bundle(bundle, to, out)
    found = read_back(to, out, bundle, tmp_path)
    asked = {shot.ref: shot for shot in bundle.shots}
    if to == "cvat-video" and judged:  # every frame of a clip is shown
        assert all(not rows for ref, rows in found.items() if ref not in asked)
        found = {ref: rows for ref, rows in found.items() if ref in asked}
    assert set(found) == set(asked)
    for ref, shot in asked.items():
        given = shot.boxes
        rows = sorted(found[ref], key=lambda row: row[1])
        assert [row[0] for row in rows] == [CLASSES[label] for label in given.labels.tolist()]
        boxes = np.array([row[1] for row in rows]).reshape(-1, 4)
        assert np.abs(boxes - given.boxes).max(initial=0) <= ROUNDING.get(to, 1e-4)
        if not judged and to in TRACKS and to != "cvat-video":
            assert [row[2] for row in rows] == given.track.tolist()
    assert done.frames == len(asked)
    assert done.boxes == sum(len(shot.boxes) for shot in bundle.shots)
    assert done.empty == 1


@pytest.mark.parametrize("to", EXPORTERS)
def test_pictures_are_those_of_the_query_and_the_map_names_each(pictures, tmp_path, to):
    bundle = bundle_of(pictures)
    write_bundle(bundle, to, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        rows = json.loads(archive.read("frame_map.json"))["frames"]
        names = set(archive.namelist())
        assert len({name.casefold() for name in names}) == len(names)
        text = archive.read("frame_map.csv").decode()
        assert archive.read("README.txt")
        inside = {}
        for row in rows:
            ref = FrameRef(row["clip"], row["ordinal"])
            if row["file"]:
                inside[row["file"]] = archive.read(row["file"])
                assert inside[row["file"]] == pictures[ref].read_bytes()
                assert hashlib.sha256(inside[row["file"]]).hexdigest() == row["sha256"]
    table = list(csv.DictReader(text.splitlines(keepends=True)))
    assert [row["rank"] for row in rows] == list(range(1, len(pictures) + 1))
    assert [int(row["rank"]) for row in table] == [row["rank"] for row in rows]
    assert csv_value(table[0]["reason"]) == rows[0]["reason"] == bundle.shots[0].reason
    assert {row["context"] for row in table} == {"false"}
    assert rows[0]["score"] is None
    if to != "cvat-video":
        assert len(inside) == len(pictures)
    assert (rows[0]["width"], rows[0]["height"]) == (SIZE[1], SIZE[0])


@pytest.mark.parametrize("to", EXPORTERS)
def test_the_same_frames_give_the_same_bytes_and_a_folder_the_same_files(pictures, tmp_path, to):
    bundle = bundle_of(pictures)
    for name in ("a.zip", "b.zip", "folder", "folder"):  # a folder of vidal's own is replaced
        write_bundle(bundle, to, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        for name in archive.namelist():
            assert (tmp_path / "folder" / name).read_bytes() == archive.read(name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".vidal-files.json", "a.zip", "b.zip", "folder",
    ]  # fmt: skip


@pytest.mark.parametrize("to", EXPORTERS)
def test_nothing_to_ask_for_and_no_classes_are_written_too(tmp_path, to):
    write_bundle(Bundle("empty", (), {}, ()), to, tmp_path / "empty.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip") as archive:
        assert json.loads(archive.read("frame_map.json"))["frames"] == []


@pytest.mark.parametrize("to", [name for name, each in EXPORTERS.items() if each.pictures])
def test_frames_without_pixels_are_refused_where_pictures_are_needed(pictures, tmp_path, to):
    bundle = bundle_of(pictures)
    shots = tuple(replace(shot, picture=None, sha256="") for shot in bundle.shots)
    with pytest.raises(UsageError, match=r"without a picture .*a__cam-00000001@000003"):
        write_bundle(replace(bundle, shots=shots), to, tmp_path / "out.zip")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_a_file_of_somebody_else_is_never_replaced(pictures, tmp_path, name):
    place = tmp_path / name
    if name == "out":
        place.mkdir()
        mine = place / "annotations.xml"
    else:
        mine = place
    mine.write_text("mine")
    with pytest.raises(OutputError, match="vidal did not write it"):
        write_bundle(bundle_of(pictures), "cvat", place)
    assert mine.read_text() == "mine"
    mine.unlink()
    write_bundle(bundle_of(pictures), "cvat", place)
    with mine.open("a") as file:
        file.write("changed")
    with pytest.raises(OutputError, match="as it is now"):
        write_bundle(bundle_of(pictures), "cvat", place)
    assert mine.read_bytes().endswith(b"changed")


@pytest.mark.parametrize("to", EXPORTERS)
def test_what_a_format_has_no_place_for_is_left_out_and_told(pictures, tmp_path, to):
    bundle = bundle_of(pictures, judged=False, unknown=None)
    first, *rest = bundle.shots
    odd = Boxes(
        np.array([[-5, 2, 30, 40], [1, 1, 9, 9], [2, 2, 8, 8]], np.float32),
        np.array([0, 0, -1]),
        np.array([4, -1, -1]),
        np.array([False, True, False]),
    )
    bundle = replace(bundle, shots=(replace(first, boxes=odd), *rest))
    done = write_bundle(bundle, to, tmp_path / "out.zip")
    (found,) = (
        rows
        for ref, rows in read_back(to, tmp_path / "out.zip", bundle, tmp_path).items()
        if ref == first.ref
    )
    left = 0 if EXPORTERS[to].ignore else 1
    assert len(found) == 2 - left  # the unknown object has no label
    corner = 0 if to == "yolo" else -5
    assert min(row[1][0] for row in found) == pytest.approx(corner, abs=0.01)
    said = " ".join(done.notes)
    assert ("1 region to be ignored" in said) == bool(left)
    assert ("1 box cut to the picture" in said) == (to == "yolo")
    assert done.boxes == 2 - left + sum(len(shot.boxes) for shot in rest)


def test_unknown_objects_beside_a_class_of_their_name_are_refused(pictures, tmp_path):
    bundle = bundle_of(pictures, judged=False)
    first, *rest = bundle.shots
    odd = replace(first.boxes, labels=np.full(len(first.boxes), -1))
    bundle = replace(bundle, shots=(replace(first, boxes=odd), *rest))
    with pytest.raises(UsageError, match="--unknown drop"):
        write_bundle(bundle, "coco", tmp_path / "out.zip")
