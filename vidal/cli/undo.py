"""``vidal undo``: take an import back."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidal.cli.once import Once
from vidal.cli.stale import told_stale
from vidal.words import counted, printable

if TYPE_CHECKING:
    from vidal.campaign.undo import Import, Undone

_LISTED = 5


@click.command("undo")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--round",
    "number",
    cls=Once,
    default=None,
    type=click.IntRange(min=0),
    help="Take back all answers of this round.",
)
@click.option(
    "--file",
    cls=Once,
    default=None,
    metavar="NAME",
    help="Take back the newest import of this file. [default: of any]",
)
@click.option("--list", "listed", is_flag=True, help="Only list what was imported.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def command(
    folder: Path,
    number: int | None,
    file: str | None,
    listed: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take answers of campaign DIR back, of one import or one round: its frames wait again.

    \b
    vidal undo work
    vidal undo work --file annotations.xml
    vidal undo work --round 1

    Every version of an answer stays in the record, with its file, its SHA-256, and when and by whom
    it was imported. Models that were trained on what is taken back are stale: `vidal train` fits
    them anew. Rounds that were asked for since stay as they are. A wrong file can also be corrected
    in one step, with `vidal import --replace`.
    """
    from vidal.campaign.status import describe
    from vidal.campaign.undo import imports, undo
    from vidal.cli.opened import open_campaign
    from vidal.errors import UsageError

    if number is not None and file is not None:
        raise UsageError("--round and --file do not go together.")
    reads = listed or dry_run
    with open_campaign(folder, lock=not reads, migrates=not reads) as campaign:
        if listed:
            found = imports(campaign.record)
            click.echo(
                json.dumps([asdict(e) for e in found], indent=2, allow_nan=False)
                if as_json
                else _told(found)
            )
            return
        done = undo(campaign.record, number=number, file=file, dry_run=dry_run)
        state = describe(campaign)
    if as_json:
        summary = {
            **asdict(done),
            "frames": [str(ref) for ref in done.frames],
            "held": [str(ref) for ref in done.held],
            "dry_run": dry_run,
            "next": state["next"],
        }
        click.echo(json.dumps(summary, indent=2, allow_nan=False))
        return
    for line in _lines(done, own=state["detections"] is not None):
        click.echo(line)
    if dry_run:
        click.echo("nothing was changed: this was a dry run")
        return
    click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")


def _told(found: list[Import]) -> str:
    """A line an import."""
    if not found:
        return "nothing was imported yet"
    lines = []
    for each in found:
        rounds = f", round {' and '.join(map(str, each.rounds))}" if each.rounds else ""
        what = each.split if each.split != "train" else "query"
        lines.append(
            f"{each.id:>4}  {each.time[:19]}  {printable(each.by)}  {printable(each.source)}"
            f" ({each.format}, {what}{rounds}): {counted(each.frames, 'frame')},"
            f" {each.counting} of them still count; sha256 {each.sha256[:12]}"
        )
    return "\n".join(lines)


def _lines(done: Undone, *, own: bool) -> list[str]:
    name = printable(done.what)
    lines = []
    if done.frames:
        verb = "waits" if len(done.frames) == 1 else "wait"
        some = ", ".join(map(str, done.frames[:_LISTED]))
        more = ", ..." if len(done.frames) > _LISTED else ""
        lines.append(
            f"{name} is taken back: {counted(len(done.frames), 'frame')} of round {done.round}"
            f" {verb} again: {some}{more}"
        )
    if done.held:
        frames = counted(len(done.held), "frame")
        verb = "has" if len(done.held) == 1 else "have"
        lines.append(f"{name} is taken back: {frames} of clips set aside {verb} no labels any more")
    if done.stale:
        lines.append(f"  {told_stale(done.stale, 'these', own=own)}")
    if done.later:
        rounds = "round" if len(done.later) == 1 else "rounds"
        verb = "was" if len(done.later) == 1 else "were"
        some = " and ".join(map(str, done.later))
        lines.append(f"  {rounds} {some} {verb} asked for since; what was asked there stays")
    return lines
