"""What the ``supervision`` library writes: the records of its ``JSONSink`` and ``CSVSink``, or JSON
with one list a frame.

A record has ``x_min, y_min, x_max, y_max``, ``confidence``, ``class_id`` and, where the detector
names its classes, ``class_name``. In a flat list each record states its frame (``frame_index``,
``frame_number`` or ``frame``, zero-based: the ``custom_data`` of ``JSONSink.append``), and frames
without detections are not listed. A CSV has the same names in its first line. In a list of lists
the position is the frame.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidal.errors import FormatError
from vidal.formats._files import lines
from vidal.formats.detections._found import FoundClip, Row, box_of, frame_of, number_of

_CORNERS = ("x_min", "y_min", "x_max", "y_max")
_FRAMES = ("frame_index", "frame_number", "frame")


def read(path: Path, value: list[Any], names: tuple[str, ...]) -> Iterator[FoundClip]:
    """The one clip of a file.

    Args:
        path: the file.
        value: its JSON value.
        names: of the clip.

    Raises:
        FormatError: a record that is not of this form; says which.
    """
    clip = FoundClip(names, path, named=False)
    if value and all(isinstance(item, list) for item in value):
        clip.listed = set(range(len(value)))
        for frame, records in enumerate(value):
            for at, record in enumerate(records):
                clip.rows.append(_row(path, f"[{frame}][{at}]", record, frame))
    else:
        clip.rows = [
            _row(path, f"[{at}]", record, _frame(path, f"[{at}]", record))
            for at, record in enumerate(value)
        ]
    yield clip


def is_csv(path: Path) -> bool:
    """Whether the first line of a file names the corners as ``CSVSink`` does.

    Raises:
        InputError: the file cannot be read.
        FormatError: it is not UTF-8 text, or a broken archive.
    """
    for _, line in lines(path):
        return set(_CORNERS) <= set(next(csv.reader([line]), []))
    return False


def read_csv(path: Path, names: tuple[str, ...]) -> Iterator[FoundClip]:
    """The one clip of a ``CSVSink``'s file.

    Raises:
        InputError: the file cannot be read.
        FormatError: a line that is not of this form; says which.
    """
    clip = FoundClip(names, path, named=False)
    header: list[str] | None = None
    for number, line in lines(path):
        where = f"line {number}"
        try:
            parts = next(csv.reader([line], strict=True), [])
        except csv.Error as error:
            raise FormatError(path, where, f"not CSV ({error})") from error
        if header is None:
            header = parts
            continue
        if not any(parts):
            continue
        if len(parts) != len(header):
            raise FormatError(path, where, f"{len(parts)} columns, {len(header)} in the first line")
        record = dict(zip(header, parts, strict=True))
        clip.rows.append(_row(path, where, record, _frame(path, where, record)))
    yield clip


def _frame(path: Path, where: str, record: Any) -> int:
    if isinstance(record, dict):
        for name in _FRAMES:
            if name in record:
                return frame_of(path, f"{where}.{name}", record[name])
    hint = "Write it with sink.append(detections, custom_data={'frame_index': index})."
    raise FormatError(path, where, "does not state its frame (frame_index)", hint=hint)


def _row(path: Path, where: str, record: Any, frame: int) -> Row:
    if not isinstance(record, dict):
        raise FormatError(path, where, "not an object")
    for name in (*_CORNERS, "confidence"):
        if record.get(name) in (None, ""):
            raise FormatError(path, where, f"{name} is missing")
    label: str | int = -1
    if isinstance(record.get("class_name"), str) and record["class_name"]:
        label = record["class_name"]
    elif record.get("class_id") not in (None, ""):
        label = frame_of(path, f"{where}.class_id", record["class_id"])
    box = box_of(path, where, [record[name] for name in _CORNERS])
    return Row(
        frame, box, number_of(path, f"{where}.confidence", record["confidence"]), label, where
    )
