"""MOT16, MOT17 and MOT20: ``<sequence>/{seqinfo.ini,gt/gt.txt,img1/000001.jpg}``.

``gt.txt`` has nine columns: frame (1-based), id, left, top, width, height (pixels, 1-based),
consider flag, class, visibility. Frames and corners become 0-based. A flag of 0 makes an ignore
region: the benchmark leaves out what it covers, whatever its class. ``gt/labels.txt``, where it is
there (CVAT's and Datumaro's MOT 1.1), names the classes: class n is its line n; the file then
counts frames from 1 but pixels from 0, for Datumaro, with which CVAT exports, writes ``anno.x`` as
it is (``MotSeqGtConverter.apply`` in its ``plugins/mot_format.py``). Such a file does not say which
frames somebody looked at: those without boxes are not annotated, and listed. Without
``seqinfo.ini`` (they write none) a sequence is as long as its folder of images. MOT17 comes three
times, once for each public detector (``-DPM``, ``-FRCNN``, ``-SDP``), with the same images and
labels; the first copy is read, the others are listed as skipped. ``det.txt`` holds detections and
is not read.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path, PurePath

import numpy as np

from vidal.errors import FormatError, InputError
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
from vidal.formats._mot_write import CLASSES
from vidal.formats._mot_write import write as write
from vidal.formats._names import believable, believable_sum
from vidal.formats._rows import Row, build, read_text
from vidal.formats._sizes import Size
from vidal.formats._tree import is_folder, is_zip
from vidal.formats._xml import pixels, real, shown, whole
from vidal.types import LabelledClip, Skipped

_COLUMNS = 9
_COPY = re.compile(r"(?P<sequence>.+)-(?:DPM|FRCNN|SDP)")


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    frames: Mapping[str, int] | None = None,
    sizes: Mapping[str, Size] | None = None,
    empty_is_labelled: bool = False,
) -> Iterator[LabelledClip]:
    """The sequences below a folder, in order of their paths; without ``gt.txt`` not annotated.

    Args:
        path: a folder that holds sequences (at any depth), or one sequence.
        classes: class names, in any case; None = those of ``labels.txt``, else ``CLASSES``. Other
            classes get label -1.
        skipped: receives what is left out: boxes, and copies of a sequence.
        frames: lengths of sequences by name, where neither ``seqinfo.ini`` nor images tell; else
            the last line's frame is the last.
        sizes: (height, width) of sequences by name, likewise.
        empty_is_labelled: whether frames without boxes are annotated beside ``labels.txt``, too.

    Raises:
        InputError: no sequences there, or a file that cannot be read.
        FormatError: a broken line or key, an unknown class number, an identity twice in a frame,
            images that are not numbered 1 to ``seqLength``, or of different sizes.
    """
    root = Path(path)
    if is_zip(root):
        raise InputError(root, "a zip archive", hint="Unpack it, and give the folder.")
    folders = _sequences(root)
    total = 0
    first: dict[Path, Path] = {}
    for folder in folders:
        copy = _COPY.fullmatch(folder.resolve().name)
        original = first.setdefault(folder.with_name(copy["sequence"]) if copy else folder, folder)
        if original == folder:
            clip = _sequence(root, folder, classes, frames or {}, sizes or {}, skipped)
            clip = clip if empty_is_labelled else _boxed(clip, folder, skipped)
            total = believable_sum(root, total + clip.annotations.frames)
            yield clip
        elif skipped is not None:
            skipped.add(folder, "", f"the same images and labels as {original.name}")


def _sequences(root: Path) -> list[Path]:
    """The folders with a ``seqinfo.ini`` or a ``gt/gt.txt``, in order."""
    if not is_folder(root):
        raise InputError(root, "no such folder")
    found = {file.parent for file in visible(root, "seqinfo.ini", deep=True)}
    truths = visible(root, "gt.txt", deep=True)
    found |= {file.parent.parent for file in truths if file.parent.name == "gt"}
    if not found:
        hint = "Expected <sequence>/seqinfo.ini, or <sequence>/gt/gt.txt."
        raise InputError(root, "no seqinfo.ini and no gt/gt.txt below it", hint=hint)
    return sorted(found)


def _sequence(
    root: Path,
    folder: Path,
    classes: Sequence[str] | None,
    frames: Mapping[str, int],
    sizes: Mapping[str, Size],
    skipped: Skipped | None,
) -> LabelledClip:
    info, truth = folder / "seqinfo.ini", folder / "gt" / "gt.txt"
    facts = _facts(info) if os.path.lexists(info) else {}
    relative = folder.relative_to(root)
    name = relative.as_posix() if relative.parts else folder.resolve().name
    own = _own_classes(truth.with_name("labels.txt"))
    names = (own or CLASSES) if classes is None else tuple(classes)
    labels = labeller(names, known=own or CLASSES, aliases={})
    annotated = os.path.lexists(truth)  # a broken link is no sequence without labels
    first = 0 if own else 1
    rows = list(_rows(truth, own or CLASSES, labels, first)) if annotated else []
    refuse_twins(truth, rows)
    images = _image_folder(info, facts)
    files = numbered_images(folder / images)
    last = max((row[0] for row in rows), default=-1)
    length = _length(info, facts, len(files) or frames.get(name) or last + 1)
    _check_numbers(info if facts else folder / images, images, list(files), length)
    size = size_of_images(folder / images, files.values(), _size(info, facts)) or sizes.get(name)
    return LabelledClip(
        name=name,
        annotations=build(
            names,
            np.full(length, annotated),
            rows,
            path=truth,
            skipped=skipped,
            size=size,
        ),
        files=tuple((relative / images / file).as_posix() for file in files.values()),
        path=folder / images if files else None,
        size=size,
        rate=_rate(info, facts),
    )


def _boxed(clip: LabelledClip, folder: Path, skipped: Skipped | None) -> LabelledClip:
    """Without the empty frames of a tool's export; the benchmark's own are annotated."""
    if not os.path.lexists(folder / "gt" / "labels.txt"):
        return clip
    table = clip.annotations
    boxed = np.zeros(table.frames, np.bool_)
    boxed[table.frame] = True
    bare = int((table.labelled & ~boxed).sum())
    if bare and skipped is not None:
        why = f"{bare} frames without boxes wait: it does not say that somebody looked"
        skipped.add(folder / "gt" / "gt.txt", "", why)
    return replace(clip, annotations=replace(table, labelled=table.labelled & boxed))


def _own_classes(file: Path) -> tuple[str, ...] | None:
    """The names of ``labels.txt``, one a line; None where there is none."""
    if not os.path.lexists(file):  # a broken link is no lack of names
        return None
    names = [line.strip() for line in read_text(file).strip().splitlines()]
    lower = [name.casefold() for name in names]
    if not names or not all(names) or len(set(lower)) < len(names):
        raise FormatError(file, "", "expected one name a line, none empty and none twice")
    return tuple(names)


def _length(info: Path, facts: Mapping[str, str], found: int) -> int:
    where = "seqLength"
    if facts:
        found = whole(info, where, where, _need(info, facts, where))
    return believable(info, where, found)


def _size(info: Path, facts: Mapping[str, str]) -> Size | None:
    if "imwidth" not in facts or "imheight" not in facts:
        return None
    width, height = (pixels(info, key, key, facts[key]) for key in ("imwidth", "imheight"))
    return height, width


def _image_folder(info: Path, facts: Mapping[str, str]) -> str:
    """``imDir``: the name of a folder in that of the sequence."""
    name = facts.get("imdir", "img1").rstrip("/")
    if not name or len(name) > 200 or PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise FormatError(info, "imDir", f"{shown(name)} is not a folder of the sequence")
    return name


def _check_numbers(place: Path, images: str, numbers_: list[int], length: int) -> None:
    """Refuse images of which it is not certain which frames they are."""
    if not numbers_ or numbers_ == list(range(1, length + 1)):
        return
    if numbers_ == list(range(length)):
        why = f"the images in {images} are numbered from 0, but frames of MOT from 1"
        hint = f"Rename them to 1..{length}; which of them line n means is not certain."
        raise FormatError(place, "seqLength", why, hint=hint)
    found = f"{len(numbers_)} images, numbered {numbers_[0]} to {numbers_[-1]}"
    raise FormatError(place, "seqLength", f"{length} frames, but {images} holds {found}")


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
        raise FormatError(info, "", _cut(error)) from error
    if not parser.has_section("Sequence"):
        raise FormatError(info, "", "no section [Sequence]")
    return dict(parser["Sequence"])


def _cut(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:100]} ... {text[-90:]}"


def _need(info: Path, facts: Mapping[str, str], key: str) -> str:
    if key.lower() not in facts:
        raise FormatError(info, "[Sequence]", f"{key} is missing")
    return facts[key.lower()]


def _rate(info: Path, facts: Mapping[str, str]) -> Fraction | None:
    if "framerate" not in facts:
        return None
    rate = real(info, "frameRate", "frameRate", facts["framerate"])
    if not 0 < rate < 1e6:
        raise FormatError(info, "frameRate", f"{shown(facts['framerate'])} frames a second")
    # 29.97 and its kin are 30000/1001 and its kin, written as decimals.
    return Fraction(rate).limit_denominator(1001)


def _rows(
    file: Path, names: Sequence[str], labels: Callable[[Path, str, str], int], first: int
) -> Iterator[Row]:
    """The boxes; the left- and topmost pixel of the file is ``first``."""
    for where, line in text_lines(file):
        parts = line.split(",")
        if len(parts) != _COLUMNS:
            raise FormatError(file, where, f"{len(parts)} columns, expected {_COLUMNS}")
        frame, track = whole(file, where, "frame", parts[0]), identity(file, where, parts[1])
        if frame < 1:
            raise FormatError(file, where, f"frame: {frame}, but frames of MOT count from 1")
        left, top, width, height = numbers(file, where, parts[2:6], first=3)
        numbers(file, where, parts[8:], first=9)
        if parts[6].strip() not in ("0", "1"):
            raise FormatError(file, where, f"consider flag: {shown(parts[6])} is neither 0 nor 1")
        number = whole(file, where, "class", parts[7])
        if not 1 <= number <= len(names):
            raise FormatError(file, where, f"class: {number} is not in 1..{len(names)}")
        label = labels(file, where, names[number - 1])
        left, top = left - first, top - first
        box = (left, top, left + width, top + height)
        yield frame - 1, box, label, track, parts[6].strip() == "0", where
