"""Writing MOT sequences; ``vidal.formats.mot`` has the conventions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from vidal.errors import OutputError
from vidal.formats._tree import is_file
from vidal.formats._write import write_lines
from vidal.types import UNKNOWN, Annotations, LabelledClip

CLASSES = (
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non-motorised vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on ground",
    "occluder full",
    "reflection",
    "crowd",
)
"""Class names; the number in the file is the position plus one."""

_OTHER = "distractor"


def write(
    path: Path,
    clips: Iterable[LabelledClip],
    *,
    labels: bool = False,
    unknown: str | None = "unknown",
) -> list[Path]:
    """``<path>/<clip name>/{seqinfo.ini,gt/gt.txt}`` for each clip.

    Visibility, which vidal does not keep, is 1.

    Args:
        path: the folder.
        clips: every frame annotated.
        labels: name the classes in ``gt/labels.txt`` and count pixels from 0, as CVAT and Datumaro
            do (MOT 1.1); else the classes are those of the benchmark.
        unknown: class of its own for objects of class -1 beside ``labels``; None leaves them out.
            Without ``labels`` they become ``distractor``.

    Returns:
        The ``gt.txt`` files, in order.

    Raises:
        OutputError: a place that cannot be written, a second clip of one name, frames that are not
            annotated (the format cannot say so), or classes that the format has no number for.
    """
    written: list[Path] = []
    for clip in clips:
        folder = Path(path) / clip.name
        file = folder / "gt" / "gt.txt"
        if file in written:
            raise OutputError(file, "two clips for one file")
        if Path(clip.name).is_absolute() or ".." in Path(clip.name).parts:
            raise OutputError(file, "the clip's name leads out of the folder")
        if labels:
            names = _label_list(file, clip, unknown)
            write_lines(file.with_name("labels.txt"), [f"{name}\n" for name in names])
            write_lines(file, _own_lines(file, clip, unknown, names))
        elif is_file(file.with_name("labels.txt")):
            why = "labels.txt lies beside it and gives the numbers other names"
            raise OutputError(file, why)
        else:
            write_lines(file, _lines(file, clip))
        write_lines(folder / "seqinfo.ini", _info(clip))
        written.append(file)
    return written


def _label_list(file: Path, clip: LabelledClip, unknown: str | None) -> list[str]:
    """The lines of ``labels.txt``."""
    names = list(clip.annotations.classes)
    if unknown is not None and unknown not in names:
        names.append(unknown)
    for name in names:
        if not name.strip() or name != name.strip() or len(name.splitlines()) != 1:
            raise OutputError(file, f"labels.txt cannot hold the class name {name!r}")
    if len({name.casefold() for name in names}) < len(names):
        raise OutputError(file, "two class names differ in case only")
    return names


def _own_lines(
    file: Path, clip: LabelledClip, unknown: str | None, names: Sequence[str]
) -> Iterator[str]:
    table = _whole(file, clip)
    for row in range(len(table)):
        label = int(table.labels[row])
        if label == UNKNOWN and unknown is None:
            continue
        number = names.index(str(unknown) if label == UNKNOWN else table.classes[label]) + 1
        x1, y1, x2, y2 = (float(value) for value in table.boxes[row])
        yield (
            f"{table.frame[row] + 1},{table.track[row]},{x1!r},{y1!r},{x2 - x1!r},{y2 - y1!r},"
            f"{0 if table.ignore[row] else 1},{number},1\n"
        )


def _whole(file: Path, clip: LabelledClip) -> Annotations:
    """The table, every frame of which is annotated."""
    table = clip.annotations
    if not table.labelled.all():
        why = f"{int((~table.labelled).sum())} frames of {clip.name} are not annotated"
        raise OutputError(file, why, hint="The MOT format cannot say so; keep annotated clips.")
    return table


def _lines(file: Path, clip: LabelledClip) -> Iterator[str]:
    table = _whole(file, clip)
    lower = [name.casefold() for name in table.classes]
    unknown = [name for name in lower if name not in CLASSES]
    if unknown:
        raise OutputError(file, f"the MOT format has no class {unknown[0]!r}")
    if (table.labels == UNKNOWN).any() and _OTHER in lower:
        raise OutputError(file, f"objects outside the classes cannot be told from {_OTHER!r}")
    for row in range(len(table)):
        label = int(table.labels[row])
        number = CLASSES.index(_OTHER if label == UNKNOWN else lower[label]) + 1
        x1, y1, x2, y2 = (float(value) for value in table.boxes[row])
        yield (
            f"{table.frame[row] + 1},{table.track[row]},{x1 + 1!r},{y1 + 1!r},"
            f"{x2 - x1!r},{y2 - y1!r},{0 if table.ignore[row] else 1},{number},1\n"
        )


def _info(clip: LabelledClip) -> Iterator[str]:
    suffix = Path(clip.files[0]).suffix if clip.files else ".jpg"
    yield f"[Sequence]\nname={Path(clip.name).name}\nimDir=img1\n"
    if clip.rate is not None:
        yield f"frameRate={float(clip.rate):.12g}\n"
    yield f"seqLength={clip.annotations.frames}\n"
    if clip.size is not None:
        yield f"imWidth={clip.size[1]}\nimHeight={clip.size[0]}\n"
    yield f"imExt={suffix}\n"
