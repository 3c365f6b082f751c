"""CVAT for video 1.1: tracks with key frames, reading and writing.

Frame numbers. A task shows the frames ``start_frame + i * step`` of its video, up to
``stop_frame``. In the files that CVAT exports (and expects back) ``box@frame`` is the number in the
*video*, not i: with ``step=5`` the boxes of a track are on frames 0, 5, 10, ... (its server maps
task numbers to video numbers on export and back on import). Files of other origin may number by
task; ``numbering="task"`` reads and writes those. Under ``"video"`` a frame off the task's grid is
an error rather than a guess: it is the sign of the other numbering.

What is read. Boxes, also turned ones (their extent), and the extents of polygons, ellipses, masks
and cuboids. A frame with a shape that has no extent (polyline, points, skeleton), or with a box
that cannot be meant, is not annotated, and listed: what is left out must not become background.
The same holds for frames between two key frames of which the file does not say where the object is.

What CVAT cannot say. It does not tell "looked at and empty" from "never opened". A task without a
single shape is taken as not annotated and listed, unless ``empty_is_labelled``; in any other task
every frame that is not deleted is annotated. Deleted frames are not part of CVAT's XML (they are in
the task's meta data): give them as ``deleted``; vidal's own files carry them in
``<deleted_frames>``, which CVAT passes over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vidal.errors import FormatError
from vidal.formats._cvat import IGNORE, Grid, Numbering, Task, files_of
from vidal.formats._cvat_shapes import NO_OBJECT, outline
from vidal.formats._cvat_tracks import Keys, boxes_of
from vidal.formats._cvat_write import write as write
from vidal.formats._relabel import Relabel
from vidal.formats._rows import tabulate
from vidal.formats._xml import Event, events, flag, need, whole
from vidal.types import UNKNOWN, LabelledClip, Skipped


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    label_from: str | None = None,
    numbering: Numbering = "video",
    frames: int | None = None,
    deleted: Iterable[int] = (),
    empty_is_labelled: bool = False,
    relabel: Relabel | None = None,
) -> Iterator[LabelledClip]:
    """Clips of CVAT-for-video 1.1 files; one file is one clip, or one a task of a project.

    Between two boxes of a track the missing frames of the task are interpolated linearly;
    ``outside=1`` hides the object up to the next box. A track whose last box is visible before the
    task's end is taken to end there, and listed. Class -1 where a name is not in ``classes``.

    Args:
        path: an XML file (plain, gzip, or the zip that CVAT makes), or a folder of them.
        classes: class names; None = those the file defines, in its order.
        skipped: receives what is left out: other shapes, rotated boxes, boxes that cannot be.
        label_from: name of the attribute that holds the class (instead of the label).
        numbering: what ``box@frame`` counts; see above.
        frames: length of the clip, where known; None = ``stop_frame`` + 1.
        deleted: numbers of the task's deleted frames (one file only).
        empty_is_labelled: whether a task without shapes was annotated and is empty.
        relabel: gives some labels the class that an attribute holds.

    Raises:
        InputError: ``path`` cannot be read.
        FormatError: a broken file; says the line and the element.
    """
    path = Path(path)
    for file in files_of(path):
        skip = Skipped() if skipped is None else skipped
        reader = _Reader(file, skip, label_from, numbering)
        reader.relabel = Relabel() if relabel is None else relabel
        yield from reader.clips(classes, frames, deleted, empty_is_labelled)


class _Reader:
    """One pass over one file; holds the key frames of each task in it."""

    def __init__(
        self, path: Path, skipped: Skipped, label_from: str | None, numbering: Numbering
    ) -> None:
        self.path = path
        self.skipped = skipped
        self.label_from = label_from
        self.numbering: Numbering = numbering
        self.relabel = Relabel()
        self.task = Task()
        self.keys = Keys(path)
        self.of_tasks: dict[str, Keys] = {}

    def clips(
        self,
        classes: Sequence[str] | None,
        frames: int | None,
        deleted: Iterable[int],
        empty_is_labelled: bool,
    ) -> Iterator[LabelledClip]:
        self._scan()
        if self.task.kind != "project":
            yield self._clip(classes, frames, deleted, empty_is_labelled)
            return
        known = {task.fields.get("id", ""): task for task in self.task.tasks}
        strange = next((name for name in self.of_tasks if name not in known), None)
        if strange is not None or not known:
            why = "a project export without tasks"
            if strange is not None:
                why = f"tracks of task {strange!r:.40}, which <project> does not list"
            hint = "Export each task on its own."
            raise FormatError(self.path, "<project>", why, hint=hint)
        for name, task in known.items():
            self.task, self.keys = task, self.of_tasks.get(name, Keys(self.path))
            yield self._clip(classes, frames, deleted, empty_is_labelled)

    def _clip(
        self,
        classes: Sequence[str] | None,
        frames: int | None,
        deleted: Iterable[int],
        empty_is_labelled: bool,
    ) -> LabelledClip:
        task = self.task
        grid = Grid.of(self.path, task, frames)
        own = [
            whole(self.path, "<deleted_frames>", "frame", text)
            for text in re.findall(r"-?\d+", task.fields.get("deleted_frames", ""))
        ]
        labelled = grid.labelled(self.path, [*deleted, *own])
        if not len(self.keys) and not empty_is_labelled:
            labelled[:] = False
            self.skipped.add(self.path, "<annotations>", "no shapes: taken as not annotated")
        names = list(classes) if classes is not None else task.classes(self.label_from)
        if classes is None:
            names = list(dict.fromkeys([*names, *self.keys.labels]))
        place = {name: at for at, name in reversed(list(enumerate(names)))}
        labels = np.array([place.get(n, UNKNOWN) for n in self.keys.labels], dtype=np.int64)
        found = boxes_of(self.keys, grid, self.numbering, labels, self.skipped)
        size = (task.height, task.width) if task.height and task.width else None
        table = tabulate(
            names,
            labelled,
            found.columns,
            self.keys.where,
            path=self.path,
            skipped=self.skipped,
            size=size,
            incomplete=found.incomplete,
        )
        return LabelledClip(
            name=task.fields.get("name") or self.path.name.split(".")[0],
            annotations=table,
            path=Path(task.source) if task.source else None,
            size=size,
        )

    def _scan(self) -> None:
        parents: list[str] = []
        attribute, track, label = "", -1, ""
        values: dict[str, str] = {}
        for event in events(self.path):
            if not parents and event.start and event.tag != "annotations":
                raise FormatError(self.path, event.where, "expected <annotations>")
            if event.start:
                if len(parents) == 1 and event.tag not in ("version", "meta"):
                    self._of_task(event)
                if len(parents) == 1 and event.tag == "track":
                    track, label = self._track(event), need(self.path, event, "label")
                elif event.tag == "image":
                    hint = "Read it with the format cvat-images."
                    raise FormatError(self.path, event.where, "CVAT for images", hint=hint)
                values = {} if _is_shape(parents, event) else values
                parents.append(event.tag)
                continue
            parents.pop()
            if "meta" in parents:
                attribute = self.task.note(self.path, parents, event, attribute)
            elif event.tag == "attribute" and len(parents) == (3 if "track" in parents else 2):
                values[event.attributes.get("name", "")] = event.text
            elif _is_shape(parents, event):
                self._take(event, track if "track" in parents else None, label, values)

    def _of_task(self, event: Event) -> None:
        """Of a project: which task a track, or a shape beside the tracks, belongs to."""
        if self.task.kind == "project":
            name = need(self.path, event, "task_id")
            self.keys = self.of_tasks.setdefault(name, Keys(self.path))

    def _track(self, event: Event) -> int:
        track = whole(self.path, event.where, "id", need(self.path, event, "id"))
        if track < 0 or track in self.keys.tracks:
            raise FormatError(self.path, event.where, f"track id {track} twice or not possible")
        return self.keys.track(track)

    def _take(
        self, event: Event, track: int | None, label: str, attributes: dict[str, str]
    ) -> None:
        path, where = self.path, event.where
        if event.tag in NO_OBJECT:
            self.skipped.add(path, where, f"<{event.tag}> is not a box")
            return
        frame = whole(path, where, "frame", need(path, event, "frame"))
        if track is None:
            track, label = self.keys.track(None), event.attributes.get("label", "")
        if self.label_from is not None:
            if self.label_from not in attributes:
                raise FormatError(path, where, f"attribute {self.label_from!r} is missing")
            label = attributes[self.label_from]
        outside = flag(path, event, "outside")
        if not outside:
            label = self.relabel(path, where, label, attributes)
        self.keys.add(
            frame=frame,
            line=event.line,
            track=track,
            label=label,
            tag=event.tag,
            shape=outline(path, event),
            outside=outside,
            ignore=attributes.get(IGNORE, "false").lower() == "true",
        )


def _is_shape(parents: Sequence[str], event: Event) -> bool:
    """Whether an element is one of a track, or stands where tracks do and is none."""
    if len(parents) == 1:
        return event.tag not in ("version", "meta", "track")
    return len(parents) == 2 and parents[1] == "track"
