"""The prior of expected errors that the package ships, from judged rows of five detectors.

    python tools/make_prior.py --cache DIR

Five detectors of different strength look at rendered clips whose truth is known; every row of
their evidence is judged, and boosted trees are fitted to a sample of the rows. No clip of a
benchmark and no data of others enter; three of the detectors are those of
``bench_expected_rendered.py``, which leaves their rows out where it asks about them. Everything is
made from seeds and kept in DIR.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from judged_detections import judged_clip
from rendered_detectors import SHIPPED, Scan, scan, trained, untrained
from sklearn.ensemble import HistGradientBoostingClassifier

from vidal.coherence import CoherenceOptions
from vidal.detect.faster_rcnn import FasterRCNNDetector
from vidal.detect.load import load_detector
from vidal.evaluate.average_precision import evaluate_detections
from vidal.evaluate.matching import match_clip
from vidal.evidence.gather import VERSIONS, estimate_errors
from vidal.expected_errors import ExpectedErrorsOptions, Judged
from vidal.expected_errors.prior import PRIOR, Prior
from vidal.expected_errors.trees import Trees
from vidal.protocols import Motion
from vidal.scenes import CLASSES, SceneSpec, plan, render
from vidal.store import FileStore, content_key, from_arrays, to_arrays
from vidal.track.kalman import KalmanMotion
from vidal.types import Sample

SEEDS = {"train": 9500, "clips": 9600, "weights": 9700, "rows": 9800, "fit": 0}
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
ROWS = 20_000
"""Kept of each kind and detector, over all rates, thresholds and kinds of motion: a weak detector
counts as much as a strong one, though it has many times as many candidates."""
TREES = 120
OPTIONS = ExpectedErrorsOptions()
DTYPES = {
    "roots": np.uint16,
    "feature": np.uint8,
    "threshold": np.float32,
    "left": np.uint16,
    "right": np.uint16,
    "unknown_left": np.bool_,
    "value": np.float32,
}
"""How the columns of the trees are kept."""


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


def judged(clips: Sequence[Scan]) -> Iterator[Judged]:
    """The judged rows of one detector: every clip with either motion, at every threshold."""
    for number, clip in enumerate(clips):
        for motion in (clip.motion, KalmanMotion.of(clip.detections)):
            for threshold in THRESHOLDS:
                yield _judged(clip, motion, threshold, number)


def _judged(clip: Scan, motion: Motion, threshold: float, number: int) -> Judged:
    options = replace(OPTIONS, threshold=threshold)
    literal = CoherenceOptions(score_threshold=threshold)
    size = clip.spec.size
    verdicts = estimate_errors(clip.detections, motion, literal, size=size)
    match = match_clip(clip.detections, clip.truth, score_floor=threshold)
    found = judged_clip(clip.spec.name, number, match, motion, verdicts, options, size=size)
    return found.judged


def thinned(rows: Judged, rng: np.random.Generator) -> Judged:
    """``ROWS`` rows of each kind, drawn at random: the share of errors stays."""
    kinds = (rows.detections, rows.candidates)
    first, second = (
        each.keep(np.sort(rng.choice(len(each), min(ROWS, len(each)), replace=False)))
        for each in kinds
    )
    return replace(rows, detections=first, candidates=second)


def rows_of(name: str, folder: Path) -> tuple[Judged, float]:
    """A sample of the judged rows of a detector, and its AP50; kept in the folder."""
    key = content_key(
        "prior rows", VERSIONS["expected"], [name], {"rows": ROWS, **OPTIONS.evidence_key}
    )
    store = FileStore(folder / "rows")
    found = store.get(key)
    if found is None:
        every = {each: detector(each, folder) for each in DETECTORS}
        scans = [scan(spec, every, folder / "scans")[name] for spec in specs()]
        pairs = [(each.detections, each.truth) for each in scans]
        precision = evaluate_detections(pairs, classes=pairs[0][1].classes).map50
        rng = np.random.default_rng([SEEDS["rows"], DETECTORS.index(name)])
        rows = thinned(Judged.join(list(judged(scans))), rng)
        found = {**to_arrays(rows), "AP50": np.array(precision)}
        store.put(key, found)
    return from_arrays(Judged, found), float(found["AP50"])


def fitted(parts: Sequence[Judged]) -> Prior:
    """A prior of the rows of some detectors."""
    rows = Judged.join(parts)
    kinds = (rows.detections, rows.candidates)
    trees = tuple(_boosted(each.evidence, each.error) for each in kinds)
    return Prior(rows.columns, trees, {})


def _boosted(evidence: np.ndarray, error: np.ndarray) -> Trees:
    classifier = HistGradientBoostingClassifier(
        max_iter=TREES,
        learning_rate=0.08,
        max_leaf_nodes=12,
        min_samples_leaf=100,
        max_features=0.3,
        early_stopping=False,
        random_state=SEEDS["fit"],
    )
    classifier.fit(evidence, error)
    return exported(classifier)


def exported(classifier: HistGradientBoostingClassifier) -> Trees:
    """The trees as plain arrays; scikit-learn keeps them where no interface leads."""
    parts = [stage[0].nodes for stage in classifier._predictors]
    starts = np.cumsum([0, *(len(part) for part in parts)])
    nodes = np.concatenate(parts)
    shift = np.repeat(starts[:-1], [len(part) for part in parts])
    leaf = nodes["is_leaf"].astype(bool)
    itself = np.arange(len(nodes))
    return Trees(
        roots=starts[:-1],
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
        threshold=np.where(leaf, 0, nodes["num_threshold"]).astype(np.float32),
        left=np.where(leaf, itself, nodes["left"] + shift).astype(np.int64),
        right=np.where(leaf, itself, nodes["right"] + shift).astype(np.int64),
        unknown_left=nodes["missing_go_to_left"].astype(bool),
        value=np.where(leaf, nodes["value"], 0).astype(np.float64),
        base=float(np.ravel(classifier._baseline_prediction)[0]),
        depth=int(nodes["depth"].max()),
    )


def write_prior(path: Path, prior: Prior) -> None:
    """Keep a prior as plain arrays; the same prior gives the same bytes."""
    arrays: dict[str, np.ndarray] = {}
    told: dict[str, Any] = {"columns": prior.columns, "about": prior.about}
    for kind, trees in zip(("false", "missed"), prior.trees, strict=True):
        told[kind] = {"base": trees.base, "depth": trees.depth}
        for name, dtype in DTYPES.items():
            arrays[f"{kind}.{name}"] = getattr(trees, name).astype(dtype)
    arrays["@"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")  # without the time
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Train, look, judge, draw, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=PRIOR)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    parts, about = [], {}
    for name in DETECTORS:
        rows, about[name] = rows_of(name, args.cache)
        parts.append(rows)
        shares = [float(each.error.mean()) for each in (rows.detections, rows.candidates)]
        print(f"{name}: AP50 {about[name]:.3f}, false {shares[0]:.3f}, missed {shares[1]:.3f}")
    told = {"seeds": SEEDS, "AP50": about, "rows of each detector and kind": ROWS}
    write_prior(args.out, replace(fitted(parts), about=told))
    print(args.out, f"{args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
