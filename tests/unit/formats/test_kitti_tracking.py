from __future__ import annotations

import gzip
from collections import Counter
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats import kitti_tracking
from vidal.types import Annotations, LabelledClip, Skipped

FIXTURE = Path(__file__).parents[2] / "fixtures" / "kitti_tracking" / "training"
REAL = Path(__file__).parents[4] / "shared" / "data" / "kitti_tracking"
LINE = "0 1 Car 0 0 -1.5 10 20 30 40 1.5 1.6 4 1 1.7 20 -1.5\n"


def a_file(folder: Path, text: str) -> Path:
    file = folder / "label_02" / "0000.txt"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_a_data_set_gives_one_clip_a_label_file_plain_or_gzipped():
    first, second = kitti_tracking.read(FIXTURE)
    assert (first.name, second.name) == ("0000", "0001")
    assert first.annotations.classes == kitti_tracking.CLASSES
    assert first.annotations.frame.tolist() == [0, 0, 0, 2, 2]
    assert first.annotations.labels.tolist() == [-1, 1, 5, 1, 4]  # Person = Person_sitting
    assert first.annotations.track.tolist() == [-1, 0, 1, 0, 7]
    assert first.annotations.ignore.tolist() == [True, False, False, False, False]
    assert first.annotations.boxes[0].tolist() == [219.5, 188.5, 245.5, 218.5]
    assert first.annotations.labelled.tolist() == [True] * 3  # frame 1 is annotated and empty
    assert first.rate == Fraction(10)
    assert second.annotations.boxes.tolist() == [[100, 100, 200, 150]]


def test_types_outside_the_classes_are_unknown_objects_or_on_demand_ignore_regions():
    cyclists = next(kitti_tracking.read(FIXTURE, classes=("cyclist", "car")))
    assert cyclists.annotations.labels.tolist() == [-1, -1, 0, -1, -1]
    assert cyclists.annotations.ignore.tolist() == [True, False, False, False, False]
    for name in ("Person_sitting", "Person", "person"):
        nobody = next(kitti_tracking.read(FIXTURE, ignore=(name,)))
        assert nobody.annotations.ignore.tolist() == [True, False, False, False, True]
    no_vans = next(kitti_tracking.read(FIXTURE, classes=("cyclist",), ignore=["Van"]))
    assert no_vans.annotations.ignore.tolist() == [True, True, False, True, False]


def test_images_give_the_length_and_boxes_without_an_image_are_listed(tmp_path):
    file = a_file(tmp_path, LINE + LINE.replace("0 1", "4 1", 1))
    images = tmp_path / "image_02" / "0000"
    images.mkdir(parents=True)
    for number in (0, 1, 2):
        (images / f"{number:06d}.png").touch()
    skipped = Skipped()
    (clip,) = kitti_tracking.read(tmp_path, skipped=skipped)
    assert clip.annotations.frames == 3
    assert clip.files == tuple(f"image_02/0000/{n:06d}.png" for n in range(3))
    assert clip.path == images
    assert skipped.entries == [(file, "line 2", "frame 4 has no image")]


def test_a_stated_length_lists_boxes_past_the_end():
    skipped = Skipped()
    first, _ = kitti_tracking.read(FIXTURE, frames={"0000": 2}, skipped=skipped)
    assert first.annotations.frames == 2
    assert [why for _, _, why in skipped.entries] == ["frame is outside the clip"] * 2


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        (LINE + LINE[:40], "line 2", "columns, expected 17"),
        (LINE.rstrip() + " 0.9\n", "line 1", "results, not annotations"),
        (LINE.replace("20", "x", 1), "line 1", "column 8: 'x' is not a number"),
        (LINE.replace("0 1", "0.5 1", 1), "line 1", "frame: '0.5' is not a whole number"),
        (LINE.replace("0 1", "99999999999 1", 1), "last frame", "cannot be right"),
        (LINE.replace("0 1", "0 -5", 1), "line 1", "-5 is not an identity"),
        (LINE.replace("0 1", f"0 {2**63}", 1), "line 1", "is not a whole number"),
        (LINE.replace("Car", "Cat"), "line 1", "'Cat' is not a class of this format"),
        (LINE + LINE, "line 2", "track 1 is in its frame already (line 1)"),
    ],
)
def test_broken_lines_are_one_error_with_file_and_line(tmp_path, text, where, why):
    file = a_file(tmp_path, text)
    with pytest.raises(FormatError) as caught:
        list(kitti_tracking.read(tmp_path))
    assert (caught.value.path, caught.value.where) == (file, where)
    assert why in caught.value.message


def test_inverted_and_infinite_boxes_are_listed_not_repaired(tmp_path):
    a_file(tmp_path, LINE + LINE.replace("0 1 ", "0 2 ").replace("30", "5"))
    file = a_file(
        tmp_path,
        (tmp_path / "label_02/0000.txt").read_text()
        + LINE.replace("20", "nan", 1).replace("0 1 ", "0 3 "),
    )
    skipped = Skipped()
    (clip,) = kitti_tracking.read(tmp_path, skipped=skipped)
    assert not clip.annotations.labelled.any()  # one frame, which lacks two objects
    assert skipped.entries == [
        (file, "line 2", "box is inverted or empty"),
        (file, "line 3", "box is not finite"),
    ]


def test_a_truncated_archive_is_an_error_with_its_name(tmp_path):
    file = tmp_path / "label_02" / "0000.txt.gz"
    file.parent.mkdir()
    file.write_bytes(gzip.compress((LINE * 50).encode())[:-20])
    with pytest.raises(FormatError, match="broken archive"):
        list(kitti_tracking.read(file))


def test_one_sequence_in_two_files_and_a_folder_without_labels_are_refused(tmp_path):
    with pytest.raises(InputError, match="no KITTI label files"):
        list(kitti_tracking.read(tmp_path))
    a_file(tmp_path, LINE)
    (tmp_path / "label_02" / "0000.txt.gz").write_bytes(gzip.compress(LINE.encode()))
    with pytest.raises(FormatError, match="the same sequence"):
        list(kitti_tracking.read(tmp_path))


@st.composite
def clips(draw) -> LabelledClip:
    frames = draw(st.integers(1, 5))
    eighths = st.integers(-80, 8000).map(lambda n: n / 8)
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, frames - 1), eighths, eighths, st.integers(-1, 1)), max_size=8
        )
    )
    rows.sort(key=lambda row: row[0])
    n = len(rows)
    ignore = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    labels = np.array([row[3] for row in rows], int)
    table = Annotations(
        classes=("car", "cyclist"),
        labelled=np.ones(frames, bool),
        frame=np.array([row[0] for row in rows], int),
        boxes=np.array([(x, y, x + 3.25, y + 7) for _, x, y, _ in rows]).reshape(-1, 4),
        labels=np.where(ignore, -1, labels),
        track=np.where(ignore, -1, np.arange(n)),
        ignore=ignore,
    )
    return LabelledClip(name="0007", annotations=table)


@given(clip=clips())
def test_reading_what_was_written_gives_the_same_table(tmp_path_factory, clip):
    folder = tmp_path_factory.mktemp("kitti")
    (file,) = kitti_tracking.write(folder, [clip])
    lengths = {"0007": clip.annotations.frames}
    (back,) = kitti_tracking.read(file, classes=clip.annotations.classes, frames=lengths)
    assert back.name == clip.name
    assert back.annotations == clip.annotations


def test_what_the_format_cannot_say_is_refused(tmp_path):
    first, _ = kitti_tracking.read(FIXTURE, classes=("misc",))
    with pytest.raises(OutputError, match="cannot be told from 'Misc'"):
        kitti_tracking.write(tmp_path, [first])
    table = Annotations(("car",), [True, False], [], np.zeros((0, 4)), [], [], [])
    with pytest.raises(OutputError, match="1 frames of x are not annotated"):
        kitti_tracking.write(tmp_path, [LabelledClip("x", table)])


@pytest.mark.realdata
def test_every_line_of_the_real_labels_becomes_one_box():
    if not REAL.is_dir():
        pytest.skip(f"no {REAL}")
    skipped = Skipped()
    clips = list(kitti_tracking.read(REAL, skipped=skipped))
    files = sorted((REAL / "label_02").iterdir())
    assert [clip.name for clip in clips] == [file.name.split(".")[0] for file in files]
    types: Counter[str] = Counter()
    for clip, file in zip(clips, files, strict=True):
        lines = gzip.decompress(file.read_bytes()).decode().splitlines()
        types.update(line.split()[2] for line in lines)
        assert len(clip.annotations) == len(lines)
        assert clip.annotations.ignore.sum() == sum("DontCare" in line for line in lines)
    assert not skipped.entries
    labels = np.concatenate([clip.annotations.labels for clip in clips])
    for label, name in enumerate(kitti_tracking.CLASSES):
        alias = types["Person"] if name == "Person_sitting" else 0
        assert np.count_nonzero(labels == label) == types[name] + alias
    assert np.count_nonzero(labels == 0) > 10_000  # cars


def test_the_size_of_a_sequence_is_that_of_its_images(tmp_path):
    a_file(tmp_path, LINE)
    images = tmp_path / "image_02" / "0000"
    images.mkdir(parents=True)
    for number in range(2):
        cv2.imwrite(str(images / f"{number:06d}.png"), np.zeros((37, 124, 3), np.uint8))
    (clip,) = kitti_tracking.read(tmp_path)
    assert clip.size == (37, 124)
    cv2.imwrite(str(images / "000001.png"), np.zeros((37, 120, 3), np.uint8))
    with pytest.raises(FormatError, match=r"000001\.png: 120x37 pixels, but .* 124x37"):
        list(kitti_tracking.read(tmp_path))


def test_lengths_and_sizes_may_be_given(tmp_path):
    a_file(tmp_path, LINE)
    (clip,) = kitti_tracking.read(tmp_path, frames={"0000": 5}, sizes={"0000": (37, 124)})
    assert (clip.annotations.frames, clip.size) == (5, (37, 124))


def test_a_frame_with_a_box_that_cannot_be_meant_is_not_annotated(tmp_path):
    a_file(tmp_path, LINE + LINE.replace("0 1", "0 2").replace("10 20 30", "nan 20 30"))
    (clip,) = kitti_tracking.read(tmp_path)
    assert clip.annotations.labelled.tolist() == [False]
