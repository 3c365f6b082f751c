"""``clips.csv`` and ``clips/``: every clip in numbers, where the page has no room to draw them all.

``clips.csv`` has one row a clip. ``clips/00001.json``, ... (``format`` "vidal-clips", ``schema`` 1)
hold ``PAGE`` clips each, with their selected frames and their scores over time, downsampled.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidal.report.evidence import Evidence, curve, picks_of, points_of
from vidal.report.overview import ALARMS, DOUBTS, MISSES, Picks
from vidal.report.query_files import clean, csv_text, path_fields
from vidal.selection.loads import loader_of
from vidal.selection.result import SelectionResult

TABLE, FOLDER = "clips.csv", "clips"
FORMAT, SCHEMA = "vidal-clips", 1
PAGE = 1000
"""Clips of a file in ``clips/``."""

_COUNTS = ("detections", "likely_false_alarms", "unsure", "likely_misses")


def pages_of(result: SelectionResult) -> list[dict[str, Any]]:
    """The files of ``clips/``: path from the page, and the first and last clip, from 1."""
    count = len(result.clips)
    return [
        {
            "path": f"{FOLDER}/{number:05d}.json",
            "first": first + 1,
            "last": min(first + PAGE, count),
        }
        for number, first in enumerate(range(0, count, PAGE), start=1)
    ]


def write_clips(result: SelectionResult, evidence: Evidence, new: Path, out: Path) -> None:
    """Write both into ``new``; paths of clips count from ``out``.

    Raises:
        OSError: they cannot be written.
    """
    picks, rows = picks_of(result), list(_rows(result, evidence, out))
    with (new / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        heads = ("clip", "path", "frames", "seconds", "selected", "labelled", "lowest", "highest")
        writer.writerow([*heads, *_COUNTS])
        for row in rows:
            named = [csv_text(row["clip"]), csv_text(row["path"])]
            writer.writerow([*named, *(row[name] for name in (*heads[2:], *_COUNTS))])
    (new / FOLDER).mkdir()
    told, pages = _with_curves(result, rows, picks), pages_of(result)
    for number, page in enumerate(pages, start=1):
        with (new / str(page["path"])).open("w", encoding="utf-8") as file:
            head = {"format": FORMAT, "schema": SCHEMA, "page": number, "pages": len(pages)}
            file.write(json.dumps(head, allow_nan=False)[:-1] + ', "clips": [')
            for at in range(int(page["first"]), int(page["last"]) + 1):
                file.write(",\n" if at > page["first"] else "\n")
                file.write(json.dumps(next(told), ensure_ascii=False, allow_nan=False))
            file.write("\n]}\n")


def _rows(result: SelectionResult, evidence: Evidence, out: Path) -> Iterator[dict[str, Any]]:
    """One a clip, JSON values."""
    told = evidence.overview
    for number, (name, clip) in enumerate(result.clips.items()):
        alarms, unsure, misses = told.doubts[number, [ALARMS, DOUBTS, MISSES]].tolist()
        low, high = told.peak[number].tolist()
        yield {
            "clip": clean(name),
            **path_fields(clip.path, out),
            "frames": clip.frames,
            "seconds": round(clip.seconds(clip.frames - 1) + float(1 / clip.rate), 3),
            "selected": int(told.picks[number]),
            "labelled": int(told.labelled[number]),
            "lowest": None if math.isnan(low) else low,
            "highest": None if math.isnan(high) else high,
            "detections": int(told.detections[number]),
            "likely_false_alarms": alarms,
            "unsure": unsure,
            "likely_misses": misses,
        }


def _with_curves(
    result: SelectionResult, rows: Sequence[dict[str, Any]], picks: Picks
) -> Iterator[dict[str, Any]]:
    """With rank and index of the selected frames, and (second, score) of the curve."""
    look = loader_of(result)
    points = points_of(result)
    for name, row in zip(result.clips, rows, strict=True):
        x, y = curve(look.bare(name), points)
        pairs = zip(x.tolist(), y.tolist(), strict=True)
        yield {
            **row,
            "picks": [list(pick) for pick in picks.get(name, ())],
            "curve": [[round(a, 3), b] for a, b in pairs if not math.isnan(b)],
        }
