"""A GPU, measured whole: bare forward loop, detection, a selection, training; CPU and GPU agree.

    python tools/bench_gpu.py [--device cuda] [--json FILE] [--only forward,select] [--fresh]
    python tools/bench_gpu.py --device cpu --small        (a minute: whether it all runs)

Needs no internet: weights are random, clips are rendered and encoded here. Every part is written to
the file when it is done; run again, it goes on with those that are missing. Under eight minutes
(``--seconds``): parts that no time is left for are left out and listed.

busy_share is what the GPU spends in forward passes at the speed of the bare loop, as a share of the
time that a frame more takes in ``vidal select``; gpu_use_percent is what nvidia-smi says meanwhile
(how much of the time any kernel ran).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torchvision
from gpu_parts import PARTS, Setting

RESULT = Path(__file__).parent / "results" / "gpu.json"
LEAST = {"compile": 150.0, "select": 100.0}
"""Seconds that have to be left for a part to begin; 40 for the others."""


def small(device: str, seconds: float) -> Setting:
    """Whether it all runs."""
    return Setting(
        device=device,
        network="scenes-tiny",
        size=(300, 480),
        frames=4,
        clips=2,
        length=12,
        precisions=("fp32", "bf16"),
        batches=(2, 4),
        steps=1,
        seconds=seconds,
    )


def whole(device: str, seconds: float, *, compiled: bool) -> Setting:
    """ResNet-50-FPN-v2 at 1080p."""
    return Setting(
        device=device,
        network="fasterrcnn-resnet50-v2",
        size=(1080, 1920),
        frames=64,
        clips=12,
        length=120,
        precisions=("fp32", "tf32", "bf16", "fp16"),
        batches=(4, 8, 16, 32),
        steps=10,
        seconds=seconds,
        compiled=compiled,
    )


def machine(device: str) -> dict[str, Any]:
    """What it was measured on."""
    found: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
    }
    if device.startswith("cuda"):
        about = torch.cuda.get_device_properties(torch.device(device))
        found |= {"gpu": about.name, "gpus": torch.cuda.device_count()}
        found |= {"gpu_mib": about.total_memory >> 20, "cuda": torch.version.cuda}
    return found


def measure(setting: Setting, wanted: list[str], record: dict[str, Any], path: Path) -> None:
    """The parts that are missing, each written down when it is done."""
    began = time.perf_counter()
    for name in wanted:
        left = setting.seconds - (time.perf_counter() - began)
        if name in record["parts"]:
            continue
        if left < LEAST.get(name, 40.0) and setting.seconds:
            record["left_out"][name] = f"{left:.0f} s were left"
            continue
        started = time.perf_counter()
        record["parts"][name] = PARTS[name](setting)
        record["seconds"][name] = time.perf_counter() - started
        record["left_out"].pop(name, None)
        print(json.dumps({name: record["parts"][name]}, indent=1), flush=True)
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """The few figures that matter."""
    parts = record["parts"]
    found: dict[str, Any] = {"left_out": record["left_out"]}
    if "agree" in parts:
        found["agree"] = all(row["agree"] for row in parts["agree"].values())
    if "forward" in parts:
        fastest = max(parts["forward"], key=lambda name: parts["forward"][name]["bare_fps"])
        found |= {"fastest": fastest, **parts["forward"][fastest]}
    if "forward" in parts and "select" in parts:
        bare = parts["forward"].get("bf16", parts["forward"][found["fastest"]])["bare_fps"]
        found["select_fps"] = parts["select"]["marginal_fps"]
        found["busy_share"] = parts["select"]["marginal_fps"] / bare
        found["gpu_use_percent"] = parts["select"]["gpu_use_percent"]
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path, default=RESULT)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--seconds", type=float, default=450.0, help="0 = without limit")
    parser.add_argument("--small", action="store_true", help="a network and frames for a CPU")
    parser.add_argument("--fresh", action="store_true", help="do not go on with what is there")
    given = parser.parse_args()
    make = small if given.small else whole
    extra = {} if given.small else {"compiled": True}
    setting = make(given.device, given.seconds, **extra)
    plain = json.loads(json.dumps({k: v for k, v in asdict(setting).items() if k != "seconds"}))
    record: dict[str, Any] = {}
    if given.json.exists() and not given.fresh:
        record = json.loads(given.json.read_text(encoding="utf-8"))
    if record.get("setting") != plain:
        record = {"setting": plain, "machine": machine(given.device), "seeds": [1, 3, 5, 11]}
        record |= {"parts": {}, "seconds": {}, "left_out": {}}
    measure(setting, given.only.split(","), record, given.json)
    record["summary"] = summary(record)
    given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record["summary"], indent=2))


if __name__ == "__main__":
    main()
