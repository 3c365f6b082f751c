"""``vidal select --campaign``: the query of a campaign's next round."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidal.api.watch import Console
from vidal.cli.costs import cost_lines, told_budget
from vidal.cli.machine import PLACE
from vidal.words import counted, printable

if TYPE_CHECKING:
    from vidal.selection.plan import Prepared, SelectionPlan
    from vidal.selection.result import SelectionResult

ALLOWED = frozenset(("campaign", *PLACE, "no_report", "dry_run", "as_json", "quiet"))
"""Options that do not shape the result; the others are the campaign's configuration."""
NEW = {
    "detections": "path",
    "detections_images": "images",
    "detections_frames": "frames",
    "score_transform": "transform",
    "same_detector": "same",
}
"""Options that tell of a detector of one's own: they are given round by round."""


def new_detections(context: click.Context, allowed: Collection[str] = ALLOWED) -> dict[str, Any]:
    """What the command line says of a detector of one's own; other options are refused.

    Args:
        context: of the command.
        allowed: parameters that may be given, too.

    Raises:
        UsageError: an option that the configuration of the campaign settles.
    """
    from vidal.errors import UsageError

    new: dict[str, Any] = {}
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and name in NEW:
            new[NEW[name]] = context.params[name]
        elif given and name not in allowed:
            raise UsageError(
                f"{option.opts[0]} cannot be given with --campaign.",
                hint="Change it in the campaign's campaign.yaml.",
            )
    return new


def run(
    folder: Path,
    new: dict[str, Any],
    place: dict[str, Any],
    *,
    no_report: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Select, write the query's files, record it, say what comes next."""
    from vidal.assemble.own import NewDetections, plan_next
    from vidal.assemble.selection import device_of
    from vidal.campaign.heartbeat import NOBODY, beating
    from vidal.campaign.loop import select_round
    from vidal.campaign.prepared import prepare_round
    from vidal.campaign.status import describe
    from vidal.cli.opened import open_campaign
    from vidal.evidence.again import again
    from vidal.report import write_outputs

    with open_campaign(folder, lock=not dry_run) as campaign, ExitStack() as stack:
        coming = plan_next(campaign, NewDetections(**new), place)
        number, job = coming.number, coming.job
        beat = NOBODY
        if not dry_run:
            beat = stack.enter_context(beating(folder, "select", number))
            beat.on(device_of(job))
        clips = campaign.clips(job.engines)
        if dry_run:
            prepared = prepare_round(campaign, job.plan, clips, number, engines=job.engines)
            _print_plan(number, job.plan, prepared, as_json=as_json)
            return
        console = stack.enter_context(Console(quiet=quiet or as_json, beat=beat))
        write = partial(
            write_outputs, report=not no_report, engines=job.engines, progress=console.writing
        )
        result = again(
            lambda: select_round(
                campaign,
                job.plan,
                clips,
                engines=job.engines,
                watcher=console,
                write=write,
                trains=coming.trains,
            )
        )
        out, state = campaign.query(number), describe(campaign)
    if as_json:
        _print_summary(number, result, out, state["next"])
    else:
        _print_result(number, result, out, state["next"])


def _print_summary(number: int, result: SelectionResult, out: Path, coming: object) -> None:
    summary = {
        "round": number,
        "selected": len(result.query),
        "budget": result.budget_text,
        "budget_base": result.budget_base,
        "cost": result.cost_dict(),
        "strategy": result.strategy,
        "notes": list(result.notes),
        "query": str(out),
        "next": coming,
    }
    click.echo(json.dumps(summary, indent=2))


def _print_result(
    number: int, result: SelectionResult, out: Path, coming: Mapping[str, Any]
) -> None:
    click.echo(
        f"round {number}: chose {counted(len(result.query), 'frame')} ({result.budget_words}) by"
        f" {result.strategy}"
    )
    for note in [*cost_lines(result), *result.notes]:
        click.echo(f"  {printable(note)}")
    for name in ("frames", "query.json", "preannotations.coco.json", "report.html"):
        if (out / name).exists():
            click.echo(f"  {out / name}")
    click.echo(f"next: {coming['command']}   ({coming['why']})")


def _print_plan(number: int, plan: SelectionPlan, prepared: Prepared, *, as_json: bool) -> None:
    summary = {
        "round": number,
        "budget": plan.query.budget.text,
        "budget_base": prepared.base_text,
        "budget_frames": prepared.wanted,
        "cost": plan.query.cost.as_dict(),
        "selectable": prepared.selectable,
        "strategy": plan.query.strategy,
        "settings": plan.settings,
    }
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    click.echo(
        f"round {number} would choose {told_budget(plan, prepared)};"
        f" {prepared.selectable:,} selectable) by {plan.query.strategy}"
    )
