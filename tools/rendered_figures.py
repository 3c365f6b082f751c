"""Figures, intervals and tables of estimates of errors on rendered clips; for benchmarks.

An estimate is, for each clip, a (F, 3) array that ranks its frames by false positives, by misses
and by both (``TARGETS``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vidal.evaluate.quality import capture_curve, correlate

TARGETS = ("FP", "FN", "FP+FN")
FIRST, SECOND, PRIOR, FUSED = "first version, ", "second version, ", "prior", "fusion"
PAIRS = (
    (f"{SECOND}10%", f"{FIRST}10%"),
    (f"{SECOND}10%", FUSED), (f"{SECOND}10%", "sum(1-score)"),
    (f"{SECOND}chosen 10%", f"{SECOND}10%"), (FUSED, "sum(1-score)"),
    (PRIOR, FUSED), (PRIOR, "sum(1-score)"), (f"{FUSED} and prior", FUSED),
    (f"{FUSED} and prior", PRIOR), (f"{FUSED} and prior", f"{SECOND}3%"),
    *((f"{PRIOR} + {share}", f"{SECOND}{share}") for share in ("3%", "10%")),
    *((f"{PRIOR} + {share}", FUSED) for share in ("3%", "10%")),
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


def totals(estimate: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> dict[str, float]:
    """Expected over true errors of all clips, and the median factor by which a clip's is off."""
    row: dict[str, float] = {}
    for at, target in enumerate(TARGETS):
        said = np.array([each[:, at].sum() for each in estimate])
        due = np.array([each[:, at].sum() for each in true])
        both = (said > 0) & (due > 0)
        row[f"{target} expected / true"] = float(said.sum() / due.sum())
        row[f"{target} factor"] = float(np.median(np.exp(np.abs(np.log(said[both] / due[both])))))
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


def means(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean of every figure over configurations, with 95 % intervals, and mean leads with theirs."""
    table: dict[str, Any] = {}
    for part in ("figures", "totals"):
        table[part] = {
            name: _mean([result[part][name] for result in results]) for name in results[0][part]
        }
    drawn = [result["draws"] for result in results]
    table["intervals"] = {name: _spans([each[name] for each in drawn]) for name in drawn[0]}
    table["leads"] = {}
    for first, second in PAIRS:
        pairs = [(result["figures"][first], result["figures"][second]) for result in results]
        lead = [each[first] - each[second] for each in drawn]
        table["leads"][f"{first} - {second}"] = {
            **{
                kind: float(np.mean([a[f"FP+FN {kind}"] - b[f"FP+FN {kind}"] for a, b in pairs]))
                for kind in ("pooled", "within")
            },
            "interval": _spans(lead),
        }
    return table


def _spans(drawn: Sequence[np.ndarray]) -> dict[str, list[float]]:
    """Percentiles of the mean over configurations of (count, 2) draws."""
    low, high = np.nanpercentile(np.mean(drawn, axis=0), [2.5, 97.5], axis=0)
    return {name: [float(low[at]), float(high[at])] for at, name in enumerate(("pooled", "within"))}


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean over the rows where a figure is a number."""
    result: dict[str, float] = {}
    for name in rows[0]:
        values = [row[name] for row in rows if row[name] is not None and not math.isnan(row[name])]
        result[name] = float(np.mean(values)) if values else float("nan")
    return result


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
    """Print figures, totals and leads."""
    spans = table["intervals"]
    print(f"\n{title}\n{'':<30}{'rho FP+FN pooled':>22}{'within clips':>22}"
          f"{'FP p/w':>13}{'FN p/w':>13}{'top 2 % (oracle)':>18}{'top 10 %':>13}"
          f"{'expected/true FP, FN':>22}{'factor':>13}")  # fmt: skip
    for name, row in table["figures"].items():
        both = "".join(
            _ranged(row[f"FP+FN {kind}"], spans[name][kind]) for kind in ("pooled", "within")
        )
        kinds = "".join(f"{_n(row[f'{k} pooled'])}/{_n(row[f'{k} within'])}".rjust(13)
                        for k in ("FP", "FN"))  # fmt: skip
        top = [f"{_n(row[f'{k} over random'])} ({_n(row[f'{k} of oracle'])})"
               for k in ("top 2 %", "top 10 %")]  # fmt: skip
        told = table["totals"].get(name)
        sums = "" if told is None else "".join(
            f"{_n(told[f'FP {part}'])}, {_n(told[f'FN {part}'])}".rjust(width)
            for part, width in (("expected / true", 22), ("factor", 13)))  # fmt: skip
        print(f"{name:<30}{both}{kinds}{top[0]:>18}{top[1]:>13}{sums}")
    for name, lead in table["leads"].items():
        both = "".join(_ranged(lead[kind], lead["interval"][kind]) for kind in ("pooled", "within"))
        print(f"{name:<60}{both}")


def _ranged(value: float, span: Sequence[float]) -> str:
    return f"{_n(value, 3)} [{_n(span[0])}, {_n(span[1])}]".rjust(22)


def _n(value: float | None, digits: int = 2) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.{digits}f}"
