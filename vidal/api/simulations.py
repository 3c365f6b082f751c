"""``vidal.simulate``: which strategy would have paid off, on data that are labelled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidal.api import given as kinds
from vidal.api.options import PathLike
from vidal.api.watch import Bars
from vidal.assemble import simulation
from vidal.assemble.simulation import SimulationPlan, plan_simulation
from vidal.campaign.config import CampaignConfig, load_config, parse_config
from vidal.campaign.heartbeat import beating
from vidal.report.simulation import write_simulation_report
from vidal.simulation.results import FORMAT, SimulationResult, write_results
from vidal.store import atomic, lock
from vidal.store.own import OwnFiles

if TYPE_CHECKING:
    from vidal.assemble.images import ImagesPlan


def simulate(
    config: PathLike | Mapping[str, Any],
    *,
    strategies: Sequence[str] | None = None,
    seeds: int | None = None,
    rounds: int | None = None,
    out: PathLike | None = None,
    workers: int = 0,
    all_data: bool = True,
    progress: bool = True,
) -> SimulationResult:
    """Play campaigns with ground truth as the annotator; write results and report into ``out``.

    ``random``, ``random-r`` and ``every-nth`` always run. Killed at any time, the next call goes on
    inside the runs that were at work; strategies, seeds and rounds may be added later.

    Args:
        config: a YAML file, or its content as a mapping.
        strategies: names, also of oracles and of the configuration's variants. Default: those of
            ``simulation.strategies``, else the configured one.
        seeds: runs of every strategy; eight or more for conclusions. Default: the configured
            number.
        rounds: trained rounds, the initial one included. Default: the configured number.
        out: where runs and results go. Default: ``simulation-NAME``.
        workers: runs at once; 0 = one a core on a CPU, one on a GPU.
        all_data: also train on all frames of the pool.
        progress: show how far it is.

    Returns:
        ``rows`` (one a trained round of a run), ``summaries()``, ``sentences()``, ``remarks()``
        (about the experiment itself), ``as_dict()``.

    Raises:
        UnknownName: a strategy that does not exist.
        UsageError, InputError: as the configuration and the data deserve.
        CampaignError: ``out`` holds a simulation of another configuration.
    """
    plan = plan_of(
        config,
        strategies=strategies,
        seeds=seeds,
        rounds=rounds,
        out=out,
        workers=workers,
        all_data=all_data,
    )
    with (
        claimed(plan),
        beating(plan.out, "simulate") as beat,
        Bars(quiet=not progress, beat=beat) as bars,
    ):
        result = simulation.simulate(plan, bars)
        write(result, plan.out)
    return result


def plan_of(
    config: PathLike | Mapping[str, Any],
    *,
    strategies: Sequence[str] | None,
    seeds: int | None,
    rounds: int | None,
    out: PathLike | None,
    workers: int,
    all_data: bool,
) -> SimulationPlan:
    """What ``simulate`` will do, checked."""
    loaded = _loaded(config)
    return plan_simulation(
        loaded,
        strategies=(
            loaded.simulation.strategies or [loaded.selection.strategy]
            if strategies is None
            else kinds.texts("strategies", strategies)
        ),
        seeds=loaded.simulation.seeds if seeds is None else kinds.whole("seeds", seeds, 1),
        rounds=loaded.rounds if rounds is None else kinds.whole("rounds", rounds, 1),
        out=Path(f"simulation-{loaded.name}") if out is None else kinds.path_of("out", out),
        workers=kinds.whole("workers", workers),
        all_data=all_data,
    )


@contextmanager
def claimed(plan: SimulationPlan | ImagesPlan) -> Iterator[None]:
    """The folder of a simulation, for the time of the block: locked, and free of other files.

    Raises:
        OutputBusy: another run is writing there.
        OutputError: it cannot be written, or holds results that vidal did not write.
    """
    with atomic.reporting(plan.out):
        plan.out.mkdir(parents=True, exist_ok=True)
    with lock.locked(plan.out):
        _own(plan.out).check()
        yield


def write(result: SimulationResult, out: Path) -> dict[str, Path]:
    """Results and report in ``out``; the path of each by its name."""
    own = _own(out)
    with own.replacing("results.json") as results, own.replacing("results.csv") as table:
        write_results(result, results, table)
    with own.replacing("report.html") as report:
        write_simulation_report(result, report)
    return {"json": out / "results.json", "csv": out / "results.csv", "report": out / "report.html"}


def _own(out: Path) -> OwnFiles:
    def earlier() -> bool:
        try:
            content = json.loads((out / "results.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(content, dict) and content.get("format") == FORMAT

    return OwnFiles(out, ("results.json", "results.csv", "report.html"), earlier)


def _loaded(config: PathLike | Mapping[str, Any]) -> CampaignConfig:
    if isinstance(config, Mapping):
        return parse_config(config, "config", base=Path())
    return load_config(kinds.path_of("config", config))
