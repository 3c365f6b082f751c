"""KITTI tracking: ``label_02/0000.txt`` (or ``.txt.gz``) beside ``image_02/0000/000000.png``.

17 columns: frame, track id, type, truncated, occluded, alpha, left, top, right, bottom, height,
width, length, x, y, z, rotation. Corners are 0-based and read as edges (width = right - left).
``DontCare`` lines are ignore regions without identity. Result files have an 18th column, the score;
they are refused, because they are not annotations. The format cannot say that a frame was not
annotated: every frame of a sequence is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats._columns import (
    identity,
    labeller,
    numbered_images,
    numbers,
    refuse_twins,
    size_of_images,
    text_lines,
)
from vidal.formats._files import visible
from vidal.formats._names import believable, believable_sum
from vidal.formats._rows import Row, build
from vidal.formats._sizes import Size
from vidal.formats._tree import is_file, is_folder
from vidal.formats._write import write_files
from vidal.formats._xml import whole
from vidal.types import UNKNOWN, LabelledClip, Skipped

CLASSES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")
"""The types that are objects."""

RATE = Fraction(10)
_COLUMNS = 17
_REGION = "DontCare"
_ALIASES = {"person": "person_sitting"}
_OTHER = "Misc"


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    ignore: Iterable[str] = (),
    frames: Mapping[str, int] | None = None,
    sizes: Mapping[str, Size] | None = None,
) -> Iterator[LabelledClip]:
    """The sequences of a data set, in order of their names.

    A sequence is as long as its folder of images, where there is one; boxes on missing images are
    left out. Else it is as long as ``frames`` says, else it ends with its last line.

    Args:
        path: the folder that holds ``label_02``, that folder, or one of its files.
        classes: class names, in any case; None = ``CLASSES``. Other types get label -1.
        skipped: receives what is left out.
        ignore: types to read as ignore regions, e.g. ``Van`` when cars are evaluated.
        frames: lengths of sequences by name, for label files without images.
        sizes: (height, width) of sequences by name, likewise.

    Raises:
        InputError: no label files there, or one that cannot be read.
        FormatError: a broken line, a type that KITTI does not have (with ``classes`` None), an
            identity twice in a frame, or images of different sizes.
    """
    names = CLASSES if classes is None else tuple(classes)
    regions = frozenset(_type(name) for name in (_REGION, *ignore))
    labels = labeller(names, known=CLASSES if classes is None else None, aliases=_ALIASES)
    root, files = _label_files(Path(path))
    total = 0
    for name, file in files:
        rows = list(_rows(file, regions, labels))
        refuse_twins(file, rows)
        folder = root / "image_02" / name
        images = numbered_images(folder)
        if images:
            rows = _on_images(file, rows, images, skipped)
        length = len(images) or _length(file, rows, (frames or {}).get(name))
        total = believable_sum(root, total + length)
        size = size_of_images(folder, images.values()) or (sizes or {}).get(name)
        every = np.ones(length, dtype=np.bool_)
        yield LabelledClip(
            name=name,
            annotations=build(names, every, rows, path=file, skipped=skipped, size=size),
            files=tuple(f"image_02/{name}/{image}" for image in images.values()),
            path=folder if images else None,
            size=size,
            rate=RATE,
        )


def write(path: Path, clips: Iterable[LabelledClip]) -> list[Path]:
    """One ``<path>/<clip name>.txt`` a clip; what only a 3-D label has is "unknown" (-1, -1000).

    Objects outside the classes become ``Misc``; ignore regions become ``DontCare``, which has
    neither class nor identity.

    Returns:
        The files, in order.

    Raises:
        OutputError: a place that cannot be written, frames that are not annotated (the format
            cannot say so), or objects outside classes that include ``Misc``.
    """
    return write_files(Path(path), clips, _lines, suffix=".txt")


def _label_files(path: Path) -> tuple[Path, list[tuple[str, Path]]]:
    """Root of the data set, and (name, file) of every sequence."""
    if is_file(path):
        return path.resolve().parent.parent, [(_stem(path), path)]
    folder = path / "label_02" if is_folder(path / "label_02") else path
    if not is_folder(folder):
        raise InputError(path, "no such file or folder")
    found = visible(folder, "*.txt", "*.txt.gz")
    if not found:
        raise InputError(path, "no KITTI label files", hint="Expected label_02/0000.txt, ...")
    named = [(_stem(file), file) for file in found]
    for (first, file), (second, twin) in pairwise(named):
        if first == second:
            raise FormatError(twin, "", f"the same sequence as {file.name}")
    return folder.resolve().parent, named


def _type(name: str) -> str:
    """A type in lower case, under its first spelling: "Person" is "Person_sitting"."""
    lower = name.casefold()
    return _ALIASES.get(lower, lower)


def _length(file: Path, rows: Sequence[Row], stated: int | None) -> int:
    last = max((row[0] for row in rows), default=-1)
    return believable(file, "last frame", last + 1) if stated is None else stated


def _stem(file: Path) -> str:
    return file.name.removesuffix(".gz").removesuffix(".txt")


def _rows(
    file: Path, regions: frozenset[str], labels: Callable[[Path, str, str], int]
) -> Iterator[Row]:
    for where, line in text_lines(file):
        parts = line.split()
        if len(parts) != _COLUMNS:
            scored = " (with a score: results, not annotations)" * (len(parts) == _COLUMNS + 1)
            why = f"{len(parts)} columns, expected {_COLUMNS}{scored}"
            raise FormatError(file, where, why)
        frame, track = whole(file, where, "frame", parts[0]), identity(file, where, parts[1])
        left, top, right, bottom = numbers(file, where, parts[3:], first=4)[3:7]
        box = (left, top, right, bottom)
        if _type(parts[2]) in regions:
            yield frame, box, UNKNOWN, -1, True, where
        else:
            yield frame, box, labels(file, where, parts[2]), track, False, where


def _on_images(
    file: Path, rows: list[Row], images: dict[int, str], skipped: Skipped | None
) -> list[Row]:
    """Rows with the image's place in its folder instead of its number."""
    place = {number: at for at, number in enumerate(images)}
    kept: list[Row] = []
    for row in rows:
        if row[0] in place:
            kept.append((place[row[0]], *row[1:]))
        elif skipped is not None:
            skipped.add(file, row[5], f"frame {row[0]} has no image")
    return kept


def _lines(file: Path, clip: LabelledClip) -> Iterator[str]:
    table = clip.annotations
    if not table.labelled.all():
        why = f"{int((~table.labelled).sum())} frames of {clip.name} are not annotated"
        raise OutputError(file, why, hint="KITTI's format cannot say so; keep annotated clips.")
    other = (table.labels == UNKNOWN) & ~table.ignore
    if other.any() and _OTHER.casefold() in {name.casefold() for name in table.classes}:
        raise OutputError(file, f"objects outside the classes cannot be told from {_OTHER!r}")
    for row in range(len(table)):
        region, label = bool(table.ignore[row]), int(table.labels[row])
        name = _REGION if region else _OTHER if label == UNKNOWN else table.classes[label]
        if len(name.split()) != 1:
            raise OutputError(file, f"class {name!r}: the format allows no spaces in names")
        track = -1 if region else int(table.track[row])
        corners = " ".join(f"{float(value):.9g}" for value in table.boxes[row])
        yield (
            f"{table.frame[row]} {track} {name} -1 -1 -10 {corners} "
            "-1000 -1000 -1000 -10 -1 -1 -1\n"
        )
