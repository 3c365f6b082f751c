"""What the tasks of a Label Studio file say of each clip, and the tables that this makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidal.errors import FormatError
from vidal.formats._label_studio_regions import Percent, corners
from vidal.formats._label_studio_tracks import Tracks, boxes_of
from vidal.formats._names import believable_sum, of_clip
from vidal.formats._rows import Row, build, tabulate
from vidal.types import UNKNOWN, Annotations, LabelledClip, Skipped

_MOST = 16_000_000
"""Boxes in all videos of one file."""


@dataclass(slots=True)
class ClipTasks:
    """What the tasks say about one clip; labels are still names.

    Attributes:
        size: (height, width) as the file states it.
        frames: length, where known or stated; ``known`` = the caller knows it.
        video: of a video task, else empty.
        name: of the clip, where it is not what tells the tasks apart.
        answered: of a video task, whether somebody did.
        seen, labelled, incomplete, refused: frames of image tasks.
        rows: of image tasks.
        tracks: of a video task.
    """

    size: tuple[int, int] | None = None
    frames: int | None = None
    known: bool = False
    video: str = ""
    name: str | None = None
    answered: bool = False
    seen: set[int] = field(default_factory=set)
    labelled: set[int] = field(default_factory=set)
    incomplete: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    rows: list[tuple[int, Percent, str, str]] = field(default_factory=list)
    tracks: Tracks = field(default_factory=Tracks)


def tables(
    path: Path,
    found: Mapping[str, ClipTasks],
    sizes: Mapping[str, tuple[int, int]],
    classes: Sequence[str] | None,
    skipped: Skipped,
) -> Iterator[LabelledClip]:
    """The clips of a file, with all that its tasks say.

    Args:
        path: the file.
        found: clip -> its tasks.
        sizes: (height, width) that the caller knows.
        classes: class names; None = those met.
        skipped: receives what is left out.

    Raises:
        FormatError: a size that nobody states, or more frames or boxes than can be meant.
    """
    names = list(classes or ())
    if classes is None:
        met = [row[2] for clip in found.values() for row in clip.rows]
        met += [n for clip in found.values() for n in clip.tracks.labels if n is not None]
        names = list(dict.fromkeys(met))
    place = {name: at for at, name in reversed(list(enumerate(names)))}
    total = boxes = 0
    for name, clip in found.items():
        length = clip.frames if clip.frames is not None else max(clip.seen) + 1
        total = believable_sum(path, total + length * (not clip.known))
        if clip.rows and clip.size is None:
            clip.size = of_clip(sizes, name)
            if clip.size is None:
                why = f"size of the images of {name!r} is not stated"
                hint = "Give the sizes of the clips."
                raise FormatError(path, clip.rows[0][3], why, hint=hint)
        make = _of_video if clip.video else _of_images
        table = make(path, clip, length, names, place, skipped)
        boxes += len(table)
        if boxes > _MOST:
            raise FormatError(path, "", f"more than {_MOST} boxes cannot be right")
        video = Path(clip.video) if clip.video else None
        refused = tuple(sorted(clip.refused))
        yield LabelledClip(clip.name or name, table, path=video, size=clip.size, refused=refused)


def _of_images(
    path: Path,
    clip: ClipTasks,
    length: int,
    names: list[str],
    place: Mapping[str, int],
    skipped: Skipped,
) -> Annotations:
    labelled = np.zeros(length, dtype=np.bool_)
    labelled[list(clip.labelled)] = True
    wide = corners([row[1] for row in clip.rows], clip.size or (1, 1)).tolist()
    rows: list[Row] = [
        (frame, (x1, y1, x2, y2), place.get(label, UNKNOWN), -1, False, where)
        for (frame, _, label, where), (x1, y1, x2, y2) in zip(clip.rows, wide, strict=True)
    ]
    return build(
        names,
        labelled,
        rows,
        path=path,
        skipped=skipped,
        size=clip.size,
        incomplete=clip.incomplete,
    )


def _of_video(
    path: Path,
    clip: ClipTasks,
    length: int,
    names: list[str],
    place: Mapping[str, int],
    skipped: Skipped,
) -> Annotations:
    labels = np.array(
        [UNKNOWN if n is None else place.get(n, UNKNOWN) for n in clip.tracks.labels],
        dtype=np.int64,
    )
    size = clip.size or (1, 1)
    columns, waits = boxes_of(path, clip.tracks, length, size, labels, skipped)
    return tabulate(
        names,
        np.full(length, clip.answered),
        columns,
        lambda at: clip.tracks.where[at],
        path=path,
        skipped=skipped,
        size=clip.size,
        incomplete=waits,
    )
