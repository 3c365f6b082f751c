"""What a selection costs at 1e5, 1e6 and 1e7 frames once evidence is there.

    python tools/bench_scale.py --frames 100000 --store DIR
    python tools/bench_scale.py --frames 10000000 --store DIR --sums

Synthetic evidence in the store's own format (``scale_evidence.py``), clips of 120 frames, three
classes. Every measurement is a process of its own, fresh from disk, through ``run_selection`` as
``vidal select`` calls it, without pictures and page; ``--sums`` stores only sums by frame and
embeddings, and measures scan, pool, score, exclusion and choice. Beside it, in the same process:
the same columns read by Arrow alone, and one partition of as many scores. ``--labelled N`` measures
the same with a model that was learned from N labelled frames. A measurement that is in the file is
made anew; others stay.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import scale_evidence as made

from vidal.assemble import build_strategy
from vidal.assemble.machine import machine
from vidal.evidence.gathered import Gathered
from vidal.evidence.labels import LabelMatch
from vidal.evidence.places import Engines
from vidal.evidence.plan import ClipEvidence
from vidal.query.budget import Budget
from vidal.query.cost import Cost
from vidal.report.evidence import gather as gather_report
from vidal.selection import choose as choosing
from vidal.selection import run as running
from vidal.selection.learn import learn
from vidal.selection.lookup import Lookup
from vidal.selection.notes import versions
from vidal.selection.plan import Inputs, Prepared, QueryPlan, SelectionPlan

RESULT = Path(__file__).parent / "results" / "scale.json"
GAP = 3


class Silent:
    """A watcher."""

    def begin(self, clips: Any, known: int) -> None:
        """Nothing may be missing."""
        raise AssertionError(f"{len(clips)} clips are not known, {known} are")

    def advance(self, item: int, done: int, total: int) -> None:
        """Nothing."""

    def finish(self, item: int, remark: str) -> None:
        """Nothing."""


class Meter:
    """CPU seconds, wall seconds and bytes that were read, by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what happens within to a stage."""
        before = _now()
        yield
        spent = [after - start for after, start in zip(_now(), before, strict=True)]
        mine = self.stages.setdefault(name, dict.fromkeys(("cpu_s", "wall_s", "read_mb"), 0.0))
        for key, value in zip(mine, spent, strict=True):
            mine[key] = round(mine[key] + value, 3)
        mine["peak_mb_so_far"] = round(_peak())

    def timed(self, module: Any, name: str, stage: str) -> None:
        """Every call of a function of a module counts for a stage."""
        function: Callable[..., Any] = getattr(module, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            with self.stage(stage):
                return function(*arguments, **named)

        setattr(module, name, wrapped)


def _now() -> tuple[float, float, float]:
    lines = Path("/proc/self/io").read_text().splitlines()
    read = next(int(line.split()[1]) for line in lines if line.startswith("rchar"))
    return time.process_time(), time.perf_counter(), read / 1e6


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plan_of(store: Path, picks: int, spread: str) -> SelectionPlan:
    """As ``vidal select`` plans the default strategy."""
    selector = build_strategy("expected-errors", gap=GAP, options={"spread": spread})
    budget = Budget.parse(str(picks))
    query = QueryPlan(budget, "expected-errors", selector, 0, 0.5, 0.05, gap=GAP, cost=Cost())
    evidence = made.plan_of(store, embedding=spread == "looks")
    return SelectionPlan(Inputs(Path("clips"), None, Fraction(25)), evidence, query)


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """One measurement, in this process."""
    start, meter = _now(), Meter()
    plan = plan_of(arguments.store, arguments.picks, arguments.spread)
    clips = made.clips_of(arguments.frames)
    match = None
    if arguments.labelled:
        with meter.stage("(labels made)"):
            match = made.labels_of(
                clips, plan.evidence, boxes=arguments.boxes, frames=arguments.labelled
            )
    wanted = plan.query.budget.frames(arguments.frames)
    meter.timed(choosing, "stored_pool", "pool, scan of sums within")
    meter.timed(choosing, "_selected", "score, exclusion, choice")
    if arguments.sums:
        scores = _chosen(plan, clips, wanted, meter)
    else:
        scores = _run(plan, clips, match, wanted, meter)
    with meter.stage("bare: as many scores partitioned"):
        np.argpartition(-scores, wanted)
    with meter.stage("bare: sums read by Arrow"):
        _bare(arguments.store)
    spent = [after - before for after, before in zip(_now(), start, strict=True)]
    hidden = sum(
        stage["cpu_s"] for name, stage in meter.stages.items() if name.startswith(("bare", "("))
    )
    return {
        "frames": arguments.frames,
        "clips": len(clips),
        "picks": wanted,
        "spread": arguments.spread,
        "labelled_frames": arguments.labelled,
        "boxes_a_frame": arguments.boxes,
        "whole_run": not arguments.sums,
        "stages": meter.stages,
        "cpu_s": round(spent[0] - hidden, 2),
        "wall_s": round(spent[1], 2),
        "peak_mb": round(_peak()),
        "read_mb": round(spent[2]),
    }


def _run(
    plan: SelectionPlan, clips: list[Any], match: LabelMatch | None, wanted: int, meter: Meter
) -> np.ndarray:
    """As ``vidal select`` runs, without pictures and page."""
    meter.timed(running, "gather_clips", "what is known")
    meter.timed(running, "learn", "learn")
    meter.timed(running, "choose", "choose, the two before within")
    base = len(clips) * made.LENGTH
    prepared = Prepared(tuple(clips), (), match, base, wanted, base)
    with meter.stage("run_selection, all before within"):
        result = running.run_selection(plan, prepared, engines=Engines(1), watcher=Silent())
    with meter.stage("report gather"):
        gather_report(result)
    return np.random.default_rng(0).random(base)


def _chosen(plan: SelectionPlan, clips: list[Any], wanted: int, meter: Meter) -> np.ndarray:
    """Scan, pool, score, exclusion and choice where no boxes are stored."""
    with meter.stage("keys of clips"):
        keys = list(plan.evidence.keys_of(clips))
    known = {
        clip.id: ClipEvidence(each, made.CLASSES, 0, 1.0, 0)
        for clip, each in zip(clips, keys, strict=True)
    }
    found = Gathered({clip.id: clip for clip in clips}, known, (), plan.evidence.store)
    model = learn(_Columns(plan), plan.evidence.expected, None, None, seed=0, number=0).model
    lookup = Lookup(found, None, {}, model, ranks=False)
    query = plan.query
    pool = choosing.stored_pool(lookup, needs=query.needs, threshold=query.threshold)
    positions, _, _ = choosing._selected(query, pool, 0, wanted)
    with meter.stage("words of the picks"):
        query.selector.explain(pool, positions)
    return np.asarray(query.selector.score(pool))


class _Columns:
    """Evidence of one template, for the names of its columns."""

    def __init__(self, plan: SelectionPlan) -> None:
        self._rows = made.template(0, 4, plan.evidence).rows
        self.clips, self.keys, self.store = {"": None}, {}, plan.evidence.store

    def rows(self, clip: str) -> Any:
        return self._rows


def _bare(store: Path) -> None:
    """The columns of sums that the pool reads, by Arrow alone."""
    names = ("scanned", "by_class", "objects", "signals", "prior", "judgeable")
    for path in sorted((store / "shards").glob("summary-*.parquet")):
        file = pq.ParquetFile(path)
        wanted = [each for each in file.schema_arrow.names if each.split(":")[0] in names]
        for group in range(file.num_row_groups):
            file.read_row_group(group, columns=wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument(
        "--store",
        type=Path,
        required=True,
        help="made where it is not there, with embeddings if --spread looks",
    )
    parser.add_argument("--boxes", type=int, default=25, help="a frame")
    parser.add_argument("--spread", choices=("looks", "clips"), default="looks")
    parser.add_argument("--picks", type=int, default=200)
    parser.add_argument("--labelled", type=int, default=0, help="frames")
    parser.add_argument("--sums", action="store_true", help="store sums and embeddings only")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(measured(arguments)))
        return
    if not (arguments.store / "manifest").is_dir():
        plan = plan_of(arguments.store, 1, arguments.spread).evidence
        start = time.perf_counter()
        made.make(
            arguments.store,
            made.clips_of(arguments.frames),
            plan,
            boxes=arguments.boxes,
            rows=not arguments.sums,
        )
        print(f"evidence made in {time.perf_counter() - start:.0f} s")
    command = [sys.executable, __file__, *sys.argv[1:], "--inside"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    size = sum(path.stat().st_size for path in (arguments.store / "shards").iterdir())
    told["store_bytes_a_frame"] = round(size / arguments.frames)
    kept = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"runs": {}}
    name = f"{arguments.frames} frames, {arguments.picks} picks, {arguments.spread}"
    name += f", {arguments.labelled} labelled" if arguments.labelled else ""
    kept["runs"][name + (", sums only" if arguments.sums else "")] = told
    kept |= {"machine": machine(), "versions": versions()}
    arguments.out.write_text(json.dumps(kept, indent=1) + "\n")
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
