"""How `configs/scenes-shift.yaml` was made: learning rate and length of its trainings, chosen once.

    python tools/tune_shift.py
    python tools/tune_shift.py --rates 0.001 --steps 72 --labels 18 72 144 900
    python tools/tune_shift.py --rates 0.001 --steps 288 576 --labels 900

Clips of another seed than those of the experiment: a pool and validation clips of their own, so
that nothing of what the experiment is judged by has influenced a choice. The deployed model is
fitted to its start frames and to frames drawn at random, one a clip: every combination of rate and
steps at one number of labels, then the chosen one at other numbers, and all frames with more steps.
Points that are in the result already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from train_scenes_tiny import judge, machine, rendered

from vidal.campaign.config import CampaignConfig, load_config
from vidal.campaign.config_data import ScenesConfig
from vidal.campaign.rendered import PartName, specs_of
from vidal.detect import load_detector
from vidal.report.query_files import plain
from vidal.scenes import CLASSES
from vidal.types import Sample

RESULT = Path(__file__).parent / "results" / "shift_tuning.json"
POINT = ("seed", "labels", "lr", "steps")
"""What a point of the result is of."""
Clips = list[list[Sample]]


def clips_of(scenes: ScenesConfig, part: PartName, seed: int) -> Clips:
    """Rendered samples of every clip of a part, all frames."""
    return rendered([(spec, 1) for spec in specs_of(scenes, part, seed)])


def drawn(pool: Clips, labels: int, seed: int) -> list[Sample]:
    """Frames at random, one a clip and then a second one; of two seeds of labels the smaller draw
    is part of the larger one."""
    rng = np.random.default_rng([seed, 7])
    order = rng.permutation(len(pool))
    frames = np.stack([rng.permutation(min(len(clip) for clip in pool)) for _ in pool])
    places = [(clip, frames[clip, turn]) for turn in range(frames.shape[1]) for clip in order]
    return [pool[clip][frame] for clip, frame in places[:labels]]


def fitted(
    config: CampaignConfig, samples: Sequence[Sample], lr: float, steps: int, seed: int
) -> Any:
    """The deployed model after one training."""
    start = load_detector(config.detector.name, device="cpu")
    rng = np.random.default_rng([seed, 11])
    detector = start.with_classes(CLASSES, np.random.default_rng([seed, 12]))
    options = replace(detector.training, **{**config.training.given, "lr": lr, "steps": steps})
    return replace(detector, training=options, _cache={}).fit(list(samples), rng, None)


def measured(
    config: CampaignConfig, samples: Sequence[Sample], test: Clips, point: Mapping[str, Any]
) -> dict[str, Any]:
    """A point with its AP50 on the test clips."""
    began = time.process_time()
    model = fitted(config, samples, point["lr"], point["steps"], point["seed"])
    spent = time.process_time() - began
    report = judge(model, test)
    classes = {name: round(each["ap50"], 4) for name, each in report["classes"].items()}
    found = {"ap50": round(report["map50"], 4), "classes": classes}
    return {**point, **found, "core_seconds": round(spent, 1)}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/scenes-shift-full.yaml"))
    parser.add_argument("--scenes-seed", type=int, default=930)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100])
    parser.add_argument("--rates", type=float, nargs="*", default=[3e-4, 1e-3, 2e-3])
    parser.add_argument("--steps", type=int, nargs="*", default=[72, 144])
    parser.add_argument("--labels", type=int, nargs="+", default=[36])
    parser.add_argument("--result", type=Path, default=RESULT)
    return parser.parse_args()


def main() -> None:
    """Measure what is not measured yet; print and write."""
    asked = arguments()
    torch.set_num_threads(1)
    config = load_config(asked.config)
    assert config.data.scenes is not None
    scenes = config.data.scenes.model_copy(update={"seed": asked.scenes_seed})
    kept = json.loads(asked.result.read_text("utf-8")) if asked.result.exists() else {}
    points = kept.setdefault("points", [])
    known = {tuple(point[name] for name in POINT) for point in points}
    test = clips_of(scenes, "test", 0)
    for seed in asked.seeds:
        pool, start = clips_of(scenes, "train", seed), clips_of(scenes, "start", seed)
        frames = [sample for clip in start for sample in clip]
        for values in product([seed], asked.labels, asked.rates, asked.steps):
            if values in known:
                continue
            samples = [*frames, *drawn(pool, values[1], seed)]
            points.append(measured(config, samples, test, dict(zip(POINT, values, strict=True))))
            print(points[-1], flush=True)
            kept |= {"scenes_seed": asked.scenes_seed, "machine": machine()}
            text = json.dumps(plain(kept), indent=1, allow_nan=False)
            asked.result.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
