"""The document that ``vidal.formats.coco_video`` writes, clip by clip."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidal.errors import OutputError
from vidal.formats._notes import CERTAINTY, VERDICT, Notes, RowNote, note_of
from vidal.types import UNKNOWN, BoolArray, FrameRef, LabelledClip

OUTSIDE = "unknown"
"""Category, and key that marks it, of objects outside the classes."""


class Document:
    """What is going to be written."""

    def __init__(
        self,
        path: Path,
        *,
        names: Callable[[FrameRef], str] | None = None,
        notes: Notes | None = None,
        extra: Mapping[FrameRef, Mapping[str, Any]] | None = None,
        unknown: bool = True,
    ) -> None:
        self.path = path
        self.names = names
        self.notes = notes
        self.extra = extra or {}
        self.unknown = unknown
        self.classes: tuple[str, ...] | None = None
        self.outside = False
        self.videos: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, clip: LabelledClip) -> None:
        """Take in a clip."""
        table = clip.annotations
        if self.classes is None:
            self.classes = table.classes
        if table.classes != self.classes:
            raise OutputError(self.path, f"{clip.name} has other classes than the clips before")
        video = len(self.videos) + 1
        self.videos.append(self._video(clip, video))
        first = len(self.images) + 1
        at = np.flatnonzero(table.labelled)
        for index in at.tolist():
            image: dict[str, Any] = {"id": len(self.images) + 1, "video_id": video}
            image["frame_id"] = index
            image |= self.extra.get(FrameRef(clip.name, index), {})
            if self.names is not None:
                image["file_name"] = self.names(FrameRef(clip.name, index))
            elif clip.files:
                image["file_name"] = clip.files[index]
            elif clip.path is not None:
                image["file_name"] = f"{clip.name}/{index:06d}.jpg"
            if clip.size is not None:
                image["height"], image["width"] = clip.size
            self.images.append(image)
        self._annotate(clip, first, table.labelled)

    def _video(self, clip: LabelledClip, number: int) -> dict[str, Any]:
        video: dict[str, Any] = {"id": number, "name": clip.name, "length": clip.annotations.frames}
        if clip.size is not None:
            video["height"], video["width"] = clip.size
        if clip.rate is not None:
            video["fps"], video["rate"] = float(clip.rate), str(clip.rate)
        if clip.files and len(clip.files) != clip.annotations.frames:
            raise OutputError(self.path, f"{clip.name}: {len(clip.files)} files for its frames")
        if clip.files and not clip.annotations.labelled.all():
            video["files"] = list(clip.files)
        if clip.path is not None:
            inside = clip.path.is_relative_to(self.path.parent)
            place = clip.path.relative_to(self.path.parent) if inside else clip.path.absolute()
            video["folder" if clip.files else "file_name"] = place.as_posix()
        return video

    def _annotate(self, clip: LabelledClip, first: int, labelled: BoolArray) -> None:
        table = clip.annotations
        image = (first - 1 + np.cumsum(labelled))[table.frame].tolist()
        wide = table.boxes.astype(np.float64)
        xywh = np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1).tolist()
        self.outside |= self.unknown and bool((table.labels == UNKNOWN).any())
        for row, (x, y, width, height) in enumerate(xywh):
            if table.labels[row] == UNKNOWN and not self.unknown:
                continue
            track = int(table.track[row])
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": image[row],
                    "category_id": int(table.labels[row]) + 1,
                    **({"instance_id": track} if track != -1 else {}),
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                    "ignore": int(table.ignore[row]),
                    **_said(note_of(self.notes, clip.name, row)),
                }
            )

    def value(self) -> dict[str, Any]:
        """The whole document."""
        categories: list[dict[str, Any]] = [
            {"id": number, "name": name} for number, name in enumerate(self.classes or (), start=1)
        ]
        if self.outside and OUTSIDE not in (self.classes or ()):
            categories.append({"id": 0, "name": OUTSIDE, OUTSIDE: True})
        return {
            "videos": self.videos,
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        }


def _said(note: RowNote | None) -> dict[str, Any]:
    """What is said of a box: its score, and attributes by the names that tools are told."""
    if note is None:
        return {}
    said: dict[str, Any] = {VERDICT: note.value}
    if not math.isnan(note.certainty):
        said[CERTAINTY] = round(note.certainty, 4)
    score = {} if math.isnan(note.score) else {"score": round(note.score, 6)}
    return {**score, "attributes": said}
