"""What evidence costs after detection and flow, stage by stage, where weak detections are many.

    python tools/bench_evidence.py --data /path/to/video/tfl_jamcam [--json FILE]

The traffic-camera clips of `DATA/<clip>/video.mp4` with all detections of `yolox_nano_416.jsonl`,
down to a score of 0.05, and one of them with every box twice. CPU milliseconds a frame, the best of
five, in one process. `cut` is the whole estimate of temporal coherence, `prior` the sums by frame
with what the shipped trees expect of every row.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vidal.coherence import CoherenceOptions
from vidal.evidence.estimates import estimate_window, evidence_of
from vidal.evidence.motion import carry, reach_of
from vidal.evidence.summary import SummaryOptions, summarise
from vidal.evidence.windows import Window
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.track import FlowField, FlowMeter, FlowOptions
from vidal.types import Clip, Detections
from vidal.video import open_clip, read_frames

COHERENCE, EXPECTED = CoherenceOptions(), ExpectedErrorsOptions()


def best(work: Callable[[], Any], times: int = 5) -> tuple[float, Any]:
    """Least CPU milliseconds of a call, and what it returned."""
    least = float("inf")
    for _ in range(times):
        started = time.process_time()
        result = work()
        least = min(least, 1000 * (time.process_time() - started))
    return least, result


def detections(clip: Clip, file: Path) -> Detections:
    """All of them, whatever their class."""
    rows, classes = [], dict[str, int]()
    for line in file.read_text("utf-8").splitlines():
        entry = json.loads(line)
        for found in entry["dets"]:
            x1, y1, x2, y2 = found["xyxy"]
            if entry["frame"] < clip.frames and x2 > x1 and y2 > y1:
                label = classes.setdefault(found["label"], len(classes))
                rows.append((entry["frame"], x1, y1, x2, y2, found["score"], label))
    table = np.array(sorted(rows))
    labels = table[:, 6].astype(np.int64)
    probs = np.zeros((len(table), len(classes) + 1))
    probs[np.arange(len(table)), labels] = table[:, 5]
    probs[:, -1] = 1 - table[:, 5]
    return Detections(
        classes=tuple(classes),
        scanned=np.ones(clip.frames, np.bool_),
        frame=table[:, 0].astype(np.int64),
        boxes=table[:, 1:5].astype(np.float32),
        scores=table[:, 5].astype(np.float32),
        labels=labels,
        probs=probs.astype(np.float16),
        features=np.zeros((len(table), 0)),
        embedding=np.zeros((clip.frames, 0)),
    )


def doubled(table: Detections) -> Detections:
    """Beside every box a weak one that is shifted a little."""
    rng, count = np.random.default_rng(1), len(table)
    order = np.argsort(np.tile(table.frame, 2), kind="stable")
    twice = table.keep(np.arange(count))
    side = np.tile(table.boxes[:, 2:] - table.boxes[:, :2], (1, 2))
    moved = table.boxes + rng.normal(0, 0.15, (count, 4)).astype(np.float32) * side
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    weak = rng.uniform(0.05, 0.2, count).astype(np.float32)
    return replace(
        twice,
        frame=np.tile(table.frame, 2)[order],
        boxes=np.concatenate([table.boxes, moved])[order],
        scores=np.concatenate([table.scores, weak])[order],
        labels=np.tile(table.labels, 2)[order],
        probs=np.tile(table.probs, (2, 1))[order],
        features=np.tile(table.features, (2, 1))[order],
    )


def flow_of(clip: Clip) -> FlowField:
    """Measured, not counted."""
    meter = FlowMeter(FlowOptions(), frames=clip.frames, size=clip.size)
    for frame in read_frames(clip):
        meter.push(frame)
    return meter.finish()


def cases(root: Path) -> Iterator[tuple[str, Clip, Detections, FlowField]]:
    """Name, clip, detections and flow; the clip with most detections once more, doubled."""
    found = []
    for folder in sorted(path.parent for path in root.glob("*/yolox_nano_416.jsonl")):
        clip = open_clip(folder / "video.mp4")
        table = detections(clip, folder / "yolox_nano_416.jsonl")
        found.append((folder.name[:4], clip, table, flow_of(clip)))
    yield from found
    name, clip, table, flow = max(found, key=lambda each: len(each[2]) / each[2].frames)
    yield f"{name}, doubled", clip, doubled(table), flow


def measured(clip: Clip, table: Detections, flow: FlowField) -> dict[str, float]:
    """Milliseconds a frame by stage."""
    whole, options = Window(0, table.frames), SummaryOptions(0.5, 0.05, EXPECTED)
    reach = reach_of(COHERENCE, EXPECTED)
    carrying, carried = best(lambda: carry(table, flow, reach, clip.size, whole))
    cutting, said = best(lambda: estimate_window(table, carried, COHERENCE, None, size=clip.size))
    looking, rows = best(lambda: evidence_of(table, carried, said, EXPECTED, size=clip.size))
    asking, _ = best(lambda: summarise(table, said, rows, options))
    stages = {"carry": carrying, "cut": cutting, "evidence": looking, "prior": asking}
    each = {name: round(value / table.frames, 3) for name, value in stages.items()}
    boxes = round(len(table) / table.frames, 1)
    return {"boxes a frame": boxes, **each, "all": round(sum(stages.values()) / table.frames, 3)}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = {name: measured(clip, *rest) for name, clip, *rest in cases(given.data)}
    text = json.dumps(figures, indent=1)
    print(text)
    if given.json is not None:
        given.json.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
