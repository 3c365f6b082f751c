"""The runs of a simulation on disk: what each is, how it begins, what it has so far."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidal.campaign.config import CampaignConfig, dump_config, load_config, with_paths
from vidal.campaign.config_file import CONFIG, read_config
from vidal.campaign.folder import Campaign, create_campaign, locked
from vidal.campaign.places import located, place
from vidal.campaign.rendered import render
from vidal.campaign.source import Source, entries_of, open_source
from vidal.campaign.teaching import Teacher
from vidal.errors import CampaignError, UsageError
from vidal.evaluate.curves import Row
from vidal.evidence.places import EngineMaker
from vidal.selection.plan import SelectionPlan
from vidal.store import atomic

INITIAL = "initial"
"""The strategy of the campaign that all runs of a seed begin with; names its folder."""

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
        teacher: how the pool is looked at for pseudo-labels; needed where they are wanted.
    """

    out: Path
    config: CampaignConfig
    strategy: str
    rounds: int
    planner: Planner
    truth: bool = False
    teacher: Teacher | None = None

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
        if not _begun_with(job):
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


def _begun_with(job: RunJob) -> bool:
    """Whether a run that is there has this configuration.

    Where clips lie is no difference: the simulation may have been moved.
    """

    def same(path: Path) -> Path:
        return located(place(path, job.folder), job.folder, None)

    stored = read_config(job.folder, None).model_copy(update={"data": job.config.data})
    return stored == with_paths(job.config, same).model_copy(update={"data": job.config.data})


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


def finished(job: RunJob) -> RunRows | None:
    """The rows of a run that has made all its rounds; None if it has not."""
    rows = rows_of(job)
    return RunRows(rows, seconds_of(job)) if len(rows) >= job.rounds else None


def rows_of(job: RunJob) -> tuple[Row, ...]:
    """The rows that a run has so far."""
    files = sorted((job.folder / "rows").glob("round-*.json"))
    rows = [Row.from_dict(json.loads(file.read_text("utf-8"))) for file in files]
    return tuple(replace(row, strategy=job.strategy) for row in rows)[: job.rounds]


def seconds_of(job: RunJob) -> float:
    """Computing time of the attempts so far, in seconds."""
    path = job.folder / "seconds.json"
    return float(json.loads(path.read_text("utf-8"))) if path.exists() else 0.0


def check_out(out: Path, config: CampaignConfig, *, claim: bool) -> None:
    """Refuse a folder that holds a simulation of another configuration.

    Seeds, rounds and strategies may be added to those that are there, and variants of strategies.

    Args:
        out: the folder.
        config: of the simulation.
        claim: whether it is this one's from now on; not before its data are found to be good.

    Raises:
        CampaignError: another configuration.
        OutputError: the folder cannot be written.
    """
    path = out / "simulation.yaml"
    own = config.changed(
        rounds=1, seed=0, workers=0, engine="auto", ray_address=None, ray_gpus=None
    ).single()
    if not path.exists():
        if claim:
            atomic.write_text(path, dump_config(own))
    elif load_config(path) != own:
        raise CampaignError(
            f"{out}: there is a simulation of another configuration.",
            hint="Name another folder with --out, or remove this one.",
        )
