"""What a campaign has to be trained for before the next selection."""

from __future__ import annotations

from vidal.campaign.fitting import has_snapshots
from vidal.campaign.folder import Campaign
from vidal.campaign.own import is_own, untrained
from vidal.campaign.record import Round
from vidal.campaign.training import compares_snapshots, snapshots_wanted


def to_train(campaign: Campaign) -> Round | None:
    """The round whose model comes next: the oldest one whose model is stale, else the newest, if it
    has labels that no model was trained on."""
    if is_own(campaign):
        return untrained(campaign)
    rounds = campaign.record.rounds()
    tally = campaign.record.tally()
    trained = max((each.number for each in rounds if each.state == "trained"), default=-1)
    new = [
        each
        for each in rounds
        if each.number > trained and each.state == "answered" and tally[each.number]["labelled"]
    ]
    stale = [each for each in new if each.stale]
    return stale[0] if stale else new[-1] if new else None


def trains_round(campaign: Campaign) -> int | None:
    """The number of the round that would be trained now; None = of none."""
    lost = lost_models(campaign)
    entry = lost[0] if lost else to_train(campaign) or without_snapshots(campaign)
    return None if entry is None else entry.number


def lost_models(campaign: Campaign) -> list[Round]:
    """The trained rounds whose model is not there any more, in order."""
    if is_own(campaign):
        return []
    return [
        entry
        for entry in campaign.record.rounds()
        if entry.state == "trained" and not (campaign.folder / str(entry.model)).is_file()
    ]


def without_snapshots(campaign: Campaign) -> Round | None:
    """The newest trained round, if the next selection compares states of its training that are
    not there, and no training comes before that selection."""
    trained = [entry for entry in campaign.record.rounds() if entry.model is not None]
    config = campaign.config
    if is_own(campaign) or not trained:
        return None
    if not (compares_snapshots(config) and snapshots_wanted(config)):
        return None
    if campaign.record.open_round() is not None or to_train(campaign) is not None:
        return None
    model = campaign.folder / str(trained[-1].model)
    return None if has_snapshots(model) else trained[-1]
