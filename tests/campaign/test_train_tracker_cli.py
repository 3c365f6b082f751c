"""``vidal train-tracker``: from clips with tracks to a selection that uses them."""

from __future__ import annotations

import json
from pathlib import Path

from vidal.cli import main
from vidal.track.siamfc_network import load_network


def vidal(*arguments: str | Path) -> int:
    try:
        return int(main([str(argument) for argument in arguments]) or 0)
    except SystemExit as error:
        return int(error.code or 0)


def test_weights_trained_on_labelled_clips_can_be_selected_with(
    rendered: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "siamfc.safetensors"
    clips, labels = rendered / "clips", rendered / "labels.coco.json"
    code = vidal(
        "train-tracker", "--out", out, "--videos", clips, "--labels", labels, "--divisor", "8",
        "--steps", "2", "--batch", "2", "--every", "20", "--device", "cpu", "--json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 2
    assert found["objects"] >= 3
    assert found["pictures"] > found["objects"]
    assert load_network(out).divisor == 8
    picked = tmp_path / "picked"
    code = vidal(
        "select", "--videos", clips, "--out", picked, "--budget", "2", "--strategy", "random",
        "--tracker", "siamfc", "--tracker-option", f"weights={out}", "--quiet", "--no-report",
    )  # fmt: skip
    assert code == 0


def test_train_with_a_tracker_is_train_tracker(rendered: Path, tmp_path: Path) -> None:
    few = (
        "--tracker", "siamfc", "--videos", rendered / "clips", "--divisor", "8", "--quiet",
        "--labels", rendered / "labels.coco.json", "--steps", "1", "--every", "20",
        "--device", "cpu",
    )  # fmt: skip
    one, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert vidal("train", "--out", one, *few) == 0
    assert vidal("train-tracker", "--out", other, *few) == 0
    assert one.read_bytes() == other.read_bytes()


def test_help_of_train_with_a_tracker_lists_the_options_of_train_tracker(capsys) -> None:
    assert vidal("train-tracker", "--help") == 0
    said = capsys.readouterr().out
    assert "--divisor" in said
    for named in (("--tracker", "siamfc"), ("--tracker=siamfc",)):
        assert vidal("train", *named, "--help") == 0
        assert capsys.readouterr().out == said


def test_train_without_a_tracker_is_that_of_the_detector(tmp_path: Path, capsys) -> None:
    assert vidal("train", "--help") == 0
    said = capsys.readouterr().out
    assert "DIR" in said
    assert "vidal train --tracker siamfc --out" in said
    assert vidal("train", tmp_path) == 2
    assert "no campaign here" in capsys.readouterr().err
    assert vidal("train", "--", "--tracker") == 2
    assert "--tracker: no campaign here" in capsys.readouterr().err


def test_what_cannot_be_trained_is_refused(rendered: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "a.safetensors"
    assert vidal("train-tracker", "--tracker", "flow", "--out", out) == 2
    assert "unknown trainable tracker" in capsys.readouterr().err
    assert vidal("train-tracker", "--out", out, "--videos", rendered / "clips") == 2
    assert "go together" in capsys.readouterr().err
    assert vidal("train-tracker", "--out", out, "--divisor", "3") == 2
    assert "divisor 3" in capsys.readouterr().err
    assert not out.exists()


def test_a_tracker_without_its_weights_is_refused_before_anything_is_read(
    rendered: Path, tmp_path: Path, capsys
) -> None:
    for tracker in ("raft", "siamfc"):
        code = vidal(
            "select", "--videos", rendered / "clips", "--out", tmp_path / "out",
            "--tracker", tracker,
        )  # fmt: skip
        assert code == 2
        assert "needs weights" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
