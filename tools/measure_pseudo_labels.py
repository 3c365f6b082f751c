"""How many pseudo-labels are right, by the rules that choose them.

    vidal simulate configs/scenes-quick.yaml --out sim --strategies random-r --seeds 1 --rounds 2 \\
        --no-all-data
    python tools/measure_pseudo_labels.py --out sim --run random-r-0

Takes the pool of a finished run as it was after its first query was answered, looks at it with the
model of the initial round (the teacher of that training), and judges by the truth what each set of
options would have labelled. One seed, and one detector: the figures rank the rules, no more.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidal import boxes
from vidal.assemble.campaign import plan_teacher
from vidal.assemble.machine import machine
from vidal.campaign import teaching
from vidal.campaign.config_file import read_config
from vidal.campaign.folder import Campaign, open_campaign
from vidal.coherence.pseudo_labels import PseudoLabelOptions, sure
from vidal.evidence.gather import EvidenceJob
from vidal.evidence.gathered import gather_jobs
from vidal.evidence.linked import Linked, load_linked
from vidal.selection.notes import versions
from vidal.simulation.runs import open_simulated
from vidal.simulation.simulate import Here, Unwatched
from vidal.store.atomic import write_text
from vidal.types import Annotations, BoolArray, Detections, ScoreArray

RESULTS = Path(__file__).parent / "results" / "pseudo_labels.json"
GRID = ((0.5, 0.7, 0.8, 0.9, 0.95), (1, 3, 5), (1.0, 0.5, 0.35))
"""Confidence, run, false_alarm."""
Clip = tuple[Linked, ScoreArray, BoolArray]


def correct(found: Detections, truth: Annotations) -> BoolArray:
    """(N,) bool: matched one to one with an object of its class, IoU above 0.5."""
    right = np.zeros(len(found), np.bool_)
    for frame, label in product(np.unique(found.frame).tolist(), range(len(found.classes))):
        mine = np.flatnonzero((found.frame == frame) & (found.labels == label))
        rows = truth.on(frame)
        objects = truth.boxes[rows][(truth.labels[rows] == label) & ~truth.ignore[rows]]
        right[mine] = boxes.match(found.boxes[mine], found.scores[mine], objects)[0] >= 0
    return right


def looked_at(campaign: Campaign, truth: dict[str, Annotations]) -> Iterator[Clip]:
    """Every clip of the pool: detections, their probability of being false, and the truth."""
    clips = campaign.clips(Here())
    plan = plan_teacher(campaign, 1)
    jobs = {name: EvidenceJob(clip, plan) for name, clip in clips.items()}
    gather_jobs(jobs.values(), store=plan.store, engines=Here(), watcher=Unwatched())
    helper = teaching.Teaching(plan_teacher, Here(), Unwatched())
    model = teaching._model(campaign, plan, clips, clips, 1, helper)
    for name, job in jobs.items():
        found = load_linked(job)
        alarm = teaching._false_alarm(found, model)
        yield found, alarm, correct(found.judged.detections, truth[name])


def tally(clips: list[Clip], options: PseudoLabelOptions) -> dict[str, Any]:
    """What these options would label: boxes, how many are right, frames, by class."""
    classes = clips[0][0].detections.classes
    count, right = np.zeros((2, len(classes)), np.int64)
    frames = 0
    for found, alarm, good in clips:
        judged = found.judged.detections
        verdict = found.estimate.false_positive
        chosen = sure(judged, found.links, verdict, alarm, options)
        count += np.bincount(judged.labels[chosen], minlength=len(classes))
        right += np.bincount(judged.labels[chosen & good], minlength=len(classes))
        frames += len(np.unique(judged.frame[chosen]))
    named = {name: [int(n), int(r)] for name, n, r in zip(classes, count, right, strict=True)}
    total = int(count.sum())
    share = int(right.sum()) / total if total else None
    return {"boxes": total, "precision": share, "frames": frames, "classes": named}


def main() -> None:
    """The grid, printed and kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", default="random-r-0")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    source = asked.out.absolute() / "runs" / asked.run
    config = read_config(source, None)
    truth = open_simulated(config, asked.out.absolute(), Here()).truth("train")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "run"
        shutil.copytree(source, work)
        first = source.parent / f"initial-{config.seed}" / "models/round-000.safetensors"
        shutil.copy(first, work / "models")
        with open_campaign(work) as campaign:
            clips = list(looked_at(campaign, dict(truth)))
    judged = sum(len(good) for *_, good in clips)
    right = sum(int(good.sum()) for *_, good in clips)
    rows = []
    for confidence, run, alarm in product(*GRID):
        options = PseudoLabelOptions(confidence=confidence, run=run, false_alarm=alarm)
        line = {"confidence": confidence, "run": run, "false_alarm": alarm}
        rows.append({**line, **tally(clips, options)})
        print(json.dumps(rows[-1]))
    result = {
        "config": config.name,
        "seed": config.seed,
        "run": asked.run,
        "detections": {"judged": judged, "right": right},
        "rows": rows,
        "machine": machine(),
        "versions": versions(),
    }
    write_text(asked.results, json.dumps(result, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
