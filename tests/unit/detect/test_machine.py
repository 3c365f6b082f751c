"""What ``auto`` means on a machine, and that detections are kept under what it means."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import vidal.detect.spec as module
from vidal.assemble.selection import batch_of
from vidal.detect.device import native_bf16
from vidal.detect.machine import Machine, this_machine
from vidal.detect.options import DetectOptions
from vidal.detect.spec import DetectorSpec

PLAIN = Machine(gpu=False, gpu_bf16=False, cpu_bf16=False)
SERVER = Machine(gpu=False, gpu_bf16=False, cpu_bf16=True)
OLD_GPU = Machine(gpu=True, gpu_bf16=False, cpu_bf16=True)
NEW_GPU = Machine(gpu=True, gpu_bf16=True, cpu_bf16=False)


@pytest.mark.parametrize(
    ("machine", "device", "precision", "batch"),
    [
        (PLAIN, "cpu", "fp32", 4),
        (SERVER, "cpu", "bf16", 4),
        (OLD_GPU, "cuda", "fp32", 16),
        (NEW_GPU, "cuda", "bf16", 16),
    ],
)
def test_auto_is_what_the_machine_has(monkeypatch, machine, device, precision, batch):
    monkeypatch.setattr(module, "this_machine", lambda: machine)
    spec = DetectorSpec("scenes-tiny")
    assert (spec.key["device"], spec.key["precision"]) == (device, precision)
    assert batch_of(spec) == batch
    named = DetectorSpec(
        "scenes-tiny",
        device=device,
        options=DetectOptions(precision=precision),
    )
    assert named.key == spec.key


def test_machines_that_compute_otherwise_share_no_key(monkeypatch):
    keys = []
    for machine in (PLAIN, SERVER, OLD_GPU, NEW_GPU):
        monkeypatch.setattr(module, "this_machine", lambda machine=machine: machine)
        keys.append(str(sorted(DetectorSpec("scenes-tiny").key.items(), key=str)))
    assert len(set(keys)) == 4


def test_what_a_user_names_is_taken_on_every_machine():
    for machine in (PLAIN, SERVER, OLD_GPU, NEW_GPU):
        assert machine.device("cpu") == "cpu"
        assert machine.device("cuda:1") == "cuda"
        assert machine.devices("cuda:1") == ("cuda:1",)
        assert machine.devices("cuda:0,2") == ("cuda:0", "cuda:2")
        assert machine.precision("fp32", "cuda") == "fp32"
        assert machine.precision("bf16", "cpu") == "bf16"
    assert NEW_GPU.precision("auto", "cpu") == "fp32"
    assert SERVER.precision("auto", "cpu") == "bf16"


def test_this_machine_is_what_torch_says_of_it():
    machine = this_machine()
    assert machine.gpu == torch.cuda.is_available()
    assert machine.cpu_bf16 == native_bf16(torch.device("cpu"))


def test_a_detector_computes_with_what_its_key_says():
    spec = DetectorSpec("scenes-tiny")
    detector = spec.load()
    assert detector.device.type == spec.key["device"]
    assert ("bf16" if detector.bf16 else "fp32") == spec.key["precision"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has to be asked with torch")
def test_a_key_needs_no_torch_without_a_gpu():
    code = (
        "import sys; from vidal.detect.spec import DetectorSpec;"
        "DetectorSpec('scenes-tiny').key; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
