"""Paths of a campaign stay right when its project moves, and when the campaign alone does."""

from pathlib import Path

import pytest

from vidal.campaign.config import parse_config
from vidal.campaign.config_file import CONFIG, change_paths, read_config, write_config
from vidal.campaign.places import located, place


def test_paths_in_the_project_are_relative_and_others_absolute(tmp_path):
    work = tmp_path / "work"
    assert place(work / "clips" / "a.mp4", work) == "clips/a.mp4"
    assert place(tmp_path / "clips", work) == "../clips"
    assert place(Path("/elsewhere/a.mp4"), work) == "/elsewhere/a.mp4"


def test_a_path_is_found_after_the_project_moved_and_after_the_campaign_alone_did(tmp_path):
    old = tmp_path / "old"
    (old / "clips").mkdir(parents=True)
    (old / "work").mkdir()
    home = (old / "work").resolve()
    written = place(old / "clips", old / "work")
    old.rename(tmp_path / "new")
    assert located(written, tmp_path / "new" / "work", home) == tmp_path / "new" / "clips"
    (tmp_path / "new").rename(old)
    (old / "work").rename(tmp_path / "moved-campaign")
    assert located(written, tmp_path / "moved-campaign", home) == old / "clips"
    assert located(written, tmp_path / "moved-campaign", None) == tmp_path / "clips"


def test_a_linked_clip_keeps_the_name_of_the_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.mp4").touch()
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").symlink_to(tmp_path / "real" / "x.mp4")
    assert place(tmp_path / "clips" / "a.mp4", tmp_path / "work") == "../clips/a.mp4"


def test_a_campaign_that_is_reached_by_a_link_writes_paths_that_hold_without_it(tmp_path):
    (tmp_path / "p" / "work").mkdir(parents=True)
    (tmp_path / "p" / "clips").mkdir()
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "far" / "away" / "link").symlink_to(tmp_path / "p" / "work")
    written = place(tmp_path / "p" / "clips", tmp_path / "far" / "away" / "link")
    assert located(written, tmp_path / "p" / "work", None) == (tmp_path / "p" / "clips").resolve()


@pytest.mark.parametrize("name", ["clips", "clips with spaces", "clips: odd", "süd", "it's", "#1"])
def test_paths_of_the_configuration_change_and_its_comments_stay(tmp_path, name):
    config = parse_config({"data": {"videos": str(tmp_path / name)}, "name": name}, "x")
    (tmp_path / "work").mkdir()
    write_config(tmp_path / "work", config)
    path = tmp_path / "work" / CONFIG
    path.write_text("# mine\n" + path.read_text("utf-8"), "utf-8")
    assert read_config(tmp_path / "work", None) == config
    change_paths(tmp_path / "work", None, lambda _: tmp_path / "b" / name)
    changed = read_config(tmp_path / "work", None)
    assert changed.data.videos == tmp_path / "b" / name
    assert changed.name == name
    if name == "clips":
        assert path.read_text("utf-8").startswith("# mine\n")
