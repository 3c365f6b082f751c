"""A learning curve with and without pre-training on the unlabelled pool.

    python tools/bench_pretrain.py --out bench-pretrain --seeds 2
    python tools/bench_pretrain.py --out bench-pretrain --seeds 2 --methods fresh,simsiam

The simulation of ``configs/scenes-pretrain.yaml`` is run once a method: from random weights
(``fresh``), from a backbone that SimSiam made of the pool's frames (``simsiam``), and with a
neighbouring frame as a further positive (``simsiam-neighbours``). Clips, initial labels, queries of
the three baselines, trainings and test clips are the same; differences are paired by strategy and
seed. What is finished in ``--out`` is not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from vidal.api.watch import Bars, Lines
from vidal.assemble.machine import machine
from vidal.assemble.pretrain import PretrainJob, pretrain_backbone
from vidal.assemble.simulation import plan_simulation, simulate
from vidal.campaign.config import CampaignConfig, load_config
from vidal.evaluate.curves import Row
from vidal.evidence.places import Engines
from vidal.pretrain.options import SimSiamOptions
from vidal.selection.notes import versions
from vidal.simulation.runs import rendered
from vidal.store.atomic import write_text

NEIGHBOURS = {"simsiam": 0, "simsiam-neighbours": 2}
"""Method -> frames that a further positive is away at most."""
KEPT = ("frames", "clips", "steps", "std", "healthy_std", "spread", "collapsed", "options")


def backbone(method: str, videos: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Pre-train it; what became of it, and the seconds that took."""
    began = time.monotonic()
    job = PretrainJob(
        videos=videos,
        out=asked.out / f"{method}.safetensors",
        detector="scenes-tiny",
        neighbours=NEIGHBOURS[method],
        device="cpu",
        training=SimSiamOptions(epochs=asked.epochs, batch=asked.batch, lr=asked.lr),
    )
    lines = Lines(f"pre-training {method}:")
    found = pretrain_backbone(job, training=lines)
    seconds = time.monotonic() - began if found["new"] else None
    losses = [found["losses"][0], found["losses"][-1]]
    told = {name: found[name] for name in KEPT}
    return {"file": found["weights"], "losses": losses, "seconds": seconds, **told}


def curve(config: CampaignConfig, out: Path, asked: argparse.Namespace) -> list[Row]:
    """The rows of one method."""
    plan = plan_simulation(
        config,
        strategies=[],
        seeds=asked.seeds,
        rounds=asked.rounds,
        out=out,
        workers=asked.workers,
        all_data=False,
    )
    with Bars(quiet=asked.quiet) as bars:
        return list(simulate(plan, bars).rows)


def compared(rows: Sequence[Row], base: Sequence[Row]) -> list[dict[str, Any]]:
    """Of every round: mean AP50 and the paired difference, with a 95 % interval over pairs."""
    mine = {(row.strategy, row.seed, row.round): row for row in rows}
    lines = []
    for number in sorted({row.round for row in base}):
        pairs = [
            (mine[key].ap50, row.ap50)
            for row in base
            if (key := (row.strategy, row.seed, row.round)) in mine
            and row.round == number
            and (number > 0 or row.strategy == base[0].strategy)  # the initial round is shared
        ]
        value = np.array(pairs, dtype=float)
        difference = value[:, 0] - value[:, 1]
        half = None
        if len(difference) > 1:
            spread = difference.std(ddof=1) / np.sqrt(len(difference))
            half = float(stats.t.ppf(0.975, len(difference) - 1) * spread)
        lines.append(
            {
                "round": number,
                "labelled": next(row.labelled for row in base if row.round == number),
                "pairs": len(difference),
                "ap50": float(value[:, 0].mean()),
                "ap50_fresh": float(value[:, 1].mean()),
                "difference": float(difference.mean()),
                "half_width": half,
            }
        )
    return lines


def options() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/scenes-pretrain.yaml"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--methods", default="fresh,simsiam,simsiam-neighbours")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quiet", action="store_true")
    asked = parser.parse_args()
    asked.out = asked.out.absolute()
    return asked


def main() -> None:
    """All methods, one after the other."""
    asked = options()
    config = load_config(asked.config)
    found = rendered(config, asked.out / "fresh", Engines(asked.workers))
    assert found.data.videos is not None
    base = curve(config, asked.out / "fresh", asked)
    methods: dict[str, Any] = {}
    for method in asked.methods.split(","):
        if method == "fresh":
            continue
        made = backbone(method, found.data.videos, asked)
        own = config.changed(detector={"backbone": made["file"]})
        if not (asked.out / method / "scenes").exists():
            shutil.copytree(asked.out / "fresh/scenes", asked.out / method / "scenes")
        lines = compared(curve(own, asked.out / method, asked), base)
        methods[method] = {
            "pretraining": {**made, "file": Path(made["file"]).name},
            "rounds": lines,
        }
        for line in lines:
            print(method, json.dumps(line), flush=True)
    result = {
        "config": asked.config.name,
        "seeds": asked.seeds,
        "methods": methods,
        "fresh": [row.as_dict() for row in base],
        "machine": machine(),
        "versions": versions(),
    }
    write_text(
        asked.results or asked.out / "pretrain.json",
        json.dumps(result, indent=1, allow_nan=False) + "\n",
    )


if __name__ == "__main__":
    main()
