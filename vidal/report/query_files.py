"""``query.json`` and ``query.csv``: which frames were chosen, for programs and spreadsheets.

``query.json`` (``format`` "vidal-query", ``schema`` 1) holds no NaN: a missing score is ``null``.
Frame ordinals are zero-based, in presentation order; ``pts`` counts ticks of ``time_base``. A path
that is not UTF-8 is percent-escaped, and ``path_encoding`` "percent" stands beside it; any other
path stands as it is. ``files`` lists what else was written beside it, and ``digest`` seals the
file: by these vidal knows its own output.

In ``query.csv`` a text that a spreadsheet would take for a formula (it begins with ``=``, ``+``,
``-``, ``@``, a tab or a carriage return) gets an apostrophe in front, and so does a text that
begins with an apostrophe: dropping one leading apostrophe gives the text back (``csv_value``).
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import numpy as np

from vidal.errors import FormatError
from vidal.report.frames import picture_path
from vidal.selection.forecast import expected_dict
from vidal.selection.result import SelectionResult
from vidal.types import FrameRef
from vidal.words import printable, ratio

SCHEMA = 1
FORMAT = "vidal-query"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


@dataclass(frozen=True, slots=True)
class QueryFrame:
    """One row of a query file.

    Attributes:
        ref: clip id and zero-based ordinal.
        path: the clip, absolute.
        pts, time_base: presentation time; ``seconds`` since the clip's first frame.
        rank: from 1, the most wanted first.
        score: NaN where the strategy does not score.
        parts: named parts of the score.
        reason: in words.
        file: picture of the frame, relative to the query file; empty for a clip without pixels.
    """

    ref: FrameRef
    path: Path
    pts: int
    time_base: Fraction
    seconds: float
    rank: int
    score: float
    parts: Mapping[str, Any]
    reason: str
    file: str


@dataclass(frozen=True, slots=True)
class QueryFile:
    """A query as read from disk; ``skipped`` holds (path, cause)."""

    round: int
    strategy: str
    frames: tuple[QueryFrame, ...]
    skipped: tuple[tuple[Path, str], ...]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    notes: tuple[str, ...]


def plain(value: Any) -> Any:
    """A JSON value: NumPy unpacked, NaN and infinity as None, anything else unknown as text."""
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    return clean(str(value))


def clean(text: str) -> str:
    """The text as UTF-8 can hold it: bytes of a name that are not become ``\\xe9`` and the like."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(printable(one) if "\ud800" <= one <= "\udfff" else one for one in text)
    return text


def path_fields(path: Path, folder: Path) -> dict[str, str]:
    """``path`` as seen from ``folder``, in JSON: with ``path_encoding`` where it is not UTF-8."""
    text = portable(path, folder)
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"path": quote(os.fsencode(text)), "path_encoding": "percent"}
    return {"path": text}


def read_path(entry: Mapping[str, Any], folder: Path) -> Path:
    """The absolute path that ``path_fields`` stated.

    Raises:
        KeyError, TypeError, ValueError: an entry that it did not write.
    """
    text, encoding = entry["path"], entry.get("path_encoding")
    if encoding not in (None, "percent"):
        raise ValueError(f"path_encoding {encoding!r}")
    if encoding == "percent":
        text = os.fsdecode(unquote_to_bytes(text))
    return Path(os.path.abspath(folder / text))  # noqa: PTH100 (resolve() would follow links)


def portable(path: Path, folder: Path) -> str:
    """``path`` relative to ``folder`` where both lie below one folder, else absolute; POSIX."""
    target, start = Path(os.path.abspath(path)), Path(os.path.abspath(folder))  # noqa: PTH100
    if target.anchor != start.anchor or target.parts[:2] != start.parts[:2]:
        return target.as_posix()
    return Path(os.path.relpath(target, start)).as_posix()


def rows(result: SelectionResult, names: Mapping[FrameRef, str], out: Path) -> list[dict[str, Any]]:
    """The selected frames as JSON values, by rank."""
    query = result.query
    parts = {name: plain(np.asarray(v)) for name, v in query.explanation.parts.items()}
    table = []
    paths: dict[str, dict[str, str]] = {}
    for at, ref in enumerate(query.frames):
        clip = result.clips[ref.clip]
        if ref.clip not in paths:
            paths[ref.clip] = path_fields(clip.path, out)
        row = {
            "rank": at + 1,
            "clip": clean(ref.clip),
            **paths[ref.clip],
            "ordinal": ref.index,
            "pts": int(clip.pts[ref.index]),
            "time_base": f"{clip.time_base.numerator}/{clip.time_base.denominator}",
            "seconds": round(clip.seconds(ref.index), 6),
            "score": plain(float(query.scores[at])),
            "parts": {name: values[at] for name, values in parts.items()},
            "reason": clean(query.explanation.words[at]),
            "file": picture_path(clip, names[ref]),
        }
        table.append(row)
    return table


def write_json(
    result: SelectionResult,
    table: Sequence[Mapping[str, Any]],
    path: Path,
    out: Path,
    *,
    files: Mapping[str, Any],
) -> None:
    """Write ``query.json`` to ``path``; clip paths count from ``out``; ``files`` lie beside it."""
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "round": result.query.round,
        "strategy": result.strategy,
        "budget": {
            "text": result.budget_text,
            "base": result.budget_base,
            **({} if result.budget_unit == "frames" else {"unit": result.budget_unit}),
            "asked": result.query.budget,
            "selected": len(result.query),
        },
        "classes": plain(result.classes),
        "threshold": plain(result.threshold),
        "clips": len(result.clips),
        "frames": list(table),
        "skipped": [
            {**path_fields(item.path, out), "cause": clean(item.reason)} for item in result.skipped
        ],
        "settings": plain(result.settings),
        "versions": plain(result.versions),
        "notes": plain(result.notes),
        "forecast": None if result.forecast is None else result.forecast.as_dict(),
        "expected": expected_dict(result.expected),
        "expected_by": plain(result.expected_by),
        "cost": result.cost_dict(),
        "balance": None if result.balance is None else plain(result.balance.as_dict()),
        "answered_before": [each.as_dict() for each in result.history.queries],
        "files": files,
    }
    content["digest"] = content_digest(content)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def content_digest(content: Mapping[str, Any]) -> str:
    """Of everything in a query file but the digest itself; the order of keys is irrelevant."""
    rest = {name: value for name, value in content.items() if name != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def csv_text(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_value(cell: str) -> str:
    """The text that ``csv_text`` made safe."""
    return cell[1:] if cell.startswith("'") else cell


def write_csv(table: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write ``query.csv``: one row a frame, each part of the score as a column ``part.<name>``."""
    fixed = ["rank", "clip", "path", "ordinal", "pts", "time_base", "seconds", "score"]
    names = list(table[0]["parts"]) if table else []
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*fixed, *(f"part.{name}" for name in names), "reason", "file"])
        for row in table:
            values = [*(row[name] for name in fixed), *(row["parts"][name] for name in names)]
            cells = [*values, row["reason"], row["file"]]
            writer.writerow([csv_text(cell) if isinstance(cell, str) else cell for cell in cells])


def read_query(path: Path) -> QueryFile:
    """Read a ``query.json``.

    Raises:
        FormatError: not a query file, of a later schema, or a value is missing or wrong.
        OSError: it cannot be read.
    """
    content = read_content(path)
    where = "query"
    try:
        frames = []
        for at, row in enumerate(content["frames"]):
            where = f"frames[{at}]"
            frames.append(_frame(row, path.parent))
        where = "query"
        return QueryFile(
            round=int(content["round"]),
            strategy=str(content["strategy"]),
            frames=tuple(frames),
            skipped=tuple(
                (read_path(item, path.parent), item["cause"]) for item in content["skipped"]
            ),
            settings=content["settings"],
            versions=content["versions"],
            notes=tuple(content["notes"]),
        )
    except KeyError as error:
        raise FormatError(path, where, f"{error.args[0]!r} is missing") from error
    except (TypeError, ValueError, ZeroDivisionError, OverflowError, AttributeError) as error:
        raise FormatError(path, where, f"a wrong value ({error})") from error


def read_content(path: Path) -> dict[str, Any]:
    """The JSON object of a query file of this schema.

    Raises:
        FormatError: not a query file, or of a later schema.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(path, "", f"not a JSON file ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FormatError(path, "format", f"not {FORMAT!r}", hint="Give the query.json of a run.")
    if content.get("schema") != SCHEMA:
        raise FormatError(
            path,
            "schema",
            f"{content.get('schema')!r} is not {SCHEMA}",
            hint="It was written by another version of vidal; use that one.",
        )
    return content


def _frame(row: Mapping[str, Any], folder: Path) -> QueryFrame:
    score = row["score"]
    return QueryFrame(
        ref=FrameRef(str(row["clip"]), int(row["ordinal"])),
        path=read_path(row, folder),
        pts=int(row["pts"]),
        time_base=ratio(row["time_base"]),
        seconds=float(row["seconds"]),
        rank=int(row["rank"]),
        score=math.nan if score is None else float(score),
        parts=dict(row["parts"]),
        reason=str(row["reason"]),
        file=str(row["file"]),
    )
