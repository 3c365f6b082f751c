"""``vidal report``: the report of a campaign's query, written again."""

from __future__ import annotations

from pathlib import Path

import click

from vidal.cli.watch import Console


@click.command("report")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--round", "number", default=None, type=click.IntRange(min=0), help="[default: the newest]"
)
@click.option("--quiet", is_flag=True, help="No progress.")
def command(folder: Path, number: int | None, quiet: bool) -> None:
    """Write the query files and the report of a round of campaign DIR again.

    From the record and the evidence; nothing is selected. Evidence that is gone is computed again.
    """
    from vidal.assemble.campaign import plan_round
    from vidal.campaign.loop import newest_query, retell_round
    from vidal.cli.opened import open_campaign
    from vidal.report import write_outputs

    with open_campaign(folder) as campaign, Console(quiet=quiet) as console:
        chosen = newest_query(campaign) if number is None else number
        job = plan_round(campaign, number=chosen)
        result = retell_round(
            campaign,
            job.plan,
            campaign.clips(job.engines),
            chosen,
            engines=job.engines,
            watcher=console,
        )
        files = write_outputs(result, campaign.query(chosen), progress=console.writing)
    click.echo(f"round {chosen}: {len(result.query)} frames; {files['report.html']}")
