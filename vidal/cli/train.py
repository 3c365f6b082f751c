"""``vidal train``: a model on the labels of a campaign."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from vidal.cli.progress import clock

_EVERY = 5.0
"""Seconds between two lines of progress."""


@click.command("train")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--epochs", default=None, type=click.IntRange(min=1), help="For this round only.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(folder: Path, epochs: int | None, as_json: bool, quiet: bool) -> None:
    """Fit the detector to all labelled frames of campaign DIR, from the previous round's model.

    Frames without objects are negatives. An interrupted training goes on with the last finished
    epoch.

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
        clips = campaign.clips(engines_of(campaign.config))
        trained = train_round(campaign, clips, progress=progress)
        state = describe(campaign)
    if as_json:
        summary = {
            "round": None if trained is None else trained.round,
            "model": state["model"],
            "frames": 0 if trained is None else trained.frames,
            "negatives": 0 if trained is None else trained.negatives,
            "next": state["next"],
        }
        click.echo(json.dumps(summary, indent=2))
        return
    if trained is None:
        click.echo("there are no labels that no model was trained on")
    else:
        click.echo(
            f"round {trained.round}: trained on {trained.frames} frames"
            f" ({trained.negatives} without objects): {trained.model}"
        )
    click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")


class Lines:
    """Loss and time left: one line that is overwritten on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first: float | None = None
        self._said = 0.0
        self._live = sys.stderr.isatty()

    def __call__(self, at: Mapping[str, float]) -> None:
        now, last = time.monotonic(), at["step"] >= at["steps"]
        if self._first is None:
            self._first = at["step"] - 1
        wait = 0.2 if self._live else _EVERY
        if not last and self._said and now - self._said < wait:
            return
        self._said = now
        left = (now - self._began) / (at["step"] - self._first) * (at["steps"] - at["step"])
        epoch = f" epoch {at['epoch']:.0f}/{at['epochs']:.0f}" if "epoch" in at else ""
        step = f"step {at['step']:.0f}/{at['steps']:.0f}"
        line = f"training{epoch} {step}: loss {at['loss']:.4f}, ETA {clock(left)}"
        if self._live:
            click.echo(f"\r\033[K{line}", err=True, nl=last)
        else:
            click.echo(line, err=True)
