"""``vidal datasets``: what data sets vidal reads, and whether a folder holds one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vidal.formats.datasets import Card, Split


@click.group("datasets", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the data sets with a card: where to get them, layout, classes, licence.

    \b
    vidal datasets
    vidal datasets show mot17
    vidal datasets check kitti_tracking --root kitti/
    """
    if context.invoked_subcommand is not None:
        return
    from vidal.formats.datasets import load_cards

    cards = load_cards()
    if as_json:
        click.echo(json.dumps([card.model_dump() for card in cards.values()], indent=2))
        return
    width = max(len(name) for name in cards)
    for name, card in cards.items():
        click.echo(f"{name:<{width}}  {card.title}")
        click.echo(f"{'':<{width}}  {_classes(card)}; licence: {card.licence.name}")
    click.echo("\n`vidal datasets show NAME` says more; `check NAME --root DIR` looks at a folder.")


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Print one card: source, layout, classes, splits, licence, and what nobody has confirmed."""
    from vidal.formats.datasets import find_card, load_cards

    card = find_card(name, load_cards())
    for title, text in (
        ("data set", card.title),
        ("source", card.source),
        ("reader", card.reader),
        ("classes", ", ".join(_readable(card)) or "as its files say"),
        ("ignored", ", ".join(card.ignore)),
        ("rate", f"{card.rate} frames a second" if card.rate else ""),
        ("licence", _licence(card)),
    ):
        if text:
            click.echo(f"{title:<9} {text}")
    click.echo(f"layout\n{_indented(card.layout)}")
    for split in card.splits:
        known = [f"{n:,} {what}" for n, what in _sizes(split) if n is not None]
        click.echo(f"split     {split.name}{': ' + ', '.join(known) if known else ''}")
    for statement in card.unverified:
        click.echo(f"not confirmed: {statement}")
    if card.notes:
        click.echo(f"notes\n{_indented(card.notes)}")


@command.command("check")
@click.argument("name")
@click.option(
    "--root", type=click.Path(path_type=Path), required=True, help="Folder with the data set."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def check(context: click.Context, name: str, root: Path, as_json: bool) -> None:
    """Say what is missing or broken in a folder; exit code 1 if anything is."""
    from vidal.formats.datasets import check as check_folder
    from vidal.formats.datasets import find_card, load_cards

    card = find_card(name, load_cards())
    findings = check_folder(card, root)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    elif not findings:
        click.echo(f"{root}: all that the card of {name} speaks of is there")
    for finding in [] if as_json else findings:
        count = f" ({finding.count:,} of them)" if finding.count > 1 else ""
        click.echo(f"{finding.kind}: {finding.where}: {finding.what}{count}")
    if findings:
        context.exit(1)


def _readable(card: Card) -> list[str]:
    return [f"{name} ({card.names[name]})" if name in card.names else name for name in card.classes]


def _classes(card: Card) -> str:
    count = len(card.classes)
    if not count:
        return "classes as its files say"
    shown = ", ".join(card.names.get(name, name) for name in card.classes[:5])
    return f"{count} class{'es' if count != 1 else ''}: {shown}{', ...' if count > 5 else ''}"


def _licence(card: Card) -> str:
    sure = "" if card.licence.verified else " (not verified)"
    note = f"; {card.licence.note.strip()}" if card.licence.note else ""
    return f"{card.licence.name}{sure}{note}"


def _sizes(split: Split) -> tuple[tuple[int | None, str], ...]:
    return (split.sequences, "sequences"), (split.frames, "frames")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.rstrip().splitlines())
