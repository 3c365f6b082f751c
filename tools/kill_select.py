"""Kill and race `vidal select`, and see that every result is whole and of one run.

Kills: a selection with a random seed runs into one folder with one cache, and is killed with
SIGKILL at a random moment; in between, and at the end, the folder holds either no result or a whole
one. Races: two selections with different seeds run into one folder, or with two folders on one
cache; whoever ends well has left a whole result of its own, whoever does not was told in one line.

Every command is a process of its own, forked from this one after the imports, so that the kills
fall into the work and not into the import of torch.

    python tools/kill_select.py --kills 40 --races 40

prints JSON; the exit status is 0 if all was well.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import vidal.detect.faster_rcnn
import vidal.report
import vidal.selection.run  # noqa: F401 (imported here, so that no child has to)
from vidal.cli import main
from vidal.report.place import FILES, foreign_file
from vidal.scenes import plan
from vidal.scenes.scene_files import write_scenes

STRATEGIES = ("random", "entropy", "temporal-coherence")


def command(data: Path, out: Path, cache: Path, seed: int) -> list[str]:
    """A selection whose seed decides how much is chosen, and how."""
    strategy = STRATEGIES[seed % len(STRATEGIES)]
    budget = str(2 + seed % 7)
    where = ["--videos", str(data / "clips"), "--out", str(out), "--cache", str(cache)]
    how = ["--strategy", strategy, "--budget", budget, "--seed", str(seed), "--gap", "0"]
    report = ["--no-report"] if seed % 5 == 0 else []
    detector = ["--detector", "scenes-tiny", "--device", "cpu", "--workers", "1", "--quiet"]
    return ["select", *where, *how, *detector, *report]


def start(arguments: list[str], log: Path) -> int:
    """Run a command in a child process; its process id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        import torch

        torch.set_num_threads(1)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = main(arguments)
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def finish(child: int, limit: float | None = None) -> int | None:
    """Wait for a child; None where it was killed after ``limit`` seconds."""
    ends = None if limit is None else time.monotonic() + limit
    while ends is None or time.monotonic() < ends:
        done, status = os.waitpid(child, 0 if ends is None else os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return None if code == -signal.SIGKILL else code


def faults_of(out: Path, seeds: set[int]) -> list[str]:
    """What is wrong with a folder that has a ``query.json``: everything has to be of one run."""
    query = json.loads((out / "query.json").read_text())
    seed = query["settings"]["seed"]
    faults = [] if seed in seeds else [f"seed {seed} is none of {sorted(seeds)}"]
    if query["strategy"] != STRATEGIES[seed % 3] or len(query["frames"]) != 2 + seed % 7:
        faults.append("strategy or number of frames of another run")
    pictures = [row["file"] for row in query["frames"]]
    found = sorted(f"frames/{path.name}" for path in (out / "frames").iterdir())
    if found != sorted(pictures):
        faults.append(f"pictures {found} instead of {sorted(pictures)}")
    with (out / "query.csv").open(newline="") as file:
        if [row["file"] for row in csv.DictReader(file)] != pictures:
            faults.append("query.csv lists other frames")
    coco = json.loads((out / "preannotations.coco.json").read_text())
    if [image["file_name"] for image in coco["images"]] != pictures:
        faults.append("preannotations.coco.json lists other frames")
    if (out / "report.html").exists() is (seed % 5 == 0):
        faults.append("a report of another run")
    elif seed % 5 and any(name not in (out / "report.html").read_text() for name in pictures):
        faults.append("report.html shows other frames")
    if foreign_file(out) is not None:
        faults.append(f"not known as vidal's own: {foreign_file(out)}")
    return faults


def leftovers(out: Path) -> list[str]:
    """What a run that has ended well must not leave beside its result."""
    return sorted(path.name for path in out.iterdir() if path.name not in FILES)


def kills(folder: Path, data: Path, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Kill selections into one folder; judge what lies there after each."""
    out, cache = folder / "killed", folder / "killed-cache"
    began = time.monotonic()
    log = folder / "kills.log"
    finish(start(command(data, folder / "calm", folder / "calm-cache", 2), log))
    cold = time.monotonic() - began
    killed, whole, faults, last = 0, 0, list[str](), None
    tried: set[int] = set()
    while killed < count and len(tried) < 6 * count:
        seed = len(tried)
        tried.add(seed)
        # Evidence is kept: later runs are as fast as writing. Both lengths are tried.
        limit = float(rng.uniform(0, cold if seed % 4 == 0 else cold / 4))
        code = finish(start(command(data, out, cache, seed), log), limit)
        killed += code is None
        if code not in (None, 0):
            faults.append(f"seed {seed} ended with {code}: {log.read_text()[-500:]}")
        if code == 0:
            last = seed
        if (out / "query.json").exists():
            whole += 1
            faults += faults_of(out, tried)
    seed = len(tried)
    if finish(start(command(data, out, cache, seed), log)) != 0:
        faults.append(f"the last run failed: {log.read_text()[-500:]}")
    faults += faults_of(out, {seed}) + [f"left over: {name}" for name in leftovers(out)]
    return {"kills": killed, "runs": len(tried) + 1, "whole_between": whole, "ended": last,
            "faults": faults}  # fmt: skip


def races(folder: Path, data: Path, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Two selections at a time: into one folder with two caches, or two folders with one cache."""
    faults, ends = list[str](), Counter[str]()
    for number in range(count):
        shared_out = number % 2 == 0
        place = folder / f"race-{number}" if not shared_out else folder / "race"
        seeds = (10 + 2 * number, 11 + 2 * number)
        outs = [place / "out" if shared_out else place / f"out-{seed}" for seed in seeds]
        caches = [place / (f"cache-{k}" if shared_out else "cache") for k in (0, 1)]
        children = []
        logs = [folder / f"race-{number}-{seed}.log" for seed in seeds]
        for seed, out, cache, log in zip(seeds, outs, caches, logs, strict=True):
            children.append(start(command(data, out, cache, seed), log))
            time.sleep(float(rng.uniform(0, 0.15)))
        codes = [finish(child) for child in children]
        ends[f"{'folder' if shared_out else 'cache'}: {sorted(map(str, codes))}"] += 1
        for seed, out, code, log in zip(seeds, outs, codes, logs, strict=True):
            if code == 0:
                faults += faults_of(out, set(seeds) if shared_out else {seed})
                faults += [f"left over: {name}" for name in leftovers(out)]
            elif not (shared_out and code == 2 and "is writing there" in log.read_text()):
                faults.append(f"race {number}, seed {seed} ended with {code}: {log.read_text()}")
        if 0 not in codes:
            faults.append(f"race {number}: nobody won")
    return {"races": count, "ends": dict(ends), "faults": faults}


def experiment(folder: Path, killed: int, raced: int, seed: int) -> dict[str, Any]:
    """Everything, on the same small rendered clips."""
    data = folder / "data"
    write_scenes(data, plan(3, 5, frames=(12, 12), size=(96, 160)))
    rng = np.random.default_rng(seed)
    return {
        "seed": seed,
        "kills": kills(folder, data, killed, rng),
        "races": races(folder, data, raced, rng),
    }


def cli() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--races", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        outcome = experiment(Path(name), given.kills, given.races, given.seed)
    print(json.dumps(outcome, indent=2))
    well = not outcome["kills"]["faults"] and not outcome["races"]["faults"]
    return 0 if well and outcome["kills"]["kills"] == given.kills else 1


if __name__ == "__main__":
    sys.exit(cli())
