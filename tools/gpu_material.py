"""Part of bench_gpu.py: networks with random weights that behave like trained ones, and clips.

Nothing is downloaded: weights are drawn, statistics of batch normalisation are taken from the
frames, and the background is biased until about as many boxes come as a trained detector finds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch

from vidal import scenes
from vidal.detect import DetectOptions, fresh_detector, load_detector
from vidal.detect.architectures import ROAD_CLASSES
from vidal.detect.device import choose_device
from vidal.detect.faster_rcnn import FasterRCNNDetector
from vidal.detect.preprocess import prepare
from vidal.types import Frame, FrameRef, Sample

BOXES = 30
"""A frame, as a trained detector finds on a street."""


def frames_of(count: int, size: tuple[int, int], seed: int = 5) -> list[Frame]:
    """Rendered frames, enlarged to (H, W)."""
    (spec,) = scenes.plan(1, seed, split="test", frames=(count, count), rate=25)
    shown = [image for image, _ in scenes.render(spec)]
    if size != (300, 480):
        shown = [cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR) for image in shown]
    return [Frame(FrameRef(f"bench{seed}", n), np.asarray(im)) for n, im in enumerate(shown)]


def samples_of(frames: list[Frame]) -> list[Sample]:
    """Frames with a few boxes each, drawn from a fixed seed."""
    rng, made = np.random.default_rng(3), []
    for frame in frames:
        height, width = frame.image.shape[:2]
        low = rng.uniform(0, 0.6, (8, 2)) * (width, height)
        high = low + rng.uniform(0.05, 0.3, (8, 2)) * (width, height)
        boxes = np.concatenate([low, high], axis=1).astype(np.float32)
        made.append(Sample(frame.image, boxes, np.arange(8) % 2, np.zeros(8, np.bool_)))
    return made


def detector_of(
    name: str, device: str, precision: str, frames: list[Frame], *, compiled: bool = False
) -> FasterRCNNDetector:
    """A detector of that network: the shipped weights of ``scenes-tiny``, else random ones."""
    options = DetectOptions(precision=precision, compile=compiled)  # type: ignore[arg-type]
    if name == "scenes-tiny":
        return load_detector(name, device=device, options=options)
    rng = np.random.default_rng(11)
    made = fresh_detector(name, ROAD_CLASSES, rng, device=device, options=options)
    _wake(made, frames[:2], choose_device(device))
    return made


@torch.no_grad()
def _wake(detector: FasterRCNNDetector, frames: list[Frame], device: torch.device) -> None:
    """Statistics of the frames, scores that spread, and about ``BOXES`` boxes a frame."""
    network: Any = detector.network
    draw = torch.Generator().manual_seed(1)
    norms = [each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 0.5
    batch, _ = prepare([frame.image for frame in frames], network.transform, device)
    network.backbone.train()
    for _ in range(6):
        network.backbone(batch)
    network.eval()
    head = network.rpn.head
    predictor = network.roi_heads.box_predictor
    for layer in (head.cls_logits, head.bbox_pred, predictor.cls_score, predictor.bbox_pred):
        spread = torch.empty(layer.weight.shape).normal_(generator=draw)
        layer.weight.copy_(spread * (2.0 / layer.weight[0].numel() ** 0.5))
    head.bbox_pred.weight *= 0.2
    low, high = -20.0, 20.0
    for _ in range(12):  # more background, fewer boxes
        middle = (low + high) / 2
        predictor.cls_score.bias[0] = middle
        found = len(detector.detect(frames[:1]))
        low, high = (middle, high) if found > BOXES else (low, middle)


def write_clip(path: Path, frames: list[Frame]) -> None:
    """An H.264 file, encoded fast: what is measured is reading it."""
    height, width = frames[0].image.shape[:2]
    with av.open(str(path), "w") as file:
        options = {"preset": "ultrafast", "crf": "20", "g": "30"}
        stream: Any = file.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.image), format="rgb24")
            file.mux(stream.encode(shown))
        file.mux(stream.encode(None))
