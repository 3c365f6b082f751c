"""Folders of classes: one folder a class, its name the class's, its files the pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vidal.errors import InputError
from vidal.images.data import ImageData, Pictures, Pixels, same_channels
from vidal.video.images import read_image, why_unreadable

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
TEST = ("test", "val", "valid", "validation")


def read_folder(root: Path, *, size: int | None = None) -> ImageData:
    """The pictures of a folder of classes, or of its parts ``train`` and ``test``.

    Files that are no pictures that can be read are left out and listed; hidden ones are ignored.

    Raises:
        InputError: no classes, a class without pictures, test classes that are not trained, or
            pictures of several sizes.
    """
    parts = [root]
    if (root / "train").is_dir():
        test = next((root / name for name in TEST if (root / name).is_dir()), None)
        parts = [root / "train", *([] if test is None else [test])]
    classes = tuple(each.name for each in _folders(parts[0]))
    if not classes:
        raise InputError(root, "no folders of classes", hint="Expected DIR/CLASS/*.jpg.")
    others = [each.name for part in parts[1:] for each in _folders(part)]
    strange = [name for name in others if name not in classes]
    if strange:
        raise InputError(parts[1], f"class {strange[0]} is not among those of {parts[0].name}")
    skipped: list[str] = []
    found = [_read_part(part, classes, root, size, skipped) for part in parts]
    if len(found) == 1:
        found.append(found[0].take(np.zeros(0, np.int64)))
    pixels = same_channels([part.pixels for part in found])
    train, test_part = (
        Pictures(own, part.labels, part.names) for own, part in zip(pixels, found, strict=True)
    )
    return ImageData(classes, train, test_part, tuple(skipped))


def read_flat(
    root: Path, *, size: int | None = None, without: frozenset[Path] = frozenset()
) -> tuple[Pictures, tuple[str, ...]]:
    """All pictures below a folder, whatever folders they lie in, and what was left out.

    Labels are -1.

    Args:
        root: the folder.
        size: that pictures are scaled to.
        without: resolved paths that are passed over.

    Raises:
        InputError: no pictures, or pictures of several sizes.
    """
    if not root.is_dir():
        raise InputError(root, "no such folder")
    skipped: list[str] = []
    below = [
        each for each in root.rglob("*") if each.is_file() and not _hidden(each.relative_to(root))
    ]
    files = sorted(each for each in below if each.resolve() not in without)
    if not any(each.suffix.lower() in SUFFIXES for each in files) and len(files) < len(below):
        why = "all its pictures are labelled: there is none to choose from"
        raise InputError(root, why, hint="Name the folder of the pictures without labels.")
    pixels, names = read_files(files, root, size, skipped)
    labels = np.full(len(names), -1, np.int64)
    return Pictures(pixels, labels, np.array(names, dtype=np.str_)), tuple(skipped)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _folders(part: Path) -> list[Path]:
    return sorted(
        (each for each in part.iterdir() if each.is_dir() and not each.name.startswith(".")),
        key=lambda each: each.name,
    )


def _read_part(
    part: Path, classes: tuple[str, ...], root: Path, size: int | None, skipped: list[str]
) -> Pictures:
    files, labels = [], []
    for stray in sorted(part.iterdir()):
        if stray.is_file() and not stray.name.startswith("."):
            skipped.append(f"{stray.relative_to(root)}: in no folder of a class")
    for number, name in enumerate(classes):
        folder = part / name
        if not folder.is_dir():
            raise InputError(part, f"there is no folder of class {name}")
        for each in sorted(folder.iterdir()):
            if each.name.startswith("."):
                continue
            if each.is_dir():
                skipped.append(f"{each.relative_to(root)}: a folder in that of a class")
                continue
            files.append(each)
            labels.append(number)
    kept: list[int] = []
    pixels, names = read_files(files, root, size, skipped, kept)
    numbers = np.array(labels, np.int64)[kept]
    for number, name in enumerate(classes):
        if not (numbers == number).any():
            raise InputError(part / name, "no picture that can be read")
    return Pictures(pixels, numbers, np.array(names, dtype=np.str_))


def read_files(
    files: list[Path],
    root: Path,
    size: int | None,
    skipped: list[str],
    kept: list[int] | None = None,
) -> tuple[Pixels, list[str]]:
    """Pictures of one size, and their names from ``root`` on.

    Args:
        files: in order.
        root: that names count from, where files lie below it.
        size: that pictures are scaled to.
        skipped: gets a line for each file that is left out.
        kept: gets the places of those that are not.

    Raises:
        InputError: no picture, or several sizes.
    """
    images: list[Pixels] = []
    names: list[str] = []
    first: Path | None = None
    for number, file in enumerate(files):
        place = str(file.relative_to(root) if file.is_relative_to(root) else file)
        if file.suffix.lower() not in SUFFIXES:
            skipped.append(f"{place}: not a picture by its name")
            continue
        image = read_image(file)
        if image is None:
            skipped.append(f"{place}: {why_unreadable(file)}")
            continue
        if size is not None:
            image = scaled(image, size)
        if first is None:
            first = file
        elif image.shape != images[0].shape:
            raise InputError(
                file,
                f"{_size(image)} pixels, {first.name} has {_size(images[0])}",
                hint="Give data.size (--size) to scale all to one size.",
            )
        images.append(image)
        names.append(place)
        if kept is not None:
            kept.append(number)
    if not images:
        raise InputError(root, "no picture that can be read")
    return np.stack(images), names


def scaled(image: Pixels, size: int) -> Pixels:
    """A picture (H, W) or (H, W, C) at ``size`` x ``size``; area averages where it shrinks."""
    if image.shape[:2] == (size, size):
        return image
    how = cv2.INTER_AREA if max(image.shape[:2]) > size else cv2.INTER_LINEAR
    result = np.asarray(cv2.resize(image, (size, size), interpolation=how), np.uint8)
    return result if result.ndim == image.ndim else result[..., None]


def _size(image: Pixels) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
