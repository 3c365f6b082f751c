"""What ``auto`` means on a machine, and that detections are kept under what it means."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import vidal.detect.device as device_module
import vidal.detect.spec as module
from vidal.assemble.selection import batch_of
from vidal.detect.device import native_bf16
from vidal.detect.machine import Machine, this_machine
from vidal.detect.options import DetectOptions
from vidal.detect.spec import DetectorSpec
from vidal.errors import UsageError
from vidal.plugins import Plugin
from vidal.types.devices import BOUND, one_of

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


@pytest.mark.parametrize(
    "text", ["gpu", "cuda:", "cuda:-1", "cuda:1,1", "cuda:0,,1", "cpu:0", "CPU", ""]
)
def test_devices_that_cannot_be_meant_are_refused_by_name(text):
    with pytest.raises(UsageError, match=r"device") as caught:
        DetectorSpec("scenes-tiny", device=text)
    assert repr(text) in caught.value.message
    assert "cuda:0,1" in caught.value.hint


TWO_GPUS = Machine(gpu=True, gpu_bf16=True, cpu_bf16=False, gpus=2)


def test_devices_that_are_not_there_are_refused_before_any_work(monkeypatch):
    for machine, text, why in (
        (PLAIN, "cuda", "no CUDA"),
        (PLAIN, "cuda:0,1", "no CUDA"),
        (TWO_GPUS, "cuda:2", "there are 2"),
        (TWO_GPUS, "cuda:0,7", "there are 2"),
    ):
        monkeypatch.setattr(module, "this_machine", lambda machine=machine: machine)
        with pytest.raises(UsageError, match=why):
            DetectorSpec("scenes-tiny", device=text).check_device()
    DetectorSpec("scenes-tiny", device="cuda:0,1").check_device()
    DetectorSpec("scenes-tiny", device="cpu").check_device()


def test_which_gpu_computes_is_no_part_of_a_key_but_that_one_does_is(monkeypatch):
    monkeypatch.setattr(module, "this_machine", lambda: TWO_GPUS)
    keys = {
        text: DetectorSpec("scenes-tiny", device=text).key
        for text in ("auto", "cuda", "cuda:1", "cuda:0,1", "cpu")
    }
    assert keys["auto"] == keys["cuda"] == keys["cuda:1"] == keys["cuda:0,1"] != keys["cpu"]
    assert "gpu_version" not in keys["cpu"]


def test_auto_takes_every_gpu_and_a_process_the_one_it_is_bound_to(monkeypatch):
    assert TWO_GPUS.devices("auto") == ("cuda:0", "cuda:1")
    assert NEW_GPU.devices("auto") == ("cuda",)
    assert PLAIN.devices("auto") == ("cpu",)
    assert one_of(("cuda:0", "cuda:1")) == "cuda:0"
    monkeypatch.setenv(BOUND, "cuda:1")
    assert one_of(("cuda:0", "cuda:1")) == "cuda:1"
    assert one_of(("cpu",)) == "cpu"


def test_a_key_of_fp32_on_a_processor_is_what_it_was(monkeypatch):
    """Evidence of earlier versions is found again."""
    monkeypatch.setattr(module, "this_machine", lambda: PLAIN)
    key = dict(DetectorSpec("scenes-tiny").key)
    assert key == {
        "version": 1,
        "weights": key["weights"],
        "classes": None,
        "device": "cpu",
        "score_floor": 0.05,
        "overlap": 0.6,
        "per_class": 100,
        "per_frame": 300,
        "precision": "fp32",
    }


def test_what_is_compiled_has_a_key_of_its_own():
    plain, compiled = (
        DetectorSpec("scenes-tiny", options=DetectOptions(compile=asked)).key
        for asked in (False, True)
    )
    assert plain != compiled
    assert compiled == {**plain, "compile": True}


def test_tf32_is_refused_on_a_processor_before_any_work(monkeypatch):
    monkeypatch.setattr(module, "this_machine", lambda: PLAIN)
    spec = DetectorSpec("scenes-tiny", options=DetectOptions(precision="tf32"))
    with pytest.raises(UsageError, match="tf32"):
        spec.check_device()
    monkeypatch.setattr(module, "this_machine", lambda: NEW_GPU)
    spec.check_device()
    assert spec.key["precision"] == "tf32"


def test_auto_of_another_package_is_told_apart_by_what_the_device_computes(monkeypatch):
    foreign = Plugin("detector", "theirs", "their-package", "1.0", None)
    monkeypatch.setattr(module, "find_detector", lambda name: foreign)
    keys = []
    for machine in (PLAIN, SERVER, OLD_GPU, NEW_GPU):
        monkeypatch.setattr(module, "this_machine", lambda machine=machine: machine)
        keys.append(str(DetectorSpec("theirs").key))
    assert len(set(keys)) == 4
    named = DetectorSpec("theirs", options=DetectOptions(precision="fp32")).key
    assert named["precision"] == "fp32"


def test_fp32_on_a_gpu_has_whole_products_and_what_was_set_comes_back():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    seen = []
    for precision in ("fp32", "tf32"):
        with device_module._products(precision == "tf32", torch.device("cuda")):
            seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
    assert seen == [(False, False), (True, True)]
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


def test_what_travels_is_settled_and_means_the_same_on_another_machine(monkeypatch):
    monkeypatch.setattr(module, "this_machine", lambda: TWO_GPUS)
    specs = [DetectorSpec("scenes-tiny", device=text) for text in ("auto", "cuda:0,1", "cpu")]
    keys = [spec.key for spec in specs]
    travelling = [spec.settled() for spec in specs]
    assert [spec.device for spec in travelling] == ["cuda", "cuda:0,1", "cpu"]
    for machine in (TWO_GPUS, PLAIN, SERVER):
        monkeypatch.setattr(module, "this_machine", lambda machine=machine: machine)
        assert [spec.key for spec in travelling] == keys


def test_a_process_that_is_bound_to_a_gpu_loads_its_detector_there(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "this_machine", lambda: TWO_GPUS)
    monkeypatch.setattr(module, "load_detector", lambda name, device, **_: asked.append(device))
    for bound in ("cuda:0", "cuda:1"):
        monkeypatch.setenv(BOUND, bound)
        for text in ("auto", "cuda", "cuda:0,1", "cpu"):
            DetectorSpec("scenes-tiny", device=text).load()
    assert asked == ["cuda:0"] * 3 + ["cpu"] + ["cuda:1"] * 3 + ["cpu"]


@pytest.mark.parametrize("name", ["auto", "fasterrcnn-resnet50-v2"])
def test_weights_are_fetched_without_the_gpu(monkeypatch, name):
    asked = []
    monkeypatch.setattr(module, "this_machine", lambda: NEW_GPU)
    monkeypatch.setattr(
        module, "load_detector", lambda name, device, **_: asked.append((name, device))
    )
    DetectorSpec(name).fetch()
    assert asked == [("fasterrcnn-resnet50-v2", "cpu")]
    DetectorSpec("auto", device="cpu").fetch()
    assert asked[1:] == [("auto", "cpu")]
