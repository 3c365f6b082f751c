"""The score of every frame of a clip over time, with estimated errors, labels and selected frames.

Drawn here as SVG, so that it prints and needs no script; the numbers beside it are for the script
that answers to the pointer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from vidal.report import figures
from vidal.report.evidence import ClipSummary, Evidence
from vidal.selection.result import SelectionResult
from vidal.types import IntArray
from vidal.words import printable

OPEN_CLIPS = 8
_MOST_MARKERS = 2000
_PLOT = (1000.0, 100.0)
_ERRORS = 34.0
"""Height of the panel of errors: false alarms upwards from its middle, misses downwards."""


def timelines(
    summaries: list[ClipSummary],
    result: SelectionResult,
    evidence: Evidence,
    *,
    linked: int,
    opened: int = OPEN_CLIPS,
) -> Iterator[dict[str, Any]]:
    """What one clip's section shows; all clips on one scale of scores, and one of errors.

    Args:
        summaries: the clips.
        result: what was selected.
        evidence: of all clips.
        linked: ranks that have a card to go to.
        opened: sections that are open from the start.
    """
    peaks = evidence.overview.peak
    peaks = peaks[~np.isnan(peaks[:, 0])]
    low = float(min(0.0, peaks[:, 0].min(initial=0.0)))
    high = float(max(low, peaks[:, 1].max(initial=low)))
    span = (low, high if high > low else low + 1.0)
    most = max((_highest(s) for s in evidence.clips), default=0)
    markers = 0
    for position, summary in enumerate(summaries):
        drawn = markers + len(summary.picks) <= _MOST_MARKERS
        markers += len(summary.picks)
        yield {
            "open": position < opened,
            "name": summary.clip.id,
            "path": printable(summary.clip.path),
            "frames": figures.plural(summary.clip.frames, "frame"),
            "length": figures.clock(_duration(summary)),
            "picks": len(summary.picks),
            "truncated": summary.clip.truncated,
            **_plot(summary, result, span, linked if drawn else -1),
            **_errors(summary, most),
            **_numbers(summary),
        }


def _highest(summary: ClipSummary) -> int:
    """Of the bars of errors, one way or the other."""
    up = summary.errors[:, 1] + summary.errors[:, 2]
    return int(max(up.max(initial=0), summary.errors[:, 3].max(initial=0)))


def _duration(summary: ClipSummary) -> float:
    clip = summary.clip
    return clip.seconds(clip.frames - 1) + float(1 / clip.rate)


def _plot(
    summary: ClipSummary, result: SelectionResult, span: tuple[float, float], linked: int
) -> dict[str, Any]:
    duration = _duration(summary)
    width, height = _PLOT
    low, high = span
    x = summary.x / duration * width
    markers = [_marker(summary, result, pick, span, linked) for pick in summary.picks]
    stems = (f"M{figures.number(10 * m['left'])} {height:.0f}V{m['top']:.1f}" for m in markers)
    return {
        "area": figures.area_path(x, _place(summary.y, span), float(_place(max(low, 0.0), span))),
        "stems": "".join(stems),
        "markers": markers if linked >= 0 else [],
        "labelled": [
            (figures.number(a / duration * width), figures.number((b - a) / duration * width))
            for a, b in summary.labelled
        ],
        "top": figures.short(high),
        "bottom": figures.short(low),
        "ticks": _axis(summary, duration),
    }


def _place(value: Any, span: tuple[float, float]) -> Any:
    """Height in the plot of a score, or of an array of scores; the highest is 8 below the top."""
    low, high = span
    return _PLOT[1] - (value - low) / (high - low) * (_PLOT[1] - 8)


def _errors(summary: ClipSummary, most: int) -> dict[str, Any]:
    """Bars of likely false alarms and misses, as paths."""
    middle, unit = _ERRORS / 2, (_ERRORS / 2 - 2) / max(most, 1)
    times, errors = _times(summary), _largest(summary)
    x = times[errors[:, 0]] / _duration(summary) * _PLOT[0]
    alarms, unsure, misses = errors[:, 1:].T

    def bars(counts: IntArray, sign: float, below: IntArray) -> str:
        """``below``: how many of another kind each bar stands on."""
        use = counts > 0
        return "".join(
            f"M{figures.number(a)} {figures.number(middle + sign * unit * b)}"
            f"v{figures.number(sign * unit * n)}"
            for a, n, b in zip(x[use], counts[use], below[use], strict=True)
        )

    none = np.zeros_like(alarms)
    width = max(1.0, _PLOT[0] / summary.clip.frames * 0.8)
    return {
        "alarms": bars(alarms, -1.0, none),
        "unsure": bars(unsure, -1.0, alarms),
        "misses": bars(misses, 1.0, none),
        "bar": figures.number(min(width, 8.0)),
        "most": most,
    }


def _largest(summary: ClipSummary) -> IntArray:
    """(n, 4) the errors, of a long clip one frame of each piece: that with the most."""
    errors, frames = summary.errors, summary.clip.frames
    if frames <= summary.most:
        return errors
    piece = errors[:, 0] * summary.most // frames
    order = np.lexsort((-errors[:, 1:].sum(axis=1), piece))
    first = np.append(True, np.diff(piece[order]) > 0)[: len(order)]
    return errors[np.sort(order[first])]


def _numbers(summary: ClipSummary) -> dict[str, str]:
    """For the script: frame, time and score of the points; the errors of these frames."""
    times = _times(summary)
    frames = np.clip(np.searchsorted(times, summary.x - 1e-9), 0, summary.clip.frames - 1)
    scored = ~np.isnan(summary.y)
    errors = summary.errors[np.isin(summary.errors[:, 0], frames)]
    return {
        "duration": f"{_duration(summary):.6g}",
        "points": " ".join(
            f"{f},{t:.6g},{figures.short(y).replace(',', '')}" if ok else f"{f},{t:.6g},"
            for f, t, y, ok in zip(
                frames.tolist(), summary.x.tolist(), summary.y.tolist(), scored, strict=True
            )
        ),
        "errors": " ".join(",".join(map(str, row)) for row in errors.tolist()),
    }


def _times(summary: ClipSummary) -> Any:
    clip = summary.clip
    return (clip.pts - clip.pts[0]).astype(np.float64) * float(clip.time_base)


def _marker(
    summary: ClipSummary,
    result: SelectionResult,
    pick: tuple[int, int],
    span: tuple[float, float],
    linked: int,
) -> dict[str, Any]:
    """One selected frame in a timeline; ``left`` and ``top`` in percent of the plot."""
    rank, index = pick
    seconds = summary.clip.seconds(index)
    score = float(result.query.scores[rank - 1])
    scored = not math.isnan(score)
    detail = f"rank {rank}: frame {index:,}, {figures.clock(seconds)}"
    return {
        "rank": rank,
        "index": index,
        "left": round(100 * seconds / _duration(summary), 2),
        "top": round(_place(score if scored else span[0] + 0.6 * (span[1] - span[0]), span), 1),
        "linked": rank <= linked,
        "detail": f"{detail}, score {figures.short(score)}" if scored else detail,
    }


def _axis(summary: ClipSummary, duration: float) -> list[tuple[str, str, str]]:
    """(left in percent, time, frame) of the ticks of a clip's time axis."""
    seconds = _times(summary)
    marks = [tick for tick in figures.ticks(0.0, duration, 8) if tick <= 0.97 * duration]
    last = summary.clip.frames - 1
    indices = np.clip(np.searchsorted(seconds, np.array(marks) - 1e-6), 0, last)
    return [
        (f"{100 * tick / duration:.2f}", figures.axis_time(tick), f"{int(index):,}")
        for tick, index in zip(marks, indices, strict=True)
    ]
