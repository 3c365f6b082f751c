"""Label Studio's JSON-MIN, CSV and TSV: a row an annotation, brought into the form of its JSON.

A row has the columns of its task, ``annotation_id``, ``annotator`` and times, and for every control
of the labelling interface the list of what was marked with it. Skipped tasks are not in these
formats, so a row without marks is annotated and empty; one whose ``annotation_id`` is empty is a
task that nobody annotated. Rows of one task are its annotations.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vidal.errors import FormatError
from vidal.formats._notes import CERTAINTY, VERDICT
from vidal.formats._rows import json_of, read_text

ID = "annotation_id"
_MARKS = (ID, "annotator", "lead_time")
"""Columns that tell a row of these formats from anything else."""
_NUMBERS = frozenset(("index", "frames", "width", "height"))
"""Columns of vidal's own tasks that hold whole numbers; a table has texts only."""
_OWN = frozenset(
    (*_MARKS, VERDICT, CERTAINTY, "id", "created_at", "updated_at", "agreement", "history")
)
_SIZES = ("original_width", "original_height", "image_rotation")
_REGION = frozenset((*_SIZES, "x", "y", "width", "height", "radiusX", "radiusY", "points", "rle"))
"""Keys that only regions have."""


def is_minimal(value: Any) -> bool:
    """Whether a parsed file is JSON-MIN: a list of rows, each an annotation."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, dict) and "data" not in row for row in value)
        and (any(name in value[0] for name in _MARKS) or any(map(_marked, value)))
        and not any(isinstance(row.get("annotations"), list) for row in value)
    )


def rows_of_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV or TSV file, with lists where a cell holds one.

    Raises:
        InputError: it cannot be read.
        FormatError: it is not a table as Label Studio writes it; says the row.
    """
    text = read_text(path)
    tabs = ".tsv" in path.name.lower()
    lines = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if tabs else ",", strict=True)
    rows: list[dict[str, Any]] = []
    head: list[str] | None = None
    try:
        for cells in lines:
            where = f"line {lines.line_num}"
            if not any(cells):
                continue
            if head is None:
                head = cells
                if len(set(head)) < len(head):
                    raise FormatError(path, where, "a column twice")
                continue
            if len(cells) != len(head):
                raise FormatError(path, where, f"{len(cells)} cells under {len(head)} columns")
            pairs = zip(head, cells, strict=True)
            rows.append(
                {name: _cell(path, where, name, cell) for name, cell in pairs if cell or name == ID}
            )
    except csv.Error as error:
        raise FormatError(path, f"line {lines.line_num}", f"not CSV ({error})") from error
    if head is None or not any(name in head for name in _MARKS):
        have = ", ".join((head or ["nothing"])[:6])
        hint = "Expected what Label Studio exports as CSV or TSV."
        raise FormatError(path, "line 1", f"no column {_MARKS[0]} (it has {have})", hint=hint)
    return rows


def _cell(path: Path, where: str, name: str, text: str) -> Any:
    if name in _NUMBERS and text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    return json_of(path, where, text) if text.lstrip()[:1] in ("[", "{") else text


def tasks_of(path: Path, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows as tasks of Label Studio's JSON, in the order of their first rows.

    Args:
        path: of the file.
        rows: see above.

    Raises:
        FormatError: a row that is none.
    """
    known = list(rows)
    controls = {name for row in known for name, value in row.items() if _marks(value)} - _OWN
    tasks: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(known):
        data = {name: v for name, v in row.items() if name not in _OWN | controls}
        results: list[dict[str, Any]] = []
        for name in (each for each in row if each in controls):
            value = row[name]
            if not isinstance(value, list) or not all(isinstance(mark, dict) for mark in value):
                raise FormatError(path, f"row {number}", f"{name[:40]!r} is not a list of regions")
            results += [_result(name, mark) for mark in value]
        answer = {"result": _without_twins(results)}
        answer |= {name: row[name] for name in ("created_at", "updated_at") if name in row}
        key = str(row["id"]) if "id" in row else f"row {number}"
        task = tasks.setdefault(key, {"data": data, "annotations": []})
        if _shown(task["data"]) != _shown(data):
            raise FormatError(path, f"row {number}", f"another task has the id {key[:40]!r} too")
        if row.get(ID, "stated nowhere") not in (None, ""):
            task["annotations"].append(answer)
    return list(tasks.values())


def _shown(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a task is about: other columns may be answers of its annotators (choices, texts)."""
    kept = {}
    for name, value in data.items():
        file = isinstance(value, str) and re.search(r"\.[A-Za-z0-9]{2,5}$", value) and "/" in value
        if file or name in ("clip", "index"):
            kept[name] = value
    return kept


def _marks(value: Any) -> bool:
    """Whether a value is, or has in it, what is marked with a control."""
    parts = value if isinstance(value, list) else [value]
    return any(isinstance(part, dict) and _REGION & part.keys() for part in parts) or any(
        isinstance(part, dict) and _kind(part) is not None for part in parts
    )


def _marked(row: Mapping[str, Any]) -> bool:
    """Whether a row has labelled regions under the name of a control."""
    return any(
        isinstance(mark, dict) and _kind(mark) is not None
        for value in row.values()
        for mark in (value if isinstance(value, list) else ())
    )


def _kind(mark: Mapping[str, Any]) -> str | None:
    """The type of a result with labels: the key that holds them."""
    if "sequence" in mark:
        return "videorectangle"
    return next((name for name in mark if name.endswith("labels")), None)


def _result(name: str, mark: Mapping[str, Any]) -> dict[str, Any]:
    value = {key: each for key, each in mark.items() if key not in _SIZES}
    stated = {key: mark[key] for key in _SIZES if key in mark}
    return {"from_name": name, "type": _kind(mark) or "rectangle", "value": value, **stated}


def _without_twins(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without bare shapes that a control for labels gives again, with their labels."""

    def place(result: Mapping[str, Any]) -> str:
        value = {k: v for k, v in result["value"].items() if not k.endswith("labels")}
        return json.dumps(value, sort_keys=True)

    labelled = [place(each) for each in results if each["type"] == "labels"]
    kept = []
    for each in results:
        if each["type"] == "rectangle" and (twin := place(each)) in labelled:
            labelled.remove(twin)
        else:
            kept.append(each)
    return kept
