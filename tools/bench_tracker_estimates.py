"""Whether a better tracker gives better estimates of a detector's errors, by frame rate.

    python tools/bench_tracker_estimates.py [--seed 9100] [--clips 8] [--rates 25 10 5]

For every frame rate, score threshold and tracker: Spearman correlation of the estimated with the
true errors (false positives and misses) of the frames of rendered clips, pooled and within clips.
The estimates are the counts of temporal coherence, and expected errors: each half of the clips is
judged by a model that was fitted to the other half. Intervals (95 %, bootstrap over clips) are of
the lead over optical flow. Times are CPU times of this process a frame, of motion alone; flow looks
at frames, the others at each box that is carried.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from measure_estimates import rendered_clip

from vidal.assemble import PROPAGATORS
from vidal.coherence import CoherenceOptions, frame_counts
from vidal.detect.load import load_detector
from vidal.evaluate.matching import match_clip
from vidal.evaluate.quality import correlate, rank_correlation
from vidal.evaluate.true_errors import true_errors
from vidal.evidence.gather import clip_evidence, estimate_errors
from vidal.evidence.judge import judge
from vidal.evidence.scan import scan_clip
from vidal.expected_errors import Evidence, ExpectedErrorsOptions, Judged, fit
from vidal.protocols import Motion
from vidal.report.query_files import plain
from vidal.scenes import SceneSpec, annotations, plan, render
from vidal.track import FlowMeter, FlowOptions, record_motion
from vidal.track.kalman import KalmanMotion
from vidal.types import Annotations, Clip, Detections, Frame, FrameRef

HALVES = ("train", "test")
THRESHOLDS = (0.3, 0.5)
TRACKERS = ("flow", "sparse", "template", "still")
RESULT = Path(__file__).parent / "results" / "tracker_estimates.json"
DRAWS = 500

Values = list[np.ndarray]


@dataclass(frozen=True)
class Seen:
    """A rendered clip: what the detector found, what is true, and how boxes move by tracker."""

    clip: Clip
    table: Detections
    truth: Annotations
    motions: dict[str, Motion]
    ms: dict[str, float]


@dataclass(frozen=True)
class Judgement:
    """Of one clip, tracker and threshold: true (F,), coherence (F,), and what is learned from."""

    table: Detections
    true: np.ndarray
    coherence: np.ndarray
    plain: np.ndarray
    evidence: Evidence
    judged: Judged


def quiet(_done: int, _total: int) -> None:
    """No progress."""


def look(spec: SceneSpec, detector: Any, names: Sequence[str]) -> Seen:
    """Render a clip once, detect, and measure motion with every tracker."""
    images, truths = [], []
    for index, (image, truth) in enumerate(render(spec)):
        images.append(Frame(FrameRef(spec.name, index), image))
        truths.append(truth)
    clip = rendered_clip(spec)
    table, _ = scan_clip(clip, images, detector=detector, meter=None, batch=4, report=quiet)
    assert table is not None
    motions, ms = {}, {}
    for name in names:
        start = time.process_time()
        motions[name] = moved(name, clip, images, table)
        ms[name] = 1000 * (time.process_time() - start) / clip.frames
    return Seen(clip, table, annotations(truths), motions, ms)


def moved(name: str, clip: Clip, images: list[Frame], table: Detections) -> Motion:
    """The motion of a clip by one tracker, of all boxes that any threshold carries."""
    if name == "kalman":
        return KalmanMotion.of(table)
    if name == "flow":
        meter = FlowMeter(FlowOptions(), frames=clip.frames, size=clip.size)
        _, motion = scan_clip(clip, images, detector=None, meter=meter, batch=4, report=quiet)
        assert motion is not None
        return motion
    options = ExpectedErrorsOptions()
    carried = table.keep(np.flatnonzero(table.scores > min(options.carry, *THRESHOLDS)))
    tracker = PROPAGATORS[name]()
    return record_motion(carried, images, tracker, window=options.window, size=clip.size)


def judgement(seen: Seen, tracker: str, threshold: float, number: int) -> Judgement:
    """Estimate, gather evidence, judge: as a selection and the round after it do."""
    coherence = replace(CoherenceOptions(), score_threshold=threshold)
    options = ExpectedErrorsOptions(threshold=threshold)
    table, motion, size = seen.table, seen.motions[tracker], seen.clip.size
    verdicts = estimate_errors(table, motion, coherence, size=size)
    evidence = clip_evidence(table, motion, verdicts, options, size=size)
    match = match_clip(table, seen.truth, score_floor=threshold)
    kept = table.scores > threshold
    return Judgement(
        table=table,
        true=true_errors(match).per_frame.sum(axis=1),
        coherence=frame_counts(verdicts, table.frame, table.frames).sum(axis=1),
        plain=np.bincount(table.frame[kept], 1 - table.scores[kept], minlength=table.frames),
        evidence=evidence,
        judged=judge(evidence, table, seen.truth, threshold=threshold, clip=number),
    )


def learned(train: list[Judgement], test: list[Judgement], threshold: float) -> Values:
    """Expected errors (F,) of every test clip."""
    classes = len(test[0].table.classes)
    joined = Judged.join([each.judged for each in train])
    model = fit(joined, np.random.default_rng(0), ExpectedErrorsOptions(threshold))
    return [model.counts(each.evidence, classes).sum(axis=(1, 2)) for each in test]


def figures(given: Values, rival: Values, true: Values) -> dict[str, Any]:
    """Correlations of an estimate with the truth, and its lead over a rival's."""
    found = correlate(given, true)
    pairs = [
        [correlate([a], [b]).pooled for a, b in zip(v, true, strict=True)] for v in (given, rival)
    ]
    inside = np.array(pairs[0]) - np.array(pairs[1])
    rng, rows = np.random.default_rng(0), []
    for _ in range(DRAWS if given is not rival else 0):
        pick = rng.integers(0, len(true), len(true))
        due = np.concatenate([true[i] for i in pick])
        own, other = (
            rank_correlation(np.concatenate([v[i] for i in pick]), due) for v in (given, rival)
        )
        rows.append((own - other, np.nanmean(inside[pick])))
    result: dict[str, Any] = {"pooled": round(found.pooled, 4), "within": round(found.within, 4)}
    if rows:
        low, high = np.percentile(np.array(rows), [2.5, 97.5], axis=0).round(4)
        ends = zip(("lead_pooled", "lead_within"), low, high, strict=True)
        result |= {name: [float(a), float(b)] for name, a, b in ends}
    return result


def measure(halves: tuple[list[Seen], list[Seen]]) -> Iterator[tuple[float, Any]]:
    """Threshold -> all figures of one rate."""
    seen = [*halves[0], *halves[1]]
    cut = len(halves[0])
    for threshold in THRESHOLDS:
        estimates: dict[str, dict[str, Values]] = {}
        for name in seen[0].motions:
            own = [judgement(each, name, threshold, i) for i, each in enumerate(seen)]
            first, second = own[:cut], own[cut:]
            expected = [*learned(second, first, threshold), *learned(first, second, threshold)]
            estimates[name] = {"coherence": [each.coherence for each in own], "expected": expected}
        true, plain = [each.true for each in own], [each.plain for each in own]
        rows = {
            name: {kind: figures(v, estimates["flow"][kind], true) for kind, v in kinds.items()}
            for name, kinds in estimates.items()
        }
        errors = int(sum(each.sum() for each in true))
        yield threshold, {"errors": errors, "sum(1-score)": figures(plain, plain, true), **rows}


def tell(title: str, table: dict[str, Any], ms: dict[str, float]) -> None:
    """One line a tracker and estimate."""
    print(f"\n{title}: {table['errors']} errors; sum(1-score) {table['sum(1-score)']}")
    for name, cost in ms.items():
        for kind, row in table[name].items():
            leads = "  ".join(str(row[key]) for key in ("lead_pooled", "lead_within") if key in row)
            values = f"{row['pooled']:.3f} {row['within']:.3f}"
            print(f"{name:10} {cost:6.2f} ms  {kind:10} {values}  {leads}", flush=True)


def main() -> None:
    """Render, look, judge, print; written after every rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=9100)
    parser.add_argument("--clips", type=int, default=8, help="in each half")
    parser.add_argument("--rates", type=int, nargs="+", default=[25, 10, 5])
    parser.add_argument("--frames", type=int, nargs=2, default=[50, 70], help="of a clip")
    parser.add_argument("--trackers", nargs="+", default=TRACKERS, help="flow among them")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detector, results, names = load_detector("scenes-tiny", device="cpu"), {}, given.trackers
    record = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "processor": platform.machine()},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "detector": "scenes-tiny",
        "options": {key: value for key, value in vars(given).items() if key != "out"},
        "results": results,
    }
    for rate in given.rates:
        half = partial(plan, given.clips, given.seed, frames=tuple(given.frames), rate=rate)
        halves = tuple(
            [look(spec, detector, names) for spec in half(split=split)] for split in HALVES
        )
        seen = [*halves[0], *halves[1]]
        ms = {name: round(float(np.mean([each.ms[name] for each in seen])), 2) for name in names}
        for threshold, table in measure(halves):
            title = f"{rate} a second, threshold {threshold}"
            frames = sum(each.clip.frames for each in seen)
            results[title] = {"frames": frames, "ms": ms, **table}
            tell(title, table, ms)
        given.out.write_text(
            json.dumps(plain(record), indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
