"""``vidal datasets`` through click's runner."""

import json

import pytest
from click.testing import CliRunner

from vidal.cli.datasets import command
from vidal.errors import UnknownName


def run(*arguments):
    return CliRunner().invoke(command, arguments)


def test_every_card_is_listed_with_its_licence():
    result = run()
    assert result.exit_code == 0
    assert "kitti_tracking" in result.output
    assert "licence:" in result.output


def test_the_list_as_json_holds_whole_cards():
    cards = {card["name"]: card for card in json.loads(run("--json").output)}
    assert cards["synthia_al"]["layout"]


def test_a_card_is_shown_with_what_nobody_has_confirmed():
    output = run("show", "synthia_al").output
    assert "labels_kitti" in output
    assert "not confirmed:" in output


def test_an_unknown_data_set_is_refused_with_a_guess():
    error = run("show", "kitti_trackin").exception
    assert isinstance(error, UnknownName)
    assert "kitti_tracking" in error.hint


def test_a_folder_that_lacks_something_ends_with_one(tmp_path):
    result = run("check", "kitti_tracking", "--root", str(tmp_path))
    assert result.exit_code == 1
    assert "missing: train: folder training" in result.output


@pytest.mark.parametrize("as_json", [False, True])
def test_a_whole_folder_ends_with_zero(tmp_path, as_json):
    for split in ("train", "test"):
        scene = tmp_path / split / "scene" / "01-01-2019_00-00-00"
        for name in ("RGB/000000.png", "labels_kitti/000000.txt"):
            (scene / name).parent.mkdir(parents=True)
            (scene / name).write_text("")
    flags = ["--json"] if as_json else []
    result = run("check", "rendered_scenes", "--root", str(tmp_path), *flags)
    assert result.exit_code == 0
    assert json.loads(result.output) == [] if as_json else "is there" in result.output
