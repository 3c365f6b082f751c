"""Pseudo-labels of one training: what they are, and their place beside the labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vidal import boxes
from vidal.store import atomic
from vidal.types import Annotations, BoolArray, FrameRef


@dataclass(frozen=True, slots=True, eq=False)
class PseudoLabels:
    """Labels that the model of an earlier round gave.

    Attributes:
        refs: the frames, by clip and index; none of them is labelled.
        tables: clip id -> labels of these frames.
        classes: names of the classes.
        teacher: number of the round whose model gave them.
        options: by name, as JSON values.
    """

    refs: tuple[FrameRef, ...]
    tables: Mapping[str, Annotations]
    classes: tuple[str, ...]
    teacher: int
    options: Mapping[str, Any]

    def summary(self) -> dict[str, Any]:
        """For the record, as JSON values: frames, boxes of every class, ignored regions."""
        tables = list(self.tables.values())
        kept = [table.labels[~table.ignore] for table in tables]
        labels = np.concatenate([np.zeros(0, np.int64), *kept])
        named = {name: int((labels == number).sum()) for number, name in enumerate(self.classes)}
        return {
            "teacher": self.teacher,
            "frames": len(self.refs),
            "boxes": sum(named.values()),
            "classes": named,
            "ignored": sum(int(table.ignore.sum()) for table in tables),
            "options": dict(self.options),
        }


def with_labels(
    refs: Sequence[FrameRef], tables: Mapping[str, Annotations], pseudo: PseudoLabels | None
) -> tuple[list[FrameRef], dict[str, Annotations]]:
    """Labelled frames and pseudo-labelled ones together, by clip and index.

    Raises:
        ValueError: a frame is both.
    """
    if pseudo is None:
        return list(refs), dict(tables)
    if set(refs) & set(pseudo.refs):
        raise ValueError("a pseudo-labelled frame is labelled already")
    every = sorted([*refs, *pseudo.refs], key=lambda ref: (ref.clip, ref.index))
    merged = dict(tables)
    for name, table in pseudo.tables.items():
        merged[name] = _joined(tables[name], table) if name in tables else table
    return every, merged


def _joined(first: Annotations, second: Annotations) -> Annotations:
    """Two tables of one clip."""
    order = np.argsort(np.concatenate([first.frame, second.frame]), kind="stable")
    names = ("frame", "boxes", "labels", "track", "ignore")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])[order] for name in names
    }
    return replace(first, labelled=first.labelled | second.labelled, **columns)


def write_pseudo_labels(path: Path, pseudo: PseudoLabels) -> None:
    """Keep what a training used, as JSON; whole or not at all.

    ``frames``: clip, frame, ``boxes`` (box in pixels and class), ``ignored`` (boxes).

    Raises:
        OutputError: the place cannot be written.
    """
    frames = []
    for ref in pseudo.refs:
        table = pseudo.tables[ref.clip]
        rows = table.on(ref.index)
        each = zip(table.boxes[rows].tolist(), table.labels[rows], table.ignore[rows], strict=True)
        found: dict[str, Any] = {"clip": ref.clip, "frame": ref.index, "boxes": [], "ignored": []}
        for box, label, ignored in each:
            if ignored:
                found["ignored"].append(box)
            else:
                found["boxes"].append({"box": box, "class": table.classes[int(label)]})
        frames.append(found)
    atomic.write_text(path, json.dumps({**pseudo.summary(), "of": frames}, allow_nan=False))


def read_pseudo_labels(path: Path) -> dict[str, Any] | None:
    """What ``write_pseudo_labels`` wrote; None where a training used none."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def judged_pseudo_labels(
    found: Mapping[str, Any], truth: Mapping[str, Annotations], *, iou: float = 0.5
) -> dict[str, Any]:
    """The summary with how many boxes are right: ``right``, and of every class.

    Args:
        found: see ``read_pseudo_labels``.
        truth: clip id -> labels of all frames; a box is right that is matched one to one with an
            object of its class, with an IoU above ``iou``.
        iou: see there.
    """
    right = dict.fromkeys(found["classes"], 0)
    for frame in found["of"]:
        table = truth[frame["clip"]]
        rows = table.on(frame["frame"])
        for name in right:
            mine = [each["box"] for each in frame["boxes"] if each["class"] == name]
            if mine:
                own = _objects(table, rows, name)
                given = np.array(mine, np.float32)
                matched, _ = boxes.match(given, np.ones(len(mine)), own, threshold=iou)
                right[name] += int((matched >= 0).sum())
    kept = {name: value for name, value in found.items() if name != "of"}
    return {**kept, "right": sum(right.values()), "right_classes": right}


def _objects(table: Annotations, rows: slice, name: str) -> Any:
    """(m, 4) boxes of the objects of a class."""
    if name not in table.classes:
        return np.zeros((0, 4), np.float32)
    label = table.classes.index(name)
    use: BoolArray = (table.labels[rows] == label) & ~table.ignore[rows]
    return table.boxes[rows][use]
