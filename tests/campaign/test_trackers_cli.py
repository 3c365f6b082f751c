"""``vidal select --tracker``: other trackers than optical flow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidal.campaign.folder import open_campaign
from vidal.cli import main
from vidal.evidence import motion
from vidal.scenes import plan, render
from vidal.track.siamfc_network import SiamFCNetwork, save_network
from vidal.types import Clip
from vidal.video.stretch import read_stretch


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
    plain = ("--strategy", "temporal-coherence")
    cache = ("--cache", tmp_path / "cache", "--tracker", "template", *plain)
    passes: list[str] = []

    def counted(clip: Clip, first: int, stop: int):
        passes.append(clip.id)
        return read_stretch(clip, first, stop)

    monkeypatch.setattr(motion, "read_stretch", counted)
    assert select(clips, tmp_path / "a", *cache) == 0
    assert len(passes) == 2
    assert select(clips, tmp_path / "b", *cache, "--coherence", "theta=0.4") == 0
    assert len(passes) == 2
    assert select(clips, tmp_path / "c", *cache, "--tracker-option", "margin=3") == 0
    assert len(passes) == 4
    # Weak detections have to be tracked as well.
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


def begin(clips: Path, work: Path, *more: str | Path) -> int:
    return vidal(
        "init", work, "--videos", clips, "--detector", "scenes-tiny", "--device", "cpu",
        "--initial", "4", "--set", "selection.initial_strategy=temporal-coherence",
        "--set", "workers=1", *more,
    )  # fmt: skip


def test_a_campaign_selects_with_its_tracker_and_its_record_says_so(
    clips: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    assert begin(clips, work, "--tracker", "sparse", "--tracker-option", "grid=3") == 0
    assert vidal("select", "--campaign", work, "--quiet", "--no-report") == 0
    query = json.loads((work / "queries/round-000/query.json").read_text())
    assert query["settings"]["tracker"]["tracker"] == "sparse"
    assert query["settings"]["tracker"]["grid"] == 3
    assert "flow" not in query["settings"]


def test_a_campaign_finds_the_weights_of_its_tracker_where_they_are(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_network(tmp_path / "here/w.safetensors", SiamFCNetwork(8))
    file = tmp_path / "elsewhere/c.yaml"
    file.parent.mkdir()
    file.write_text("selection: {tracker: siamfc, tracker_options: {weights: ../w.safetensors}}\n")
    monkeypatch.chdir(tmp_path / "here")
    named = ("--config", file, "--tracker-option", "weights=w.safetensors")
    assert begin(clips, tmp_path / "work", *named) == 0
    monkeypatch.chdir(tmp_path)
    with open_campaign(tmp_path / "work", lock=False) as campaign:
        weights = Path(campaign.config.selection.tracker_options["weights"])
    assert weights.resolve() == (tmp_path / "here/w.safetensors").resolve()
    assert vidal("select", "--campaign", tmp_path / "work", "--dry-run", "--json") == 0
