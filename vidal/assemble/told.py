"""A round that was selected long ago, told as it was then, whatever the configuration says now."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from vidal.assemble import STRATEGIES
from vidal.assemble.campaign import plan_round
from vidal.assemble.selection import SelectionJob
from vidal.campaign.as_asked import told_selection
from vidal.campaign.folder import Campaign
from vidal.campaign.loop import needed_for, newest_query
from vidal.campaign.outcome import retell_outcome
from vidal.errors import BudgetError
from vidal.evidence.watch import Watcher
from vidal.query.budget import Budget
from vidal.selection.result import SelectionResult
from vidal.types import SkippedClip


@dataclass(frozen=True, slots=True, eq=False)
class ToldRound:
    """A round that can be told again.

    Attributes:
        number: of the round.
        result: makes its result, with what its annotators found.
        lost: clips that are not there, and were not asked about.
    """

    number: int
    result: Callable[[], SelectionResult]
    lost: tuple[SkippedClip, ...]


def tell_round(campaign: Campaign, number: int | None, *, watcher: Watcher) -> ToldRound:
    """One round of a campaign for its report; None = the newest that was asked for.

    Raises:
        CampaignError: no such query, or none at all.
        InputError: a clip that the round, or what it learned from, asked about is gone.
    """
    chosen = newest_query(campaign) if number is None else number
    job = plan_told(campaign, chosen)
    found = campaign.found(job.engines)
    found.need(campaign.folder, needed_for(campaign, chosen))

    def result() -> SelectionResult:
        return retell_outcome(
            campaign,
            job.plan,
            found.clips,
            chosen,
            engines=job.engines,
            watcher=watcher,
            lost=found.skipped,
        )

    return ToldRound(chosen, result, tuple(found.skipped))


def plan_told(campaign: Campaign, number: int) -> SelectionJob:
    """How a round was selected: by the strategy, options and budget that its entry names.

    Rates of cost and the tracker's files are those of the configuration now: rates may be changed
    afterwards, and files may have moved. Of rounds that an older version of vidal selected only
    the strategy is known, and the budget where the query's file is there; all else is as the
    configuration says.

    Raises:
        UsageError: as ``plan_round``.
    """
    then = told_selection(campaign, number)
    if then is None:
        then = {**_strategy(campaign, number), **_budget(campaign, number)}
    return plan_round(
        replace(campaign, config=campaign.config.changed(selection=then)), number=number
    )


def _strategy(campaign: Campaign, number: int) -> dict[str, Any]:
    chosen = campaign.config.selection
    names = {each.number: each.strategy for each in campaign.record.rounds()}
    name = names.get(number)
    if name not in STRATEGIES or name in (chosen.strategy, chosen.initial_strategy):
        return {}
    if campaign.newest_model(before=number) is None:
        return {"initial_strategy": name}
    return {"strategy": name, "options": {}}


def _budget(campaign: Campaign, number: int) -> dict[str, Any]:
    """Of a round, as the file of its query states it; nothing where there is no such file."""
    try:
        text = json.loads((campaign.query(number) / "query.json").read_text("utf-8"))
        budget = Budget.parse(str(text["budget"]["text"])).text
    except (OSError, ValueError, LookupError, TypeError, BudgetError):
        return {}
    return {"budget": budget, "initial": budget}
