"""YOLO: one text file an image, ``class cx cy w h [confidence]``, normalised to the image.

Labels lie beside the images: for ``.../images/x.jpg`` in ``.../labels/x.txt`` (the last ``images``
of the path becomes ``labels``), else next to the image. An empty file is annotated and empty; an
image without a file is not annotated. The format has neither tracks nor ignore regions.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats._names import Names, believable, frame_name, resolver
from vidal.formats._rows import Row, build, read_text
from vidal.formats._write import write_lines
from vidal.types import UNKNOWN, Annotations, FrameRef, LabelledClip, Skipped

_IMAGES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"))


@dataclass(slots=True)
class _Clip:
    """Files of one clip, by frame."""

    images: dict[int, Path] = field(default_factory=dict)
    labels: dict[int, Path] = field(default_factory=dict)


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    names: Names = None,
    split: str | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    frames: Mapping[str, int] | None = None,
) -> Iterator[LabelledClip]:
    """Clips of a YOLO data set, sorted by name; the labels of one clip are read at a time.

    Images of one clip have one size: the caller's, else that of the clip's first image.

    Args:
        path: ``data.yaml``, or the folder that holds it (or holds images and labels only).
        classes: class names to map to; names of ``data.yaml`` outside them give class -1. None =
            those of ``data.yaml``. Without a ``data.yaml`` they are the names of the numbers.
        skipped: receives what is left out.
        names: from the name of an image or label file to its frame.
        split: key of ``data.yaml`` (``train``, ``val``); None = everything below the root.
        sizes: (height, width) of clips, where there are no images.
        frames: lengths of clips, where known; else the last file is taken as the last frame.

    Raises:
        InputError: nothing there, or an image that cannot be read.
        FormatError: a broken file; says the line.
    """
    path = Path(path)
    skip = Skipped() if skipped is None else skipped
    described = path if path.is_file() else path / "data.yaml"
    stated = _described(described) if described.is_file() else {}
    root = described.parent / str(stated.get("path") or ".")
    own = stated.get("names", classes)
    if own is None:
        hint = "Give the classes, or a data.yaml with names."
        raise FormatError(path, "", "names of the classes are not stated", hint=hint)
    found = _files(path, _folders(described, stated, root, split), names, skip)
    reader = _Reader(path, root, list(own), list(own if classes is None else classes), skip)
    for name in sorted(found):
        yield reader.clip(name, found[name], sizes or {}, frames or {})


def _described(path: Path) -> dict[str, Any]:
    """``data.yaml`` with ``names`` as a list."""
    try:
        value = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else ""
        raise FormatError(path, where, "not YAML") from error
    if not isinstance(value, dict):
        raise FormatError(path, "", "expected keys such as 'names' and 'train'")
    if "names" in value:
        value["names"] = _names(path, value["names"])
    return value


def _names(path: Path, names: Any) -> list[str]:
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            raise FormatError(path, "names", f"expected the numbers 0..{len(names) - 1}")
        names = [names.get(number, names.get(str(number))) for number in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError(path, "names", "expected a list of texts, or a number for each")
    if len(set(names)) < len(names):
        raise FormatError(path, "names", "a name twice")
    return names


def _folders(path: Path, stated: Mapping[str, Any], root: Path, split: str | None) -> list[Path]:
    if split is None:
        return [root]
    value = stated.get(split)
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise FormatError(path, split, "split is not stated", hint="Expected a folder or a list.")
    folders = [root / one for one in value]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(folder, "no such folder")
    return [*folders, *(twin for folder in folders if (twin := _labels(folder)) != folder)]


def _labels(path: Path) -> Path:
    """The path with its last ``images`` replaced by ``labels``."""
    parts = list(path.parts)
    for at in reversed(range(len(parts))):
        if parts[at] == "images":
            parts[at] = "labels"
            break
    return Path(*parts)


def _files(path: Path, folders: Iterable[Path], names: Names, skipped: Skipped) -> dict[str, _Clip]:
    """Images and labels below the folders, by clip and frame."""
    resolve = resolver(names)
    found: dict[str, _Clip] = {}
    for file in sorted({file for folder in folders for file in folder.rglob("*")}):
        label = file.suffix == ".txt"
        if not label and file.suffix.lower() not in _IMAGES:
            continue
        if (ref := resolve(file.name)) is None:
            skipped.add(file, "", "name does not say which frame it is")
            continue
        believable(file, "", ref.index + 1)
        clip = found.setdefault(ref.clip, _Clip())
        kind = clip.labels if label else clip.images
        if ref.index in kind:
            raise FormatError(file, "", f"{ref} twice; the other is {kind[ref.index]}")
        kind[ref.index] = file
    if not found:
        raise InputError(path, "no images and no labels")
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Names and places for all clips of one data set; ``own`` are those of the numbers."""

    path: Path
    root: Path
    own: list[str]
    classes: list[str]
    skipped: Skipped

    def clip(
        self,
        name: str,
        clip: _Clip,
        sizes: Mapping[str, tuple[int, int]],
        frames: Mapping[str, int],
    ) -> LabelledClip:
        last = max([*clip.images, *clip.labels])
        length = frames.get(name, last + 1)
        if last >= length:
            raise FormatError(self.path, str(FrameRef(name, last)), f"the clip has {length} frames")
        size = sizes[name] if name in sizes else self._size(name, clip)
        labelled = np.zeros(length, dtype=np.bool_)
        labelled[list(clip.labels)] = True
        rows = [row for i, file in clip.labels.items() for row in self._rows(file, i, size)]
        joined = build(
            self.classes, labelled, rows, path=self.root, skipped=self.skipped, size=size
        )
        whole = len(clip.images) == length
        files = [clip.images[index] for index in sorted(clip.images)] if whole else []
        relative = tuple(self._relative(file) for file in files)
        return LabelledClip(name, joined, files=relative, size=size)

    def _relative(self, file: Path) -> str:
        """Seen from the root, also where data.yaml points outside of it."""
        return Path(os.path.relpath(file, self.root)).as_posix()

    def _size(self, name: str, clip: _Clip) -> tuple[int, int]:
        if not clip.images:
            hint = "Give the sizes of the clips."
            raise FormatError(self.path, name, "no image tells the size", hint=hint)
        file = clip.images[min(clip.images)]
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(file, "not an image that can be read")
        return int(image.shape[0]), int(image.shape[1])

    def _rows(self, file: Path, index: int, size: tuple[int, int]) -> Iterator[Row]:
        height, width = size
        for number, line in enumerate(read_text(file).split("\n"), start=1):
            parts, where = line.split(), f"line {number}"
            place = f"{self._relative(file)}, {where}"
            if not parts:
                continue
            if len(parts) not in (5, 6):
                why = f"expected class cx cy w h [confidence], got {len(parts)} columns"
                raise FormatError(file, where, why)
            try:
                label = int(parts[0])
                cx, cy, w, h = (float(part) for part in parts[1:5])
                _ = [float(part) for part in parts[5:]]
            except ValueError as error:
                raise FormatError(file, where, "not numbers") from error
            if not 0 <= label < len(self.own):
                raise FormatError(file, where, f"class {label}, of {len(self.own)}")
            if max(cx, cy, w, h) > 1 + 1e-3:
                self.skipped.add(self.root, place, "not normalised: beyond 1")
                continue
            box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
            x1, y1, x2, y2 = box[0] * width, box[1] * height, box[2] * width, box[3] * height
            name = self.own[label]
            to = self.classes.index(name) if name in self.classes else UNKNOWN
            yield index, (x1, y1, x2, y2), to, -1, False, place


def write(
    path: Path,
    clips: Iterable[LabelledClip],
    *,
    unknown: str | None = "unknown",
    skipped: Skipped | None = None,
) -> Path:
    """Write ``data.yaml`` and ``labels/<clip>_<index>.txt`` for every labelled frame of the clips.

    Images belong in ``images/<clip>_<index>.jpg``. Values have six decimals (0.002 pixels at 1920).
    Tracks are lost; ignore regions have no place and are listed.

    Args:
        path: the folder.
        clips: all with the same classes; each with its size; streamed.
        unknown: class of its own for objects of class -1; None leaves them out.
        skipped: receives what is left out.

    Returns:
        The ``data.yaml``.

    Raises:
        OutputError: a place that cannot be written, or a clip's name that leads out of it.
        ValueError: a clip without size, or classes that differ.
    """
    path = Path(path)
    skip = Skipped() if skipped is None else skipped
    classes: tuple[str, ...] | None = None
    for clip in clips:
        if classes not in (None, clip.annotations.classes):
            raise ValueError("clips: classes differ")
        classes = clip.annotations.classes
        if Path(clip.name).name != clip.name:
            raise OutputError(path / clip.name, "the clip's name is not a file name")
        _write_clip(path, clip, unknown, skip)
    names = list(classes or ())
    if unknown is not None and unknown not in names:
        names.append(unknown)
    text = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(names))}
    described = path / "data.yaml"
    write_lines(described, [yaml.safe_dump(text, sort_keys=False, allow_unicode=True)])
    return described


def _write_clip(path: Path, clip: LabelledClip, unknown: str | None, skipped: Skipped) -> None:
    if clip.size is None:
        raise ValueError(f"{clip.name}: size is not known")
    table: Annotations = clip.annotations
    last = len(table.classes)
    if unknown is not None and unknown in table.classes:
        last = table.classes.index(unknown)
    height, width = clip.size
    wide = table.boxes.astype(np.float64) / (width, height, width, height)
    values = np.hstack([(wide[:, :2] + wide[:, 2:]) / 2, wide[:, 2:] - wide[:, :2]])
    for index in np.flatnonzero(table.labelled).tolist():
        ref = FrameRef(clip.name, index)
        lines = []
        for row in range(*table.on(index).indices(len(table))):
            label = int(table.labels[row])
            if table.ignore[row] or (label == UNKNOWN and unknown is None):
                why = "ignore region" if table.ignore[row] else "unknown object"
                skipped.add(path, str(ref), why)
                continue
            numbers = " ".join(f"{value:.6f}" for value in values[row])
            lines.append(f"{last if label == UNKNOWN else label} {numbers}\n")
        write_lines(path / "labels" / frame_name(ref, ".txt"), lines)
