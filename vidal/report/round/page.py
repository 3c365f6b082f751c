"""``report.html``: one file that opens offline, for the person who decides about annotation.

It loads nothing: pictures, styles and script are inside, and a content security policy forbids
requests. Its size is bounded: see ``pictures`` for the pictures, and score curves become coarser
with the number of clips. It is written piece by piece.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from vidal.query.cost import duration
from vidal.report import figures, reliability
from vidal.report.clip_files import pages_of
from vidal.report.evidence import Evidence, legend
from vidal.report.figures import STYLES
from vidal.report.frames import FOLDER
from vidal.report.marks import (
    ALARM,
    DETECTED,
    LIKELY_UNKNOWN,
    MISS,
    UNKNOWN_OBJECT,
    UNSURE,
    named,
)
from vidal.report.query_files import plain
from vidal.report.round.cards import card, common_reason
from vidal.report.round.classes import class_table, labels_table, unseen
from vidal.report.round.pictures import Pictures, allowed
from vidal.report.round.timelines import timelines
from vidal.selection.result import SelectionResult
from vidal.types import UNKNOWN, FrameRef
from vidal.words import printable

MOST_CARDS = 500
"""Selected frames with a card in the report; further ones are in ``frames/`` and the timelines."""
_LEAST_CARDS = 50
"""Shown whatever is on them."""
_PICTURE = 1_400
"""Bytes that the picture of a card takes at least, about."""
_MOST_ROWS = 200
"""Of the table of skipped inputs."""


def write_report(
    result: SelectionResult,
    evidence: Evidence,
    names: Mapping[FrameRef, str],
    pictures: Pictures,
    path: Path,
) -> None:
    """Write the report to ``path``, with the pictures that were collected.

    Raises:
        OSError: it cannot be written.
    """
    template = environment().get_template("report.html.j2")
    # What holds a name that is not UTF-8 (a class, a reason) shows it escaped.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.writelines(template.generate(**_context(result, evidence, names, pictures)))


def environment() -> Environment:
    """Of the templates of a round's and of a campaign's report."""
    made = Environment(
        loader=PackageLoader("vidal.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(short=figures.short, thousands=lambda count: f"{count:,}")
    return made


def _context(
    result: SelectionResult,
    evidence: Evidence,
    names: Mapping[FrameRef, str],
    pictures: Pictures,
) -> dict[str, Any]:
    shown = result.query.frames[: pictures.cards]
    small, sharp = pictures.fitting()
    common = common_reason(result, len(shown))
    cards = (
        card(
            result, evidence, names, pictures, at, small=at < small, sharp=at < sharp, common=common
        )
        for at in range(len(shown))
    )
    return {
        "headline": _headline(result),
        "strategy": result.strategy,
        "round": result.query.round,
        "budget": _budget(result),
        "cost": result.cost_words,
        "tiles": _tiles(result, evidence),
        "detected": evidence.detected,
        "estimated": evidence.estimated,
        "alarms": evidence.calls_alarms,
        "styles": legend(evidence),
        "all_styles": STYLES,
        "styles_json": json.dumps(
            {style.key: {"words": style.words, "sign": style.sign} for style in STYLES},
            allow_nan=False,
        ),
        "cards": cards,
        "common": common,
        "sharp": sharp,
        "pictured": small if any(result.clips[ref.clip].pixels for ref in shown) else 0,
        "shown": len(shown),
        "selected": len(result.query),
        "folder": FOLDER,
        "clip_choices": sorted({ref.clip for ref in shown}),
        "class_choices": _class_choices(result, evidence, shown),
        "class_names": list(result.classes),
        "unknown_name": named(UNKNOWN, result.classes),
        "settings": list(flat(plain(result.settings))),
        "versions": list(result.versions.items()),
        "skipped": [
            {"path": printable(each.path), "reason": printable(each.reason)}
            for each in result.skipped[:_MOST_ROWS]
        ],
        "more_skipped": max(0, len(result.skipped) - _MOST_ROWS),
        "notes": [printable(note) for note in result.notes],
        "outcome": reliability.section(result.outcome),
        "worth": reliability.worth_words(result.worth),
        "forecast": reliability.section(result.forecast),
        **_clips_and_classes(result, evidence, len(shown)),
    }


def _clips_and_classes(result: SelectionResult, evidence: Evidence, linked: int) -> dict[str, Any]:
    overview = evidence.overview
    with_picks = [summary for summary in evidence.clips if summary.picks]
    idle = [summary for summary in evidence.clips if not summary.picks]
    return {
        "timelines": timelines(with_picks, result, evidence, linked=linked),
        "idle": len(idle),
        "idle_timelines": timelines(idle, result, evidence, linked=linked, opened=0),
        "scored": not np.isnan(overview.peak).all(),
        "any_labelled": bool(overview.labelled.any()),
        "any_errors": bool(overview.said.any()),
        "clips": len(overview.clips),
        "drawn": len(evidence.clips),
        "clip_pages": pages_of(result) if len(overview.clips) > len(evidence.clips) else [],
        "classes": class_table(result, evidence),
        "labels": labels_table(result, evidence),
        "unseen": unseen(result, evidence),
        "scanned": overview.scanned,
        "selectable": overview.selectable,
        "frames": sum(clip.frames for clip in result.clips.values()),
        "threshold": result.threshold,
    }


def cards_that_fit(result: SelectionResult, evidence: Evidence) -> int:
    """Selected frames that are shown: as many as the page has room for, each with a picture."""
    least = min(_LEAST_CARDS, len(result.query))
    cards = min(MOST_CARDS, len(result.query))
    limit = allowed(len(result.query))
    while cards > least and other_bytes(result, evidence, cards) + _PICTURE * cards > limit:
        cards = max(least, cards * 9 // 10)
    return cards


def other_bytes(result: SelectionResult, evidence: Evidence, cards: int) -> int:
    """About how many bytes the page has without pictures; rather too many than too few."""
    shown = result.query.frames[:cards]
    boxes = sum(len(evidence.marks[ref]) for ref in shown)
    beside = sum(len(each.boxes) for ref in shown for each in evidence.near.get(ref, ()))
    words = result.query.explanation.words[:cards]
    reasons = sum(len(each.encode("utf-8", "replace")) for each in words)
    names = sum(len(ref.clip.encode("utf-8", "replace")) for ref in shown)
    points = sum(len(each.x) for each in evidence.clips)
    errors = sum(min(len(each.errors), each.most) for each in evidence.clips)
    parts = len(result.query.explanation.parts)
    return (
        90_000
        + (950 + 25 * parts) * len(shown)
        + 85 * boxes
        + 26 * beside
        + reasons
        + 4 * names
        + 36 * points
        + 36 * errors
        + 2_000 * len(evidence.clips)
        + 500 * len(result.classes)
    )


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
        (
            f"{used:,} of {len(result.clips):,}",
            "clips with selected frames" if len(result.clips) != 1 else "clip with selected frames",
        ),
    ]
    if evidence.detected:
        kinds = [marks.kind for marks in evidence.marks.values()] or [np.zeros(0, np.int64)]
        counts = np.bincount(np.concatenate(kinds), minlength=len(STYLES))
        seen = int(counts[list(DETECTED)].sum())
        tiles.append(figures.tile(seen, "detection in them", "detections in them"))
        if evidence.estimated:
            if counts[UNSURE]:
                tiles.append(figures.tile(counts[UNSURE], "unsure detection"))
            if evidence.calls_alarms:
                tiles.append(figures.tile(counts[ALARM], "likely false alarm"))
            tiles.append(figures.tile(counts[MISS], "likely miss", "likely misses"))
        if counts[LIKELY_UNKNOWN]:
            tiles.append(figures.tile(counts[LIKELY_UNKNOWN], "likely unknown object"))
        if counts[UNKNOWN_OBJECT]:
            one, many = (f"annotated as {each}" for each in ("unknown object", "unknown objects"))
            tiles.append(figures.tile(counts[UNKNOWN_OBJECT], one, many))
    if result.expected_cost is not None:
        tiles.append((duration(result.expected_cost.seconds), "expected to annotate them"))
    if result.real_cost is not None:
        tiles.append((duration(result.real_cost.seconds), "spent on annotating, by the rates"))
    if result.skipped:
        tiles.append(figures.tile(len(result.skipped), "input skipped", "inputs skipped"))
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


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and text."""
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | dict):
            yield f"{prefix}{key}", ", ".join(str(item) for item in value) or "none"
        elif isinstance(value, bool) or value is None:
            yield f"{prefix}{key}", {True: "yes", False: "no", None: "none"}[value]
        else:
            yield f"{prefix}{key}", str(value)
