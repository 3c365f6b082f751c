"""``vidal import``: labels from an annotation tool."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

_FORMATS = ("auto", "cvat", "cvat-images", "label-studio", "yolo", "coco-video")
_LISTED = 5


@click.command("import")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    help="What the annotation tool has exported.",
)
@click.option("--format", "format_", default="auto", show_default=True, type=click.Choice(_FORMATS))
@click.option(
    "--skipped",
    multiple=True,
    metavar="FRAME",
    help="A frame that cannot be labelled: the name of its picture, or clip@000123.",
)
@click.option("--skip-rest", is_flag=True, help="Skip all frames that the file does not answer.")
@click.option("--strict", is_flag=True, help="Refuse classes that the campaign does not have.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def command(**given: Any) -> None:
    """Give the frames that wait in campaign DIR their labels.

    \b
    vidal import work --from annotations.xml

    A frame that is listed without boxes is annotated and empty; a frame that is not listed goes on
    waiting. Frames that were not asked for are counted and left out. The same file may be imported
    again.
    """
    from vidal.assemble.campaign import engines_of, picture_names
    from vidal.campaign.answers import frame_of, import_answers
    from vidal.campaign.folder import open_campaign
    from vidal.campaign.status import describe

    with open_campaign(given["folder"]) as campaign:
        names = picture_names(campaign)
        done = import_answers(
            campaign,
            campaign.clips(engines_of(campaign.config)),
            given["source"],
            format_=given["format_"],
            names=names,
            skipped=[frame_of(text, names) for text in given["skipped"]],
            skip_rest=given["skip_rest"],
            strict=given["strict"],
        )
        state = describe(campaign)
    if given["as_json"]:
        left_out = [[str(path), where, why] for path, where, why in done.left_out]
        summary = {**asdict(done), "left_out": left_out, "next": state["next"]}
        click.echo(json.dumps(summary, indent=2))
        return
    for line in _lines(done):
        click.echo(line)
    click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")


def _lines(done: Any) -> list[str]:
    place = "no round waits" if done.round is None else f"round {done.round}"
    lines = [
        f"{place}: {done.labelled} frames labelled ({done.empty} of them empty),"
        f" {done.skipped} skipped, {done.waiting} still waiting; read as {done.format}"
    ]
    if not (done.labelled or done.skipped or done.again):
        lines.append("  nothing in it answers a frame that waits")
    if done.again:
        lines.append(f"  {done.again} frames were answered before and stay as they are")
    if done.not_asked:
        lines.append(f"  {done.not_asked} frames were not asked for and are not imported")
    for name, boxes in done.unknown.items():
        lines.append(f"  class {name!r} is not the campaign's: {boxes} boxes are unknown objects")
    if done.others:
        some = ", ".join(done.others[:_LISTED])
        lines.append(f"  {len(done.others)} clips are not training clips here: {some}")
    for path, where, why in done.left_out[:_LISTED]:
        lines.append(f"  left out: {path}, {where}: {why}")
    if len(done.left_out) > _LISTED:
        lines.append(f"  left out: {len(done.left_out) - _LISTED} more")
    return lines
