"""YOLO: normalised boxes, empty or missing files, names, sizes, broken lines, round trip."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats import yolo
from vidal.types import Annotations, LabelledClip, Skipped

FIXTURES = Path(__file__).parents[2] / "fixtures" / "yolo"


@pytest.fixture
def folder(tmp_path):
    """Writes label files (name -> text) beside a data.yaml; returns the folder."""

    def make(labels, described="names: [car, bus]\n"):
        if described is not None:
            (tmp_path / "data.yaml").write_text(described)
        for name, text in labels.items():
            file = tmp_path / "labels" / name
            file.parent.mkdir(exist_ok=True, parents=True)
            file.write_text(text)
        return tmp_path

    return make


def read(path, **options):
    options.setdefault("sizes", {"c": (100, 200), "d": (100, 200)})
    return list(yolo.read(path, **options))


def test_the_fixture_tells_empty_from_missing_labels_and_takes_the_size_from_the_image():
    (clip,) = yolo.read(FIXTURES)
    assert (clip.name, clip.size) == ("town-9a", (40, 80))
    assert clip.files == tuple(f"images/town-9a_{i:06d}.png" for i in range(3))
    found = clip.annotations
    assert found.labelled.tolist() == [True, True, False]
    assert found.classes == ("car", "bus")
    assert found.labels.tolist() == [1, 0]
    assert found.boxes[0].tolist() == [20, 15, 60, 25]
    assert found.boxes[1].tolist() == [16, 16, 24, 24]
    (again,) = yolo.read(FIXTURES / "data.yaml", split="train")
    assert again.annotations == found


def test_names_may_be_a_list_or_numbered_and_classes_map_to_others(folder):
    root = folder({"c_0.txt": "1 .5 .5 .1 .1"}, "names: {1: bus, 0: car}")
    (clip,) = read(root)
    assert (clip.annotations.classes, clip.annotations.labels.tolist()) == (("car", "bus"), [1])
    (clip,) = read(root, classes=["bus"])
    assert clip.annotations.labels.tolist() == [0]
    (clip,) = read(root, classes=["car"])
    assert clip.annotations.labels.tolist() == [-1]


def test_numbers_without_a_list_are_refused_unless_their_order_is_stated(folder):
    root = folder({"c_0.txt": "1 .5 .5 .1 .1", "c_1.txt": ""}, None)
    with pytest.raises(FormatError, match=r"names of the classes are not stated.*classes\.txt"):
        read(root)
    with pytest.raises(FormatError, match="names of the classes are not stated"):
        read(root, classes=["car", "bus"])
    (clip,) = read(root, classes=["bus"], order=["car", "bus"])
    assert clip.annotations.labels.tolist() == [0]
    (root / "labels" / "c_0.txt").write_text("")
    (clip,) = read(root, classes=["car"])
    assert clip.annotations.labelled.all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("obj.names", "car\nbus\n"),
        ("classes.txt", "car\r\nbus"),
        ("labels/classes.txt", "car\nbus\n"),
        ("labels/_darknet.labels", "car\nbus\n"),
        ("dataset.yaml", "path: .\nnames: {0: car, 1: bus}\n"),
        ("my set.yml", "names: [car, bus]\nnc: 2\n"),
        (
            "notes.json",
            '{"categories": [{"id": 1, "name": "bus"}, {"id": 0, "name": "car"}], "info": {}}',
        ),
    ],
)
@pytest.mark.parametrize("below", [False, True])
def test_the_list_of_classes_is_read_from_where_exporters_put_it(folder, name, text, below):
    root = folder({"c_0.txt": "0 .5 .5 .1 .1"}, None)
    (root / name).write_text(text)
    (clip,) = read(root / "labels" if below else root, classes=["bus", "car"])
    assert clip.annotations.labels.tolist() == [1]


def test_lists_that_do_not_agree_are_refused_and_the_named_one_wins(folder):
    root = folder({"c_0.txt": "0 .5 .5 .1 .1"})
    (root / "classes.txt").write_text("car\nbus\n")
    assert read(root)[0].annotations.classes == ("car", "bus")
    (root / "classes.txt").write_text("bus\ncar\n")
    with pytest.raises(FormatError, match=r"classes.txt: other names of classes than .*data.yaml"):
        read(root)
    assert read(root / "data.yaml")[0].annotations.classes == ("car", "bus")


def test_uploads_are_found_under_their_former_names(folder):
    root = folder(
        {
            "0a1b2c3d-c_000000.txt": "0 .5 .5 .1 .1",
            "c_000001_jpg.rf.0123456789abcdef0123456789abcdef.txt": "1 .5 .5 .1 .1",
        }
    )
    (clip,) = read(root)
    assert (clip.name, clip.annotations.labels.tolist()) == ("c", [0, 1])
    # a clip whose own name looks like that keeps it
    (clip, other) = read(root, sizes={"0a1b2c3d-c": (9, 9), "c": (9, 9)})
    assert (clip.name, other.name) == ("0a1b2c3d-c", "c")


def zipped(folder, place, inside=""):
    with zipfile.ZipFile(place, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file != place:
                archive.write(file, inside + file.relative_to(folder).as_posix())
        archive.writestr("__MACOSX/._c_0.txt", b"\0\5\x16\7")
    return place


@pytest.mark.parametrize("inside", ["", "export/"])
def test_a_zip_is_read_as_its_folder_is(folder, tmp_path, inside):
    root = folder({"c_0.txt": "1 .5 .5 .1 .1", "c_1.txt": ""})
    (root / "images").mkdir()
    cv2.imwrite(str(root / "images" / "c_0.png"), np.zeros((5, 9, 3), np.uint8))
    (whole,) = yolo.read(root)
    (clip,) = yolo.read(zipped(root, tmp_path / "set.zip", inside))
    assert (clip.size, clip.annotations) == ((5, 9), whole.annotations)


def test_zips_that_cannot_be_meant_are_refused(tmp_path):
    place = tmp_path / "set.zip"
    for name, message in (("../c_0.txt", "leads out"), ("/etc/c_0.txt", "leads out")):
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr(name, "")
        with pytest.raises(FormatError, match=message):
            read(place)
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("obj.names", "car")
        archive.writestr("c_0.txt", b" " * (40 << 20))
    with pytest.raises(FormatError, match="expands to more than 100 times its size"):
        read(place)
    place.write_bytes(b"PK\3\4" + b"x" * 60)
    with pytest.raises(FormatError, match="broken archive"):
        read(place)


def test_the_path_of_another_machine_is_passed_over_and_named_if_nothing_is_found(folder):
    described = "path: /home/someone/sets/drive\ntrain: images/train\nnames: [car]\n"
    root = folder({"c_0.txt": "0 .5 .5 .1 .1"}, described)
    assert len(read(root)[0].annotations) == 1
    (root / "labels" / "c_0.txt").unlink()
    with pytest.raises(InputError, match=r"its path '/home/someone/sets/drive' is not here"):
        read(root)


def test_images_of_a_clip_have_one_size_and_the_shape_of_the_clip(folder):
    root = folder({"c_0.txt": "0 .5 .5 .5 .5"})
    for index in range(2):
        cv2.imwrite(str(root / f"c_{index}.png"), np.zeros((50, 100, 3), np.uint8))
    (clip,) = read(root)
    assert (clip.size, clip.annotations.boxes.tolist()) == ((100, 200), [[50, 25, 150, 75]])
    with pytest.raises(FormatError, match="images of 100x50 pixels, but the clip has 100x100"):
        read(root, sizes={"c": (100, 100)})
    cv2.imwrite(str(root / "c_1.png"), np.zeros((50, 90, 3), np.uint8))
    with pytest.raises(FormatError, match=r"c_1.png: 90x50 pixels, but c_0.png has 100x50"):
        read(root)


@pytest.mark.parametrize(
    ("line", "box"),
    [
        ("0.0 .5 .5 .1 .5", [90, 25, 110, 75]),
        ("0 .1 .1 .2 .1 .2 .3 .1 .3", [20, 10, 40, 30]),
        ("0 .1 .1 .2 .1 .2 .3", [20, 10, 40, 30]),
        ("0 .5 .5 .1 .5 .9", [90, 25, 110, 75]),
    ],
)
def test_a_class_as_a_real_number_and_the_extent_of_polygons_are_read(folder, line, box):
    (clip,) = read(folder({"c_0.txt": line}))
    assert clip.annotations.boxes[0].tolist() == pytest.approx(box)


def test_poses_are_read_as_their_boxes(folder):
    described = "names: [car]\nkpt_shape: [2, 3]\n"
    (clip,) = read(folder({"c_0.txt": "0 .5 .5 .1 .5 0 0 0 .9 .9 2"}, described))
    assert clip.annotations.boxes[0].tolist() == pytest.approx([90, 25, 110, 75])


@pytest.mark.parametrize(
    "line",
    [
        "0 .5 .5 .1", "0 .1 .1 .2 .1 .2 .2 .1", "car .5 .5 .1 .1", "0.5 .5 .5 .1 .1",
        "0 nan .5 .1 .1", "inf .5 .5 .1 .1", "0 .5 .5 .1 1_0", "0 .5 .5 -.1 .1", "0 320 240 64 48",
        "0 -1e22 .5 .5 .1", f"{'9' * 4300} .5 .5 .1 .1", "0 .1 .1 .2 .1 inf .3",
    ],
)  # fmt: skip
def test_a_frame_with_a_line_that_cannot_be_read_is_not_annotated(folder, line):
    skipped = Skipped()
    root = folder({"c_0.txt": f"0 .5 .5 .1 .1\n\n{line}\n", "c_1.txt": "1 .5 .5 .1 .1"})
    (clip,) = read(root, skipped=skipped)
    assert clip.annotations.labelled.tolist() == [False, True]
    assert [where for _, where, _ in skipped.entries] == ["labels/c_0.txt, line 3"]


def test_clip_and_frame_may_come_from_an_expression(folder):
    root = folder({"frame-12-of-c.txt": ""})
    (clip,) = read(root, names=r"frame-(?P<index>\d+)-of-(?P<clip>.+)", frames={"c": 20})
    assert (clip.name, clip.annotations.frames) == ("c", 20)
    assert np.flatnonzero(clip.annotations.labelled).tolist() == [12]


def test_a_split_reads_its_images_and_their_labels_only(tmp_path):
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        cv2.imwrite(
            str(tmp_path / "images" / split / f"{split}_0.png"), np.zeros((5, 9, 3), np.uint8)
        )
        (tmp_path / "labels" / split / f"{split}_0.txt").write_text("0 .5 .5 1 1")
    (tmp_path / "data.yaml").write_text("names: [car]\ntrain: images/train\nval: [images/val]\n")
    (clip,) = yolo.read(tmp_path, split="val")
    assert (clip.name, clip.size) == ("val", (5, 9))
    assert clip.annotations.boxes.tolist() == [[0, 0, 9, 5]]
    with pytest.raises(FormatError, match="split is not stated"):
        list(yolo.read(tmp_path, split="test"))
    assert len(list(yolo.read(tmp_path))) == 2


def test_a_description_may_point_to_folders_elsewhere(tmp_path):
    (tmp_path / "here").mkdir()
    away = tmp_path / "away" / "labels"
    away.mkdir(parents=True)
    (away / "c_0.txt").write_text("0 .5 .5 1 1\n0 .5 .5 1")
    (tmp_path / "here" / "data.yaml").write_text(f"names: [car]\ntrain: {away}\n")
    skipped = Skipped()
    (clip,) = read(tmp_path / "here", split="train", skipped=skipped)
    assert clip.annotations.labelled.tolist() == [False]
    assert skipped.entries[0][1] == "../away/labels/c_0.txt, line 2"


def test_a_box_outside_the_image_is_listed_and_the_frame_lacks_nothing(folder):
    skipped = Skipped()
    root = folder({"c_0.txt": "0 .5 .5 .1 .1\n\n0 -.5 .5 .1 .1\n"})
    (clip,) = read(root, skipped=skipped)
    assert (len(clip.annotations), clip.annotations.labelled.tolist()) == (1, [True])
    assert skipped.entries == [(root, "labels/c_0.txt, line 3", "box lies outside the image")]


def test_files_that_are_no_frames_are_listed(folder):
    skipped = Skipped()
    lists = {"train.txt": "c_0.jpg", "README.txt": "how vidal's own archives are loaded"}
    lost = folder({"c_0.txt": "", "odd.txt": "car", "._c_0.txt": "\0", **lists})
    read(lost, skipped=skipped)
    assert [(path.name, why) for path, _, why in skipped.entries] == [
        ("odd.txt", "name does not say which frame it is")
    ]


@pytest.mark.parametrize(
    ("labels", "described", "message"),
    [
        ({"c_0.txt": "0 .5 .5 .1 .1\n1 .5 .5 .1 .1"}, "names: [a]", "line 2: class 1, of 1"),
        ({"c_0.txt": "-1 .5 .5 .1 .1"}, "names: [a]", "class -1, of 1"),
        ({"c_0.txt": "", "c_00.txt": ""}, "names: [a]", "c@000000 twice"),
        ({"c_99999999999.txt": ""}, "names: [a]", "cannot be right"),
        ({"x_0.txt": ""}, "names: [a]", "no image tells the size"),
        ({"c_0.txt": ""}, "names: [a", "line 1: not a YAML file"),
        ({"c_0.txt": ""}, "names: [a, a]", "a name twice"),
        ({"c_0.txt": ""}, "names: {0: a, 2: b}", r"expected the numbers 0\.\.1"),
        ({"c_0.txt": ""}, "names: 3", "expected a list of texts"),
        ({"c_0.txt": ""}, "- a", "expected keys"),
        ({"c_0.txt": ""}, "!!python/object/apply:os.getcwd []", "not a YAML file"),
        ({"c_0.txt": "0 .5 .5 .1 .1"}, "nc: 3", "names of the classes are not stated"),
        ({"c_0.txt": ""}, "names: [a]\nnc: 3", "nc: 3 classes, but 1 names"),
        ({"c_0.txt": ""}, "names: [a, '']", "an empty name"),
        ({"c_0.txt": ""}, "names: [!!bool foo]", "not a YAML file"),
        ({"c_0.txt": ""}, "names: !!int ''", "not a YAML file"),
        ({"c_0.txt": ""}, "names: !!timestamp x", "not a YAML file"),
        ({"c_0.txt": ""}, "names: [a]\npath: [b]", "path: not text"),
        (
            {"c_0.txt": ""},
            "names: [a]\nvidal: {clips: {c: {frames: -1}}}",
            "expected whole numbers",
        ),
        ({"c_0.txt": ""}, "names: [a]\nvidal: 3", "no 'clips'"),
    ],
)
def test_broken_data_sets_give_one_format_error(folder, labels, described, message):
    with pytest.raises(FormatError, match=message):
        read(folder(labels, described))


def test_a_clip_shorter_than_its_labels_is_refused(folder):
    with pytest.raises(FormatError, match="c@000005: the clip has 5 frames"):
        read(folder({"c_000005.txt": ""}), frames={"c": 5})


def test_nothing_to_read_and_unreadable_images_are_input_errors(tmp_path):
    (tmp_path / "data.yaml").write_text("names: [a]\ntrain: images\n")
    with pytest.raises(InputError, match="no images and no labels"):
        read(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read(tmp_path, split="train")
    (tmp_path / "x_0.jpg").write_bytes(b"not an image")
    with pytest.raises(InputError, match="not an image that can be read"):
        read(tmp_path)


def test_written_lines_are_centre_and_size_over_the_image(tmp_path):
    table = Annotations(
        ("car",), [True, True, False], [0, 0], [[20, 10, 60, 30], [0, 0, 50, 50]], [0, -1],
        [-1, -1], [False, False],
    )  # fmt: skip
    yolo.write(tmp_path, [LabelledClip("c", table, size=(100, 200))])
    files = sorted(file.name for file in (tmp_path / "labels").iterdir())
    assert files == ["c_000000.txt", "c_000001.txt"]
    lines = (tmp_path / "labels" / "c_000000.txt").read_text()
    assert lines == (
        "0 0.200000 0.200000 0.200000 0.200000\n1 0.125000 0.250000 0.250000 0.500000\n"
    )
    assert (tmp_path / "labels" / "c_000001.txt").read_text() == ""
    assert (tmp_path / "data.yaml").read_text() == (
        "train: images\nval: images\nnames:\n  0: car\n  1: unknown\n"
        "vidal:\n  clips:\n    c:\n      frames: 3\n      height: 100\n      width: 200\n"
        "  unknown: unknown\n"
    )


def test_ignore_regions_and_unknown_objects_left_out_are_listed(tmp_path):
    table = Annotations(
        ("car",), [True], [0, 0], [[0, 0, 5, 5]] * 2, [0, -1], [-1, -1], [True, False]
    )
    skipped = Skipped()
    clip = LabelledClip("c", table, size=(9, 9))
    yolo.write(tmp_path, [clip], unknown=None, skipped=skipped)
    assert [why for _, _, why in skipped.entries] == ["ignore region", "unknown object"]
    assert (tmp_path / "labels" / "c_000000.txt").read_text() == ""
    with pytest.raises(OutputError, match="not a file name"):
        yolo.write(tmp_path, [LabelledClip("../c", table, size=(9, 9))])
    with pytest.raises(ValueError, match="size is not known"):
        yolo.write(tmp_path, [LabelledClip("c", table)])


@st.composite
def clips(draw):
    frames = draw(st.integers(1, 6))
    labelled = np.array(draw(st.lists(st.booleans(), min_size=frames, max_size=frames)))
    where = [f for f in np.flatnonzero(labelled) for _ in range(draw(st.integers(0, 3)))]
    boxes = np.array([[draw(st.floats(0, 40, width=32)) for _ in range(4)] for _ in where])
    boxes = boxes.reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2] + 1
    n = len(where)
    labels = np.array([draw(st.integers(-1, 1)) for _ in range(n)], dtype=np.int64)
    table = Annotations(
        ("car", "bus"), labelled, np.array(where, np.int64), boxes, labels,
        np.full(n, -1), np.zeros(n, bool),
    )  # fmt: skip
    return LabelledClip("a_b-3", table, size=(97, 131))


@settings(max_examples=50, deadline=None)
@given(clip=clips())
def test_what_is_written_is_read_back(tmp_path_factory, clip):
    root = tmp_path_factory.mktemp("yolo")
    yolo.write(root, [clip])
    (back,) = yolo.read(root)
    assert (back.name, back.size) == (clip.name, clip.size)
    mine, theirs = clip.annotations, back.annotations
    for name in ("classes", "labelled", "frame", "labels", "track", "ignore"):
        assert np.array_equal(getattr(mine, name), getattr(theirs, name)), name
    assert np.abs(mine.boxes - theirs.boxes).max(initial=0) < 131 * 1e-6


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=60))
def test_damaged_label_files_raise_nothing_but_input_errors(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("yolo")
    (root / "c_0.txt").write_bytes(b"0 .5 .5 .1 .1\n" + data)
    try:
        list(yolo.read(root, order=["a"], sizes={"c": (10, 10)}))
    except InputError:
        return


@pytest.mark.parametrize("keys", ["", "train: .\n", "train: /\n"])
@pytest.mark.parametrize("root", ["/", "/tmp/..", "/".join([".."] * 40)])
def test_the_root_of_the_disk_is_not_walked(tmp_path, keys, root):
    (tmp_path / "data.yaml").write_text(f"path: {root}\nnames: [car]\n{keys}")
    (tmp_path / "c_0.txt").write_text("")
    with pytest.raises(FormatError, match="path: the whole disk"):
        read(tmp_path)


def test_a_path_that_leads_out_of_the_folder_is_read_where_its_splits_are(tmp_path):
    line = "0 .5 .5 .2 .2\n"
    described = "path: ../set\ntrain: images/train\nval: images/val\nnames: [car]\n"
    texts = {
        "set/labels/train/c_0.txt": line,
        "set/images/train/note.md": "",
        "set/elsewhere/c_1.txt": line,
        "config/data.yaml": described,
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (clip,) = read(tmp_path / "config" / "data.yaml", frames={"c": 3})
    assert np.flatnonzero(clip.annotations.labelled).tolist() == [0]
    (tmp_path / "config" / "data.yaml").write_text("path: ../set\nnames: [car]\n")
    (clip,) = read(tmp_path / "config", frames={"c": 3})
    assert np.flatnonzero(clip.annotations.labelled).tolist() == [0, 1]


def test_seven_columns_that_end_in_a_whole_number_are_not_guessed_at(folder):
    skipped = Skipped()
    root = folder(
        {
            "c_0.txt": "0 0.5 0.5 0.2 0.2 0.9 1\n",
            "c_1.txt": "0 0.1 0.1 0.3 0.1 0.2 0.4\n",
            "c_2.txt": "0 0.5 0.5 0.2 0.2 0.9 7\n",
        }
    )
    (clip,) = read(root, skipped=skipped, sizes={"c": (100, 100)})
    assert clip.annotations.labelled.tolist() == [False, True, False]
    assert "a triangle, or a box with confidence and track" in skipped.entries[0][2]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_any_system_ends_them(folder, end):
    lines = ["0 .5 .5 .2 .2", "1 .5 .5 .1 .1", "1 .3 .3 .1 .1"]
    root = folder({})
    (root / "labels").mkdir()
    (root / "labels" / "c_0.txt").write_bytes(("\ufeff" + end.join(lines) + end).encode())
    (clip,) = read(root)
    assert clip.annotations.labels.tolist() == [0, 1, 1]
