"""Training and evaluation against a bare torchvision loop: images a second, and their ratio.

Both sides have the same network with the same weights, the same frames (decoded before the clock
starts), batch and precision, and take turns, so that a busy machine slows both. The bare loop is
what torchvision's own reference does: ``model(images, targets)``, sum of the losses, backward,
step; a mirrored image half of the time. vidal's side also magnifies and brightens images, clips the
gradient and averages the weights.

    python tools/bench_train.py --frames 48 --turns 3 --out tools/results/bench_train.json
"""

from __future__ import annotations

import copy
import json
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from vidal.detect import training
from vidal.detect.device import choose_device, use_bf16
from vidal.detect.load import fresh_detector
from vidal.formats import coco_video
from vidal.scenes import CLASSES, plan
from vidal.scenes.scene_files import write_scenes
from vidal.selection.notes import versions
from vidal.types import Frame, Sample
from vidal.video import open_clip, read_frames

BATCH = 4


def load(folder: Path, frames: int) -> tuple[list[Frame], list[Sample]]:
    """Rendered frames and the same as samples."""
    write_scenes(folder, plan(4, 17, frames=(-(-frames // 4), -(-frames // 4))))
    truth = {Path(e.name).name: e for e in coco_video.read(folder / "labels.coco.json")}
    found, samples = [], []
    for path in sorted((folder / "clips").glob("*.mp4")):
        table = truth[path.stem].annotations
        for frame in read_frames(open_clip(path)):
            rows = table.on(frame.ref.index)
            found.append(frame)
            samples.append(
                Sample(frame.image, table.boxes[rows], table.labels[rows], table.ignore[rows])
            )
    return found[:frames], samples[:frames]


def bare_epoch(network: Any, samples: Sequence[Sample], device: torch.device, bf16: bool) -> None:
    """One epoch as torchvision's reference trains."""
    rng = np.random.default_rng(0)
    network.train()
    weights = [each.requires_grad_(True) for each in network.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=1e-4)
    order = rng.permutation(len(samples))
    for first in range(0, len(order), BATCH):
        images, targets = [], []
        for at in order[first : first + BATCH]:
            image, target = bare_sample(samples[at], mirrored=bool(rng.random() < 0.5))
            images.append(image.to(device))
            targets.append({name: each.to(device) for name, each in target.items()})
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            losses = network(images, targets)
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()


def bare_sample(sample: Sample, *, mirrored: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """An image in [0, 1] and its target, as torchvision wants them."""
    image = torch.from_numpy(sample.image).permute(2, 0, 1).float() / 255
    boxes = torch.from_numpy(sample.boxes.copy())
    if mirrored:
        image = image.flip(-1)
        boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [2, 0]]
    return image, {"boxes": boxes, "labels": torch.from_numpy(sample.labels + 1)}


def bare_pass(network: Any, frames: Sequence[Frame], device: torch.device, bf16: bool) -> None:
    """Detections of all frames as torchvision gives them."""
    network.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for first in range(0, len(frames), BATCH):
            batch = frames[first : first + BATCH]
            images = [torch.from_numpy(each.image).permute(2, 0, 1) for each in batch]
            found = network([image.to(device).float() / 255 for image in images])
            [{name: each.cpu() for name, each in one.items()} for one in found]


def measure(sides: dict[str, Callable[[], None]], images: int, turns: int) -> dict[str, Any]:
    """Images a second of each side, by CPU and by wall time; the medians over turns."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name, work in sides.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            if turn:  # the first one warms up
                spent[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    rates = {
        name: {
            "images_per_second": images / float(np.median([wall for wall, _ in each])),
            "images_per_cpu_second": images / float(np.median([cpu for _, cpu in each])),
        }
        for name, each in spent.items()
    }
    ratios = {
        "ratio": rates["vidal"]["images_per_second"] / rates["bare"]["images_per_second"],
        "cpu_ratio": rates["vidal"]["images_per_cpu_second"]
        / rates["bare"]["images_per_cpu_second"],
    }
    return {**rates, **ratios}


@click.command()
@click.option("--frames", default=48, show_default=True)
@click.option("--turns", default=3, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--network", default="scenes-tiny", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=None)
def main(
    frames: int, turns: int, threads: int, device: str, network: str, out: Path | None
) -> None:
    """Measure both sides and print what was found."""
    torch.set_num_threads(threads)
    place = choose_device(device)
    bf16 = use_bf16("auto", place)
    with tempfile.TemporaryDirectory() as folder:
        images, samples = load(Path(folder), frames)
    detector = fresh_detector(network, CLASSES, np.random.default_rng(0), device=device)
    options = replace(detector.training, epochs=1, batch=BATCH)
    mine, theirs = copy.deepcopy(detector.network), copy.deepcopy(detector.network)
    fitted = {
        "vidal": lambda: training.run_epoch(training.begin(mine, options, 0), samples),
        "bare": lambda: bare_epoch(theirs, samples, place, bf16),
    }
    result = {
        "training": measure(fitted, len(samples), turns),
        "evaluation": measure(
            {
                "vidal": lambda: detector.detect(images) and None,
                "bare": lambda: bare_pass(theirs, images, place, bf16),
            },
            len(images),
            turns,
        ),
        "settings": {
            "network": network,
            "frames": len(images),
            "size": list(images[0].image.shape[:2]),
            "batch": BATCH,
            "threads": threads,
            "device": device,
            "bf16": bf16,
            "turns": turns,
            "anchors": options.anchors,
            "rois": options.rois,
        },
        "versions": versions(),
        "machine": platform.platform(),
    }
    text = json.dumps(result, indent=1)
    click.echo(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
