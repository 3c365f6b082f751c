"""The pre-annotations of a query, box by box, and which of them go out."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vidal.errors import FormatError, InputError
from vidal.exports.bundle import Boxes
from vidal.formats._notes import RowNote
from vidal.selection.labelled import class_at
from vidal.types import UNKNOWN, FrameRef
from vidal.words import counted

FILE = "preannotations.coco.json"
ALARM, MISS = "likely_false_alarm", "likely_miss"

Kept = Literal["kept", "all", "none"]
"""Which boxes go out: without those that are likely false alarms, all, none."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """One box: its class by name, corners xyxy in pixels, and what is said of it."""

    name: str
    box: tuple[float, float, float, float]
    note: RowNote


@dataclass(frozen=True, slots=True)
class Proposals:
    """What a query proposes.

    Attributes:
        frames: frame -> its boxes, in the order of the file.
        sizes: frame -> (height, width) of its picture.
        detected: a detector looked at the frames, whatever it found.
    """

    frames: Mapping[FrameRef, tuple[Proposed, ...]]
    sizes: Mapping[FrameRef, tuple[int, int]]
    detected: bool


def read(path: Path, way_out: str) -> Proposals:
    """The pre-annotations that a selection has written.

    Args:
        path: the file.
        way_out: the hint where it cannot be used.

    Raises:
        InputError: it cannot be read.
        FormatError: it is not what vidal has written.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
        return _proposals(value)
    except OSError as error:
        raise InputError(path, (error.strerror or str(error)).lower(), hint=way_out) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(path, "", "not the pre-annotations of a query", hint=way_out) from error


def _proposals(value: Any) -> Proposals:
    clips = {video["id"]: str(video["name"]) for video in value["videos"]}
    classes = {each["id"]: str(each["name"]) for each in value["categories"]}
    refs, sizes = {}, {}
    for image in value["images"]:
        ref = FrameRef(clips[image["video_id"]], int(image["frame_id"]))
        refs[image["id"]] = ref
        sizes[ref] = (int(image["height"]), int(image["width"]))
    found: dict[FrameRef, list[Proposed]] = {ref: [] for ref in refs.values()}
    for each in value["annotations"]:
        x, y, width, height = map(float, each["bbox"])
        box = (x, y, x + width, y + height)
        if not (width > 0 and height > 0 and all(map(math.isfinite, box))):
            raise ValueError("a box without extent")
        name = classes[each["category_id"]]
        found[refs[each["image_id"]]].append(Proposed(name, box, _note(each)))
    frames = {ref: tuple(rows) for ref, rows in found.items()}
    return Proposals(frames, sizes, detected=bool(classes))


def _note(annotation: Mapping[str, Any]) -> RowNote:
    said = annotation.get("attributes") or {}
    sure = said.get("certainty", said.get("confidence"))  # older versions wrote confidence
    score = annotation.get("score")
    return RowNote(
        verdict=str(said.get("verdict") or ""),
        certainty=math.nan if sure is None else float(sure),
        score=math.nan if score is None else float(score),
    )


class Chooser:
    """Which boxes go out, and how many of which kind did; one for an export."""

    def __init__(self, classes: tuple[str, ...], kept: Kept) -> None:
        self._classes = classes
        self._kept = kept
        self.verdicts: Counter[str] = Counter()
        self.foreign: Counter[str] = Counter()
        self.alarms = 0

    def boxes(self, rows: Sequence[Proposed]) -> Boxes:
        """Those of one frame, with the labels of the classes."""
        if self._kept == "none":
            return Boxes.of([], [], [])
        chosen: list[tuple[Proposed, int]] = []
        for row in rows:
            label = class_at(row.name, self._classes)
            if label == UNKNOWN:
                self.foreign[row.name] += 1
            elif row.note.verdict == ALARM and self._kept == "kept":
                self.alarms += 1
            else:
                chosen.append((row, label))
                self.verdicts[row.note.value] += 1
        return Boxes.of(
            [row.box for row, _ in chosen],
            [label for _, label in chosen],
            [row.note for row, _ in chosen],
        )

    def told(self) -> list[str]:
        """What was left out, in sentences."""
        said = []
        if self.alarms:
            boxes = counted(self.alarms, "likely false alarm")
            said.append(f"{boxes} left out (--boxes all takes them along).")
        if self.foreign:
            names = ", ".join(f"{name!r} ({n})" for name, n in sorted(self.foreign.items())[:5])
            boxes = counted(self.foreign.total(), "box", "boxes")
            said.append(f"{boxes} left out, of classes that are not asked for: {names}.")
        return said
