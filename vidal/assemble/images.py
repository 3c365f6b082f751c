"""From a configuration to a simulation on image pools that has run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.assemble import ORACLES, build_oracle, build_strategy, strategy_names
from vidal.assemble.balance import parse_balance
from vidal.assemble.simulation import Stages, machine
from vidal.errors import BudgetError, CampaignError, UnknownName, UsageError
from vidal.evaluate.curves import ALL_DATA, Row
from vidal.evaluate.terms import IMAGES
from vidal.evidence.places import EngineMaker, Engines
from vidal.images.config import (
    ImagesConfig,
    ImageSimulation,
    ImageVariant,
    dump_images_config,
    load_images_config,
)
from vidal.images.data import load_images
from vidal.images.evidence import check_needs
from vidal.images.pretraining import spread_of
from vidal.images.runs import INITIAL, ImageJob, check_begun, finished, rows_of, seconds_of
from vidal.images.simulate import PER_ROUND, run
from vidal.images.stored import store_images, stored_images
from vidal.images.task import Task, make_task
from vidal.pretrain.simsiam import COLLAPSED
from vidal.protocols import Selector
from vidal.selection.notes import versions
from vidal.simulation.results import SimulationResult
from vidal.store import atomic
from vidal.words import counted

BASELINE = "random"
"""Runs in every simulation; what strategies are compared with."""


@dataclass(frozen=True, slots=True)
class ImagesPlan:
    """What to simulate.

    Attributes:
        config: of every run; its seed is that of the first.
        strategies: names, the baseline first; all of them known, and usable on images.
        seeds: one run of every strategy each.
        rounds: to be trained, the initial one included.
        out: folder of the simulation.
        engines: where runs are done.
        all_data: also train on all images of the pool.
    """

    config: ImagesConfig
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    rounds: int
    out: Path
    engines: EngineMaker
    all_data: bool

    def jobs(self) -> list[ImageJob]:
        """All runs, one seed after the other; that of all data last."""
        names = [*self.strategies, *([ALL_DATA] if self.all_data else [])]
        return [self.job(name, seed) for seed in self.seeds for name in names]

    def job(self, name: str, seed: int) -> ImageJob:
        """One run of it."""
        single = name in (INITIAL, ALL_DATA)
        return ImageJob(
            out=self.out,
            config=self.config.model_copy(update={"seed": seed}),
            name=name,
            variant=None if single else variant_of(self.config, name),
            rounds=1 if single else self.rounds,
            make=make_selector,
            truth=name in ORACLES,
        )


def variant_of(config: ImagesConfig, name: str) -> ImageVariant:
    """What a name means: a variant of the configuration, or a strategy as it is."""
    return config.simulation.variants.get(name, ImageVariant(strategy=name))


def make_selector(name: str, variant: ImageVariant) -> Selector:
    """A strategy of a run, ready to select: images have no neighbours, so the gap is 0.

    Raises:
        UnknownName, UsageError: it does not exist, or its options cannot be meant.
    """
    if name in ORACLES:
        return build_oracle(name, gap=0)
    chosen = build_strategy(variant.strategy, gap=0, options=variant.options)
    weighing = parse_balance(variant.balance, None)
    return chosen if weighing is None else weighing.around(chosen, 0)


def plan_images(
    config: ImagesConfig,
    *,
    strategies: Sequence[str],
    seeds: int,
    rounds: int,
    out: Path,
    workers: int = 0,
    all_data: bool = True,
) -> ImagesPlan:
    """Check what was asked for; the baseline is added.

    Raises:
        UnknownName: a strategy that does not exist.
        EvidenceMissing: one that makes no sense on images, or has nothing to work with.
        UsageError: a configuration or number that cannot be meant.
    """
    variants = config.simulation.variants
    taken = (*strategy_names(), *ORACLES, INITIAL, ALL_DATA)
    for name in variants:
        if name in taken or not _fit_for_a_folder(name):
            raise UsageError(f"simulation.variants: {name!r} is taken, or no name for a folder.")
    known = (*strategy_names(), *ORACLES, *variants)
    main = config.simulation.main
    wanted = tuple(dict.fromkeys([BASELINE, *strategies]))
    for name in (*wanted, *([] if main is None else [main.strategy])):
        if name not in known:
            raise UnknownName("strategy", name, sorted(known))
    for name in dict.fromkeys([*wanted, *variants]):
        check_strategy(config, name, variant_of(config, name))
    if seeds < 1 or rounds < 1:
        raise UsageError(f"{seeds} seeds and {rounds} rounds: at least one of each.")
    return ImagesPlan(
        config=config,
        strategies=wanted,
        seeds=tuple(range(config.seed, config.seed + seeds)),
        rounds=rounds,
        out=Path(out).absolute(),
        engines=Engines(workers or config.workers, config.device),
        all_data=all_data,
    )


def _fit_for_a_folder(name: str) -> bool:
    return name.isprintable() and not set(name) & set("/\\\0") and not name.startswith(".")


def check_strategy(config: ImagesConfig, name: str, variant: ImageVariant) -> None:
    """Refuse what images cannot give."""
    strategy = name if name in ORACLES else variant.strategy
    if strategy not in (*strategy_names(), *ORACLES):
        raise UnknownName("strategy", strategy, strategy_names())
    if strategy in ORACLES and name not in ORACLES:
        raise UsageError(
            f"simulation.variants: {name}: {strategy} is an oracle and has no variants."
        )
    selector = make_selector(name, variant)
    check_needs(name, strategy, selector.needs, config.training.whole)


def simulate_images(plan: ImagesPlan, stages: Stages) -> SimulationResult:
    """Run what is not done yet, in worker processes; the result of all of it.

    Killed at any time, the next call goes on after the last finished step of every run.

    Raises:
        CampaignError: the folder holds a simulation of another configuration, or other images.
        UsageError, InputError: as the data deserve.
    """
    _check_out(plan, write=True)
    own = plan.config.data
    data = load_images(own.path, test=own.test, seed=plan.config.seed, size=own.size)
    for seed in plan.seeds:
        _check_budget(plan, make_task(data, plan.config, seed))
    for job in plan.jobs():
        check_begun(job)
    store_images(plan.out / "data", data)
    del data
    _run_all(plan, [plan.job(INITIAL, seed) for seed in plan.seeds], "first models", stages)
    # The longest first: begun last, they would leave all but one core idle at the end.
    jobs = sorted(plan.jobs(), key=lambda job: job.name != ALL_DATA)
    _run_all(plan, jobs, "runs", stages)
    return _result(plan)


def _check_budget(plan: ImagesPlan, task: Task) -> None:
    """Refuse queries that the pool cannot answer."""
    wanted = len(task.initial) + (plan.rounds - 1) * task.budget
    if wanted > len(task.train):
        raise BudgetError(
            plan.config.budget,
            f"{plan.rounds} rounds would label {wanted:,} images, and the pool has"
            f" {len(task.train):,}",
            hint="Lower the budget, or give fewer rounds.",
        )


def told_images(plan: ImagesPlan) -> SimulationResult:
    """The result of what is finished; nothing is run.

    Raises:
        CampaignError: the folder holds a simulation of another configuration, or none.
    """
    if not (plan.out / "runs").is_dir():
        raise CampaignError(f"{plan.out}: no simulation was begun here.")
    _check_out(plan, write=False)
    return _result(plan)


def _check_out(plan: ImagesPlan, *, write: bool) -> None:
    """Refuse a folder that holds a simulation of another configuration.

    Seeds, rounds, strategies and variants may be added; images are compared by their content.
    """
    path = plan.out / "simulation.yaml"
    same = {
        "simulation": ImageSimulation(),
        "rounds": 1,
        "seed": 0,
        "workers": 0,
        "data": plan.config.data.model_copy(update={"path": Path("images")}),
    }
    own = plan.config.model_copy(update=same)
    if path.exists():
        before = load_images_config(path)
        kept = before.data.model_copy(update={"path": Path("images")})
        if before.model_copy(update={"data": kept}) != own:
            raise CampaignError(
                f"{plan.out}: there is a simulation of another configuration.",
                hint="Name another folder with --out, or remove this one.",
            )
    elif write:
        atomic.write_text(path, dump_images_config(own))


def _run_all(plan: ImagesPlan, jobs: Sequence[ImageJob], title: str, stages: Stages) -> None:
    left = [job for job in jobs if not finished(job)]
    if not left:
        return
    names = [f"{job.name}-{job.config.seed}" for job in left]
    listener = stages.begin(title, names, [PER_ROUND * job.rounds for job in left])
    engine = plan.engines(len(left), heavy=True, listener=listener)
    for item, _ in enumerate(engine.map(run, left)):
        stages.finish(item)
    stages.end()


def _result(plan: ImagesPlan) -> SimulationResult:
    config = plan.config
    rows: list[Row] = []
    seconds, unfinished = 0.0, 0
    for job in [*(plan.job(INITIAL, seed) for seed in plan.seeds), *plan.jobs()]:
        check_begun(job)
        seconds += seconds_of(job)
        if job.name != INITIAL:
            if finished(job):
                rows += rows_of(job)
            else:
                unfinished += 1
    facts, shares = _facts(plan)
    named = config.simulation.main
    return SimulationResult(
        name=config.name,
        rows=tuple(rows),
        strategies=plan.strategies,
        seeds=plan.seeds,
        rounds=plan.rounds,
        baseline=BASELINE,
        data=facts,
        settings=_settings(plan),
        versions=versions(),
        machine=machine(),
        seconds=seconds,
        notes=_notes(plan, unfinished),
        main=None if named is None else (named.strategy, named.round),
        pool_conditions=shares,
        terms=IMAGES,
    )


def _settings(plan: ImagesPlan) -> dict[str, Any]:
    """The configuration; of the variants those that ran, of the data the name alone."""
    plain = plan.config.model_dump(mode="json", exclude={"name", "rounds", "seed", "workers"})
    plain["data"]["path"] = plan.config.data.path.name
    variants = plain["simulation"]["variants"]
    plain["simulation"]["variants"] = {n: v for n, v in variants.items() if n in plan.strategies}
    plain["simulation"]["strategies"] = list(plan.strategies)
    return plain


def _facts(plan: ImagesPlan) -> tuple[dict[str, Any], Mapping[str, float]]:
    """About the images, means over the seeds; and the share of each group of classes."""
    data = stored_images(plan.out / "data")
    numbers: list[dict[str, float]] = []
    shares: list[dict[str, float]] = []
    rare: list[str] = []
    for seed in plan.seeds:
        task = make_task(data, plan.config, seed)
        waiting = len(task.train) - len(task.initial)
        numbers.append(
            {
                "images in the pool": waiting,
                "images labelled from the start": len(task.initial),
                "test images": len(task.test),
            }
        )
        held = task.train.labels
        started = held[task.initial]
        shares.append(
            {
                name: (sum((held == c).sum() - (started == c).sum() for c in members)) / waiting
                for name, members in task.groups.items()
            }
        )
        rare.append(", ".join(task.classes[c] for c in task.rare))
    mean = {name: sum(each[name] for each in numbers) / len(numbers) for name in numbers[0]}
    facts: dict[str, Any] = {n: round(v) if v == int(v) else round(v, 1) for n, v in mean.items()}
    facts["classes"] = ", ".join(data.classes)
    if any(rare):
        same = set(rare)
        facts["rare classes"] = (
            rare[0] if len(same) == 1 else "drawn for each seed: " + "; ".join(rare)
        )
    return facts, {n: float(sum(each[n] for each in shares) / len(shares)) for n in shares[0]}


def _notes(plan: ImagesPlan, unfinished: int) -> tuple[str, ...]:
    notes = []
    if unfinished:
        runs = "1 run is" if unfinished == 1 else f"{unfinished} runs are"
        notes.append(f"{runs} not finished and left out: run the same command again to go on.")
    skipped = stored_images(plan.out / "data").skipped
    if skipped:
        files = counted(len(skipped), "file was", "files were")
        more = "" if len(skipped) <= 3 else f"; and {len(skipped) - 3} more"
        notes.append(f"{files} left out: {'; '.join(skipped[:3])}{more}.")
    if any(name in ORACLES for name in plan.strategies):
        notes.append(
            "The oracle sees the labels of the pool. It shows what knowing the true errors would"
            " gain; nobody can use it on data without labels."
        )
    if plan.config.pretrain is not None:
        notes.append(_pretrained(plan))
    semi = [n for n in plan.strategies if variant_of(plan.config, n).semi is not None]
    if semi:
        notes.append(
            f"{', '.join(semi)}: the judged models are also trained on pseudo-labels, so that they"
            " differ from the others by more than the images that people were asked for."
        )
    return tuple(notes)


def _pretrained(plan: ImagesPlan) -> str:
    """How the pre-training of the seeds went."""
    bodies = [plan.job(INITIAL, seed).body for seed in plan.seeds]
    spreads = [spread_of(path) for path in bodies if path.exists()]
    lost = sum(each < COLLAPSED for each in spreads)
    words = ", ".join(f"{each:.2f}" for each in spreads)
    sentence = (
        "All networks begin with what SimSiam learned from the images of the pool, labels unseen;"
        f" std of z over its healthy value, seed by seed: {words or 'not known yet'}."
    )
    return f"{sentence} It collapsed in {counted(lost, 'seed')}." if lost else sentence
