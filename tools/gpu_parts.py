"""Part of bench_gpu.py: what is measured, one function a part."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_material import detector_of, frames_of, samples_of, write_clip

from vidal.boxes import iou
from vidal.detect import training
from vidal.detect.device import arithmetic
from vidal.detect.faster_rcnn import FasterRCNNDetector
from vidal.detect.forward import TOGETHER
from vidal.detect.preprocess import fit, stacked
from vidal.detect.proposals import flatten_levels, propose, propose_together
from vidal.detect.stream import overlapped, table_of
from vidal.types import Detections, Frame

TOLERANCE = {"fp32": (0.99, 0.01), "tf32": (0.97, 0.03), "bf16": (0.9, 0.1), "fp16": (0.95, 0.05)}
"""Least share of boxes that both find (class and IoU > 0.8), and how far their scores may differ
at the 99th percentile, against fp32 on the processor."""
SURE = 0.1
"""Weaker boxes come and go with rounding, and are not compared."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured.

    Attributes:
        device: as of ``--device``.
        network: by name.
        size: (H, W) of the frames.
        frames: of a forward measurement.
        clips, length: of the selection.
        precisions: measured.
        batches: frames in one forward pass, measured.
        steps: of training.
        seconds: all parts together; parts that no time is left for are left out, and say so.
    """

    device: str
    network: str
    size: tuple[int, int]
    frames: int
    clips: int
    length: int
    precisions: tuple[str, ...]
    batches: tuple[int, ...]
    steps: int
    seconds: float
    compiled: bool = False

    @property
    def gpu(self) -> bool:
        """Whether the device is one."""
        return self.device.startswith("cuda")

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.gpu:
            torch.cuda.synchronize()


def rate(setting: Setting, work: Callable[[], object], frames: int, rounds: int = 3) -> float:
    """Frames a second, the median of some rounds after one that warms up."""
    spent = []
    for _ in range(rounds + 1):
        setting.wait()
        began = time.perf_counter()
        work()
        setting.wait()
        spent.append(time.perf_counter() - began)
    return frames / statistics.median(spent[1:])


def _groups(frames: Sequence[Frame], size: int) -> list[list[Frame]]:
    return [list(frames[first : first + size]) for first in range(0, len(frames), size)]


def part_forward(setting: Setting) -> dict[str, Any]:
    """The bare loop (frames on the device, rows stay there) against ``detect`` from memory."""
    frames, found = frames_of(setting.frames, setting.size), {}
    for precision in setting.precisions:
        detector = detector_of(setting.network, setting.device, precision, frames)
        together = TOGETHER[detector.device.type]
        groups = _groups(frames, together)
        there = [stacked([f.image for f in group], detector.device) for group in groups]
        bare = rate(setting, lambda: [detector._forward(each) for each in there], len(frames))  # noqa: B023
        streamed = rate(setting, lambda: list(detector.stream(groups)), len(frames))  # noqa: B023
        one = rate(setting, lambda: [detector.detect(each) for each in groups], len(frames))  # noqa: B023
        found[precision] = {
            "bare_fps": bare,
            "stream_fps": streamed,
            "detect_fps": one,
            "stream_share": streamed / bare,
            "boxes_a_frame": len(detector.detect(groups[0])) / len(groups[0]),
        }
    return found


def part_batch(setting: Setting) -> dict[str, Any]:
    """Frames a second of the bare loop, by frames in one forward pass; and the peak of memory."""
    frames = frames_of(max(setting.batches), setting.size)
    detector = detector_of(setting.network, setting.device, "auto", frames)
    found = {}
    for batch in setting.batches:
        if setting.gpu:
            torch.cuda.reset_peak_memory_stats()
        there = stacked([frame.image for frame in frames[:batch]], detector.device)
        fps = rate(setting, lambda: detector._forward(there), batch)  # noqa: B023
        peak = torch.cuda.max_memory_allocated() / 2**20 if setting.gpu else None
        found[str(batch)] = {"fps": fps, "peak_mib": peak}
    return found


def part_stages(setting: Setting) -> dict[str, Any]:
    """Milliseconds a frame of each part of the forward pass, waited for one by one."""
    frames = frames_of(TOGETHER["cuda" if setting.gpu else "cpu"], setting.size)
    detector = detector_of(setting.network, setting.device, "auto", frames)
    images = [frame.image for frame in frames]
    rounds = [_stages(setting, detector, images) for _ in range(4)][1:]
    names = rounds[0].keys()
    return {n: 1000 * statistics.median(r[n] for r in rounds) / len(frames) for n in names}


@torch.inference_mode()
def _stages(
    setting: Setting, detector: FasterRCNNDetector, images: Sequence[Any]
) -> dict[str, float]:
    network, heads = detector.network, detector.network.roi_heads
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        setting.wait()
        began = time.perf_counter()
        with arithmetic(detector.options.precision, detector.device):
            result = work()
        setting.wait()
        spent[name] = time.perf_counter() - began
        return result

    pixels = timed("stack and copy", lambda: stacked(images, detector.device))
    batch, size = timed("prepare", lambda: fit(pixels, network.transform))
    maps = timed("backbone", lambda: network.backbone(batch))
    levels = list(maps.values())
    scores, offsets = timed("proposal head", lambda: network.rpn.head(levels))
    counts = [each.shape[1] * each.shape[2] * each.shape[3] for each in scores]
    anchors = detector._forward._anchors(batch, levels, size)
    flat = flatten_levels(scores, 1).squeeze(2), flatten_levels(offsets, 4)
    find = propose_together if setting.gpu else propose
    found = timed(
        "proposals",
        lambda: find(network.rpn, *flat, anchors, counts, [size] * len(images)),
    )
    boxes = list(found[0]) if setting.gpu else found
    padded = [(batch.shape[2], batch.shape[3])] * len(images)
    pooled = timed("pooling", lambda: heads.box_roi_pool(maps, boxes, padded))
    timed("box head", lambda: heads.box_predictor(heads.box_head(pooled)))
    whole = timed("all of it", lambda: detector._forward(pixels))
    timed("rows to memory", lambda: [each.cpu() for each in whole])
    return spent


def part_compile(setting: Setting) -> dict[str, Any]:
    """The same network, compiled."""
    frames = frames_of(TOGETHER["cuda" if setting.gpu else "cpu"], setting.size)
    began = time.perf_counter()
    detector = detector_of(setting.network, setting.device, "auto", frames)
    plain = detector._forward
    detector = replace(detector, options=replace(detector.options, compile=True), _cache={})
    detector.warm(setting.size)
    setting.wait()
    spent = time.perf_counter() - began
    there = stacked([frame.image for frame in frames], detector.device)
    return {
        "compile_s": spent,
        "plain_fps": rate(setting, lambda: plain(there), len(frames)),
        "compiled_fps": rate(setting, lambda: detector._forward(there), len(frames)),
    }


def part_agree(setting: Setting) -> dict[str, Any]:
    """Whether the device finds what fp32 on the processor finds, within the stated tolerance.

    On a processor the way of GPUs is compared: copies beside the work, arrays of one shape.
    """
    found: dict[str, Any] = {}
    for network in dict.fromkeys(("scenes-tiny", setting.network)):
        size = (300, 480) if network == "scenes-tiny" else setting.size
        frames = frames_of(min(setting.frames, 8), size)
        here = detector_of(network, "cpu", "fp32", frames)
        expected = here.detect(frames)
        for precision in setting.precisions:
            options = replace(here.options, precision=precision)
            there = detector_of(network, setting.device, precision, frames)
            there.network.load_state_dict(here.network.state_dict())
            there = replace(there, options=options, _cache={})
            own = _by_way_of_gpus(there, frames)
            share, apart = agreement(expected, own)
            least, most = TOLERANCE[precision]
            ok = share >= least and apart <= most
            row = {"share": share, "score_99": apart, "tolerance": [least, most], "agree": ok}
            found[f"{network} {precision}"] = row
    return found


def _by_way_of_gpus(detector: FasterRCNNDetector, frames: Sequence[Frame]) -> Detections:
    forward = replace(detector._forward, together=True)

    def finish(parts: list[Any], count: int) -> Detections:
        return table_of(parts, count, detector.classes)

    return next(overlapped([frames], forward, finish, detector.device, len(frames)))


def agreement(one: Detections, other: Detections) -> tuple[float, float]:
    """Share of sure boxes of either that the other has, too, and how far their scores differ."""
    hits, total, apart = 0, 0, [0.0]
    for mine, theirs in ((one, other), (other, one)):
        for frame in range(mine.frames):
            a, b = mine.keep(mine.frame == frame), theirs.keep(theirs.frame == frame)
            sure = a.keep(a.scores > SURE)
            total += len(sure)
            if not len(sure) or not len(b):
                continue
            near = iou(sure.boxes, b.boxes) * (sure.labels[:, None] == b.labels)
            best = near.argmax(axis=1)
            hit = near.max(axis=1) > 0.8
            hits += int(hit.sum())
            apart += np.abs(sure.scores - b.scores[best])[hit].tolist()
    return hits / max(1, total), float(np.percentile(apart, 99))


def part_training(setting: Setting) -> dict[str, Any]:
    """Steps a second, by arithmetic, with samples made in turn and by threads ahead."""
    frames = frames_of(4 * setting.steps, setting.size)
    samples, found = samples_of(frames), {}
    for precision in setting.precisions:
        for loaders in (0, None if setting.gpu else 2):
            detector = detector_of(setting.network, setting.device, precision, frames)
            options = replace(
                detector.training, epochs=2, batch=4, precision=precision, loaders=loaders, ema=0.0
            )
            state = training.begin(detector.network, options, 0)
            training.run_epoch(state, samples)
            setting.wait()
            began = time.perf_counter()
            training.run_epoch(state, samples)
            setting.wait()
            way = "in turn" if loaders == 0 else "ahead"
            found[f"{precision} {way}"] = setting.steps / (time.perf_counter() - began)
    return found


def part_select(setting: Setting) -> dict[str, Any]:
    """Whole selections: from two numbers of clips, what one frame more costs, and the GPU's share.

    Start and end of a run fall out of the difference; what is left is decoding, detection, flow,
    verdicts and writing, as they overlap.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        frames = frames_of(setting.length, setting.size)
        weights = root / "weights.safetensors"
        detector_of(setting.network, setting.device, "auto", frames).save(weights)
        runs = []
        for clips in (max(1, setting.clips // 3), setting.clips):
            videos = root / str(clips)
            videos.mkdir()
            for number in range(clips):  # other content each: equal clips would be one
                write_clip(videos / f"{number}.mp4", frames[number:] + frames[:number])
            runs.append((clips * setting.length, *_select(setting, videos, weights, root / "out")))
            shutil.rmtree(root / "out")
    (few, short, _), (many, long, use) = runs
    return {
        "workers": "as many as suit",
        "frames": [few, many],
        "seconds": [short, long],
        "marginal_fps": (many - few) / max(1e-9, long - short),
        "whole_fps": many / long,
        "gpu_use_percent": use,
    }


def _select(setting: Setting, videos: Path, weights: Path, out: Path) -> tuple[float, Any]:
    """Seconds of one run, and what nvidia-smi says of the GPU's use in its middle half."""
    watch = _watch() if setting.gpu else None
    began = time.perf_counter()
    command = [sys.executable, "-m", "vidal", "select", "--videos", str(videos), "--budget", "2%"]
    command += ["--weights", str(weights), "--device", setting.device, "--out", str(out)]
    command += ["--quiet", "--no-report", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    spent = time.perf_counter() - began
    assert json.loads(done.stdout)["selected"] > 0
    return spent, None if watch is None else _used(watch)


def _watch() -> Any:
    """nvidia-smi, which says every 200 ms how busy the GPU was; None where there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    return subprocess.Popen(
        [*query, "-lms", "200", "-i", os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]],
        stdout=subprocess.PIPE,
        text=True,
    )


def _used(watch: Any) -> float | None:
    """Mean use in the middle half of the time in which it was used at all."""
    watch.terminate()
    told = [int(line) for line in watch.communicate()[0].split() if line.isdecimal()]
    busy = [at for at, percent in enumerate(told) if percent > 5]
    if not busy:
        return None
    first, last = busy[0], busy[-1] + 1
    quarter = (last - first) // 4
    return statistics.mean(told[first + quarter : max(first + quarter + 1, last - quarter)])


PARTS: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "agree": part_agree,
    "forward": part_forward,
    "stages": part_stages,
    "select": part_select,
    "batch": part_batch,
    "training": part_training,
    "compile": part_compile,
}
"""In the order in which they matter, should the time not suffice."""
