"""``vidal simulate``: which query strategy would have paid off, on data that are labelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidal.api.watch import Bars

if TYPE_CHECKING:
    from vidal.evaluate.intervals import Interval
    from vidal.simulation.results import SimulationResult


@click.command("simulate")
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
    help="Runs of every strategy; three or more for a conclusion. [default: simulation.seeds]",
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
    with simulations.claimed(plan), Bars(quiet=quiet or as_json) as bars:
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
    lines = result.summaries()
    width = max([len(line.strategy) for line in lines] + [8])
    head = f"{'strategy':<{width}}  {'frames':>6}  {'AP50':>15}  {'of all data':>11}"
    text = [f"{head}  {'area':>15}  {'against ' + result.baseline:>18}"]
    for line in lines:
        relative = "" if line.relative is None else f"{100 * line.relative:.1f} %"
        area = "" if line.area is None else _interval(line.area)
        other = "" if line.comparison is None else _interval(line.comparison.final, signed=True)
        text.append(
            f"{line.strategy:<{width}}  {line.labelled:>6.0f}  {_interval(line.final):>15}"
            f"  {relative:>11}  {area:>15}  {other:>18}"
        )
    return [*text, "", *result.sentences()]


def _interval(interval: Interval, *, signed: bool = False) -> str:
    value = f"{interval.value:+.3f}" if signed else f"{interval.value:.3f}"
    return value if interval.n < 2 else f"{value} ± {interval.high - interval.value:.3f}"
