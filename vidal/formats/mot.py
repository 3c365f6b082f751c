"""MOT16, MOT17 and MOT20: ``<sequence>/{seqinfo.ini,gt/gt.txt,img1/000001.jpg}``.

``gt.txt`` has nine columns: frame (1-based), id, left, top, width, height (pixels, 1-based),
consider flag, class, visibility. Frames and corners become 0-based. A flag of 0 makes an ignore
region: the benchmark leaves out what it covers, whatever its class. MOT17 comes three times, once
for each public detector (``-DPM``, ``-FRCNN``, ``-SDP``), with the same images and labels; the
first copy is read, the others are listed as skipped. ``det.txt`` holds detections and is not read.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats._columns import (
    identity,
    labeller,
    numbered_images,
    numbers,
    refuse_twins,
    text_lines,
)
from vidal.formats._names import believable
from vidal.formats._rows import Row, build, read_text
from vidal.formats._write import write_lines
from vidal.formats._xml import real, whole
from vidal.types import UNKNOWN, LabelledClip, Skipped

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

_COLUMNS = 9
_COPY = re.compile(r"(?P<sequence>.+)-(?:DPM|FRCNN|SDP)")
_OTHER = "distractor"


def read(
    path: Path, *, classes: Sequence[str] | None = None, skipped: Skipped | None = None
) -> Iterator[LabelledClip]:
    """The sequences below a folder, in order of their paths; without ``gt.txt`` not annotated.

    Args:
        path: a folder that holds sequences (at any depth), or one sequence.
        classes: class names, in any case; None = ``CLASSES``. Other classes get label -1.
        skipped: receives what is left out: boxes, and copies of a sequence.

    Raises:
        InputError: no ``seqinfo.ini`` there, or a file that cannot be read.
        FormatError: a broken line or key, an unknown class number, an identity twice in a frame, or
            images that are not numbered 1 to ``seqLength``.
    """
    root = Path(path)
    infos = sorted(root.rglob("seqinfo.ini"))
    if not infos:
        raise InputError(root, "no seqinfo.ini below it", hint="Expected <sequence>/seqinfo.ini.")
    names = CLASSES if classes is None else tuple(classes)
    labels = labeller(names, known=CLASSES, aliases={})
    first: dict[Path, Path] = {}
    for info in infos:
        folder = info.parent
        copy = _COPY.fullmatch(folder.resolve().name)
        original = first.setdefault(folder.with_name(copy["sequence"]) if copy else folder, folder)
        if original == folder:
            yield _sequence(root, info, names, labels, skipped)
        elif skipped is not None:
            skipped.add(folder, "", f"the same images and labels as {original.name}")


def write(path: Path, clips: Iterable[LabelledClip]) -> list[Path]:
    """``<path>/<clip name>/{seqinfo.ini,gt/gt.txt}`` for each clip.

    Objects outside the classes become ``distractor``; visibility, which vidal does not keep, is 1.

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
        write_lines(file, _lines(file, clip))
        write_lines(folder / "seqinfo.ini", _info(clip))
        written.append(file)
    return written


def _sequence(
    root: Path,
    info: Path,
    names: tuple[str, ...],
    labels: Callable[[Path, str, str], int],
    skipped: Skipped | None,
) -> LabelledClip:
    facts = _facts(info)
    folder, truth = info.parent, info.parent / "gt" / "gt.txt"
    where = "seqLength"
    length = believable(info, where, whole(info, where, where, _need(info, facts, where)))
    size = None
    if "imwidth" in facts and "imheight" in facts:
        width, height = (whole(info, key, key, facts[key]) for key in ("imwidth", "imheight"))
        size = (height, width)
    rows = list(_rows(truth, labels)) if truth.is_file() else []
    refuse_twins(truth, rows)
    relative, images = folder.relative_to(root), facts.get("imdir", "img1")
    files = numbered_images(folder / images)
    if files and list(files) != list(range(1, length + 1)):
        raise FormatError(info, where, f"{length} frames, but {images} holds {len(files)} images")
    return LabelledClip(
        name=relative.as_posix() if relative.parts else folder.resolve().name,
        annotations=build(
            names,
            np.full(length, truth.is_file()),
            rows,
            path=truth,
            skipped=skipped,
            size=size,
        ),
        files=tuple((relative / images / name).as_posix() for name in files.values()),
        path=folder / images if files else None,
        size=size,
        rate=_rate(info, facts),
    )


def _facts(info: Path) -> dict[str, str]:
    """The keys of ``[Sequence]``, lower case."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(info))
    except configparser.MissingSectionHeaderError as error:
        raise FormatError(info, f"line {error.lineno}", "no section header") from error
    except configparser.ParsingError as error:
        raise FormatError(info, f"line {error.errors[0][0]}", "not key = value") from error
    except configparser.Error as error:
        raise FormatError(info, "", str(error).replace("\n", " ")) from error
    if not parser.has_section("Sequence"):
        raise FormatError(info, "", "no section [Sequence]")
    return dict(parser["Sequence"])


def _need(info: Path, facts: dict[str, str], key: str) -> str:
    if key.lower() not in facts:
        raise FormatError(info, "[Sequence]", f"{key} is missing")
    return facts[key.lower()]


def _rate(info: Path, facts: dict[str, str]) -> Fraction | None:
    if "framerate" not in facts:
        return None
    rate = real(info, "frameRate", "frameRate", facts["framerate"])
    if not 0 < rate < 1e6:
        raise FormatError(info, "frameRate", f"{facts['framerate']} frames a second")
    # 29.97 and its kin are 30000/1001 and its kin, written as decimals.
    return Fraction(rate).limit_denominator(1001)


def _rows(file: Path, labels: Callable[[Path, str, str], int]) -> Iterator[Row]:
    for where, line in text_lines(file):
        parts = line.split(",")
        if len(parts) != _COLUMNS:
            raise FormatError(file, where, f"{len(parts)} columns, expected {_COLUMNS}")
        frame, track = whole(file, where, "frame", parts[0]), identity(file, where, parts[1])
        left, top, width, height = numbers(file, where, parts[2:6], first=3)
        numbers(file, where, parts[8:], first=9)
        if parts[6].strip() not in ("0", "1"):
            raise FormatError(file, where, f"consider flag: {parts[6]!r} is neither 0 nor 1")
        number = whole(file, where, "class", parts[7])
        if not 1 <= number <= len(CLASSES):
            raise FormatError(file, where, f"class: {number} is not in 1..{len(CLASSES)}")
        label = labels(file, where, CLASSES[number - 1])
        box = (left - 1, top - 1, left - 1 + width, top - 1 + height)
        yield frame - 1, box, label, track, parts[6].strip() == "0", where


def _lines(file: Path, clip: LabelledClip) -> Iterator[str]:
    table = clip.annotations
    if not table.labelled.all():
        why = f"{int((~table.labelled).sum())} frames of {clip.name} are not annotated"
        raise OutputError(file, why, hint="The MOT format cannot say so; keep annotated clips.")
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
