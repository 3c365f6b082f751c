"""Learning curves as SVG paths and labels; pure functions, the template draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidal.evaluate.curves import Budget, Curve
from vidal.report import figures
from vidal.types import ScoreArray

COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8a6d3b",
    "#7b3fa0",
    "#6b7280",
)
"""Okabe and Ito's palette, which colour-blind people can tell apart, and three more."""

DASHES = ("", "7 4", "2 3", "10 3 2 3")
"""With these, colour is never the only difference."""

_LABEL = 15.0
"""Least distance of two labels, in units of the drawing."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one strategy is drawn, everywhere the same."""

    colour: str
    dash: str


def styles(names: Sequence[str]) -> dict[str, Style]:
    """A style for each name, by its place."""
    return {
        name: Style(COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)])
        for i, name in enumerate(names)
    }


@dataclass(frozen=True, slots=True)
class Frame:
    """Where data lie in a drawing: ranges of the data, and the box they are drawn into.

    Attributes:
        x, y: (low, high) of the data.
        left, top, right, bottom: of the box, in units of the drawing; y points down.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    left: float
    top: float
    right: float
    bottom: float

    def across(self, values: ScoreArray) -> ScoreArray:
        """Data -> horizontal positions."""
        low, high = self.x
        span = high - low or 1.0
        return self.left + (np.asarray(values) - low) / span * (self.right - self.left)

    def down(self, values: ScoreArray) -> ScoreArray:
        """Data -> vertical positions, kept inside the box."""
        low, high = self.y
        inside = np.clip(np.asarray(values, dtype=np.float64), low, high)
        return self.bottom - (inside - low) / (high - low or 1.0) * (self.bottom - self.top)


def y_range(curves: Sequence[Curve], reference: float | None) -> tuple[float, float]:
    """A range that shows every run and the reference, with some room; intervals may be cut."""
    values = np.concatenate([curve.values.ravel() for curve in curves])
    low, high = float(values.min()), float(values.max())
    if reference is not None:
        low, high = min(low, reference), max(high, reference)
    room = 0.06 * (high - low or 0.1)
    return max(0.0, low - room), min(1.0, high + room)


def axes(frame: Frame, labels: Sequence[float], *, y_ticks: int = 6) -> dict[str, Any]:
    """Ticks: of labels where there are rounds, and of the quality at round numbers."""
    values = figures.ticks(*frame.y, count=y_ticks)
    places = frame.across(np.asarray(labels, dtype=np.float64))
    heights = frame.down(np.asarray(values, dtype=np.float64))
    return {
        "x": [(figures.number(p), amount(v)) for p, v in zip(places.tolist(), labels, strict=True)],
        "y": [(figures.number(p), f"{v:g}") for p, v in zip(heights.tolist(), values, strict=True)],
    }


def amount(value: float) -> str:
    """A number of frames or boxes, or of hours, which may be small: ``1,200``, ``0.35``."""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"


def drawn(
    curve: Curve, frame: Frame, unit: str = "frames", of: Budget = "labelled"
) -> dict[str, Any]:
    """Paths of one curve: its mean, the band of its 95 % interval, and a dot for every run.

    The interval is Student's over seeds: what the test clips do to all curves alike is not in it.
    """
    labels = getattr(curve, of).mean(axis=0)
    x = frame.across(labels)
    mean = frame.down(curve.values.mean(axis=0))
    intervals = curve.intervals()
    low = frame.down(np.nan_to_num([i.low for i in intervals], neginf=frame.y[0]))
    high = frame.down(np.nan_to_num([i.high for i in intervals], posinf=frame.y[1]))
    band = [*zip(x, high, strict=True), *zip(x[::-1], low[::-1], strict=True)]
    path = "L".join(f"{figures.number(a)} {figures.number(b)}" for a, b in band)
    dots = zip(
        np.tile(x, len(curve.seeds)).tolist(),
        frame.down(curve.values).ravel().tolist(),
        strict=True,
    )
    return {
        "name": curve.strategy,
        "line": figures.line_path(x, mean),
        "band": f"M{path}Z" if len(curve.seeds) > 1 and len(x) > 1 else "",
        "points": [
            (figures.number(a), figures.number(b), f"{curve.strategy}, {amount(n)} {unit}: {v:.3f}")
            for a, b, n, v in zip(
                x.tolist(),
                mean.tolist(),
                labels.tolist(),
                curve.values.mean(axis=0).tolist(),
                strict=True,
            )
        ],
        "dots": [(figures.number(a), figures.number(b)) for a, b in dots],
    }


def end_labels(curves: Sequence[Curve], frame: Frame) -> dict[str, float]:
    """Height of each curve's label at its right end; moved apart where they would overlap."""
    order = sorted(curves, key=lambda curve: -float(curve.values[:, -1].mean()))
    wanted = [float(frame.down(curve.values[:, -1].mean())) for curve in order]
    return dict(zip((c.strategy for c in order), spread(wanted, frame.bottom), strict=True))


def spread(wanted: Sequence[float], bottom: float) -> list[float]:
    """Increasing heights at least a label apart, near those wanted, none below ``bottom``."""
    places: list[float] = []
    for height in wanted:
        places.append(max(height, places[-1] + _LABEL) if places else height)
    limit = bottom
    for at in range(len(places) - 1, -1, -1):
        places[at] = min(places[at], limit)
        limit = places[at] - _LABEL
    return [round(place, 1) for place in places]


def of_all(
    curves: Mapping[str, Curve],
    reference: float | None,
    look: Mapping[str, Style],
    unit: str = "frames",
    of: Budget = "labelled",
) -> dict[str, Any]:
    """A large chart: the mean of every strategy over its labels, named at its end."""
    every = list(curves.values())
    frame = _frame(every, reference, (62.0, 16.0, 770.0, 360.0), of)
    heights = end_labels(every, frame)
    labels = every[0].labelled.mean(axis=0).tolist()
    return {
        "axes": axes(frame, labels if of == "labelled" else figures.ticks(*frame.x, count=8)),
        "curves": [
            {**drawn(curve, frame, unit, of), "look": look[name], "label": heights[name]}
            for name, curve in curves.items()
        ],
        "reference": None if reference is None else figures.number(float(frame.down(reference))),  # type: ignore[arg-type]
    }


def of_one(
    curve: Curve,
    baseline: Curve | None,
    every: Sequence[Curve],
    reference: float | None,
    unit: str = "frames",
) -> dict[str, Any]:
    """A small chart: one strategy with interval and runs, over the baseline's; scales shared."""
    frame = _frame(every, reference, (38.0, 8.0, 300.0, 150.0))
    return {
        "axes": axes(frame, curve.labelled.mean(axis=0).tolist(), y_ticks=4),
        "curve": drawn(curve, frame, unit),
        "baseline": None if baseline is None else drawn(baseline, frame, unit),
        "reference": None if reference is None else figures.number(float(frame.down(reference))),  # type: ignore[arg-type]
    }


def _frame(
    every: Sequence[Curve],
    reference: float | None,
    box: tuple[float, float, float, float],
    of: Budget = "labelled",
) -> Frame:
    labels = np.concatenate([getattr(curve, of).mean(axis=0) for curve in every])
    return Frame((float(labels.min()), float(labels.max())), y_range(every, reference), *box)
