"""Detections as text, one line each, one file a clip; told apart by their columns.

- KITTI results: the 17 columns of a tracking label and the score last, separated by spaces; frames
  from 0. ``DontCare`` is left out.
- ``frame,x1,y1,x2,y2,score``; frames from 0, a header line is allowed.
- ``frame,type,x1,y1,x2,y2,score,h,w,l,x,y,z,rotation,alpha``, as 3-D trackers on KITTI share their
  inputs: type 1 = Pedestrian, 2 = Car, 3 = Cyclist; frames from 0.
- MOT ``det.txt``: ``frame,-1,left,top,width,height,confidence`` and up to three more columns;
  frames and pixels from 1.

Files may be compressed (``.gz``). None of these formats lists the frames that were looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vidal.errors import FormatError
from vidal.formats._columns import numbers, text_lines
from vidal.formats.detections._found import FoundClip, Row, frame_of

_HEADER = ("frame", "x1", "y1", "x2", "y2", "score")
_TYPES = {"1": "Pedestrian", "2": "Car", "3": "Cyclist"}
_LAYOUTS = "18 columns (KITTI), or 6, 15 or 7 to 10 with commas (frame,x1,..., 3-D, MOT)"
_FORMATS = f"Expected {_LAYOUTS}; or COCO results, supervision or FiftyOne JSON, or JSON lines."


def read(path: Path, names: tuple[str, ...]) -> Iterator[FoundClip]:
    """The one clip of a file.

    Raises:
        InputError: the file cannot be read.
        FormatError: a line of another layout than those named above, or than the first line's.
    """
    rows: list[Row] = []
    layout: tuple[bool, int] | None = None
    for where, line in text_lines(path):
        commas = "," in line
        parts = [part.strip() for part in (line.split(",") if commas else line.split())]
        if layout is None and tuple(part.casefold() for part in parts) == _HEADER:
            layout = (True, len(_HEADER))
            continue
        if layout is None and not any(character.isdigit() for character in parts[0]):
            why = f"a header of no known format ({line:.60})"
            raise FormatError(path, where, why, hint=_FORMATS)
        layout = layout or _layout(path, where, commas, len(parts))
        if layout != (commas, len(parts)):
            raise FormatError(path, where, f"{len(parts)} columns, {layout[1]} before")
        row = _row(path, where, commas, parts)
        if row is not None:
            rows.append(row)
    mot = layout is not None and _is_mot(*layout)
    first = 1 if mot else 0
    yield FoundClip(names, path, named=False, first=first, by_image=True, rows=rows)


def _is_mot(commas: bool, columns: int) -> bool:
    return commas and 7 <= columns <= 10


def _layout(path: Path, where: str, commas: bool, columns: int) -> tuple[bool, int]:
    if commas and (columns in (6, 15) or _is_mot(commas, columns)):
        return commas, columns
    if not commas and columns == 18:
        return commas, columns
    scoreless = " (KITTI labels have no score)" if not commas and columns == 17 else ""
    why = f"{columns} columns{scoreless}"
    raise FormatError(path, where, why, hint=_FORMATS)


def _row(path: Path, where: str, commas: bool, parts: list[str]) -> Row | None:
    columns = len(parts)
    if not commas:
        return _kitti(path, where, parts)
    if columns == len(_HEADER):
        frame = frame_of(path, where, parts[0])
        x1, y1, x2, y2, score = numbers(path, where, parts[1:], first=2)
        return Row(frame, (x1, y1, x2, y2), score, -1, where)
    if columns == 15:
        frame = frame_of(path, where, parts[0])
        if parts[1] not in _TYPES:
            raise FormatError(path, where, f"type: {parts[1]!r} is not 1, 2 or 3")
        x1, y1, x2, y2, score = numbers(path, where, parts[2:], first=3)[:5]
        return Row(frame, (x1, y1, x2, y2), score, _TYPES[parts[1]], where)
    frame = frame_of(path, where, parts[0], first=1)
    left, top, width, height, score = numbers(path, where, parts[1:], first=2)[1:6]
    x, y = left - 1, top - 1
    return Row(frame, (x, y, x + width, y + height), score, -1, where)


def _kitti(path: Path, where: str, parts: list[str]) -> Row | None:
    frame = frame_of(path, where, parts[0])
    values = numbers(path, where, parts[3:], first=4)
    if parts[2] == "DontCare":
        return None
    x1, y1, x2, y2 = values[3:7]
    return Row(frame, (x1, y1, x2, y2), values[-1], parts[2], where)
