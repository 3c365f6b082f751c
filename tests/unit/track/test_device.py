"""Where networks of trackers compute, and what of that shapes carried boxes."""

from __future__ import annotations

import pytest
import torch

from vidal.assemble import tracking
from vidal.detect.machine import Machine
from vidal.errors import UsageError
from vidal.track import RaftPropagator
from vidal.track.device import choose_device


def key(device):
    return dict(RaftPropagator(weights="download", device=device).key)


def test_tracks_of_a_gpu_are_kept_apart_from_those_of_a_processor_but_not_by_which_gpu():
    assert key("cpu") == key("auto")
    assert "device" not in key("cpu")
    assert key("cuda") == key("cuda:1") == key("cuda:0,1") == {**key("cpu"), "device": "cuda"}


@pytest.mark.parametrize(("gpu", "expected"), [(False, "auto"), (True, "cuda")])
def test_a_device_that_is_left_to_vidal_is_settled_with_the_tracker(monkeypatch, gpu, expected):
    machine = Machine(gpu=gpu, gpu_bf16=gpu, cpu_bf16=False)
    monkeypatch.setattr(tracking, "this_machine", lambda: machine)
    assert tracking.build_tracker("raft", {"weights": "download"}).device == expected
    named = {"weights": "download", "device": "cpu"}
    assert tracking.build_tracker("raft", named).device == "cpu"


@pytest.mark.parametrize("device", ["tpu", "cuda:", "cuda:1,1"])
def test_devices_that_cannot_be_meant_are_refused(device):
    with pytest.raises(UsageError, match="device"):
        RaftPropagator(weights="download", device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused():
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    for device in ("cuda", "cuda:0,1"):
        with pytest.raises(UsageError, match="no CUDA device"):
            choose_device(device)
