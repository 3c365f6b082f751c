"""Kill a campaign at random moments and see that it ends as an undisturbed one does.

A script of three rounds (init, then select, import, train) runs on the same small clips: once
undisturbed, and again with SIGKILL at random moments and every interrupted command run again. Then
records, labels and models are compared. Every command is a process of its own, forked from this
one after the imports, so that the kills fall into the work and not into the import of torch.

    python tools/kill_campaign.py --kills 20

prints JSON; the exit status is 0 if everything is equal and all kills were made.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import vidal.assemble.campaign
import vidal.campaign.loop
import vidal.detect.faster_rcnn
import vidal.report  # noqa: F401 (imported here, so that no child has to)
from vidal.campaign.folder import open_campaign
from vidal.campaign.oracle import TruthOracle
from vidal.cli import main
from vidal.detect.checkpoints import digest, load_checkpoint
from vidal.formats import coco_video
from vidal.types import Annotations, LabelledClip
from vidal.video import write_video

CLIPS, FRAMES, SIZE = 3, 14, (64, 96)
ROUNDS = 3
MOST_CAMPAIGNS = 8
CLASSES = ("car", "sign")
SETTINGS = {
    "detector.start": "fresh",
    "selection.gap": "1",
    "selection.threshold": "0.2",
    "training.epochs": "2",
    "training.batch": "2",
    "workers": "1",
}


def make_data(folder: Path) -> dict[str, Annotations]:
    """Clips with a moving and a still object; the truth by clip name."""
    truth = {}
    (folder / "clips").mkdir(parents=True)
    for number in range(CLIPS):
        rng = np.random.default_rng(number)
        images, boxes = [], []
        for index in range(FRAMES):
            image = rng.integers(80, 110, (*SIZE, 3), dtype=np.uint8)
            x = 4 + 3 * index
            image[22:42, x : x + 24] = (210, 40, 30)
            image[5:15, 70:80] = (30, 60, 200)
            images.append(image)
            boxes += [[x, 22, x + 24, 42], [70, 5, 80, 15]]
        name = f"clip{number}"
        write_video(folder / "clips" / f"{name}.mp4", images, Fraction(10))
        rows = 2 * FRAMES
        truth[name] = Annotations(
            classes=CLASSES,
            labelled=np.ones(FRAMES, np.bool_),
            frame=np.repeat(np.arange(FRAMES), 2),
            boxes=np.array(boxes, np.float32),
            labels=np.tile([0, 1], FRAMES),
            track=np.tile([0, 1], FRAMES),
            ignore=np.zeros(rows, np.bool_),
        )
    return truth


def script(campaign: Path, data: Path) -> list[list[str]]:
    """The commands of a campaign of three rounds."""
    settings = [part for item in SETTINGS.items() for part in ("--set", "=".join(item))]
    begin = ["init", str(campaign), "--videos", str(data / "clips"), "--classes", "car,sign"]
    begin += ["--detector", "scenes-tiny", "--device", "cpu", "--budget", "3", "--initial", "3"]
    commands = [[*begin, *settings]]
    for number in range(ROUNDS):
        answers = campaign.parent / f"{campaign.name}-answers-{number}.json"
        commands.append(["select", "--campaign", str(campaign), "--quiet"])
        commands.append(["import", str(campaign), "--from", str(answers)])
        commands.append(["train", str(campaign), "--quiet"])
    return commands


def write_answers(campaign: Path, path: Path, truth: dict[str, Annotations]) -> None:
    """What people would send back for the frames that wait."""
    with open_campaign(campaign, lock=False) as opened:
        waiting = opened.record.waiting()
        number = len(opened.record.rounds()) - 1
    tables = {ref.clip: truth[ref.clip.rpartition("-")[0]] for ref in waiting}
    if tables:
        answers = TruthOracle(tables).annotate(number, waiting)
        clips = [LabelledClip(name, table, size=SIZE) for name, table in answers.items()]
        coco_video.write(path, clips)


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


def finish(child: int, limit: float | None) -> int | None:
    """Wait for a child; None where it was killed after ``limit`` seconds."""
    ends = None if limit is None else time.monotonic() + limit
    while ends is None or time.monotonic() < ends:
        done, status = os.waitpid(child, 0 if ends is None else os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return None if code == -signal.SIGKILL else code


def is_done(command: list[str], code: int, campaign: Path) -> bool:
    """Whether a command has done its work: also where it says that the query waits already."""
    if code == 0:
        return True
    if command[0] != "select" or code != 2:
        return False
    with open_campaign(campaign, lock=False) as opened:
        return opened.record.open_round() is not None


def run(
    campaign: Path,
    data: Path,
    truth: dict[str, Annotations],
    kills: int = 0,
    durations: list[float] | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[list[float], Counter[str]]:
    """Run the script, killing commands at random moments; times, and kills by command."""
    log = campaign.parent / f"{campaign.name}.log"
    commands = script(campaign, data)
    planned: Counter[int] = Counter()
    if durations is not None and rng is not None:
        shares = np.array(durations) / sum(durations)
        planned = Counter(rng.choice(len(commands), kills, p=shares).tolist())
    taken, killed, spare = [], Counter[str](), 0
    for number, command in enumerate(commands):
        if command[0] == "import":
            write_answers(campaign, Path(command[3]), truth)
        left = planned[number] + spare
        while True:
            limit = None
            if left and durations is not None and rng is not None:
                limit = float(rng.uniform(0, durations[number]))
            began = time.monotonic()
            code = finish(start(command, log), limit)
            if code is None:
                killed[command[0]] += 1
                left -= 1
                continue
            if not is_done(command, code, campaign):
                raise SystemExit(f"{command} ended with {code}:\n{log.read_text()[-2000:]}")
            break
        spare = left  # it was faster than its moment: the next command gets the kill
        taken.append(time.monotonic() - began)
    return taken, killed


def content(campaign: Path) -> dict[str, Any]:
    """What has to be equal: events without times, rounds, frames, boxes, weights, queries."""
    with open_campaign(campaign, lock=False) as opened:
        events, rounds = opened.record.events(), opened.record.rounds()
        queries = {entry.number: opened.query(entry.number) for entry in rounds}
        models = {entry.number: opened.model(entry.number) for entry in rounds}
        leftovers = sorted(p.name for p in opened.model(0).parent.iterdir() if p.is_dir())
    db = sqlite3.connect(campaign / "campaign.sqlite")
    tables = {
        name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2, 3").fetchall()
        for name in ("clips", "frames", "boxes")
    }
    db.close()
    return {
        "events": events,
        "rounds": rounds,
        **tables,
        "weights": {n: digest(load_checkpoint(path).state) for n, path in models.items()},
        "queries": {
            n: [row["file"] for row in json.loads((path / "query.json").read_text())["frames"]]
            for n, path in queries.items()
        },
        "unfinished": leftovers,
    }


def experiment(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """All runs, and what differs between them.

    A command that is faster than its moment escapes its kill: then a further campaign is run, until
    all kills are made.
    """
    truth = make_data(folder / "data")
    durations, _ = run(folder / "calm", folder / "data", truth)
    calm = content(folder / "calm")
    rng = np.random.default_rng(seed)
    killed, equal, campaigns = Counter[str](), dict.fromkeys(calm, True), 0
    while killed.total() < kills and campaigns < MOST_CAMPAIGNS:
        place, left = folder / f"killed-{campaigns}", kills - killed.total()
        _, more = run(place, folder / "data", truth, left, durations, rng)
        killed += more
        campaigns += 1
        other = content(place)
        equal = {name: equal[name] and calm[name] == other[name] for name in calm}
    return {
        "kills": killed.total(),
        "asked": kills,
        "campaigns": campaigns,
        "seed": seed,
        "by_command": dict(killed),
        "seconds_undisturbed": round(sum(durations), 2),
        "equal": equal,
    }


def cli() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None, help="kept; default: temporary")
    given = parser.parse_args()
    if given.folder is not None:
        given.folder.mkdir(parents=True)
        outcome = experiment(given.folder, given.kills, given.seed)
    else:
        with tempfile.TemporaryDirectory() as name:
            outcome = experiment(Path(name), given.kills, given.seed)
    print(json.dumps(outcome, indent=2, allow_nan=False))
    return 0 if all(outcome["equal"].values()) and outcome["kills"] == given.kills else 1


if __name__ == "__main__":
    sys.exit(cli())
