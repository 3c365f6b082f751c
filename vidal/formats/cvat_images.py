"""CVAT for images 1.1: query frames as single images, reading and writing.

An ``<image>`` without shapes is annotated and empty; a frame without ``<image>`` is not annotated.
Boxes are read, also turned ones (their extent), and the extents of polygons, ellipses, masks and
cuboids. An image with a shape that has no extent (polyline, points, skeleton), or with a box that
cannot be meant, is not annotated, and listed: what is left out must not become background. Exports
of a task, a job or a project are the same here, for each ``<image>`` says its name and size. Which
frame an image is, its name says: ``<clip id>_<index>.jpg`` as vidal writes query frames, or
whatever the caller's ``names`` make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from vidal.errors import FormatError
from vidal.formats._cvat import IGNORE, Task, box_lines, element, files_of, label_lines
from vidal.formats._cvat_shapes import NO_OBJECT, extent
from vidal.formats._names import Names, believable, believable_sum, frame_name, resolver
from vidal.formats._notes import Notes, note_of, values_of
from vidal.formats._relabel import Relabel
from vidal.formats._rows import Row, build
from vidal.formats._write import write_lines
from vidal.formats._xml import Event, events, need, pixels
from vidal.types import UNKNOWN, Annotations, FrameRef, LabelledClip, Skipped


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    names: Names = None,
    label_from: str | None = None,
    frames: Mapping[str, int] | None = None,
    relabel: Relabel | None = None,
) -> Iterator[LabelledClip]:
    """Clips of CVAT-for-images 1.1 files, in the order in which their first images come.

    All rows are held until the end, for images of a clip need not stand together.

    Args:
        path: an XML file (plain, gzip, or the zip that CVAT makes), or a folder of them.
        classes: class names; None = those the file defines. Other names give class -1.
        skipped: receives what is left out: shapes without extent, images that are no frames.
        names: from an image's name to its frame.
        label_from: name of the attribute that holds the class (instead of the label).
        frames: lengths of clips, where known; else the last image is taken as the last frame.
        relabel: gives some labels the class that an attribute holds.

    Raises:
        InputError: ``path`` cannot be read.
        FormatError: a broken file, an image twice, images of one clip that differ in size.
    """
    path = Path(path)
    reader = _Reader(path, Skipped() if skipped is None else skipped, names, label_from)
    reader.relabel = Relabel() if relabel is None else relabel
    for file in files_of(path):
        reader.scan(file)
    yield from reader.clips(classes, frames or {})


@dataclass(slots=True)
class _Images:
    """What the file says about one clip; labels are still names."""

    size: tuple[int, int]
    indices: set[int] = field(default_factory=set)
    incomplete: set[int] = field(default_factory=set)
    boxes: list[tuple[int, tuple[float, float, float, float], str, bool, str]] = field(
        default_factory=list
    )


class _Reader:
    """One pass over each file; ``path`` is the file at hand."""

    def __init__(self, path: Path, skipped: Skipped, names: Names, label_from: str | None) -> None:
        self.root = self.path = path
        self.skipped = skipped
        self.resolve = resolver(names)
        self.label_from = label_from
        self.relabel = Relabel()
        self.task = Task()
        self.found: dict[str, _Images] = {}

    def scan(self, path: Path) -> None:
        """Take in one file."""
        self.path = path
        parents: list[str] = []
        attribute = ""
        ref: FrameRef | None = None
        values: dict[str, str] = {}
        for event in events(path):
            if not parents and event.start and event.tag != "annotations":
                raise FormatError(path, event.where, "expected <annotations>")
            inside = parents[1:] == ["image"]
            if event.start:
                if event.tag == "track":
                    hint = "Read it with the format cvat."
                    raise FormatError(path, event.where, "CVAT for video", hint=hint)
                ref = self._image(event) if event.tag == "image" else ref
                values = {} if inside else values
                parents.append(event.tag)
                continue
            parents.pop()
            if "meta" in parents:
                attribute = self.task.note(path, parents, event, attribute)
            elif event.tag == "attribute" and parents[1:2] == ["image"] and len(parents) == 3:
                values[event.attributes.get("name", "")] = event.text
            elif parents[1:] == ["image"] and ref is not None:
                self._shape(event, ref, values)

    def _image(self, event: Event) -> FrameRef | None:
        path, where = self.path, event.where
        name = need(path, event, "name")
        ref = self.resolve(name)
        if ref is None:
            self.skipped.add(path, where, f"name {name!r} does not say which frame it is")
            return None
        width, height = (
            pixels(path, where, side, need(path, event, side)) for side in ("width", "height")
        )
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

    def _shape(self, event: Event, ref: FrameRef, values: Mapping[str, str]) -> None:
        path, where = self.path, event.where
        if event.tag in NO_OBJECT:
            self.skipped.add(path, where, f"<{event.tag}> is not a box")
            return
        clip = self.found[ref.clip]
        label = need(path, event, "label")
        if (box := extent(path, event)) is None:
            clip.incomplete.add(ref.index)
            self.skipped.add(path, where, f"shape {event.tag!r} has no box: {ref} waits")
            return
        if self.label_from is not None:
            if self.label_from not in values:
                raise FormatError(path, where, f"attribute {self.label_from!r} is missing")
            label = values[self.label_from]
        label = self.relabel(path, where, label, values)
        ignore = values.get(IGNORE, "false").lower() == "true"
        place = where if path == self.root else f"{path.name}, {where}"
        clip.boxes.append((ref.index, box, label, ignore, place))

    def clips(
        self, classes: Sequence[str] | None, frames: Mapping[str, int]
    ) -> Iterator[LabelledClip]:
        names = list(classes) if classes is not None else self.task.classes(self.label_from)
        if classes is None:  # one list for all clips of the file
            met = [sorted({box[2] for box in images.boxes}) for images in self.found.values()]
            names = list(dict.fromkeys(chain(names, *met)))
        number = {label: at for at, label in reversed(list(enumerate(names)))}
        total = 0
        for name, images in self.found.items():
            last = max(images.indices)
            length = frames.get(name, last + 1)
            if last >= length:
                why = f"frame {last} of {name!r}, which has {length}"
                raise FormatError(self.root, "<image>", why)
            total = believable_sum(self.root, total + length * (name not in frames))
            labelled = np.zeros(length, dtype=np.bool_)
            labelled[list(images.indices)] = True
            rows: list[Row] = [
                (index, box, number.get(label, UNKNOWN), -1, ignore, where)
                for index, box, label, ignore, where in images.boxes
            ]
            table = build(
                names,
                labelled,
                rows,
                path=self.root,
                skipped=self.skipped,
                size=images.size,
                incomplete=images.incomplete,
            )
            yield LabelledClip(name, table, size=images.size)


def write(
    path: Path,
    clips: Iterable[LabelledClip],
    *,
    unknown: str | None = "unknown",
    names: Callable[[FrameRef], str] = frame_name,
    notes: Notes | None = None,
    by_name: bool = False,
    skipped: Skipped | None = None,
) -> Path:
    """Write the labelled frames of clips as one CVAT-for-images 1.1 file, for pre-annotation.

    Tracks have no place in this format and are lost. Corners are written to a hundredth of a pixel.

    Args:
        path: the file.
        clips: all with the same classes; each with its size.
        unknown: label for objects of class -1; None leaves them out.
        names: from a frame to the name of its image.
        notes: what is said of each box, as attributes that the labels declare.
        by_name: number the images in the order of their names, as CVAT numbers those of a task:
            where it does not find a name, it takes the number.
        skipped: receives what is left out.

    Raises:
        OutputError: a place that cannot be written, or a name XML cannot hold.
        ValueError: a clip without size, or classes that differ.
    """
    path = Path(path)
    held = list(clips)
    skip = Skipped() if skipped is None else skipped
    job = _Written(path, unknown, names, notes, by_name, skip)
    write_lines(path, job.lines(held))
    return path


@dataclass(frozen=True, slots=True)
class _Written:
    """A file on its way to the disk."""

    path: Path
    unknown: str | None
    names: Callable[[FrameRef], str]
    notes: Notes | None
    by_name: bool
    skipped: Skipped

    def lines(self, clips: Sequence[LabelledClip]) -> Iterator[str]:
        path, tables = self.path, [clip.annotations for clip in clips]
        if len({table.classes for table in tables}) > 1:
            raise ValueError("clips: classes differ")
        labels = list(tables[0].classes) if tables else []
        met = self.notes is not None or any((table.labels == UNKNOWN).any() for table in tables)
        if self.unknown is not None and self.unknown not in labels and met:
            labels.append(self.unknown)
        images = [
            (self.names(FrameRef(clip.name, index)), at, index)
            for at, clip in enumerate(clips)
            for index in np.flatnonzero(clip.annotations.labelled).tolist()
        ]
        images = sorted(images) if self.by_name else images
        yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        yield "<meta>\n<task>\n" + element(path, "size", str(len(images)))
        yield "<mode>annotation</mode>\n"
        ignore = any(table.ignore.any() for table in tables)
        verdicts = () if self.notes is None else values_of(self.notes)
        yield from label_lines(path, labels, ignore=ignore, verdicts=verdicts)
        yield "</task>\n</meta>\n"
        for number, (name, at, index) in enumerate(images):
            yield from self._image(clips[at], index, number, name)
        yield "</annotations>\n"

    def _image(self, clip: LabelledClip, index: int, number: int, name: str) -> Iterator[str]:
        if clip.size is None:
            raise ValueError(f"{clip.name}: size is not known")
        table: Annotations = clip.annotations
        sides = dict(zip(("height", "width"), map(str, clip.size), strict=True))
        yield element(self.path, "image", end=False, id=str(number), name=name, **sides)
        for row in range(*table.on(index).indices(len(table))):
            label = int(table.labels[row])
            if label == UNKNOWN and self.unknown is None:
                self.skipped.add(self.path, str(FrameRef(clip.name, index)), "unknown object")
                continue
            yield box_lines(
                self.path,
                table.boxes[row].tolist(),
                bool(table.ignore[row]),
                note_of(self.notes, clip.name, row),
                label=table.classes[label] if label != UNKNOWN else str(self.unknown),
                occluded="0",
            )
        yield "</image>\n"
