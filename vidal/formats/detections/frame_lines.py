"""JSON lines, one a frame: ``{"frame": 0, "dets": [...]}``.

A detection is ``{"xyxy": [x1, y1, x2, y2], "label": "car", "score": 0.7}`` and may hold
``features``; ``probs`` need the class order of COCO results and are read there. Frames are
zero-based presentation ordinals; every frame that has a line was looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidal.errors import FormatError
from vidal.formats._columns import text_lines
from vidal.formats.detections._found import FoundClip, Row, box_of, frame_of, number_of, numbers_of


def read(path: Path, names: tuple[str, ...]) -> Iterator[FoundClip]:
    """The one clip of a file.

    Raises:
        InputError: the file cannot be read.
        FormatError: a line that is not of this form, or a frame twice; says which.
    """
    clip = FoundClip(names, path, named=False)
    listed: set[int] = set()
    for where, text in text_lines(path):
        frame, items = _line(path, where, text)
        if frame in listed:
            raise FormatError(path, where, f"frame {frame} is there already")
        listed.add(frame)
        for at, item in enumerate(items):
            clip.rows.append(_row(path, f"{where}, dets[{at}]", frame, item))
    clip.listed = listed
    yield clip


def _line(path: Path, where: str, text: str) -> tuple[int, list[Any]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, where, f"not JSON ({error})") from error
    if not isinstance(value, dict) or not isinstance(value.get("dets"), list):
        raise FormatError(path, where, "no object with 'frame' and a list 'dets'")
    return frame_of(path, where, value.get("frame")), value["dets"]


def _row(path: Path, where: str, frame: int, item: Any) -> Row:
    if not isinstance(item, dict):
        raise FormatError(path, where, "not an object")
    label = item.get("label")
    if not isinstance(label, str):
        raise FormatError(path, where, "label: not text" if "label" in item else "no 'label'")
    return Row(
        frame,
        box_of(path, f"{where}.xyxy", item.get("xyxy")),
        number_of(path, f"{where}.score", item.get("score")),
        label,
        where,
        None,
        numbers_of(path, f"{where}.features", item.get("features")),
    )
