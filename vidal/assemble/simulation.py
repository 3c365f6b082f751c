"""From a configuration and names of strategies to a simulation that has run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from vidal.assemble import ORACLES, build_oracle, strategy_names
from vidal.assemble.campaign import engines_of, plan_round, plan_teacher
from vidal.assemble.checks import check_config
from vidal.assemble.machine import machine
from vidal.campaign.config import PLACE, CampaignConfig
from vidal.campaign.folder import Campaign, open_campaign
from vidal.campaign.source import Source
from vidal.engine import Listener
from vidal.errors import CampaignError, UnknownName, UsageError
from vidal.evaluate.clip_scores import ClipScores
from vidal.evaluate.curves import ALL_DATA, Row
from vidal.evaluate.resampling import Run
from vidal.evidence.gather import EvidenceJob, EvidencePlan, gather
from vidal.evidence.places import EngineMaker
from vidal.selection.notes import versions
from vidal.selection.plan import SelectionPlan
from vidal.simulation.notes import pseudo_notes
from vidal.simulation.results import SimulationResult
from vidal.simulation.runs import (
    INITIAL,
    RunJob,
    begin_run,
    check_out,
    finished,
    open_simulated,
    rendered,
)
from vidal.simulation.scores import scores_of
from vidal.simulation.simulate import PER_ROUND, run
from vidal.types import Annotations

ALWAYS = ("random", "random-r", "every-nth")
"""The baselines of every simulation."""

BASELINE = "random-r"
"""What strategies are compared with: random choice under the same neighbour exclusion."""


class Stages(Protocol):
    """Who is told how far a simulation is. All methods may do nothing."""

    def begin(self, title: str, names: Sequence[str], units: Sequence[int]) -> Listener:
        """A stage of so many items begins; returns who is told of their progress."""
        ...

    def finish(self, item: int) -> None:
        """An item of the stage is done."""
        ...

    def end(self) -> None:
        """The stage is done."""
        ...


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """What to simulate.

    Attributes:
        config: of every run; its seed is that of the first.
        strategies: baselines first; all of them known.
        seeds: one run of every strategy each.
        rounds: to be trained, the initial one included.
        out: folder of the simulation.
        engines: where runs are done.
        all_data: also train on all frames of the pool.
        footage: seed -> the data section with clips that are there; empty before they are rendered.
    """

    config: CampaignConfig
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    rounds: int
    out: Path
    engines: EngineMaker
    all_data: bool
    footage: Mapping[int, CampaignConfig] = field(default_factory=dict)

    def jobs(self) -> list[RunJob]:
        """All runs, one seed after the other; that of all data last."""
        names = [*self.strategies, *([ALL_DATA] if self.all_data else [])]
        return [self.job(name, seed) for seed in self.seeds for name in names]

    def job(self, strategy: str, seed: int) -> RunJob:
        """One run of it."""
        chosen: dict[str, Any] = {"strategy": strategy}
        training: dict[str, Any] = {}
        rounds = self.rounds
        variant = self.config.simulation.variants.get(strategy)
        if variant is not None:
            chosen, training = variant.selection(), variant.training.given()
        elif strategy != self.config.selection.strategy:
            chosen |= {"options": {}, "balance": None, "class_weights": {}, "known_only": False}
        if variant is None and strategy not in strategy_names():
            chosen["strategy"] = "random"  # not asked: an oracle, all data, or the initial round
        if strategy == INITIAL:
            rounds = 1
        if strategy == ALL_DATA:
            chosen["budget"], rounds, training = "100%", 2, self.config.simulation.all_data
        whole = self.footage.get(seed, self.config)
        config = whole.changed(seed=seed, selection=chosen, training=training).single()
        teacher = plan_teacher if config.training.pseudo_labels is not None else None
        return RunJob(
            self.out, config, strategy, rounds, plan_simulated, strategy in ORACLES, teacher
        )

    def source(self, seed: int) -> Source:
        """The clips of a seed; rendered before."""
        return open_simulated(self.footage.get(seed, self.config), self.out, self.engines)


def plan_simulation(
    config: CampaignConfig,
    *,
    strategies: Sequence[str],
    seeds: int,
    rounds: int,
    out: Path,
    workers: int = 0,
    all_data: bool = True,
) -> SimulationPlan:
    """Check what was asked for; the baselines are added.

    Raises:
        UnknownName: a strategy that does not exist.
        UsageError: a configuration or number that cannot be meant.
    """
    variants = config.simulation.variants
    for name, variant in variants.items():
        if name in (*strategy_names(), *ORACLES, INITIAL, ALL_DATA):
            raise UsageError(f"simulation.variants: {name} is a name that is taken.")
        changes = {"selection": variant.selection(), "training": variant.training.given()}
        check_config(config.changed(**changes))
    known = (*strategy_names(), *ORACLES, *variants)
    main = config.simulation.main
    for name in (*strategies, *([] if main is None else [main.strategy])):
        if name not in known:
            raise UnknownName("strategy", name, sorted(known))
    if config.data.detections is not None:
        raise UsageError(
            "data.detections: a simulation trains its detector, and yours is trained elsewhere.",
            hint="Leave the key out, and name a detector.",
        )
    if seeds < 1 or rounds < 1:
        raise UsageError(f"{seeds} seeds and {rounds} rounds: at least one of each.")
    check_config(config)
    wanted = tuple(dict.fromkeys([*ALWAYS, *strategies]))
    first = config.seed
    engines = engines_of(config)
    return SimulationPlan(
        config=config,
        strategies=wanted,
        seeds=tuple(range(first, first + seeds)),
        rounds=rounds,
        out=Path(out).absolute(),
        engines=replace(engines, workers=workers or engines.workers),
        all_data=all_data,
    )


def plan_simulated(campaign: Campaign, strategy: str) -> SelectionPlan:
    """The plan of a run's next round; an oracle takes the place of the configured strategy."""
    if strategy not in ORACLES:
        return plan_round(campaign).plan
    oracle = build_oracle(strategy, gap=campaign.config.selection.gap)
    plan = plan_round(campaign, selector=oracle).plan
    return replace(plan, query=replace(plan.query, strategy=strategy))


def simulate(plan: SimulationPlan, stages: Stages) -> SimulationResult:
    """Run what is not done yet, in worker processes; the result of all of it.

    Killed at any time, the next call goes on inside the runs that were at work.

    Raises:
        CampaignError: the folder holds a simulation of another configuration.
        UsageError, InputError: as the data deserve.
    """
    check_out(plan.out, plan.config, claim=False)
    plan = _with_footage(plan)
    sources = {seed: plan.source(seed) for seed in plan.seeds}
    check_out(plan.out, plan.config, claim=True)
    initial = [plan.job(INITIAL, seed) for seed in plan.seeds]
    _run_all(plan, initial, "first models", stages)
    jobs = plan.jobs()
    for job in jobs:
        begin_run(job, sources[job.config.seed])
    _scan_all(plan, [job for job in jobs if finished(job) is None], sources, stages)
    # The longest first: begun last, they would leave all but one core idle at the end.
    _run_all(plan, sorted(jobs, key=lambda job: job.strategy != ALL_DATA), "runs", stages)
    return _result(plan, list(sources.values()))


def _with_footage(plan: SimulationPlan) -> SimulationPlan:
    """The same with the clips of every seed, rendered where they are not there yet."""
    if plan.config.data.scenes is None:
        return plan
    seeds = {seed: plan.config.changed(seed=seed) for seed in plan.seeds}
    return replace(
        plan,
        footage={s: rendered(config, plan.out, plan.engines) for s, config in seeds.items()},
    )


def told(plan: SimulationPlan) -> SimulationResult:
    """The result of what is finished; nothing is run.

    Raises:
        CampaignError: the folder holds a simulation of another configuration, or none.
    """
    if not (plan.out / "runs").is_dir():
        raise CampaignError(f"{plan.out}: no simulation was begun here.")
    check_out(plan.out, plan.config, claim=False)
    found = _with_footage(plan)
    return _result(found, [found.source(seed) for seed in found.seeds])


def _run_all(plan: SimulationPlan, jobs: Sequence[RunJob], title: str, stages: Stages) -> None:
    left = [job for job in jobs if finished(job) is None]
    if not left:
        return
    units = [PER_ROUND * job.rounds for job in left]
    listener = stages.begin(title, [job.name for job in left], units)
    engine = plan.engines(len(left), heavy=True, listener=listener)
    for item, _ in enumerate(engine.map(run, left)):
        stages.finish(item)
    stages.end()


def _scan_all(
    plan: SimulationPlan, jobs: Sequence[RunJob], sources: Mapping[int, Source], stages: Stages
) -> None:
    """What the first models of all seeds find in the pool: the same for all runs of a seed."""
    work = [
        EvidenceJob(clip, evidence)
        for seed, evidence in _first_evidence(plan, jobs)
        for clip in sources[seed].opened("train").values()
    ]
    if not work:
        return
    names = [each.clip.path.name for each in work]
    listener = stages.begin("pool", names, [each.clip.frames for each in work])
    engine = plan.engines(len(work), heavy=True, listener=listener)
    for item, _ in enumerate(engine.map(gather, work)):
        stages.finish(item)
    stages.end()


def _first_evidence(plan: SimulationPlan, jobs: Sequence[RunJob]) -> list[tuple[int, EvidencePlan]]:
    """One a seed, of the strategy that needs most; none where no strategy needs any."""
    found = []
    for seed in plan.seeds:
        plans = []
        for job in jobs:
            if job.config.seed == seed:
                with open_campaign(job.folder, lock=False) as campaign:
                    trained = [each for each in campaign.record.rounds() if each.model]
                    if len(trained) == 1:
                        plans.append(job.planner(campaign, job.strategy))
        needy = [each.evidence for each in plans if each.query.needs]
        needy.sort(key=lambda evidence: (evidence.flow is None, evidence.expected is None))
        columns = frozenset(name for each in needy for name in each.columns)
        # Every round looks at the same frames again.
        found += [
            (seed, replace(each, store=plan.out / "evidence", columns=columns, keep_flow=True))
            for each in needy[:1]
        ]
    return found


def _result(plan: SimulationPlan, sources: Sequence[Source]) -> SimulationResult:
    config = plan.config
    rows: list[Row] = []
    scores: dict[Run, ClipScores] = {}
    seconds, unfinished = 0.0, 0
    for job in [*(plan.job(INITIAL, seed) for seed in plan.seeds), *plan.jobs()]:
        done = finished(job)
        if done is None:
            unfinished += job.strategy != INITIAL
            continue
        seconds += done.seconds
        if job.strategy == INITIAL:
            continue
        mine = done.rows[-1:] if job.strategy == ALL_DATA else done.rows
        rows += mine
        kept = scores_of(job)
        scores |= {
            (job.strategy, job.config.seed, row.round): kept[row.round]
            for row in mine
            if row.round in kept
        }
    named = config.simulation.main
    return SimulationResult(
        name=config.name,
        rows=tuple(rows),
        strategies=plan.strategies,
        seeds=plan.seeds,
        rounds=plan.rounds,
        baseline=BASELINE,
        data=_facts(sources),
        settings=config.model_dump(mode="json", exclude={"name", "rounds", "seed", *PLACE}),
        versions=versions(),
        machine=machine(),
        seconds=seconds,
        notes=_notes(plan, rows, unfinished),
        scores=scores,
        main=None if named is None else (named.strategy, named.round),
        pool_conditions=_pool_conditions(sources),
    )


def _pool_conditions(sources: Sequence[Source]) -> dict[str, float]:
    """Condition -> share of the frames that may be asked for, over all seeds' clips."""
    frames, every = Counter[str](), 0
    for source in sources:
        given = source.start()
        for name, clip in source.opened("train").items():
            if name not in given:
                every += clip.frames
                frames.update(dict.fromkeys(source.tags.get(name, ()), clip.frames))
    return {name: frames[name] / every for name in sorted(frames)} if every else {}


def _facts(sources: Sequence[Source]) -> dict[str, Any]:
    """About the clips; means over the seeds where each has clips of its own."""
    facts = [_facts_of(source) for source in sources]
    numbers = {name: sum(each[name] for each in facts) / len(facts) for name in facts[0]}
    plain = {n: round(v) if v == int(v) else round(v, 1) for n, v in numbers.items()}
    return {**plain, "classes": ", ".join(sources[0].classes or ())}


def _facts_of(source: Source) -> dict[str, int]:
    given, test = source.start(), source.truth("test")
    train = {name: t for name, t in source.truth("train").items() if name not in given}
    facts = {
        "clips in the pool": len(train),
        "frames in the pool": sum(table.frames for table in train.values()),
        "objects in the pool": _objects(train),
        "test clips": len(test),
        "test frames": sum(int(table.labelled.sum()) for table in test.values()),
        "objects on test frames": _objects(test),
    }
    if given:
        facts["frames labelled from the start"] = sum(int(t.labelled.sum()) for t in given.values())
    return facts


def _objects(tables: Mapping[str, Annotations]) -> int:
    return sum(int((table.labels >= 0).sum()) for table in tables.values())


def _notes(plan: SimulationPlan, rows: Sequence[Row], unfinished: int) -> tuple[str, ...]:
    notes = []
    if unfinished:
        runs = "1 run is" if unfinished == 1 else f"{unfinished} runs are"
        notes.append(f"{runs} not finished and left out: run the same command again to go on.")
    if any(name in ORACLES for name in plan.strategies):
        notes.append(
            "The oracles see the labels of the pool. They show what knowing the true errors would"
            " gain; nobody can use them on data without labels."
        )
    notes += pseudo_notes(rows)
    short = {row.strategy for row in rows if row.picks and row.picks.frames < _asked(rows, row)}
    if not plan.config.selection.counts_frames:
        notes.append(
            "The budget is what annotating is expected to cost, so that strategies ask for other"
            " numbers of frames: compare them by hours or boxes."
        )
    elif short:
        notes.append(
            f"{', '.join(sorted(short))}: some queries held fewer frames than others, because the"
            " neighbours of labelled frames are excluded."
        )
    return tuple(notes)


def _asked(rows: Sequence[Row], row: Row) -> int:
    """The most frames that any run picked in that round."""
    same = [each.picks for each in rows if each.round == row.round and each.strategy != ALL_DATA]
    return max((picks.frames for picks in same if picks is not None), default=0)
