"""The report of a simulation: one HTML file that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vidal.evaluate.comparison import ENOUGH_SEEDS, Comparison
from vidal.evaluate.curves import ALL_DATA, Budget, Curve, curves
from vidal.report import charts, figures
from vidal.report.simulation_tables import kind, tables
from vidal.simulation.results import SimulationResult
from vidal.store.atomic import write_text


def write_simulation_report(result: SimulationResult, path: Path) -> Path:
    """Write the report; the file appears whole.

    Raises:
        OutputError: it cannot be written.
    """
    write_text(path, render(result))
    return path


def render(result: SimulationResult) -> str:
    """The report as HTML."""
    environment = Environment(
        loader=PackageLoader("vidal.report"),
        autoescape=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("simulation.html").render(_page(result))


def _page(result: SimulationResult) -> dict[str, Any]:
    lines, every = result.summaries(), curves(result.rows)
    look = charts.styles(result.strategies)
    reference = next((s.final.value for s in lines if s.strategy == ALL_DATA), None)
    others = [line.comparison for line in lines if line.comparison is not None]
    others.sort(key=lambda other: not other.main)
    return {
        "name": result.name,
        "t": result.terms,
        "equal": result.counts_frames,
        "counts_costs": _counts_costs(result),
        "rates": "" if result.rates is None else result.rates.text,
        "headline": _headline(result, others),
        "tiles": _tiles(result, others),
        "notes": result.remarks(),
        "baseline": result.baseline,
        "seeds": len(result.seeds),
        "enough": ENOUGH_SEEDS,
        "resampled": result.results.resampled,
        "family": max((other.family for other in others if not other.main), default=0),
        "conclusions": [(other.sentence, kind(other)) for other in others],
        "look": look,
        "reference": None if reference is None else f"{reference:.3f}",
        **_charts(result, every, reference, look),
        **tables(result, lines),
        "settings": [*_facts(result), *_flat(result.settings)],
        "versions": [*result.versions.items(), ("machine", result.machine)],
    }


def _charts(
    result: SimulationResult,
    every: Mapping[str, Curve],
    reference: float | None,
    look: Mapping[str, charts.Style],
) -> dict[str, Any]:
    if not every:
        return {"charts": [], "small": []}
    base = every.get(result.baseline)
    return {
        "charts": [
            {"title": title, **charts.of_all(every, reference, look, title.split()[-1], of)}
            for of, title in _budgets(result, every).items()
        ],
        "small": [
            {
                "name": name,
                "look": look[name],
                **charts.of_one(
                    curve,
                    None if name == result.baseline else base,
                    list(every.values()),
                    reference,
                    result.terms.items,
                ),
            }
            for name, curve in every.items()
        ],
    }


def _counts_costs(result: SimulationResult) -> bool:
    """Whether labels cost anything else than their number."""
    return any(row.boxes != row.labelled for row in result.rows)


def _budgets(result: SimulationResult, every: Mapping[str, Curve]) -> dict[Budget, str]:
    """What curves are drawn over, and its name on the axis."""
    budgets: dict[Budget, str] = {"labelled": f"labelled {result.terms.items}"}
    if _counts_costs(result):
        budgets["boxes"] = f"labelled {result.terms.costs}"
    if all(curve.hours is not None for curve in every.values()):
        budgets["hours"] = "annotation hours"
    return budgets


def _headline(result: SimulationResult, others: list[Comparison]) -> str:
    runs = f"{len(result.strategies)} strategies, {figures.plural(len(result.seeds), 'seed')}"
    if not others:
        return f"{runs}: nothing to compare yet"
    if len(result.seeds) < ENOUGH_SEEDS:
        return f"{runs}: too few seeds to conclude anything"
    better = [c.strategy for c in others if c.conclusive and c.difference.value > 0]
    worse = [c.strategy for c in others if c.conclusive and c.difference.value < 0]
    parts = []
    if better:
        parts.append(f"{_listed(better)} better than {result.baseline}")
    if worse:
        parts.append(f"{_listed(worse)} worse than {result.baseline}")
    return f"{runs}: {'; '.join(parts) or 'no difference larger than chance'}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _tiles(result: SimulationResult, others: list[Comparison]) -> list[tuple[str, str]]:
    labelled = [row.labelled for row in result.rows if row.strategy != ALL_DATA]
    tiles = [
        (str(len(result.strategies)), "strategies"),
        (str(len(result.seeds)), "seeds each"),
        (str(result.rounds), "rounds, the initial one included"),
    ]
    if labelled:
        tiles.append((f"{min(labelled):,} to {max(labelled):,}", f"labelled {result.terms.items}"))
    tiles += [
        (f"{value:,}" if isinstance(value, int) else str(value), name)
        for name, value in result.data.items()
        if name in (f"{result.terms.items} in the pool", result.terms.tests)
    ]
    seen = sorted(other.detectable for other in others if other.detectable is not None)
    if seen:
        tiles.append(
            (f"{seen[len(seen) // 2]:.3f}", f"{result.terms.score} seen with 80 % power (median)")
        )
    return tiles


def _facts(result: SimulationResult) -> list[tuple[str, str]]:
    facts = [
        (name, f"{value:,}" if isinstance(value, int) else str(value))
        for name, value in result.data.items()
    ]
    minutes = result.seconds / 60
    return [*facts, ("computing time of all runs", f"{minutes:,.1f} min")]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and text; what was not set is left out."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{key}", ", ".join(str(item) for item in value) or "none"
        elif value is not None:
            yield f"{prefix}{key}", str(value)
