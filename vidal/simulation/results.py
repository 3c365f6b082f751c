"""What a simulation produced: the input of its report, and its machine-readable files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vidal.evaluate.clip_scores import ClipScores
from vidal.evaluate.comparison import SIGNIFICANT, Comparison
from vidal.evaluate.curves import Picks, Row
from vidal.evaluate.intervals import Interval
from vidal.evaluate.resampling import Run
from vidal.evaluate.summary import Cell, Results, Summary, summarise
from vidal.store.atomic import write_bytes

FORMAT = "vidal-simulation"


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """All rows of a simulation, and how they came about.

    Attributes:
        name: of the configuration.
        rows: one a trained round of a run.
        strategies: names in the order in which they were asked for.
        seeds, rounds: of every strategy; rounds count the initial one.
        baseline: the strategy that others are compared with.
        data: facts about the clips, by name, in the order to show them.
        settings: the configuration; JSON values.
        versions: vidal, Python and the libraries that matter.
        machine: what it ran on, in words.
        seconds: computing time of all runs together, in seconds, interrupted work included.
        notes: remarks for the reader, one sentence each.
        scores: judged test clips of the runs (strategy, seed, round) that have them: with these,
            intervals cover the choice of test clips, too.
        main: the one comparison that was named before the run: a strategy and a round.
        pool_conditions: condition -> share of the pool's frames that show it.
    """

    name: str
    rows: tuple[Row, ...]
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    rounds: int
    baseline: str
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    machine: str
    seconds: float
    notes: tuple[str, ...] = ()
    scores: Mapping[Run, ClipScores] = field(default_factory=dict, repr=False)
    main: tuple[str, int] | None = None
    pool_conditions: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def results(self) -> Results:
        """All that the rows say; computed once, the same every time."""
        rng = np.random.default_rng(0)
        return summarise(self.rows, rng, baseline=self.baseline, scores=self.scores, main=self.main)

    def summaries(self) -> list[Summary]:
        """The table of results."""
        return list(self.results.lines)

    def sentences(self) -> list[str]:
        """What may be concluded, one sentence a strategy; the one named before the run first."""
        others = [line.comparison for line in self.results.lines if line.comparison is not None]
        return [each.sentence for each in sorted(others, key=lambda each: not each.main)]

    def remarks(self) -> list[str]:
        """``notes``, and what the numbers say about the experiment itself."""
        found = self.results
        comparisons = [line.comparison for line in found.lines if line.comparison is not None]
        remarks = [*self.notes, *found.limits]
        if self.main is not None and not any(each.main for each in comparisons):
            remarks.append(
                f"The comparison that was named before the run, {self.main[0]} after round"
                f" {self.main[1]}, has no finished runs yet."
            )
        if found.left_out:
            runs = "1 round was" if found.left_out == 1 else f"{found.left_out} rounds were"
            remarks.append(
                f"{runs} judged on other test clips than the rest: their intervals rest on the"
                " seeds alone."
            )
        if comparisons and max(each.difference.n for each in comparisons) == 1:
            remarks.append("With one seed there are no intervals: nothing says what chance does.")
        least = 2.0 ** (1 - min((each.difference.n for each in comparisons), default=99))
        if any(not each.main for each in comparisons) and SIGNIFICANT <= least < 0.5:
            remarks.append(
                f"With so few seeds no p is below {least:.2g}: but for a comparison that is named"
                " before the run (simulation.main), 6 seeds are the least for a conclusion."
            )
        return remarks

    def as_dict(self) -> dict[str, Any]:
        """JSON values; intervals as {value, low, high, n}, null where there is no number."""
        left_out = ("rows", "scores", "notes")
        plain = {e.name: getattr(self, e.name) for e in fields(self) if e.name not in left_out}
        plain["rows"] = [row.as_dict() for row in self.rows]
        plain["notes"] = self.remarks()
        plain["conclusions_after_round"] = self.results.focus
        plain["intervals_over"] = "seeds and test clips" if self.results.resampled else "seeds"
        plain["summary"] = [_summary(line) for line in self.summaries()]
        plain["conclusions"] = self.sentences()
        return {"format": FORMAT, "version": 2, **plain}


def write_results(result: SimulationResult, results: Path, table: Path) -> None:
    """Write ``results.json`` and ``results.csv``, each whole or not at all.

    Raises:
        OutputError: the place cannot be written.
    """
    text = json.dumps(result.as_dict(), indent=1, allow_nan=False)
    write_bytes(results, text.encode("utf-8"))
    write_bytes(table, csv_text(result.rows).encode("utf-8"))


def csv_text(rows: Sequence[Row]) -> str:
    """One line a row; the classes' AP50 and the numbers of the picks as columns of their own."""
    classes = list(dict.fromkeys(name for row in rows for name in row.classes))
    conditions = list(dict.fromkeys(name for row in rows for name in row.conditions))
    tables = ("classes", "picks", "conditions")
    plain = [each.name for each in fields(Row) if each.name not in tables]
    picks = [each.name for each in fields(Picks) if each.name != "conditions"]
    pools = list(dict.fromkeys(n for row in rows if row.picks for n in row.picks.conditions))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = [*plain, *(f"ap50_{n}" for n in classes), *(f"ap50_on_{n}" for n in conditions)]
    writer.writerow([*head, *(f"picked_{n}" for n in picks), *(f"picked_on_{n}" for n in pools)])
    for row in rows:
        values = [getattr(row, name) for name in plain]
        values += [row.classes.get(name) for name in classes]
        values += [row.conditions.get(name) for name in conditions]
        values += [None if row.picks is None else getattr(row.picks, name) for name in picks]
        values += [None if row.picks is None else row.picks.conditions.get(n) for n in pools]
        writer.writerow(values)
    return stream.getvalue()


def _summary(line: Summary) -> dict[str, Any]:
    return {
        "strategy": line.strategy,
        "labelled": line.labelled[-1],
        "ap50": _interval(line.final),
        "ap50_at_half": None if line.final_at_half is None else _interval(line.final_at_half),
        "relative_to_all_data": line.relative,
        "area": None if line.area is None else _interval(line.area),
        "rounds": [
            {
                "labelled": line.labelled[at],
                "boxes": line.boxes[at],
                "ap50": _interval(line.values[at]),
                "relative_to_all_data": _known(line.shares[at]),
                **_differences(line.comparison, at),
            }
            for at in range(len(line.values))
        ],
        "comparison": None if line.comparison is None else _comparison(line.comparison),
        "classes": _cells(line.classes),
        "conditions": _cells(line.conditions),
        "l1_score": line.l1_score,
        "picks": dict(line.picks),
        "picks_of_the_first_query": dict(line.first),
        "picked_conditions": dict(line.picked),
    }


def _differences(other: Comparison | None, at: int) -> dict[str, Any]:
    return {
        "difference": None if other is None else _interval(other.rounds[at]),
        "difference_at_equal_boxes": None if other is None else _interval(other.at_boxes[at]),
    }


def _comparison(other: Comparison) -> dict[str, Any]:
    return {
        "baseline": other.baseline,
        "round": other.focus,
        "named_before_the_run": other.main,
        "difference": _interval(other.difference),
        "differences_by_seed": dict(
            zip(map(str, other.seeds), other.differences.tolist(), strict=True)
        ),
        "p_seeds": other.p_seeds,
        "p_draws": other.p_draws,
        "p_corrected": other.corrected,
        "corrected_for": other.family,
        "conclusive": other.conclusive,
        "seen_with_80_percent_power": other.detectable,
        "area_difference": _interval(other.area),
        "labels_saved": None if math.isnan(other.saved.value) else _interval(other.saved),
        "boxes_saved": None
        if math.isnan(other.saved_boxes.value)
        else _interval(other.saved_boxes),
    }


def _cells(cells: Mapping[str, Cell]) -> dict[str, Any]:
    return {
        name: {"ap50": _interval(cell.value), "difference": _known(cell.difference)}
        for name, cell in cells.items()
    }


def _known(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None or math.isnan(interval.value) else _interval(interval)


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "value": interval.value,
        "low": interval.low if math.isfinite(interval.low) else None,
        "high": interval.high if math.isfinite(interval.high) else None,
        "n": interval.n,
    }
