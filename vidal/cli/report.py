"""``vidal report``: the report of a campaign's query, written again."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidal.api.watch import Console
from vidal.words import counted, printable

if TYPE_CHECKING:
    from vidal.selection.result import SelectionResult


@click.command("report")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--round", "number", default=None, type=click.IntRange(min=0), help="[default: the newest]"
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Where they go. [default: the round's folder in the campaign]",
)
@click.option("--quiet", is_flag=True, help="No progress.")
def command(folder: Path, number: int | None, out: Path | None, quiet: bool) -> None:
    """Write the query files and the report of a round of campaign DIR again.

    From the record and the evidence; nothing is selected. Evidence that is gone is computed again.
    """
    from vidal.assemble.told import plan_told
    from vidal.campaign.heartbeat import beating
    from vidal.campaign.loop import needed_for, newest_query, retell_round
    from vidal.cli.opened import open_campaign
    from vidal.evidence.again import again
    from vidal.report import write_outputs

    with open_campaign(folder) as campaign, ExitStack() as stack:
        chosen = newest_query(campaign) if number is None else number
        beat = stack.enter_context(beating(folder, "report", chosen))
        console = stack.enter_context(Console(quiet=quiet, beat=beat))
        job = plan_told(campaign, chosen)
        found = campaign.found(job.engines)
        found.need(folder, needed_for(campaign, chosen))
        place = campaign.query(chosen) if out is None else out

        def told() -> tuple[SelectionResult, dict[str, Path]]:
            result = retell_round(
                campaign,
                job.plan,
                found.clips,
                chosen,
                engines=job.engines,
                watcher=console,
                lost=found.skipped,
            )
            return result, write_outputs(result, place, progress=console.writing)

        result, files = again(told)
    frames = counted(len(result.query), "frame")
    click.echo(f"round {chosen}: {frames}; {printable(files['report.html'])}")
    for lost in found.skipped:
        click.echo(f"  without {printable(lost.path)}: {printable(lost.reason)}")
