"""The detections that a campaign about one's own detector begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidal.assemble import build_strategy
from vidal.assemble.selection import options_for_files
from vidal.campaign.config import CampaignConfig
from vidal.campaign.own import configured, written
from vidal.campaign.own_tables import stock, usable
from vidal.campaign.source import Source
from vidal.selection.trained import Trainer, learners_of


@dataclass(frozen=True, slots=True)
class Stocked:
    """Given detections that were taken in: what the record says of them, and remarks."""

    told: Mapping[str, Any]
    notes: tuple[str, ...]


def stock_begun(
    folder: Path, config: CampaignConfig, source: Source, classes: tuple[str, ...]
) -> Stocked | None:
    """Take the detections in that a campaign begins with; None where a detector makes them.

    Raises:
        InputError, UsageError: they cannot be used, for these clips or the strategies.
    """
    if config.data.detections is None:
        return None
    given = configured(config.data, classes)
    clips = list(source.opened().values())
    made = stock(folder / "evidence", given, clips, rate=Fraction(config.data.image_rate))
    train = list(source.opened("train").values())
    usable(made, train, given)
    chosen = config.selection
    names = dict.fromkeys((chosen.initial_strategy, chosen.strategy))
    for name in names:
        options = chosen.options if name == chosen.strategy else {}
        options = options_for_files(name, options)
        strategy = build_strategy(name, gap=chosen.gap, options=options, known=chosen.known_only)
        notes = made.check(strategy.needs, name)
        learners = learners_of(strategy)
        # What is learned from labels alone may come later: one frame is labelled by then.
        Trainer(name, strategy.needs, given, config.seed, 1, learners=learners).check(1)
    skipped = [f"skipped {each.path}: {each.reason}" for each in made.skipped(clips)]
    return Stocked(written(given, folder), (*notes, *skipped))
