"""``vidal pretrain``: a backbone that has learned from frames nobody has labelled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vidal.api.watch import Lines
from vidal.cli.devices import device_option
from vidal.cli.groups import HEADINGS, Grouped
from vidal.cli.once import Once
from vidal.words import counted

COLLAPSE = 3
"""Exit status where all pictures end with the same features."""


@click.command("pretrain", cls=Grouped, headings=HEADINGS["pretrain"])
@click.option(
    "--videos",
    cls=Once,
    type=click.Path(path_type=Path),
    required=True,
    help="A clip or a folder of clips; no labels are needed.",
)
@click.option(
    "--out",
    cls=Once,
    type=click.Path(path_type=Path),
    help="File of the backbone. [default: backbone.safetensors]",
)
@click.option("--method", default="simsiam", show_default=True)
@click.option(
    "--detector",
    default="auto",
    show_default=True,
    help="Whose backbone: scenes-tiny or a torchvision one, as of `vidal select`.",
)
@click.option(
    "--weights", cls=Once, type=click.Path(path_type=Path), help="Checkpoint to begin from."
)
@click.option(
    "--start",
    default=None,
    type=click.Choice(["fresh", "weights"]),
    help="Random weights, or the detector's. [default: fresh, with --weights those]",
)
@click.option(
    "--frames",
    default=2000,
    show_default=True,
    type=click.IntRange(min=2),
    help="At most so many, spread over all clips.",
)
@click.option(
    "--neighbours",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="A frame at most so far away counts as the same picture, too; 0 = none does.",
)
@click.option("--epochs", default=100, show_default=True, type=click.IntRange(min=1))
@click.option("--batch", default=64, show_default=True, type=click.IntRange(min=2))
@click.option(
    "--lr",
    default=0.03,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Learning rate of a batch of 256; it grows and shrinks with the batch.",
)
@click.option(
    "--size",
    default=128,
    show_default=True,
    type=click.IntRange(min=32),
    help="Side of a view in pixels.",
)
@click.option(
    "--image-rate", default="10", show_default=True, help="Frames a second of folders of images."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@device_option(several=False)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(as_json: bool, quiet: bool, **given: Any) -> None:
    """Pre-train the backbone of a detector on clips without labels.

    \b
    vidal pretrain --videos clips/ --detector fasterrcnn-mobilenet-320 --out backbone.safetensors
    vidal init work --videos clips/ --set detector.start=fresh \\
        --detector fasterrcnn-mobilenet-320 --backbone backbone.safetensors

    Two random views of a frame have to get the same features (SimSiam). Where all frames get the
    same ones, training has collapsed: progress shows how far they are spread (`std of z`, beside
    what is healthy), and the exit status is 3; the file is written all the same. An interrupted run
    goes on after the last finished epoch when the same command is given again.
    """
    from vidal.assemble.pretrain import PretrainJob, pretrain_backbone
    from vidal.pretrain.options import SimSiamOptions

    own = {name: given.pop(name) for name in ("epochs", "batch", "lr", "size")}
    given["out"] = given["out"] or Path("backbone.safetensors")
    told = None if quiet or as_json else (Lines("reading frames"), Lines("pre-training"))

    def read(at: Mapping[str, float]) -> None:
        if told is not None:
            told[0](at)
            told[1].begin()

    found = pretrain_backbone(
        PretrainJob(**given, training=SimSiamOptions(**own)),
        reading=read,
        training=None if told is None else told[1],
    )
    warning = _warning(found) if found["collapsed"] else None
    if as_json:
        click.echo(json.dumps({**found, "warning": warning}, indent=2, allow_nan=False))
    else:
        for line in _lines(found):
            click.echo(line)
    if warning is not None:
        click.echo(f"vidal: {warning}", err=True)
        click.get_current_context().exit(COLLAPSE)


def _warning(found: dict[str, Any]) -> str:
    return (
        f"pre-training collapsed: all frames get nearly the same features (std of z"
        f" {found['std']:.4f}, healthy is about {found['healthy_std']:.4f}); this backbone is no"
        " better than a random one. Use more varied frames, a larger batch or a lower --lr."
    )


def _lines(found: dict[str, Any]) -> list[str]:
    """The summary in words."""
    lines = [
        f"{found['weights']}: backbone of {found['architecture']},"
        f" {counted(len(found['losses']), 'epoch')} on {counted(found['frames'], 'frame')}"
        f" of {counted(found['clips'], 'clip')}{'' if found['new'] else ' (it was there already)'}",
        f"  loss            {found['losses'][0]:.3f} -> {found['losses'][-1]:.3f}",
        f"  std of z        {found['std']:.4f} (healthy: about {found['healthy_std']:.4f},"
        " collapsed: 0)",
    ]
    if found["lost"]:
        lines.append(f"  not decoded     {counted(found['lost'], 'frame')}")
    if found["without_neighbour"]:
        lines.append(f"  no neighbour    {counted(found['without_neighbour'], 'frame')}")
    lines += [f"  skipped {each['path']}: {each['reason']}" for each in found["skipped"]]
    return [*lines, "next: `vidal init ... --backbone FILE`, or `vidal train DIR --backbone FILE`"]
