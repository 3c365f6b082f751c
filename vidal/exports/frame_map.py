"""``frame_map.csv`` and ``.json``: which frame of which clip each picture of an archive is.

Ordinals count from 0 in presentation order, ``pts`` in ticks of ``time_base``. ``sha256`` is that
of the picture file, ``print`` the fingerprint of the decoded frame (``vidal.video.prints``, 16 hex
digits; empty where the clip could not be read). ``context`` is true for neighbours that are only
shown: they carry the rank of their pick and are no answers. ``path`` counts from the folder of the
query, or of the campaign. The cells of the CSV are those of ``query.csv``: a text that a
spreadsheet would take for a formula has an apostrophe in front.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from vidal.exports.bundle import Bundle, Shot
from vidal.report.query_files import csv_text

COLUMNS = (
    "rank",
    "clip",
    "path",
    "ordinal",
    "pts",
    "time_base",
    "seconds",
    "file",
    "width",
    "height",
    "sha256",
    "print",
    "reason",
    "score",
    "context",
)
FORMAT, SCHEMA = "vidal-frame-map", 1
CSV, JSON = "frame_map.csv", "frame_map.json"


def rows(bundle: Bundle, place: Callable[[Shot], str]) -> list[dict[str, Any]]:
    """One row a picture, by rank, then clip and ordinal; ``place`` = its path in the archive."""
    every = sorted(
        (*bundle.shots, *bundle.context),
        key=lambda shot: (shot.rank or math.inf, shot.of is not None, shot.ref),
    )
    return [_row(bundle, shot, place(shot)) for shot in every]


def _row(bundle: Bundle, shot: Shot, file: str) -> dict[str, Any]:
    facts = bundle.clips[shot.ref.clip]
    height, width = facts.size
    return {
        "rank": shot.rank or None,
        "clip": shot.ref.clip,
        "path": facts.written,
        "ordinal": shot.ref.index,
        "pts": shot.pts,
        "time_base": f"{shot.time_base.numerator}/{shot.time_base.denominator}",
        "seconds": shot.seconds,
        "file": file,
        "width": width,
        "height": height,
        "sha256": shot.sha256,
        "print": shot.print,
        "reason": shot.reason,
        "score": shot.score if math.isfinite(shot.score) else None,
        "context": shot.of is not None,
    }


def write(folder: Path, table: Iterable[dict[str, Any]]) -> None:
    """Both files into a folder."""
    found = list(table)
    content = {"format": FORMAT, "schema": SCHEMA, "frames": found}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / JSON).write_text(text + "\n", encoding="utf-8")
    with (folder / CSV).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in found:
            writer.writerow([cell(row[name]) for name in COLUMNS])


def cell(value: Any) -> Any:
    """A value as CSV has it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return csv_text(value) if isinstance(value, str) else value
