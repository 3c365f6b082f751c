"""CVAT for video 1.1: tracks with key frames, reading and writing.

Frame numbers. A task shows the frames ``start_frame + i * step`` of its video, up to
``stop_frame``. In the files that CVAT exports (and expects back) ``box@frame`` is the number in the
*video*, not i: with ``step=5`` the boxes of a track are on frames 0, 5, 10, ... (its server maps
task numbers to video numbers on export and back on import). Files of other origin may number by
task; ``numbering="task"`` reads and writes those. Under ``"video"`` a frame off the task's grid is
an error rather than a guess: it is the sign of the other numbering.

What CVAT cannot say. It does not tell "looked at and empty" from "never opened". A task without a
single shape is taken as not annotated and listed, unless ``empty_is_labelled``; in any other task
every frame that is not deleted is annotated. Deleted frames are not part of CVAT's XML (they are in
the task's meta data): give them as ``deleted``; vidal's own files carry them in
``<deleted_frames>``, which CVAT passes over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from vidal.errors import FormatError, InputError
from vidal.formats._cvat import IGNORE, Grid, Numbering, Task, label_of
from vidal.formats._cvat_write import write as write
from vidal.formats._rows import Row, build
from vidal.formats._tracks import cut, interpolate, proper
from vidal.formats._xml import Event, events, flag, need, real, whole
from vidal.types import UNKNOWN, BoolArray, LabelledClip, Skipped

Corners = tuple[float, float, float, float]
_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_SHAPES = frozenset(
    ("polygon", "polyline", "points", "cuboid", "ellipse", "mask", "skeleton", "tag")
)


@dataclass(frozen=True, slots=True)
class _Box:
    frame: int
    corners: Corners
    outside: bool
    ignore: bool
    label: str
    rotated: bool
    where: str


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
) -> Iterator[LabelledClip]:
    """Clips of CVAT-for-video 1.1 files; one file is one clip.

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

    Raises:
        InputError: ``path`` cannot be read.
        FormatError: a broken file; says the line and the element.
    """
    path = Path(path)
    for file in _files(path):
        skip = Skipped() if skipped is None else skipped
        reader = _Reader(file, skip, label_from, numbering)
        yield reader.clip(classes, frames, deleted, empty_is_labelled)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.iterdir() if p.name.endswith((".xml", ".xml.gz", ".zip")))
    if not files:
        raise InputError(path, "no .xml, .xml.gz or .zip in this folder")
    return files


class _Reader:
    """One pass over one file; holds the boxes of one clip."""

    def __init__(
        self, path: Path, skipped: Skipped, label_from: str | None, numbering: Numbering
    ) -> None:
        self.path = path
        self.skipped = skipped
        self.label_from = label_from
        self.numbering = numbering
        self.task = Task()
        self.tracks: dict[int, list[_Box]] = {}
        self._shapes = 0

    def clip(
        self,
        classes: Sequence[str] | None,
        frames: int | None,
        deleted: Iterable[int],
        empty_is_labelled: bool,
    ) -> LabelledClip:
        self._scan()
        task = self.task
        grid = Grid.of(self.path, task, frames)
        own = re.findall(r"-?\d+", task.fields.get("deleted_frames", ""))
        labelled = grid.labelled(self.path, [*deleted, *map(int, own)])
        if not self._shapes and not empty_is_labelled:
            labelled[:] = False
            self.skipped.add(self.path, "<annotations>", "no shapes: taken as not annotated")
        names = list(classes) if classes is not None else task.classes(self.label_from)
        rows: list[Row] = []
        for track, boxes in self.tracks.items():
            rows += self._rows(track, boxes, grid, labelled, names, classes is None)
        size = (task.height, task.width) if task.height and task.width else None
        table = build(names, labelled, rows, path=self.path, skipped=self.skipped, size=size)
        return LabelledClip(
            name=task.fields.get("name") or self.path.name.split(".")[0],
            annotations=table,
            path=Path(task.source) if task.source else None,
            size=size,
        )

    def _scan(self) -> None:
        parents: list[str] = []
        attribute, track, label = "", -1, ""
        box: dict[str, str] = {}
        for event in events(self.path):
            if not parents and event.start and event.tag != "annotations":
                raise FormatError(self.path, event.where, "expected <annotations>")
            if not event.start:
                parents.pop()
                if "meta" in parents:
                    attribute = self.task.note(self.path, parents, event, attribute)
                elif event.tag == "attribute" and parents[-1] == "box":
                    box[event.attributes.get("name", "")] = event.text
                elif event.tag == "box" and parents[-1] == "track":
                    self._take(event, track, label, box)
                continue
            if event.tag == "track":
                track, label = self._track(event), need(self.path, event, "label")
            elif event.tag == "image":
                hint = "Read it with the format cvat_images."
                raise FormatError(self.path, event.where, "CVAT for images", hint=hint)
            elif event.tag in _SHAPES and "meta" not in parents:
                self._shapes += 1
                self.skipped.add(self.path, event.where, f"shape {event.tag!r} is not a box")
            box = {} if event.tag == "box" else box
            parents.append(event.tag)

    def _track(self, event: Event) -> int:
        track = whole(self.path, event.where, "id", need(self.path, event, "id"))
        if not 0 <= track < 2**62 or track in self.tracks:
            raise FormatError(self.path, event.where, f"track id {track} twice or not possible")
        self.tracks[track] = []
        return track

    def _take(self, event: Event, track: int, label: str, attributes: dict[str, str]) -> None:
        path, where = self.path, event.where
        self._shapes += 1
        frame = whole(path, where, "frame", need(path, event, "frame"))
        x1, y1, x2, y2 = (real(path, where, name, need(path, event, name)) for name in _CORNERS)
        rotated = real(path, where, "rotation", event.attributes.get("rotation", "0")) != 0
        if rotated:
            self.skipped.add(path, where, "rotated box")
            x1 = np.nan  # no key frame either
        if self.label_from is not None:
            if self.label_from not in attributes:
                raise FormatError(path, where, f"attribute {self.label_from!r} is missing")
            label = attributes[self.label_from]
        ignore = attributes.get(IGNORE, "false").lower() == "true"
        outside, corners = flag(path, event, "outside"), (x1, y1, x2, y2)
        self.tracks[track].append(_Box(frame, corners, outside, ignore, label, rotated, where))

    def _on_grid(self, box: _Box, grid: Grid) -> int:
        """The frame of the video; negative or beyond the clip stays for the check on rows."""
        if self.numbering == "task":
            if not 0 <= box.frame < grid.size:
                return -1
            return grid.start + box.frame * grid.step
        place, off = divmod(box.frame - grid.start, grid.step)
        if off:
            hint = "If the file counts the frames of the task, read it with numbering='task'."
            why = f"frame {box.frame} is not one of {grid.start}, {grid.start + grid.step}, ..."
            raise FormatError(self.path, box.where, why, hint=hint)
        return box.frame if 0 <= place < grid.size else -1

    def _rows(
        self,
        track: int,
        boxes: list[_Box],
        grid: Grid,
        labelled: BoolArray,
        names: list[str],
        grow: bool,
    ) -> list[Row]:
        placed = sorted(((self._on_grid(box, grid), box) for box in boxes), key=lambda p: p[0])
        for (before, box), (frame, twin) in pairwise(placed):
            if before == frame >= 0:
                why = f"track {track} has frame {box.frame} twice"
                raise FormatError(self.path, twin.where, why)
        known = [(frame, box) for frame, box in placed if frame >= 0 and proper(box.corners)]
        bad = [(frame, box) for frame, box in placed if frame < 0 or not proper(box.corners)]
        rows: list[Row] = [
            (frame, box.corners, UNKNOWN, track, False, box.where)
            for frame, box in bad
            if not box.rotated and not box.outside
        ]
        if known and not (last := placed[-1])[1].outside:
            self._open_end(track, last, grid)
        if known:
            lost = [frame for frame, _ in bad if frame >= 0]
            rows += self._between(track, known, lost, grid, labelled, names, grow)
        return rows

    def _open_end(self, track: int, last: tuple[int, _Box], grid: Grid) -> None:
        frame, box = last
        if 0 <= frame < grid.start + (grid.size - 1) * grid.step:
            why = f"track {track} has no outside box: taken to end at frame {frame}"
            self.skipped.add(self.path, box.where, why)

    def _between(
        self,
        track: int,
        known: list[tuple[int, _Box]],
        lost: list[int],
        grid: Grid,
        labelled: BoolArray,
        names: list[str],
        grow: bool,
    ) -> list[Row]:
        knots = np.array([frame for frame, _ in known], dtype=np.int64)
        outside = np.array([box.outside for _, box in known])
        corners = np.array([box.corners for _, box in known], dtype=np.float64)
        frames, filled = interpolate(knots, corners, cut(knots, ~outside, lost), step=grid.step)
        at = np.searchsorted(knots, frames, side="right") - 1
        kept = np.flatnonzero(~outside[at] & labelled[frames])
        rows: list[Row] = []
        for place in kept.tolist():
            box = known[at[place]][1]
            x1, y1, x2, y2 = filled[place].tolist()
            label = label_of(box.label, names, grow)
            rows.append((int(frames[place]), (x1, y1, x2, y2), label, track, box.ignore, box.where))
        return rows
