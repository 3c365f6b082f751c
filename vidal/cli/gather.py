"""``vidal gather``: evidence without a selection, on one machine of many."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidal.api.watch import Console
from vidal.cli import select
from vidal.cli.coming import coming_of
from vidal.cli.groups import Grouped
from vidal.cli.machine import PLACE
from vidal.cli.once import Once
from vidal.words import counted, printable

if TYPE_CHECKING:
    from vidal.selection.gathering import Gathering

_NOT_HERE = ("no_report", "dry_run")
_HELP = {
    "campaign": "Instead of --videos: what the next round of this campaign needs, as it is"
    " configured; with --detections by those of your newest model.",
    "out": "Of the selection that follows. Nothing is written there but evidence, where there is"
    " no --store.",
}
"""What options of ``select`` mean here, where it is something else."""
_CAMPAIGN = frozenset(("campaign", "shard", *PLACE, "as_json", "quiet"))
UNFINISHED = 1
"""Exit status where workers were killed: the same command may well finish."""


def _run(**given: Any) -> None:
    from vidal.evidence.shards import Shard

    shard = Shard.parse(given.pop("shard") or "1/1")
    as_json, quiet = given.pop("as_json"), given.pop("quiet")
    console = Console(quiet=quiet or as_json)
    campaign: Path | None = given.pop("campaign")
    if campaign is None:
        done = _gathered(given, shard, console)
    else:
        done = _of_campaign(campaign, given, shard, console)
    _tell(done, as_json=as_json)
    if done.unfinished:
        sys.exit(UNFINISHED)


def _gathered(given: dict[str, Any], shard: Any, console: Console) -> Gathering:
    from vidal.api.gathering import gathered

    return gathered(coming_of(given), shard, console)


def _of_campaign(folder: Path, given: dict[str, Any], shard: Any, console: Console) -> Gathering:
    from vidal.assemble.gathering import gather_campaign
    from vidal.assemble.own import NewDetections
    from vidal.cli.opened import open_campaign
    from vidal.cli.select_campaign import new_detections

    new = NewDetections(**new_detections(click.get_current_context(), _CAMPAIGN))
    place = {name: given[name] for name in PLACE}
    with open_campaign(folder, lock=False) as campaign, console:
        return gather_campaign(campaign, new, shard, place=place, watcher=console)


def _tell(done: Gathering, *, as_json: bool) -> None:
    if as_json:
        summary = {
            "shard": str(done.shard),
            "clips": done.clips,
            "frames": done.frames,
            "divided": done.divided,
            "new": done.new,
            "skipped": [
                {"path": str(s.path), "reason": s.reason, "again": s.passing} for s in done.skipped
            ],
            "needed": done.needed,
            "store": str(done.store),
        }
        click.echo(json.dumps(summary, indent=2))
        return
    much = counted(done.clips, "clip")
    if done.divided:
        much += f" and a part of {counted(done.divided, 'long clip')}"
    much += f" ({counted(done.frames, 'frame')})"
    if done.needed:
        click.echo(
            f"shard {done.shard}: evidence of {much} is in {printable(done.store)};"
            f" {counted(done.new, 'clip')} computed now"
        )
    else:
        click.echo(f"shard {done.shard}: {much} opened; the strategy needs no evidence")
    for each in done.skipped:
        click.echo(printable(f"  skipped {each.path}: {each.reason}"))
    if done.unfinished:
        click.echo("run it again with fewer workers, or with more memory")


def _shared() -> Iterator[click.Parameter]:
    """The options of ``vidal select`` that count here."""
    for each in select.command.params:
        if each.name in _HELP and isinstance(each, click.Option):
            each = copy.copy(each)
            each.help = _HELP[str(each.name)]
        if each.name not in _NOT_HERE:
            yield each


command = Grouped(
    "gather",
    headings={"Shard": ("shard",), **select.HEADINGS},
    callback=_run,
    params=[
        Once(
            ["--shard"],
            metavar="I/N",
            help="Which of how many runs this is, counted from 1: 2/8. Clips are dealt by the size"
            " of their files, the largest first, each to the shard that has the least."
            " [default: 1/1]",
        ),
        *_shared(),
    ],
    help="""Compute what `vidal select` needs, on one machine of many, into a common store.

\b
vidal gather --videos clips/ --shard 2/8 --store evidence/
vidal select --videos clips/ --store evidence/ --budget 2%

Give it the options that `vidal select` will be given; those that only shape the choice change
nothing here. What is in the store is not computed again: a shard may be run twice, and shards may
overlap. Exit status 1: workers were killed, run it again.
""",
)
