"""The section of the report that holds what was expected against what was found."""

from __future__ import annotations

import math
from typing import Any

from vidal.evaluate.intervals import Interval
from vidal.evaluate.reliability import Reliability
from vidal.report import figures
from vidal.selection.forecast import Forecast

SIDE, LEFT, TOP = 200.0, 46.0, 8.0
"""Of the plotting square, in units of its picture."""
_LARGEST = 9.0


def section(forecast: Forecast | None) -> dict[str, Any] | None:
    """What the template shows; None where nothing was expected."""
    if forecast is None:
        return None
    counts = forecast.expected or (None, None)
    kinds = (
        ("False alarms", forecast.false_positives, counts[0]),
        ("Misses", forecast.misses, counts[1]),
    )
    return {
        "sentence": forecast.sentence,
        "round": forecast.round,
        "side": SIDE,
        "left": LEFT,
        "top": TOP,
        "ticks": [(figures.number(SIDE * t), f"{t:g}") for t in (0, 0.5, 1)],
        "kinds": [_kind(*each) for each in kinds],
    }


def _kind(name: str, kind: Reliability, count: Interval | None) -> dict[str, Any]:
    """``count`` is what was told, also of objects that no row stands for."""
    said = f"{kind.said:,.0f}"
    if count is not None:
        said = f"{count.value:,.0f} ({count.low:,.0f} to {count.high:,.0f})"
    most = max((each.rows for each in kind.bins), default=1)
    points = [
        {
            "x": figures.number(LEFT + SIDE * each.said),
            "y": figures.number(TOP + SIDE * (1 - each.found)),
            "r": figures.number(2 + (_LARGEST - 2) * math.sqrt(each.rows / most)),
            "detail": (
                f"said {each.said:.0%}, found {each.found:.0%} of"
                f" {figures.plural(each.rows, 'row')}"
            ),
        }
        for each in kind.bins
    ]
    return {
        "name": name,
        "said": said,
        "found": f"{kind.found:,}",
        "rows": f"{kind.rows:,}",
        "brier": "–" if math.isnan(kind.brier) else f"{kind.brier:.3f}",
        "base": "–" if math.isnan(kind.base) else f"{kind.base:.3f}",
        "points": points,
    }
