"""One card a selected frame: its picture, its boxes, why it was chosen, what lies beside it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from vidal.report import figures
from vidal.report.evidence import Evidence
from vidal.report.figures import STYLES
from vidal.report.frames import picture_path
from vidal.report.marks import ALARM, MISS, Marks
from vidal.report.query_files import plain
from vidal.report.round.pictures import Pictures
from vidal.selection.result import SelectionResult
from vidal.types import UNKNOWN, FrameRef

_ALIKE = 3
_FINE = 640
"""Frames of fewer pixels across have boxes with a decimal."""


def common_reason(result: SelectionResult, shown: int) -> str:
    """The reason that most cards share: told once above them; empty where they differ."""
    words = result.query.explanation.words[:shown]
    if not words:
        return ""
    reason, count = Counter(words).most_common(1)[0]
    return reason if count >= _ALIKE and 2 * count > len(words) else ""


def card(
    result: SelectionResult,
    evidence: Evidence,
    names: Mapping[FrameRef, str],
    pictures: Pictures,
    at: int,
    *,
    small: bool,
    sharp: bool,
    common: str,
) -> dict[str, Any]:
    """What the template shows of the frame at a place of the query."""
    ref = result.query.frames[at]
    clip, marks = result.clips[ref.clip], evidence.marks[ref]
    height, width = clip.size
    reason = result.query.explanation.words[at]
    score = float(result.query.scores[at])
    first = _first(marks)
    return {
        "rank": at + 1,
        "clip": ref.clip,
        "index": ref.index,
        "time": figures.clock(clip.seconds(ref.index)),
        "score": score,
        "number": "" if math.isnan(score) else f"{score:.8g}",
        "reason": "" if reason == common else reason,
        "contents": _contents(marks, result.classes),
        "badges": _badges(marks),
        "parts": _parts(result, at),
        "file": picture_path(clip, names[ref]),
        "picture": pictures.small(ref) if small else "",
        "sharp": pictures.sharp_one(ref) if sharp else "",
        "near": _near(evidence, pictures, ref) if sharp else "",
        "width": width,
        "height": height,
        "marks": _drawn(marks, fine=width < _FINE),
        "labels": " ".join(str(label) for label in sorted(set(marks.labels.tolist()))),
        "kinds": " ".join(STYLES[kind].key for kind in sorted(set(marks.kind.tolist()))),
        "class": "" if first is None else int(first),
    }


def _first(marks: Marks) -> int | None:
    """The class that a card is sorted by: of its errors, else of its detections, the most usual."""
    if not len(marks):
        return None
    wrong = np.isin(marks.kind, (ALARM, MISS))
    labels = marks.labels[wrong] if wrong.any() else marks.labels
    values, counts = np.unique(labels, return_counts=True)
    return int(values[counts.argmax()])


def _contents(marks: Marks, classes: tuple[str, ...]) -> str:
    """``car 3, pedestrian 1``: what is marked on the frame, the most frequent first."""
    values, counts = np.unique(marks.labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return ", ".join(
        f"{'unknown object' if values[k] == UNKNOWN else classes[values[k]]} {counts[k]}"
        for k in order
    )


def _badges(marks: Marks) -> list[tuple[str, str, int, str]]:
    """(key, sign, count, words) of every kind of mark that has a sign."""
    found = []
    for kind, style in enumerate(STYLES):
        count = int(np.count_nonzero(marks.kind == kind))
        if count and style.sign:
            found.append((style.key, style.sign, count, style.words))
    return found


def _parts(result: SelectionResult, at: int) -> str:
    """The parts of a score in one line, ``false positives 2, misses 1``, without rough ones."""
    parts, told = [], result.query.explanation
    for name, values in told.parts.items():
        if name in told.rough:
            continue
        value = plain(np.asarray(values)[at])
        text = figures.short(float(value)) if isinstance(value, int | float) else str(value)
        parts.append(f"{name.replace('_', ' ')} {'–' if value is None else text}")
    return ", ".join(parts)


def _drawn(marks: Marks, *, fine: bool) -> list[tuple[str, str, str]]:
    """(key, numbers, path) of each box, the ones that matter last, so that they lie on top.

    The numbers are the row of the mark, its class, and score and certainty in percent, which may be
    empty: in a page of a thousand frames every byte of a box counts ten thousand times.
    """
    drawn = []
    for row in np.argsort(marks.kind, kind="stable").tolist():
        x1, y1, x2, y2 = (float(value) for value in marks.boxes[row])
        numbers = f"{row},{int(marks.labels[row])},{_percent(marks.scores[row])}"
        ends = [figures.number(each) if fine else f"{each:.0f}" for each in (x1, y1, x2, y2)]
        path = "M{0} {1}H{2}V{3}H{0}z".format(*ends)
        key = STYLES[int(marks.kind[row])].key
        drawn.append((key, f"{numbers},{_percent(marks.certainty[row])}", path))
    return drawn


def _near(evidence: Evidence, pictures: Pictures, ref: FrameRef) -> str:
    """JSON for the script: the frames beside one, each with its picture and boxes.

    A box is x, y, width, height, the rows of the marks that it is the object of, and its class.
    """
    known = {each.index: each for each in evidence.near.get(ref, ())}
    strip = []
    for each in pictures.strip(ref):
        if not each.picture:
            continue
        boxes = []
        if each.index in known:
            there = known[each.index]
            for box, marks, label in zip(there.boxes, there.marks, there.labels, strict=True):
                x1, y1, x2, y2 = (round(float(value)) for value in box)
                boxes.append([x1, y1, x2 - x1, y2 - y1, list(marks), int(label)])
        looked = each.index in known and known[each.index].looked
        told = {"index": each.index, "picture": each.picture, "looked": looked, "boxes": boxes}
        strip.append(told)
    return json.dumps(strip, separators=(",", ":"), allow_nan=False) if strip else ""


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.0f}"
