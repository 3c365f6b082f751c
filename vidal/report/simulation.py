"""The report of a simulation: one HTML file that needs nothing but a browser."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from vidal.evaluate.curves import ALL_DATA, ENOUGH_SEEDS, Comparison, Curve, Summary, curves
from vidal.evaluate.intervals import Interval
from vidal.report import charts, figures
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
    return {
        "name": result.name,
        "headline": _headline(result, lines),
        "tiles": _tiles(result),
        "notes": result.notes,
        "baseline": result.baseline,
        "seeds": len(result.seeds),
        "enough": ENOUGH_SEEDS,
        "expected_by_chance": f"{0.05 * len(others):.1g}",
        "comparisons": len(others),
        "conclusions": [(other.sentence, _kind(other)) for other in others],
        "look": look,
        "reference": None if reference is None else f"{reference:.3f}",
        **_charts(result, every, reference, look),
        "table": [_line(line) for line in lines],
        "class_names": sorted({name for row in result.rows for name in row.classes}),
        "class_table": list(_class_lines(result, lines)),
        "pick_table": [_picks(line) for line in lines if line.picks],
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
        return {"chart": None, "small": []}
    base = every.get(result.baseline)
    return {
        "chart": charts.of_all(every, reference, look),
        "small": [
            {
                "name": name,
                "look": look[name],
                **charts.of_one(
                    curve,
                    None if name == result.baseline else base,
                    list(every.values()),
                    reference,
                ),
            }
            for name, curve in every.items()
        ],
    }


def _headline(result: SimulationResult, lines: list[Summary]) -> str:
    runs = f"{len(result.strategies)} strategies, {figures.plural(len(result.seeds), 'seed')}"
    others = [line.comparison for line in lines if line.comparison is not None]
    if not others:
        return f"{runs}: nothing to compare yet"
    if len(result.seeds) < ENOUGH_SEEDS:
        return f"{runs}: too few seeds to conclude anything"
    better = [c.strategy for c in others if c.conclusive and c.final.value > 0]
    worse = [c.strategy for c in others if c.conclusive and c.final.value < 0]
    parts = []
    if better:
        parts.append(f"{_listed(better)} better than {result.baseline}")
    if worse:
        parts.append(f"{_listed(worse)} worse")
    return f"{runs}: {'; '.join(parts) or 'no difference larger than the seed noise'}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _kind(comparison: Comparison) -> str:
    if not comparison.conclusive:
        return "open"
    return "better" if comparison.final.value > 0 else "worse"


def _tiles(result: SimulationResult) -> list[tuple[str, str]]:
    labelled = [row.labelled for row in result.rows if row.strategy != ALL_DATA]
    tiles = [
        (str(len(result.strategies)), "strategies"),
        (str(len(result.seeds)), "seeds each"),
        (str(result.rounds), "rounds, the initial one included"),
    ]
    if labelled:
        tiles.append((f"{min(labelled):,} to {max(labelled):,}", "labelled frames"))
    tiles += [
        (f"{value:,}" if isinstance(value, int) else str(value), name)
        for name, value in result.data.items()
        if name in ("frames in the pool", "test frames")
    ]
    return tiles


def _line(line: Summary) -> dict[str, Any]:
    other = line.comparison
    saved = None if other is None or math.isnan(other.saved) else other.saved
    return {
        "name": line.strategy,
        "labelled": f"{line.labelled:,.0f}",
        "final": _interval(line.final),
        "half": _interval(line.final_at_half),
        "relative": "–" if line.relative is None else f"{100 * line.relative:.1f} %",
        "area": "–" if line.area is None else _interval(line.area),
        "difference": "–" if other is None else _interval(other.final, signed=True),
        "kind": "" if other is None else _kind(other),
        "saved": "–" if saved is None else f"{100 * saved:+.0f} %",
    }


def _interval(interval: Interval, *, signed: bool = False) -> str:
    text = f"{interval.value:+.3f}" if signed else f"{interval.value:.3f}"
    if interval.n < 2:
        return text
    return f"{text} ± {interval.high - interval.value:.3f}"


def _class_lines(result: SimulationResult, lines: list[Summary]) -> Iterator[dict[str, Any]]:
    """AP50 of every class after the last round, mean over seeds."""
    names = sorted({name for row in result.rows for name in row.classes})
    for line in lines:
        mine = [row for row in result.rows if row.strategy == line.strategy]
        last = max(row.round for row in mine)
        final = [row for row in mine if row.round == last]
        values = []
        for name in names:
            known = [v for row in final if (v := row.classes.get(name)) is not None]
            values.append(f"{np.mean(known):.3f}" if known else "–")
        yield {"name": line.strategy, "values": values}


_PICKS = (
    ("false_positives", "{:.1f}"),
    ("misses", "{:.1f}"),
    ("balance", "{:.2f}"),
    ("redundancy", "{:.0f}"),
    ("score_spearman", "{:.2f}"),
    ("fp_precision", "{:.2f}"),
    ("fp_recall", "{:.2f}"),
    ("fn_precision", "{:.2f}"),
    ("fn_recall", "{:.2f}"),
)


def _picks(line: Summary) -> dict[str, Any]:
    """Numbers a query; errors as counts for one picked frame."""
    values = dict(line.picks)
    for name in ("false_positives", "misses"):
        if name in values:
            values[name] /= values["frames"]
    cells = [form.format(values[name]) if name in values else "–" for name, form in _PICKS]
    return {"name": line.strategy, "cells": cells}


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
