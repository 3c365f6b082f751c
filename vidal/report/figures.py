"""Small drawing helpers: box styles, axis ticks, SVG paths of a series. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vidal.types import BoolArray, IntArray, ScoreArray
from vidal.words import counted


@dataclass(frozen=True, slots=True)
class BoxStyle:
    """How one kind of box is drawn; kinds differ in colour, in line style and in sign.

    Attributes:
        key: the CSS class.
        words: what it stands for.
        colour: from the palette of Okabe and Ito, which colour-blind people can tell apart.
        dash: SVG ``stroke-dasharray``; empty = a solid line.
        sign: one character before the label, so that colour is never the only difference.
    """

    key: str
    words: str
    colour: str
    dash: str
    sign: str


DETECTION = BoxStyle("detection", "detection", "#56b4e9", "", "")
CORRECT = BoxStyle("correct", "detection, likely correct", "#56b4e9", "", "")
UNSURE = BoxStyle("unsure", "detection, unsure", "#f0f0f0", "10 3 2 3", "~")
FALSE_ALARM = BoxStyle("alarm", "likely false alarm", "#ff6a2b", "7 4", "×")
MISS = BoxStyle("miss", "likely miss", "#f5e342", "1.5 3.5", "?")

LIKELY_UNKNOWN = BoxStyle("likely-unknown", "likely unknown object", "#e58fc4", "", "◇")
UNKNOWN_OBJECT = BoxStyle("unknown", "unknown object, annotated", "#e58fc4", "9 3", "◆")

STYLES = (DETECTION, CORRECT, UNSURE, FALSE_ALARM, MISS, LIKELY_UNKNOWN, UNKNOWN_OBJECT)
"""By the codes of ``evidence.Marks.kind``."""


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """At most about ``count`` round numbers (1, 2 or 5 times a power of ten) in [low, high]."""
    if not high > low:
        return [low]
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def downsample(x: ScoreArray, y: ScoreArray, bins: int) -> tuple[ScoreArray, ScoreArray]:
    """At most ``2 * bins`` points of a series that keep the extremes of each of ``bins`` pieces.

    Args:
        x, y: (F,) positions, increasing, and values; NaN = no value there.
        bins: how many pieces.

    Returns:
        The lowest and the highest point of each piece, in order of ``x``; a piece without any
        value gives one NaN (a gap). Short series come back as they are.
    """
    if len(y) <= 2 * bins:
        return x, y
    edges = np.linspace(0, len(y), bins + 1).astype(np.int64)
    within = edges[:-1, None] + np.arange(np.diff(edges).max())
    inside = within < edges[1:, None]
    values = np.where(inside, y[np.where(inside, within, 0)], np.nan)
    missing = np.isnan(values)
    lowest = np.where(missing, np.inf, values).argmin(axis=1)
    highest = np.where(missing, -np.inf, values).argmax(axis=1)
    lowest[missing.all(axis=1)] = highest[missing.all(axis=1)] = 0
    kept = np.unique(edges[:-1] + np.stack([lowest, highest]))
    return x[kept], y[kept]


def runs(mask: BoolArray) -> IntArray:
    """(R, 2) first and one-past-last positions of the stretches where ``mask`` holds."""
    steps = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    pairs = (np.flatnonzero(steps == 1), np.flatnonzero(steps == -1))
    return np.stack(pairs, axis=1).astype(np.int64)


def number(value: float) -> str:
    """A coordinate with one decimal at most: ``12``, ``12.5``."""
    return f"{value:.1f}".removesuffix(".0")


def _points(x: ScoreArray, y: ScoreArray) -> str:
    return "L".join(f"{number(a)} {number(b)}" for a, b in zip(x, y, strict=True))


def line_path(x: ScoreArray, y: ScoreArray) -> str:
    """SVG path data of a line; NaN in ``y`` interrupts it, a lone point becomes a short dash."""
    parts = []
    for start, stop in runs(~np.isnan(y)):
        points = _points(x[start:stop], y[start:stop])
        parts.append(f"M{points}" + ("h1" if stop - start == 1 else ""))
    return "".join(parts)


def area_path(x: ScoreArray, y: ScoreArray, base: float) -> str:
    """SVG path data of the area between a line and ``base``; NaN in ``y`` interrupts it."""
    return "".join(
        f"M{number(x[start])} {number(base)}L{_points(x[start:stop], y[start:stop])}"
        f"V{number(base)}Z"
        for start, stop in runs(~np.isnan(y))
    )


def short(value: float) -> str:
    """A score in few characters: ``3``, ``0.42``, ``1.3e-05``; a dash for NaN."""
    if math.isnan(value):
        return "–"
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.3g}"


def clock(seconds: float) -> str:
    """A time in a clip: ``4.92 s``, ``2:04.9`` from a minute on, ``1:02:04.9`` from an hour on."""
    if round(seconds, 2) < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def axis_time(seconds: float) -> str:
    """A tick of a time axis: ``2.5 s``, from one minute on ``1:30``."""
    if seconds < 60:
        return f"{seconds:g} s"
    return clock(seconds).removesuffix(".0")


def share(part: int, whole: int) -> str:
    """A percentage with two significant digits: ``2 %``, ``0.21 %``; a dash where whole is 0."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 9.5 else f"{percent:.2g} %"


def tile(number: int, noun: str, nouns: str = "") -> tuple[str, str]:
    """A key figure and what it counts: ``("1", "likely miss")``; see ``counted``."""
    figure, _, words = counted(int(number), noun, nouns).partition(" ")
    return figure, words


def plural(count: int, one: str, many: str = "") -> str:
    """``1 frame``, ``1,200 frames``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
