"""``vidal import``: labels from an annotation tool."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidal.cli.groups import HEADINGS, Grouped
from vidal.cli.once import Once
from vidal.words import counted, printable

if TYPE_CHECKING:
    from vidal.campaign.answers import Imported

_FORMATS = ("auto", "cvat", "cvat-images", "label-studio", "yolo", "coco-video")
_SWITCHES = ("skip_rest", "empty_ok", "unchanged_ok", "unknown_ok", "strict")
_LISTED = 5
_WHY = {
    "empty": "without boxes, and {format} does not say that somebody looked"
    " (--empty-ok takes them as annotated and empty)",
    "unchanged": "as vidal proposed them (--unchanged-ok takes them)",
    "clip is lost": "of a clip that is not there (`vidal relink`)",
    "not answered": "not in it, or not complete",
}


@click.command("import", cls=Grouped, headings=HEADINGS["import"])
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    cls=Once,
    type=click.Path(path_type=Path),
    required=True,
    help="What the annotation tool has exported.",
)
@click.option("--format", "format_", default="auto", show_default=True, type=click.Choice(_FORMATS))
@click.option(
    "--split",
    default="train",
    show_default=True,
    type=click.Choice(["train", "validation", "test"]),
    help="test, validation: labels of clips that are set aside, for `vidal evaluate` only.",
)
@click.option(
    "--empty-ok",
    is_flag=True,
    help="Frames without boxes were looked at: take them as annotated and empty.",
)
@click.option(
    "--unchanged-ok", is_flag=True, help="Take frames whose boxes are vidal's own, untouched."
)
@click.option(
    "--unknown-ok", is_flag=True, help="Take a file without one box of the campaign's classes."
)
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

    A frame is annotated and empty only where the file states it (Label Studio) or with --empty-ok:
    CVAT, YOLO and COCO list pictures that nobody has looked at too. Frames that come back as vidal
    proposed them, and frames that are not listed or could not be read whole, go on waiting and are
    named. Frames that were not asked for are counted and left out. The same file may be imported
    again.
    """
    from vidal.assemble.imports import give_labels
    from vidal.campaign.status import describe
    from vidal.cli.opened import open_campaign

    with open_campaign(given["folder"]) as campaign:
        options = {name: given[name] for name in ("format_", "split", "skipped", *_SWITCHES)}
        done = give_labels(campaign, given["source"], **options)
        state = describe(campaign)
    if given["as_json"]:
        left_out = [[str(path), where, why] for path, where, why in done.left_out]
        held = [{"frame": str(ref), "why": why} for ref, why in done.held]
        summary = {**asdict(done), "held": held, "left_out": left_out, "next": state["next"]}
        click.echo(json.dumps(summary, indent=2))
        return
    for line in _lines(done, given["split"]):
        click.echo(line)
    click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")


def _lines(done: Imported, split: str) -> list[str]:
    labelled = f"{counted(done.labelled, 'frame')} labelled ({done.empty} of them empty)"
    if split != "train":
        lines = [f"{split} clips: {labelled}; read as {done.format}"]
    else:
        place = "no round waits" if done.round is None else f"round {done.round}"
        lines = [
            f"{place}: {labelled}, {done.skipped} skipped, {done.waiting} still waiting;"
            f" read as {done.format}"
        ]
        if not (done.labelled or done.skipped or done.again):
            lines.append("  nothing in it answers a frame that waits")
    for kind, words in _WHY.items():
        refs = [str(ref) for ref, why in done.held if why == kind]
        if refs:
            some = ", ".join(refs[:_LISTED]) + (", ..." if len(refs) > _LISTED else "")
            words = words.format(format=done.format)
            verb = ("waits" if len(refs) == 1 else "wait") if split == "train" else "not taken"
            lines.append(f"  {counted(len(refs), 'frame')} {verb}: {some}: {words}")
    if done.again:
        lines.append(f"  {_were(done.again)} answered before and {_stay(done.again)}")
    if done.not_asked:
        lines.append(f"  {_were(done.not_asked)} not asked for and not imported")
    for name, boxes in done.unknown.items():
        number = counted(boxes, "box", "boxes")
        lines.append(
            f"  class {printable(name)!r} is not the campaign's: {number} kept as unknown objects"
        )
    if done.others:
        some = ", ".join(map(printable, done.others[:_LISTED]))
        number = counted(len(done.others), "name")
        lines.append(f"  {number} of no {'training' if split == 'train' else split} clip: {some}")
    for path, where, why in done.left_out[:_LISTED]:
        place = f"{path}, {where}" if where else str(path)
        lines.append(f"  left out: {printable(place)}: {printable(why)}")
    if len(done.left_out) > _LISTED:
        lines.append(f"  left out: {len(done.left_out) - _LISTED} more")
    return lines


def _were(number: int) -> str:
    return f"{counted(number, 'frame')} {'was' if number == 1 else 'were'}"


def _stay(number: int) -> str:
    return "stays as it is" if number == 1 else "stay as they are"
