"""What `init`, `select` and `evaluate` leave out of a file of labels, they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidal.cli import main

BOX = '<box label="car" occluded="0" xtl="10" ytl="10" xbr="60" ybr="50"/>'
POINTS = '<points label="car" points="1,2"/>'
DETECTOR = ("--detector", "scenes-tiny")


def vidal(capsys, *arguments: object) -> tuple[int, str]:
    """Exit status and everything printed."""
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ending:
        code = int(ending.code or 0)
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return code, printed.out + printed.err


@pytest.fixture
def files(rendered, tmp_path) -> tuple[Path, Path]:
    """A clip, and a job of CVAT that is half done."""
    labels = json.loads((rendered / "labels.coco.json").read_text())
    clip = sorted((rendered / "clips").rglob("*.mp4"))[0]
    size = next(
        f'width="{each["width"]}" height="{each["height"]}"'
        for each in [*labels["images"], *labels["videos"]]
        if "width" in each
    )
    said = [
        f'<image id="{at}" name="{clip.stem}_{at:06d}.jpg" {size}>{inner}</image>'
        for at, inner in enumerate((BOX, "", "", POINTS))
    ]
    said.append(f'<image id="9" name="other.jpg" {size}>{BOX}</image>')
    file = tmp_path / "job.xml"
    file.write_text(f"<annotations>{''.join(said)}</annotations>")
    return clip, file


def told(said: str) -> bool:
    """Whether all three sentences are there."""
    return (
        "job.xml: 1 frame labelled (0 of them without objects); read as cvat-images." in said
        and "job.xml: 2 frames without boxes not taken" in said
        and "job.xml: left out 2 things: line 1, <points>" in said
    )


def test_init_and_its_summary_say_what_of_the_labels_was_not_taken(capsys, files, tmp_path):
    clip, file = files
    given = ("--videos", clip, "--labels", file, *DETECTOR)
    code, said = vidal(capsys, "init", tmp_path / "one", *given)
    assert (code, told(said)) == (0, True), said
    code, said = vidal(capsys, "init", tmp_path / "two", *given, "--json")
    assert (code, told("\n".join(json.loads(said)["notes"]))) == (0, True)


def test_select_its_plan_and_its_record_say_what_of_the_labels_was_not_taken(
    capsys, files, tmp_path
):
    clip, file = files
    given = ("--videos", clip, "--labels", file, "--strategy", "random", "--budget", "2")
    line = ("select", *given, "--out", tmp_path / "out", "--no-report", "--quiet")
    for more in (("--dry-run",), ()):
        code, said = vidal(capsys, *line, *more)
        assert (code, told(said)) == (0, True), said
        code, said = vidal(capsys, *line, *more, "--json")
        assert (code, told("\n".join(json.loads(said)["notes"]))) == (0, True)


def test_evaluate_says_what_of_the_labels_was_not_taken(capsys, files):
    clip, file = files
    given = ("--videos", clip, "--labels", file, "--format", "cvat-images", *DETECTOR, "--quiet")
    code, said = vidal(capsys, "evaluate", *given)
    assert (code, told(said)) == (0, True), said
    file.write_text(file.read_text().replace(BOX, ""))
    code, said = vidal(capsys, "evaluate", *given)
    assert code == 2
    assert "no labelled frames to judge the model by." in said
    assert "3 frames without boxes not taken" in said


@pytest.mark.parametrize(
    "line",
    [
        ("import", "work", "--from", "a.xml", "--from", "b.xml"),
        ("init", "work", "--videos", "a", "--videos", "b"),
        ("init", "work", "--videos", "a", "--labels", "a", "--labels", "b"),
        ("select", "--videos", "a", "--labels", "a", "--labels", "b"),
        ("evaluate", "--videos", "a", "--labels", "a", "--labels", "b"),
        ("relink", "work", "--videos", "a", "--videos", "b"),
        ("select", "--campaign", "a", "--campaign", "b"),
        ("select", "--videos", "a", "--config", "a", "--config", "b"),
        ("select", "--videos", "a", "--ray-address", "a:1", "--ray-address", "b:1"),
        ("gather", "--videos", "a", "--shard", "1/2", "--shard", "2/2"),
        ("evaluate", "--videos", "a", "--cache", "a", "--cache", "b"),
    ],
)
def test_a_file_that_is_named_twice_is_refused_and_not_replaced_by_the_second(capsys, line):
    code, said = vidal(capsys, *line)
    assert code == 2
    assert f"{line[-2]} is given 2 times." in said
    assert ("a folder" in said) == (line[-2] not in ("--shard", "--ray-address"))


@pytest.mark.parametrize("command", ["select", "gather"])
def test_two_names_of_one_option_are_one_option(capsys, command):
    code, said = vidal(capsys, command, "--videos", "a", "--store", "a", "--cache", "b")
    assert code == 2
    assert "--cache or --store is given 2 times." in said


def test_an_empty_name_is_not_the_folder_at_hand(capsys):
    code, said = vidal(capsys, "import", "work", "--from", "")
    assert code == 2
    assert "--from is empty." in said
