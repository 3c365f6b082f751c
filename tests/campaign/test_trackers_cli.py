"""``vidal select --tracker``: other trackers than optical flow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidal import video
from vidal.campaign import motion
from vidal.cli import main
from vidal.scenes import plan, render
from vidal.types import Clip


def vidal(*arguments: str | Path) -> int:
    try:
        return int(main([str(argument) for argument in arguments]) or 0)
    except SystemExit as error:
        return int(error.code or 0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import cv2

    root = tmp_path_factory.mktemp("clips")
    for spec in plan(2, 7, frames=(10, 10), size=(150, 240)):
        (root / spec.name).mkdir()
        for index, (image, _) in enumerate(render(spec)):
            cv2.imwrite(str(root / spec.name / f"{index:03d}.png"), image[..., ::-1])
    return root


def select(clips: Path, out: Path, *more: str | Path) -> int:
    return vidal(
        "select", "--videos", clips, "--out", out, "--budget", "4", "--workers", "1",
        "--quiet", "--no-report", "--detector", "scenes-tiny", "--device", "cpu", *more,
    )  # fmt: skip


def scores(out: Path) -> list[float]:
    return [entry["score"] for entry in json.loads((out / "query.json").read_text())["frames"]]


@pytest.mark.parametrize("tracker", ["template", "sparse", "still", "kalman"])
def test_every_tracker_selects(tracker: str, clips: Path, tmp_path: Path) -> None:
    assert select(clips, tmp_path, "--tracker", tracker, "--errors", "fp+fn") == 0
    query = json.loads((tmp_path / "query.json").read_text())
    assert len(query["frames"]) >= 1
    assert query["settings"]["tracker"]["tracker"] == tracker
    assert "flow" not in query["settings"]


def test_flow_named_is_the_default(clips: Path, tmp_path: Path) -> None:
    assert select(clips, tmp_path / "a", "--tracker", "flow") == 0
    assert select(clips, tmp_path / "b") == 0
    assert (tmp_path / "a/query.json").read_text() == (tmp_path / "b/query.json").read_text()


def test_options_change_what_is_kept_and_the_same_ones_find_it_again(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ("--cache", tmp_path / "cache", "--tracker", "template")
    passes: list[str] = []

    def counted(clip: Clip):
        passes.append(clip.id)
        return video.read_frames(clip)

    monkeypatch.setattr(motion, "read_frames", counted)
    assert select(clips, tmp_path / "a", *cache) == 0
    assert len(passes) == 2
    assert select(clips, tmp_path / "b", *cache, "--coherence", "theta=0.4") == 0
    assert len(passes) == 2
    assert select(clips, tmp_path / "c", *cache, "--tracker-option", "margin=3") == 0
    assert len(passes) == 4
    assert select(clips, tmp_path / "d", *cache, "--strategy", "expected-errors") == 0
    assert len(passes) == 6


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--tracker", "templte"), "Did you mean 'template'?"),
        (("--tracker", "template", "--tracker-option", "margins=3"), "unknown option 'margins'"),
        (("--tracker", "template", "--flow", "mode=centre"), "does not read them"),
        (("--tracker", "kalman", "--tracker-option", "a=3"), "has no options"),
        (("--tracker", "flow", "--tracker-option", "mode=centre"), "--flow"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    more: tuple[str, ...], words: str, clips: Path, tmp_path: Path, capsys
) -> None:
    assert select(clips, tmp_path / "out", *more) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_detections_without_videos_cannot_be_tracked_by_pixels(tmp_path: Path, capsys) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"frame": 0, "dets": []}\n')
    code = vidal("select", "--detections", file, "--out", tmp_path / "out", "--tracker", "sparse")
    assert code == 2
    assert "looks at frames" in capsys.readouterr().err
