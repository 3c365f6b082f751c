"""``vidal train-tracker``: weights for a tracker that learns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vidal.api.watch import Lines
from vidal.cli.devices import device_option
from vidal.cli.groups import HEADINGS, Grouped
from vidal.words import counted


@click.command("train-tracker", cls=Grouped, headings=HEADINGS["train-tracker"])
@click.option("--tracker", default="siamfc", show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File of the weights, safetensors.",
)
@click.option(
    "--videos",
    type=click.Path(path_type=Path),
    default=None,
    help="Clips with tracks. [default: rendered ones]",
)
@click.option("--labels", type=click.Path(path_type=Path), default=None, help="Their tracks.")
@click.option("--format", default="coco-video", show_default=True, help="Of the labels.")
@click.option(
    "--image-rate",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.01, 1000),
    help="Frames a second of folders of images.",
)
@click.option(
    "--clips", default=20, show_default=True, type=click.IntRange(min=1), help="Rendered."
)
@click.option(
    "--every",
    default=5,
    show_default=True,
    type=click.IntRange(min=1),
    help="Frames between the pictures that are kept of an object, 0.3 MB each.",
)
@click.option(
    "--from",
    "start",
    type=click.Path(path_type=Path),
    default=None,
    help="Weights to go on from.",
)
@click.option(
    "--divisor",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Of the channels: 1, 2, 4 or 8; 8 is fast enough for a CPU.",
)
@click.option("--steps", default=2000, show_default=True, type=click.IntRange(min=1))
@click.option("--batch", default=8, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@device_option(several=False)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(tracker: str, steps: int, batch: int, as_json: bool, quiet: bool, **given: Any) -> None:
    """Train a tracker on clips with tracks, for `vidal select --tracker`.

    \b
    vidal train-tracker --out siamfc.safetensors --divisor 8
    vidal train --tracker siamfc --out siamfc.safetensors --divisor 8   (the same)
    vidal select --videos clips --tracker siamfc --tracker-option weights=siamfc.safetensors
    """
    from vidal.assemble.train_tracker import TrackerJob, train_tracker
    from vidal.report.query_files import plain
    from vidal.track.siamfc_training import SiamFCTraining

    job = TrackerJob(**given, training=SiamFCTraining(steps=steps, batch=batch))
    found = train_tracker(tracker, job, progress=None if quiet or as_json else Lines())
    if as_json:
        click.echo(json.dumps(plain(found), indent=2, allow_nan=False))
        return
    click.echo(
        f"{found['weights']}: {_count(found, 'step')} on {_count(found, 'picture')} of"
        f" {_count(found, 'object')}; loss {found['loss_first']:.3f} -> {found['loss_last']:.3f}"
    )


def _count(found: Mapping[str, Any], noun: str) -> str:
    return counted(int(found[f"{noun}s"]), noun)
