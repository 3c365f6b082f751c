"""``vidal train``: a model on the labels of a campaign."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from vidal.api.watch import Console, Lines
from vidal.cli.once import Once
from vidal.words import counted


@click.command("train")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--epochs", default=None, type=click.IntRange(min=1), help="For this round only.")
@click.option(
    "--backbone",
    cls=Once,
    type=click.Path(path_type=Path),
    help="Of `vidal pretrain`, for this round only: training begins with it.",
)
@click.option(
    "--pseudo-labels",
    is_flag=True,
    help="Also train on what the model before surely sees on frames nobody was asked about"
    " (for this round; training.pseudo_labels sets it for all, with options).",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    folder: Path,
    epochs: int | None,
    backbone: Path | None,
    pseudo_labels: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit the detector to all labelled frames of campaign DIR, from the previous round's model.

    Frames without objects are negatives. An interrupted training goes on with the last finished
    epoch. Where the model of an earlier round is gone, that one is fitted anew first.

    With --tracker it fits a tracker instead, as `vidal train-tracker` does and with its options:

    \b
    vidal train --tracker siamfc --out siamfc.safetensors
    vidal train --tracker siamfc --help
    """
    from vidal.assemble.campaign import train_campaign
    from vidal.campaign.due import trains_round
    from vidal.campaign.heartbeat import beating
    from vidal.campaign.status import describe
    from vidal.cli.opened import open_campaign

    silent = quiet or as_json
    with open_campaign(folder) as campaign, ExitStack() as stack:
        beat = stack.enter_context(beating(folder, "train", trains_round(campaign)))
        console = stack.enter_context(Console(quiet=silent, beat=beat))
        trained = train_campaign(
            campaign,
            epochs=epochs,
            backbone=backbone,
            pseudo_labels=pseudo_labels,
            progress=Lines(quiet=silent, beat=beat),
            watcher=console,
        )
        state = describe(campaign)
    if as_json:
        summary = {
            "round": None if trained is None else trained.round,
            "model": state["model"],
            "frames": 0 if trained is None else trained.frames,
            "negatives": 0 if trained is None else trained.negatives,
            "pseudo_labels": None if trained is None else trained.pseudo_labels,
            "again": trained is not None and trained.again,
            "corrected": trained is not None and trained.corrected,
            "next": state["next"],
        }
        click.echo(json.dumps(summary, indent=2))
        return
    if trained is None:
        click.echo("there are no labels that no model was trained on")
    else:
        again = "its model was gone; trained anew" if trained.again else "trained"
        if trained.corrected:
            again = "its answers were corrected; trained anew"
        if trained.for_states:
            again = "trained again, to keep states of its training"
        click.echo(
            f"round {trained.round}: {again} on {counted(trained.frames, 'frame')}"
            f" ({trained.negatives} without objects): {trained.model}"
        )
        if trained.pseudo_labels is not None:
            click.echo(_pseudo_labels(trained.pseudo_labels))
    click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")


def _pseudo_labels(found: Mapping[str, Any]) -> str:
    """What was trained on beside the labels, in words."""
    named = ", ".join(f"{count} {name}" for name, count in found["classes"].items() if count)
    return (
        f"  pseudo-labels   {counted(found['boxes'], 'box', 'boxes')}"
        f"{f' ({named})' if named else ''} on {counted(found['frames'], 'frame')},"
        f" by the model of round {found['teacher']}"
    )
