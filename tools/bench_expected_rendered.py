"""How well estimates of errors follow the true errors of three detectors on rendered clips.

    python tools/bench_expected_rendered.py --cache DIR

Twelve configurations: detectors "weak", "medium" (trained here, see ``rendered_detectors.py``) and
"strong" (shipped), 25 and 10 frames a second, thresholds 0.3 and 0.5. Every estimate is judged on
the same test clips, of seeds that no detector was trained on and that decided nothing; labels come
from twelve other clips. Trainings, what the detectors see and finished configurations are kept in
DIR: a run that was stopped goes on, and a second one takes seconds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from make_prior import DETECTORS as DETECTORS_OF_PRIOR
from make_prior import fitted, rows_of
from rendered_detectors import (
    LENGTHS,
    RATES,
    RECIPES,
    SEEDS,
    SHIPPED,
    Scan,
    held_out_specs,
    scan,
    trained,
    untrained,
)
from rendered_figures import draws, figures, means, plain, tell, totals
from rendered_labels import (
    GAP,
    SHARES,
    Seen,
    chosen,
    drawn,
    fused,
    labelled_rows,
    seen,
)

from vidal.assemble.machine import machine
from vidal.coherence import CoherenceOptions
from vidal.evaluate.average_precision import evaluate_detections
from vidal.expected_errors import ErrorModel, ExpectedErrorsOptions, fit
from vidal.expected_errors.prior import Priors
from vidal.selection.notes import versions

DETECTORS = (*RECIPES, SHIPPED)
THRESHOLDS = (0.5, 0.3)
"""The default first: a run that is stopped has measured that."""
CHOICES = {
    "second version: constant, estimator, blend": "other data: see docs/expected_errors.md",
    "what is kept of the time before suppression; weight of the prior": "the pool clips",
    "anything": "not the test clips",
}
"""What a figure of this file may be too good by."""
VERSION = 3
"""Raised when kept results no longer hold."""


class Lab:
    """Detectors and scans of one run, each made once and kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.detector = cache(self._detector)
        self.scans = cache(self._scans)
        self.prior = cache(self._prior)

    def _detector(self, name: str) -> Any:
        return trained(name, self.folder)

    def _scans(self, part: str, rate: int) -> list[dict[str, Scan]]:
        """Pool or test clips as every detector sees them; a clip is rendered once for all."""
        every = {name: self.detector(name) for name in DETECTORS}
        specs = held_out_specs(rate)[part == "test"]
        return [scan(spec, every, self.folder / "scans") for spec in specs]

    def _prior(self, name: str) -> Priors:
        """The prior as a detector meets it that is not among those it was made of."""
        related = {name, "new head"} if name == SHIPPED else {name}  # of the same trunk
        others = [each for each in DETECTORS_OF_PRIOR if each not in related]
        return fitted([rows_of(each, self.folder)[0] for each in others]).trees

    def precision(self, name: str, rate: int) -> dict[str, Any]:
        """Average precision on the test clips."""
        scans = [clip[name] for clip in self.scans("test", rate)]
        pairs = [(each.detections, each.truth) for each in scans]
        return evaluate_detections(pairs, classes=pairs[0][1].classes).as_dict()

    def seen(self, name: str, part: str, rate: int, options: ExpectedErrorsOptions) -> list[Seen]:
        """The clips of a part as a detector sees them, with evidence and verdicts."""
        return [seen(each[name], n, options) for n, each in enumerate(self.scans(part, rate))]


def with_sum(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """(F, 2) of each clip -> (F, 3)."""
    return [np.column_stack([each, each.sum(axis=1)]) for each in parts]


def fixed_estimates(test: Sequence[Seen]) -> dict[str, list[np.ndarray]]:
    """Estimates that need no labels."""
    signal = {name: [each.clip.signals[name] for each in test] for name in test[0].clip.signals}
    alike = {
        "number of detections": "n",
        "sum(1-score)": "sum(1-score)",
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
    result["temporal coherence FP+FN"] = with_sum([np.column_stack(pair) for pair in pairs])
    result["fusion"] = with_sum(fused(test))
    return result


def applied(model: ErrorModel, test: Sequence[Seen], classes: int) -> list[np.ndarray]:
    """(F, 3) expected errors of each clip."""
    return with_sum([model.counts(each.clip.evidence, classes).sum(axis=1) for each in test])


def learned_estimates(
    lab: Lab, name: str, rate: int, threshold: float, classes: int
) -> dict[str, list[np.ndarray]]:
    """What learns, from how many labels: both versions, and the second beside the prior."""
    result: dict[str, list[np.ndarray]] = {}
    for version, word, shares in ((1, "first", SHARES[-1:]), (2, "second", SHARES)):
        own = ExpectedErrorsOptions(threshold, version=version, prior=0)
        pool, test = (lab.seen(name, part, rate, own) for part in ("pool", "test"))
        clips = [each.clip for each in pool]
        for share in shares:
            rows = labelled_rows(clips, drawn(clips, share))
            model = fit(rows, np.random.default_rng(0), own)
            result[f"{word} version, {share:.0%}"] = applied(model, test, classes)
    rows = labelled_rows(clips, chosen(pool, SHARES[-1]))
    model = fit(rows, np.random.default_rng(0), own)
    result["second version, chosen 10%"] = applied(model, test, classes)
    mixed = ExpectedErrorsOptions(threshold)
    prior = lab.prior(name)
    for share in (0.0, *SHARES):
        rows = labelled_rows(clips, drawn(clips, share))
        model = fit(rows, np.random.default_rng(0), mixed, prior=prior)
        word = f"prior + {share:.0%}" if share else "prior"
        result[word] = applied(model, test, classes)
        if not share:
            counts = [model.counts(each.clip.evidence, classes) for each in test]
            result["fusion and prior"] = with_sum(fused(test, counts))
    return result


def measure(lab: Lab, name: str, rate: int, threshold: float, count: int) -> dict[str, Any]:
    """All figures of one configuration, and its bootstrap draws."""
    own = ExpectedErrorsOptions(threshold)
    test = lab.seen(name, "test", rate, own)
    clips = [each.clip for each in test]
    classes = len(lab.detector(name).classes)
    estimates = fixed_estimates(test) | learned_estimates(lab, name, rate, threshold, classes)
    true = with_sum([clip.true for clip in clips])
    return {
        "frames": sum(len(clip.true) for clip in clips),
        "true errors": [int(sum(clip.true[:, k].sum() for clip in clips)) for k in (0, 1)],
        "figures": {key: figures(values, true) for key, values in estimates.items()},
        "totals": {key: totals(values, true) for key, values in estimates.items() if counted(key)},
        "cost": cost(test),
        "draws": draws(estimates, true, count),
    }


def counted(name: str) -> bool:
    """Whether an estimate speaks in counts of errors."""
    return name.startswith(("temporal coherence FP+FN", "first", "second", "prior"))


def cost(clips: Sequence[Seen]) -> dict[str, float]:
    """Core milliseconds a frame on top of detection and flow."""
    frames = sum(len(each.clip.true) for each in clips)
    return {
        "evidence ms a frame": 1e3 * sum(each.clip.seconds for each in clips) / frames,
        "temporal coherence ms a frame": 1e3 * sum(each.seconds for each in clips) / frames,
        "detections a frame": sum(each.clip.signals["n"].sum() for each in clips) / frames,
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
    """Means over all configurations, and each detector's."""
    groups = {
        "all": list(results),
        **{name: [key for key in results if key.startswith(name)] for name in DETECTORS},
    }
    return {group: means([results[key] for key in keys]) for group, keys in groups.items() if keys}


def record(lab: Lab, results: Mapping[str, Any], count: int) -> dict[str, Any]:
    """What is published."""
    done = {key.rsplit(", threshold", 1)[0] for key in results}
    return {
        "machine": machine(),
        "versions": versions(),
        "seeds": SEEDS,
        "which data influenced which choice": CHOICES,
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
            "clips": {"pool": 12, "test": 12},
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
    parser.add_argument("--draws", type=int, default=100)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    lab, results = Lab(args.cache), {}
    for threshold, rate, name in product(THRESHOLDS, RATES, args.only):
        key = f"{name}, {rate} fps, threshold {threshold}"
        results[key] = kept(lab, name, rate, threshold, args.draws)
        tell(f"{key}, errors {results[key]['true errors']}", means([results[key]]))
        text = json.dumps(plain(record(lab, results, args.draws)), indent=1, allow_nan=False)
        args.out.write_text(text + "\n", encoding="utf-8")
    for group, table in summaries(results).items():
        tell(f"mean over configurations: {group}", table)


if __name__ == "__main__":
    main()
