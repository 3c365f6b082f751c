"""CVAT for images 1.1: query frames as single images, reading and writing.

An ``<image>`` without boxes is annotated and empty; a frame without ``<image>`` is not annotated.
Which frame an image is, its name says: ``<clip id>_<index>.jpg`` as vidal writes query frames, or
whatever the caller's ``names`` make of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidal.errors import FormatError
from vidal.formats._cvat import IGNORE, Task, box_lines, element, label_lines, label_of
from vidal.formats._names import Names, believable, frame_name, resolver
from vidal.formats._rows import Row, build
from vidal.formats._write import write_lines
from vidal.formats._xml import Event, events, need, real, whole
from vidal.types import UNKNOWN, Annotations, FrameRef, LabelledClip, Skipped

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_SHAPES = frozenset(("polygon", "polyline", "points", "cuboid", "ellipse", "mask", "skeleton"))


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    names: Names = None,
    label_from: str | None = None,
    frames: Mapping[str, int] | None = None,
) -> Iterator[LabelledClip]:
    """Clips of a CVAT-for-images 1.1 file, in the order in which their first images come.

    The rows of one file are held until its end, for images of a clip need not stand together.

    Args:
        path: an XML file (plain, gzip, or the zip that CVAT makes).
        classes: class names; None = those the file defines. Other names give class -1.
        skipped: receives what is left out: other shapes, rotated boxes, images that are no frames.
        names: from an image's name to its frame.
        label_from: name of the attribute that holds the class (instead of the label).
        frames: lengths of clips, where known; else the last image is taken as the last frame.

    Raises:
        InputError: ``path`` cannot be read.
        FormatError: a broken file, an image twice, images of one clip that differ in size.
    """
    path = Path(path)
    reader = _Reader(path, Skipped() if skipped is None else skipped, names, label_from)
    reader.scan()
    yield from reader.clips(classes, frames or {})


@dataclass(slots=True)
class _Images:
    """What the file says about one clip; labels are still names."""

    size: tuple[int, int]
    indices: set[int] = field(default_factory=set)
    boxes: list[tuple[int, tuple[float, float, float, float], str, bool, str]] = field(
        default_factory=list
    )


class _Reader:
    """One pass over one file."""

    def __init__(self, path: Path, skipped: Skipped, names: Names, label_from: str | None) -> None:
        self.path = path
        self.skipped = skipped
        self.resolve = resolver(names)
        self.label_from = label_from
        self.task = Task()
        self.found: dict[str, _Images] = {}

    def scan(self) -> None:
        parents: list[str] = []
        attribute = ""
        ref: FrameRef | None = None
        values: dict[str, str] = {}
        for event in events(self.path):
            if not parents and event.start and event.tag != "annotations":
                raise FormatError(self.path, event.where, "expected <annotations>")
            if event.start:
                if event.tag == "track":
                    hint = "Read it with the format cvat."
                    raise FormatError(self.path, event.where, "CVAT for video", hint=hint)
                ref = self._image(event) if event.tag == "image" else ref
                values = {} if event.tag == "box" else values
                parents.append(event.tag)
                continue
            parents.pop()
            if "meta" in parents:
                attribute = self.task.note(self.path, parents, event, attribute)
            elif event.tag == "attribute" and parents[-1] == "box":
                values[event.attributes.get("name", "")] = event.text
            elif event.tag == "box" and parents[-1] == "image" and ref is not None:
                self._box(event, ref, values)
            elif event.tag in _SHAPES:
                self.skipped.add(self.path, event.where, f"shape {event.tag!r} is not a box")

    def _image(self, event: Event) -> FrameRef | None:
        path, where = self.path, event.where
        name = need(path, event, "name")
        ref = self.resolve(name)
        if ref is None:
            self.skipped.add(path, where, f"name {name!r} does not say which frame it is")
            return None
        width, height = (
            whole(path, where, side, need(path, event, side)) for side in ("width", "height")
        )
        if width < 1 or height < 1:
            raise FormatError(path, where, f"image of {width} x {height} pixels")
        clip = self.found.setdefault(ref.clip, _Images((height, width)))
        if clip.size != (height, width):
            why = (
                f"{width} x {height}, other images of {ref.clip!r} {clip.size[1]} x {clip.size[0]}"
            )
            raise FormatError(path, where, why)
        if ref.index in clip.indices:
            raise FormatError(path, where, f"{ref} twice")
        believable(path, where, ref.index + 1)
        clip.indices.add(ref.index)
        return ref

    def _box(self, event: Event, ref: FrameRef, values: Mapping[str, str]) -> None:
        path, where = self.path, event.where
        label = need(path, event, "label")
        if self.label_from is not None:
            if self.label_from not in values:
                raise FormatError(path, where, f"attribute {self.label_from!r} is missing")
            label = values[self.label_from]
        x1, y1, x2, y2 = (real(path, where, name, need(path, event, name)) for name in _CORNERS)
        if real(path, where, "rotation", event.attributes.get("rotation", "0")) != 0:
            self.skipped.add(path, where, "rotated box")
            return
        ignore = values.get(IGNORE, "false").lower() == "true"
        self.found[ref.clip].boxes.append((ref.index, (x1, y1, x2, y2), label, ignore, where))

    def clips(
        self, classes: Sequence[str] | None, frames: Mapping[str, int]
    ) -> Iterator[LabelledClip]:
        names = list(classes) if classes is not None else self.task.classes(self.label_from)
        if classes is None:  # one list for all clips of the file
            for images in self.found.values():
                names += sorted({label for _, _, label, _, _ in images.boxes} - set(names))
        for name, images in self.found.items():
            last = max(images.indices)
            length = frames.get(name, last + 1)
            if last >= length:
                why = f"frame {last} of {name!r}, which has {length}"
                raise FormatError(self.path, "<image>", why)
            labelled = np.zeros(length, dtype=np.bool_)
            labelled[list(images.indices)] = True
            rows: list[Row] = [
                (index, box, label_of(label, names, False), -1, ignore, where)
                for index, box, label, ignore, where in images.boxes
            ]
            table = build(
                names, labelled, rows, path=self.path, skipped=self.skipped, size=images.size
            )
            yield LabelledClip(name, table, size=images.size)


def write(
    path: Path,
    clips: Iterable[LabelledClip],
    *,
    unknown: str | None = "unknown",
    skipped: Skipped | None = None,
) -> Path:
    """Write the labelled frames of clips as one CVAT-for-images 1.1 file, for pre-annotation.

    Images are named ``<clip>_<index>.jpg``. Tracks have no place in this format and are lost.
    Corners are written to a hundredth of a pixel.

    Args:
        path: the file.
        clips: all with the same classes; each with its size.
        unknown: label for objects of class -1; None leaves them out.
        skipped: receives what is left out.

    Raises:
        OutputError: a place that cannot be written, or a name XML cannot hold.
        ValueError: a clip without size, or classes that differ.
    """
    path = Path(path)
    held = list(clips)
    write_lines(path, _lines(path, held, unknown, Skipped() if skipped is None else skipped))
    return path


def _lines(
    path: Path, clips: Sequence[LabelledClip], unknown: str | None, skipped: Skipped
) -> Iterator[str]:
    tables = [clip.annotations for clip in clips]
    if len({table.classes for table in tables}) > 1:
        raise ValueError("clips: classes differ")
    names = list(tables[0].classes) if tables else []
    if unknown is not None and unknown not in names:
        names += [unknown] if any((table.labels == UNKNOWN).any() for table in tables) else []
    count = sum(int(table.labelled.sum()) for table in tables)
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    yield "<meta>\n<task>\n" + element(path, "size", str(count)) + "<mode>annotation</mode>\n"
    yield from label_lines(path, names, ignore=any(table.ignore.any() for table in tables))
    yield "</task>\n</meta>\n"
    number = 0
    for clip in clips:
        for index in np.flatnonzero(clip.annotations.labelled).tolist():
            yield from _image_lines(path, clip, index, number, unknown, skipped)
            number += 1
    yield "</annotations>\n"


def _image_lines(
    path: Path,
    clip: LabelledClip,
    index: int,
    number: int,
    unknown: str | None,
    skipped: Skipped,
) -> Iterator[str]:
    if clip.size is None:
        raise ValueError(f"{clip.name}: size is not known")
    ref = FrameRef(clip.name, index)
    table: Annotations = clip.annotations
    height, width = (str(side) for side in clip.size)
    name = frame_name(ref)
    yield element(path, "image", end=False, id=str(number), name=name, width=width, height=height)
    rows = table.on(index)
    for label, box, ignore in zip(
        table.labels[rows].tolist(),
        table.boxes[rows].tolist(),
        table.ignore[rows].tolist(),
        strict=True,
    ):
        if label == UNKNOWN and unknown is None:
            skipped.add(path, str(ref), "unknown object")
            continue
        text = table.classes[label] if label != UNKNOWN else str(unknown)
        yield box_lines(path, box, ignore, label=text, occluded="0")
    yield "</image>\n"
