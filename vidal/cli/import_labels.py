"""``vidal import``: labels from an annotation tool."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidal.campaign.config_data import FORMATS
from vidal.cli.groups import HEADINGS, Grouped
from vidal.cli.once import Once
from vidal.cli.stale import told_stale
from vidal.words import counted, printable

if TYPE_CHECKING:
    from vidal.campaign.asking import Imported
    from vidal.types import FrameRef

_SWITCHES = (
    *("skip_rest", "empty_ok", "unchanged_ok", "unknown_ok", "strict", "replace", "dry_run"),
)
_LISTED = 5
_WHY = {
    "empty": "without boxes, and {format} does not say that somebody looked"
    " (--empty-ok takes them as annotated and empty)",
    "detector is sure": "without boxes, where the detector is sure of objects"
    " (--empty-ok takes them as annotated and empty)",
    "unchanged": "as vidal proposed them (--unchanged-ok takes them)",
    "context": "exported as context, not to be annotated",
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
    help="What the annotation tool has exported: a file, folder or zip.",
)
@click.option(
    "--format",
    "format_",
    default="auto",
    show_default=True,
    type=click.Choice(("auto", *FORMATS)),
    metavar="NAME",
    help=f"One of: auto, {', '.join(FORMATS)}.",
)
@click.option(
    "--split",
    default="train",
    show_default=True,
    type=click.Choice(["train", "validation", "test"]),
    help="test, validation: labels of clips that are set aside, for `vidal evaluate` only.",
)
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option(
    "--replace",
    is_flag=True,
    help="Frames that were answered before get the file's answer; the former stays in the record.",
)
@click.option(
    "--map",
    "class_map",
    multiple=True,
    metavar="RULE",
    help="van=car: class van of the file is car. vehicle.type: the class of a vehicle is what its"
    " attribute type says.",
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
    "--unknown",
    type=click.Choice(["ok", "refuse"]),
    default=None,
    help="ok: the same as --unknown-ok; refuse: the same as --strict.",
)
@click.option(
    "--skipped",
    multiple=True,
    metavar="FRAME",
    help="A frame that cannot be labelled: the name of its picture, or clip@000123.",
)
@click.option("--skip-rest", is_flag=True, help="Skip all frames that the file does not answer.")
@click.option(
    "--strict", is_flag=True, help="Refuse classes that the campaign does not have, but unknown."
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def command(**given: Any) -> None:
    """Give the frames that wait in campaign DIR their labels.

    \b
    vidal import work --from annotations.xml --dry-run
    vidal import work --from annotations.xml
    vidal import work --from corrected.xml --replace

    A frame is annotated and empty only where the file states it (Label Studio) or with --empty-ok:
    CVAT, YOLO and COCO list pictures that nobody has looked at too. Frames that come back as vidal
    proposed them, empty where the detector is sure of objects, or not read whole, go on waiting and
    are named; so are pictures in a folder or zip compared with the frames that they are named for.
    Frames that were not asked for are counted and left out. Importing a file again changes nothing;
    `vidal undo` takes an import back.
    """
    from vidal.assemble.imports import give_labels
    from vidal.campaign.status import describe
    from vidal.cli.opened import open_campaign
    from vidal.errors import UsageError

    if given["unknown_ok"] and given["unknown"] == "refuse":
        raise UsageError("--unknown refuse and --unknown-ok contradict each other.")
    dry = given["dry_run"]
    given["unknown_ok"] = given["unknown_ok"] or given["unknown"] == "ok"
    given["strict"] = given["strict"] or given["unknown"] == "refuse"
    with open_campaign(given["folder"], lock=not dry, migrates=not dry) as campaign:
        names = ("format_", "split", "skipped", "class_map", *_SWITCHES)
        done = give_labels(campaign, given["source"], **{name: given[name] for name in names})
        state = describe(campaign)
    if given["as_json"]:
        click.echo(json.dumps(_summary(done, state), indent=2))
        return
    for line in _lines(done, given["split"], own=state["detections"] is not None):
        click.echo(line)
    if dry:
        click.echo("nothing was changed: this was a dry run")
        return
    click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")


def _summary(done: Imported, state: dict[str, Any]) -> dict[str, Any]:
    """JSON values; ``next`` is what comes next as the record stands now."""
    return {
        **asdict(done),
        "held": [{"frame": str(ref), "why": why} for ref, why in done.held],
        "differ": [str(ref) for ref in done.differ],
        "left_out": [[str(path), where, why] for path, where, why in done.left_out],
        "next": state["next"],
    }


def _lines(done: Imported, split: str, *, own: bool) -> list[str]:
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
        refs = [ref for ref, why in done.held if why == kind]
        if refs:
            words = words.format(format=done.format)
            waits = split == "train" and done.round is not None
            verb = ("waits" if len(refs) == 1 else "wait") if waits else "not taken"
            lines.append(f"  {counted(len(refs), 'frame')} {verb}: {_some(refs)}: {words}")
    lines += _before(done, own=own)
    if done.not_asked:
        lines.append(f"  {_were(done.not_asked)} not asked for and not imported")
    if done.pictures:
        pictures = counted(done.pictures, "picture is", "pictures are")
        frame = "the frame that it is" if done.pictures == 1 else "the frames that they are"
        lines.append(f"  {pictures} of {frame} named for")
    return lines + _not_taken(done, split)


def _before(done: Imported, *, own: bool) -> list[str]:
    """Of frames that were answered before."""
    lines = []
    if done.replaced:
        lines.append(f"  {_were(done.replaced)} answered before; the answer is replaced")
    if done.stale:
        lines.append(f"  {told_stale(done.stale, 'the former', own=own)}")
    if done.again:
        lines.append(f"  {_were(done.again)} answered before and {_stay(done.again)}")
    if done.differ:
        verb = "is" if len(done.differ) == 1 else "are"
        lines.append(
            f"    {len(done.differ)} of them {verb} otherwise in the file: {_some(done.differ)}"
            " (--replace takes that)"
        )
    return lines


def _not_taken(done: Imported, split: str) -> list[str]:
    """Of names and things in the file."""
    lines = []
    for name, boxes in done.unknown.items():
        number = counted(boxes, "box", "boxes")
        kept = f"class {printable(name)!r} is not the campaign's: {number} kept as unknown objects"
        lines.append(f"  {number} of unknown objects" if name == "unknown" else f"  {kept}")
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


def _some(refs: list[FrameRef] | tuple[FrameRef, ...]) -> str:
    return ", ".join(map(str, refs[:_LISTED])) + (", ..." if len(refs) > _LISTED else "")


def _were(number: int) -> str:
    return f"{counted(number, 'frame')} {'was' if number == 1 else 'were'}"


def _stay(number: int) -> str:
    return "stays as it is" if number == 1 else "stay as they are"
