"""What is no answer: untouched pre-annotations, pictures without boxes, frames not read whole."""

import json
import shutil
from pathlib import Path

import pytest

from vidal.campaign.folder import open_campaign
from vidal.campaign.proposals import Proposals
from vidal.cli import main
from vidal.errors import FormatError
from vidal.formats import cvat_images, label_studio, yolo
from vidal.formats.coco_video import read


def vidal(capsys, *arguments) -> tuple[int, str]:
    """Exit status and everything printed."""
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ending:
        code = int(ending.code or 0)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.fixture(scope="module")
def asked(rendered, tmp_path_factory):
    """A campaign whose first query was made by a detector: it has pre-annotations."""
    work = tmp_path_factory.mktemp("asked") / "work"
    main(
        [
            *("init", str(work), "--videos", str(rendered / "clips"), "--initial", "4"),
            *("--detector", "scenes-tiny", "--set", "selection.initial_strategy=entropy"),
            *("--set", "workers=1", "--device", "cpu", "--classes", "car,pedestrian"),
        ]
    )
    main(["select", "--campaign", str(work), "--quiet", "--no-report"])
    return work


@pytest.fixture
def work(asked, tmp_path):
    shutil.copytree(asked, tmp_path / "work")
    return tmp_path / "work"


def given(work: Path) -> Path:
    return work / "queries" / "round-000" / "preannotations.coco.json"


def summary(capsys, work, *arguments) -> dict:
    code, said = vidal(capsys, "import", work, "--json", "--from", *arguments)
    assert code == 0, said
    return json.loads(said)


def boxed(work: Path) -> int:
    value = json.loads(given(work).read_text())
    return len({each["image_id"] for each in value["annotations"]})


def test_untouched_pre_annotations_wait_and_are_named(capsys, work):
    count = boxed(work)
    assert count
    done = summary(capsys, work, given(work))
    assert (done["labelled"], done["waiting"]) == (0, 4)
    assert [each["why"] for each in done["held"]].count("unchanged") == count
    code, said = vidal(capsys, "import", work, "--from", given(work))
    assert code == 0
    assert "as vidal proposed" in said
    assert "--unchanged-ok takes" in said
    assert done["held"][0]["frame"] in said
    done = summary(capsys, work, given(work), "--unchanged-ok")
    assert (done["labelled"], done["empty"]) == (count, 0)


@pytest.mark.parametrize("kind", ["cvat-images", "yolo", "label-studio"])
def test_they_wait_through_every_tool_and_a_box_that_was_moved_is_an_answer(
    capsys, work, tmp_path, kind
):
    clips = list(read(given(work)))
    place = tmp_path / {"cvat-images": "a.xml", "yolo": "y", "label-studio": "t.json"}[kind]
    {"cvat-images": cvat_images, "yolo": yolo, "label-studio": label_studio}[kind].write(
        place, clips
    )
    if kind == "label-studio":
        tasks = json.loads(place.read_text())
        for task in tasks:
            task["annotations"] = [{"id": 1, "result": task.pop("predictions")[0]["result"]}]
        place.write_text(json.dumps(tasks))
    assert summary(capsys, work, place)["labelled"] == (4 - boxed(work)) * (kind == "label-studio")
    value = json.loads(given(work).read_text())
    value["annotations"][0]["bbox"][2] -= 0.5
    moved = tmp_path / "moved.json"
    moved.write_text(json.dumps(value))
    assert summary(capsys, work, moved)["labelled"] == 1


def test_without_the_likely_misses_they_are_untouched_too(capsys, work, tmp_path):
    value = json.loads(given(work).read_text())
    kept = [e for e in value["annotations"] if e["attributes"].get("verdict") != "likely_miss"]
    value["annotations"] = kept
    place = tmp_path / "kept.json"
    place.write_text(json.dumps(value))
    assert summary(capsys, work, place)["labelled"] == 0


def test_skip_rest_skips_no_frame_that_the_file_has_something_of(capsys, work, tmp_path):
    done = summary(capsys, work, given(work), "--skip-rest")
    assert (done["labelled"], done["skipped"], done["waiting"]) == (0, 0, 4)
    value = json.loads(given(work).read_text())
    value["annotations"][0]["bbox"][2] = -1
    place = tmp_path / "broken.json"
    place.write_text(json.dumps(value))
    code, said = vidal(capsys, "import", work, "--from", place, "--skip-rest")
    assert code == 2
    assert "left out" in said
    assert "--skipped" in said
    with open_campaign(work) as campaign:
        assert len(campaign.record.waiting()) == 4


def test_boxes_of_other_classes_alone_are_refused_with_both_names(capsys, work, tmp_path):
    value = json.loads(given(work).read_text())
    value["annotations"][0]["bbox"][2] -= 0.5
    for each in value["categories"]:
        each["name"] = f"x-{each['name']}"
    place = tmp_path / "other.json"
    place.write_text(json.dumps(value))
    code, said = vidal(capsys, "import", work, "--from", place)
    assert code == 2
    assert "is of a class of the campaign (x-" in said
    assert "car, pedestrian" in said
    done = summary(capsys, work, place, "--unknown-ok", "--empty-ok")
    assert done["labelled"]
    assert sum(done["unknown"].values())


def test_pre_annotations_that_are_broken_are_refused_by_name(capsys, work, tmp_path):
    good = tmp_path / "good.json"
    shutil.copy(given(work), good)
    for text in ("{", "[]", '{"videos": 3}'):
        given(work).write_text(text)
        code, said = vidal(capsys, "import", work, "--from", good)
        assert code == 2
        assert "preannotations.coco.json: not the pre-annotations of a query" in said
        assert "--unchanged-ok" in said
        with pytest.raises(FormatError):
            Proposals.read(given(work))
    given(work).unlink()
    assert summary(capsys, work, good)["labelled"] == boxed_in(good)


def boxed_in(path: Path) -> int:
    value = json.loads(path.read_text())
    return len({each["image_id"] for each in value["annotations"]})
