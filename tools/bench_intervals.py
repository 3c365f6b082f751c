"""How often the intervals of a simulation hold what they promise, and how often chance is found.

Detectors are invented, judged clips and all: they differ by seed, by test clip, by what a strategy
does on a clip, and by chance, and no strategy is better than another. Each trial is a simulation of
its own with fresh test clips; an interval should hold 0 in 95 of 100, and a conclusion that was not
named beforehand should be drawn, for any of the strategies, in at most 5 of 100.

    python tools/bench_intervals.py --trials 300 --out tools/results/intervals.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from vidal.assemble.machine import machine
from vidal.evaluate.average_precision import ScoredDetections
from vidal.evaluate.clip_scores import ClipScores
from vidal.evaluate.comparison import compare, corrected
from vidal.evaluate.curves import Row, curves
from vidal.evaluate.intervals import mean_interval
from vidal.evaluate.resampling import Resampler, Run
from vidal.selection.notes import versions
from vidal.store.atomic import write_text

CLASSES = ("common", "rare")
SPREADS: dict[str, dict[str, float]] = {
    "seeds": {"run": 0.25, "clip": 0.0},
    "clips": {"run": 0.05, "clip": 0.4},
    "both": {"run": 0.15, "clip": 0.25},
}
"""Standard deviations, in logits of a find, of what a strategy does to a run and to a clip."""


def judged(skill: float, effect: np.ndarray, objects: np.ndarray, rng: Generator) -> ClipScores:
    """The judged detections of one model.

    Args:
        skill: logit of finding an object.
        effect: (C,) added to it on each clip.
        objects: (C, K) of each clip and class.
        rng: of chance.
    """
    chance = 1 / (1 + np.exp(-(skill + effect)))
    found = rng.binomial(objects, chance[:, None])
    false = rng.poisson(2 + 5 * (1 - chance[:, None]), objects.shape)
    parts = []
    for label in range(objects.shape[1]):
        hits, wrong = found[:, label].sum(), false[:, label].sum()
        clip = np.repeat(np.tile(np.arange(len(objects)), 2), [*found[:, label], *false[:, label]])
        scores = np.concatenate([rng.beta(4, 2, hits), rng.beta(1.5, 4, wrong)])
        parts.append((clip, scores, np.full(hits + wrong, label), np.arange(hits + wrong) < hits))
    clip, scores, labels, right = (np.concatenate(each) for each in zip(*parts, strict=True))
    names = tuple(f"clip-{n}" for n in range(len(objects)))
    table = ScoredDetections(CLASSES, clip, scores, labels, right, objects)
    return ClipScores(names, ((),) * len(names), table)


def a_trial(
    seeds: int, clips: int, strategies: int, spread: Mapping[str, float], rng: Generator
) -> tuple[list[Row], dict[Run, ClipScores]]:
    """A simulation of one round in which no strategy is better than another."""
    objects = rng.poisson((25, 0), (clips, 2))
    objects[: clips // 6, 1] = rng.poisson(6, clips // 6) + 1
    hard = rng.normal(0, 0.6, clips)
    rows, scores = [], {}
    effects = {f"s{k}": rng.normal(0, spread["clip"], clips) for k in range(strategies)}
    for seed in range(seeds):
        shared = rng.normal(0.4, 0.2)
        for name, effect in effects.items():
            skill = shared + rng.normal(0, spread["run"])
            found = judged(skill, effect - hard, objects, rng)
            scores[name, seed, 0] = found
            value = float(found.ap50()[0])
            rows.append(Row(name, seed, 0, 10, 10, value, value))
    return rows, scores


def measure(seeds: int, spread: Mapping[str, float], options: Any) -> dict[str, float]:
    """Shares of trials, over the strategies that are compared with the first."""
    rng = np.random.default_rng([options.seed, seeds, *(int(100 * v) for v in spread.values())])
    held, students, families, width = 0, 0, 0, 0.0
    count = options.strategies - 1
    for _ in range(options.trials):
        rows, scores = a_trial(seeds, options.clips, options.strategies, spread, rng)
        every = curves(rows)
        resampler = Resampler(scores, rng, draws=options.draws)
        family = {}
        for name in list(every)[1:]:
            comparison = compare(every[name], every["s0"], resampler, rng)
            assert comparison is not None
            family[name] = comparison
        for each in family.values():
            held += not each.final.excludes(0)
            students += not mean_interval(each.differences).excludes(0)
            width += each.final.high - each.final.low
        families += any(each.conclusive for each in corrected(family, None, rng).values())
    pairs = options.trials * count
    return {
        "interval_holds_0": held / pairs,
        "students_over_seeds_holds_0": students / pairs,
        "mean_width": width / pairs,
        "any_false_conclusion": families / options.trials,
    }


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--clips", type=int, default=36)
    parser.add_argument("--strategies", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = []
    for seeds in (3, 5, 8, 16):
        for kind, spread in SPREADS.items():
            numbers = measure(seeds, spread, options)
            found.append({"seeds": seeds, "strategies_differ_by": kind, **numbers})
            print(found[-1], flush=True)
    if options.out is not None:
        asked = {k: v for k, v in vars(options).items() if k != "out"}
        facts = {"options": asked, "spreads": SPREADS, "trials": found}
        text = json.dumps({**facts, "versions": versions(), "machine": machine()}, indent=1)
        write_text(options.out, text + "\n")


if __name__ == "__main__":
    main()
