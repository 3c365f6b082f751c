"""``--device`` is read alike by every command, and refused by name."""

from __future__ import annotations

import pytest
import torch

from vidal.cli import cli, main

SEVERAL = ("select", "evaluate", "init", "gather")
ONE = ("pretrain", "train-tracker", "images select")


def refused(capsys, *arguments):
    """What is printed by a command that ends with 2."""
    with pytest.raises(SystemExit) as caught:
        main([str(each) for each in arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", SEVERAL + ONE)
@pytest.mark.parametrize("device", ["tpu", "cuda:", "cuda:0,0", "cpu:1"])
def test_what_is_no_device_is_refused_by_every_command(capsys, command, device):
    told = refused(capsys, *command.split(), "--device", device)
    assert repr(device) in told
    assert "cuda:0,1" in told


@pytest.mark.parametrize("command", ONE)
def test_commands_that_train_take_one_gpu(capsys, command):
    assert "runs on one" in refused(capsys, *command.split(), "--device", "cuda:0,1")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_clips_are_opened(capsys, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no clip: it would be told of as such")
    asked = ("--detector", "scenes-tiny", "--device", "cuda:1", "--out", tmp_path / "out")
    assert "no CUDA device" in refused(capsys, "select", "--videos", tmp_path, *asked)


@pytest.mark.parametrize("command", ["pretrain", "train", "train-tracker"])
def test_a_gpu_whose_memory_is_not_enough_is_one_line_in_any_command(capsys, monkeypatch, command):
    def fails(*_args, **_named):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(cli, "main", fails)
    told = refused(capsys, command)
    assert "memory is not enough" in told
    assert "Traceback" not in told
    monkeypatch.setattr(cli, "main", lambda **_: (_ for _ in ()).throw(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        main([command])
