"""Train the checkpoints that the package ships, ``scenes-tiny`` and ``scenes-day``.

    python tools/train_scenes_tiny.py
    python tools/train_scenes_tiny.py --recipe scenes-day

Everything follows from the seeds: of the clips that are trained on, and of those that it is judged
on. The options, six epochs of one cosine among them, were fixed before the training; whether its
checkpoint takes the place of the former one is decided by the clips of the validation seed, and the
test seed decides nothing. Writes the checkpoint and the record of how good it is.

``scenes-day`` is the same network, trained by day on streets without wheelchairs: a deployed model
that has never seen what new footage holds. It does not know the class.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from vidal import scenes
from vidal.detect import DetectOptions, TrainOptions, fresh_detector, load_detector
from vidal.detect.faster_rcnn import FasterRCNNDetector
from vidal.detect.load import shipped_checkpoint
from vidal.evaluate.average_precision import evaluate_detections
from vidal.report.query_files import plain
from vidal.scenes import SceneSpec
from vidal.types import Annotations, Detections, Frame, FrameRef, Sample

FP32 = DetectOptions(precision="fp32")
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Recipe:
    """What a checkpoint is trained on.

    Attributes:
        classes: that it knows.
        shares: of the subsets. Rarer ones are more frequent in ``scenes-tiny`` than in the table:
            every class and light has to be learned.
        dark: every so many clips one plays at night whatever its subset, so that there are people
            in the dark; 0 = none.
        clips, epochs, seed: of the training.
    """

    classes: tuple[str, ...]
    shares: Mapping[str, float]
    dark: int
    clips: int
    epochs: int
    seed: int

    def is_dark(self, number: int) -> bool:
        """Whether this clip plays at night, whatever its subset."""
        return self.dark > 0 and number % self.dark == self.dark - 1


RECIPES = {
    "scenes-tiny": Recipe(
        scenes.CLASSES,
        {"default": 5.0, "town": 3.0, "night": 1.0, "wheelchair": 3.0},
        dark=6,
        clips=150,
        epochs=6,
        seed=1908,
    ),
    "scenes-day": Recipe(
        ("car", "pedestrian", "cyclist"),
        {"default": 5.0, "town": 3.0},
        dark=0,
        clips=90,
        epochs=5,
        seed=1909,
    ),
}


def training_specs(recipe: Recipe) -> list[tuple[SceneSpec, int]]:
    """Clips to train on and the step between the frames used: a fifth of them at 25 frames/s."""
    fast, seed = recipe.clips // 5, recipe.seed
    slow = scenes.plan(recipe.clips - fast, seed, shares=recipe.shares, frames=(45, 75), rate=10)
    quick = scenes.plan(fast, seed + 1, shares=recipe.shares, frames=(90, 150), rate=25)
    every = [(spec, 3) for spec in slow] + [(spec, 8) for spec in quick]
    return [
        (replace(spec, condition="night") if recipe.is_dark(number) else spec, step)
        for number, (spec, step) in enumerate(every)
    ]


def test_specs(clips: int, seed: int) -> list[tuple[SceneSpec, int]]:
    """Clips to judge on: three in four of the test split, the others with wheelchairs."""
    chairs = clips // 4
    plain = scenes.plan(clips - chairs, seed, split="test", frames=(50, 70), rate=10)
    special = scenes.plan(chairs, seed, split="test-wheelchair", frames=(50, 70), rate=10)
    return [(spec, 4) for spec in plain + special]


def rendered(specs: Sequence[tuple[SceneSpec, int]]) -> list[list[Sample]]:
    """The samples of each clip, every ``step``-th frame."""
    clips = []
    for spec, step in specs:
        clip = []
        for index, (image, truth) in enumerate(scenes.render(spec)):
            if index % step == 0:
                unmarked = np.zeros(len(truth.boxes), dtype=np.bool_)
                clip.append(Sample(image, truth.boxes, truth.labels, unmarked))
        clips.append(clip)
    return clips


def judge(detector: FasterRCNNDetector, clips: Sequence[Sequence[Sample]]) -> Mapping[str, Any]:
    """AP50 (all points, detections above 0.05) on rendered clips, of the classes that it knows."""
    known = [scenes.CLASSES.index(name) for name in detector.classes]
    place = np.array([known.index(n) if n in known else -1 for n in range(len(scenes.CLASSES))])
    pairs: list[tuple[Detections, Annotations]] = []
    for clip in clips:
        frames = [Frame(FrameRef("test", n), sample.image) for n, sample in enumerate(clip)]
        counts = [len(sample.boxes) for sample in clip]
        total = sum(counts)
        truth = Annotations(
            classes=detector.classes,
            labelled=np.ones(len(clip), dtype=np.bool_),
            frame=np.repeat(np.arange(len(clip)), counts),
            boxes=np.concatenate([sample.boxes for sample in clip]),
            labels=place[np.concatenate([sample.labels for sample in clip])],
            track=np.full(total, -1),
            ignore=np.zeros(total, dtype=np.bool_),
        )
        pairs.append((detector.detect(frames), truth))
    return evaluate_detections(pairs, classes=detector.classes).as_dict()


def judged_on(detector: FasterRCNNDetector, clips: int, seed: int) -> dict[str, Any]:
    """How good it is on rendered clips of a seed."""
    test = rendered(test_specs(clips, seed))
    frames = sum(len(clip) for clip in test)
    return {"seed": seed, "clips": len(test), "frames": frames, **judge(detector, test)}


def machine() -> dict[str, Any]:
    """Where and with what this was measured."""
    return {
        "processor": torch.cpu.get_capabilities().get("cpu_name", platform.machine()),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="scenes-tiny")
    parser.add_argument("--test-clips", type=int, default=32)
    parser.add_argument("--validation-seed", type=int, default=6001)
    parser.add_argument("--test-seed", type=int, default=7001)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="file that keeps the training between epochs")
    parser.add_argument("--out", type=Path, help="default: the file in the package")
    parser.add_argument("--result", type=Path, help="default: the file in tools/results")
    parser.add_argument("--note", default="", help="what was unusual about the run, for the record")
    parser.add_argument("--judge", action="store_true", help="do not train: judge --out again")
    asked = parser.parse_args()
    asked.out = asked.out or shipped_checkpoint(asked.recipe)
    asked.result = asked.result or RESULTS / f"{asked.recipe.replace('-', '_')}.json"
    return asked


def fitted(asked: argparse.Namespace) -> tuple[FasterRCNNDetector, dict[str, Any]]:
    """Render, train; the detector and how it came about."""
    recipe = RECIPES[asked.recipe]
    resumed = asked.keep is not None and asked.keep.exists()
    started = time.perf_counter()
    clips = rendered(training_specs(recipe))
    samples = [sample for clip in clips for sample in clip]
    made = time.perf_counter()
    print(f"{len(samples)} frames of {len(clips)} clips in {made - started:.0f} s", flush=True)
    options = TrainOptions(epochs=recipe.epochs, batch=4, lr=1.5e-3, weight_decay=1e-3, ema=0.999)
    rng = np.random.default_rng(recipe.seed)
    detector = fresh_detector(
        "scenes-tiny", recipe.classes, rng, device="cpu", options=FP32, training=options
    )

    def report(step: Mapping[str, float]) -> None:
        if step["step"] % 100 == 0:
            done = f"{step['step']:.0f}/{step['steps']:.0f}"
            print(f"{done} {step['loss']:.3f} {time.perf_counter() - made:.0f} s", flush=True)

    detector = detector.fit(samples, rng, report, keep=asked.keep)
    return detector, {
        "seed": recipe.seed,
        "clips": len(clips),
        "frames": len(samples),
        "seconds": round(time.perf_counter() - made),
        "resumed": resumed,
        "note": asked.note,
        "options": asdict(options),
    }


def main() -> None:
    """Train or load, judge, write."""
    asked = arguments()
    torch.set_num_threads(asked.threads)
    if asked.judge:
        detector = load_detector("scenes-tiny", weights=asked.out, device="cpu", options=FP32)
        how = dict(detector.notes.get("train", {}))
    else:
        detector, how = fitted(asked)
        detector.save(asked.out, {"train": how})
    judged = {
        name: judged_on(detector, asked.test_clips, seed)
        for name, seed in (("validation", asked.validation_seed), ("test", asked.test_seed))
    }
    record = {
        "detector": asked.recipe,
        "weights": detector.key["weights"],
        "parameters": sum(each.numel() for each in detector.network.parameters()),
        "train": how,
        **judged,
        "machine": machine(),
    }
    detector.save(asked.out, {"train": how, **judged})
    asked.result.write_text(
        json.dumps(plain(record), indent=2, allow_nan=False) + "\n", encoding="utf-8"
    )
    print(json.dumps(plain(judged), indent=2, allow_nan=False))


if __name__ == "__main__":
    main()
