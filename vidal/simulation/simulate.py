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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vidal.campaign.accuracy import judge_model
from vidal.campaign.config import CampaignConfig, dump_config, load_config
from vidal.campaign.config_file import CONFIG
from vidal.campaign.folder import (
    Campaign,
    begun_with,
    create_campaign,
    locked,
    open_campaign,
)
from vidal.campaign.loop import answer_round, select_round, to_train, train_round
from vidal.campaign.oracle import TruthOracle
from vidal.campaign.rendered import render
from vidal.campaign.source import Source, entries_of, open_source
from vidal.campaign.training import detector_spec
from vidal.engine import Listener, LocalEngine, report
from vidal.errors import CampaignError, UsageError
from vidal.evaluate.clip_scores import write_clip_scores
from vidal.evaluate.curves import Picks, Row
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.places import EngineMaker, store_at
from vidal.protocols import Engine
from vidal.selection.plan import SelectionPlan
from vidal.selection.quality import judge_query
from vidal.selection.result import SelectionResult
from vidal.store import atomic
from vidal.types import Clip

INITIAL = "initial"
"""The strategy of the campaign that all runs of a seed begin with; names its folder."""

PER_ROUND = 100
"""Units of progress a round."""

BATCH = 4
"""Frames the detector sees at once, where the configuration does not say."""

Planner = Callable[[Campaign, str], SelectionPlan]
"""The plan of the next round of a campaign by a strategy; importable by name."""


@dataclass(frozen=True, slots=True)
class RunJob:
    """One run, in references only, so that it can travel to another process.

    Attributes:
        out: folder of the simulation.
        config: with this run's seed.
        strategy: of ``STRATEGIES`` or ``ORACLES``, ``INITIAL`` or ``ALL_DATA``.
        rounds: to be trained, the initial one included.
        planner: see ``Planner``.
        truth: the strategy is an oracle, and sees the labels of the pool.
    """

    out: Path
    config: CampaignConfig
    strategy: str
    rounds: int
    planner: Planner
    truth: bool = False

    @property
    def name(self) -> str:
        """As in the folder of runs."""
        return f"{self.strategy}-{self.config.seed}"

    @property
    def folder(self) -> Path:
        """The campaign of this run."""
        return self.out / "runs" / self.name

    @property
    def initial(self) -> Path:
        """The campaign it begins with."""
        return self.out / "runs" / f"{INITIAL}-{self.config.seed}"


@dataclass(frozen=True, slots=True)
class RunRows:
    """What a run gave: its rows by round, and the time it took, earlier attempts included."""

    rows: tuple[Row, ...]
    seconds: float


class Here:
    """Everything in this process: a simulation is parallel over its runs."""

    def __call__(self, items: int, *, heavy: bool, listener: Listener | None = None) -> Engine:
        """The local engine."""
        return LocalEngine(listener)


class _Silent:
    """A watcher that says nothing: what is told is how far the run is."""

    def begin(self, clips: Any, known: int) -> None:
        """Nothing."""

    def advance(self, item: int, done: int, total: int) -> None:
        """Nothing."""

    def finish(self, item: int, remark: str) -> None:
        """Nothing."""


def rendered(config: CampaignConfig, out: Path, engines: EngineMaker) -> CampaignConfig:
    """The same with clips that are there: those that vidal renders itself are rendered once."""
    if config.data.scenes is None:
        return config
    data: dict[str, Any] = {"scenes": None}
    for part in render(config.data, out / "scenes", engines, seed=config.seed):
        prefix = "" if part.name == "train" else f"{part.name}_"
        data |= {f"{prefix}videos": str(part.videos), f"{prefix}labels": str(part.labels)}
    return config.changed(data=data)


def open_simulated(config: CampaignConfig, out: Path, engines: EngineMaker) -> Source:
    """The clips of a simulation, with labels of every frame of the pool and of the test clips.

    Raises:
        UsageError: no test clips, or clips without labels.
    """
    source = open_source(config, engines=engines, store=out / "evidence", scenes=out / "scenes")
    truth = source.truth("train")
    for clip in source.opened("train").values():
        table = truth.get(clip.id)
        if table is None or not table.labelled.all():
            raise UsageError(
                f"{clip.id}: not all of its frames are labelled.",
                hint="A simulation answers queries from labels: it needs those of every frame."
                + "".join(f" {note}" for note in source.notes),
            )
    if not source.truth("test"):
        raise UsageError(
            "there are no labelled test clips.",
            hint="Set some aside with data.split.test (a share of the clips).",
        )
    return source


def begin_run(job: RunJob, source: Source) -> None:
    """Make the run's campaign, if it is not there: whole, or not at all.

    Raises:
        CampaignError: it is there, and was made with another configuration.
    """
    if job.folder.exists():
        if not begun_with(job.folder, job.config):
            raise CampaignError(
                f"{job.folder}: this run was begun with another configuration.",
                hint="Remove it, or name another folder with --out.",
            )
        return
    fresh = job.folder.with_name(f".{job.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    with atomic.reporting(fresh):
        if job.strategy == INITIAL:
            fresh.mkdir(parents=True)
            with locked(fresh):
                entries = list(entries_of(source.clips.values(), fresh))
                classes = source.classes or ()
                create_campaign(fresh, job.config, classes, entries, given=source.start())
        else:
            shutil.copytree(job.initial, fresh, ignore=shutil.ignore_patterns("evidence"))
            atomic.write_text(fresh / CONFIG, dump_config(job.config))
        fresh.rename(job.folder)


def share_evidence(job: RunJob) -> None:
    """Give the run a store of its own that begins with the entries of the shared one.

    Two runs may have equal models; with one store, one of them would remove what the other reads.
    """
    own, shared = job.folder / "evidence", job.out / "evidence"
    if own.exists():
        return
    fresh = job.folder / ".evidence.new"
    shutil.rmtree(fresh, ignore_errors=True)
    with atomic.reporting(own):
        shutil.copytree(shared, fresh, copy_function=_link)
        fresh.rename(own)


def _link(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:  # a file system without links
        shutil.copy2(source, target)


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
        spent = time.monotonic() - began + _seconds(job)
        atomic.write_text(job.folder / "seconds.json", json.dumps(spent, allow_nan=False))
    return RunRows(rows_of(job), spent)


def finished(job: RunJob) -> RunRows | None:
    """The rows of a run that has made all its rounds; None if it has not."""
    rows = rows_of(job)
    return RunRows(rows, _seconds(job)) if len(rows) >= job.rounds else None


def rows_of(job: RunJob) -> tuple[Row, ...]:
    """The rows that a run has so far."""
    files = sorted((job.folder / "rows").glob("round-*.json"))
    rows = [Row.from_dict(json.loads(file.read_text("utf-8"))) for file in files]
    return tuple(replace(row, strategy=job.strategy) for row in rows)[: job.rounds]


def _seconds(job: RunJob) -> float:
    path = job.folder / "seconds.json"
    return float(json.loads(path.read_text("utf-8"))) if path.exists() else 0.0


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
        elif to_train(self._campaign) is not None:
            train_round(self._campaign, self._clips, progress=self._progress(done))
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
        truth = self._truth if job.truth else None
        with _quiet(PER_ROUND * done, PER_ROUND * job.rounds):
            select_round(
                self._campaign,
                plan,
                self._clips,
                engines=Here(),
                watcher=_Silent(),
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
                watcher=_Silent(),
                score_floor=settings.score_floor,
                iou=settings.iou,
                tags=self._tags,
            )
        values = judged.as_dict()
        file = campaign.query(number) / "picks.json"
        picks = json.loads(file.read_text("utf-8")) if file.exists() else None
        labelled = [campaign.record.annotations(n, c.frames) for n, c in self._clips.items()]
        row = Row(
            strategy=job.strategy,
            seed=job.config.seed,
            round=number,
            labelled=sum(int(table.labelled.sum()) for table in labelled),
            boxes=sum(int(((table.labels >= 0) & ~table.ignore).sum()) for table in labelled),
            ap50=values["map50"],
            ap50_at_half=values["map50_at_0.5"],
            classes={name: each["ap50"] for name, each in values["classes"].items()},
            picks=None if picks is None else Picks(**picks),
            conditions=judged.scores.by_condition(),
        )
        path = job.folder / "rows" / f"round-{number:03d}.json"
        # The row comes last: it says that the round is judged.
        write_clip_scores(path.with_suffix(".npz"), judged.scores)
        atomic.write_text(path, json.dumps(row.as_dict(), allow_nan=False))
        forget(plan, self._test)
        report(PER_ROUND * (number + 1), PER_ROUND * job.rounds)

    def tidy(self) -> None:
        """Remove evidence, and all models but the newest: they would fill the disk."""
        shutil.rmtree(self._campaign.evidence, ignore_errors=True)
        newest = self._campaign.newest_model()
        for path in self._campaign.folder.glob("models/round-*.safetensors"):
            if path != newest:
                path.unlink(missing_ok=True)


def forget(plan: EvidencePlan, clips: Mapping[str, Clip]) -> None:
    """Remove from the store what depends on the model; flow stays, it does not age."""
    store = store_at(plan.store)
    for clip in clips.values():
        keys = plan.keys(clip)
        for key in (keys.detections, keys.tracks, keys.estimate, keys.expected):
            if key is not None:
                store.path(key).unlink(missing_ok=True)


@contextmanager
def _quiet(done: float, total: int) -> Iterator[None]:
    """Steps inside tell their own progress; the run's is told here."""
    from vidal.engine.progress import reporting_to

    report(round(done), total)
    with reporting_to(None):
        yield


def check_out(out: Path, config: CampaignConfig) -> None:
    """Refuse a folder that holds a simulation of another configuration.

    Seeds, rounds and strategies may be added to those that are there, and variants of strategies.

    Raises:
        CampaignError: another configuration.
        OutputError: the folder cannot be written.
    """
    path = out / "simulation.yaml"
    own = config.changed(rounds=1, seed=0, workers=0).single()
    if not path.exists():
        atomic.write_text(path, dump_config(own))
    elif load_config(path) != own:
        raise CampaignError(
            f"{out}: there is a simulation of another configuration.",
            hint="Name another folder with --out, or remove this one.",
        )
