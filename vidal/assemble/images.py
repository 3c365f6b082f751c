"""From a configuration to a simulation on image pools that has run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidal.assemble import ORACLES, build_oracle, build_strategy, strategy_names
from vidal.assemble.balance import parse_balance
from vidal.assemble.images_told import BASELINE, LABEL_ONLY, result_of
from vidal.assemble.simulation import Stages
from vidal.errors import BudgetError, CampaignError, UnknownName, UsageError
from vidal.evaluate.curves import ALL_DATA
from vidal.evidence.places import EngineMaker, Engines
from vidal.images.config import (
    ImagesConfig,
    ImageSimulation,
    ImageVariant,
    dump_images_config,
    load_images_config,
)
from vidal.images.data import load_images
from vidal.images.encoded import groups_of
from vidal.images.evidence import check_needs
from vidal.images.prices import Prices
from vidal.images.runs import (
    INITIAL,
    ImageJob,
    check_begun,
    finished,
    variant_of,
)
from vidal.images.simulate import PER_ROUND, run
from vidal.images.stored import store_images
from vidal.images.task import Task, make_task
from vidal.protocols import Selector
from vidal.selection.trained import learners_of
from vidal.simulation.results import SimulationResult
from vidal.store import atomic


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
            encoders=self.encoders if name == INITIAL else (),
        )

    @property
    def encoders(self) -> tuple[str, ...]:
        """Those that its strategies ask for."""
        variants = {name: variant_of(self.config, name) for name in self.strategies}
        needs = [make_selector(name, each).needs for name, each in variants.items()]
        return groups_of(frozenset().union(*needs))


def make_selector(name: str, variant: ImageVariant) -> Selector:
    """A strategy of a run, ready to select: images have no neighbours, so the gap is 0.

    Raises:
        UnknownName, UsageError: it does not exist, or its options cannot be meant.
    """
    if name in ORACLES:
        return build_oracle(name, gap=0)
    known = variant.known_only
    chosen = build_strategy(variant.strategy, gap=0, options=variant.options, known=known)
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
    taken = (*strategy_names(), *ORACLES, INITIAL, ALL_DATA, LABEL_ONLY)
    for name in variants:
        if name in taken or not _fit_for_a_folder(name):
            raise UsageError(f"simulation.variants: {name!r} is taken, or no name for a folder.")
    known = (*strategy_names(), *ORACLES, *variants)
    main = config.simulation.main
    wanted = tuple(dict.fromkeys([BASELINE, *(n for n in strategies if n != LABEL_ONLY)]))
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
    if variant.judge == "own" and not learners_of(selector):
        raise UsageError(
            f"simulation.variants: {name}: judge: own, and {strategy} has no classifier of its"
            " own.",
            hint="Leave judge out: the classifier that all strategies share is judged.",
        )
    if variant.judge == "own" and variant.semi is not None:
        raise UsageError(f"simulation.variants: {name}: judge: own and semi exclude each other.")


def simulate_images(plan: ImagesPlan, stages: Stages) -> SimulationResult:
    """Run what is not done yet, in worker processes; the result of all of it.

    Killed at any time, the next call goes on after the last finished step of every run.

    Raises:
        CampaignError: the folder holds a simulation of another configuration, or other images.
        UsageError, InputError: as the data deserve.
    """
    _check_out(plan, write=False)
    own = plan.config.data
    data = load_images(own.path, test=own.test, seed=plan.config.seed, size=own.size)
    for seed in plan.seeds:
        _check_budget(plan, make_task(data, plan.config, seed))
    for job in plan.jobs():
        check_begun(job)
    _check_out(plan, write=True)
    store_images(plan.out / "data", data)
    del data
    _run_all(plan, [plan.job(INITIAL, seed) for seed in plan.seeds], "first models", stages)
    # The longest first: begun last, they would leave all but one core idle at the end.
    jobs = sorted(plan.jobs(), key=lambda job: job.name != ALL_DATA)
    _run_all(plan, jobs, "runs", stages)
    return result_of(plan)


def _check_budget(plan: ImagesPlan, task: Task) -> None:
    """Refuse queries that the pool cannot answer."""
    cost = plan.config.cost
    most = Prices(cost.known, cost.unknown, len(task.classes), task.budget).most
    wanted = len(task.initial) + (plan.rounds - 1) * most
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
    return result_of(plan)


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
