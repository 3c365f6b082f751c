"""Data sets in one npz file: arrays of pixels and of labels under the usual names."""

from __future__ import annotations

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


def _load(path: Path) -> dict[str, NDArray[Any]]:
    check_regular(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            if isinstance(file, np.ndarray):
                raise InputError(path, "one array, not an npz with pixels and labels")
            return {name: file[name] for name in file.files}
    except InputError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise InputError(path, f"not an npz file that can be read ({error})") from error


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
    if array.dtype.kind not in "iufb" or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        raise InputError(path, f"{name}: {array.dtype}, or values that are not finite")
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.asarray(np.rint(array.astype(np.float64) * 255), np.uint8)
    whole = array.dtype.kind != "f" or bool((array == np.rint(array)).all())
    if low < 0 or high > 255 or not whole:
        raise InputError(path, f"{name}: values {low:g} to {high:g}, neither 0..255 nor in [0, 1]")
    return array.astype(np.uint8)


def _labels(path: Path, name: str, array: NDArray[Any]) -> NDArray[Any]:
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1:
        raise InputError(path, f"{name}: shape {array.shape}, one label a picture is needed")
    if flat.dtype.kind == "f" and np.isfinite(flat).all() and (flat == np.rint(flat)).all():
        flat = flat.astype(np.int64)
    if flat.dtype.kind not in "iuUS":
        raise InputError(path, f"{name}: {array.dtype}, neither whole numbers nor text")
    if flat.dtype.kind in "iu" and len(flat) and int(flat.min()) < 0:
        raise InputError(path, f"{name}: {int(flat.min())}, a label below 0")
    return flat.astype(np.str_) if flat.dtype.kind == "S" else flat


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
    given = next((arrays[n] for n in ("classes", "class_names") if n in arrays), None)
    if given is not None and not kinds.pop():
        if given.ndim != 1 or int(found[-1]) >= len(given):
            raise InputError(path, f"classes: {len(given)} names, a label is {int(found[-1])}")
        names = tuple(str(given[int(each)]) for each in found)
        if len(set(names)) < len(names):
            raise InputError(path, "classes: a name twice")
    return numbers, names
