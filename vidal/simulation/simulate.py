"""Simulation: campaigns whose queries are answered by ground truth, one a strategy and seed.

Every run is a campaign folder, driven by the very steps of a real one (``vidal.campaign.loop``).
The runs of a seed are copies of one campaign that has made its initial round: they share the
initial labels and the first model. What is computed about a clip once (flow) is shared by all.

    OUT/simulation.yaml          the configuration
    OUT/scenes/                  clips that vidal renders itself
    OUT/evidence/                flow, and what the first models find: computed once for all runs
    OUT/runs/initial-0/          the campaign of seed 0 with its first model
    OUT/runs/entropy-0/          a run; rows/round-001.json = what ``Row`` says of a trained round;
                                 rows/round-001.npz = the judged detections of its test clips;
                                 evidence/ = links to the shared one, and its own until it ends
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from vidal.campaign.accuracy import judge_model
from vidal.campaign.due import lost_models, to_train, without_snapshots
from vidal.campaign.fitting import snapshots_of
from vidal.campaign.folder import (
    Campaign,
    open_campaign,
)
from vidal.campaign.loop import (
    answer_round,
    select_round,
    train_round,
)
from vidal.campaign.oracle import TruthOracle
from vidal.campaign.pseudo_labels import judged_pseudo_labels, read_pseudo_labels
from vidal.campaign.source import Source
from vidal.campaign.teaching import Teaching
from vidal.campaign.training import detector_spec
from vidal.engine import Listener, LocalEngine, report
from vidal.evaluate.clip_scores import write_clip_scores
from vidal.evaluate.curves import Picks, Row
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.places import store_at
from vidal.protocols import Engine
from vidal.query.balance import l1_score
from vidal.selection.quality import judge_query
from vidal.selection.result import SelectionResult
from vidal.simulation.runs import (
    RunJob,
    RunRows,
    begin_run,
    finished,
    open_simulated,
    rows_of,
    seconds_of,
    share_evidence,
)
from vidal.store import atomic
from vidal.types import Annotations, Clip

PER_ROUND = 100
"""Units of progress a round."""

BATCH = 4
"""Frames the detector sees at once, where the configuration does not say."""


class Here:
    """Everything in this process: a simulation is parallel over its runs."""

    def __call__(self, items: int, *, heavy: bool, listener: Listener | None = None) -> Engine:
        """The local engine."""
        return LocalEngine(listener)


class Unwatched:
    """A watcher that says nothing: what is told is how far the run is."""

    def begin(self, clips: Any, known: int) -> None:
        """Nothing."""

    def advance(self, item: int, done: int, total: int) -> None:
        """Nothing."""

    def finish(self, item: int, remark: str) -> None:
        """Nothing."""


def run(job: RunJob) -> RunRows:
    """All rounds of a run; goes on where an earlier attempt was stopped. Runs anywhere."""
    began = time.monotonic()
    if (rows := finished(job)) is not None:
        return rows
    source = open_simulated(job.config, job.out, Here())
    begin_run(job, source)
    share_evidence(job)
    with open_campaign(job.folder) as campaign:
        simulation = _Run(job, campaign, source)
        while len(rows_of(job)) < job.rounds:
            simulation.step()
        simulation.tidy()
        spent = time.monotonic() - began + seconds_of(job)
        atomic.write_text(job.folder / "seconds.json", json.dumps(spent, allow_nan=False))
    return RunRows(rows_of(job), spent)


class _Run:
    """A run at work."""

    def __init__(self, job: RunJob, campaign: Campaign, source: Source) -> None:
        self._job = job
        self._tags = source.tags
        self._campaign = campaign
        self._clips = source.opened("train")
        self._test = source.opened("test")
        self._truth = source.truth("train")
        self._test_truth = source.truth("test")
        self._asked: EvidencePlan | None = None

    def step(self) -> None:
        """The next step of the campaign, whatever it is: train, judge, answer or select."""
        record = self._campaign.record
        done = len(rows_of(self._job))
        trained = [each for each in record.rounds() if each.state == "trained"]
        if len(trained) > done:
            self._judge(trained[done].number)
        elif (
            to_train(self._campaign) is not None
            or lost_models(self._campaign)
            or without_snapshots(self._campaign) is not None
        ):
            # Lost are those of a run that had ended, and gets more rounds: see ``tidy``. Without
            # states is the initial model, which all strategies share.
            teaching = None
            if self._job.teacher is not None:
                teaching = Teaching(self._job.teacher, Here(), Unwatched())
            train_round(
                self._campaign, self._clips, progress=self._progress(done), teaching=teaching
            )
        elif record.open_round() is not None:
            answer_round(self._campaign, TruthOracle(self._truth))
        else:
            self._select(done)

    def _progress(self, done: int) -> Callable[[Mapping[str, float]], None]:
        def tell(state: Mapping[str, float]) -> None:
            share = state["step"] / state["steps"]
            report(round(PER_ROUND * (done + 0.25 + 0.65 * share)), PER_ROUND * self._job.rounds)

        return tell

    def _select(self, done: int) -> None:
        job = self._job
        plan = job.planner(self._campaign, job.strategy)
        # Every round looks at the same frames again, with another model.
        plan = replace(plan, evidence=replace(plan.evidence, keep_flow=True))
        truth = self._truth if job.truth else None
        with _quiet(PER_ROUND * done, PER_ROUND * job.rounds):
            select_round(
                self._campaign,
                plan,
                self._clips,
                engines=Here(),
                watcher=Unwatched(),
                write=self._write,
                truth=truth,
            )
        # What the answer is judged by at the next selection has to stay until then.
        if self._asked is not None:
            forget(self._asked, self._clips)
        self._asked = plan.evidence

    def _write(self, result: SelectionResult, folder: Path) -> None:
        """What a simulation keeps of a query: how good it was, by the truth."""
        model = self._campaign.newest_model()
        picks = None
        if model is not None:
            detector = None
            if not result.classes:
                detector = detector_spec(self._campaign.config, model=model).load()
            truth = self._truth
            picks = judge_query(
                result.query,
                result.load,
                truth,
                threshold=result.threshold,
                detector=detector,
                tags=self._tags,
            )
        text = json.dumps(None if picks is None else asdict(picks), allow_nan=False)
        atomic.write_text(folder / "picks.json", text)

    def _judge(self, number: int) -> None:
        """The row of a trained round."""
        campaign, job = self._campaign, self._job
        spec = detector_spec(campaign.config, model=campaign.model(number))
        plan = EvidencePlan(
            campaign.evidence, spec, campaign.config.detector.batch or 4, None, None
        )
        settings = campaign.config.evaluation
        with _quiet(PER_ROUND * (number + 0.9), PER_ROUND * job.rounds):
            judged = judge_model(
                plan,
                list(self._test.values()),
                self._test_truth,
                engines=Here(),
                watcher=Unwatched(),
                score_floor=settings.score_floor,
                iou=settings.iou,
                unknown=settings.unknown,
                tags=self._tags,
            )
        values = judged.as_dict()
        file = campaign.query(number) / "picks.json"
        picks = json.loads(file.read_text("utf-8")) if file.exists() else None
        pseudo = read_pseudo_labels(campaign.pseudo_labels(number))
        labelled = [campaign.record.annotations(n, c.frames) for n, c in self._clips.items()]
        frames, boxes, unknown = _counts(labelled)
        row = Row(
            strategy=job.strategy,
            seed=job.config.seed,
            round=number,
            labelled=frames,
            boxes=boxes,
            ap50=values["map50"],
            ap50_at_half=values["map50_at_0.5"],
            classes={name: each["ap50"] for name, each in values["classes"].items()},
            picks=None if picks is None else Picks(**picks),
            conditions=judged.scores.by_condition(),
            pseudo_labels=None if pseudo is None else judged_pseudo_labels(pseudo, self._truth),
            l1_score=_l1_score(labelled, len(campaign.record.classes)),
            unknown=unknown,
            hours=campaign.config.selection.cost.seconds(frames, boxes, unknown) / 3600,
        )
        path = job.folder / "rows" / f"round-{number:03d}.json"
        # The row comes last: it says that the round is judged.
        write_clip_scores(path.with_suffix(".npz"), judged.scores)
        atomic.write_text(path, json.dumps(row.as_dict(), allow_nan=False))
        forget(plan, self._test)
        report(PER_ROUND * (number + 1), PER_ROUND * job.rounds)

    def tidy(self) -> None:
        """Remove evidence, and all models but the newest: they would fill the disk.

        A run that gets more rounds later fits them anew, to the same weights.
        """
        shutil.rmtree(self._campaign.evidence, ignore_errors=True)
        newest = self._campaign.newest_model()
        for path in self._campaign.folder.glob("models/round-*.safetensors"):
            if path != newest:
                path.unlink(missing_ok=True)
                shutil.rmtree(snapshots_of(path), ignore_errors=True)


def _counts(tables: Sequence[Annotations]) -> tuple[int, int, int]:
    """Labelled frames, and objects of the classes and of none on them."""
    objects = [table.labels[~table.ignore] for table in tables]
    return (
        sum(int(table.labelled.sum()) for table in tables),
        sum(int((labels >= 0).sum()) for labels in objects),
        sum(int((labels < 0).sum()) for labels in objects),
    )


def _l1_score(tables: Sequence[Annotations], classes: int) -> float:
    """Of all labels so far."""
    counts = np.zeros(classes, np.int64)
    for table in tables:
        labels = table.labels[(table.labels >= 0) & ~table.ignore]
        counts += np.bincount(labels, minlength=classes)
    return l1_score(counts)


def forget(plan: EvidencePlan, clips: Mapping[str, Clip]) -> None:
    """Remove from the store what depends on the model; flow stays, it does not age."""
    keys = (each.keys(clip) for each, clip in product((plan, *plan.again), clips.values()))
    every = [replace(part, flow=None).by_stage() for one in keys for part in one.parts()]
    store_at(plan.store).drop([key for some in every for key in some.values()])


@contextmanager
def _quiet(done: float, total: int) -> Iterator[None]:
    """Steps inside tell their own progress; the run's is told here."""
    from vidal.engine.progress import reporting_to

    report(round(done), total)
    with reporting_to(None):
        yield
