"""The tables of a simulation's report: cells as text, colours by what may be concluded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidal.evaluate.comparison import Comparison, p_text
from vidal.evaluate.curves import ALL_DATA
from vidal.evaluate.intervals import Interval
from vidal.evaluate.summary import Cell, Summary
from vidal.evaluate.terms import Terms
from vidal.simulation.results import SimulationResult

NONE = "–"

Text = dict[str, str]
"""A cell: ``value``, ``below`` it in small print, and ``kind`` = its colour."""


def tables(result: SimulationResult, lines: Sequence[Summary]) -> dict[str, Any]:
    """All of them, by the names that the template uses."""
    budgets = list(asked_rounds(lines))
    conditions = _names(lines, "conditions")
    return {
        "budgets": [_budget(result, lines, at) for at in budgets],
        "initial": _initial(lines),
        "focus": _focus(result, lines),
        "table": [_line(line, budgets, result.terms) for line in lines],
        "share_table": [_shares(line, budgets) for line in lines],
        "box_table": [_boxes(line, budgets) for line in lines if line.strategy != ALL_DATA],
        "box_hours": any(line.hours for line in lines),
        "box_unknown": any(any(line.outside) for line in lines),
        "class_names": _names(lines, "classes"),
        "class_table": [_parts(line, line.classes, _names(lines, "classes")) for line in lines],
        "condition_names": conditions,
        "condition_table": [_parts(line, line.conditions, conditions) for line in lines],
        "unknown_names": _names(lines, "unknown"),
        "unknown_table": [
            _parts(line, line.unknown, _names(lines, "unknown")) for line in lines if line.unknown
        ],
        **_picks(lines),
        **_picked(result, lines),
    }


def asked_rounds(lines: Sequence[Summary]) -> range:
    """The rounds that have a column: those after the initial one, which is the same for all."""
    last = max((len(line.values) for line in lines if line.strategy != ALL_DATA), default=0)
    return range(1 if last > 1 else 0, last)


def kind(comparison: Comparison) -> str:
    """What may be concluded of it, in one word."""
    if not comparison.conclusive:
        return "open"
    return "better" if comparison.difference.value > 0 else "worse"


def span(interval: Interval, *, signed: bool = False) -> str:
    """``[+0.012, +0.070]``; empty where there is none."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return ""
    form = "{:+.3f}" if signed else "{:.3f}"
    return f"[{form.format(interval.low)}, {form.format(interval.high)}]"


def with_span(interval: Interval, *, signed: bool = False) -> str:
    """``+0.041 [+0.012, +0.070]``."""
    value = f"{interval.value:+.3f}" if signed else f"{interval.value:.3f}"
    return f"{value} {span(interval, signed=signed)}".rstrip()


def percent(share: float) -> str:
    """``7.0 %``."""
    return f"{100 * share:.1f} %"


def _text(value: str, below: str = "", kind: str = "") -> Text:
    return {"value": value, "below": below, "kind": kind}


def _budget(result: SimulationResult, lines: Sequence[Summary], at: int) -> Text:
    """The head of a column: labelled items, and those asked for as a share of the pool."""
    known = [line for line in lines if line.strategy != ALL_DATA]
    line = next((each for each in known if each.strategy == result.baseline), known[0])
    frames = line.labelled[at]
    items = result.terms.items
    start, pool = (
        result.data.get(f"{items} {where}", 0)
        for where in ("labelled from the start", "in the pool")
    )
    if not result.counts_frames:
        return _text(f"round {at}", f"{result.baseline}: {frames:,.0f} {items}")
    share = f"{percent((frames - start) / pool)} of the pool" if pool else ""
    return _text(f"{frames:,.0f} {items}", share)


def _focus(result: SimulationResult, lines: Sequence[Summary]) -> str:
    known = [line for line in lines if line.strategy != ALL_DATA]
    return _budget(result, lines, result.results.focus)["value"] if known else ""


def _initial(lines: Sequence[Summary]) -> str:
    """Quality before the first query, where it is not in a column; the same for all strategies."""
    line = next((each for each in lines if each.strategy != ALL_DATA), None)
    return with_span(line.values[0]) if line is not None and len(line.values) > 1 else ""


def _line(line: Summary, budgets: Sequence[int], terms: Terms) -> dict[str, Any]:
    other = line.comparison
    if line.strategy == ALL_DATA:
        cells = [_text(NONE) for _ in budgets[:-1]]
        cells += [_text(f"{line.final.value:.3f}", f"{line.labelled[-1]:,.0f} {terms.items}")]
    else:
        cells = [_compared(line, at) for at in budgets]
    return {
        "name": line.strategy,
        "cells": cells,
        "p": NONE if other is None else p_text(other.corrected),
        "kind": "" if other is None else kind(other),
        "main": other is not None and other.main,
        "power": NONE if other is None or other.detectable is None else f"{other.detectable:.3f}",
        "relative": NONE if line.relative is None else percent(line.relative),
    }


def _compared(line: Summary, at: int) -> Text:
    other, value = line.comparison, f"{line.values[at].value:.3f}"
    if other is None:
        return _text(value, span(line.values[at]))
    colour = kind(other) if at == other.focus else ""
    return _text(value, with_span(other.rounds[at], signed=True), colour)


def _saved(saved: Interval | None) -> Text:
    if saved is None or math.isnan(saved.value):
        return _text(NONE)
    ends = math.isfinite(saved.low) and math.isfinite(saved.high)
    below = f"[{100 * saved.low:+.0f}, {100 * saved.high:+.0f}]" if ends else ""
    share = f"{100 * saved.value:+.0f} %"
    return _text(NONE if share in ("+0 %", "-0 %") else share, below)


def _shares(line: Summary, budgets: Sequence[int]) -> dict[str, Any]:
    other, half = line.comparison, line.final_at_half
    if line.strategy == ALL_DATA:
        cells = [_text(NONE) for _ in budgets]
    else:
        cells = [_share(line.shares[at]) for at in budgets]
    return {
        "name": line.strategy,
        "cells": cells,
        "area": NONE if line.area is None else f"{line.area.value:.3f}",
        "area_below": "" if other is None else with_span(other.area, signed=True),
        "saved": _saved(None if other is None else other.saved),
        "half": NONE if half is None else f"{half.value:.3f}",
    }


def _share(share: Interval | None) -> Text:
    if share is None:
        return _text(NONE)
    ends = math.isfinite(share.low) and math.isfinite(share.high)
    below = f"[{100 * share.low:.1f}, {100 * share.high:.1f}]" if ends else ""
    return _text(percent(share.value), below)


def _boxes(line: Summary, budgets: Sequence[int]) -> dict[str, Any]:
    other = line.comparison
    cells = []
    for at in budgets:
        below = "" if other is None else with_span(other.at_boxes[at], signed=True)
        cells.append(_text(f"{line.boxes[at]:,.0f}", below))
    asked = line.labelled[-1] - line.labelled[0]
    each = (line.boxes[-1] - line.boxes[0]) / asked if asked else None
    return {
        "name": line.strategy,
        "cells": cells,
        "each": NONE if each is None else f"{each:.1f}",
        "saved": _saved(None if other is None else other.saved_boxes),
        "unknown": f"{line.outside[-1]:,.0f}" if line.outside else NONE,
        "hours": f"{line.hours[-1]:,.2f}" if line.hours else NONE,
        "hours_saved": _saved(None if other is None else other.saved_hours),
    }


def cost_rows(lines: Sequence[Summary]) -> list[list[str]]:
    """A head, and a row a strategy: what its labels cost in all, and hours saved."""
    rows = [["", "frames", "boxes", "unknown", "hours", "hours saved"]]
    for line in lines:
        if line.hours and line.strategy != ALL_DATA:
            cells, other = _boxes(line, ()), line.comparison
            saved = (
                ""
                if other is None
                else " ".join(
                    part for part in (cells["hours_saved"][n] for n in ("value", "below")) if part
                )
            )
            counts = [f"{each[-1]:,.0f}" for each in (line.labelled, line.boxes)]
            rows.append([line.strategy, *counts, cells["unknown"], cells["hours"], saved])
    return rows


def _names(lines: Sequence[Summary], part: str) -> list[str]:
    return list(dict.fromkeys(name for line in lines for name in getattr(line, part)))


def _parts(line: Summary, cells: Mapping[str, Cell], names: Sequence[str]) -> dict[str, Any]:
    texts = []
    for name in names:
        cell = cells.get(name)
        if cell is None:
            texts.append(_text(NONE))
        elif cell.difference is None:
            texts.append(_text(f"{cell.value.value:.3f}", span(cell.value)))
        else:
            texts.append(_text(f"{cell.value.value:.3f}", with_span(cell.difference, signed=True)))
    return {"name": line.strategy, "cells": texts}


@dataclass(frozen=True, slots=True)
class PickColumn:
    """A number of the picks in the report.

    Attributes:
        group: columns of one group stand under one head.
        title: of the column.
        name: of the number in ``Picks``.
        form: how it is written.
        first: of the first query alone, else the mean of all.
        each: for one picked item.
    """

    group: str
    title: str
    name: str
    form: str
    first: bool = False
    each: bool = False


_PICKS = (
    PickColumn(
        "First query: true of a pick", "false alarms", "false_positives", "{:.1f}", True, True
    ),
    PickColumn("First query: true of a pick", "misses", "misses", "{:.1f}", True, True),
    PickColumn("First query: true of a pick", "share wrong", "wrong", "{:.2f}", True, True),
    PickColumn("First query: true of a pick", "rank correlation", "score_spearman", "{:.2f}", True),
    PickColumn("Classes", "balance", "balance", "{:.2f}"),
    PickColumn("Classes", "L1 score of labels", "l1_score", "{:.2f}"),
    PickColumn("Places", "distance", "redundancy", "{:.0f}"),
    PickColumn("Estimated false alarms", "precision", "fp_precision", "{:.2f}"),
    PickColumn("Estimated false alarms", "recall", "fp_recall", "{:.2f}"),
    PickColumn("Estimated misses", "precision", "fn_precision", "{:.2f}"),
    PickColumn("Estimated misses", "recall", "fn_recall", "{:.2f}"),
    PickColumn("Known classes", "query precision", "query_precision", "{:.2f}"),
    PickColumn("Known classes", "query recall", "query_recall", "{:.2f}"),
)


def _picks(lines: Sequence[Summary]) -> dict[str, Any]:
    """Numbers of the queries; a column that no strategy has a number for is left out."""
    known = [line for line in lines if line.picks]
    columns = [c for c in _PICKS if any(c.name in _numbers(line, c) for line in known)]
    if all(line.picks.get("query_precision", 1.0) == 1 for line in known):
        columns = [column for column in columns if column.group != "Known classes"]
    groups = Counter(column.group for column in columns)
    return {
        "pick_groups": list(groups.items()),
        "pick_columns": [column.title for column in columns],
        "pick_table": [
            {"name": line.strategy, "cells": [_pick(line, column) for column in columns]}
            for line in known
        ],
    }


def _numbers(line: Summary, column: PickColumn) -> dict[str, float]:
    """What a column is read from; the L1 score is one of all labels, not of a query."""
    found = dict(line.first if column.first else line.picks)
    return found if line.l1_score is None else {**found, "l1_score": line.l1_score}


def _pick(line: Summary, column: PickColumn) -> str:
    numbers = _numbers(line, column)
    if column.name not in numbers:
        return NONE
    value = numbers[column.name]
    return column.form.format(value / numbers["frames"] if column.each else value)


def _picked(result: SimulationResult, lines: Sequence[Summary]) -> dict[str, Any]:
    """Frames of every condition among the picks, and among the pool."""
    names = list(
        dict.fromkeys([*result.pool_conditions, *(n for line in lines for n in line.picked)])
    )
    pool = result.pool_conditions
    names = [n for n in names if pool.get(n) or any(line.picked.get(n) for line in lines)]
    rows = []
    for line in lines:
        if line.picked:
            shares = [line.picked.get(name, 0.0) for name in names]
            times = [
                s / pool[n] if pool.get(n) else None for n, s in zip(names, shares, strict=True)
            ]
            cells = [
                _text(percent(s), "" if t is None else f"{t:.1f} x the pool's")
                for s, t in zip(shares, times, strict=True)
            ]
            rows.append({"name": line.strategy, "cells": cells})
    return {
        "picked_names": names,
        "pool_shares": [percent(pool[n]) if n in pool else NONE for n in names] if pool else [],
        "picked_table": rows,
    }


def budget_titles(result: SimulationResult, lines: Sequence[Summary]) -> list[str]:
    """``48 frames (2.0 %)`` for every round after the initial one."""
    titles = [_budget(result, lines, at) for at in asked_rounds(lines)]
    return [
        f"{each['value']} ({each['below'].removesuffix(' of the pool')})"
        if each["below"]
        else each["value"]
        for each in titles
    ]
