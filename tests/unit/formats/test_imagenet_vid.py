from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import pytest

from vidal.errors import FormatError, InputError
from vidal.formats import imagenet_vid
from vidal.types import Skipped

FIXTURE = Path(__file__).parents[2] / "fixtures" / "imagenet_vid"
LISTS = FIXTURE / "ImageSets" / "VID"
VAL = "val/ILSVRC2015_val_00000000"
TRAIN = "train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00001000"


def a_copy(folder: Path) -> Path:
    root = folder / "vid"
    shutil.copytree(FIXTURE, root)
    return root


def xml(root: Path, number: int = 0, snippet: str = VAL) -> Path:
    return root / "Annotations" / "VID" / snippet / f"{number:06d}.xml"


def test_all_snippets_are_read_in_order_of_their_paths():
    train, val = imagenet_vid.read(FIXTURE)
    assert (train.name, val.name) == (TRAIN, VAL)
    table = val.annotations
    car, bicycle = table.classes.index("car"), table.classes.index("bicycle")
    assert table.frame.tolist() == [0, 0, 2]
    assert table.labels.tolist() == [car, bicycle, car]
    assert table.boxes.tolist() == [
        [100, 50, 300, 200],
        [600, 350, 640, 400],
        [110, 55, 310, 205],
    ]
    assert table.track.tolist() == [0, 1, 0]
    assert table.ignore.tolist() == [False, False, True]  # generated
    assert table.labelled.tolist() == [True, True, True]  # frame 1 is empty
    assert val.size == (720, 1280)


def test_there_are_thirty_classes_numbered_as_in_the_data_set():
    assert len(set(imagenet_vid.CLASSES)) == len(imagenet_vid.WORDNET) == 30
    assert imagenet_vid.CLASSES[0] == "airplane"
    assert imagenet_vid.CLASSES[29] == "zebra"


def test_other_classes_are_unknown_objects():
    _, val = imagenet_vid.read(FIXTURE, classes=("Car",))
    assert val.annotations.labels.tolist() == [0, -1, 0]


@pytest.mark.parametrize(
    ("listed", "name", "labelled"),
    [
        ("train_7.txt", TRAIN, [1, 1, 1]),  # snippet and class flag
        ("val.txt", VAL, [1, 1, 1]),  # frame and running number
        ("verified.txt", TRAIN, [1, 0, 0]),  # image and flag
        ("VID_train_15frames.txt", TRAIN, [1, 0, 1]),  # four columns, frames from 1
        ("VID_val_frames.txt", VAL, [1, 1, 1]),  # four columns, frames from 0
        ("VID_val_videos.txt", VAL, [1, 1, 1]),  # four columns, whole snippets
    ],
)
def test_lists_of_one_two_and_four_columns_say_what_is_annotated(listed, name, labelled):
    (clip,) = imagenet_vid.read(FIXTURE, listed=LISTS / listed)
    assert clip.name == name
    assert clip.annotations.labelled.tolist() == [bool(flag) for flag in labelled]


def test_a_second_column_is_no_flag_once_it_holds_another_number(tmp_path):
    lines = "{0}/000000 0\n{0}/000001 1\n{0}/000002 2\n".format("ILSVRC2015_val_00000000")
    listed = tmp_path / "list.txt"
    listed.write_text(lines)
    (clip,) = imagenet_vid.read(FIXTURE, listed=listed)
    assert clip.annotations.labelled.tolist() == [True, True, True]
    listed.write_text(lines.rsplit("\n", 2)[0])
    (clip,) = imagenet_vid.read(FIXTURE, listed=listed)
    assert clip.annotations.labelled.tolist() == [False, True, False]


def test_one_column_names_snippets_or_frames(tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"{VAL}\nAnnotations/VID/{TRAIN}/000001.xml\n")
    val, train = imagenet_vid.read(FIXTURE, listed=listed)
    assert val.annotations.labelled.all()
    assert train.annotations.labelled.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("", "", "an empty list"),
        (f"{VAL} 1 2\n", "line 1", "3 columns"),
        (f"{VAL}\n{VAL} 1\n", "line 2", "2 columns, expected 1"),
        ("val/nowhere\n", "line 1", "no annotations of 'val/nowhere'"),
        ("../../val\n", "line 1", "names no snippet"),
        (f"{VAL}/000000\n{VAL}/000003\n", "line 2", "has no frame 3"),
        (f"{VAL} 1 4 3\n", "line 1", "has no frame 3"),
        (f"{VAL} 1 x 3\n", "line 1", "frame: 'x' is not a whole number"),
    ],
)
def test_broken_lists_are_one_error_with_the_line(tmp_path, text, where, why):
    listed = tmp_path / "list.txt"
    listed.write_text(text)
    with pytest.raises(FormatError) as caught:
        list(imagenet_vid.read(FIXTURE, listed=listed))
    assert (caught.value.path, caught.value.where) == (listed, where)
    assert why in caught.value.message


def test_images_give_the_length_and_frames_without_xml_are_not_annotated(tmp_path):
    root = a_copy(tmp_path)
    images = root / "Data" / "VID" / VAL
    images.mkdir(parents=True)
    for number in (0, 1, 2, 3):
        (images / f"{number:06d}.JPEG").touch()
    xml(root, 1).unlink()
    skipped = Skipped()
    _, val = imagenet_vid.read(root, skipped=skipped)
    assert val.annotations.labelled.tolist() == [True, False, True, False]
    assert val.files[3] == f"Data/VID/{VAL}/000003.JPEG"
    assert val.path == images
    assert not skipped.entries
    (images / "000002.JPEG").unlink()
    _, val = imagenet_vid.read(root, skipped=skipped)
    assert skipped.entries == [(xml(root, 2), "", "frame 2 has no image")]
    assert val.annotations.frame.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("</annotation>", "", "not well-formed"),
        ("<annotation>", '<!DOCTYPE a [<!ENTITY x "y">]><annotation>', "refused"),
        ("<xmax>300</xmax>", "", "object 1 (line 11): <xmax> is missing"),
        ("<xmax>300</xmax>", "<xmax>wide</xmax>", "xmax: 'wide' is not a number"),
        ("<generated>0", "<generated>2", "generated: expected 0 or 1, got '2'"),
        ("<trackid>1", "<trackid>one", "track: 'one' is not a whole number"),
        ("<trackid>1", "<trackid>0", "object 2 (line 23): track 0 is in its frame already"),
        ("n02834778", "n00000001", "'n00000001' is not a class of this format"),
        ("<width>1280", "<width>big", "width: 'big' is not a whole number"),
    ],
)
def test_broken_xml_is_one_error_with_file_and_element(tmp_path, old, new, why):
    root = a_copy(tmp_path)
    file = xml(root)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(FormatError) as caught:
        list(imagenet_vid.read(root))
    assert caught.value.path == file
    assert why in caught.value.message


def test_xml_of_another_kind_is_refused(tmp_path):
    root = a_copy(tmp_path)
    xml(root).write_text("<annotations><track/></annotations>")
    with pytest.raises(FormatError, match=r"line 1, <annotations>: expected <annotation>"):
        list(imagenet_vid.read(root))


def test_inverted_boxes_and_boxes_outside_the_image_are_listed(tmp_path):
    root = a_copy(tmp_path)
    file = xml(root)
    text = file.read_text().replace("<xmax>300", "<xmax>100")
    file.write_text(text.replace("<xmin>600", "<xmin>1300").replace("<xmax>640", "<xmax>1400"))
    skipped = Skipped()
    _, val = imagenet_vid.read(root, skipped=skipped)
    assert val.annotations.frame.tolist() == [2]
    assert [(where, why) for _, where, why in skipped.entries] == [
        ("000000.xml, object 1 (line 11)", "box is inverted or empty"),
        ("000000.xml, object 2 (line 23)", "box lies outside the image"),
    ]


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(InputError, match="no Annotations/VID"):
        list(imagenet_vid.read(tmp_path))
    (tmp_path / "Annotations" / "VID").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no \.xml files"):
        list(imagenet_vid.read(tmp_path))


def test_clips_stream_so_a_broken_later_snippet_does_not_stop_the_first(tmp_path):
    root = a_copy(tmp_path)
    xml(root).write_text("<annotation>")
    clips = imagenet_vid.read(root)
    assert next(clips).name == TRAIN
    with pytest.raises(FormatError):
        next(clips)


def test_a_far_number_makes_no_table_of_millions(tmp_path):
    root = a_copy(tmp_path)
    shutil.copy(xml(root), xml(root, 9_999_999))
    tracemalloc.start()
    _, val = imagenet_vid.read(root)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert val.annotations.frames == 10_000_000
    assert peak < 100 << 20
    shutil.copy(xml(root), xml(root, 10_000_000))
    with pytest.raises(FormatError, match="cannot be right"):
        list(imagenet_vid.read(root))


def test_a_known_length_is_kept_and_what_lies_beyond_is_listed(tmp_path):
    root = a_copy(tmp_path)
    skipped = Skipped()
    _, val = imagenet_vid.read(root, frames={VAL: 2}, skipped=skipped)
    assert val.annotations.labelled.tolist() == [True, True]
    assert [why for *_, why in skipped.entries] == ["frame 2 has no image"]


def test_files_that_state_different_sizes_are_refused(tmp_path):
    root = a_copy(tmp_path)
    file = xml(root, 2)
    file.write_text(file.read_text().replace("<width>1280", "<width>640"))
    with pytest.raises(FormatError, match=r"000002\.xml: 640x720 pixels, but 000000\.xml has"):
        list(imagenet_vid.read(root))


def test_lists_with_names_that_no_system_holds_are_refused(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("val/" + "x" * 5000 + "\n")
    with pytest.raises(FormatError, match="line 1: no annotations of 'val/x") as caught:
        list(imagenet_vid.read(FIXTURE, listed=file))
    assert len(caught.value.message) < 300 + len(str(tmp_path))


def test_a_box_outside_of_an_object_is_refused_rather_than_lost(tmp_path):
    root = a_copy(tmp_path)
    xml(root).write_text(xml(root).read_text().replace("object>", "thing>", 2))
    with pytest.raises(FormatError, match="a box outside of an <object>"):
        list(imagenet_vid.read(root))
