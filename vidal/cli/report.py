"""``vidal report``: the report of a campaign, or of one of its rounds, written again."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidal.api.watch import Console
from vidal.words import counted, printable

if TYPE_CHECKING:
    from vidal.selection.result import SelectionResult

NEWEST = "newest"


def _number(_: click.Context, __: click.Parameter, value: str | None) -> Any:
    """Of a round, or the word for the newest one."""
    if value is None or value == NEWEST:
        return value
    if not (value.isascii() and value.isdecimal()):
        raise click.BadParameter(f"{value!r} is neither a number nor {NEWEST!r}.")
    return int(value)


@click.command("report")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--round",
    "number",
    default=None,
    callback=_number,
    metavar="N|newest",
    help="Only this round, with its pictures. [default: all rounds on one page]",
)
@click.option(
    "--target",
    default=None,
    type=float,
    metavar="AP50",
    help="What the learning curve is carried on to. [default: the next 0.05]",
)
@click.option("--quick", is_flag=True, help="Run no model: no learning curve.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Where it goes. [default: the campaign's folder; of a round, its own there]",
)
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    folder: Path,
    number: int | str | None,
    target: float | None,
    quick: bool,
    out: Path | None,
    quiet: bool,
) -> None:
    """Write the report of campaign DIR: all rounds on one page, or one round with its pictures.

    \b
    vidal report work               all rounds: learning curve on the test clips,
                                    effort, a forecast; work/report.html
    vidal report work --round 2     the query files and the report of round 2 again,
                                    with what its annotators found

    From the record and the evidence; nothing is selected. Evidence that is gone is computed again.
    """
    from vidal.errors import UsageError

    if number is None:
        _campaign(folder, target, quick, out, quiet)
        return
    if target is not None or quick:
        option = "--quick" if quick else "--target"
        raise UsageError(f"{option} with --round.", hint="It is about all rounds; drop one.")
    _round(folder, None if number == NEWEST else int(number), out, quiet)


def _campaign(
    folder: Path, target: float | None, quick: bool, out: Path | None, quiet: bool
) -> None:
    from vidal.assemble.campaign_report import report_campaign
    from vidal.campaign.heartbeat import beating
    from vidal.cli.opened import open_campaign

    with open_campaign(folder) as campaign, ExitStack() as stack:
        beat = stack.enter_context(beating(folder, "report"))
        console = stack.enter_context(Console(quiet=quiet, beat=beat))
        story, files = report_campaign(
            campaign, out=out, target=target, quick=quick, watcher=console
        )
    rounds = counted(len(story.rounds), "round")
    click.echo(f"{rounds}; {printable(files['report.html'])}")
    for lost in story.skipped:
        click.echo(f"  without {printable(lost.path)}: {printable(lost.reason)}")


def _round(folder: Path, number: int | None, out: Path | None, quiet: bool) -> None:
    from vidal.assemble.campaign import engines_of
    from vidal.assemble.told import tell_round
    from vidal.campaign.heartbeat import beating
    from vidal.cli.opened import open_campaign
    from vidal.evidence.again import again
    from vidal.report import write_outputs

    with open_campaign(folder) as campaign, ExitStack() as stack:
        beat = stack.enter_context(beating(folder, "report", number))
        console = stack.enter_context(Console(quiet=quiet, beat=beat))
        told = tell_round(campaign, number, watcher=console)
        place = campaign.query(told.number) if out is None else out

        def written() -> tuple[SelectionResult, dict[str, Path]]:
            result = told.result()
            return result, write_outputs(
                result, place, engines=engines_of(campaign.config), progress=console.writing
            )

        result, files = again(written)
    frames = counted(len(result.query), "frame")
    click.echo(f"round {told.number}: {frames}; {printable(files['report.html'])}")
    for lost in told.lost:
        click.echo(f"  without {printable(lost.path)}: {printable(lost.reason)}")
