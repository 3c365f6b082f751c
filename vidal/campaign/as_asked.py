"""How a round was asked for, kept with it: the configuration may change afterwards."""

from __future__ import annotations

from typing import Any

from vidal.campaign.config import CampaignConfig
from vidal.campaign.folder import Campaign

_NOW = frozenset({"cost", "tracker", "tracker_options"})
"""Keys that a round does not keep: rates may be changed afterwards, and files may move."""


def kept_selection(config: CampaignConfig) -> dict[str, Any]:
    """What a round's entry in the record says of how it was asked for: JSON values."""
    plain = config.selection.model_dump(mode="json")
    return {name: value for name, value in plain.items() if name not in _NOW}


def told_selection(campaign: Campaign, number: int) -> dict[str, Any] | None:
    """What a round's entry says; None where an older version of vidal wrote it."""
    found = None
    for entry, kind, detail in campaign.record.events():
        if kind == "queried" and entry == number:
            found = detail.get("selection")
    return None if found is None else dict(found)
