"""What vidal proposed itself: answers that are equal to it were perhaps never looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import FormatError, InputError
from vidal.types import UNKNOWN, Annotations, FrameRef

NEAR = 0.01
"""Pixels between a box and its copy after an annotation tool has read and written it."""
MISS = "likely_miss"
_Boxes = NDArray[np.float64]
_Frame = tuple[list[str], _Boxes]


class Proposals:
    """The pre-annotations of a query, by frame.

    A tool may leave out the likely misses, which have no score: an answer with all the detections
    and none of the misses is unchanged too.
    """

    def __init__(self, frames: Mapping[FrameRef, tuple[_Frame, ...]]) -> None:
        self._frames = frames

    @staticmethod
    def read(path: Path) -> Proposals:
        """Those of ``preannotations.coco.json``; none where the file is not there.

        Raises:
            InputError: it cannot be read.
            FormatError: it is not what vidal has written.
        """
        hint = "Put it back with `vidal report --round newest`, or give --unchanged-ok."
        try:
            value = json.loads(path.read_text("utf-8"))
            return Proposals(_frames(value))
        except FileNotFoundError:
            return Proposals({})
        except OSError as error:
            raise InputError(path, (error.strerror or str(error)).lower(), hint=hint) from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise FormatError(path, "", "not the pre-annotations of a query", hint=hint) from error

    def unchanged(self, ref: FrameRef, table: Annotations) -> bool:
        """Whether the boxes of a frame are those proposed: same classes, within ``NEAR``.

        Frames without boxes are not: that nothing was seen is another question.
        """
        rows = table.on(ref.index)
        boxes = table.boxes[rows].astype(np.float64)
        if not len(boxes):
            return False
        names = [None if k == UNKNOWN else table.classes[k] for k in table.labels[rows].tolist()]
        return any(_same(names, boxes, *given) for given in self._frames.get(ref, ()))


def _frames(value: Any) -> dict[FrameRef, tuple[_Frame, ...]]:
    clips = {video["id"]: str(video["name"]) for video in value["videos"]}
    classes = {each["id"]: str(each["name"]) for each in value["categories"]}
    refs = {
        image["id"]: FrameRef(clips[image["video_id"]], int(image["frame_id"]))
        for image in value["images"]
    }
    found: dict[FrameRef, list[tuple[str, list[float], bool]]] = {ref: [] for ref in refs.values()}
    for each in value["annotations"]:
        x, y, width, height = map(float, each["bbox"])
        miss = (each.get("attributes") or {}).get("verdict") == MISS
        row = classes[each["category_id"]], [x, y, x + width, y + height], miss
        found[refs[each["image_id"]]].append(row)
    return {
        ref: tuple(
            ([name for name, _, _ in kept], np.array([box for _, box, _ in kept], np.float64))
            for kept in (rows, [row for row in rows if not row[2]])
        )
        for ref, rows in found.items()
    }


def _same(mine: list[str | None], boxes: _Boxes, theirs: list[str], given: _Boxes) -> bool:
    """Whether every box has one twin of its class; a class that is not known fits any."""
    if len(boxes) != len(given):
        return False
    left = list(range(len(given)))
    for name, box in zip(mine, boxes, strict=True):
        twin = next(
            (
                at
                for at in left
                if name in (None, theirs[at]) and np.abs(box - given[at]).max() <= NEAR
            ),
            None,
        )
        if twin is None:
            return False
        left.remove(twin)
    return True
