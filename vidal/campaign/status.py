"""Where a campaign stands, and what comes next."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.campaign.costs import costs_dict, round_costs
from vidal.campaign.due import lost_models, to_train, without_snapshots
from vidal.campaign.folder import Campaign
from vidal.campaign.heartbeat import disk, running
from vidal.campaign.history import history_of
from vidal.campaign.own import SAME, is_own, models, newest, short
from vidal.selection.history import counts_dict
from vidal.words import counted


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do now: a command, and why in words."""

    command: str
    words: str


def next_step(campaign: Campaign) -> NextStep:
    """The one command that takes the campaign further."""
    record, folder = campaign.record, _quoted(campaign.folder)
    lost = lost_models(campaign)
    if lost:
        return NextStep(
            f"vidal train {folder}",
            f"the model of round {lost[0].number} is gone: put it back as"
            f" {lost[0].model}, or fit it anew",
        )
    entry = record.open_round()
    if entry is not None:
        query, waiting = campaign.query(entry.number), len(record.waiting())
        waits, are = ("waits", "its picture is") if waiting == 1 else ("wait", "their pictures are")
        return NextStep(
            f"vidal import {folder} --from FILE",
            f"{counted(waiting, 'frame')} of round {entry.number} {waits} for labels;"
            f" {are} in {query / 'frames'}",
        )
    due = to_train(campaign)
    if due is not None and due.stale and not is_own(campaign):
        return NextStep(
            f"vidal train {folder}",
            f"answers that the model of round {due.number} was trained on were corrected: fit it"
            " anew",
        )
    if due is not None:
        return _to_train(campaign, folder)
    bare = without_snapshots(campaign)
    if bare is not None:
        return NextStep(
            f"vidal train {folder}",
            f"the strategy compares states of the training of round {bare.number}, and none were"
            " kept: fit it again",
        )
    done = sum(each.state == "trained" for each in record.rounds())
    select = f"vidal select --campaign {folder}"
    if done >= campaign.config.rounds:
        return NextStep(select, f"all {done} planned rounds are done; select for a further one")
    return NextStep(select, "choose the frames of the next round")


def _to_train(campaign: Campaign, folder: str) -> NextStep:
    if not is_own(campaign):
        return NextStep(f"vidal train {folder}", "train a model on the new labels")
    return NextStep(
        f"vidal select --campaign {folder} --detections NEW",
        f"train your detector (`vidal export {folder} --to yolo --labelled` writes the labels), run"
        f" it over the clips and give what it finds; {SAME} goes on without",
    )


def _quoted(folder: Path) -> str:
    """As a shell takes it; a name that begins with a dash is no option."""
    text = str(folder)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def _detections(campaign: Campaign) -> dict[str, Any] | None:
    """The detections of one's own that were given last; None where the detector is vidal's."""
    if not is_own(campaign):
        return None
    given = newest(campaign)
    return {"path": str(given.path), "digest": given.digest}


def _renewed(campaign: Campaign) -> int:
    """The newest round with a model of one's own that no correction came after; -1 where none is.

    That model was trained on the corrected answers of the rounds before, whose own models are not
    fitted anew: nothing is left to do about them.
    """
    if not is_own(campaign):
        return -1
    return max((e.number for e in campaign.record.rounds() if e.state == "trained"), default=-1)


def describe(campaign: Campaign) -> dict[str, Any]:
    """The state of a campaign as JSON values."""
    record = campaign.record
    counts, tally = record.counts(), record.tally()
    model = campaign.newest_model()
    step = next_step(campaign)
    beat = running(campaign.folder)
    answered = {each.round: each.counts for each in history_of(campaign).queries}
    splits: dict[str, int] = {"train": 0, "validation": 0, "test": 0}
    for clip in record.clips():
        splits[clip.split] += 1
    told = {n: short(each) for n, each in models(campaign).items()} if is_own(campaign) else {}
    renewed = _renewed(campaign)
    taken = counts["labelled"] + counts["queried"] + counts["skipped"]
    return {
        "name": campaign.config.name,
        "folder": str(campaign.folder),
        "classes": list(record.classes),
        "clips": splits,
        "missing": [entry.id for entry in campaign.absent()],
        "frames": {
            "all": counts["frames"],
            "labelled": counts["labelled"],
            "waiting": counts["queried"],
            "skipped": counts["skipped"],
            "unlabelled": counts["frames"] - taken,
        },
        "rounds": [
            {
                "round": each.number,
                "strategy": each.strategy,
                "state": each.state,
                "asked": each.wanted,
                "labelled": tally[each.number]["labelled"],
                "waiting": tally[each.number]["queried"],
                "skipped": tally[each.number]["skipped"],
                "model": told.get(each.number, each.model),
                "stale": each.stale and each.number > renewed,
                "asked_about": counts_dict(answered.get(each.number)),
            }
            for each in record.rounds()
        ],
        "cost": costs_dict(campaign.config.selection.cost, round_costs(campaign)),
        "planned_rounds": campaign.config.rounds,
        "detections": _detections(campaign),
        "model": None if model is None else str(model),
        "running": None if beat is None else beat.as_dict(),
        "disk": disk(campaign.folder, campaign.evidence),
        "next": {"command": step.command, "why": step.words},
    }
