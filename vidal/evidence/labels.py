"""Frames that are labelled already: an annotation file matched to the clips of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from vidal.errors import LabelsMismatch
from vidal.evidence.names import ClipNames, Fit
from vidal.types import UNKNOWN, Annotations, BoolArray, Clip, LabelledClip, Skipped
from vidal.words import counted


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """Annotations by clip id, and what of the file was not used.

    Attributes:
        annotations: clip id -> table of that clip's length.
        others: names in the file that belong to no clip of the run.
        absent: names in the file of clips that are not there now, with their ids.
        entries: names in the file of clips whose labels were taken -> their ids.
    """

    annotations: Mapping[str, Annotations]
    others: tuple[str, ...]
    absent: tuple[tuple[str, str], ...] = ()
    entries: Mapping[str, str] = field(default_factory=dict)

    def labelled(self, clip: Clip) -> BoolArray:
        """(F,) bool of a clip; all False where the file says nothing of it."""
        table = self.annotations.get(clip.id)
        return np.zeros(clip.frames, np.bool_) if table is None else table.labelled


def labelled_objects(tables: Iterable[Annotations]) -> dict[str, int]:
    """Class -> objects in some tables, unknown ones under ``""``; ignored regions are none."""
    counts: dict[str, int] = {}
    for table in tables:
        labels = table.labels[~table.ignore]
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
            name = "" if label == UNKNOWN else table.classes[label]
            counts[name] = counts.get(name, 0) + int(count)
    return counts


def match_labels(
    path: Path,
    source: Iterable[LabelledClip],
    clips: Sequence[Clip],
    *,
    absent: Sequence[Clip] = (),
    skipped: Skipped | None = None,
) -> LabelMatch:
    """Find the clip of every entry of an annotation file; see ``ClipNames`` for what fits.

    Args:
        path: of the file.
        source: its entries.
        clips: of the run.
        absent: clips that are known and cannot be used: entries of them are told, not taken.
        skipped: what the reader has left out, for the message where nothing is left.

    Raises:
        LabelsMismatch: no entry belongs to a clip, an entry could belong to several, two entries
            fit one clip equally well, or an entry's length or picture size is not the clip's.
    """
    names = ClipNames([*clips, *absent])
    lost = {clip.id for clip in absent}
    taken: dict[str, tuple[Fit, LabelledClip, Clip]] = {}
    others: list[str] = []
    for entry in source:
        found = _find(names, path, entry)
        if found is None:
            others.append(entry.name)
            continue
        clip, fit = found
        before = taken.get(clip.id)
        if before is not None and before[0] == fit:
            both = f"{before[1].name!r} and {entry.name!r}"
            raise LabelsMismatch(path, f"two entries belong to clip {clip.id} ({both})")
        if before is None or before[0] < fit:
            taken[clip.id] = fit, entry, clip
        if before is not None:
            others.append(min((before[0], before[1].name), (fit, entry.name))[1])
    annotations = {
        name: _fitted(path, entry, clip)
        for name, (_, entry, clip) in taken.items()
        if name not in lost
    }
    if not taken:
        why = f"labels for other clips ({', '.join(others[:3])}{', ...' if others[3:] else ''})"
        if not others:
            why = "it holds no labels of these clips"
            for _, where, reason in () if skipped is None else skipped.entries[:1]:
                why += f"; {where}{': ' if where else ''}{reason}"
        raise LabelsMismatch(
            path,
            why,
            hint=f"Expected names such as {clips[0].id if clips else '-'} or their file names.",
        )
    missing = [(entry.name, name) for name, (_, entry, _) in taken.items() if name in lost]
    used = {entry.name: name for name, (_, entry, _) in taken.items() if name not in lost}
    return LabelMatch(annotations, tuple(others), tuple(missing), used)


def _find(names: ClipNames, path: Path, entry: LabelledClip) -> tuple[Clip, Fit] | None:
    """The clip of an entry: by its name and, where it states one, by its video file.

    The file counts where the name is only its stem (the folders tell more), and where the name says
    nothing (``Task 17`` of CVAT).

    Raises:
        LabelsMismatch: it could be several clips, or name and file are those of different ones.
    """
    file = _stated(path, entry)
    if file is not None and entry.name in (PurePosixPath(file).stem, PurePosixPath(file).name):
        return names.find(path, (file,))
    found = names.find(path, (entry.name,))
    if file is None or (found is not None and found[1].whole):
        return found
    if found is None:
        return names.find(path, (file,))
    try:
        other = names.find(path, (file,))
    except LabelsMismatch:  # the name settles it
        return found
    if other is not None and other[0].id != found[0].id:
        raise LabelsMismatch(
            path,
            f"{entry.name!r} would be clip {found[0].id}, but its video {file} is {other[0].id}",
            hint="Give it the name of its clip.",
        )
    return found


def _stated(path: Path, entry: LabelledClip) -> str | None:
    """The video file of an entry, as seen from the folder of the labels; None for images."""
    if entry.path is None or not entry.path.suffix:
        return None
    below = entry.path.is_relative_to(path.parent)
    return (entry.path.relative_to(path.parent) if below else entry.path).as_posix()


def _fitted(path: Path, entry: LabelledClip, clip: Clip) -> Annotations:
    """The entry's table at the clip's length.

    Boxes of a picture of another size cannot be trusted, scaled or not: which of the two was
    annotated is not known. A truncated clip has lost frames at its end: labels beyond are an error
    all the same, because frame numbers can then not be trusted; a table that merely states fewer
    frames is lengthened.
    """
    table = entry.annotations
    if entry.size is not None and tuple(entry.size) != tuple(clip.size):
        raise LabelsMismatch(
            path,
            f"{entry.name!r} was annotated at {entry.size[1]}x{entry.size[0]} pixels, but"
            f" {clip.path.name} is {clip.size[1]}x{clip.size[0]}",
            hint="Annotate pictures of the clip's own size.",
        )
    if len(table) and ((table.boxes >= 0) & (table.boxes <= 1)).all():
        raise LabelsMismatch(
            path,
            f"every box of {entry.name!r} lies within the first pixel: shares of the picture?",
            hint="Boxes are in pixels: scale them.",
        )
    if table.frames == clip.frames:
        return table
    beyond = np.flatnonzero(table.labelled[clip.frames :])
    if len(beyond):
        raise LabelsMismatch(
            path,
            f"{entry.name!r} labels frame {clip.frames + int(beyond[0])}, "
            f"but {clip.path.name} has {counted(clip.frames, 'frame')}",
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
