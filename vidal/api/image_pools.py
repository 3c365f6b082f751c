"""What ``vidal images`` does, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidal.api import simulations
from vidal.assemble.images import ImagesPlan, plan_images
from vidal.images.config import ImagesConfig, load_images_config


def plan_of(
    path: Path,
    *,
    data: Path | None,
    imbalance: float | None,
    strategies: Sequence[str] | None,
    seeds: int | None,
    rounds: int | None,
    out: Path | None,
    workers: int,
    all_data: bool,
) -> ImagesPlan:
    """What ``vidal images simulate`` will do, checked."""
    config = load_images_config(path).with_data(data, imbalance)
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
    return f"simulation-{config.name}{thinned}"


claimed = simulations.claimed
write = simulations.write
