"""What a simulation produced: the input of its report, and its machine-readable files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vidal.evaluate.curves import Picks, Row, Summary, summarise
from vidal.evaluate.intervals import Interval
from vidal.store.atomic import write_bytes

FORMAT = "vidal-simulation"


@dataclass(frozen=True, slots=True, eq=False)
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

    def summaries(self) -> list[Summary]:
        """The table of results."""
        return summarise(self.rows, baseline=self.baseline)

    def sentences(self) -> list[str]:
        """What may be concluded, one sentence a strategy."""
        return [
            line.comparison.sentence for line in self.summaries() if line.comparison is not None
        ]

    def as_dict(self) -> dict[str, Any]:
        """JSON values; intervals as {value, low, high, n}, null where there is no number."""
        plain = asdict(self)
        plain["rows"] = [row.as_dict() for row in self.rows]
        plain["summary"] = [_summary(line) for line in self.summaries()]
        plain["conclusions"] = self.sentences()
        return {"format": FORMAT, "version": 1, **plain}


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
    other = line.comparison
    return {
        "strategy": line.strategy,
        "labelled": line.labelled,
        "ap50": _interval(line.final),
        "ap50_at_half": _interval(line.final_at_half),
        "relative_to_all_data": line.relative,
        "area": None if line.area is None else _interval(line.area),
        "difference": None if other is None else _interval(other.final),
        "area_difference": None if other is None else _interval(other.area),
        "labels_saved": None if other is None or math.isnan(other.saved) else other.saved,
        "conclusive": None if other is None else other.conclusive,
        "picks": dict(line.picks),
    }


def _interval(interval: Interval) -> dict[str, Any]:
    single = interval.n < 2
    return {
        "value": interval.value,
        "low": None if single else interval.low,
        "high": None if single else interval.high,
        "n": interval.n,
    }
