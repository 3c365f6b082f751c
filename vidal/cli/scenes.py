"""``vidal scenes``: rendered driving clips with exact truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from vidal.cli.groups import HEADINGS, Grouped
from vidal.words import counted, printable

SPLITS = ("train", "test", "test-wheelchair")
SUBSETS = ("default", "town", "night", "wheelchair")


@click.command("scenes", cls=Grouped, headings=HEADINGS["scenes"])
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where they go.")
@click.option("--clips", default=10, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--split", default="train", show_default=True, type=click.Choice(SPLITS))
@click.option(
    "--subset",
    default=None,
    type=click.Choice(SUBSETS),
    help="Only this subset. [default: the table's shares]",
)
@click.option(
    "--frames",
    default="60-180",
    show_default=True,
    metavar="LOW-HIGH",
    help="Length of a clip; uniform between the two.",
)
@click.option(
    "--rate", default=25, show_default=True, type=click.IntRange(1, 120), help="Frames a second."
)
@click.option("--size", default="480x300", show_default=True, metavar="WxH")
@click.option(
    "--layout",
    default="video",
    show_default=True,
    type=click.Choice(["video", "synthia-al"]),
    help="mp4 + COCO-video JSON, or the folders of SYNTHIA-AL.",
)
@click.option(
    "--workers", default=0, type=click.IntRange(min=0), help="Processes. [default: one a core]"
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(**given: Any) -> None:
    """Render procedural driving clips after the generation table of SYNTHIA-AL.

    \b
    vidal scenes --out scenes --clips 10 --seed 1

    The same seed gives the same pixels. Interrupted runs go on where they were.
    """
    from vidal.api.progress import ClipProgress
    from vidal.evidence.places import Engines
    from vidal.scenes import plan
    from vidal.scenes.scene_files import write_scenes

    specs = plan(
        given["clips"],
        given["seed"],
        split=given["split"],
        subset=given["subset"],
        frames=span("--frames", given["frames"], "-"),
        rate=given["rate"],
        size=span("--size", given["size"], "x")[::-1],
    )
    quiet = given["quiet"] or given["as_json"]
    names, lengths = [spec.name for spec in specs], [spec.frames for spec in specs]
    with ClipProgress("rendering", names, lengths, quiet=quiet) as progress:
        engines = Engines(given["workers"], detects=False)
        paths = write_scenes(
            given["out"],
            specs,
            layout=given["layout"],
            engine=engines(len(specs), heavy=True, listener=progress.advance),
            progress=lambda _name, done, _total: progress.finish(done - 1),
        )
    summary = {
        "clips": len(paths),
        "frames": sum(lengths),
        "out": str(given["out"]),
        "files": [str(path) for path in paths],
    }
    if given["as_json"]:
        click.echo(json.dumps(summary, indent=2))
    else:
        what = f"{counted(len(paths), 'clip')}, {counted(sum(lengths), 'frame')}"
        click.echo(f"rendered {what}, in {printable(given['out'])}")


def span(option: str, text: str, sign: str) -> tuple[int, int]:
    """``"60-180"`` -> ``(60, 180)``.

    Raises:
        UsageError: not two whole numbers.
    """
    from vidal.errors import UsageError

    low, _, high = text.partition(sign)
    try:
        return int(low), int(high or low)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not two numbers with {sign!r} between.") from None
