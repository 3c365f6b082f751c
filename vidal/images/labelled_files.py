"""What is labelled already: a folder of classes, or a csv file of pictures and their classes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from vidal.errors import FormatError, InputError
from vidal.images.data import Pictures
from vidal.images.folders import SUFFIXES, read_files
from vidal.types import IntArray


def read_labelled(
    path: Path, pool: Path, *, size: int | None
) -> tuple[Pictures, tuple[str, ...], frozenset[Path], tuple[str, ...]]:
    """Labelled pictures.

    Args:
        path: a folder of classes, or a csv file with the columns ``file`` and ``label``; paths in
            it count from the folder of the pool, else from that of the csv.
        pool: folder of the pool.
        size: that pictures are scaled to.

    Returns:
        The pictures; names of the classes, sorted; resolved paths of the files; what was left out.

    Raises:
        InputError: names what cannot be used.
    """
    files, labels = _listed(path, pool) if path.is_file() else _foldered(path)
    skipped: list[str] = []
    kept: list[int] = []
    pixels, names = read_files(files, path if path.is_dir() else pool, size, skipped, kept)
    classes = tuple(sorted({labels[at] for at in kept}))
    if len(classes) < 2:
        raise InputError(path, f"at least two classes are needed, and there is {classes[0]}")
    numbers: IntArray = np.array([classes.index(labels[at]) for at in kept], np.int64)
    pictures = Pictures(pixels, numbers, np.array(names, dtype=np.str_))
    return pictures, classes, frozenset(each.resolve() for each in files), tuple(skipped)


def _foldered(root: Path) -> tuple[list[Path], list[str]]:
    if not root.is_dir():
        raise InputError(root, "no such file or folder", hint="Name a folder of classes or a csv.")
    found = [
        (file, folder.name)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for file in sorted(folder.iterdir())
        if file.is_file() and not file.name.startswith(".")
    ]
    if not found:
        raise InputError(
            root, "no pictures in folders of classes", hint="Expected DIR/CLASS/*.jpg."
        )
    return [file for file, _ in found], [name for _, name in found]


def _listed(path: Path, pool: Path) -> tuple[list[Path], list[str]]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"not a csv file that can be read ({error})") from error
    table = csv.DictReader(text.splitlines())
    if not {"file", "label"} <= set(table.fieldnames or ()):
        have = ", ".join(table.fieldnames or ()) or "nothing"
        raise FormatError(path, "line 1", f"the columns file and label are needed, it has {have}")
    files: list[Path] = []
    labels: list[str] = []
    for number, row in enumerate(table, start=2):
        name, label = (row["file"] or "").strip(), (row["label"] or "").strip()
        if not label:
            continue  # asked for, and not answered yet
        file = next((base / name for base in (pool, path.parent) if (base / name).is_file()), None)
        if not name or file is None or file.suffix.lower() not in SUFFIXES:
            raise FormatError(path, f"line {number}", f"{name!r} is no picture of the pool")
        if file in files:
            raise FormatError(path, f"line {number}", f"{name} is there twice")
        files.append(file)
        labels.append(label)
    if not files:
        raise InputError(path, "no picture in it has a label")
    return files, labels
