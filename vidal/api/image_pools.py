"""What ``vidal images`` does, as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vidal.api import simulations
from vidal.assemble.images import ImagesPlan, make_selector, plan_images
from vidal.images.choose import Choice, ChoicePlan, choose_pictures
from vidal.images.config import (
    EvidenceConfig,
    ImagesConfig,
    ImageTraining,
    ImageVariant,
    load_images_config,
)
from vidal.images.evidence import check_needs
from vidal.images.recipes import RECIPES, Recipe
from vidal.query.budget import Budget
from vidal.report.images import as_dict, own_files, table, write_choice
from vidal.store import atomic, lock

__all__ = ["choice_of", "choose", "claimed", "folder_name", "plan_of", "write"]

claimed = simulations.claimed
write = simulations.write


def plan_of(
    path: Path,
    *,
    data: Path | None,
    imbalance: float | None,
    openness: float | None = None,
    noise: float | None = None,
    strategies: Sequence[str] | None,
    seeds: int | None,
    rounds: int | None,
    out: Path | None,
    workers: int,
    all_data: bool,
) -> ImagesPlan:
    """What ``vidal images simulate`` will do, checked."""
    config = load_images_config(path).with_data(data, imbalance, openness, noise)
    return plan_images(
        config,
        strategies=config.simulation.strategies if strategies is None else strategies,
        seeds=config.simulation.seeds if seeds is None else seeds,
        rounds=config.rounds if rounds is None else rounds,
        out=Path(folder_name(config)) if out is None else out,
        workers=workers,
        all_data=all_data,
    )


def folder_name(config: ImagesConfig) -> str:
    """Where results go by default: one folder a pool."""
    thinned = "" if config.imbalance == 1 else f"-imbalance-{config.imbalance:g}"
    own = config.data
    opened = "" if own.openness is None else f"-openness-{own.openness:g}"
    noisy = "" if own.noise is None else f"-noise-{own.noise:g}"
    return f"simulation-{config.name}{thinned}{opened}{noisy}"


def choice_of(
    *,
    pool: Path,
    labelled: Path,
    budget: str,
    strategy: str,
    options: Mapping[str, Any],
    balance: Any,
    model: Path | None,
    recipe: str | None,
    size: int | None,
    seed: int,
    device: str,
    unknown: Sequence[str] = (),
    known_only: bool = False,
) -> ChoicePlan:
    """What ``vidal images select`` will do: all that can be refused by the options alone.

    Raises:
        UnknownName: no such strategy, option or recipe.
        EvidenceMissing: a strategy that makes no sense on images.
        UsageError: a value that cannot be meant.
    """
    from vidal.assemble import find_strategy
    from vidal.assemble.balance import lambda_of
    from vidal.errors import UnknownName

    find_strategy(strategy)
    if recipe is not None and recipe not in RECIPES:
        raise UnknownName("recipe", recipe, tuple(RECIPES))
    variant = ImageVariant(
        strategy=strategy,
        options=dict(options),
        balance=lambda_of(balance),
        known_only=known_only,
    )
    selector = make_selector(strategy, variant)
    check_needs(strategy, strategy, selector.needs, RECIPES[recipe] if recipe else Recipe())
    return ChoicePlan(
        pool=pool,
        labelled=labelled,
        budget=Budget.parse(budget),
        strategy=strategy,
        selector=selector,
        training=None if recipe is None else ImageTraining.model_validate({"recipe": recipe}),
        model=model,
        size=size,
        evidence=EvidenceConfig(),
        seed=seed,
        device=device,
        asked={
            **({"strategy_options": dict(options)} if options else {}),
            **({} if variant.balance is None else {"balance": variant.balance}),
            **({"unknown": list(unknown)} if unknown else {}),
            **({"known_only": True} if known_only else {}),
        },
        unknown=tuple(unknown),
    )


def choose(
    plan: ChoicePlan, out: Path, tell: Callable[[str], None]
) -> tuple[Choice, dict[str, Path], dict[str, Any]]:
    """Choose and write; the choice, the files by name, and the query as JSON values.

    Raises:
        OutputBusy, OutputError: ``out`` cannot be written, or holds files of other people.
        InputError, UsageError: as the files and options deserve.
    """
    with atomic.reporting(out):
        out.mkdir(parents=True, exist_ok=True)
    with lock.locked(out):
        own_files(out).check()
        choice = choose_pictures(plan, tell)
        files = write_choice(choice, out)
    return choice, files, as_dict(choice, table(choice))
