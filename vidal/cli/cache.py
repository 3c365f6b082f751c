"""``vidal cache``: what is kept of evidence, and making it smaller."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidal.words import counted, printable, size_words

if TYPE_CHECKING:
    from vidal.store.usage import Removed, Usage

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


class _OrShow(click.Group):
    """``vidal cache DIR`` is ``vidal cache show DIR``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but what names no command is a folder."""
        if args and args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group("cache", cls=_OrShow)
def command() -> None:
    """Say what is kept of evidence below DIR, and make it smaller.

    DIR is a campaign, a simulation, the folder of a selection, or what was its --cache.

    \b
    vidal cache work/
    vidal cache pack work/
    vidal cache prune work/ --stage flow
    vidal cache prune work/ --to 10GB
    vidal cache budget work/ 200GB
    """


@command.command("show")
@_FOLDER
@_JSON
def show(folder: Path, as_json: bool) -> None:
    """Say what is kept: size, entries and files by stage. `vidal cache DIR` is the same."""
    from vidal.api.caches import cache

    kept = cache(folder)
    _tell(kept.root, kept.usage(), as_json)


@command.command("pack")
@_FOLDER
@_JSON
@click.option("--quiet", is_flag=True, help="No progress.")
def pack(folder: Path, as_json: bool, quiet: bool) -> None:
    """Put entries that have a file of their own together, those of an earlier version too.

    Runs do that by themselves with what they add, once it is much.
    """
    from vidal.api.caches import cache

    kept = cache(folder)
    _tell(kept.root, kept.pack(progress=not quiet), as_json)


@command.command("prune")
@_FOLDER
@click.option(
    "--stage",
    multiple=True,
    metavar="NAME",
    help="Only of this stage, such as flow; may be given several times. `vidal cache DIR` lists"
    " them.",
)
@click.option(
    "--older-than",
    metavar="AGE",
    default=None,
    help="Only what no run has needed for so long, such as 30d, 12h or 8w.",
)
@click.option(
    "--to",
    metavar="SIZE",
    default=None,
    help="Only as much as it takes to come down to a size, such as 10GB: what was needed least"
    " recently goes first.",
)
@click.option("--dry-run", is_flag=True, help="Remove nothing, only say what would be removed.")
@_JSON
def prune(
    folder: Path,
    stage: tuple[str, ...],
    older_than: str | None,
    to: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove evidence; it is computed again when it is needed.

    Detections that were given, and judged rows of a campaign, which nobody can compute again, are
    removed only where --stage names them.
    """
    from vidal.api.caches import cache

    if not stage and older_than is None and to is None:
        raise click.UsageError("Say what is to go: --stage, --older-than or --to.")
    removed = cache(folder).prune(stage=stage, older_than=older_than, to=to, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({**asdict(removed), "dry_run": dry_run}, indent=2, allow_nan=False))
        return
    click.echo(_removed(removed, dry_run))


@command.command("budget")
@_FOLDER
@click.argument("size", metavar="SIZE")
@_JSON
def budget(folder: Path, size: str, as_json: bool) -> None:
    """Keep the evidence below SIZE (such as 200GB) from now on; none = no limit any more.

    Whoever adds evidence removes then what was needed least recently. What was needed within a day
    stays, even where that alone is more than SIZE.
    """
    from vidal.api.caches import cache

    kept = cache(folder)
    _tell(kept.root, kept.budget(size), as_json)


def _tell(root: Path, found: Usage, as_json: bool) -> None:
    if as_json:
        record: dict[str, Any] = {"store": str(root), **asdict(found)}
        click.echo(json.dumps(record, indent=2, allow_nan=False))
        return
    for line in _lines(root, found):
        click.echo(line)


def _lines(root: Path, found: Usage) -> list[str]:
    lines = [f"{printable(root)}: {size_words(found.bytes)}"]
    if found.stages:
        lines += ["", f"{'stage':<14} {'size':>8} {'entries':>9} {'frames':>11} {'files':>7}"]
    for each in sorted(found.stages, key=lambda each: -each.bytes):
        frames = f"{each.frames:,}" if each.frames else "-"
        lines.append(
            f"{each.stage or '(not said)':<14} {size_words(each.bytes):>8} {each.entries:>9,}"
            f" {frames:>11} {each.files:>7,}"
        )
    if found.stages:
        lines.append("")
    if found.earlier:
        many = "entry lies" if found.earlier == 1 else "entries lie"
        lines.append(
            f"{found.earlier:,} {many} as an earlier version left them:"
            f" vidal cache pack {printable(root)}"
        )
    if found.budget is None:
        return [*lines, "no budget: nothing is removed by itself"]
    lines.append(f"budget: {size_words(found.budget)}")
    if found.bytes > found.budget:
        above = size_words(found.bytes - found.budget)
        lines.append(f"{above} above it: runs of the last day needed the rest")
    return lines


def _removed(removed: Removed, dry_run: bool) -> str:
    word = "would remove" if dry_run else "removed"
    what = f"{counted(removed.entries, 'entry', 'entries')}, {size_words(removed.bytes)}"
    return f"{word} {what}; {size_words(removed.left)} left"
