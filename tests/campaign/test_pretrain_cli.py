"""``vidal pretrain``: from clips without labels to a campaign that begins with what was learned."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from vidal.assemble.pretrain import PretrainJob, pretrain_backbone
from vidal.campaign.config import load_config
from vidal.campaign.training import starting_detector
from vidal.cli import main
from vidal.detect.body import body_state, read_body
from vidal.detect.checkpoints import load_checkpoint
from vidal.errors import OutputBusy, UnknownName, UsageError
from vidal.pretrain import training
from vidal.pretrain.options import SimSiamOptions
from vidal.selection.draws import START, step_rng

FEW = ("--frames", "10", "--epochs", "2", "--batch", "4", "--size", "32", "--device", "cpu")
TINY = ("--detector", "scenes-tiny", *FEW)


def vidal(*arguments: str | Path) -> int:
    try:
        return int(main([str(argument) for argument in arguments]) or 0)
    except SystemExit as error:
        return int(error.code or 0)


def a_job(rendered: Path, out: Path, **changes: object) -> PretrainJob:
    values = {
        "videos": rendered / "clips",
        "out": out,
        "detector": "scenes-tiny",
        "frames": 10,
        "device": "cpu",
        "training": SimSiamOptions(epochs=2, batch=4, size=32, dim=32, hidden=8),
        **changes,
    }
    return PretrainJob(**values)  # type: ignore[arg-type]


def test_a_backbone_is_written_told_about_and_told_again(
    rendered: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "backbone.safetensors"
    command = ("pretrain", "--videos", rendered / "clips", "--out", out, *TINY, "--neighbours", "2")
    assert vidal(*command, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["new"]
    assert found["architecture"] == "scenes-tiny"
    assert (found["clips"], found["frames"], found["lost"], found["skipped"]) == (3, 10, 0, [])
    assert found["steps"] == 4
    assert len(found["losses"]) == len(found["stds"]) == 2
    assert 0 < found["std"] <= 1.01 * found["healthy_std"]
    assert not found["collapsed"]
    assert found["warning"] is None
    assert list(tmp_path.iterdir()) == [out]  # nothing of the work is left
    read_body(out, "scenes-tiny")
    before = out.read_bytes()
    assert vidal(*command) == 0
    said = capsys.readouterr()
    assert "it was there already" in said.out
    assert "std of z" in said.out
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_of_the_users_is_never_taken_for_that_of_an_unfinished_run(
    rendered: Path, tmp_path: Path, capsys
) -> None:
    own = tmp_path / "a.state"
    own.mkdir()
    (own / "thesis.tex").write_text("mine")
    command = ("pretrain", "--videos", rendered / "clips", "--out", tmp_path / "a.safetensors")
    assert vidal(*command, *TINY, "--quiet") == 2
    assert "a.state: it holds something else" in capsys.readouterr().err
    assert [path.name for path in own.iterdir()] == ["thesis.tex"]


def test_progress_names_what_it_does_and_quiet_says_nothing(
    rendered: Path, tmp_path: Path, capsys
) -> None:
    command = ("pretrain", "--videos", rendered / "clips", *TINY)
    assert vidal(*command, "--out", tmp_path / "a.safetensors") == 0
    said = capsys.readouterr().err
    assert "reading frames step 10/10" in said
    assert "pre-training epoch 2/2 step 4/4: loss" in said
    assert "(healthy 0.0442), ETA 0:00" in said
    assert vidal(*command, "--out", tmp_path / "b.safetensors", "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_an_interrupted_run_goes_on_and_ends_with_the_same_backbone(
    rendered: Path, tmp_path: Path
) -> None:
    whole, other = tmp_path / "whole.safetensors", tmp_path / "other.safetensors"
    pretrain_backbone(a_job(rendered, whole))

    def stop(at: dict[str, float]) -> None:
        if at["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain_backbone(a_job(rendered, other), training=stop)
    assert (tmp_path / "other.state/training.pt").is_file()
    steps: list[float] = []
    read: list[float] = []
    pretrain_backbone(
        a_job(rendered, other),
        reading=lambda at: read.append(at["step"]),
        training=lambda at: steps.append(at["step"]),
    )
    assert steps == [3, 4]
    assert read == []
    assert whole.read_bytes() == other.read_bytes()
    assert not (tmp_path / "other.state").exists()


def test_an_unfinished_run_of_other_settings_is_refused(rendered: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"

    def stop(at: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain_backbone(a_job(rendered, out), training=stop)
    with pytest.raises(Exception, match="belongs to another pre-training"):
        pretrain_backbone(a_job(rendered, out, seed=1))


def test_a_second_run_into_one_file_is_refused_and_leaves_the_first_ones_work(
    rendered: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.safetensors"
    seen: list[str] = []

    def second(at: dict[str, float]) -> None:
        with pytest.raises(OutputBusy, match="is writing there"):
            pretrain_backbone(a_job(rendered, out))
        seen.append("refused")

    pretrain_backbone(a_job(rendered, out), reading=second)  # before its pictures are kept
    assert seen
    assert out.is_file()
    assert list(tmp_path.iterdir()) == [out]


def test_collapse_is_said_and_has_an_exit_status_of_its_own(
    rendered: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(training, "COLLAPSED", 2.0)  # everything counts as collapsed
    out = tmp_path / "a.safetensors"
    command = ("pretrain", "--videos", rendered / "clips", "--out", out, *TINY)
    assert vidal(*command, "--json") == 3
    said = capsys.readouterr()
    assert "pre-training collapsed" in said.err
    assert "pre-training collapsed" in json.loads(said.out)["warning"]
    assert out.is_file()
    assert vidal(*command, "--quiet") == 3  # told again, too


def test_it_begins_with_random_weights_or_with_those_that_are_named(
    rendered: Path, tmp_path: Path
) -> None:
    few = SimSiamOptions(epochs=1, batch=10, size=32, dim=32, hidden=8, lr=1e-9)

    def body(name: str, **changes: object) -> dict[str, torch.Tensor]:
        out = tmp_path / name
        pretrain_backbone(a_job(rendered, out, training=few, **changes))
        return dict(load_checkpoint(out).state)

    fresh = body("fresh.safetensors")
    seeded = body("seeded.safetensors", seed=1)
    shipped = body("shipped.safetensors", detector="scenes-day", start="weights")
    from vidal.detect.load import shipped_checkpoint

    file = shipped_checkpoint("scenes-day")
    given = body("given.safetensors", detector="auto", weights=file)
    key = "backbone.stages.2.refine.0.weight"
    own = load_checkpoint(file).state[key]
    assert torch.allclose(shipped[key], own, atol=1e-5)
    assert torch.allclose(given[key], own, atol=1e-5)
    assert not torch.allclose(fresh[key], own, atol=1e-2)
    assert not torch.equal(fresh[key], seeded[key])


def test_what_cannot_be_meant_is_refused_before_any_work(
    rendered: Path, tmp_path: Path, capsys
) -> None:
    clips, out = rendered / "clips", tmp_path / "a.safetensors"
    taken = tmp_path / "taken.safetensors"
    taken.write_bytes(b"mine")
    for arguments, what in (
        (("--method", "byol"), "unknown method 'byol'"),
        (("--detector", "detectron2"), "whose backbone can be pre-trained"),
        (("--weights", tmp_path / "none.pth"), "no such file"),
        (("--start", "fresh", "--weights", taken), "Drop one"),
        (("--out", tmp_path), "it is a folder"),
        (("--out", tmp_path / "a.pth"), "does not end in .safetensors"),
        (("--out", taken), "it holds something else"),
        (("--videos", tmp_path / "nothing"), "no such file"),
    ):
        base = {"--videos": clips, "--out": out}
        base.update(zip(arguments[::2], arguments[1::2], strict=True))
        flat = [each for pair in base.items() for each in pair]
        assert vidal("pretrain", *FEW, "--detector", "scenes-tiny", *flat) == 2, what
        assert what in " ".join(capsys.readouterr().err.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken.safetensors"]
    with pytest.raises(UnknownName):
        pretrain_backbone(a_job(rendered, out, method="x"))
    with pytest.raises(UsageError, match="below 2"):
        pretrain_backbone(a_job(rendered, out, frames=1))


def test_a_backbone_of_other_settings_is_not_replaced(
    rendered: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "a.safetensors"
    command = ("pretrain", "--videos", rendered / "clips", "--out", out, *TINY, "--quiet")
    assert vidal(*command) == 0
    assert vidal(*command, "--seed", "5") == 2
    assert "pre-trained on other frames, or otherwise" in capsys.readouterr().err


def test_clips_that_cannot_be_read_are_named(rendered: Path, tmp_path: Path, capsys) -> None:
    clips = tmp_path / "clips"
    shutil.copytree(rendered / "clips", clips)
    (clips / "broken.mp4").write_bytes(b"no video")
    command = ("pretrain", "--videos", clips, "--out", tmp_path / "a.safetensors", *TINY)
    assert vidal(*command, "--json") == 0
    (skipped,) = json.loads(capsys.readouterr().out)["skipped"]
    assert skipped["path"].endswith("broken.mp4")


@pytest.fixture(scope="module")
def backbone(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("backbone") / "backbone.safetensors"
    pretrain_backbone(a_job(rendered, out))
    return out


INIT = ("--classes", "car", "--device", "cpu", "--set", "workers=1", "--detector")


def test_a_campaign_begins_with_a_backbone(
    rendered: Path, backbone: Path, tmp_path: Path, capsys
) -> None:
    work = tmp_path / "work"
    code = vidal(
        "init", work, "--videos", rendered / "clips", *INIT, "scenes-tiny", "--backbone", backbone,
        "--set", "detector.start=fresh",
    )  # fmt: skip
    assert code == 0, capsys.readouterr().err
    from vidal.campaign.folder import open_campaign

    with open_campaign(work, lock=False) as campaign:
        config = campaign.config
        assert config.detector.backbone == backbone
    first = starting_detector(config, ("car",), step_rng(0, 0, START))
    plain = starting_detector(
        config.changed(detector={"backbone": None}), ("car",), step_rng(0, 0, START)
    )
    own = read_body(backbone, "scenes-tiny")
    mine, theirs = first.network.state_dict(), plain.network.state_dict()
    assert all(torch.equal(mine[key], own[key]) for key in own)
    body = body_state("scenes-tiny", mine)
    assert all(torch.equal(mine[key], theirs[key]) for key in mine if key not in body)
    assert not torch.equal(mine["backbone.stem.0.weight"], theirs["backbone.stem.0.weight"])


def test_a_backbone_of_another_network_is_refused_by_init_and_train(
    rendered: Path, backbone: Path, tmp_path: Path, capsys
) -> None:
    clips, work = rendered / "clips", tmp_path / "work"
    for detector, what in (
        ("fasterrcnn-mobilenet-320", "made for scenes-tiny, not for fasterrcnn-mobilenet-320"),
        ("detectron2", "cannot be put into detector 'detectron2'"),
    ):
        code = vidal("init", work, "--videos", clips, *INIT, detector, "--backbone", backbone)
        assert code == 2
        assert what in capsys.readouterr().err
    assert vidal("init", work, "--videos", clips, *INIT, "scenes-tiny") == 0
    none = tmp_path / "none.safetensors"
    assert vidal("train", work, "--backbone", none) == 2
    assert "no such file" in capsys.readouterr().err


def test_relative_paths_of_a_backbone_count_from_the_configuration(
    rendered: Path, backbone: Path, tmp_path: Path
) -> None:
    shutil.copy(backbone, tmp_path / "b.safetensors")
    file = tmp_path / "c.yaml"
    file.write_text(
        f"data: {{videos: {rendered / 'clips'}}}\n"
        "detector: {name: scenes-tiny, start: fresh, backbone: b.safetensors}\n"
    )
    assert load_config(file).detector.backbone == tmp_path / "b.safetensors"
