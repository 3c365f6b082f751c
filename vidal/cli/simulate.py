"""``vidal simulate``: which query strategy would have paid off, on data that are labelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidal.api.watch import Bars
from vidal.cli.groups import HEADINGS, Grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vidal.evaluate.summary import Summary
    from vidal.simulation.results import SimulationResult


@click.command("simulate", cls=Grouped, headings=HEADINGS["simulate"])
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--strategies",
    default=None,
    metavar="A,B,...",
    help="Query strategies to compare, also oracle-fp, oracle-fn, oracle-errors and the"
    " configuration's variants; random, random-r and every-nth always run. [default: those of"
    " simulation.strategies, else the configured one]",
)
@click.option(
    "--seeds",
    default=None,
    type=click.IntRange(min=1),
    help="Runs of every strategy; eight or more for conclusions. [default: simulation.seeds]",
)
@click.option(
    "--rounds",
    default=None,
    type=click.IntRange(min=1),
    help="Trained rounds, the initial one included. [default: the configured number]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Where runs and results go. [default: simulation-NAME]",
)
@click.option(
    "--workers",
    default=0,
    type=click.IntRange(min=0),
    help="Runs at once. [default: one a core on CPU, one on GPU]",
)
@click.option("--no-all-data", is_flag=True, help="Do not train on all frames of the pool.")
@click.option("--report-only", is_flag=True, help="Run nothing; report the runs that are finished.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    config: Path,
    strategies: str | None,
    seeds: int | None,
    rounds: int | None,
    out: Path | None,
    workers: int,
    no_all_data: bool,
    report_only: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare query strategies on labelled clips: learning curves over seeds.

    \b
    vidal simulate configs/scenes-quick.yaml --strategies temporal-coherence,entropy --seeds 3

    Ground truth answers the queries; everything else is as in a campaign. Interrupted runs go on
    where they were; strategies, seeds and rounds may be added later.
    """
    from vidal.api import simulations
    from vidal.assemble.simulation import simulate, told
    from vidal.campaign.heartbeat import beating

    names = None if strategies is None else strategies.split(",")
    plan = simulations.plan_of(
        config,
        strategies=None if names is None else [name.strip() for name in names if name.strip()],
        seeds=seeds,
        rounds=rounds,
        out=out,
        workers=workers,
        all_data=not no_all_data,
    )
    with (
        simulations.claimed(plan),
        beating(plan.out, "simulate") as beat,
        Bars(quiet=quiet or as_json, beat=beat) as bars,
    ):
        result = told(plan) if report_only else simulate(plan, bars)
        files = simulations.write(result, out or Path(plan.out.name))
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=1, allow_nan=False))
        return
    for line in table(result):
        click.echo(line)
    for name, path in files.items():
        click.echo(f"  {name:<8} {path}")


def table(result: SimulationResult) -> list[str]:
    """The results as lines of text, best area first, and what may be concluded."""
    from vidal.report.simulation_tables import asked_rounds, budget_titles

    lines = result.summaries()
    rounds, titles = asked_rounds(lines), budget_titles(result, lines)
    rows = [
        ["strategy", *(f"{result.terms.score} at {title}" for title in titles), "of all data", "p"]
    ]
    rows += [_row(line, rounds) for line in lines]
    text = _columns(rows)
    known = [line for line in lines if line.comparison is not None]
    if known:
        rows = [["", *titles, "area"], *(_differences(line, rounds) for line in known)]
        text += ["", f"against {result.baseline}, with 95 % intervals:", *_columns(rows)]
    text += _unknown(lines, result.baseline)
    text += _costs(result)
    remarks = result.remarks()
    return [*text, "", *result.sentences(), *(["", *remarks] if remarks else [])]


def _costs(result: SimulationResult) -> list[str]:
    """What the labels of every strategy cost; nothing where rows do not say it."""
    from vidal.report.simulation_tables import cost_rows

    rows = cost_rows(result.summaries())
    if len(rows) < 2 or result.rates is None:
        return []
    return ["", f"cost after the last round, at {result.rates.text}:", *_columns(rows)]


def _row(line: Summary, rounds: Sequence[int]) -> list[str]:
    from vidal.evaluate.comparison import p_text

    if line.area is None:  # all data: one round
        values = ["" for _ in rounds[:-1]] + [f"{line.final.value:.3f}"]
    else:
        values = [f"{line.values[at].value:.3f}" for at in rounds]
    relative = "" if line.relative is None else f"{100 * line.relative:.1f} %"
    p = "" if line.comparison is None else p_text(line.comparison.corrected)
    return [line.strategy, *values, relative, p]


def _differences(line: Summary, rounds: Sequence[int]) -> list[str]:
    from vidal.report.simulation_tables import with_span

    other = line.comparison
    assert other is not None
    cells = [with_span(other.rounds[at], signed=True) for at in rounds]
    return [line.strategy, *cells, with_span(other.area, signed=True)]


def _unknown(lines: Sequence[Summary], baseline: str) -> list[str]:
    """How strategies kept to the known classes; nothing where there are no unknown objects."""
    from vidal.report.simulation_tables import with_span

    known = [line for line in lines if line.unknown]
    names = list(dict.fromkeys(name for line in known for name in line.unknown))
    if not names:
        return []
    rows = [["", *(title for name in names for title in (name, f"against {baseline}"))]]
    for line in known:
        row = [line.strategy]
        for name in names:
            cell = line.unknown.get(name)
            row.append("" if cell is None else with_span(cell.value))
            away = None if cell is None else cell.difference
            row.append("" if away is None else with_span(away, signed=True))
        rows.append(row)
    return ["", "known and unknown, with 95 % intervals:", *_columns(rows)]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines: the first column left, the others right, each as wide as it has to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return [line.rstrip() for line in lines]
