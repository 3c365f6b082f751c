"""What the simulations on image pools say: accuracy, rare classes, and balance against none.

    vidal images simulate configs/images-mnist.yaml --data mnist.npz
    vidal images simulate configs/images-mnist.yaml --data mnist.npz --imbalance 1
    python tools/measure_images.py images_mnist simulation-images-mnist*

Reads ``results.json`` of each folder and writes ``tools/results/NAME.json``. Differences are paired
by seed, with Student's 95 % intervals: of every strategy from random, of every ``X-balanced``
from ``X``, and of every other variant from its strategy.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from vidal.evaluate.intervals import Interval, mean_interval
from vidal.images.task import RARE
from vidal.store.atomic import write_text

RESULTS = Path(__file__).parent / "results"
SUFFIX = "-balanced"
Table = dict[str, dict[int, dict[int, dict[str, Any]]]]
"""Strategy -> seed -> round -> row."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the file in tools/results, without .json")
    parser.add_argument("folders", nargs="+", type=Path, help="of vidal images simulate")
    given = parser.parse_args()
    parts = [told(json.loads((each / "results.json").read_text("utf-8"))) for each in given.folders]
    for part in parts:
        print(f"\n## imbalance {part['imbalance']}, {len(part['seeds'])} seeds")
        for line in lines(part):
            print(line)
    text = json.dumps({"simulations": parts}, indent=1, allow_nan=False)
    write_text(RESULTS / f"{given.name}.json", text + "\n")


def told(result: dict[str, Any]) -> dict[str, Any]:
    """One simulation in numbers."""
    table, variants = rows_of(result), result["settings"]["simulation"]["variants"]
    strategies = {}
    for name, runs in table.items():
        if name == "all-data":
            continue
        strategies[name] = {
            "labelled": [row["labelled"] for row in next(iter(runs.values())).values()],
            "accuracy": [shown(mean_interval(each)) for each in by_round(runs, "accuracy").T],
            "l1_score": [float(each.mean()) for each in by_round(runs, "l1_score").T],
            "final": against(table, name, "random"),
        }
        if name.endswith(SUFFIX) and name.removesuffix(SUFFIX) in table:
            strategies[name]["against_unbalanced"] = against(table, name, name.removesuffix(SUFFIX))
        elif name in variants and variants[name]["strategy"] in table:
            other = variants[name]["strategy"]
            strategies[name]["against_its_strategy"] = against(table, name, other)
    named = ("versions", "machine", "seeds", "rounds", "seconds", "data", "settings")
    whole = [run[0]["accuracy"] for run in table.get("all-data", {}).values()]
    return {
        "imbalance": result["settings"]["imbalance"],
        "all_data": shown(mean_interval(whole)) if whole else None,
        "strategies": strategies,
        **{key: result[key] for key in named},
    }


def rows_of(result: dict[str, Any]) -> Table:
    table: Table = {}
    for row in result["rows"]:
        table.setdefault(row["strategy"], {}).setdefault(row["seed"], {})[row["round"]] = row
    return table


def by_round(runs: dict[int, dict[int, dict[str, Any]]], key: str) -> np.ndarray:
    """(seeds, rounds) of a number of rows."""
    return np.array([[number(row, key) for row in run.values()] for run in runs.values()])


def number(row: dict[str, Any], key: str) -> float:
    return float(row["conditions"].get(RARE, np.nan) if key == "rare" else row[key])


def against(table: Table, name: str, other: str) -> dict[str, Any]:
    """After the last round, and of the mean over rounds, with how many seeds are above 0."""
    seeds = [seed for seed in table[name] if seed in table.get(other, {})]
    if name == other or not seeds:
        return {}
    found: dict[str, Any] = {}
    for key in ("accuracy", "rare", "l1_score"):
        mine, theirs = (
            by_round({seed: table[each][seed] for seed in seeds}, key) for each in (name, other)
        )
        apart = mine - theirs
        if np.isnan(apart).any():
            continue
        found[key] = {
            "last": shown(mean_interval(apart[:, -1])),
            "mean_of_rounds": shown(mean_interval(apart[:, 1:].mean(axis=1))),
            "seeds_above_0": int((apart[:, -1] > 0).sum()),
        }
    return {"other": other, "seeds": len(seeds), **found}


def shown(interval: Interval) -> dict[str, Any]:
    ends = (interval.low, interval.high)
    low, high = (round(end, 5) if np.isfinite(end) else None for end in ends)
    return {"value": round(interval.value, 5), "low": low, "high": high}


def lines(part: dict[str, Any]) -> list[str]:
    """As Markdown, best last accuracy first."""
    text = [
        "| strategy | last accuracy | - random | mean of rounds - random | rare - random | L1 |",
        "|---|---|---|---|---|---|",
    ]
    pairs = [
        "",
        "| | accuracy | rare classes | L1 | seeds above 0 (accuracy) |",
        "|---|---|---|---|---|",
    ]
    order = sorted(part["strategies"].items(), key=lambda each: -each[1]["accuracy"][-1]["value"])
    for name, own in order:
        apart = own["final"]
        cells = [
            cell(apart.get("accuracy", {}).get("last")),
            cell(apart.get("accuracy", {}).get("mean_of_rounds")),
            cell(apart.get("rare", {}).get("last")),
        ]
        last = own["accuracy"][-1]["value"]
        text.append(f"| {name} | {last:.3f} | {' | '.join(cells)} | {own['l1_score'][-1]:.3f} |")
        pair = own.get("against_unbalanced") or own.get("against_its_strategy")
        if pair:
            each = [cell(pair.get(key, {}).get("last")) for key in ("accuracy", "rare", "l1_score")]
            above = f"{pair['accuracy']['seeds_above_0']} of {pair['seeds']}"
            pairs.append(f"| {name} - {pair['other']} | {' | '.join(each)} | {above} |")
    return [*text, *(pairs if len(pairs) > 3 else [])]


def cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    if found["low"] is None:
        return f"{found['value']:+.3f}"
    return f"{found['value']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


if __name__ == "__main__":
    main()
