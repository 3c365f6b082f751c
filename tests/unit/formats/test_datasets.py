"""Cards of data sets: they load, refuse unknown keys, and find what a folder lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidal.errors import FormatError, InputError, UnknownName
from vidal.formats.datasets import Card, Finding, check, find_card, load_cards

NAMES = {
    "bdd100k_mot",
    "coco_video",
    "imagenet_vid",
    "kitti_tracking",
    "mot17",
    "mot20",
    "yolo",
    "rendered_scenes",
    "synthia_al",
    "youtube_vis",
}
LINE = "0 1 Car 0 0 -1.5 1 2 30 40 1 1 1 1 1 1 0\n"


@pytest.fixture(scope="module")
def cards():
    return load_cards()


def fill(root, files):
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def kitti(root, sequences=21):
    """A whole KITTI folder with two images a sequence."""
    files = {f"testing/image_02/{n:04d}/000000.png": "" for n in range(29)}
    for n in range(sequences):
        files |= {f"training/image_02/{n:04d}/00000{i}.png": "" for i in range(2)}
        files[f"training/label_02/{n:04d}.txt"] = LINE + LINE.replace("0", "1", 1)
    return fill(root, files)


def test_all_cards_load_and_say_what_is_not_verified(cards):
    assert set(cards) == NAMES
    for card in cards.values():
        assert card.source
        assert card.layout
        assert set(card.names) <= set(card.classes)
        assert card.licence.verified or card.licence.note or card.unverified or not card.splits
    assert len(cards["imagenet_vid"].classes) == 30
    assert cards["imagenet_vid"].names["n02958343"] == "car"


def test_cards_travel_with_the_package():
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert '"formats/cards/*"' in text


def test_an_unknown_card_is_refused_with_the_nearest_name(cards):
    assert find_card("mot17", cards).title == "MOT17"
    with pytest.raises(UnknownName, match="Did you mean 'mot17'"):
        find_card("mot7", cards)


CARD = """
name: toy
title: Toy
source: here
reader: yolo
licence: {name: none, verified: true}
layout: "-"
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CARD + "extra: 1", "extra: Extra inputs"),
        (CARD.replace("title: Toy", ""), "title: Field required"),
        (CARD + "rate: fast", "rate: String should match"),
        (CARD + "splits: [{name: a, sequence: /abs, images: x}]", r"splits\.0\.sequence"),
        (CARD + "splits: [{name: a, sequence: b, images: x, sequences: -1}]", "sequences"),
        (CARD.replace("toy", "other"), "'other' is not the file's name"),
        ("name: [", "line 1: not a YAML file"),
        ("- a", "Input should be a valid dictionary"),
    ],
)
def test_a_wrong_card_is_refused_by_its_key(tmp_path, text, message):
    fill(tmp_path, {"toy.yaml": text})
    with pytest.raises(FormatError, match=message):
        load_cards(tmp_path)


def test_a_folder_without_cards_is_refused(tmp_path):
    with pytest.raises(InputError, match="no cards here"):
        load_cards(tmp_path)


def test_a_whole_folder_has_no_findings(cards, tmp_path):
    assert check(cards["kitti_tracking"], kitti(tmp_path)) == []


def test_a_missing_root_is_an_error_and_a_missing_split_a_finding(cards, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        check(cards["kitti_tracking"], tmp_path / "none")
    assert check(cards["kitti_tracking"], tmp_path) == [
        Finding("missing", "train", "folder training/image_02"),
        Finding("missing", "test", "folder testing/image_02"),
    ]


def test_what_is_missing_broken_or_different_is_counted(cards, tmp_path):
    root = kitti(tmp_path, sequences=20)
    (root / "training/label_02/0003.txt").unlink()
    (root / "training/label_02/0004.txt").unlink()
    (root / "training/label_02/0005.txt").write_text(LINE + "1 2 3\n")
    (root / "training/label_02/0006.txt").write_text(LINE.replace("0", "2", 1))
    for image in (root / "training/image_02/0007").iterdir():
        image.unlink()
    found = check(cards["kitti_tracking"], root)
    assert [(f.kind, f.where, f.count) for f in found] == [
        ("differs", "train", 1),
        ("missing", "train", 2),
        ("broken", "train", 1),
        ("differs", "train", 1),
        ("missing", "train", 1),
    ]
    assert found[0].what == "20 sequences, expected 21"
    assert found[1].what == "sequences without labels, e.g. 0003"
    assert "line 2: 3 columns, expected 17" in found[2].what
    assert found[3].what == "sequences whose labels name frames without an image, e.g. 0006"
    assert found[4].what == "sequences without images, e.g. 0007"


def test_labels_that_belong_to_single_images_are_matched_with_them(cards, tmp_path):
    label = "Car 0 0 0 1 2 3 4 1 1 1 1 1 1 0\n"
    files = {f"train/scene/01-01-2019_00-00-00/RGB/00000{i}.png": "" for i in range(4)}
    files |= {
        f"train/scene/01-01-2019_00-00-00/labels_kitti/00000{i}.txt": label for i in (1, 2, 7)
    }
    found = check(cards["rendered_scenes"], fill(tmp_path, files))
    stamp = "scene/01-01-2019_00-00-00"
    assert found == [
        Finding("missing", "train", f"images without a label file, e.g. {stamp}/000000", 2),
        Finding("missing", "train", f"label files without an image, e.g. {stamp}/000007", 1),
        Finding("missing", "test", "folder test"),
    ]


def test_frames_that_count_from_one_may_reach_the_number_of_images(cards, tmp_path):
    files = {f"train/MOT20-01/img1/00000{i}.jpg": "" for i in (1, 2)}
    files |= {"test/MOT20-04/img1/000001.jpg": "", "train/MOT20-01/gt/gt.txt": ""}
    root = fill(tmp_path, files)
    text = root / "train/MOT20-01/gt/gt.txt"
    text.write_text("1,1,1,1,5,5,1,1,1\n2,1,1,1,5,5,1,1,1\n")
    assert check(cards["mot20"], root) == []
    text.write_text("3,1,1,1,5,5,1,1,1\n")
    assert [f.kind for f in check(cards["mot20"], root)] == ["differs"]
    text.write_text("0,1,1,1,5,5,1,1,1\n")
    assert [f.kind for f in check(cards["mot20"], root)] == ["differs"]
    text.write_text("x,1,1,1,5,5,1,1,1\n")
    assert "frame is not a number" in check(cards["mot20"], root)[0].what


def test_json_and_xml_labels_have_to_be_readable(cards, tmp_path):
    root = fill(tmp_path, {"a/x.json": "{}", "a/y.json": "{", "a/z.json": "["})
    (found,) = check(cards["coco_video"], root)
    assert (found.kind, found.count) == ("broken", 2)
    assert check(cards["coco_video"], fill(tmp_path / "b", {"no": ""})) == [
        Finding("missing", "**/*.json", "no such file")
    ]
    files = {"Data/VID/val/s/000000.JPEG": "", "Annotations/VID/val/s/000000.xml": "<a>"}
    found = check(cards["imagenet_vid"], fill(tmp_path / "c", files))
    assert [f.what for f in found if f.where == "val"][:2] == [
        "1 sequences, expected 555",
        "1 frames, expected 176126",
    ]
    assert [f.kind for f in found if f.where == "val"] == ["differs", "differs", "broken"]


def test_a_card_is_immutable(cards):
    with pytest.raises(ValueError, match="frozen"):
        cards["mot17"].title = "x"
    assert isinstance(cards["mot17"], Card)
