"""What `docs/does_it_save_labels.md` tells beside the main table, from the folder of a simulation.

    python tools/shift_checks.py against --out simulation-scenes-shift-full \\
        --strategies expected-errors,entropy-sum-looks --baselines entropy-sum,every-nth
    python tools/shift_checks.py longer --out simulation-scenes-shift-full --steps 288 \\
        --runs random-r-0,expected-errors-0 --results longer.json

``against`` compares finished runs with other baselines than `random-r`, paired (``--first-seed 8``
= runs of the seeds 8 to 15, which `vidal simulate --seeds 16` adds). ``longer`` fits the
labels that runs ended with anew from the deployed model, with more steps, and judges that; what is
in ``--results`` already is not fitted again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidal.assemble.machine import machine
from vidal.assemble.simulation import SimulationPlan, plan_simulation, told
from vidal.campaign.accuracy import judge_model
from vidal.campaign.config import load_config
from vidal.campaign.fitting import labelled_frames
from vidal.campaign.folder import open_campaign
from vidal.campaign.training import LabelledFrames, starting_detector
from vidal.detect.spec import DetectorSpec
from vidal.evaluate.intervals import Interval
from vidal.evaluate.summary import Summary, summarise
from vidal.evidence.gather import EvidencePlan
from vidal.selection.draws import START, TRAIN, step_rng
from vidal.selection.notes import versions
from vidal.simulation.runs import open_simulated, rendered
from vidal.simulation.simulate import Here, Unwatched
from vidal.store.atomic import write_text

REFIT = 99
"""Number of the round that a longer training draws its random numbers as."""


def against(plan: SimulationPlan, baselines: list[str], results: Path | None) -> None:
    """Differences at every budget, with intervals and the uncorrected p over seeds."""
    result = told(plan)
    means: dict[str, list[float]] = {}
    unknown: dict[str, Any] = {}
    differences: list[dict[str, Any]] = []
    for baseline in baselines:
        rng = np.random.default_rng(0)
        lines = summarise(result.rows, rng, baseline=baseline, scores=result.scores).lines
        for line in lines:
            other = line.comparison
            if line.strategy in plan.strategies:
                means[line.strategy] = [each.value for each in line.values]
                if line.unknown:
                    unknown[line.strategy] = {n: _span(c.value) for n, c in line.unknown.items()}
            if other is not None and line.strategy in plan.strategies:
                rounds = [_span(each) for each in other.rounds]
                pair = {"strategy": line.strategy, "baseline": baseline}
                differences.append(
                    {**pair, "rounds": rounds, "p_seeds": other.p_seeds, **_unknown(line)}
                )
                spans = [f"{d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}]" for d in other.rounds[1:]]
                print(line.strategy, "against", baseline, *spans, f"p {other.p_seeds:.3f}")
                print("  ", *(f"{n} {_words(c.difference)}" for n, c in line.unknown.items()))
    if results is not None:
        head = {"seeds": list(plan.seeds), "machine": machine(), "versions": dict(versions())}
        whole = {**head, "ap50": means, "unknown": unknown, "differences": differences}
        write_text(results, json.dumps(whole, indent=1, allow_nan=False) + "\n")


def _span(found: Interval) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}


def _words(found: Interval | None) -> str:
    return "" if found is None else f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _unknown(line: Summary) -> dict[str, Any]:
    """Paired differences in query precision and unknown objects; empty without unknown objects."""
    found = {n: _span(c.difference) for n, c in line.unknown.items() if c.difference is not None}
    return {"unknown": found} if found else {}


def longer(plan: SimulationPlan, run: str, steps: int) -> dict[str, Any]:
    """AP50 of the labels of one run (strategy-seed) after more steps."""
    seed = int(run.rpartition("-")[2])
    config = rendered(plan.config.changed(seed=seed), plan.out, plan.engines)
    source = open_simulated(config, plan.out, plan.engines)
    clips = source.opened("train")
    with (
        open_campaign(plan.out / "runs" / run, lock=False) as campaign,
        tempfile.TemporaryDirectory() as folder,
    ):
        own = campaign.config.changed(training={"steps": steps})
        refs, tables = labelled_frames(campaign, clips)
        detector = starting_detector(own, campaign.record.classes, step_rng(seed, 0, START))
        samples = LabelledFrames(refs, clips, tables, Path(folder) / "frames.raw")
        model = Path(folder) / "model.safetensors"
        detector.fit(samples, step_rng(seed, REFIT, TRAIN), None).save(model, {})
        judged = judge_model(
            EvidencePlan(Path(folder) / "evidence", DetectorSpec(weights=model), 4, None, None),
            list(source.opened("test").values()),
            source.truth("test"),
            engines=Here(),
            watcher=Unwatched(),
        )
    values = judged.as_dict()
    classes = {name: each["ap50"] for name, each in values["classes"].items()}
    head = {"run": run, "frames": len(refs), "steps": steps}
    return {**head, "ap50": values["map50"], "classes": classes}


def all_longer(plan: SimulationPlan, runs: list[str], steps: int, results: Path | None) -> None:
    """``longer`` of every run, kept as soon as it is known."""
    told: list[dict[str, Any]] = []
    if results is not None and results.exists():
        told = json.loads(results.read_text("utf-8"))
    for run in runs:
        with open_campaign(plan.out / "runs" / run, lock=False) as campaign:
            frames = campaign.record.counts()["labelled"]
        if any((e["run"], e["steps"], e["frames"]) == (run, steps, frames) for e in told):
            continue
        told.append(longer(plan, run, steps))
        print(json.dumps(told[-1]), flush=True)
        if results is not None:
            write_text(results, json.dumps(told, indent=1, allow_nan=False))


def main() -> None:
    """One of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("against", "longer"))
    parser.add_argument("--config", type=Path, default=Path("configs/scenes-shift-full.yaml"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--strategies", default="expected-errors")
    parser.add_argument("--baselines", default="random-r")
    parser.add_argument("--runs", default="")
    parser.add_argument("--steps", type=int, default=288)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    baselines = asked.baselines.split(",")
    plan = plan_simulation(
        load_config(asked.config),
        strategies=[*asked.strategies.split(","), *baselines],
        seeds=asked.seeds,
        rounds=asked.rounds,
        out=asked.out,
        workers=1,
        all_data=False,
    )
    if asked.what == "against":
        seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
        against(replace(plan, seeds=tuple(seeds)), baselines, asked.results)
        return
    all_longer(plan, list(filter(None, asked.runs.split(","))), asked.steps, asked.results)


if __name__ == "__main__":
    main()
