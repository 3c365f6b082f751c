"""``report.html``: one file that opens offline, for the person who decides about annotation.

It loads nothing: pictures, styles and the few lines of script are inside, and a content security
policy forbids requests. Its size is bounded: pictures of the first ``MOST_THUMBNAILS`` ranks, and
score curves that become coarser with the number of clips. It is written piece by piece.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from vidal.query.cost import duration
from vidal.report import figures, reliability
from vidal.report.evidence import (
    ALARM,
    DETECTED,
    LIKELY_UNKNOWN,
    MISS,
    UNKNOWN_OBJECT,
    UNSURE,
    ClipSummary,
    Evidence,
    Marks,
    legend,
    named,
)
from vidal.report.figures import STYLES
from vidal.report.frames import FOLDER, picture_path
from vidal.report.query_files import plain
from vidal.selection.result import SelectionResult
from vidal.types import UNKNOWN, FrameRef, IntArray
from vidal.words import printable

MOST_THUMBNAILS = 240
"""Pictures inside the report; further selected frames are in ``frames/`` and in the timelines."""

_OPEN_CLIPS = 8
_MOST_MARKERS = 2000
_MOST_LABELS = 6  # on a small picture more would hide each other; the large one shows all
_PLOT = (1000.0, 100.0)


def write_report(
    result: SelectionResult,
    evidence: Evidence,
    names: Mapping[FrameRef, str],
    thumbnails: Path,
    path: Path,
) -> None:
    """Write the report to ``path``, with the pictures that lie in ``thumbnails`` under ``names``.

    Raises:
        OSError: it cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("vidal.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(short=figures.short, thousands=lambda count: f"{count:,}")
    template = environment.get_template("report.html.j2")
    # What holds a name that is not UTF-8 (a class, a reason) shows it escaped.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.writelines(template.generate(**_context(result, evidence, names, thumbnails)))


def _context(
    result: SelectionResult,
    evidence: Evidence,
    names: Mapping[FrameRef, str],
    thumbnails: Path,
) -> dict[str, Any]:
    shown = result.query.frames[:MOST_THUMBNAILS]
    return {
        "headline": _headline(result),
        "strategy": result.strategy,
        "round": result.query.round,
        "budget": _budget(result),
        "cost": result.cost_words,
        "tiles": _tiles(result, evidence),
        "detected": evidence.detected,
        "estimated": evidence.estimated,
        "styles": legend(evidence),
        "all_styles": STYLES,
        "cards": (_card(result, evidence, names, thumbnails, at) for at in range(len(shown))),
        "shown": len(shown),
        "selected": len(result.query),
        "folder": FOLDER,
        "clip_choices": sorted({ref.clip for ref in shown}),
        "class_choices": _class_choices(result, evidence, shown),
        "settings": list(_flat(plain(result.settings))),
        "versions": list(result.versions.items()),
        "skipped": [
            {"path": printable(each.path), "reason": printable(each.reason)}
            for each in result.skipped
        ],
        "notes": [printable(note) for note in result.notes],
        "forecast": reliability.section(result.forecast),
        **_clips_and_classes(result, evidence),
    }


def _clips_and_classes(result: SelectionResult, evidence: Evidence) -> dict[str, Any]:
    with_picks = [summary for summary in evidence.clips if summary.picks]
    idle = [summary for summary in evidence.clips if not summary.picks]
    return {
        "timelines": _timelines(with_picks, result, evidence),
        "idle": len(idle),
        "idle_timelines": _timelines(idle, result, evidence, opened=0),
        "scored": any(not math.isnan(s.peak[0]) for s in evidence.clips),
        "any_labelled": any(len(s.labelled) for s in evidence.clips),
        "classes": _class_table(result, evidence),
        "unseen": _unseen(result, evidence),
        "scanned": sum(s.scanned for s in evidence.clips),
        "selectable": evidence.selectable,
        "frames": sum(clip.frames for clip in result.clips.values()),
        "threshold": result.threshold,
    }


def _headline(result: SelectionResult) -> str:
    count, base = len(result.query), sum(clip.frames for clip in result.clips.values())
    return (
        f"{count:,} of {figures.plural(base, 'frame')} ({figures.share(count, base)}) "
        f"from {figures.plural(len(result.clips), 'clip')}"
    )


def _budget(result: SelectionResult) -> str:
    asked, got = result.query.budget, len(result.query)
    text = result.budget_words
    if got < asked:
        return f"{text}: {asked:,} asked for, {got:,} selected"
    return f"{text}: {figures.plural(asked, 'frame')}" if "%" in result.budget_text else text


def _tiles(result: SelectionResult, evidence: Evidence) -> list[tuple[str, str]]:
    """(figure, what it counts) for the row of key figures."""
    used = len({ref.clip for ref in result.query.frames})
    tiles = [
        figures.tile(len(result.query), "frame selected", "frames selected"),
        (f"{used:,} of {len(result.clips):,}", "clips with selected frames"),
    ]
    if evidence.detected:
        kinds = [marks.kind for marks in evidence.marks.values()] or [np.zeros(0, np.int64)]
        counts = np.bincount(np.concatenate(kinds), minlength=len(STYLES))
        tiles.append((f"{counts[list(DETECTED)].sum():,}", "detections in these frames"))
        if evidence.estimated:
            if counts[UNSURE]:
                tiles.append(figures.tile(counts[UNSURE], "unsure detection"))
            tiles.append(figures.tile(counts[ALARM], "likely false alarm"))
            tiles.append(figures.tile(counts[MISS], "likely miss", "likely misses"))
        if counts[LIKELY_UNKNOWN]:
            tiles.append(figures.tile(counts[LIKELY_UNKNOWN], "likely unknown object"))
        if counts[UNKNOWN_OBJECT]:
            one, many = (f"annotated as {each}" for each in ("unknown object", "unknown objects"))
            tiles.append(figures.tile(counts[UNKNOWN_OBJECT], one, many))
    if result.expected_cost is not None:
        tiles.append((duration(result.expected_cost.seconds), "expected to annotate them"))
    if result.skipped:
        tiles.append((f"{len(result.skipped):,}", "inputs skipped"))
    return tiles


def _class_choices(
    result: SelectionResult, evidence: Evidence, shown: tuple[FrameRef, ...]
) -> list[tuple[int, str]]:
    present: set[int] = set()
    for ref in shown:
        present.update(evidence.marks[ref].labels.tolist())
    return sorted(
        ((label, named(label, result.classes)) for label in present), key=lambda pair: pair[1]
    )


def _card(
    result: SelectionResult,
    evidence: Evidence,
    names: Mapping[FrameRef, str],
    thumbnails: Path,
    at: int,
) -> dict[str, Any]:
    ref = result.query.frames[at]
    clip, marks = result.clips[ref.clip], evidence.marks[ref]
    height, width = clip.size
    picture = ""
    if clip.pixels:
        picture = base64.b64encode((thumbnails / names[ref]).read_bytes()).decode("ascii")
    return {
        "rank": at + 1,
        "clip": ref.clip,
        "path": printable(clip.path),
        "index": ref.index,
        "time": figures.clock(clip.seconds(ref.index)),
        "score": float(result.query.scores[at]),
        "reason": result.query.explanation.words[at],
        "parts": _parts(result, at),
        "file": picture_path(clip, names[ref]),
        "picture": picture,
        "width": width,
        "height": height,
        "text": round(width / 30, 1),
        "boxes": _boxes(marks, result.classes, width),
        "labels": " ".join(str(label) for label in sorted(set(marks.labels.tolist()))),
        "alarms": int(np.count_nonzero(marks.kind == ALARM)),
        "misses": int(np.count_nonzero(marks.kind == MISS)),
        "dense": int(np.count_nonzero(marks.kind >= ALARM)) > _MOST_LABELS,
    }


def _parts(result: SelectionResult, at: int) -> str:
    """The parts of a score in one line: ``false alarms 2, misses 1``."""
    parts = []
    for name, values in result.query.explanation.parts.items():
        value = plain(np.asarray(values)[at])
        text = figures.short(float(value)) if isinstance(value, int | float) else str(value)
        parts.append(f"{name.replace('_', ' ')} {'–' if value is None else text}")
    return ", ".join(parts)


def _boxes(marks: Marks, classes: tuple[str, ...], width: int) -> list[dict[str, Any]]:
    """Boxes to draw, the ones that matter last, so that they lie on top."""
    boxes = []
    for row in np.argsort(marks.kind, kind="stable"):
        style = STYLES[int(marks.kind[row])]
        x1, y1, x2, y2 = (float(value) for value in marks.boxes[row])
        name = named(int(marks.labels[row]), classes)
        score, certainty = float(marks.scores[row]), float(marks.certainty[row])
        label = f"{style.sign} {name}".strip() + ("" if math.isnan(score) else f" {score:.2f}")
        detail = style.words if marks.labels[row] == UNKNOWN else f"{style.words}: {name}"
        if not math.isnan(score):
            detail += f", score {score:.2f}"
        if not math.isnan(certainty):
            detail += f"; certainty of this verdict {certainty:.2f}"
        right = x1 > 0.75 * width
        boxes.append(
            {
                "key": style.key,
                "x": figures.number(x1),
                "y": figures.number(y1),
                "w": figures.number(x2 - x1),
                "h": figures.number(y2 - y1),
                "label": label,
                "detail": detail,
                "text_x": figures.number(x2 if right else x1),
                "text_y": y1,
                "anchor": "end" if right else "start",
            }
        )
    return boxes


def _timelines(
    summaries: list[ClipSummary],
    result: SelectionResult,
    evidence: Evidence,
    opened: int = _OPEN_CLIPS,
) -> Iterator[dict[str, Any]]:
    """What one clip's section shows; all clips on one scale of scores."""
    peaks = [s.peak for s in evidence.clips if not math.isnan(s.peak[0])]
    low = min([0.0, *(peak[0] for peak in peaks)])
    high = max([low, *(peak[1] for peak in peaks)])
    span = (low, high if high > low else low + 1.0)
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
            **_plot(summary, result, span, drawn=drawn),
        }


def _duration(summary: ClipSummary) -> float:
    clip = summary.clip
    return clip.seconds(clip.frames - 1) + float(1 / clip.rate)


def _plot(
    summary: ClipSummary, result: SelectionResult, span: tuple[float, float], *, drawn: bool
) -> dict[str, Any]:
    duration = _duration(summary)
    width, height = _PLOT
    low, high = span
    x = summary.x / duration * width
    markers = [_marker(summary, result, pick, span) for pick in summary.picks]
    stems = (f"M{figures.number(10 * m['left'])} {height:.0f}V{m['top']:.1f}" for m in markers)
    return {
        "area": figures.area_path(x, _place(summary.y, span), float(_place(max(low, 0.0), span))),
        "line": figures.line_path(x, _place(summary.y, span)),
        "stems": "".join(stems),
        "markers": markers if drawn else [],
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


def _marker(
    summary: ClipSummary, result: SelectionResult, pick: tuple[int, int], span: tuple[float, float]
) -> dict[str, Any]:
    """One selected frame in a timeline; ``left`` and ``top`` in percent of the plot."""
    rank, index = pick
    seconds = summary.clip.seconds(index)
    score = float(result.query.scores[rank - 1])
    scored = not math.isnan(score)
    detail = f"rank {rank}: frame {index:,}, {figures.clock(seconds)}"
    return {
        "rank": rank,
        "left": round(100 * seconds / _duration(summary), 2),
        "top": round(_place(score if scored else span[0] + 0.6 * (span[1] - span[0]), span), 1),
        "linked": rank <= MOST_THUMBNAILS,
        "detail": f"{detail}, score {figures.short(score)}" if scored else detail,
    }


def _axis(summary: ClipSummary, duration: float) -> list[tuple[str, str, str]]:
    """(left in percent, time, frame) of the ticks of a clip's time axis."""
    clip = summary.clip
    seconds = (clip.pts - clip.pts[0]) * float(clip.time_base)
    marks = [tick for tick in figures.ticks(0.0, duration, 8) if tick <= 0.97 * duration]
    indices = np.clip(np.searchsorted(seconds, np.array(marks) - 1e-6), 0, clip.frames - 1)
    return [
        (f"{100 * tick / duration:.2f}", figures.axis_time(tick), f"{int(index):,}")
        for tick, index in zip(marks, indices, strict=True)
    ]


def _totals(result: SelectionResult, evidence: Evidence) -> tuple[IntArray, IntArray]:
    """(3, K) counts of the pool and of the selected frames, over all clips."""
    none = np.zeros((3, len(result.classes)), dtype=np.int64)
    pool = sum((s.pool for s in evidence.clips), none)
    selected = sum((s.selected for s in evidence.clips), none)
    return np.asarray(pool), np.asarray(selected)


def _class_table(result: SelectionResult, evidence: Evidence) -> list[dict[str, Any]]:
    pool, selected = _totals(result, evidence)
    sums = np.maximum(pool[0].sum(), 1), np.maximum(selected[0].sum(), 1)
    shares = pool[0] / sums[0], selected[0] / sums[1]
    widest = max(float(shares[0].max(initial=0)), float(shares[1].max(initial=0)), 1e-9)
    order = [k for k in np.argsort(-pool[0], kind="stable") if (pool[:, k] + selected[:, k]).any()]
    return [
        {
            "name": result.classes[k],
            "pool": [int(count) for count in pool[:, k]],
            "selected": [int(count) for count in selected[:, k]],
            "pool_share": figures.share(int(pool[0, k]), int(pool[0].sum())),
            "selected_share": figures.share(int(selected[0, k]), int(selected[0].sum())),
            "pool_bar": f"{100 * shares[0][k] / widest:.1f}",
            "selected_bar": f"{100 * shares[1][k] / widest:.1f}",
        }
        for k in order
    ]


def _unseen(result: SelectionResult, evidence: Evidence) -> list[str]:
    pool, selected = _totals(result, evidence)
    return [
        name for k, name in enumerate(result.classes) if not (pool[:, k] + selected[:, k]).any()
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and text."""
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", ", ".join(str(item) for item in value) or "none"
        elif isinstance(value, bool) or value is None:
            yield f"{prefix}{key}", {True: "yes", False: "no", None: "none"}[value]
        else:
            yield f"{prefix}{key}", str(value)
