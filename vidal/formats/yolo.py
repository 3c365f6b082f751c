"""YOLO: one text file an image, ``class cx cy w h [confidence]``, normalised to the image.

Labels lie beside the images: for ``.../images/x.jpg`` in ``.../labels/x.txt`` (the last ``images``
of the path becomes ``labels``), else next to the image. An empty file is annotated and empty; an
image without a file is not annotated. A line with a polygon gives the polygon's extent; a frame
with a line that cannot be read is not annotated. The format has neither tracks nor ignore regions.

What the numbers stand for is read from the lists that exporters put beside the labels (see
``vidal.formats._yolo_names``). A ``path`` in ``data.yaml`` that does not exist here (that of
another machine) is passed over; of one that leads out of the folder of ``data.yaml`` the folders of
``train``, ``val`` and ``test`` are read, where they are there. The names of pictures may have a
prefix of Label Studio's uploads (``0a1b2c3d-``) or the ending of Roboflow's (``_jpg.rf.0a1b...``).

``vidal``, a key of ``data.yaml``, is this writer's own: length and size of each clip, and the name
of the class that stands for unknown objects.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidal.errors import FormatError, InputError
from vidal.formats._names import Names, believable, believable_sum
from vidal.formats._rows import Row, build
from vidal.formats._sizes import Size, same_size, shape
from vidal.formats._tree import Tree, decoded, is_file, is_folder, tree_of
from vidal.formats._uploads import finder
from vidal.formats._yolo_lines import Unreadable, keypoints_of, parse
from vidal.formats._yolo_names import HINT, Description, checked, describe
from vidal.formats._yolo_write import FACTS, OWN
from vidal.formats._yolo_write import write as write
from vidal.types import UNKNOWN, FrameRef, LabelledClip, Skipped

_IMAGES = ("*.jpg", "*.jpeg", "*.png", "*.bmp", "*.tif", "*.tiff", "*.webp")
_LISTS = ("classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt")
_NO_LABELS = frozenset((*_LISTS, "readme.txt", "readme.roboflow.txt", "readme.dataset.txt"))
"""Text files of exporters that are not the labels of an image: names, and lists of images."""


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
    sizes: Mapping[str, Size] | None = None,
    frames: Mapping[str, int] | None = None,
    order: Sequence[str] | None = None,
) -> Iterator[LabelledClip]:
    """Clips of a YOLO data set, sorted by name; the labels of one clip are read at a time.

    Images of one clip have one size: the caller's, else that of its images. Where both are known
    they may differ in scale, not in shape.

    Args:
        path: the folder or the zip of the data set, or its YAML file.
        classes: class names to map to, by name; others get class -1. None = the data set's own.
        skipped: receives what is left out.
        names: from the name of an image or label file to its frame.
        split: key of ``data.yaml`` (``train``, ``val``); None = everything below the root.
        sizes: (height, width) of clips, where there are no images.
        frames: lengths of clips, where known; else the last file is taken as the last frame.
        order: names of the numbers, where the data set has no list of them.

    Raises:
        InputError: nothing there, or a file that cannot be read.
        FormatError: a number without a name (there is no list, or it is too short), lists that do
            not agree, a frame twice, or images of other sizes; says where.
    """
    path = Path(path)
    skip = Skipped() if skipped is None else skipped
    if not is_file(path) and not is_folder(path):
        raise InputError(path, "no such file or folder")
    with tree_of(path) as tree:
        said = describe(tree, path)
        clips = _own_clips(said)
        sizes = {**{name: size for name, (_, size) in clips.items() if size}, **(sizes or {})}
        frames = {**{name: length for name, (length, _) in clips.items()}, **(frames or {})}
        own = said.names if said.names is not None or order is None else checked(path, list(order))
        folders = _folders(tree, said, split)
        found = _files(path, tree, folders, said, {*sizes, *frames}, names, skip)
        for name in clips if split is None else ():
            found.setdefault(name, _Clip())  # all of its frames wait
        reader = _Reader(path, tree, said, own, _wanted(said, own, classes), skip)
        total = 0
        for name in sorted(found):
            clip = reader.clip(name, found[name], sizes, frames)
            total = believable_sum(path, total + clip.annotations.frames)
            yield clip


def _wanted(
    said: Description, own: Sequence[str] | None, classes: Sequence[str] | None
) -> list[str]:
    """The classes to map to: the caller's, else the file's own without the unknown ones."""
    if classes is not None:
        return list(classes)
    mine = said.keys.get(OWN)
    unknown = mine.get("unknown") if isinstance(mine, dict) else None
    return [name for name in own or () if name != unknown]


def _own_clips(said: Description) -> dict[str, tuple[int, Size | None]]:
    """Length and size of the clips that ``write`` has written down."""
    mine = said.keys.get(OWN)
    if mine is None:
        return {}
    clips = mine.get("clips") if isinstance(mine, dict) else None
    source = said.source or said.root
    if not isinstance(clips, dict):
        raise FormatError(source, OWN, "no 'clips'")
    known: dict[str, tuple[int, Size | None]] = {}
    for name, item in clips.items():
        where = f"{OWN}.clips.{name!r:.60}"
        values = [item.get(k) if isinstance(item, dict) else None for k in FACTS]
        if not all(type(value) is int and 0 <= value < 1 << 31 for value in values):
            raise FormatError(source, where, f"expected whole numbers: {', '.join(FACTS)}")
        length, height, width = (int(value or 0) for value in values)
        size = (height, width) if height and width else None
        known[str(name)] = believable(source, where, length), size
    return known


def _folders(tree: Tree, said: Description, split: str | None) -> list[Path]:
    """Where to look for files."""
    if split is None and not said.outside:
        return [said.root]
    if split is None:
        named = [_named(said, key) or [] for key in ("train", "val", "test")]
        folders = [folder for each in named for folder in each if tree.is_dir(folder)]
        if any(_is_disk(folder) for folder in folders or [said.root]):
            hint = "Name the folder of the data set with 'path', or leave 'path' out."
            raise FormatError(said.source or said.root, "path", "the whole disk", hint=hint)
        if not folders:
            return [said.root]
    else:
        stated = _named(said, split)
        if stated is None:
            hint, where = "Expected a folder or a list.", said.source or said.root
            raise FormatError(where, split, "split is not stated", hint=hint)
        folders = stated
    for folder in folders:
        if not tree.is_dir(folder):
            raise InputError(folder, "no such folder")
    twins = (twin for folder in folders if (twin := _labels(folder)) != folder)
    return [*folders, *(twin for twin in twins if tree.is_dir(twin))]


def _is_disk(folder: Path) -> bool:
    place = folder.resolve()
    return place == Path(place.anchor)


def _named(said: Description, key: str) -> list[Path] | None:
    """What a key of ``data.yaml`` names; None where it states nothing."""
    value = said.keys.get(key)
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return None
    return [Path(os.path.normpath(said.root / one)) for one in value]


def _labels(path: Path) -> Path:
    """The path with its last ``images`` replaced by ``labels``."""
    parts = list(path.parts)
    for at in reversed(range(len(parts))):
        if parts[at] == "images":
            parts[at] = "labels"
            break
    return Path(*parts)


def _files(
    path: Path,
    tree: Tree,
    folders: Iterable[Path],
    said: Description,
    known: set[str],
    names: Names,
    skipped: Skipped,
) -> dict[str, _Clip]:
    """Images and labels below the folders, by clip and frame."""
    find = finder(names, known)
    found: dict[str, _Clip] = {}
    every = {file for folder in folders for file in tree.files(folder, "*.txt", *_IMAGES)}
    for file in sorted(every):
        label = file.suffix.lower() == ".txt"
        if label and file.name.lower() in _NO_LABELS:
            continue
        inside = file.is_relative_to(said.root)
        name = file.relative_to(said.root).as_posix() if inside else file.name
        if (ref := find(name)) is None:
            skipped.add(file, "", "name does not say which frame it is")
            continue
        believable(file, "", ref.index + 1)
        clip = found.setdefault(ref.clip, _Clip())
        kind = clip.labels if label else clip.images
        if ref.index in kind:
            raise FormatError(file, "", f"{ref} twice; the other is {kind[ref.index]}")
        kind[ref.index] = file
    if not found and not said.keys.get(OWN):
        place = f" in {said.root}" if said.root != path else ""
        lost = f"; its path {said.stated_root!r:.80} is not here" if said.stated_root else ""
        unnamed = f", but {len(every)} files of other names" if every else ""
        hint = "Expected names such as <clip>_000123.txt." if every else ""
        raise InputError(path, f"no images and no labels{place}{unnamed}{lost}", hint=hint)
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Names and places for all clips of one data set; ``own`` are those of the numbers."""

    path: Path
    tree: Tree
    said: Description
    own: Sequence[str] | None
    classes: list[str]
    skipped: Skipped

    def clip(
        self, name: str, clip: _Clip, sizes: Mapping[str, Size], frames: Mapping[str, int]
    ) -> LabelledClip:
        last = max([-1, *clip.images, *clip.labels])
        length = frames.get(name, last + 1)
        if last >= length:
            raise FormatError(self.path, str(FrameRef(name, last)), f"the clip has {length} frames")
        size = self._size(name, clip, sizes.get(name))
        labelled = np.zeros(length, dtype=np.bool_)
        labelled[list(clip.labels)] = True
        left: set[int] = set()
        rows = [r for i, file in clip.labels.items() for r in self._rows(file, i, size, left)]
        joined = build(
            self.classes, labelled, rows, path=self.said.root, skipped=self.skipped, size=size,
            incomplete=left,
        )  # fmt: skip
        whole = len(clip.images) == length
        files = [clip.images[index] for index in sorted(clip.images)] if whole else []
        relative = tuple(self._relative(file) for file in files)
        return LabelledClip(name, joined, files=relative, size=size)

    def _relative(self, file: Path) -> str:
        """Seen from the root, also where data.yaml points outside of it."""
        return Path(os.path.relpath(file, self.said.root)).as_posix()

    def _size(self, name: str, clip: _Clip, given: Size | None) -> Size:
        """The given one, after a look at those of the images."""
        broken: list[InputError] = []

        def size_of(file: Path) -> Size | None:
            try:
                return self.tree.size(file)
            except InputError as error:
                broken.append(error)
                return None

        pictures = ((self._relative(file), size_of(file)) for file in clip.images.values())
        found = same_size(self.path, pictures)
        if found is None and given is None:
            if broken:
                raise broken[0]
            hint = "Give the sizes of the clips."
            raise FormatError(self.path, name, "no image tells the size", hint=hint)
        if found is None or given is None:
            return found or given or (0, 0)
        if max(abs(found[0] * given[1] / given[0] - found[1]), 0) > max(1.0, found[1] / 200):
            why = f"images of {shape(found)} pixels, but the clip has {shape(given)}"
            hint = "Shares of a picture of another shape say nothing of the clip."
            raise FormatError(self.path, name, why, hint=hint)
        return given

    def _rows(self, file: Path, index: int, size: Size, left: set[int]) -> Iterator[Row]:
        height, width = size
        keypoints = keypoints_of(self.said.keys)
        text = decoded(file, self.tree.read(file))
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            place = f"{self._relative(file)}, line {number}"
            try:
                label, (x1, y1, x2, y2) = parse(line, keypoints)
            except Unreadable as error:
                self.skipped.add(self.said.root, place, str(error))
                left.add(index)
                continue
            box = (x1 * width, y1 * height, x2 * width, y2 * height)
            yield index, box, self._class(file, f"line {number}", label), -1, False, place

    def _class(self, file: Path, where: str, number: int) -> int:
        if self.own is None:
            why = "names of the classes are not stated"
            raise FormatError(self.path, "", why, hint=HINT)
        if not 0 <= number < len(self.own):
            raise FormatError(file, where, f"class {number:.4g}, of {len(self.own)}")
        name = self.own[number]
        return self.classes.index(name) if name in self.classes else UNKNOWN
