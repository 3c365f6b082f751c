"""``vidal train``: a model on the labels of a campaign."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from vidal.api.watch import Lines
from vidal.words import counted


@click.command("train")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--epochs", default=None, type=click.IntRange(min=1), help="For this round only.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(folder: Path, epochs: int | None, as_json: bool, quiet: bool) -> None:
    """Fit the detector to all labelled frames of campaign DIR, from the previous round's model.

    Frames without objects are negatives. An interrupted training goes on with the last finished
    epoch. Where the model of an earlier round is gone, that one is fitted anew first.

    With --tracker it fits a tracker instead, as `vidal train-tracker` does and with its options:

    \b
    vidal train --tracker siamfc --out siamfc.safetensors
    vidal train --tracker siamfc --help
    """
    from vidal.assemble.campaign import engines_of
    from vidal.campaign.loop import train_round
    from vidal.campaign.status import describe
    from vidal.cli.opened import open_campaign

    with open_campaign(folder) as campaign:
        if epochs is not None:
            changed = campaign.config.changed(training={"epochs": epochs, "initial_epochs": None})
            campaign = replace(campaign, config=changed)
        progress = None if quiet or as_json else Lines()
        needed = campaign.record.labelled_clips()
        clips = campaign.clips(engines_of(campaign.config), only=needed)
        trained = train_round(campaign, clips, progress=progress)
        state = describe(campaign)
    if as_json:
        summary = {
            "round": None if trained is None else trained.round,
            "model": state["model"],
            "frames": 0 if trained is None else trained.frames,
            "negatives": 0 if trained is None else trained.negatives,
            "again": trained is not None and trained.again,
            "next": state["next"],
        }
        click.echo(json.dumps(summary, indent=2))
        return
    if trained is None:
        click.echo("there are no labels that no model was trained on")
    else:
        again = "its model was gone; trained anew" if trained.again else "trained"
        if trained.for_states:
            again = "trained again, to keep states of its training"
        click.echo(
            f"round {trained.round}: {again} on {counted(trained.frames, 'frame')}"
            f" ({trained.negatives} without objects): {trained.model}"
        )
    click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")
