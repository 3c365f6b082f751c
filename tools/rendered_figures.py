"""Figures, intervals and tables of estimates of errors on rendered clips; for benchmarks.

An estimate is, for each clip, a (F, 3) array that ranks its frames by false positives, by misses
and by both (``TARGETS``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rendered_labels import (
    ALL,
    AS_MANY,
    BEFORE,
    CALIBRATION,
    CHOSEN,
    CROSS,
    IMPORTANCE,
    MIXED,
    RANDOM,
    SEEN,
)

from vidal.evaluate.quality import capture_curve, correlate

TARGETS = ("FP", "FN", "FP+FN")
PLAIN, FUSED, COHERENCE = "sum(1-score)", "round-0 fusion", "temporal coherence FP+FN"
PAIRS = (
    *((name, rival) for name in (RANDOM, CHOSEN, ALL, SEEN, CROSS, BEFORE)
      for rival in (PLAIN, FUSED, COHERENCE)),
    (FUSED, PLAIN), (CHOSEN, RANDOM), (IMPORTANCE, CHOSEN), (MIXED, RANDOM), (CALIBRATION, MIXED),
    (CALIBRATION, RANDOM), (ALL, RANDOM), (BEFORE, RANDOM), (CROSS, SEEN), (SEEN, AS_MANY),
    (CROSS, AS_MANY), (RANDOM, AS_MANY), ("score and box only", RANDOM), ("temporal only", RANDOM),
    ("without sub-threshold detections", RANDOM), ("logistic regression", RANDOM),
)  # fmt: skip
"""Differences that are told with an interval: first minus second."""
Estimates = Mapping[str, Sequence[np.ndarray]]


def figures(estimate: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> dict[str, float]:
    """Rank correlation for each target, and capture of all errors.

    Args:
        estimate: (F, 3) of each clip.
        true: (F, 3) counts of each clip.
    """
    row: dict[str, float] = {}
    for at, target in enumerate(TARGETS):
        found = correlate([each[:, at] for each in estimate], [each[:, at] for each in true])
        row[f"{target} pooled"], row[f"{target} within"] = found.pooled, found.within
    curve = capture_curve(
        [each[:, 2] for each in estimate],
        [each[:, 2] for each in true],
        np.random.default_rng(0),
        shares=(0.02, 0.1),
        gap=3,
    )
    for at, name in enumerate(("top 2 %", "top 10 %")):
        row[f"{name} over random"] = float(curve.over_random[at])
        row[f"{name} of oracle"] = float(curve.of_oracle[at])
    return row


def draws(
    estimates: Estimates, true: Sequence[np.ndarray], count: int
) -> dict[str, list[list[float]]]:
    """Method -> (count, 2) bootstrap draws over clips of rho(FP+FN), pooled and within clips.

    The same clips are drawn for every method, and for every configuration of as many clips.
    """
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(true), (count, len(true)))
    result: dict[str, list[list[float]]] = {name: [] for name in estimates}
    for pick in picks:
        due = [true[i][:, 2] for i in pick]
        for name, estimate in estimates.items():
            found = correlate([estimate[i][:, 2] for i in pick], due)
            result[name].append([found.pooled, found.within])
    return result


def intervals(drawn: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """95 % intervals of the mean over configurations: of each method's rho and of each lead.

    Args:
        drawn: of each configuration, see ``draws``; methods that one lacks are left out of both.
    """
    rows: dict[str, Any] = {}
    names = {name: None for each in drawn for name in each}
    for name in names:
        values = [np.array(each[name]) for each in drawn if name in each]
        rows[name] = _spans(np.mean(values, axis=0))
    for first, second in PAIRS:
        pairs = [each for each in drawn if first in each and second in each]
        if pairs:
            lead = [np.array(each[first]) - np.array(each[second]) for each in pairs]
            rows[f"{first} - {second}"] = _spans(np.mean(lead, axis=0))
    return rows


def _spans(values: np.ndarray) -> dict[str, list[float]]:
    """Percentiles of (count, 2) draws."""
    low, high = np.nanpercentile(values, [2.5, 97.5], axis=0)
    return {name: [float(low[at]), float(high[at])] for at, name in enumerate(("pooled", "within"))}


def means(results: Sequence[Mapping[str, Any]], draw_list: Sequence[Any]) -> dict[str, Any]:
    """Mean of every figure over configurations, intervals, and mean leads."""
    table: dict[str, Any] = {}
    for part in ("figures", "quality"):
        names = {name: None for result in results for name in result[part]}
        table[part] = {
            name: _mean([result[part][name] for result in results if name in result[part]])
            for name in names
        }
    table["leads"] = {}
    for first, second in PAIRS:
        pairs = [r["figures"] for r in results if first in r["figures"] and second in r["figures"]]
        if pairs:
            table["leads"][f"{first} - {second}"] = {
                kind: float(np.mean([p[first][key] - p[second][key] for p in pairs]))
                for kind, key in (("pooled", "FP+FN pooled"), ("within", "FP+FN within"))
            }
    table["intervals"] = intervals(draw_list)
    return table


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean over the rows where a figure is a number, and how many rows there are."""
    result: dict[str, float] = {}
    for name in rows[0]:
        values = [row[name] for row in rows if row[name] is not None and not math.isnan(row[name])]
        result[name] = float(np.mean(values)) if values else float("nan")
    return {**result, "configurations": len(rows)}


def plain(value: Any) -> Any:
    """The value as JSON has it: numbers rounded, null where there is none."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def tell(title: str, table: Mapping[str, Any]) -> None:
    """Print figures, quality of verdicts and, where there are, leads."""
    spans = table["intervals"]
    print(f"\n{title}\n{'':<50}{'rho FP+FN pooled':>22}{'within clips':>22}"
          f"{'FP p/w':>13}{'FN p/w':>13}{'top 2 % (oracle)':>18}{'top 10 %':>13}")  # fmt: skip
    for name, row in table["figures"].items():
        both = "".join(
            _ranged(row[f"FP+FN {kind}"], spans[name][kind]) for kind in ("pooled", "within")
        )
        kinds = "".join(f"{_n(row[f'{k} pooled'])}/{_n(row[f'{k} within'])}".rjust(13)
                        for k in ("FP", "FN"))  # fmt: skip
        top = [f"{_n(row[f'{k} over random'])} ({_n(row[f'{k} of oracle'])})"
               for k in ("top 2 %", "top 10 %")]  # fmt: skip
        print(f"{name:<50}{both}{kinds}{top[0]:>18}{top[1]:>13}")
    print(f"{'verdicts':<50}{'FP Brier (base)':>18}{'FP P/R':>12}{'miss Brier (base)':>19}"
          f"{'miss P/R':>12}{'exp./true FP, FN':>19}")  # fmt: skip
    for name, row in table["quality"].items():
        parts = []
        for kind, width in (("FP", 18), ("miss", 19)):
            brier, base = (row.get(f"{kind} Brier{of}") for of in ("", " of base rate"))
            parts.append(f"{_n(brier, 3)} ({_n(base, 3)})".rjust(width))
            parts.append(f"{_n(row[f'{kind} precision'])}/{_n(row[f'{kind} recall'])}".rjust(12))
        counts = ", ".join(_n(row[f"{k} expected / true"]) for k in ("FP", "miss"))
        print(f"{name:<50}{''.join(parts)}{counts:>19}")
    for name, lead in table.get("leads", {}).items():
        both = "".join(_ranged(lead[kind], spans[name][kind]) for kind in ("pooled", "within"))
        print(f"{name:<94}{both}")


def _ranged(value: float, span: Sequence[float]) -> str:
    return f"{_n(value, 3)} [{_n(span[0])}, {_n(span[1])}]".rjust(22)


def _n(value: float | None, digits: int = 2) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.{digits}f}"
