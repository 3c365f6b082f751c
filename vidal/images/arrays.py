"""Data sets in one npz file: arrays of pixels and of labels under the usual names."""

from __future__ import annotations

import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import InputError
from vidal.formats._files import check_regular
from vidal.images.data import ImageData, Pictures, Pixels, same_channels
from vidal.images.folders import scaled
from vidal.types import IntArray

Arrays = Mapping[str, NDArray[Any]]

_X, _Y = ("x", "images", "data"), ("y", "labels", "targets")
_TRAIN, _TEST = ("train",), ("test", "val", "valid", "validation")


def read_npz(path: Path, *, size: int | None = None) -> ImageData:
    """The data set of an npz file.

    Names (upper or lower case): ``x_train`` or ``train_x``, also ``images`` and ``data`` for x,
    ``labels`` and ``targets`` for y, ``val``, ``valid`` and ``validation`` for test; ``x`` and
    ``y`` alone where there is no test part. Pixels (N, H, W), (N, H, W, C) or (N, C, H, W) in
    0..255, or numbers in [0, 1]; labels (N,) whole numbers >= 0 or text. ``classes`` names them.

    Raises:
        InputError: not such a file; names the array and what is wrong with it.
    """
    arrays = _load(path)
    x, y = _pair(arrays, _TRAIN)
    if x is None or y is None:
        x, y = _alone(arrays)
    if x is None or y is None:
        have = ", ".join(sorted(arrays)) or "nothing"
        raise InputError(
            path, f"no x_train and y_train (it holds {have})", hint="See docs/images.md for names."
        )
    test_x, test_y = _pair(arrays, _TEST)
    if (test_x is None) != (test_y is None):
        lacking = "labels" if test_y is None else "pixels"
        raise InputError(path, f"{test_x or test_y}: its {lacking} are missing")
    pairs = [(x, y), *([] if test_x is None or test_y is None else [(test_x, test_y)])]
    pixels = [_pixels(path, name, arrays[name], size) for name, _ in pairs]
    raw = [_labels(path, name, arrays[name]) for _, name in pairs]
    for (px, py), a, b in zip(pairs, pixels, raw, strict=True):
        if len(a) != len(b):
            raise InputError(path, f"{len(a)} pictures in {px}, {len(b)} labels in {py}")
    labels, classes = _numbered(path, raw, arrays)
    parts = [
        Pictures(own, number, np.array([f"{px}[{i}]" for i in range(len(own))], dtype=np.str_))
        for (px, _), own, number in zip(pairs, same_channels(pixels), labels, strict=True)
    ]
    return ImageData(classes, parts[0], parts[-1] if len(parts) > 1 else parts[0].take(_NONE))


_NONE: IntArray = np.zeros(0, np.int64)


_BROKEN = (
    *(OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError),
    *(
        SyntaxError,
        TypeError,
        OverflowError,
        tokenize.TokenError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
    ),
)
"""What NumPy and zipfile raise on files that are broken, encrypted or of another make."""


def _load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays; files of the archive that are none are passed over."""
    check_regular(path)
    if not zipfile.is_zipfile(path):
        raise InputError(path, "not an npz file", hint="Write one with numpy.savez.")
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
    except _BROKEN as error:
        raise InputError(path, f"not an npz file that can be read ({error})") from error
    except MemoryError as error:
        raise InputError(path, f"more than there is memory for ({error})") from error
    return {name: value for name, value in held.items() if isinstance(value, np.ndarray)}


def _pair(arrays: Arrays, part: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Names of the pixels and labels of a part."""
    lower = {name.lower(): name for name in arrays}

    def first(kinds: tuple[str, ...]) -> str | None:
        names = [f"{k}_{p}" for k in kinds for p in part] + [
            f"{p}_{k}" for k in kinds for p in part
        ]
        return next((lower[name] for name in names if name in lower), None)

    return first(_X), first(_Y)


def _alone(arrays: Arrays) -> tuple[str | None, str | None]:
    lower = {name.lower(): name for name in arrays}
    return (
        next((lower[name] for name in _X if name in lower), None),
        next((lower[name] for name in _Y if name in lower), None),
    )


def _pixels(path: Path, name: str, array: NDArray[Any], size: int | None) -> Pixels:
    if array.ndim not in (3, 4) or not len(array):
        raise InputError(path, f"{name}: shape {array.shape} is none of (N, H, W) or (N, H, W, C)")
    if array.ndim == 3:
        array = array[..., None]
    elif array.shape[-1] not in (1, 3) and array.shape[1] in (1, 3):
        array = np.moveaxis(array, 1, -1)
    if array.shape[-1] not in (1, 3):
        raise InputError(path, f"{name}: {array.shape[-1]} channels, neither 1 nor 3")
    values = _bytes(path, name, array)
    if size is not None:
        values = np.stack([scaled(each, size) for each in values])
    return values


def _bytes(path: Path, name: str, array: NDArray[Any]) -> Pixels:
    """As uint8: whole numbers in 0..255 as they are, others in [0, 1] times 255."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "iufb":
        raise InputError(path, f"{name}: {array.dtype} values, which are no pixels")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array).all(axis=(1, 2, 3)))[0])
        raise InputError(path, f"{name}: values that are not finite, the first in {name}[{at}]")
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.asarray(np.rint(array.astype(np.float64) * 255), np.uint8)
    whole = array.dtype.kind != "f" or bool((array == np.rint(array)).all())
    if low < 0 or high > 255 or not whole:
        raise InputError(path, f"{name}: values {low:g} to {high:g}, neither 0..255 nor in [0, 1]")
    return array.astype(np.uint8)


_HIGHEST = 2**62


def _labels(path: Path, name: str, array: NDArray[Any]) -> NDArray[Any]:
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1:
        raise InputError(path, f"{name}: shape {array.shape}, one label a picture is needed")
    if flat.dtype.kind == "f" and np.isfinite(flat).all() and (flat == np.rint(flat)).all():
        flat = flat.astype(np.int64)
    if flat.dtype.kind not in "iuUS":
        raise InputError(path, f"{name}: {array.dtype}, neither whole numbers nor text")
    if flat.dtype.kind in "US":
        return _texts(path, name, flat)
    if len(flat) and not 0 <= int(flat.min()) <= int(flat.max()) <= _HIGHEST:
        wrong = f"{low}, a label below 0" if (low := int(flat.min())) < 0 else "labels of over 2^62"
        raise InputError(path, f"{name}: {wrong}")
    return flat.astype(np.int64)


def _texts(path: Path, name: str, array: NDArray[Any]) -> NDArray[np.str_]:
    """Names of classes as text, none of them empty."""
    try:
        texts = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    except UnicodeDecodeError as error:
        raise InputError(path, f"{name}: bytes that are no text ({error})") from error
    for each in np.unique(texts).tolist():
        if not each.strip() or not each.isprintable():
            raise InputError(path, f"{name}: {each!r} is no name of a class")
    return np.asarray(texts, np.str_)


def _numbered(
    path: Path, raw: list[NDArray[Any]], arrays: Arrays
) -> tuple[list[IntArray], tuple[str, ...]]:
    """Labels as 0..K-1, and the names of the classes."""
    kinds = {each.dtype.kind == "U" for each in raw}
    if len(kinds) > 1:
        raise InputError(path, "labels are numbers in one part and text in the other")
    found = np.unique(np.concatenate(raw))
    numbers = [np.searchsorted(found, each).astype(np.int64) for each in raw]
    names = tuple(str(each) for each in found)
    key = next((n for n in ("classes", "class_names") if n in arrays), None)
    if key is not None and not kinds.pop():
        given = arrays[key]
        given = _texts(path, key, given) if given.dtype.kind in "US" else given
        if given.ndim != 1 or int(found[-1]) >= len(given):
            raise InputError(path, f"classes: {len(given)} names, a label is {int(found[-1])}")
        names = tuple(str(given[int(each)]) for each in found)
        if len(set(names)) < len(names):
            raise InputError(path, "classes: a name twice")
    return numbers, names
