"""Known only and novelty as a user runs them: without labels, with known and unknown ones."""

from __future__ import annotations

import json

import pytest

from vidal.cli import main


def select(videos, out, *more):
    given = ["select", "--videos", videos, "--out", out, "--detector", "scenes-tiny"]
    given += ["--device", "cpu", "--workers", "1", "--quiet", "--budget", "4", "--gap", "1", *more]
    return int(main([str(each) for each in given]) or 0)


def written(out):
    return json.loads((out / "query.json").read_text())


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def labels(rendered, tmp_path_factory):
    """Labels of every fifth frame, once whole and once with all but cars renamed."""
    whole = json.loads((rendered / "labels.coco.json").read_text())
    kept = {each["id"] for each in whole["images"] if each["frame_id"] % 5 == 0}
    whole["images"] = [each for each in whole["images"] if each["id"] in kept]
    whole["annotations"] = [each for each in whole["annotations"] if each["image_id"] in kept]
    folder = tmp_path_factory.mktemp("labels")
    (folder / "closed.json").write_text(json.dumps(whole))
    for each in whole["categories"]:
        each["name"] = each["name"] if each["name"] == "car" else f"odd {each['name']}"
    (folder / "open.json").write_text(json.dumps(whole))
    return folder


NOTHING = "the detector finds no labelled unknown object yet"


@pytest.mark.parametrize("strategy", ["entropy", "expected-errors", "temporal-coherence"])
def test_known_only_says_when_it_knows_nothing_and_weighs_once_it_does(
    strategy, rendered, labels, cache, tmp_path
):
    given = ["--strategy", strategy, "--cache", cache, "--threshold", "0.2", "--known-only"]
    for name, more in (
        ("bare", []),
        ("closed", ["--labels", labels / "closed.json"]),
        ("open", ["--labels", labels / "open.json"]),
    ):
        assert select(rendered / "clips", tmp_path / name, *given, *more) == 0
        found = written(tmp_path / name)
        assert found["settings"]["known_only"] is True
        assert any(NOTHING in note for note in found["notes"]) == (name != "open")
        told = [note for note in found["notes"] if "count as unknown objects" in note]
        assert len(told) == (name == "open")
        assert all("odd pedestrian (" in note for note in told)
        assert ("unknown" in found["frames"][0]["parts"]) == (name == "open")


def test_novelty_runs_before_and_after_unknown_objects_are_labelled(
    rendered, labels, cache, tmp_path
):
    given = ["--strategy", "novelty", "--cache", cache, "--threshold", "0.2"]
    assert select(rendered / "clips", tmp_path / "bare", *given) == 0
    assert any("Novelty" in note for note in written(tmp_path / "bare")["notes"])
    more = ["--labels", labels / "open.json"]
    assert select(rendered / "clips", tmp_path / "open", *given, *more) == 0
    assert "likely unknown object" in written(tmp_path / "open")["frames"][0]["reason"]


def test_balance_goes_with_it(rendered, labels, cache, tmp_path):
    given = ["--strategy", "entropy", "--cache", cache, "--threshold", "0.2", "--known-only"]
    given += ["--labels", labels / "open.json", "--balance", "0.5"]
    assert select(rendered / "clips", tmp_path / "out", *given) == 0
    settings = written(tmp_path / "out")["settings"]
    assert settings["known_only"] is True
    assert settings["balance"] == 0.5


def test_with_a_campaign_it_is_a_matter_of_the_configuration(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["select", "--campaign", str(tmp_path), "--known-only"])
    assert stopped.value.code == 2
    assert "--known-only cannot be given with --campaign" in capsys.readouterr().err
