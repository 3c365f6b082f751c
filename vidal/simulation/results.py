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
from vidal.evaluate.terms import FRAMES, Terms
from vidal.query.budget import Budget
from vidal.query.cost import Cost
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
        terms: the words that it is told in.
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
    terms: Terms = FRAMES

    @property
    def rates(self) -> Cost | None:
        """Of annotation; None where nothing of it was configured."""
        given = self.settings.get("selection", {}).get("cost")
        return None if given is None else Cost.of(given)

    @property
    def counts_frames(self) -> bool:
        """Whether every query asks for a number of frames; else they hold what they may cost."""
        given = self.settings.get("selection", {}).get("budget", "1")
        budgets = [given] if isinstance(given, str | int) else given
        return all(Budget.parse(str(each)).counts_frames for each in budgets)

    @cached_property
    def results(self) -> Results:
        """All that the rows say; computed once, the same every time."""
        rng = np.random.default_rng(0)
        return summarise(
            self.rows,
            rng,
            baseline=self.baseline,
            scores=self.scores,
            main=self.main,
            terms=self.terms,
        )

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
                f"{runs} judged on other {self.terms.tests} than the rest: their intervals rest on"
                " the seeds alone."
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
        left_out = ("rows", "scores", "notes", "terms")
        plain = {e.name: getattr(self, e.name) for e in fields(self) if e.name not in left_out}
        plain["rows"] = [_row(row, self.terms) for row in self.rows]
        plain["notes"] = self.remarks()
        plain["conclusions_after_round"] = self.results.focus
        plain["intervals_over"] = "seeds and test clips" if self.results.resampled else "seeds"
        plain["summary"] = [_summary(line, self.terms) for line in self.summaries()]
        plain["conclusions"] = self.sentences()
        return {"format": FORMAT, "version": 2, **plain}


def write_results(result: SimulationResult, results: Path, table: Path) -> None:
    """Write ``results.json`` and ``results.csv``, each whole or not at all.

    Raises:
        OutputError: the place cannot be written.
    """
    text = json.dumps(result.as_dict(), indent=1, allow_nan=False)
    write_bytes(results, text.encode("utf-8"))
    write_bytes(table, csv_text(result.rows, result.terms).encode("utf-8"))


def csv_text(rows: Sequence[Row], terms: Terms = FRAMES) -> str:
    """One line a row; the classes' quality and the numbers of the picks as columns of their own."""
    classes = list(dict.fromkeys(name for row in rows for name in row.classes))
    conditions = list(dict.fromkeys(name for row in rows for name in row.conditions))
    left_out = terms.unused | {"classes", "picks", "conditions"}
    plain = [each.name for each in fields(Row) if each.name not in left_out]
    picks = [each.name for each in fields(Picks) if each.name not in left_out]
    pools = list(dict.fromkeys(n for row in rows if row.picks for n in row.picks.conditions))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = [terms.name(name) for name in plain]
    head += [f"{terms.key}_{n}" for n in classes] + [f"{terms.key}_on_{n}" for n in conditions]
    head += [f"picked_{terms.name(n)}" for n in picks] + [f"picked_on_{n}" for n in pools]
    writer.writerow(head)
    for row in rows:
        values = [getattr(row, name) for name in plain]
        values += [row.classes.get(name) for name in classes]
        values += [row.conditions.get(name) for name in conditions]
        values += [None if row.picks is None else getattr(row.picks, name) for name in picks]
        values += [None if row.picks is None else row.picks.conditions.get(n) for n in pools]
        writer.writerow(values)
    return stream.getvalue()


def _row(row: Row, terms: Terms) -> dict[str, Any]:
    """As ``Row.as_dict``, in the words of the simulation."""
    plain = {terms.name(n): v for n, v in row.as_dict().items() if n not in terms.unused}
    if row.picks is not None:
        picks = plain["picks"].items()
        plain["picks"] = {terms.name(n): v for n, v in picks if n not in terms.unused}
    return plain


def _summary(line: Summary, terms: Terms) -> dict[str, Any]:
    half = {"ap50_at_half": None if line.final_at_half is None else _interval(line.final_at_half)}
    return {
        "strategy": line.strategy,
        "labelled": line.labelled[-1],
        terms.key: _interval(line.final),
        **(half if "ap50_at_half" not in terms.unused else {}),
        "relative_to_all_data": line.relative,
        "area": None if line.area is None else _interval(line.area),
        "rounds": [
            {
                "labelled": line.labelled[at],
                terms.name("boxes"): line.boxes[at],
                **({"unknown": line.outside[at]} if line.outside else {}),
                **({"hours": line.hours[at]} if line.hours else {}),
                terms.key: _interval(line.values[at]),
                "relative_to_all_data": _known(line.shares[at]),
                **_differences(line.comparison, at, terms),
            }
            for at in range(len(line.values))
        ],
        "comparison": None if line.comparison is None else _comparison(line.comparison, terms),
        "classes": _cells(line.classes, terms),
        "conditions": _cells(line.conditions, terms),
        "l1_score": line.l1_score,
        **({"unknown_objects": _parts(line.unknown)} if line.unknown else {}),
        "picks": {terms.name(n): v for n, v in line.picks.items()},
        "picks_of_the_first_query": {terms.name(n): v for n, v in line.first.items()},
        "picked_conditions": dict(line.picked),
    }


def _differences(other: Comparison | None, at: int, terms: Terms) -> dict[str, Any]:
    equal = f"difference_at_equal_{terms.name('boxes')}"
    return {
        "difference": None if other is None else _interval(other.rounds[at]),
        equal: None if other is None else _interval(other.at_boxes[at]),
    }


def _comparison(other: Comparison, terms: Terms) -> dict[str, Any]:
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
        f"{terms.name('boxes')}_saved": None
        if math.isnan(other.saved_boxes.value)
        else _interval(other.saved_boxes),
        **({} if other.saved_hours is None else {"hours_saved": _known(other.saved_hours)}),
    }


def _cells(cells: Mapping[str, Cell], terms: Terms) -> dict[str, Any]:
    return {
        name: {terms.key: _interval(cell.value), "difference": _known(cell.difference)}
        for name, cell in cells.items()
    }


def _parts(cells: Mapping[str, Cell]) -> dict[str, Any]:
    """Numbers that are no quality, each with its paired difference from the baseline."""
    return {
        name.replace(" ", "_"): {
            **_interval(cell.value),
            "difference": _known(cell.difference),
        }
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
