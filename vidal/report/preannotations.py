"""``preannotations.coco.json``: what the detector saw on the selected frames, for annotators.

COCO detection format with the video fields of its derivatives (``videos``, ``video_id``,
``frame_id``), images only of the selected frames. The verdict on a box is in ``attributes``:
``likely_correct``, ``unsure``, ``likely_false_alarm``, ``likely_miss`` or ``likely_unknown`` (an
object of none of the classes); ``certainty`` of that verdict in [0, 1]; and ``by``, the estimate
that gave it: the one that chose the frame. A likely miss has no ``score``. Without an error
estimate there are no attributes. What annotators called an unknown object is no
proposal, and left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidal.report.frames import picture_path
from vidal.report.marks import (
    ALARM,
    BY_UNKNOWN,
    CORRECT,
    LIKELY_UNKNOWN,
    MISS,
    UNKNOWN_OBJECT,
    UNSURE,
    Marks,
)
from vidal.report.query_files import clean, path_fields, plain
from vidal.selection.result import SelectionResult
from vidal.types import FrameRef

_VERDICTS = {
    CORRECT: "likely_correct",
    UNSURE: "unsure",
    ALARM: "likely_false_alarm",
    MISS: "likely_miss",
    LIKELY_UNKNOWN: "likely_unknown",
}


def write_coco(
    result: SelectionResult,
    marks: Mapping[FrameRef, Marks],
    names: Mapping[FrameRef, str],
    path: Path,
    out: Path,
) -> None:
    """Write the file to ``path``; paths in it count from ``out``. Category ids are label + 1."""
    used = list(dict.fromkeys(ref.clip for ref in result.query.frames))
    video_ids = {name: number for number, name in enumerate(used, start=1)}
    outside = sum(marks[ref].outside for ref in result.query.frames)
    info = {
        "description": f"Frames selected by vidal ({result.strategy}), with detections.",
        "version": result.versions.get("vidal", ""),
        "score_threshold": plain(result.threshold),
        "boxes_left_out_as_outside_the_image": outside,
    }
    videos = (
        {"id": video_ids[name], "name": clean(name), **path_fields(result.clips[name].path, out)}
        for name in used
    )
    images = (
        _image(result, ref, names[ref], number, video_ids[ref.clip])
        for number, ref in enumerate(result.query.frames, start=1)
    )
    categories = (
        {"id": number, "name": clean(name)} for number, name in enumerate(result.classes, start=1)
    )
    parts = {
        "videos": videos,
        "images": images,
        "categories": categories,
        "annotations": _annotations(result, marks),
    }
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"info":{_text(info)}')
        for name, entries in parts.items():
            file.write(f',"{name}":[')
            file.writelines(
                f",{_text(entry)}" if number else _text(entry)
                for number, entry in enumerate(entries)
            )
            file.write("]")
        file.write("}\n")


_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _annotations(
    result: SelectionResult, marks: Mapping[FrameRef, Marks]
) -> Iterator[dict[str, Any]]:
    """One at a time: there are some half a million of 20,000 frames."""
    number = 0
    for image, ref in enumerate(result.query.frames, start=1):
        for row in np.flatnonzero(marks[ref].kind != UNKNOWN_OBJECT).tolist():
            number += 1
            yield {"id": number, **_annotation(marks[ref], row, image)}


def _image(
    result: SelectionResult, ref: FrameRef, name: str, number: int, video: int
) -> dict[str, Any]:
    clip = result.clips[ref.clip]
    height, width = clip.size
    return {
        "id": number,
        "file_name": picture_path(clip, name) or name,
        "width": width,
        "height": height,
        "video_id": video,
        "frame_id": ref.index,
        "pts": int(clip.pts[ref.index]),
        "seconds": round(clip.seconds(ref.index), 6),
    }


def _annotation(marks: Marks, row: int, image: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(value) for value in marks.boxes[row])
    width, height = round(x2 - x1, 3), round(y2 - y1, 3)
    kind = int(marks.kind[row])
    score, certainty = float(marks.scores[row]), float(marks.certainty[row])
    by = BY_UNKNOWN if kind == LIKELY_UNKNOWN else marks.by
    attributes = (
        {"verdict": _VERDICTS[kind], "certainty": round(certainty, 4), "by": by}
        if kind in _VERDICTS
        else {}
    )
    return {
        "image_id": image,
        "category_id": int(marks.labels[row]) + 1,
        "bbox": [round(x1, 3), round(y1, 3), width, height],
        "area": round(width * height, 3),
        "iscrowd": 0,
        **({} if math.isnan(score) else {"score": round(score, 6)}),
        "attributes": attributes,
    }
