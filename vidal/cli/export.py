"""``vidal export``: a query, or the labelled frames of a campaign, for an annotation tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidal.cli.groups import Grouped
from vidal.cli.once import Once
from vidal.words import counted, printable

if TYPE_CHECKING:
    from vidal.exports import Exported

_TARGETS = ("cvat", "cvat-video", "label-studio", "coco", "yolo", "mot", "fiftyone", "csv")
_HEADINGS = {
    "What": ("number", "labelled", "split", "unknown"),
    "How": ("to", "boxes", "context"),
    "Output": ("out", "as_json", "quiet"),
}


@click.command("export", cls=Grouped, headings=_HEADINGS)
@click.argument("folder", metavar="DIR|QUERY", type=click.Path(path_type=Path))
@click.option("--to", required=True, type=click.Choice(_TARGETS), help="The tool, or the format.")
@click.option(
    "--round", "number", default=None, type=click.IntRange(min=0), help="[default: the newest]"
)
@click.option(
    "--out",
    cls=Once,
    type=click.Path(path_type=Path),
    help="An archive (*.zip) or a folder. [default: an archive in DIR/exports]",
)
@click.option(
    "--boxes",
    type=click.Choice(["kept", "all", "none"]),
    help="Proposals that go along. kept: without likely false alarms. [default: all where the"
    " format tells verdicts, else kept]",
)
@click.option(
    "--context",
    metavar="LENGTH",
    help="Neighbours that are only shown, on either side: 2s, or a number of frames.",
)
@click.option("--labelled", is_flag=True, help="The frames that are labelled, with their labels.")
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    help="With --labelled: of these clips only. [default: all, a part each]",
)
@click.option(
    "--unknown",
    default=None,
    type=click.Choice(["drop", "class"]),
    help="Unknown objects that people labelled: left out, or a class of their own. [default: drop"
    " with --labelled; class for the answers of a round]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(**given: Any) -> None:
    """Export frames for an annotation tool or a training: one archive that it takes as it is.

    \b
    vidal export work --to cvat
    vidal export work --to label-studio --context 2s
    vidal export work --to yolo --labelled
    vidal export selection --to coco

    DIR is a campaign: the frames that wait in its newest query go out, with pre-annotations and the
    definition of the labels. QUERY is the folder of a `vidal select` without a campaign. The
    archive says in README.txt how the tool takes it, and in frame_map.csv which frame of which clip
    each picture is. Annotated, it comes back with `vidal import`.
    """
    from vidal.api.exports import export_folder

    done = export_folder(
        given["folder"],
        to=given["to"],
        out=given["out"],
        round_=given["number"],
        boxes=given["boxes"],
        context=given["context"],
        labelled=given["labelled"],
        split=given["split"],
        unknown=given["unknown"],
        quiet=given["quiet"] or given["as_json"],
    )
    if given["as_json"]:
        click.echo(json.dumps(done.as_dict(), indent=2, allow_nan=False))
        return
    for line in lines(done):
        click.echo(line)


def lines(done: Exported) -> list[str]:
    """What was written, for people."""
    boxes = counted(done.boxes, "box", "boxes")
    parts = ", ".join(f"{number} {part}" for part, number in done.parts.items())
    told = [
        f"{counted(done.frames, 'frame')}{f' ({parts})' if parts else ''}, {boxes}"
        f" for {done.to}: {printable(done.path)}"
    ]
    if done.verdicts:
        words = (f"{n} {name.replace('_', ' ')}" for name, n in done.verdicts.items())
        told.append(f"  proposed: {', '.join(words)}")
    elif done.classes:
        told.append(
            f"  labels: {', '.join(f'{n} {printable(c)}' for c, n in done.classes.items())}"
        )
    if done.empty:
        told.append(f"  {counted(done.empty, 'frame')} without boxes")
    if done.context:
        told.append(f"  {counted(done.context, 'neighbour')} that {_are(done.context)} only shown")
    told += [f"  {printable(note)}" for note in done.notes]
    return [*told, "  README.txt in it says how it is loaded"]


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
