"""How much ``detect`` adds to the network itself: both on the same frames, in the same run.

    python tools/bench_detect.py

The network itself is torchvision's own forward on float tensors that are already in memory; it
returns boxes, labels and scores. ``detect`` starts from uint8 frames and also gives the class
distribution and feature of every box and an embedding of every frame. Times are CPU seconds of
one thread (wall time of a shared machine says little); rounds alternate and the medians count.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from vidal import scenes
from vidal.detect import DetectOptions, load_detector
from vidal.types import Frame, FrameRef

RESULT = Path(__file__).parent / "results" / "detect.json"
BATCH = 4


def spent(work: Callable[[], object], frames: int) -> float:
    """CPU milliseconds a frame."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / frames * 1e3


def compare(frames: Sequence[Frame], precision: str, rounds: int) -> dict[str, Any]:
    """Medians of both, and their ratio."""
    options = DetectOptions(precision=precision)  # type: ignore[arg-type]
    detector = load_detector("scenes-tiny", device="cpu", options=options)
    tensors = [torch.from_numpy(f.image.copy()).permute(2, 0, 1).float() / 255 for f in frames]
    batches = [slice(first, first + BATCH) for first in range(0, len(frames), BATCH)]

    def bare() -> None:
        with (
            torch.inference_mode(),
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=detector.bf16),
        ):
            for batch in batches:
                detector.network(tensors[batch])

    def ours() -> None:
        for batch in batches:
            detector.detect(frames[batch])

    ours(), bare()
    pairs = [(spent(bare, len(frames)), spent(ours, len(frames))) for _ in range(rounds)]
    network, detect = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "precision": precision,
        "network_ms": round(network, 2),
        "detect_ms": round(detect, 2),
        "ratio": round(statistics.median(mine / base for base, mine in pairs), 3),
        "boxes_a_frame": round(len(detector.detect(frames)) / len(frames), 1),
    }


def main() -> None:
    """Render, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--result", type=Path, default=RESULT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    spec = scenes.plan(1, 7001, split="test", frames=(asked.frames, asked.frames), rate=10)[0]
    frames = [Frame(FrameRef("a", n), image) for n, (image, _) in enumerate(scenes.render(spec))]
    record = {
        "what": f"scenes-tiny, {asked.frames} frames of 480x300, batches of {BATCH}, 1 thread",
        "rows": [compare(frames, precision, asked.rounds) for precision in ("fp32", "bf16")],
        "machine": {
            "processor": torch.cpu.get_capabilities().get("cpu_name", platform.machine()),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }
    asked.result.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
