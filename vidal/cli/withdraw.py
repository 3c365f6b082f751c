"""``vidal withdraw``: take a query back."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidal.words import counted


@click.command("withdraw")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def command(folder: Path, as_json: bool) -> None:
    """Take back the query that waits in campaign DIR: frames without an answer are free again.

    Answers that were imported already are kept. The pictures stay where they are.
    """
    from vidal.campaign.status import describe
    from vidal.cli.opened import open_campaign

    with open_campaign(folder) as campaign:
        waiting = len(campaign.record.waiting())
        entry = campaign.record.withdraw()
        state = describe(campaign)
    if as_json:
        summary = {"round": entry.number, "withdrawn": waiting, "next": state["next"]}
        click.echo(json.dumps(summary, indent=2))
        return
    frames = f"{counted(waiting, 'frame')} {'is' if waiting == 1 else 'are'}"
    click.echo(f"round {entry.number}: {frames} not asked for any more")
    click.echo(f"next: {state['next']['command']}   ({state['next']['why']})")
