"""The formats that annotation tools export: which a file has, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.errors import FormatError, InputError
from vidal.formats import coco_video, cvat, cvat_images, label_studio, yolo
from vidal.types import Clip, FrameRef, LabelledClip, Skipped

Names = Callable[[str], FrameRef | None]
"""From the name of a picture to its frame."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a reader of answers is given.

    Attributes:
        path: the file or folder.
        classes: of the campaign.
        clips: by id: those that may be labelled.
        names: how pictures of the query are named.
        skipped: receives what is left out.
    """

    path: Path
    classes: tuple[str, ...]
    clips: Mapping[str, Clip]
    names: Names
    skipped: Skipped

    @property
    def lengths(self) -> dict[str, int]:
        """Frames of each clip."""
        return {name: clip.frames for name, clip in self.clips.items()}

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """(height, width) of each clip."""
        return {name: clip.size for name, clip in self.clips.items()}


def _cvat(request: Request) -> Iterator[LabelledClip]:
    return cvat.read(request.path, skipped=request.skipped)


def _cvat_images(request: Request) -> Iterator[LabelledClip]:
    return cvat_images.read(
        request.path, skipped=request.skipped, names=request.names, frames=request.lengths
    )


def _label_studio(request: Request) -> Iterator[LabelledClip]:
    return label_studio.read(
        request.path,
        skipped=request.skipped,
        names=request.names,
        frames=request.lengths,
        sizes=request.sizes,
    )


def _yolo(request: Request) -> Iterator[LabelledClip]:
    described = request.path.is_file() or (request.path / "data.yaml").is_file()
    return yolo.read(
        request.path,
        classes=None if described else request.classes,
        skipped=request.skipped,
        names=request.names,
        frames=request.lengths,
        sizes=request.sizes,
    )


def _coco_video(request: Request) -> Iterator[LabelledClip]:
    return coco_video.read(request.path, skipped=request.skipped)


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """How a format is read, and what it says.

    Attributes:
        read: the labelled clips of a request.
        states_empty: a frame that it gives without boxes was looked at by somebody. CVAT, YOLO and
            COCO list every picture of a task, done or not.
    """

    read: Callable[[Request], Iterator[LabelledClip]]
    states_empty: bool = False


READERS: Mapping[str, AnswerFormat] = {
    "cvat": AnswerFormat(_cvat),
    "cvat-images": AnswerFormat(_cvat_images),
    "label-studio": AnswerFormat(_label_studio, states_empty=True),
    "yolo": AnswerFormat(_yolo),
    "coco-video": AnswerFormat(_coco_video),
}
"""Formats that annotation tools export."""


def detect_format(path: Path) -> str:
    """The format of a file that an annotation tool has exported, by its name and first keys.

    Raises:
        InputError: it is not there.
        FormatError: it is none of those in ``READERS``.
    """
    if not path.exists():
        raise InputError(path, "no such file or folder")
    if path.is_dir():
        xml = any(p.name.endswith((".xml", ".xml.gz", ".zip")) for p in path.iterdir())
        return "cvat" if xml else "yolo"
    if path.suffix in (".yaml", ".yml"):
        return "yolo"
    if path.suffix == ".json":
        return _json_format(path)
    if path.name.endswith((".xml", ".xml.gz", ".zip")):
        return _cvat_format(path)
    raise FormatError(path, "", "of no known format", hint=_choices())


def _json_format(path: Path) -> str:
    try:
        value: Any = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FormatError(path, "", f"not JSON ({error})") from error
    if isinstance(value, list):
        return "label-studio"
    if isinstance(value, dict) and "videos" in value:
        return "coco-video"
    raise FormatError(path, "", "of no known format", hint=_choices())


def _cvat_format(path: Path) -> str:
    """Images or video: the reader of images refuses the other at its first track."""
    try:
        for _ in cvat_images.read(path):
            pass
    except FormatError as error:
        if "CVAT for video" in error.why:
            return "cvat"
        raise
    return "cvat-images"


def _choices() -> str:
    return f"Name it with --format: {', '.join(READERS)}."
