"""The key frames of all tracks of a CVAT file, in 80 bytes each, and the boxes that they mean."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidal.errors import FormatError
from vidal.formats._cvat import Grid, Numbering
from vidal.formats._cvat_shapes import Outline, turned
from vidal.formats._rows import Columns
from vidal.formats._tracks import fill, proper
from vidal.types import BoolArray, IntArray, ScoreArray, Skipped

_OUTSIDE, _IGNORE, _READ, _BOX = 1, 2, 4, 8
_NOWHERE: Outline = (np.nan, np.nan, np.nan, np.nan, 0.0)


class Keys:
    """Key frames in the order of the file, column by column.

    Attributes:
        labels: label name -> its number.
        tracks: track id -> its number.
        names: of tracks, by number; None = a shape without a track.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.labels: dict[str, int] = {}
        self.tracks: dict[int, int] = {}
        self.names: list[int | None] = []
        self._tags: dict[str, int] = {}
        self._words: list[str] = []
        self._columns = {name: array("q") for name in ("frame", "line", "track", "label", "tag")}
        self._flags = array("b")
        self._shape = array("d")

    def __len__(self) -> int:
        return len(self._flags)

    def track(self, name: int | None) -> int:
        """Number of a new track."""
        number = len(self.names)
        self.names.append(name)
        if name is not None:
            self.tracks[name] = number
        return number

    def add(
        self,
        *,
        frame: int,
        line: int,
        track: int,
        label: str,
        tag: str,
        shape: Outline | None,
        outside: bool,
        ignore: bool,
    ) -> None:
        """Take in one key frame; ``shape`` None = it cannot be read."""
        if tag not in self._tags:
            self._tags[tag] = len(self._words)
            self._words.append(tag)
        values = {
            "frame": frame,
            "line": line,
            "track": track,
            "label": self.labels.setdefault(label, len(self.labels)),
            "tag": self._tags[tag],
        }
        for name, value in values.items():
            self._columns[name].append(value)
        flags = _OUTSIDE * outside + _IGNORE * ignore + _BOX * (tag == "box")
        self._flags.append(flags + _READ * (shape is not None))
        self._shape.extend(_NOWHERE if shape is None else shape)

    def where(self, at: int) -> str:
        """Place of a key in the file."""
        return f"line {self._columns['line'][at]}, <{self.tag(at)}>"

    def tag(self, at: int) -> str:
        """The element of a key."""
        return self._words[self._columns["tag"][at]]

    def column(self, name: str) -> IntArray:
        """(n,) int64: ``frame``, ``line``, ``track``, ``label`` or ``tag``."""
        return np.frombuffer(self._columns[name], dtype=np.int64).copy() if len(self) else _NONE

    def flag(self, bit: int) -> BoolArray:
        """(n,) bool."""
        flags = np.frombuffer(self._flags, dtype=np.int8) if len(self) else _NONE
        return (flags & bit) != 0

    def shapes(self) -> ScoreArray:
        """(n, 5) float64 outlines, NaN where there is none."""
        flat = np.frombuffer(self._shape, dtype=np.float64) if len(self) else np.zeros(0)
        return flat.reshape(-1, 5)


_NONE = np.zeros(0, dtype=np.int64)


def placed(keys: Keys, grid: Grid, numbering: Numbering) -> IntArray:
    """(n,) frames of the video; below 0 or from ``grid.frames`` on where a key is not in the task.

    Raises:
        FormatError: a frame between those that the task shows.
    """
    frame = keys.column("frame")
    end = grid.start + grid.size * grid.step
    if numbering == "task":
        inside = (frame >= 0) & (frame < grid.size)
        there = grid.start + np.where(inside, frame, 0) * grid.step
    else:
        off = np.flatnonzero((frame - grid.start) % grid.step)
        if len(off):
            at = int(off[0])
            hint = "If the file counts the frames of the task, read it with numbering='task'."
            first = f"{grid.start}, {grid.start + grid.step}, ..."
            why = f"frame {frame[at]} is not one of {first}"
            raise FormatError(keys.path, keys.where(at), why, hint=hint)
        inside, there = (frame >= grid.start) & (frame < end), frame
    late = frame >= (grid.size if numbering == "task" else end)
    beyond = np.where(late, max(end, grid.frames), grid.start - grid.step)
    return np.where(inside, there, np.where(late, beyond, np.minimum(beyond, -1)))


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the keys say; ``incomplete`` is (F,) bool, frames that lack an object."""

    columns: Columns
    incomplete: BoolArray


def boxes_of(
    keys: Keys, grid: Grid, numbering: Numbering, labels: IntArray, skipped: Skipped
) -> Meaning:
    """Boxes on and between the key frames, and the frames on which an object is not known.

    Args:
        keys: of the whole file.
        grid: frames of the task.
        numbering: what they count.
        labels: (L,) int64, the class of each of ``keys.labels``.
        skipped: receives what is left out.

    Raises:
        FormatError: a frame off the grid, or twice in a track; too many boxes.
    """
    frame, track = placed(keys, grid, numbering), keys.column("track")
    order = np.lexsort((frame, track))
    knots, group = frame[order], track[order]
    inside = (knots >= 0) & (knots < grid.frames)
    _refuse_twins(keys, order, group, knots, inside)
    values = keys.shapes()[order].copy()
    seen, read = ~keys.flag(_OUTSIDE)[order], keys.flag(_READ)[order]
    good = inside & read & proper(values[:, :4]) & np.isfinite(values[:, 4])
    values[~good] = 0
    values[:, 4] = np.unwrap(values[:, 4], period=360)
    plain = keys.flag(_BOX)[order] | ~seen
    filled = fill(
        keys.path,
        group,
        knots,
        values,
        shown=seen,
        onward=seen,
        good=good,
        plain=plain,
        step=grid.step,
    )
    incomplete = np.zeros(grid.frames, dtype=np.bool_)
    _unread(keys, order[seen & ~read], incomplete, frame, skipped)
    for at, first, last in zip(filled.gaps, filled.first, filled.last, strict=True):
        first, last = max(int(first), 0), min(int(last), grid.frames - 1)
        if first <= last:
            incomplete[first : last + 1] = True
            why = f"frames {first} to {last} after this shape are not stated: they wait"
            skipped.add(keys.path, keys.where(int(order[at])), why)
    _open_ends(keys, order, group, knots, seen & inside & read, grid, skipped)
    bad = np.flatnonzero(seen & read & ~good)
    origin = np.concatenate([order[filled.origin], order[bad]])
    boxes = turned(filled.values[:, :4], filled.values[:, 4])
    broken = keys.shapes()[order[bad], :4]
    broken[proper(broken)] = np.nan  # for its rotation
    numbers = np.array([-1 if n is None else n for n in keys.names], dtype=np.int64)
    columns = Columns(
        frame=np.concatenate([filled.frame, np.where(inside[bad], knots[bad], -1)]),
        boxes=np.concatenate([boxes, broken]),
        labels=labels[keys.column("label")[origin]],
        track=numbers[track[origin]] if len(origin) else _NONE,
        ignore=keys.flag(_IGNORE)[origin],
        origin=origin,
    )
    return Meaning(columns, incomplete)


def _refuse_twins(
    keys: Keys, order: IntArray, group: IntArray, knots: IntArray, inside: BoolArray
) -> None:
    same = (group[1:] == group[:-1]) & (knots[1:] == knots[:-1]) & inside[1:]
    for at in np.flatnonzero(same)[:1].tolist():
        twin = int(order[at + 1])
        name, frame = keys.names[int(group[at])], keys.column("frame")[twin]
        raise FormatError(keys.path, keys.where(twin), f"track {name} has frame {frame} twice")


def _unread(
    keys: Keys, which: IntArray, incomplete: BoolArray, frame: IntArray, skipped: Skipped
) -> None:
    for at in which.tolist():
        what = f"shape {keys.tag(at)!r} has no box"
        if 0 <= (number := int(frame[at])) < len(incomplete):
            incomplete[number] = True
            skipped.add(keys.path, keys.where(at), f"{what}: frame {number} waits")
        else:
            skipped.add(keys.path, keys.where(at), f"{what}, and its frame is outside the clip")


def _open_ends(
    keys: Keys,
    order: IntArray,
    group: IntArray,
    knots: IntArray,
    seen: BoolArray,
    grid: Grid,
    skipped: Skipped,
) -> None:
    """List the tracks that end without a word."""
    last = (
        np.flatnonzero(np.concatenate([group[1:] != group[:-1], [True]])) if len(group) else _NONE
    )
    last = last[seen[last] & (knots[last] < grid.start + (grid.size - 1) * grid.step)]
    for at in last.tolist():
        name = keys.names[int(group[at])]
        why = f"track {name} has no outside box: taken to end at frame {int(knots[at])}"
        skipped.add(keys.path, keys.where(int(order[at])), why)
