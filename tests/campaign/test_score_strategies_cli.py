"""Strategies that learn from labels or ask more of the detector, run as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidal.cli import main

WITH_LABELS = [
    ("bald", ["--option", "by=heads"]),
    ("ensemble", []),
    ("label-dispersion", ["--option", "by=heads"]),
    ("learning-loss", []),
    ("vaal", []),
    ("svm-margin", []),
    ("mahalanobis", []),
    ("portable-pal", []),
    ("openmax", []),
    ("react", []),
    ("eco", []),
    ("neat", []),
    ("neat-passive", []),
    ("similar", []),
    ("similar", ["--option", "function=logdetcmi"]),
]
LEARN_FROM_LABELS = [*WITH_LABELS[:6], ("portable-pal", []), *WITH_LABELS[-5:]]
TRAINED = [("bual", []), ("progressive-pal", []), ("mqnet", [])]
WITH_LABELS += TRAINED
LEARN_FROM_LABELS += TRAINED
ONLY_IMAGES = {"ccal": ([], "mahalanobis"), "dias": ([], "certainty")}
ONLY_IMAGES["mqnet"] = (["--option", "purity=csi"], "purity=energy")
"""Strategies that video cannot serve, and the way out."""
WITHOUT_LABELS = {
    "certainty": "",
    "energy": "",
    "egl": "",
    "mahalanobis": "too little is labelled",
    "msp": "",
    "openmax": "too few labelled objects",
    "react": "nothing is cut off",
}
"""Strategies, and what their reasons say where nothing is labelled."""


def select(videos: Path, out: Path, *more: str | Path) -> int:
    given = ["select", "--videos", videos, "--out", out, "--detector", "scenes-tiny"]
    given += ["--device", "cpu", "--workers", "1", "--quiet", "--budget", "4", "--gap", "1", *more]
    try:
        return int(main([str(each) for each in given]) or 0)
    except SystemExit as error:
        return int(error.code or 0)


def picks(out: Path) -> list[dict]:
    return json.loads((out / "query.json").read_text())["frames"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Detections are computed once for all selections."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def labels(rendered, tmp_path_factory):
    """Labels of every fifth frame."""
    found = json.loads((rendered / "labels.coco.json").read_text())
    kept = {each["id"] for each in found["images"] if each["frame_id"] % 5 == 0}
    found["images"] = [each for each in found["images"] if each["id"] in kept]
    found["annotations"] = [each for each in found["annotations"] if each["image_id"] in kept]
    path = tmp_path_factory.mktemp("labels") / "labels.json"
    path.write_text(json.dumps(found))
    return path


@pytest.mark.parametrize(("name", "options"), WITH_LABELS)
def test_strategies_that_learn_from_labels_choose(name, options, rendered, labels, cache, tmp_path):
    given = ["--strategy", name, "--labels", labels, "--cache", cache, *options]
    assert select(rendered / "clips", tmp_path / "one", *given) == 0
    chosen = picks(tmp_path / "one")
    assert len(chosen) == 4
    if name != "portable-pal":
        assert all("no detections" not in each["reason"] for each in chosen)
    if name == "bald":
        assert select(rendered / "clips", tmp_path / "two", *given) == 0
        assert [each["reason"] for each in picks(tmp_path / "two")] == [
            each["reason"] for each in chosen
        ]


@pytest.mark.parametrize("name", ONLY_IMAGES)
def test_what_needs_pictures_is_refused_before_any_work_and_the_way_out_is_named(
    name, rendered, labels, tmp_path, capsys
):
    options, way_out = ONLY_IMAGES[name]
    given = ["--strategy", name, "--labels", labels, *options]
    assert select(rendered / "clips", tmp_path / "out", *given) == 2
    told = capsys.readouterr().err
    assert f"{name}: " in told
    assert "of a video" in told
    assert way_out in told
    assert not (tmp_path / "out" / "query.json").exists()


@pytest.mark.parametrize(("name", "words"), WITHOUT_LABELS.items())
def test_strategies_that_need_no_labels_run_without_them(name, words, rendered, cache, tmp_path):
    given = ["--strategy", name, "--cache", cache]
    assert select(rendered / "clips", tmp_path / "out", *given) == 0
    said = picks(tmp_path / "out")[0]["reason"]
    assert words in said
    assert ("labelled" in said) == bool(words)


@pytest.mark.parametrize(("name", "options"), LEARN_FROM_LABELS)
def test_before_any_labels_heads_are_refused_before_any_work_and_the_way_out_is_named(
    name, options, rendered, tmp_path, capsys
):
    given = ["--strategy", name, *options]
    assert select(rendered / "clips", tmp_path / "out", *given) == 2
    told = capsys.readouterr().err
    assert f"{name}: learns from labels, and no frame is labelled." in told
    assert "Label a first round" in told
    stored = [path.stat().st_size for path in (tmp_path / "out").glob(".vidal/??/*")]
    assert max(stored, default=0) < 10_000, "only what opening the clips found, no detections"


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("bald", [], "no dropout layer"),
        ("label-dispersion", [], "no snapshots"),
        ("ensemble", ["--option", "by=detector"], "no snapshots"),
    ],
)
def test_what_a_detector_cannot_say_of_itself_is_refused_with_the_way_out(
    name, options, why, rendered, labels, tmp_path, capsys
):
    given = ["--strategy", name, "--labels", labels, *options]
    assert select(rendered / "clips", tmp_path / "out", *given) == 2
    told = capsys.readouterr().err
    assert why in told
    assert "--option by=heads" in told


def test_labels_of_one_kind_give_no_plane(rendered, labels, cache, tmp_path, capsys):
    found = json.loads(labels.read_text())
    found["images"], found["annotations"] = found["images"][:1], []
    few = tmp_path / "few.json"
    few.write_text(json.dumps(found))
    given = ["--strategy", "svm-margin", "--labels", few, "--cache", cache]
    assert select(rendered / "clips", tmp_path / "out", *given) == 2
    assert "two classes" in capsys.readouterr().err
