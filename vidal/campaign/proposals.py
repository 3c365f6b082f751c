"""What vidal proposed itself: answers that are equal to it were perhaps never looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.campaign.same import NEAR, paired
from vidal.errors import FormatError, InputError
from vidal.formats._notes import VERDICT
from vidal.types import UNKNOWN, Annotations, FrameRef

SURE = 0.8
"""Score from which the detector is sure of an object that no estimate calls a false alarm."""
MISS, ALARM = "likely_miss", "likely_false_alarm"
_DOUBTED = (MISS, ALARM, "likely_unknown", "unsure")
EXPORTED = "exported"
"""Folder beside the pre-annotations: what `vidal export` has proposed, which may be less."""
_Boxes = NDArray[np.float64]
_Frame = tuple[list[str], _Boxes]


class Proposals:
    """The pre-annotations of a query, by frame.

    A tool may leave out the likely misses, which have no score: an answer with all the detections
    and none of the misses is unchanged too.
    """

    def __init__(
        self,
        frames: Mapping[FrameRef, tuple[_Frame, ...]],
        sure: Mapping[FrameRef, int] | None = None,
    ) -> None:
        self._frames = frames
        self._sure = sure or {}

    def sure(self, ref: FrameRef) -> int:
        """How many objects the detector is sure of on a frame."""
        return self._sure.get(ref, 0)

    def __or__(self, other: Proposals) -> Proposals:
        """Those of two queries."""
        return Proposals({**self._frames, **other._frames}, {**self._sure, **other._sure})

    @staticmethod
    def read(path: Path) -> Proposals:
        """Those of ``preannotations.coco.json`` and of exports; none where no file is there.

        Raises:
            InputError: one cannot be read.
            FormatError: one is not what vidal has written.
        """
        frames, sure = _read(path)
        found = {ref: list(given) for ref, given in frames.items()}
        for file in sorted((path.parent / EXPORTED).glob("*.coco.json")):
            for ref, given in _read(file)[0].items():
                found.setdefault(ref, []).extend(given)
        return Proposals({ref: tuple(given) for ref, given in found.items()}, sure)

    def unchanged(self, ref: FrameRef, table: Annotations) -> bool:
        """Whether the boxes of a frame are those proposed: same classes, within ``NEAR``.

        Frames without boxes are not: that nothing was seen is another question.
        """
        rows = table.on(ref.index)
        boxes = table.boxes[rows].astype(np.float64)
        if not len(boxes):
            return False
        names = [_name(table, label) for label in table.labels[rows].tolist()]
        return any(_same(names, boxes, *given) for given in self._frames.get(ref, ()))


def _name(table: Annotations, label: int) -> str | None:
    """The class of a box; None where it is an unknown object, whatever vidal proposed."""
    name = None if label == UNKNOWN else table.classes[label]
    return None if name == "unknown" else name


def _read(path: Path) -> tuple[dict[FrameRef, tuple[_Frame, ...]], dict[FrameRef, int]]:
    hint = "Put it back with `vidal report --round newest`, or give --unchanged-ok."
    try:
        return _frames(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return {}, {}
    except OSError as error:
        raise InputError(path, (error.strerror or str(error)).lower(), hint=hint) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(path, "", "not the pre-annotations of a query", hint=hint) from error


def _frames(value: Any) -> tuple[dict[FrameRef, tuple[_Frame, ...]], dict[FrameRef, int]]:
    clips = {video["id"]: str(video["name"]) for video in value["videos"]}
    classes = {each["id"]: str(each["name"]) for each in value["categories"]}
    refs = {
        image["id"]: FrameRef(clips[image["video_id"]], int(image["frame_id"]))
        for image in value["images"]
    }
    found: dict[FrameRef, list[tuple[str, list[float], str]]] = {ref: [] for ref in refs.values()}
    sure: dict[FrameRef, int] = {}
    for each in value["annotations"]:
        x, y, width, height = map(float, each["bbox"])
        said = each.get("attributes") or {}
        verdict = str(said.get("verdict", said.get(VERDICT)))
        ref = refs[each["image_id"]]
        row = classes[each["category_id"]], [x, y, x + width, y + height], verdict
        found[ref].append(row)
        if verdict not in _DOUBTED and float(each.get("score", 0)) >= SURE:
            sure[ref] = sure.get(ref, 0) + 1
    return {ref: _variants(rows) for ref, rows in found.items()}, sure


def _variants(rows: list[tuple[str, list[float], str]]) -> tuple[_Frame, ...]:
    """A frame's boxes, with and without the likely misses."""
    return tuple(
        ([name for name, _, _ in kept], np.array([box for _, box, _ in kept], np.float64))
        for kept in (rows, [row for row in rows if row[2] != MISS])
    )


def _same(mine: list[str | None], boxes: _Boxes, theirs: list[str], given: _Boxes) -> bool:
    """Whether every box has one twin of its class; a class that is not known fits any."""
    near = np.abs(boxes[:, None] - given.reshape(-1, 4)[None]).max(axis=2, initial=0) <= NEAR
    alike = np.array([[name in (None, other) for other in theirs] for name in mine], np.bool_)
    return paired(near & alike.reshape(near.shape))
