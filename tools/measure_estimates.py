"""Estimated against true errors of the shipped detector on rendered clips it has never seen.

    python tools/measure_estimates.py [--clips 24] [--seed 9001] [--rates 25 10] [--json FILE]

For every frame rate and score threshold: precision and recall of the estimated false positives and
misses, Spearman correlation of per-frame counts with the true counts, pooled and within clips, and
the same for sum(1 - score), the summed entropy and the number of detections. Intervals are
bootstraps over clips.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidal.coherence import CoherenceOptions, frame_counts
from vidal.detect.load import load_detector
from vidal.evaluate.intervals import bootstrap_interval
from vidal.evaluate.matching import match_clip
from vidal.evaluate.quality import (
    VerdictCounts,
    correlate,
    false_positive_verdicts,
    missed_verdicts,
)
from vidal.evaluate.true_errors import true_errors
from vidal.evidence.gather import estimate_errors
from vidal.evidence.scan import scan_clip
from vidal.report.query_files import plain
from vidal.scenes import annotations, plan, render
from vidal.track import FlowMeter, FlowOptions
from vidal.types import Annotations, Clip, Detections, Frame, FrameRef

Seen = tuple[Clip, Detections, Any, Annotations]


def quiet(_done: int, _total: int) -> None:
    """No progress."""


def rendered_clip(spec: Any) -> Clip:
    """The clip of a scene that is on no disk."""
    return Clip(
        spec.name,
        Path(spec.name),
        np.arange(spec.frames),
        Fraction(1, spec.rate),
        Fraction(spec.rate),
        spec.size,
    )


def look(spec: Any, detector: Any) -> Seen:
    """Detections, motion and truth of one rendered clip."""
    truths = []

    def frames() -> Any:
        for index, (image, truth) in enumerate(render(spec)):
            truths.append(truth)
            yield Frame(FrameRef(spec.name, index), image)

    clip = rendered_clip(spec)
    meter = FlowMeter(FlowOptions(), frames=clip.frames, size=clip.size)
    found, motion = scan_clip(clip, frames(), detector=detector, meter=meter, batch=4, report=quiet)
    assert found is not None
    return clip, found, motion, annotations(truths)


def per_frame(table: Detections, values: np.ndarray) -> np.ndarray:
    """Sums of a value per detection, by frame."""
    return np.bincount(table.frame, weights=values, minlength=table.frames)


def entropy(table: Detections) -> np.ndarray:
    """Of each detection's class distribution."""
    probs = np.clip(table.probs, 1e-12, 1)
    return -(probs * np.log(probs)).sum(1)


SIGNALS: dict[str, Callable[[Detections], np.ndarray]] = {
    "number of detections": lambda table: per_frame(table, np.ones(len(table))),
    "sum(1 - score)": lambda table: per_frame(table, 1 - table.scores),
    "summed entropy": lambda table: per_frame(table, entropy(table)),
}


def judge(clips: Sequence[Seen], options: CoherenceOptions) -> dict[str, Any]:
    """All figures of one setting."""
    false, missed = VerdictCounts(), VerdictCounts()
    true: list[np.ndarray] = []
    signals: dict[str, list[np.ndarray]] = {name: [] for name in SIGNALS}
    counted: list[np.ndarray] = []
    links = []
    for clip, table, motion, truth in clips:
        match = match_clip(table, truth, score_floor=options.score_threshold)
        estimate = estimate_errors(table, motion, options, size=clip.size)
        false = false + false_positive_verdicts(estimate, match)
        missed = missed + missed_verdicts(estimate, match)
        true.append(true_errors(match).per_frame)
        counted.append(frame_counts(estimate, table.frame, table.frames))
        kept = table.keep(table.scores > options.score_threshold)
        for name, signal in SIGNALS.items():
            signals[name].append(signal(kept))
        links.append(estimate.link_share)
    columns: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "FP": lambda counts: counts[:, 0],
        "FN": lambda counts: counts[:, 1],
        "FP+FN": lambda counts: counts.sum(1),
    }
    rows: dict[str, Any] = {}
    for target, pick in columns.items():
        wanted = [pick(counts) for counts in true]
        for name in ("FP", "FN", "FP+FN"):
            given = [columns[name](counts) for counts in counted]
            rows[f"temporal coherence {name} -> {target}"] = _rho(given, wanted)
        for name, values in signals.items():
            rows[f"{name} -> {target}"] = _rho(values, wanted)
    totals = np.concatenate(true).sum(0)
    return {
        "frames": int(sum(len(counts) for counts in true)),
        "true_fp": float(totals[0]),
        "true_fn": float(totals[1]),
        "fp": {"precision": false.precision, "recall": false.recall, "given": false.given},
        "fn": {"precision": missed.precision, "recall": missed.recall, "given": missed.given},
        "link_share": float(np.mean(links)),
        "spearman": rows,
    }


def _rho(given: list[np.ndarray], wanted: list[np.ndarray]) -> dict[str, Any]:
    result = correlate(given, wanted)

    def pooled(chosen: np.ndarray) -> float:
        return correlate([given[i] for i in chosen], [wanted[i] for i in chosen]).pooled

    interval = bootstrap_interval(len(given), pooled, np.random.default_rng(0), draws=300)
    return {
        "pooled": result.pooled,
        "pooled_interval": [interval.low, interval.high],
        "within": result.within,
    }


def main() -> None:
    """Render, look, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seed", type=int, default=9001)
    parser.add_argument("--rates", type=int, nargs="+", default=[25, 10])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    detector = load_detector("scenes-tiny", device="cpu")
    results: dict[str, Any] = {}
    for rate in given.rates:
        specs = plan(given.clips, given.seed, split="test", frames=(60, 120), rate=rate)
        clips = [look(spec, detector) for spec in specs]
        for threshold in (0.3, 0.5):
            options = replace(CoherenceOptions(), score_threshold=threshold)
            results[f"{rate} fps, threshold {threshold}"] = judge(clips, options)
    record = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "processor": platform.machine()},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "detector": "scenes-tiny",
        "clips": given.clips,
        "seed": given.seed,
        "results": results,
    }
    print(json.dumps(plain(results), indent=1, allow_nan=False))
    if given.json:
        given.json.write_text(json.dumps(plain(record), indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
