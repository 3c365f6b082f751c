"""Detectors of three strengths and what they see on rendered clips; for benchmarks.

    python tools/rendered_detectors.py --cache DIR

Trains, and keeps in DIR, what ``bench_expected_rendered.py`` compares: "weak" and "medium", from
fresh weights as a campaign would. "strong" is the checkpoint that the package ships.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from measure_estimates import rendered_clip

from vidal.detect.faster_rcnn import FasterRCNNDetector
from vidal.detect.load import fresh_detector, load_detector
from vidal.detect.options import TrainOptions
from vidal.evidence.gather import VERSIONS
from vidal.evidence.scan import scan_clip
from vidal.scenes import CLASSES, SceneSpec, annotations, plan, render
from vidal.store import FileStore, content_key, from_arrays, to_arrays
from vidal.track import FlowField, FlowMeter, FlowOptions
from vidal.types import Annotations, Clip, Detections, Frame, FrameRef, Sample

SEEDS = {"train": 9100, "pool and test": 9200, "weights": 9300}
RATES = (25, 10)
LENGTHS = (60, 100)
RECIPES = {"weak": (200, 9), "medium": (60, 45)}
"""Name -> labelled frames and epochs. The 60 frames are among the 200; so short a training on them
gives less than a longer one on fewer frames."""
SHIPPED = "strong"
SHARES = {"default": 6.0, "town": 3.0, "night": 1.0, "wheelchair": 2.0}
BATCH = 4
DETECTIONS = VERSIONS["detections"]
"""Kept tables are read while vidal computes them in the same way."""


def training_specs(rate: int) -> list[SceneSpec]:
    """Twelve clips to train on; as many more play at the other rate."""
    return plan(12, SEEDS["train"] + rate, shares=SHARES, frames=LENGTHS, rate=rate)


def held_out_specs(rate: int) -> tuple[list[SceneSpec], list[SceneSpec]]:
    """Twelve clips whose frames may be labelled and twelve to judge on, three with wheelchairs."""
    seed = SEEDS["pool and test"]
    plain = plan(18, seed, split="test", frames=LENGTHS, rate=rate)
    every = plain + plan(6, seed, split="test-wheelchair", frames=LENGTHS, rate=rate)
    return every[::2], every[1::2]


def labelled(rate: int, count: int) -> list[np.ndarray]:
    """(F,) bool for each training clip: half of ``count`` random frames are of either rate.

    Args:
        rate: of the clips.
        count: of both rates together.
    """
    specs = training_specs(rate)
    lengths = [spec.frames for spec in specs]
    drawn = np.random.default_rng([SEEDS["train"], rate]).permutation(sum(lengths))
    mask = np.zeros(sum(lengths), np.bool_)
    mask[drawn[: count // len(RATES)]] = True
    return np.split(mask, np.cumsum(lengths)[:-1])


@cache
def _library() -> Mapping[tuple[int, int, int], Sample]:
    """(rate, clip, frame) -> sample, of all frames that any training uses."""
    most, samples = max(count for count, _ in RECIPES.values()), {}
    for rate in RATES:
        for number, mask in enumerate(labelled(rate, most)):
            for index, (image, truth) in enumerate(render(training_specs(rate)[number])):
                if mask[index]:
                    plain = np.zeros(len(truth.boxes), np.bool_)
                    sample = Sample(image, truth.boxes, truth.labels, plain)
                    samples[rate, number, index] = sample
    return samples


def trained(name: str, folder: Path) -> FasterRCNNDetector:
    """The detector of that name: from the folder, or trained and kept there.

    Args:
        name: of ``RECIPES``, or ``SHIPPED``.
        folder: keeps weights, and the state of a training between epochs.
    """
    if name == SHIPPED:
        return load_detector("scenes-tiny", device="cpu")
    count, epochs = RECIPES[name]
    stem = f"{name.replace(' ', '-')}-{count}-{epochs}"
    path = folder / f"{stem}.safetensors"
    if not path.exists():
        _train(count, epochs, path)
    return load_detector("scenes-tiny", weights=path, device="cpu")


def untrained(epochs: int, rng: np.random.Generator) -> FasterRCNNDetector:
    """What a training starts from: random weights, and the options of such trainings."""
    options = TrainOptions(lr=2e-3, batch=4, epochs=epochs)
    return fresh_detector("scenes-tiny", CLASSES, rng, device="cpu", training=options)


def _train(count: int, epochs: int, path: Path) -> None:
    frames = [
        (rate, number, int(index))
        for rate in RATES
        for number, mask in enumerate(labelled(rate, count))
        for index in np.flatnonzero(mask)
    ]
    rng = np.random.default_rng(SEEDS["weights"])
    start = untrained(epochs, rng)
    samples = [_library()[key] for key in frames]
    tell = _teller(path.stem, time.process_time())
    result = start.fit(samples, rng, tell, keep=path.with_suffix(".state"))
    result.save(path, {"frames": len(frames), "epochs": epochs})


def _teller(name: str, begun: float) -> Callable[[Mapping[str, float]], None]:
    def tell(step: Mapping[str, float]) -> None:
        if step["step"] % 50 == 0 or step["step"] == step["steps"]:
            done = f"{step['step']:.0f}/{step['steps']:.0f}"
            spent = time.process_time() - begun
            print(f"{name} {done}: loss {step['loss']:.3f}, {spent:.0f} core-s", flush=True)

    return tell


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One rendered clip as a detector sees it, its motion, and its truth."""

    spec: SceneSpec
    detections: Detections
    motion: FlowField
    truth: Annotations


def scan(
    spec: SceneSpec, detectors: Mapping[str, FasterRCNNDetector], folder: Path
) -> dict[str, Scan]:
    """The clip as each detector sees it; rendered only where something is not in the folder."""
    store, inputs = FileStore(folder), [repr(spec)]
    options = FlowOptions()
    places = {
        name: content_key("detections", DETECTIONS, inputs, detector.key)
        for name, detector in detectors.items()
    }
    flow_at, truth_at = (
        content_key("flow", 1, inputs, options.key),
        content_key("truth", 1, inputs, {}),
    )
    missing = [name for name, key in places.items() if not store.path(key).exists()]
    if missing or not store.path(flow_at).exists() or not store.path(truth_at).exists():
        clip, frames, truth = _rendered(spec)
        store.put(truth_at, to_arrays(truth))
        if not store.path(flow_at).exists():
            store.put(flow_at, _look(clip, frames, None, options)[1].arrays())
        for name in missing:
            found = _look(clip, frames, detectors[name], None)[0]
            # Nothing here reads features, and they are most of the bytes.
            short = replace(found, features=np.zeros((len(found), 0), np.float16))
            store.put(places[name], to_arrays(short))
    motion = FlowField.from_arrays(
        _must(store.get(flow_at)), mode=options.mode, scale=options.scale
    )
    truth = from_arrays(Annotations, _must(store.get(truth_at)))
    return {
        name: Scan(spec, from_arrays(Detections, _must(store.get(key))), motion, truth)
        for name, key in places.items()
    }


def _rendered(spec: SceneSpec) -> tuple[Clip, list[Frame], Annotations]:
    made = list(render(spec))
    clip = rendered_clip(spec)
    frames = [Frame(FrameRef(spec.name, index), image) for index, (image, _) in enumerate(made)]
    return clip, frames, annotations([truth for _, truth in made])


def _look(
    clip: Clip,
    frames: Sequence[Frame],
    detector: FasterRCNNDetector | None,
    flow: FlowOptions | None,
) -> tuple[Any, Any]:
    meter = None if flow is None else FlowMeter(flow, frames=clip.frames, size=clip.size)
    return scan_clip(
        clip, frames, detector=detector, meter=meter, batch=BATCH, report=lambda _done, _all: None
    )


def _must(arrays: Any) -> Any:
    if arrays is None:
        raise SystemExit("the cache folder holds a damaged file: remove the folder")
    return arrays


def main() -> None:
    """Train what is not in the folder yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    folder = parser.parse_args().cache
    folder.mkdir(parents=True, exist_ok=True)
    for name in RECIPES:
        trained(name, folder)


if __name__ == "__main__":
    main()
