"""What is labelled already: a folder of classes, or a csv file of pictures and their classes."""

from __future__ import annotations

import csv
import io
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
    skipped: list[str] = []
    files, labels = _listed(path, pool) if path.is_file() else _foldered(path, skipped)
    kept: list[int] = []
    pixels, names = read_files(files, path if path.is_dir() else pool, size, skipped, kept)
    classes = tuple(sorted({labels[at] for at in kept}))
    lost = sorted(set(labels) - set(classes))
    if lost:
        raise InputError(path, f"class {lost[0]}: no picture that can be read ({skipped[0]})")
    if len(classes) < 2:
        raise InputError(path, f"at least two classes are needed, and there is {classes[0]}")
    numbers: IntArray = np.array([classes.index(labels[at]) for at in kept], np.int64)
    pictures = Pictures(pixels, numbers, np.array(names, dtype=np.str_))
    return pictures, classes, frozenset(each.resolve() for each in files), tuple(skipped)


def _foldered(root: Path, skipped: list[str]) -> tuple[list[Path], list[str]]:
    """Files and classes; what lies where no picture belongs goes to ``skipped``."""
    if not root.is_dir():
        raise InputError(root, "no such file or folder", hint="Name a folder of classes or a csv.")
    found: list[tuple[Path, str]] = []
    for folder in _visible(root):
        if not folder.is_dir():
            skipped.append(f"{folder.name}: in no folder of a class")
            continue
        held = _visible(folder)
        inner = [each for each in held if each.is_dir()]
        skipped += [f"{folder.name}/{each.name}: a folder in that of a class" for each in inner]
        if len(held) == len(inner):
            raise InputError(folder, "a class without pictures", hint="Remove it, or fill it.")
        found += [(each, folder.name) for each in held if not each.is_dir()]
    if not found:
        raise InputError(
            root, "no pictures in folders of classes", hint="Expected DIR/CLASS/*.jpg."
        )
    return [file for file, _ in found], [name for _, name in found]


def _visible(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if not each.name.startswith("."))


def _listed(path: Path, pool: Path) -> tuple[list[Path], list[str]]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"not a csv file that can be read ({error})") from error
    try:
        return _rows(path, pool, csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise FormatError(path, "the table", f"no csv that can be read ({error})") from error


def _rows(path: Path, pool: Path, table: csv.DictReader[str]) -> tuple[list[Path], list[str]]:
    """Files and labels of the rows that have one."""
    if not {"file", "label"} <= set(table.fieldnames or ()):
        have = ", ".join(table.fieldnames or ()) or "nothing"
        raise FormatError(path, "line 1", f"the columns file and label are needed, it has {have}")
    files: list[Path] = []
    labels: list[str] = []
    seen: dict[Path, int] = {}
    for row in table:
        number = table.line_num
        name, label = (row["file"] or "").strip(), (row["label"] or "").strip()
        if not label:
            continue  # asked for, and not answered yet
        if any(row.get(None, ())) or not label.isprintable():
            why = f"label {label!r} is no text of one line, or more cells than columns"
            raise FormatError(path, f"line {number}", why)
        file = next((base / name for base in (pool, path.parent) if (base / name).is_file()), None)
        if not name or file is None or file.suffix.lower() not in SUFFIXES:
            raise FormatError(path, f"line {number}", f"{name!r} is no picture of the pool")
        before = seen.setdefault(file.resolve(), number)
        if before != number:
            raise FormatError(path, f"line {number}", f"{name} is there twice (line {before})")
        files.append(file)
        labels.append(label)
    if not files:
        raise InputError(path, "no picture in it has a label")
    return files, labels
