"""``report.html`` of a campaign, with the same numbers as ``report.json`` and ``report.csv``."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vidal.query.cost import Spent, duration
from vidal.report import figures, reliability
from vidal.report.campaign.curve import curve_chart, outlook_words
from vidal.report.campaign.story import CampaignStory, RoundStory
from vidal.report.query_files import csv_text, plain
from vidal.report.round.page import environment, flat
from vidal.store import atomic
from vidal.store.own import OwnFiles
from vidal.words import counted, printable

FILES = ("report.html", "report.json", "report.csv")
"""What the report of a campaign consists of."""

MOST_ROUNDS = 200
"""Rounds on the page, the newest; ``report.csv`` and ``report.json`` have all."""
_MOST_SKIPPED = 200


def write_campaign_report(story: CampaignStory, out: Path) -> dict[str, Path]:
    """Write page, numbers and table; each appears whole, and nobody else's file is replaced.

    Args:
        story: what is told.
        out: the folder; made if it is missing.

    Returns:
        The path of each file, by its name.

    Raises:
        OutputError: it cannot be written, or would replace a file that vidal did not write.
    """
    with atomic.reporting(out):
        out.mkdir(parents=True, exist_ok=True)
    own = OwnFiles(out, FILES)
    own.check()
    with own.replacing("report.json") as path:
        text = json.dumps(plain(story.as_dict()), indent=1, ensure_ascii=False, allow_nan=False)
        atomic.write_text(path, text + "\n")
    with own.replacing("report.csv") as path:
        atomic.write_text(path, _csv(story))
    with own.replacing("report.html") as path:
        page = environment().get_template("campaign.html.j2").render(**_context(story))
        atomic.write_bytes(path, page.encode("utf-8", errors="backslashreplace"))
    return {name: out / name for name in FILES}


def _csv(story: CampaignStory) -> str:
    """One row a round."""
    heads = [
        *("round", "strategy", "state", "asked", "labelled", "waiting", "skipped", "objects"),
        *("unknown_objects", "expected_hours", "real_hours", "ap50", "ap50_low", "ap50_high"),
    ]
    points = {each.round: each for each in story.curve}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heads)
    for row in story.rounds:
        unknown = row.objects.get("", 0)
        counts = [row.asked, row.labelled, row.waiting, row.skipped]
        objects = [sum(row.objects.values()) - unknown, unknown]
        costs = [_hours(row.expected), _hours(row.real)]
        ap: list[Any] = ["", "", ""]
        if row.number in points:
            told = points[row.number].ap
            ap = [f"{n:.4f}" if math.isfinite(n) else "" for n in (told.value, told.low, told.high)]
        texts = [csv_text(printable(row.strategy)), row.state]
        writer.writerow([row.number, *texts, *counts, *objects, *costs, *ap])
    return stream.getvalue()


def _hours(spent: Spent | None) -> str:
    return "" if spent is None else f"{spent.seconds / 3600:.3f}"


def _context(story: CampaignStory) -> dict[str, Any]:
    spent = story.spent
    frames = story.frames
    return {
        "name": printable(story.name),
        "headline": f"{counted(frames['labelled'], 'labelled frame')} in"
        f" {counted(len([r for r in story.rounds if r.state != 'withdrawn']), 'round')}",
        "lead": _lead(story),
        "tiles": _tiles(story),
        "notes": [printable(note) for note in story.notes],
        "next": tuple(printable(each) for each in story.next),
        "rounds": list(_rows(story, story.rounds[-MOST_ROUNDS:])),
        "all_rounds": len(story.rounds),
        "any_ap": bool(story.curve),
        "any_report": any(each.report for each in story.rounds),
        "chart": curve_chart(story),
        "points": len(story.curve),
        "test": story.test,
        "outlook": outlook_words(story),
        "effort": _effort(story),
        "rates": story.cost.text,
        "spent": None if spent is None else spent.text,
        "histogram": _histogram(story),
        "told": [
            {**(reliability.section(each) or {}), "judgements": _judgements(each)}
            for each in story.forecasts[-MOST_ROUNDS:]
        ],
        "skipped": [
            {"path": printable(each.path), "reason": printable(each.reason)}
            for each in story.skipped[:_MOST_SKIPPED]
        ],
        "more_skipped": max(0, len(story.skipped) - _MOST_SKIPPED),
        "settings": list(flat(plain(story.settings))),
        "versions": list(story.versions.items()),
    }


def _lead(story: CampaignStory) -> str:
    clips = story.clips
    parts = [
        f"{counted(clips.get('train', 0), 'training clip')},"
        f" {clips.get('validation', 0):,} for validation, {clips.get('test', 0):,} for testing;"
        f" {counted(len(story.classes), 'class', 'classes')}: "
        + ", ".join(printable(name) for name in story.classes[:12])
    ]
    if len(story.classes) > 12:
        parts.append(f" and {len(story.classes) - 12} more")
    return "".join(parts) + "."


def _tiles(story: CampaignStory) -> list[tuple[str, str]]:
    frames, spent = story.frames, story.spent
    tiles = [
        (
            figures.share(frames["labelled"], frames["all"]),
            f"of {counted(frames['all'], 'frame')} labelled",
        )
    ]
    if frames["waiting"]:
        waiting = "frame waits for labels", "frames wait for labels"
        tiles.append(figures.tile(frames["waiting"], *waiting))
    if frames["skipped"]:
        tiles.append(figures.tile(frames["skipped"], "frame skipped", "frames skipped"))
    objects = sum(sum(each.objects.values()) for each in story.rounds)
    tiles.append(figures.tile(objects, "annotated object"))
    if spent is not None:
        tiles.append((duration(spent.seconds), "of annotation, by the rates"))
    known = [each for each in story.curve if math.isfinite(each.ap.value)]
    if known:
        number = known[-1].round
        when = "before any training" if number is None else f"after round {number}"
        tiles.append((f"{known[-1].ap.value:.3f}", f"AP50 {when}"))
    return tiles


def _rows(story: CampaignStory, rounds: Sequence[RoundStory]) -> Iterator[dict[str, Any]]:
    points = {each.round: each for each in story.curve}
    for row in rounds:
        point = points.get(row.number)
        yield {
            "number": row.number,
            "strategy": printable(row.strategy),
            "state": row.state,
            "asked": row.asked,
            "labelled": row.labelled,
            "waiting": row.waiting,
            "skipped": row.skipped,
            "objects": sum(row.objects.values()),
            "expected": "" if row.expected is None else duration(row.expected.seconds),
            "real": "" if row.real is None else duration(row.real.seconds),
            "ap": "" if point is None or math.isnan(point.ap.value) else f"{point.ap.value:.3f}",
            "span": ""
            if point is None or not math.isfinite(point.ap.low)
            else f"{point.ap.low:.3f} to {point.ap.high:.3f}",
            "link": quote(row.report.encode("utf-8", "surrogateescape")),
        }


def _effort(story: CampaignStory) -> list[dict[str, Any]]:
    """Bars of hours a round: expected and real, on one scale."""
    rows = [each for each in story.rounds[-MOST_ROUNDS:] if each.expected or each.real]
    sides = [side for each in rows for side in (each.expected, each.real)]
    most = max((side.seconds for side in sides if side is not None), default=0.0) or 1.0
    return [
        {
            "number": each.number,
            "expected": None if each.expected is None else each.expected.text,
            "expected_bar": _bar(each.expected, most),
            "real": None if each.real is None else each.real.text,
            "real_bar": _bar(each.real, most),
            "partly": bool(each.waiting),
        }
        for each in rows
    ]


def _bar(spent: Spent | None, most: float) -> str:
    return "0" if spent is None else f"{100 * spent.seconds / most:.1f}"


def _histogram(story: CampaignStory) -> list[dict[str, Any]]:
    """Objects of each class, the last answered round's set off from what was there before."""
    answered = [each for each in story.rounds if each.labelled]
    total = _sum(answered)
    last: Mapping[str, int] = answered[-1].objects if len(answered) > 1 else {}
    names = [*story.classes, *([""] if total.get("") else [])]
    most = max(total.values(), default=0) or 1
    order = sorted(names, key=lambda name: (name == "", -total.get(name, 0)))
    return [
        {
            "name": printable(name) or "unknown objects",
            "before": total.get(name, 0) - last.get(name, 0),
            "added": last.get(name, 0),
            "after": total.get(name, 0),
            "before_bar": f"{100 * (total.get(name, 0) - last.get(name, 0)) / most:.1f}",
            "added_bar": f"{100 * last.get(name, 0) / most:.1f}",
        }
        for name in order
    ]


def _sum(rounds: list[RoundStory]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in rounds:
        for name, count in each.objects.items():
            total[name] = total.get(name, 0) + count
    return total


def _judgements(forecast: Any) -> list[tuple[str, str]]:
    kinds = ("False alarms", forecast.false_positives), ("Misses", forecast.misses)
    return [(name, reliability.judgement(kind)) for name, kind in kinds]
