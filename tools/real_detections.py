"""Real detectors with real ground truth, for benchmarks: KITTI tracking text and traffic cameras.

root/kitti_tracking/{label_02,rrc2d_car,rrc2d_pedestrian,pointrcnn_car}/*.txt.gz
root/video/tfl_jamcam/*/{gt.jsonl,yolox_nano_416.jsonl,video.mp4}
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import batched_nms

from vidal.evidence.clips import open_clips
from vidal.evidence.places import Engines
from vidal.formats import kitti_tracking
from vidal.protocols import Motion
from vidal.track import FlowField, FlowMeter, FlowOptions
from vidal.track.kalman import KalmanMotion
from vidal.types import Annotations, Detections
from vidal.video import read_frames

KITTI = {
    "RRC car": ("rrc2d_car", "Car", "Van"),
    "RRC pedestrian": ("rrc2d_pedestrian", "Pedestrian", "Person_sitting"),
    "PointRCNN car": ("pointrcnn_car", "Car", "Van"),
}
"""Name -> folder of detections, class, neighbouring class that is an ignore region."""
TFL = "YOLOX-nano TfL"
CONFIGURATIONS = (*KITTI, TFL)
VEHICLES = ("car", "truck", "bus")
KITTI_SIZE = (375, 1242)
SUPPRESSION = 0.65
"""IoU above which, classes being merged, the weaker of two detections is a duplicate."""
LEAST_HEIGHT = 14
"""Pixels: lower boxes of the traffic cameras are neither objects nor errors."""


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """One clip of a detector's output with truth; ignored detections are left out."""

    name: str
    detections: Detections
    truth: Annotations
    motion: Motion
    size: tuple[int, int]


def sequences(root: Path, name: str, cache: Path) -> Iterator[Sequence]:
    """The clips of a configuration, in order of their names.

    Args:
        root: the folder of the data.
        name: one of ``CONFIGURATIONS``.
        cache: folder where the optical flow of videos is kept.
    """
    if name == TFL:
        yield from _tfl(root / "video" / "tfl_jamcam", cache)
        return
    folder, kind, neighbour = KITTI[name]
    for clip in kitti_tracking.read(root / "kitti_tracking", classes=(kind,), ignore=(neighbour,)):
        if not (clip.annotations.labels == 0).any():
            continue
        text = gzip.decompress(
            (root / "kitti_tracking" / folder / f"{clip.name}.txt.gz").read_bytes()
        ).decode()
        table = np.array([line.split(",") for line in text.split()], dtype=object)
        if folder == "pointrcnn_car":
            rows = table[:, [0, 2, 3, 4, 5, 6]].astype(np.float64)
            rows[:, 5] = 1 / (1 + np.exp(-rows[:, 5]))
        else:
            rows = table[:, :6].astype(np.float64)
        found = detections(rows, kind, clip.annotations.frames)
        yield Sequence(clip.name, found, clip.annotations, KalmanMotion.of(found), KITTI_SIZE)


def detections(rows: np.ndarray, kind: str, frames: int) -> Detections:
    """A table from rows of (frame, x1, y1, x2, y2, score)."""
    upright = (rows[:, 3] > rows[:, 1]) & (rows[:, 4] > rows[:, 2])
    rows = rows[upright & (rows[:, 5] > 0.05) & (rows[:, 0] < frames)]
    rows = rows[np.lexsort((-rows[:, 5], rows[:, 0]))]
    n = len(rows)
    return Detections(
        classes=(kind,),
        scanned=np.ones(frames, np.bool_),
        frame=rows[:, 0],
        boxes=rows[:, 1:5],
        scores=rows[:, 5],
        labels=np.zeros(n),
        probs=np.stack([rows[:, 5], 1 - rows[:, 5]], axis=1) if n else np.zeros((0, 2)),
        features=np.zeros((n, 0)),
        embedding=np.zeros((frames, 0)),
    )


def _tfl(root: Path, cache: Path) -> Iterator[Sequence]:
    for folder in sorted(path.parent for path in root.glob("*/gt.jsonl")):
        truth = [json.loads(line) for line in (folder / "gt.jsonl").read_text().splitlines()]
        output = folder / "yolox_nano_416.jsonl"
        found = [json.loads(line) for line in output.read_text().splitlines()]
        frames = len(found)
        rows = [
            (entry["frame"], *det["xyxy"], det["score"])
            for entry in found
            for det in entry["dets"]
            if det["label"] in VEHICLES and det["xyxy"][3] - det["xyxy"][1] >= LEAST_HEIGHT
        ]
        table = detections(np.array(rows, np.float64).reshape(-1, 6), "vehicle", frames)
        kept = batched_nms(*map(torch.from_numpy, _writable(table)), SUPPRESSION)
        table = table.keep(np.sort(kept.numpy()))
        motion, size = _flow(folder / "video.mp4", cache)
        yield Sequence(folder.name[:4], table, _objects(truth, frames), motion, size)


def _writable(table: Detections) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return table.boxes.copy(), table.scores.copy(), table.frame.copy()


def _objects(truth: list[dict], frames: int) -> Annotations:
    rows = [
        (entry["frame"], *box["xyxy"])
        for entry in truth
        for box in entry["boxes"]
        if box["xyxy"][2] > box["xyxy"][0] and box["xyxy"][3] > box["xyxy"][1]
    ]
    table = np.array(sorted(rows), np.float64).reshape(-1, 5)
    labelled = np.zeros(frames, np.bool_)
    labelled[[entry["frame"] for entry in truth]] = True
    low = table[:, 4] - table[:, 2] < LEAST_HEIGHT
    return Annotations(
        classes=("vehicle",),
        labelled=labelled,
        frame=table[:, 0],
        boxes=table[:, 1:],
        labels=np.zeros(len(table)),
        track=np.full(len(table), -1),
        ignore=low,
    )


def _flow(video: Path, cache: Path) -> tuple[FlowField, tuple[int, int]]:
    (clip,), _ = open_clips(
        video, engines=Engines(0, "cpu", detects=False), store=cache, image_rate=Fraction(10)
    )
    kept = cache / f"{video.parent.name}.npz"
    if not kept.exists():
        meter = FlowMeter(FlowOptions(), frames=clip.frames, size=clip.size)
        for frame in read_frames(clip):
            meter.push(frame)
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **meter.finish().arrays())
    with np.load(kept) as arrays:
        return FlowField.from_arrays(dict(arrays)), clip.size
