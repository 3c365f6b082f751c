"""Labels that lie beside clips, for frames that are labelled from the start; and what was not taken
of them, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidal.evidence.label_files import READERS, LeftOut, detect_format, read_labels
from vidal.evidence.labels import LabelMatch, match_labels
from vidal.types import Clip, Skipped
from vidal.words import counted, printable

_LISTED = 3


@dataclass(frozen=True, slots=True, eq=False)
class LabelsBeside:
    """A file of labels, matched to clips.

    Attributes:
        match: the labels by clip.
        notes: what was taken and what was not, one sentence each.
    """

    match: LabelMatch
    notes: tuple[str, ...]


def labels_beside(
    path: Path,
    clips: Sequence[Clip],
    *,
    kind: str | None = None,
    classes: tuple[str, ...] | None = None,
    absent: Sequence[Clip] = (),
) -> LabelsBeside:
    """Read a file of labels and match it to clips.

    Args:
        path: a file or folder.
        clips: of the run.
        kind: its format; None = as the file says.
        classes: names to map to; None = the file's own. The files of annotation tools that name
            their classes are always read by their own names, so that a message can tell them.
        absent: clips that are known and cannot be used now.

    Raises:
        InputError, FormatError: it cannot be read; says where.
        LabelsMismatch: labels of other clips or of another picture size.
    """
    name = kind or detect_format(path)
    own = name in READERS and name != "yolo"
    left = LeftOut()
    entries = read_labels(path, name, classes=None if own else classes, clips=clips, left=left)
    match = match_labels(path, entries, clips, absent=absent, skipped=left.skipped)
    return LabelsBeside(match, _notes(path, name, match, left))


def _notes(path: Path, name: str, match: LabelMatch, left: LeftOut) -> tuple[str, ...]:
    labelled = bare = 0
    for table in match.annotations.values():
        boxed = np.zeros(table.frames, np.bool_)
        boxed[table.frame] = True
        labelled += int(table.labelled.sum())
        bare += int((table.labelled & ~boxed).sum())
    file = printable(path.name or path)
    notes = [
        f"{file}: {counted(labelled, 'frame')} labelled ({bare:,} of them without objects);"
        f" read as {name}."
    ]
    elsewhere = {*match.others, *(name for name, _ in match.absent)}
    here = {clip: frames for clip, frames in left.empty.items() if clip not in elsewhere}
    empty = sum(len(frames) for frames in here.values())
    if empty:
        some = [f"{clip}@{at:06d}" for clip, each in here.items() for at in each[:_LISTED]]
        notes.append(
            f"{file}: {counted(empty, 'frame')} without boxes not taken, for {name} does not say"
            f" that somebody looked ({_some(some, empty)}). Exports as COCO or YOLO are taken at"
            " their word."
        )
    if len(left.skipped):
        notes.append(left_out(path, left.skipped))
    if match.others:
        names = counted(len(match.others), "clip that is", "clips that are")
        notes.append(
            f"The labels file names {names} not here, such as {printable(match.others[0])}."
        )
    return tuple(notes)


def left_out(path: Path, skipped: Skipped) -> str:
    """What a reader of ``path`` left out: how much, and the first few by name."""
    some = []
    for place, where, why in skipped.entries[:_LISTED]:
        at = [printable(place.name)] if place != path else []
        at += [printable(where)] if where else []
        some.append(f"{', '.join(at)}: {printable(why)}" if at else printable(why))
    more = "" if len(skipped) <= _LISTED else "; ..."
    count = counted(len(skipped), "thing")
    return f"{printable(path.name or path)}: left out {count}: {'; '.join(some)}{more}."


def _some(names: Sequence[str], count: int) -> str:
    return ", ".join(printable(name) for name in names[:_LISTED]) + (
        ", ..." if count > _LISTED else ""
    )
