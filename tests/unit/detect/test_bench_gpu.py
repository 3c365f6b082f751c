"""The benchmark of GPUs runs whole on a processor, at a small size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tools"))
from bench_gpu import measure, small, summary  # noqa: E402
from gpu_parts import PARTS, agreement  # noqa: E402

from vidal.detect import load_detector  # noqa: E402
from vidal.testing.detectors import a_frame  # noqa: E402


def fresh() -> dict:
    return {"parts": {}, "seconds": {}, "left_out": {}}


@pytest.fixture(autouse=True)
def _found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_every_part_runs_on_a_processor(tmp_path):
    record, wanted = fresh(), [name for name in PARTS if name != "compile"]
    measure(small("cpu", 0), wanted, record, tmp_path / "gpu.json")
    assert json.loads((tmp_path / "gpu.json").read_text()) == record
    parts, told = record["parts"], summary(record)
    assert set(parts) == set(wanted)
    assert told["agree"] is True
    assert told["stream_share"] > 0
    assert told["busy_share"] > 0
    assert parts["stages"]["backbone"] > 0
    assert parts["select"]["frames"] == [12, 24]
    assert set(parts["training"]) == {
        f"{precision} {way}" for precision in ("fp32", "bf16") for way in ("in turn", "ahead")
    }


def test_parts_that_are_done_stay_and_those_without_time_are_named(tmp_path, monkeypatch):
    def fails(_setting):
        raise AssertionError("measured again")

    monkeypatch.setitem(PARTS, "forward", fails)
    record = {**fresh(), "parts": {"forward": {"bf16": {}}}}
    measure(small("cpu", 120), ["forward", "compile", "batch"], record, tmp_path / "gpu.json")
    assert set(record["parts"]) == {"forward", "batch"}
    assert set(record["left_out"]) == {"compile"}


def test_the_tool_starts_from_the_command_line():
    command = [sys.executable, str(ROOT / "tools" / "bench_gpu.py"), "--help"]
    assert b"--small" in subprocess.run(command, check=True, capture_output=True).stdout


def test_detections_that_differ_do_not_agree():
    detector = load_detector("scenes-tiny", device="cpu")
    found = detector.detect([a_frame(seed, (300, 480)) for seed in range(4)])
    found = found.keep(np.argsort(-found.scores[: len(found)]).argsort() < len(found))
    assert len(found.keep(found.scores > 0.1)) > 0
    assert agreement(found, found) == (1.0, 0.0)
    fewer = found.keep(found.frame > 0)
    assert agreement(found, fewer)[0] < 1


@pytest.mark.slow
def test_the_compiled_network_is_measured(tmp_path):
    record = fresh()
    measure(small("cpu", 0), ["compile"], record, tmp_path / "gpu.json")
    assert record["parts"]["compile"]["compiled_fps"] > 0
