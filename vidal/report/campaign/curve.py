"""The learning curve of a campaign as a drawing, and what it lets expect in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vidal.query.cost import duration
from vidal.report import charts, figures
from vidal.report.campaign.story import CampaignStory
from vidal.types import ScoreArray
from vidal.words import counted

_BOX = (72.0, 14.0, 900.0, 300.0)
_MOST_POINTS = 100
"""Models that are drawn; of more, as many from the first to the newest."""
Corners = tuple[float, float, float, float]
_WIDTH, _HEIGHT, _DOT = 58.0, 13.0, 6.0
"""Of labels with some air, and half the width of a point."""
_SIDES = {"above": (-4.0, -9.0, "end"), "below": (6.0, 19.0, "start")}
"""From a point to where its label begins or ends, right and down, and which of the two."""


def curve_chart(story: CampaignStory) -> dict[str, Any] | None:
    """Paths and labels of AP50 over labelled frames; None without a model that was judged."""
    points = [each for each in story.curve if math.isfinite(each.ap.value)]
    if not points:
        return None
    shown = np.linspace(0, len(points) - 1, _MOST_POINTS).round().astype(np.int64)
    points = points if len(points) <= _MOST_POINTS else [points[at] for at in np.unique(shown)]
    told = story.outlook
    labelled = np.array([each.labelled for each in points], np.float64)
    values = np.array([each.ap.value for each in points])
    ends = [(each.ap.low, each.ap.high) for each in points]
    spans = [(lo, hi) for lo, hi in ends if math.isfinite(lo) and math.isfinite(hi)]
    ahead = told is not None and not told.refused
    low = min([*values, *(lo for lo, _ in spans)])
    high = max([*values, *(hi for _, hi in spans), *([told.target] if told and ahead else [])])
    room = 0.08 * (high - low or 0.1)
    right = float(labelled[-1])
    if told and ahead:
        right = max(right, min(told.high if math.isfinite(told.high) else math.inf, 4 * right))
        right = max(right, min(told.low * 1.15, 8 * float(labelled[-1])))
    frame = charts.Frame((0.0, right or 1.0), (max(0.0, low - room), min(1.0, high + room)), *_BOX)
    x, y = frame.across(labelled), frame.down(values)
    named = _named(x, y)
    band = ""
    if len(spans) == len(points) > 1:
        top = frame.down(np.array([hi for _, hi in ends]))
        bottom = frame.down(np.array([lo for lo, _ in ends]))
        pairs = [*zip(x, top, strict=True), *zip(x[::-1], bottom[::-1], strict=True)]
        band = "M" + "L".join(f"{figures.number(a)} {figures.number(b)}" for a, b in pairs) + "Z"
    return {
        "axes": charts.axes(frame, figures.ticks(*frame.x, count=8)),
        "left": _BOX[0],
        "right": _BOX[2],
        "bottom": _BOX[3],
        "line": figures.line_path(x, y),
        "band": band,
        "points": [
            {
                "x": figures.number(float(a)),
                "y": figures.number(float(b)),
                "label": _label(each.round) if at in named else "",
                "side": _SIDES[named.get(at, "above")],
                "bar": None
                if not math.isfinite(each.ap.low)
                else (
                    figures.number(float(frame.down(np.array(each.ap.low)))),
                    figures.number(float(frame.down(np.array(each.ap.high)))),
                ),
                "detail": _detail(each.round, each.labelled, each.ap),
            }
            for at, (each, a, b) in enumerate(zip(points, x.tolist(), y.tolist(), strict=True))
        ],
        "ahead": _ahead(story, frame) if ahead else None,
    }


def _label(number: int | None) -> str:
    return "start" if number is None else f"round {number}"


def _named(x: ScoreArray, y: ScoreArray) -> dict[int, str]:
    """Points with room for a label -> the side it stands on; the others tell on hover.

    Rising curves leave room above to the left of a point, and below to the right. The newest and
    the first point are named before those between them, and neighbours take turns.
    """
    order = [len(x) - 1, *range(len(x) - 1)]
    named: dict[int, str] = {}
    taken: list[Corners] = []
    for at in order:
        sides = list(_SIDES) if at == len(x) - 1 or at % 2 == 0 else list(_SIDES)[::-1]
        for side in sides:
            here = label_corners(float(x[at]), float(y[at]), side)
            others = [_around(float(x[n]), float(y[n])) for n in range(len(x)) if n != at]
            if here[0] >= _BOX[0] and not any(_cover(here, each) for each in (*taken, *others)):
                named[at] = side
                taken.append(here)
                break
    return named


def label_corners(x: float, y: float, side: str) -> Corners:
    """Of the label of a point, x1, y1, x2, y2, with some air."""
    shift, rise, anchor = _SIDES[side]
    left = x + shift - (_WIDTH if anchor == "end" else 0.0)
    return left, y + rise - _HEIGHT, left + _WIDTH, y + rise + 3.0


def _around(x: float, y: float) -> Corners:
    return x - _DOT, y - _DOT, x + _DOT, y + _DOT


def _cover(a: Corners, b: Corners) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _detail(number: int | None, labelled: int, ap: Any) -> str:
    where = "before any training" if number is None else f"round {number}"
    text = f"{where}: {counted(labelled, 'labelled frame')}, AP50 {ap.value:.3f}"
    if math.isfinite(ap.low) and math.isfinite(ap.high):
        text += f" (95 % interval {ap.low:.3f} to {ap.high:.3f})"
    return text


def _ahead(story: CampaignStory, frame: charts.Frame) -> dict[str, Any]:
    """The target as a line, and the range of labels where it may be reached."""
    told = story.outlook
    assert told is not None
    start = float(frame.across(np.array(min(told.low, frame.x[1]))))
    end = float(frame.across(np.array(min(told.high, frame.x[1]))))
    return {
        "y": figures.number(float(frame.down(np.array(told.target)))),
        "x": figures.number(start),
        "width": figures.number(max(end - start, 3.0)),
        "open": told.high > frame.x[1],
        "target": f"{told.target:g}",
    }


def outlook_words(story: CampaignStory) -> list[str]:
    """What it may take to reach the target, in sentences; none where no model was judged."""
    told = story.outlook
    if told is None:
        return []
    if told.refused:
        return [f"AP50 {told.target:g}: no forecast; {told.refused}."]
    have = story.frames["labelled"]
    low = max(0, math.ceil(told.low) - have)
    spent = story.spent
    each = 0.0 if spent is None or not spent.frames else spent.seconds / spent.frames
    first = f"{counted(low, 'further labelled frame')}"
    hours = f" ({duration(low * each)} of annotation as so far)" if each else ""
    if math.isinf(told.high):
        words = (
            f"AP50 {told.target:g} may take from {first}{hours} to more than can be told:"
            f" in {told.never:.0%} of the draws it takes more than twenty times the labels so far,"
            " or is never reached."
        )
    else:
        high = max(low, math.ceil(told.high) - have)
        hours = (
            f" ({duration(low * each)} to {duration(high * each)} of annotation)" if each else ""
        )
        words = (
            f"AP50 {told.target:g} may take {low:,} to"
            f" {counted(high, 'further labelled frame')}{hours}."
        )
    lines = [words]
    if told.low - have > story.frames["unlabelled"]:
        lines.append(
            f"The clips have {counted(story.frames['unlabelled'], 'unlabelled frame')} left:"
            " that is not enough."
        )
    lines.append(
        "An 80 % range, from a line over the logarithm of the labels to a power law that levels"
        " off, over draws of the test clips and the scatter of the points. It carries the curve on:"
        " other clips, another strategy or longer training change it."
    )
    return lines
