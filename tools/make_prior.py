"""The prior of expected errors that the package ships: judged rows of five detectors.

    python tools/make_prior.py --cache DIR

Five detectors of different strength look at rendered clips whose truth is known; every row of
their evidence is judged, and a sample of the rows is kept. No clip of a benchmark and no data of
others enter; three of the detectors are those of ``bench_expected_rendered.py``, which leaves their
rows out where it asks about them. Everything is made from seeds and kept in DIR.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from judged_detections import judged_clip
from rendered_detectors import SHIPPED, Scan, scan, trained, untrained

from vidal.coherence import CoherenceOptions
from vidal.detect.faster_rcnn import FasterRCNNDetector
from vidal.detect.load import load_detector
from vidal.evaluate.average_precision import evaluate_detections
from vidal.evaluate.matching import match_clip
from vidal.evidence.gather import estimate_errors
from vidal.expected_errors import Examples, ExpectedErrorsOptions, Judged
from vidal.expected_errors.prior import PRIOR
from vidal.protocols import Motion
from vidal.scenes import CLASSES, SceneSpec, plan, render
from vidal.track.kalman import KalmanMotion
from vidal.types import Sample

SEEDS = {"train": 9500, "clips": 9600, "weights": 9700, "rows": 9800}
RECIPES = {"short": (80, 10), "new head": (40, 12)}
"""Name -> labelled frames and epochs. The first begins with random weights, the second with the
trunk of the shipped detector and a random head."""
DETECTORS = ("short", "weak", "medium", "new head", SHIPPED)
"""By rising strength."""
RATES = (25, 10)
LENGTHS = (50, 80)
SHARES = {"default": 6.0, "town": 3.0, "night": 1.0, "wheelchair": 2.0}
CLIPS = 10
"""Of each rate."""
THRESHOLDS = (0.5, 0.3)
OF_DETECTOR = 1000
"""Clips of detector n are numbered from n times this on."""
ROWS = 5000
"""Kept of each kind, over all detectors, rates, thresholds and kinds of motion."""


@cache
def samples(count: int) -> list[Sample]:
    """Random frames of eight clips to train on."""
    specs = plan(8, SEEDS["train"], shares=SHARES, frames=LENGTHS, rate=RATES[1])
    every = [
        Sample(image, truth.boxes, truth.labels, np.zeros(len(truth.boxes), np.bool_))
        for spec in specs
        for image, truth in render(spec)
    ]
    drawn = np.random.default_rng(SEEDS["train"]).permutation(len(every))
    return [every[at] for at in drawn[:count]]


def detector(name: str, folder: Path) -> FasterRCNNDetector:
    """The detector of that name: from the folder, or trained and kept there."""
    if name not in RECIPES:
        return trained(name, folder)
    path = folder / f"prior-{name.replace(' ', '-')}.safetensors"
    if not path.exists():
        count, epochs = RECIPES[name]
        rng = np.random.default_rng(SEEDS["weights"])
        start = untrained(epochs, rng)
        if name == "new head":
            # Names that it does not know, and back: every output begins anew.
            other = load_detector("scenes-tiny", device="cpu").with_classes(("?",), rng)
            start = replace(other.with_classes(CLASSES, rng), training=start.training, _cache={})
        fitted = start.fit(samples(count), rng, keep=path.with_suffix(".state"))
        fitted.save(path, {"frames": count, "epochs": epochs})
        print("trained", name, flush=True)
    return load_detector("scenes-tiny", weights=path, device="cpu")


def specs() -> list[SceneSpec]:
    """The clips that are judged."""
    return [
        spec
        for rate in RATES
        for spec in plan(CLIPS, SEEDS["clips"] + rate, shares=SHARES, frames=LENGTHS, rate=rate)
    ]


def judged(clips: list[Scan], first: int) -> Iterator[Judged]:
    """The judged rows of one detector: every clip with either motion, at every threshold.

    Clips are numbered from ``first`` on.
    """
    for clip, number in zip(clips, range(first, first + len(clips)), strict=True):
        for motion in (clip.motion, KalmanMotion.of(clip.detections)):
            for threshold in THRESHOLDS:
                yield _judged(clip, motion, threshold, number)


def _judged(clip: Scan, motion: Motion, threshold: float, number: int) -> Judged:
    options = ExpectedErrorsOptions(threshold=threshold)
    literal = CoherenceOptions(score_threshold=threshold)
    size = clip.spec.size
    verdicts = estimate_errors(clip.detections, motion, literal, size=size)
    match = match_clip(clip.detections, clip.truth, score_floor=threshold)
    found = judged_clip(clip.spec.name, number, match, motion, verdicts, options, size=size)
    return found.judged


def thinned(rows: Judged, share: Mapping[str, float], rng: np.random.Generator) -> Judged:
    """A share of the rows of each kind, drawn at random: the share of errors stays."""
    kinds: dict[str, Any] = {}
    for kind, part in share.items():
        examples = getattr(rows, kind)
        kinds[kind] = examples.keep(np.flatnonzero(rng.random(len(examples)) < part))
    return replace(rows, **kinds)


def write_prior(path: Path, judged: Judged, about: Mapping[str, Any]) -> None:
    """Keep rows as plain arrays, evidence in half precision; the same rows give the same bytes."""
    arrays: dict[str, np.ndarray] = {}
    for kind in ("detections", "candidates"):
        rows: Examples = getattr(judged, kind)
        # Columns one after the other: alike values lie side by side, and are packed shorter.
        arrays[f"{kind}.evidence"] = rows.evidence.T.astype(np.float16)
        arrays[f"{kind}.error"] = np.packbits(rows.error)
        arrays[f"{kind}.clip"] = rows.clip.astype(np.uint16)
        arrays[f"{kind}.frame"] = rows.frame.astype(np.uint16)
    told = {"columns": judged.columns, "missed": judged.missed, "about": about}
    arrays["@"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")  # without the time
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Train, look, judge, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=PRIOR)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    detectors = {name: detector(name, args.cache) for name in DETECTORS}
    scans = [scan(spec, detectors, args.cache / "scans") for spec in specs()]
    rows, about = [], {}
    for at, name in enumerate(DETECTORS):
        mine = [clip[name] for clip in scans]
        pairs = [(each.detections, each.truth) for each in mine]
        found = evaluate_detections(pairs, classes=pairs[0][1].classes).as_dict()
        rows.append(Judged.join(list(judged(mine, at * OF_DETECTOR))))
        about[name] = found["map50"]
        print(name, about[name], len(rows[-1].detections), len(rows[-1].candidates), flush=True)
    everything = Judged.join(rows)
    share = {
        kind: min(1.0, ROWS / len(getattr(everything, kind)))
        for kind in ("detections", "candidates")
    }
    kept = thinned(everything, share, np.random.default_rng(SEEDS["rows"]))
    write_prior(args.out, kept, {"seeds": SEEDS, "AP50": about})
    print(args.out, f"{args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
