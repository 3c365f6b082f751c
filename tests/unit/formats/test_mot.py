from __future__ import annotations

import shutil
import zipfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats import mot
from vidal.types import Annotations, LabelledClip, Skipped

FIXTURE = Path(__file__).parents[2] / "fixtures" / "mot"
SEQUENCE = FIXTURE / "train" / "MOT17-02-DPM"


def a_sequence(folder: Path, *, truth: str | None = None, info: str | None = None) -> Path:
    place = folder / "MOT17-02-DPM"
    shutil.copytree(SEQUENCE, place)
    if truth is not None:
        (place / "gt" / "gt.txt").write_text(truth)
    if info is not None:
        (place / "seqinfo.ini").write_text(info)
    return place


def test_frames_and_corners_become_zero_based():
    (clip,) = mot.read(SEQUENCE)
    table = clip.annotations
    assert table.frame.tolist() == [0, 0, 1, 2, 3]
    assert table.boxes[1].tolist() == [1337, 417, 1337 + 167, 417 + 379]
    assert table.boxes[4].tolist() == [0, 0, 50, 60]
    assert table.track.tolist() == [1, 2, 1, 2, 9]
    assert [table.classes[label] for label in table.labels] == [
        "static person",
        "pedestrian",
        "static person",
        "pedestrian",
        "car",
    ]
    assert table.ignore.tolist() == [True, False, True, False, True]
    assert (clip.size, clip.rate) == ((1080, 1920), Fraction(30))
    assert table.frames == 4
    assert clip.files == ()  # the images are not there


def test_the_three_copies_of_a_mot17_sequence_are_read_once_and_listed():
    skipped = Skipped()
    clips = list(mot.read(FIXTURE, skipped=skipped))
    assert [clip.name for clip in clips] == ["test/MOT20-04", "train/MOT17-02-DPM"]
    assert [(path.name, why) for path, _, why in skipped.entries] == [
        ("MOT17-02-FRCNN", "the same images and labels as MOT17-02-DPM"),
        ("MOT17-02-SDP", "the same images and labels as MOT17-02-DPM"),
    ]


def test_images_are_listed_and_must_be_as_many_as_stated(tmp_path):
    images = a_sequence(tmp_path) / "img1"
    images.mkdir()
    for number in (1, 2, 3, 4):
        (images / f"{number:06d}.jpg").touch()
    (clip,) = mot.read(tmp_path)
    assert clip.files[3] == "MOT17-02-DPM/img1/000004.jpg"
    assert clip.path == images
    (images / "000002.jpg").unlink()
    with pytest.raises(FormatError, match="seqLength: 4 frames, but img1 holds 3 images"):
        list(mot.read(tmp_path))


def test_a_test_sequence_without_truth_is_not_annotated_rather_than_empty():
    (clip,) = mot.read(FIXTURE / "test")
    assert clip.annotations.labelled.tolist() == [False, False]
    assert clip.name == "MOT20-04"


def test_classes_outside_the_wanted_ones_are_unknown():
    (clip,) = mot.read(SEQUENCE, classes=("Pedestrian",))
    assert clip.annotations.labels.tolist() == [-1, 0, -1, 0, -1]


@pytest.mark.parametrize(
    ("truth", "where", "why"),
    [
        ("1,1,9,9,5,5,1,1,1\n2,1,9,9", "line 2", "4 columns, expected 9"),
        ("1,1,9,9,5,5,1,1,1,0\n", "line 1", "10 columns, expected 9"),
        ("1,1,9,q,5,5,1,1,1\n", "line 1", "column 4: 'q' is not a number"),
        ("1,1,9,9,5,5,1,1,q\n", "line 1", "column 9: 'q' is not a number"),
        ("1,1,9,9,5,5,2,1,1\n", "line 1", "consider flag"),
        ("1,1,9,9,5,5,1,14,1\n", "line 1", "class: 14 is not in 1..13"),
        ("1,1,9,9,5,5,1,1,1\n1,1,8,8,5,5,1,1,1\n", "line 2", "in its frame already"),
    ],
)
def test_broken_lines_are_one_error_with_file_and_line(tmp_path, truth, where, why):
    place = a_sequence(tmp_path, truth=truth)
    with pytest.raises(FormatError) as caught:
        list(mot.read(tmp_path))
    assert (caught.value.path, caught.value.where) == (place / "gt" / "gt.txt", where)
    assert why in caught.value.message


def test_frames_past_the_end_and_boxes_without_area_are_listed(tmp_path):
    truth = "1,1,9,9,5,5,1,1,1\n5,1,9,9,5,5,1,1,1\n\n2,1,9,9,-5,5,1,1,1\n"
    file = a_sequence(tmp_path, truth=truth) / "gt" / "gt.txt"
    skipped = Skipped()
    (clip,) = mot.read(tmp_path, skipped=skipped)
    assert clip.annotations.frame.tolist() == [0]
    assert skipped.entries == [
        (file, "line 2", "frame is outside the clip"),
        (file, "line 4", "box is inverted or empty"),
    ]


@pytest.mark.parametrize(
    ("info", "why"),
    [
        ("seqLength=4\n", "line 1: no section header"),
        ("[Sequence]\nnonsense\n", "line 2: not key = value"),
        ("[Sequence]\nseqLength=4\nseqLength=5\n", "already exists"),
        ("[Other]\nseqLength=4\n", r"no section \[Sequence\]"),
        ("[Sequence]\nname=x\n", "seqLength is missing"),
        ("[Sequence]\nseqLength=four\n", "not a whole number"),
        ("[Sequence]\nseqLength=-4\n", "cannot be right"),
        ("[Sequence]\nseqLength=4\nframeRate=0\n", "frames a second"),
        ("[Sequence]\nseqLength=4\nframeRate=nan\n", "frames a second"),
    ],
)
def test_broken_sequence_information_is_one_error(tmp_path, info, why):
    a_sequence(tmp_path, info=info)
    with pytest.raises(FormatError, match=why):
        list(mot.read(tmp_path))


def test_a_folder_without_sequences_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no seqinfo\.ini"):
        list(mot.read(tmp_path))


@st.composite
def clips(draw) -> LabelledClip:
    frames = draw(st.integers(1, 5))
    eighths = st.integers(0, 8000).map(lambda n: n / 8)
    row = st.tuples(st.integers(0, frames - 1), eighths, eighths, st.integers(-1, 1), st.booleans())
    rows = sorted(draw(st.lists(row, max_size=8)), key=lambda row: row[0])
    table = Annotations(
        classes=("pedestrian", "car"),
        labelled=np.ones(frames, bool),
        frame=np.array([row[0] for row in rows], int),
        boxes=np.array([(x, y, x + 3.25, y + 7) for _, x, y, _, _ in rows]).reshape(-1, 4),
        labels=np.array([row[3] for row in rows], int),
        track=np.arange(len(rows)) - 1,
        ignore=np.array([row[4] for row in rows], bool),
    )
    rate = draw(st.sampled_from([None, Fraction(25), Fraction(30000, 1001)]))
    size = draw(st.sampled_from([None, (2000, 1500)]))
    return LabelledClip(name="train/seq-01", annotations=table, size=size, rate=rate)


@given(clip=clips())
def test_reading_what_was_written_gives_the_same_clip(tmp_path_factory, clip):
    folder = tmp_path_factory.mktemp("mot")
    mot.write(folder, [clip])
    (back,) = mot.read(folder, classes=clip.annotations.classes)
    assert back.annotations == clip.annotations
    assert (back.name, back.size, back.rate) == (clip.name, clip.size, clip.rate)


def test_what_the_format_cannot_say_is_refused(tmp_path):
    empty = np.zeros((0, 4))
    partly = LabelledClip("a", Annotations(("car",), [True, False], [], empty, [], [], []))
    trams = LabelledClip("a", Annotations(("tram",), [True], [], empty, [], [], []))
    outside = LabelledClip("../a", Annotations(("car",), [True], [], empty, [], [], []))
    for clip, why in ((partly, "not annotated"), (trams, "no class 'tram'"), (outside, "out of")):
        with pytest.raises(OutputError, match=why):
            mot.write(tmp_path, [clip])


TRUTH = "1,1,11,21,40,40,1,1,1.0\n2,1,11,21,40,40,1,2,1.0\n"


def test_labels_txt_names_the_numbers(tmp_path):
    place = a_sequence(tmp_path, truth=TRUTH)
    (place / "gt" / "labels.txt").write_text("Car\nTram\n")
    (clip,) = mot.read(tmp_path)
    table = clip.annotations
    assert (table.classes, table.labels.tolist()) == (("Car", "Tram"), [0, 1])
    (clip,) = mot.read(tmp_path, classes=("tram", "car"))
    assert clip.annotations.labels.tolist() == [1, 0]
    with pytest.raises(OutputError, match=r"labels\.txt lies beside it"):
        mot.write(tmp_path, [LabelledClip("MOT17-02-DPM", table)])
    (place / "gt" / "labels.txt").write_text("car\n")
    with pytest.raises(FormatError, match=r"line 2: class: 2 is not in 1\.\.1"):
        list(mot.read(tmp_path))
    for text in ("car\nCar\n", "car\n\ntram\n", ""):
        (place / "gt" / "labels.txt").write_text(text)
        with pytest.raises(FormatError, match=r"labels.txt: expected one name a line"):
            list(mot.read(tmp_path))


def test_a_sequence_without_seqinfo_is_as_long_as_its_images_or_as_given(tmp_path):
    place = a_sequence(tmp_path, truth=TRUTH)
    (place / "seqinfo.ini").unlink()
    (clip,) = mot.read(tmp_path)
    assert (clip.name, clip.annotations.frames, clip.size) == ("MOT17-02-DPM", 2, None)
    (clip,) = mot.read(tmp_path, frames={clip.name: 9}, sizes={clip.name: (50, 60)})
    assert (clip.annotations.frames, clip.size) == (9, (50, 60))
    (place / "img1").mkdir()
    for number in range(1, 5):
        cv2.imwrite(str(place / "img1" / f"{number:06d}.jpg"), np.zeros((70, 80, 3), np.uint8))
    (clip,) = mot.read(tmp_path)
    assert (clip.annotations.frames, clip.size) == (4, (70, 80))


def test_images_of_another_size_than_stated_are_refused(tmp_path):
    place = a_sequence(tmp_path)
    (place / "img1").mkdir()
    for number in range(1, 5):
        cv2.imwrite(str(place / "img1" / f"{number:06d}.jpg"), np.zeros((70, 80, 3), np.uint8))
    with pytest.raises(FormatError, match="80x70 pixels, but the file of labels has 1920x1080"):
        list(mot.read(tmp_path))


def test_what_counts_from_zero_is_refused_by_that(tmp_path):
    place = a_sequence(tmp_path, truth=TRUTH.replace("1,1,11", "0,1,11", 1))
    with pytest.raises(FormatError, match="line 1: frame: 0, but frames of MOT count from 1"):
        list(mot.read(tmp_path))
    (place / "gt" / "gt.txt").write_text(TRUTH)
    (place / "img1").mkdir()
    for number in range(4):
        (place / "img1" / f"{number:06d}.jpg").touch()
    with pytest.raises(FormatError, match="images in img1 are numbered from 0"):
        list(mot.read(tmp_path))


@pytest.mark.parametrize("name", ["/etc", "../img1", "x" * 5000, "a/../../b"])
def test_a_folder_of_images_that_leads_out_or_cannot_be_is_refused(tmp_path, name):
    a_sequence(tmp_path, info=f"[Sequence]\nseqLength=4\nimDir={name}\n")
    with pytest.raises(FormatError, match=r"imDir: .* is not a folder of the sequence") as caught:
        list(mot.read(tmp_path))
    assert len(caught.value.message) < 300 + len(str(tmp_path))


def test_pixels_count_from_1_in_the_benchmark_and_from_0_beside_labels_txt(tmp_path):
    place = a_sequence(tmp_path, truth="1,-1,0,0,40,30,1,1,1.0\n1,-1,11,21,40,30,1,1,1.0\n")
    (clip,) = mot.read(tmp_path)
    assert clip.annotations.boxes.tolist() == [[-1, -1, 39, 29], [10, 20, 50, 50]]
    (place / "gt" / "labels.txt").write_text("car\n")
    (clip,) = mot.read(tmp_path)
    assert clip.annotations.boxes.tolist() == [[0, 0, 40, 30], [11, 21, 51, 51]]
    assert clip.annotations.frame.tolist() == [0, 0]


def test_frames_without_boxes_beside_labels_txt_wait_and_those_of_the_benchmark_do_not(tmp_path):
    place = a_sequence(tmp_path, truth="1,-1,0,0,40,30,1,1,1.0\n3,-1,11,21,40,30,1,1,1.0\n")
    (clip,) = mot.read(tmp_path)
    assert clip.annotations.labelled.tolist() == [True] * 4
    (place / "gt" / "labels.txt").write_text("car\n")
    skipped = Skipped()
    (clip,) = mot.read(tmp_path, skipped=skipped)
    assert clip.annotations.labelled.tolist() == [True, False, True, False]
    assert [why for *_, why in skipped.entries] == [
        "2 frames without boxes wait: it does not say that somebody looked"
    ]
    (clip,) = mot.read(tmp_path, empty_is_labelled=True)
    assert clip.annotations.labelled.tolist() == [True] * 4


def test_a_broken_link_in_the_place_of_labels_txt_is_no_lack_of_names(tmp_path):
    place = a_sequence(tmp_path, truth=TRUTH)
    (place / "gt" / "labels.txt").symlink_to("absent")
    with pytest.raises(InputError, match=r"labels\.txt: cannot be read"):
        list(mot.read(tmp_path))


def test_a_zip_has_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "mot.zip", "w") as archive:
        archive.writestr("gt/gt.txt", TRUTH)
    with pytest.raises(InputError, match=r"a zip archive.*Unpack it"):
        list(mot.read(tmp_path / "mot.zip"))
