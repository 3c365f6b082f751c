"""COCO: with videos (COCO-VID as written here, TAO, YouTube-VIS), and plain, a picture a frame.

One JSON file: ``videos[]``, ``images[]`` with ``video_id`` and a 0-based ``frame_id`` (TAO:
``frame_index``), ``annotations[]`` with ``bbox`` (x, y, width, height) and ``instance_id`` (TAO:
``track_id``), ``categories[]``. A listed image without annotations is annotated and empty; a frame
that is not listed is not annotated. YouTube-VIS lists the files in ``videos[]`` and one annotation
a track with ``bboxes[]``, null where the object is not seen. A file without ``annotations`` (a test
split) annotates nothing. ``files`` of a video is this writer's own key, for clips of which only
some frames are listed. TAO's lists of classes that are not annotated exhaustively are not read.

Plain COCO, as CVAT, Datumaro, FiftyOne, supervision and Roboflow write it, has no ``videos``: clip
and frame are in ``file_name`` (``clip_000123.jpg``, with Label Studio's prefix or Roboflow's ending
perhaps).

An annotation whose ``bbox`` is absent, empty, inverted or not finite has the extent of its
``segmentation``. Where there is none, it is listed, and its frame is not annotated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidal.errors import FormatError, InputError
from vidal.formats._coco_source import Source, Video
from vidal.formats._coco_write import Document
from vidal.formats._columns import refuse_twins
from vidal.formats._files import visible
from vidal.formats._names import Names
from vidal.formats._notes import Notes
from vidal.formats._relabel import Relabel
from vidal.formats._rows import build, load_json
from vidal.formats._sizes import Size, same_size
from vidal.formats._tree import is_folder
from vidal.formats._write import write_lines
from vidal.types import FrameRef, LabelledClip, Skipped


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    names: Names = None,
    frames: Mapping[str, int] | None = None,
    sizes: Mapping[str, Size] | None = None,
    relabel: Relabel | None = None,
) -> Iterator[LabelledClip]:
    """The clips of a file, in its order.

    Args:
        path: the JSON file (plain or ``.gz``), or a folder or a zip with one such file in it.
        classes: class names; None = the file's categories in their order. Objects of other
            categories get label -1.
        skipped: receives boxes that cannot be meant (not finite, empty, outside the image), and
            pictures whose names say no frame.
        names: from a picture's name to its frame, for files without ``videos``.
        frames: lengths of clips, where known; else the last listed frame is taken as the last.
        sizes: (height, width) of clips, for files that do not state them.
        relabel: gives some categories the class that one of ``attributes`` holds.

    Raises:
        InputError: the file cannot be read, or there is none in the folder.
        FormatError: several files in the folder or zip; not JSON, or not of this form;
            frames of one clip with different sizes; says which key.
    """
    path = only_file(Path(path))
    skip = Skipped() if skipped is None else skipped
    relabel = Relabel() if relabel is None else relabel
    source = Source(path, load_json(path, "*.json"), classes, names, frames or {}, skip, relabel)
    for video in source.videos.values():
        labelled = np.zeros(video.length, dtype=np.bool_)
        labelled[sorted(video.listed)] = source.annotated
        refuse_twins(path, video.rows)
        size = same_size(path, video.sizes) or (sizes or {}).get(video.name)
        yield LabelledClip(
            name=video.name,
            annotations=build(
                source.classes,
                labelled,
                video.rows,
                path=path,
                skipped=skip,
                size=size,
                incomplete=video.incomplete,
            ),
            files=_files(video),
            path=path.parent / video.source if video.source else None,
            size=size,
            rate=video.rate,
        )


def write(
    path: Path,
    clips: Iterable[LabelledClip],
    *,
    names: Callable[[FrameRef], str] | None = None,
    notes: Notes | None = None,
    extra: Mapping[FrameRef, Mapping[str, Any]] | None = None,
    unknown: bool = True,
    outside: bool = False,
    classes: tuple[str, ...] | None = None,
) -> None:
    """One file for all clips; it appears when it is complete.

    Objects outside the classes get a category of their own; ``read`` gives them label -1 again.

    Args:
        path: the file.
        clips: all with the same classes.
        names: from a frame to the name of its image; None = that of the clip's own files.
        notes: what is said of each box, as ``score`` and ``attributes``.
        extra: more keys of images, such as rank and reason.
        unknown: keep objects outside the classes.
        outside: name their category also where there are none.
        classes: of the categories, where there may be no clips; None = those of the clips.

    Raises:
        OutputError: the place cannot be written, or the clips differ in their classes.
    """
    path = Path(path)
    document = Document(path, names=names, notes=notes, extra=extra, unknown=unknown)
    document.outside, document.classes = outside, classes
    for clip in clips:
        document.add(clip)
    write_lines(path, [json.dumps(document.value(), allow_nan=False, indent=None), "\n"])


def only_file(path: Path) -> Path:
    """The path itself, or the one JSON file of a folder.

    Raises:
        InputError: no such file in the folder.
        FormatError: several; names some.
    """
    if not is_folder(path):
        return path
    found = visible(path, "*.json", "*.json.gz", deep=True)
    if not found:
        raise InputError(path, "no .json file in it")
    if len(found) > 1:
        some = ", ".join(file.relative_to(path).as_posix() for file in found[:3])
        why = f"{len(found)} .json files ({some:.120}{', ...' if len(found) > 3 else ''})"
        raise FormatError(path, "", why, hint="Name the one to read.")
    return found[0]


def _files(video: Video) -> tuple[str, ...]:
    """The image files, if the clip consists of them and all are named."""
    if video.files is not None:
        return tuple(video.files)
    names = [video.listed.get(index, "") for index in range(video.length)]
    return () if video.whole or not all(names) else tuple(names)
