"""``vidal status``: where a campaign stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

_LISTED = 5
KNOWN = f" {'known':>5}"
"""Head of the column of query precision: known objects among those that a round asked about."""


@click.command("status")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(folder: Path, as_json: bool) -> None:
    """Say where campaign DIR stands, and what comes next. Waits for nobody."""
    from vidal.campaign.costs import cost_lines, round_costs
    from vidal.campaign.status import describe
    from vidal.cli.opened import open_campaign

    with open_campaign(folder, lock=False) as campaign:
        state = describe(campaign)
        costs = cost_lines(campaign.config.selection.cost, round_costs(campaign))
    if as_json:
        click.echo(json.dumps(state, indent=2))
        return
    for line in _lines(state, costs):
        click.echo(line)


def _lines(state: dict[str, Any], costs: list[str]) -> list[str]:
    clips, frames = state["clips"], state["frames"]
    knows = any(row["asked_about"]["unknown"] for row in state["rounds"])
    lines = [
        f"campaign {state['name']!r}: {', '.join(state['classes'])}",
        f"clips: {clips['train']} training, {clips['validation']} validation, {clips['test']} test",
        *_missing(state),
        f"frames: {frames['all']:,}, of which {frames['labelled']:,} labelled,"
        f" {frames['waiting']:,} waiting, {frames['skipped']:,} skipped,"
        f" {frames['unlabelled']:,} unlabelled",
        "",
        f"{'round':>5}  {'strategy':<20} {'state':<10} {'asked':>6} {'labelled':>8}"
        f" {'waiting':>7} {'skipped':>7}{KNOWN if knows else ''}  model",
    ]
    for row in state["rounds"]:
        lines.append(
            f"{row['round']:>5}  {row['strategy']:<20} {row['state']:<10} {row['asked']:>6}"
            f" {row['labelled']:>8} {row['waiting']:>7} {row['skipped']:>7}"
            f"{_known(row['asked_about']) if knows else ''}  {row['model'] or '-'}"
            f"{' (stale)' if row['stale'] else ''}"
        )
    if costs:
        lines += ["", *costs]
    lines += ["", f"next: {state['next']['command']}   ({state['next']['why']})"]
    return lines


def _known(asked_about: dict[str, Any]) -> str:
    precision = asked_about["query_precision"]
    share = "-" if precision is None else f"{precision:.0%}"
    return f" {share:>5}"


def _missing(state: dict[str, Any]) -> list[str]:
    """Which clips are not where they were, and the way out."""
    missing = state["missing"]
    if not missing:
        return []
    some = ", ".join(missing[:_LISTED]) + (", ..." if len(missing) > _LISTED else "")
    are = "clip is not where it was" if len(missing) == 1 else "clips are not where they were"
    return [
        f"{len(missing):,} {are}: {some}",
        f"  tell where they are: vidal relink {state['folder']} --videos DIR",
    ]
