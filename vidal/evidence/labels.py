"""Frames that are labelled already: an annotation file matched to the clips of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from vidal.errors import LabelsMismatch
from vidal.types import Annotations, BoolArray, Clip, LabelledClip


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """Annotations by clip id, and what of the file was not used.

    Attributes:
        annotations: clip id -> table of that clip's length.
        others: names in the file that belong to no clip of the run.
    """

    annotations: Mapping[str, Annotations]
    others: tuple[str, ...]

    def labelled(self, clip: Clip) -> BoolArray:
        """(F,) bool of a clip; all False where the file says nothing of it."""
        table = self.annotations.get(clip.id)
        return np.zeros(clip.frames, np.bool_) if table is None else table.labelled


def names_of(clip: Clip) -> tuple[str, ...]:
    """The names by which an annotation file may call a clip, the most specific first."""
    bare = clip.id.rpartition("-")[0]
    return (clip.id, bare, clip.path.name, clip.path.stem)


def clips_by_name(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Every name by which a file may call a clip -> the clips it may mean."""
    by_name: dict[str, list[Clip]] = {}
    for clip in clips:
        for name in dict.fromkeys(names_of(clip)):
            by_name.setdefault(name, []).append(clip)
    return by_name


def match_labels(path: Path, source: Iterable[LabelledClip], clips: Sequence[Clip]) -> LabelMatch:
    """Find the clip of every entry of an annotation file.

    An entry belongs to a clip if its name, or its last path component with or without suffix,
    is the clip's id, the id without its digest, or the clip's file name.

    Raises:
        LabelsMismatch: no entry belongs to a clip, an entry could belong to several, or an
            entry's length is not the clip's.
    """
    by_name = clips_by_name(clips)
    annotations: dict[str, Annotations] = {}
    others: list[str] = []
    for entry in source:
        found = find_clip(path, (entry.name,), by_name)
        if found is None:
            others.append(entry.name)
            continue
        if found.id in annotations:
            raise LabelsMismatch(path, f"two entries belong to clip {found.id}")
        annotations[found.id] = _fitted(path, entry, found)
    if not annotations:
        seen = ", ".join(others[:3]) or "nothing"
        raise LabelsMismatch(
            path,
            f"labels for other clips ({seen}{', ...' if len(others) > 3 else ''})",
            hint=f"Expected names such as {clips[0].id if clips else '-'} or their file names.",
        )
    return LabelMatch(annotations, tuple(others))


def find_clip(path: Path, names: Iterable[str], by_name: Mapping[str, list[Clip]]) -> Clip | None:
    """The clip that one of the names means, tried in order; None where none does.

    Raises:
        LabelsMismatch: names of ``path`` that could be several clips, and no other name settles it.
    """
    doubt: tuple[str, list[Clip]] | None = None
    for given in names:
        pure = PurePosixPath(given)
        for name in (given, given.replace("/", "__"), pure.name, pure.stem):
            found = by_name.get(name, [])
            if len(found) == 1:
                return found[0]
            if found and doubt is None:
                doubt = given, found
    if doubt is None:
        return None
    both = " and ".join(str(clip.path) for clip in doubt[1][:2])
    raise LabelsMismatch(path, f"{doubt[0]!r} could be {both}", hint="Name the clips by their ids.")


def _fitted(path: Path, entry: LabelledClip, clip: Clip) -> Annotations:
    """The entry's table at the clip's length.

    A truncated clip has lost frames at its end: labels beyond are an error all the same, because
    frame numbers can then not be trusted; a table that merely states fewer frames is lengthened.
    """
    table = entry.annotations
    if table.frames == clip.frames:
        return table
    beyond = np.flatnonzero(table.labelled[clip.frames :])
    if len(beyond):
        raise LabelsMismatch(
            path,
            f"{entry.name!r} labels frame {clip.frames + int(beyond[0])}, "
            f"but {clip.path.name} has {clip.frames} frames",
            hint="Frame numbers are 0-based presentation ordinals.",
        )
    labelled = np.zeros(clip.frames, np.bool_)
    shared = min(table.frames, clip.frames)
    labelled[:shared] = table.labelled[:shared]
    return Annotations(
        classes=table.classes,
        labelled=labelled,
        frame=table.frame,
        boxes=table.boxes,
        labels=table.labels,
        track=table.track,
        ignore=table.ignore,
    )
