"""``vidal relink``: find the clips of a campaign again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidal.cli.once import Once
from vidal.words import counted

if TYPE_CHECKING:
    from vidal.campaign.relink import Relinked

_LISTED = 5


@click.command("relink")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--videos",
    cls=Once,
    default=None,
    type=click.Path(path_type=Path),
    help="Where the clips are now. [default: the folders of the configuration]",
)
@click.option(
    "--from", "old", cls=Once, default=None, type=click.Path(path_type=Path), metavar="OLD"
)
@click.option(
    "--to",
    "new",
    cls=Once,
    default=None,
    type=click.Path(path_type=Path),
    metavar="NEW",
    help="What lay below OLD lies below NEW: clips, labels and weights.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def command(
    folder: Path, videos: Path | None, old: Path | None, new: Path | None, as_json: bool
) -> None:
    """Find the clips of campaign DIR that are not where they were.

    \b
    vidal relink work --videos /new/place/clips
    vidal relink work --from /old/project --to /new/project

    Clips are known by their content: renamed ones are found, and a clip of another content is
    refused, whatever it is called. A project that was moved as a whole needs no relinking.
    """
    from vidal.assemble.campaign import engines_of
    from vidal.campaign.relink import Move, relink
    from vidal.campaign.status import describe
    from vidal.cli.opened import open_campaign
    from vidal.errors import LabelsMismatch, UsageError

    if (old is None) is not (new is None):
        raise UsageError("--from and --to go together.")
    move = Move.between(old, new)
    with open_campaign(folder) as campaign:
        done = relink(campaign, engines=engines_of(campaign.config), videos=videos, move=move)
    with open_campaign(folder, lock=False) as campaign:
        state = describe(campaign)
    if as_json:
        summary = {
            "there": done.there,
            "found": {name: str(path) for name, path in done.found},
            "other": {name: str(path) for name, path in done.other},
            "missing": list(done.missing),
            "next": state["next"],
        }
        click.echo(json.dumps(summary, indent=2, allow_nan=False))
    else:
        for line in _lines(done):
            click.echo(line)
        click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")
    if done.other:
        name, path = done.other[0]
        more = f" (and {len(done.other) - 1} more)" if len(done.other) > 1 else ""
        raise LabelsMismatch(
            path,
            f"is another clip than {name}, by its content{more}",
            hint="Labels and evidence of the one say nothing of the other: find the former file.",
        )


def _lines(done: Relinked) -> list[str]:
    lines = [
        f"{counted(done.there, 'clip')} in place, {counted(len(done.found), 'clip')} found,"
        f" {len(done.missing):,} missing"
    ]
    for name, path in done.found[:_LISTED]:
        lines.append(f"  found {name}: {path}")
    if len(done.found) > _LISTED:
        lines.append(f"  found {len(done.found) - _LISTED:,} more")
    for name in done.missing[:_LISTED]:
        lines.append(f"  missing {name}")
    if len(done.missing) > _LISTED:
        lines.append(f"  missing {len(done.missing) - _LISTED:,} more")
    return lines
