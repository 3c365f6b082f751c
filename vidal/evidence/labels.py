"""Frames that are labelled already: an annotation file matched to the clips of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidal.errors import LabelsMismatch
from vidal.evidence.names import ClipNames, Fit
from vidal.types import Annotations, BoolArray, Clip, LabelledClip


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """Annotations by clip id, and what of the file was not used.

    Attributes:
        annotations: clip id -> table of that clip's length.
        others: names in the file that belong to no clip of the run.
        absent: names in the file of clips that are not there now, with their ids.
    """

    annotations: Mapping[str, Annotations]
    others: tuple[str, ...]
    absent: tuple[tuple[str, str], ...] = ()

    def labelled(self, clip: Clip) -> BoolArray:
        """(F,) bool of a clip; all False where the file says nothing of it."""
        table = self.annotations.get(clip.id)
        return np.zeros(clip.frames, np.bool_) if table is None else table.labelled


def match_labels(
    path: Path,
    source: Iterable[LabelledClip],
    clips: Sequence[Clip],
    *,
    absent: Sequence[Clip] = (),
) -> LabelMatch:
    """Find the clip of every entry of an annotation file; see ``ClipNames`` for what fits.

    Args:
        path: of the file.
        source: its entries.
        clips: of the run.
        absent: clips that are known and cannot be used: entries of them are told, not taken.

    Raises:
        LabelsMismatch: no entry belongs to a clip, an entry could belong to several, two entries
            fit one clip equally well, or an entry's length or picture size is not the clip's.
    """
    names = ClipNames([*clips, *absent])
    lost = {clip.id for clip in absent}
    taken: dict[str, tuple[Fit, LabelledClip, Clip]] = {}
    others: list[str] = []
    for entry in source:
        found = names.find(path, (entry.name,))
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
        seen = ", ".join(others[:3]) or "nothing"
        raise LabelsMismatch(
            path,
            f"labels for other clips ({seen}{', ...' if len(others) > 3 else ''})",
            hint=f"Expected names such as {clips[0].id if clips else '-'} or their file names.",
        )
    missing = [(entry.name, name) for name, (_, entry, _) in taken.items() if name in lost]
    return LabelMatch(annotations, tuple(others), tuple(missing))


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
