"""The section of the report that holds what was expected against what was found."""

from __future__ import annotations

import math
from typing import Any

from vidal.evaluate.curves import Picks
from vidal.evaluate.intervals import Interval
from vidal.evaluate.reliability import Reliability
from vidal.report import figures
from vidal.selection.forecast import Forecast, span_text
from vidal.words import counted

SIDE, LEFT, TOP = 200.0, 46.0, 8.0
"""Of the plotting square, in units of its picture."""
_LARGEST = 9.0
_EVEN = 0.02
"""Share of the Brier score of guessing within which a score is called no better than it."""


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


def judgement(kind: Reliability) -> str:
    """How far its probabilities could be trusted, in words."""
    if not kind.rows or math.isnan(kind.brier):
        return "nothing could be judged"
    if kind.base == 0:
        return "all rows turned out alike, so nothing can be told of the probabilities"
    gain = 1 - kind.brier / kind.base
    if gain < -_EVEN:
        return "worse than guessing: saying the share of errors every time would have been nearer"
    if gain <= _EVEN:
        return "no better than guessing: the share of errors said every time comes as near"
    return f"better than guessing: {gain:.0%} less squared error than their share said every time"


def worth_words(worth: Picks | None) -> list[str]:
    """What the annotators found on the frames, in sentences; none where nothing is known."""
    if worth is None:
        return []
    lines = []
    if worth.false_positives is not None and worth.misses is not None:
        lines.append(
            "On the answered frames the model that chose them had"
            f" {counted(worth.false_positives, 'false alarm')} and"
            f" {counted(worth.misses, 'miss', 'misses')}."
        )
    for precision, recall, called, real in (
        (worth.fp_precision, worth.fp_recall, "likely false alarms", "false alarms"),
        (worth.fn_precision, worth.fn_recall, "likely misses", "misses"),
    ):
        if precision is not None:
            line = f"Of the boxes called {called} {precision:.0%} were"
            found = "" if recall is None else f"; {recall:.0%} of the {real} were pointed out"
            lines.append(f"{line}{found}.")
    return lines


def _kind(name: str, kind: Reliability, count: Interval | None) -> dict[str, Any]:
    """``count`` is what was told, also of objects that no row stands for."""
    said = f"{kind.said:,.0f}"
    if count is not None:
        said = f"{count.value:,.0f} ({span_text(count)})"
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
        "rows": f"{kind.rows:,} judged row{'' if kind.rows == 1 else 's'}",
        "judgement": judgement(kind),
        "brier": "–" if math.isnan(kind.brier) else f"{kind.brier:.3f}",
        "base": "–" if math.isnan(kind.base) else f"{kind.base:.3f}",
        "points": points,
    }
