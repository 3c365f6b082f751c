"""How well learned estimates follow the true errors of three detectors on rendered clips.

    python tools/bench_expected_rendered.py --cache DIR

Twelve configurations: detectors "weak", "medium" (trained here, see ``rendered_detectors.py``) and
"strong" (shipped), 25 and 10 frames a second, thresholds 0.3 and 0.5. Every estimate is judged on
the same test clips, of seeds that no detector was trained on; what it is learned from differs (see
``rendered_labels.py``). Everything that was computed is kept in DIR, and taken from there.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import sklearn
import torch
from bench_expected_errors import applied, fitted, quality, variants
from judged_detections import Clip
from rendered_detectors import (
    LENGTHS,
    RATES,
    RECIPES,
    SEEDS,
    SHIPPED,
    Scan,
    held_out_specs,
    labelled,
    scan,
    trained,
    training_specs,
    untrained,
)
from rendered_figures import COHERENCE, FUSED, PLAIN, draws, figures, means, plain, tell
from rendered_labels import (
    GAP,
    RANDOM,
    SHARE,
    Seen,
    Source,
    repeated,
    round_zero,
    seen,
    trained_on,
    unseen,
)

from vidal.coherence import CoherenceOptions
from vidal.detect.faster_rcnn import FasterRCNNDetector
from vidal.evaluate.average_precision import evaluate_detections
from vidal.evaluate.quality import VerdictCounts
from vidal.expected_errors import ExpectedErrorsOptions, fit

DETECTORS = (*RECIPES, SHIPPED)
WEAKER = {"medium": "weak", SHIPPED: "medium"}
THRESHOLDS = (0.5, 0.3)
"""The default first: a run that is stopped has measured that."""
FIT_FRAMES = 5000
VERSION = 2
"""Raised when kept results no longer hold."""


class Lab:
    """Detectors and scans of one run, each made once and kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.detector = cache(self._detector)
        self.scans = cache(self._scans)
        self.precision = cache(self._precision)

    def _detector(self, name: str, half: int | None = None) -> FasterRCNNDetector:
        return trained(name, self.folder, half)

    def _scans(self, part: str, rate: int) -> list[dict[str, Scan]]:
        """Pool, test, or training clips; the last as ``own`` or ``cross`` detectors see them.

        A clip is rendered once for all detectors.
        """
        if part in ("pool", "test"):
            every = {name: self.detector(name) for name in DETECTORS}
            specs = held_out_specs(rate)[part == "test"]
            return [scan(spec, every, self.folder / "scans") for spec in specs]
        result = []
        for number, spec in enumerate(training_specs(rate)):
            half = 1 - number % 2 if part == "cross" else None
            every = {name: self.detector(name, half) for name in RECIPES}
            result.append(scan(spec, every, self.folder / "scans"))
        return result

    def _precision(self, name: str, rate: int) -> dict[str, Any]:
        """AP50 on the test clips."""
        scans = [clip[name] for clip in self.scans("test", rate)]
        pairs = [(each.detections, each.truth) for each in scans]
        return evaluate_detections(pairs, classes=pairs[0][1].classes).as_dict()


def judged(lab: Lab, name: str, part: str, rate: int, options: ExpectedErrorsOptions) -> list[Seen]:
    """The clips of a part as a detector sees them, with evidence and verdicts."""
    return [seen(each[name], n, options) for n, each in enumerate(lab.scans(part, rate))]


def with_sum(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """(F, 2) of each clip -> (F, 3)."""
    return [np.column_stack([each, each.sum(axis=1)]) for each in parts]


def fixed_estimates(test: Sequence[Seen]) -> dict[str, list[np.ndarray]]:
    """Estimates that need no labels."""
    signal = {name: [each.clip.signals[name] for each in test] for name in test[0].clip.signals}
    alike = {
        "number of detections": "n",
        PLAIN: "sum(1-score)",
        "summed entropy": "entropy",
        "sub-threshold sum": "sub-threshold",
        "temporal coherence FP": "TC fp",
        "temporal coherence FN": "TC fn",
    }
    result = {
        name: [np.repeat(values[:, None], 3, axis=1) for values in signal[key]]
        for name, key in alike.items()
    }
    pairs = zip(signal["TC fp"], signal["TC fn"], strict=True)
    result[COHERENCE] = with_sum([np.column_stack(pair) for pair in pairs])
    result[FUSED] = with_sum(round_zero(test))
    return result


def sources(
    lab: Lab, name: str, rate: int, options: ExpectedErrorsOptions, pool: Sequence[Seen]
) -> dict[str, Source]:
    """All label sources of a configuration."""
    weaker = judged(lab, WEAKER[name], "pool", rate, options) if name in WEAKER else None
    found = unseen(pool, options, weaker)
    if name in RECIPES:
        own, cross = (judged(lab, name, part, rate, options) for part in ("own", "cross"))
        masks = labelled(rate, RECIPES[name][0])
        found |= trained_on(own, cross, masks, pool, options)
    return found


def learned(
    test: Sequence[Clip], given: Mapping[str, Source], options: ExpectedErrorsOptions
) -> tuple[dict[str, list[np.ndarray]], dict[str, dict[str, float]]]:
    """Estimates and quality of every label source, and of the ablations on random labels."""
    estimates, qualities = {}, {}
    columns = variants(test[0].evidence.columns)
    for name in [*given, *(name for name in columns if name != "learned")]:
        use, weak = columns["learned"][:2]
        if name in given:
            source = given[name]
            rng = np.random.default_rng(0)
            model = fit(source.judged, rng, source.options, pool=source.pool)
        else:
            use, weak, estimator = columns[name]
            own = replace(options, estimator=estimator)
            model = fitted(given[RANDOM].judged, own, use, weak)
        found = [applied(model, clip, use, weak) for clip in test]
        estimates[name] = with_sum([np.column_stack(each[:2]) for each in found])
        qualities[name] = quality(test, found)
    return estimates, qualities


def coherence_quality(test: Sequence[Seen]) -> dict[str, float]:
    """Precision, recall and counts of the verdicts of temporal coherence."""
    row: dict[str, float] = {}
    for kind, counts in (
        ("FP", sum((each.false for each in test), VerdictCounts())),
        ("miss", sum((each.missed for each in test), VerdictCounts())),
    ):
        row[f"{kind} expected / true"] = counts.given / counts.due if counts.due else float("nan")
        row[f"{kind} precision"], row[f"{kind} recall"] = counts.precision, counts.recall
    return row


def cost(clips: Sequence[Seen]) -> dict[str, float]:
    """Core milliseconds a frame on top of detection and flow."""
    frames = sum(len(each.clip.true) for each in clips)
    return {
        "evidence ms a frame": 1e3 * sum(each.clip.seconds for each in clips) / frames,
        "temporal coherence ms a frame": 1e3 * sum(each.seconds for each in clips) / frames,
        "detections a frame": sum(each.clip.signals["n"].sum() for each in clips) / frames,
    }


def fit_cost(clips: Sequence[Seen], options: ExpectedErrorsOptions) -> dict[str, float]:
    """Core seconds of a fit on many labelled frames: all clips, repeated until there are enough."""
    frames = sum(len(each.clip.true) for each in clips)
    rows = repeated([each.clip for each in clips], FIT_FRAMES)
    start = time.process_time()
    fit(rows, np.random.default_rng(0), options)
    return {
        "fit seconds": time.process_time() - start,
        "fit frames": FIT_FRAMES,
        "fit rows": len(rows.detections) + len(rows.candidates),
        "fit repeats each frame": FIT_FRAMES / frames,
    }


def measure(lab: Lab, name: str, rate: int, threshold: float, count: int) -> dict[str, Any]:
    """All figures of one configuration, and its bootstrap draws."""
    options = ExpectedErrorsOptions(threshold=threshold)
    # A fit's time hardly depends on rate and threshold: once a detector is enough.
    timed = (rate, threshold) == (RATES[0], THRESHOLDS[0])
    pool, test = (judged(lab, name, part, rate, options) for part in ("pool", "test"))
    clips = [each.clip for each in test]
    given = sources(lab, name, rate, options, pool)
    estimates, qualities = learned(clips, given, options)
    estimates = fixed_estimates(test) | estimates
    true = with_sum([clip.true for clip in clips])
    return {
        "frames": int(sum(len(clip.true) for clip in clips)),
        "true errors": [int(sum(clip.true[:, k].sum() for clip in clips)) for k in (0, 1)],
        "labels": {key: labels_of(source) for key, source in given.items()},
        "figures": {key: figures(values, true) for key, values in estimates.items()},
        "quality": {COHERENCE: coherence_quality(test), **qualities},
        "cost": cost([*pool, *test]) | (fit_cost([*pool, *test], options) if timed else {}),
        "draws": draws(estimates, true, count),
    }


def labels_of(source: Source) -> dict[str, int]:
    """How much an estimate was learned from."""
    rows = source.judged
    return {
        "frames": source.frames,
        "detections": len(rows.detections),
        "false positives": int(rows.detections.error.sum()),
        "candidates": len(rows.candidates),
        "missed candidates": int(rows.candidates.error.sum()),
    }


def kept(lab: Lab, name: str, rate: int, threshold: float, count: int) -> dict[str, Any]:
    """The result of a configuration: from the folder, or measured and kept there."""
    digest = lab.detector(name).key["weights"][:8]
    path = lab.folder / f"result-{VERSION}-{digest}-{rate}-{threshold}-{count}.json"
    if not path.exists():
        result = plain(measure(lab, name, rate, threshold, count))
        path.write_text(json.dumps(result), encoding="utf-8")
    result = json.loads(path.read_text(encoding="utf-8"))
    # JSON has no NaN: a rho that is undefined in a draw comes back as None.
    result["draws"] = {
        method: np.array(values, dtype=np.float64) for method, values in result["draws"].items()
    }
    return result


def summaries(results: Mapping[str, Any]) -> dict[str, Any]:
    """Means over all configurations, those with every method, and each detector's."""
    groups = {
        "all": list(results),
        "weak and medium": [key for key in results if not key.startswith(SHIPPED)],
        **{name: [key for key in results if key.startswith(name)] for name in DETECTORS},
    }
    return {
        group: means([results[key] for key in keys], [results[key]["draws"] for key in keys])
        for group, keys in groups.items()
        if keys
    }


def record(lab: Lab, results: Mapping[str, Any], count: int) -> dict[str, Any]:
    """What is published."""
    done = {key.rsplit(", threshold", 1)[0] for key in results}
    return {
        "machine": {
            "processor": torch.cpu.get_capabilities().get("cpu_name", platform.machine()),
            "threads": torch.get_num_threads(),
        },
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "torch": torch.__version__,
            "opencv": cv2.__version__,
        },
        "seeds": SEEDS,
        "options": {
            "expected errors": asdict(ExpectedErrorsOptions()),
            "temporal coherence": asdict(CoherenceOptions()),
            "trainings": {
                name: {
                    "frames": frames,
                    **asdict(untrained(epochs, np.random.default_rng(0)).training),
                }
                for name, (frames, epochs) in RECIPES.items()
            },
            "frames of a clip": LENGTHS,
            "clips": {"pool": 12, "test": 12, "training": 12 * len(RATES)},
            "share labelled": SHARE,
            "gap of the query": GAP,
            "bootstrap draws": count,
        },
        "AP50": {
            f"{name}, {rate} fps": lab.precision(name, rate)
            for name, rate in product(DETECTORS, RATES)
            if f"{name}, {rate} fps" in done
        },
        "means": summaries(results),
        "configurations": {
            key: {part: value for part, value in result.items() if part != "draws"}
            for key, result in results.items()
        },
    }


def main() -> None:
    """Measure, print, write after every configuration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument(
        "--out", type=Path, default=Path("tools/results/expected_errors_rendered.json")
    )
    parser.add_argument("--only", nargs="*", default=DETECTORS, choices=DETECTORS)
    parser.add_argument("--draws", type=int, default=300)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    lab, results = Lab(args.cache), {}
    for threshold, rate, name in product(THRESHOLDS, RATES, args.only):
        key = f"{name}, {rate} fps, threshold {threshold}"
        results[key] = kept(lab, name, rate, threshold, args.draws)
        own = means([results[key]], [results[key]["draws"]])
        own.pop("leads")
        tell(f"{key}, errors {results[key]['true errors']}", own)
        text = json.dumps(plain(record(lab, results, args.draws)), indent=1)
        args.out.write_text(text + "\n", encoding="utf-8")
    for group, table in summaries(results).items():
        tell(f"mean over configurations: {group}", table)


if __name__ == "__main__":
    main()
