"""The plan of a round that was selected long ago, whatever the configuration says now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vidal.assemble import STRATEGIES
from vidal.assemble.campaign import plan_round
from vidal.assemble.selection import SelectionJob
from vidal.campaign.as_asked import told_selection
from vidal.campaign.folder import Campaign


def plan_told(campaign: Campaign, number: int) -> SelectionJob:
    """How a round was selected: by the strategy, options and budget that its entry names.

    Rates of cost and the tracker's files are those of the configuration now: rates may be changed
    afterwards, and files may have moved. Of rounds that an older version of vidal selected only
    the strategy is known; its options are those of the configuration where it is still the same.

    Raises:
        UsageError: as ``plan_round``.
    """
    then = told_selection(campaign, number)
    if then is None:
        then = _strategy(campaign, number)
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
