"""Open-set strategies on image pools: run them in pieces, and test what the papers say.

    python tools/measure_openset.py run mnist-4 --data mnist.npz --strategies lfosa,msp --seeds 5
    python tools/measure_openset.py run mnist-noise-60 --data mnist.npz --strategies mqnet
    python tools/measure_openset.py collect --docs

``run`` is ``vidal images simulate`` on one setting, in ``--out``/SETTING: it goes on where it was
stopped, and strategies and seeds may be added by further calls; one process a setting at a time.
``collect`` reads every run that is finished, prints tables and the papers' orderings O1 to O9, one
claim at a time with its interval, and writes ``tools/results/openset_images.json`` (``--results``);
with ``--docs`` also the measured part of ``docs/open_set.md``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from openset_orderings import (
    TITLES,
    Claim,
    Run,
    Runs,
    Verdict,
    claims,
    judge,
    last,
    overall,
    weight,
)

from vidal.api import image_pools
from vidal.api.watch import Bars
from vidal.assemble.images import ImagesPlan, plan_images, simulate_images
from vidal.assemble.images_told import LABEL_ONLY
from vidal.assemble.machine import machine
from vidal.evaluate.intervals import mean_interval
from vidal.images.config import load_images_config
from vidal.images.runs import INITIAL, ImageJob, finished, query_of, rows_of, seconds_of
from vidal.selection.notes import versions
from vidal.store.atomic import write_text

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "tools" / "results" / "openset_images.json"
DOCS = ROOT / "docs" / "open_set.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Setting:
    """A problem: a configuration and what differs from it."""

    config: str
    openness: float | None = None
    noise: float | None = None


MNIST, CIFAR = "images-openset-mnist.yaml", "images-openset-cifar10.yaml"
SETTINGS: Mapping[str, Setting] = {
    f"{data}-{name}": Setting(config, *more)
    for data, config in (("mnist", MNIST), ("cifar10", CIFAR))
    for name, more in (
        ("4", ()),
        ("2", (0.8,)),
        ("noise-20", (None, 0.2)),
        ("noise-60", (None, 0.6)),
        ("all", (0.0,)),
    )
}
"""Known classes of 10 (unknown classes as many as there are), or the share of unknown images."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(dest="part", required=True)
    run_it = parts.add_parser("run", help="run strategies on one setting")
    run_it.add_argument("setting", choices=SETTINGS)
    run_it.add_argument("--data", type=Path, required=True, help="mnist.npz, or a folder")
    run_it.add_argument("--strategies", help="names, with commas [all of the configuration]")
    run_it.add_argument("--seeds", type=int, default=3)
    run_it.add_argument("--workers", type=int, default=1)
    told = parts.add_parser("collect", help="test what the papers say")
    told.add_argument("--docs", action="store_true", help="write docs/open_set.md as well")
    told.add_argument("--results", type=Path, default=RESULT, help="what is written")
    for each in (run_it, told):
        each.add_argument("--out", type=Path, default=Path("openset-images"))
        each.add_argument("--rounds", type=int, help="trained, the first one included")
    given = parser.parse_args()
    if given.part == "run":
        run(given)
    else:
        collect(given.out, given.results, rounds=given.rounds, docs=given.docs)


def plan_of(name: str, out: Path, strategies: Sequence[str], **more: Any) -> ImagesPlan:
    """What one setting simulates."""
    own = SETTINGS[name]
    config = load_images_config(ROOT / "configs" / own.config)
    config = config.with_data(more.get("data"), None, own.openness, own.noise)
    return plan_images(
        config,
        strategies=strategies,
        seeds=more.get("seeds", 1),
        rounds=more.get("rounds") or config.rounds,
        out=out / name,
        workers=more.get("workers", 1),
        all_data=False,
    )


def run(given: argparse.Namespace) -> None:
    config = load_images_config(ROOT / "configs" / SETTINGS[given.setting].config)
    asked = given.strategies.split(",") if given.strategies else config.simulation.strategies
    more = {key: getattr(given, key) for key in ("data", "seeds", "rounds", "workers")}
    plan = plan_of(given.setting, given.out, asked, **more)
    with image_pools.claimed(plan), Bars(quiet=False) as bars:
        simulate_images(plan, bars)
    firsts = [plan.job(INITIAL, seed) for seed in plan.seeds]
    print(f"core-seconds of first models and encoders: {whole(firsts):.0f}")
    for name in plan.strategies:
        jobs = [plan.job(name, seed) for seed in plan.seeds]
        rounds = rows_of(jobs[0])
        print(
            f"{name:<18} {whole(jobs) / len(jobs):6.1f} core-seconds a run,"
            f" accuracy {rounds[-1].ap50:.3f} on the first seed"
        )


def whole(jobs: Sequence[ImageJob]) -> float:
    return sum(seconds_of(each) for each in jobs)


def collect(out: Path, results: Path, *, rounds: int | None, docs: bool) -> None:
    there = [name for name in SETTINGS if (out / name / "runs").is_dir()]
    settings = {name: runs_of(name, out, rounds) for name in there}
    verdicts = [
        judge(each, settings)
        for data in ("mnist", "cifar10")
        for each in all_claims(data)
        if any(name.startswith(f"{data}-") for name in settings)
    ]
    content = {
        "settings": {name: summary(runs) for name, runs in settings.items()},
        "orderings": orderings(verdicts),
        "claims": [each.as_dict() for each in verdicts],
        "purity_weight": weights(settings),
        "machine": machine(),
        "versions": versions(),
    }
    write_text(results, json.dumps(content, indent=1, allow_nan=False) + "\n")
    text = "\n".join(lines(content))
    print(text)
    if docs:
        before = DOCS.read_text("utf-8")
        first, rest = before.split(BEGIN)
        write_text(DOCS, f"{first}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


def all_claims(data: str) -> Iterator[Claim]:
    noisy = (f"{data}-noise-20", f"{data}-noise-60")
    yield from claims(f"{data}-4", f"{data}-all", f"{data}-2", noisy)


def runs_of(name: str, out: Path, rounds: int | None) -> Runs:
    """Strategy -> seed -> run, of what is finished; with the line that never asks."""
    found: dict[str, dict[int, Run]] = {}
    for folder in sorted((out / name / "runs").iterdir()):
        strategy, _, seed = folder.name.rpartition("-")
        if strategy == INITIAL:
            continue
        plan = plan_of(name, out, [strategy], rounds=rounds)
        job = plan.job(strategy, int(seed))
        if not finished(job):
            print(f"{name}: {folder.name} is not finished and left out")
            continue
        asked = [query_of(job, number) for number in range(job.rounds - 1)]
        told = tuple({} if each is None else each.told for each in asked)
        found.setdefault(strategy, {})[int(seed)] = Run(rows_of(job), told, seconds_of(job))
    first = {seed: Run(each.rows[:1]) for seed, each in found.get("random", {}).items()}
    return {**found, LABEL_ONLY: first} if first and SETTINGS[name].openness != 0 else found


def summary(runs: Runs) -> dict[str, Any]:
    """One setting in numbers."""
    return {name: of_strategy(name, runs) for name in runs}


def of_strategy(name: str, runs: Runs) -> dict[str, Any]:
    mine = list(runs[name].values())
    precision = np.array([each.precision() for each in mine])
    found: dict[str, Any] = {
        "seeds": sorted(runs[name]),
        "accuracy": [shown(each) for each in np.array([r.accuracy() for r in mine]).T],
        "query_precision": [shown(each) for each in precision.T],
        "labelled": [row.labelled for row in mine[0].rows],
        "known_labels": float(np.mean([each.rows[-1].boxes for each in mine])),
        "core_seconds_a_run": round(float(np.mean([each.seconds for each in mine])), 1),
    }
    if precision.size:
        found["mean_query_precision"] = shown(precision.mean(axis=1))
    random = runs.get("random", {})
    pairs = {seed: each for seed, each in random.items() if seed in runs[name]}
    if name != "random" and pairs:
        apart = np.array([last(runs[name][seed]) - last(each) for seed, each in pairs.items()])
        found["last_minus_random"] = shown(apart)
        found["seeds_above_random"] = int((apart > 0).sum())
    return found


def shown(values: Any) -> dict[str, float | None] | None:
    """Mean and interval; None without numbers."""
    kept = np.asarray(values, np.float64)
    if not len(kept) or not np.isfinite(kept).all():
        return None
    found = mean_interval(kept)
    low, high = (round(e, 5) if np.isfinite(e) else None for e in (found.low, found.high))
    return {"value": round(found.value, 5), "low": low, "high": high}


def orderings(verdicts: Sequence[Verdict]) -> dict[str, dict[str, str]]:
    """Data set -> ordering -> what its claims come to."""
    found: dict[str, dict[str, str]] = {}
    for data in ("mnist", "cifar10"):
        mine = [each for each in verdicts if each.claim.setting.startswith(data)]
        for name in TITLES if mine else ():
            found.setdefault(data, {})[name] = overall(
                [each for each in mine if each.claim.ordering == name]
            )
    return found


def weights(settings: Mapping[str, Runs]) -> dict[str, Any]:
    """MQ-Net: what purity weighs, by query and setting (its Figure 4)."""
    found: dict[str, Any] = {}
    for setting, runs in settings.items():
        for name in (each for each in runs if each.startswith("mqnet")):
            each_run = [weight(run) for run in runs[name].values()]
            whole_runs = [each for each in each_run if len(each) and np.isfinite(each).all()]
            if whole_runs:
                found.setdefault(setting, {})[name] = [shown(e) for e in np.array(whole_runs).T]
    return found


def lines(content: Mapping[str, Any]) -> list[str]:
    """As Markdown."""
    text: list[str] = []
    for name, table in content["settings"].items():
        text += ["", f"### {name}", "", *table_lines(table)]
    for data, words in content["orderings"].items():
        text += ["", f"### What the papers say, on {data}", "", "| | claim | |", "|---|---|---|"]
        text += [f"| {key} | {TITLES[key]} | {word} |" for key, word in words.items()]
    text += [
        "",
        "| | setting | claim | difference | seeds above 0 | |",
        "|---|---|---|---|---|---|",
    ]
    run = [each for each in content["claims"] if each["seeds"]]
    for each in run:
        above = f"{each['seeds_above_0']} of {each['seeds']}"
        row = [each["ordering"], each["setting"], each["claim"], cell(each, signed=True), above]
        text.append(f"| {' | '.join(row)} | {each['verdict']} |")
    left = len(content["claims"]) - len(run)
    if left:
        text.append(f"\n{left} more claims were not run; they are named in the JSON.")
    for setting, rules in content["purity_weight"].items():
        for name, values in rules.items():
            weighs = ", ".join(f"{each['value']:.2f}" for each in values)
            text.append(f"\n{setting}: what purity weighs in {name}, query by query: {weighs}.")
    return text


def table_lines(table: Mapping[str, Any]) -> list[str]:
    """One setting, best last accuracy first."""
    text = [
        "| strategy | query precision: first, last, mean | known labels | last accuracy | - random"
        " | seeds above | core-s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, own in sorted(table.items(), key=best):
        precision = own["query_precision"]
        purity = "-"
        if precision and precision[0] and own.get("mean_query_precision"):
            values = (precision[0], precision[-1], own["mean_query_precision"])
            purity = ", ".join("-" if e is None else f"{e['value']:.2f}" for e in values)
        apart = own.get("last_minus_random")
        cells = [
            purity,
            f"{own['known_labels']:.0f}",
            cell(own["accuracy"][-1]),
            cell(apart, signed=True),
            f"{own['seeds_above_random']} of {len(own['seeds'])}" if apart else "",
            f"{own['core_seconds_a_run']:.0f}" if own["core_seconds_a_run"] else "",
        ]
        text.append(f"| {name} | {' | '.join(cells)} |")
    return text


def best(item: tuple[str, Mapping[str, Any]]) -> float:
    """Order of a table: best last accuracy first."""
    found = item[1]["accuracy"][-1]
    return 0.0 if found is None else -float(found["value"])


def cell(found: Mapping[str, Any] | None, *, signed: bool = False) -> str:
    if not found or found.get("value") is None:
        return ""
    form = "{:+.3f}" if signed else "{:.3f}"
    text = form.format(found["value"])
    if found.get("low") is None:
        return text
    return f"{text} [{form.format(found['low'])}, {form.format(found['high'])}]"


if __name__ == "__main__":
    main()
