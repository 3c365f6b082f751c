"""Labelled pictures in memory: what a folder of classes or an npz file holds, and where it is kept.

DIR/train/CLASS/*.jpg, DIR/test/CLASS/*.jpg      (or val, valid, validation for test)
DIR/CLASS/*.jpg                                  a seeded share becomes the test part
FILE.npz with x_train, y_train, x_test, y_test   (or other usual names; without a test part too)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidal.errors import InputError
from vidal.types import IntArray

SMALLEST = 8
"""Pixels a side that the networks need."""

Pixels = NDArray[np.uint8]
"""(N, H, W, C) with C = 1 or 3; RGB."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one size with the number of their class.

    Attributes:
        pixels: (N, H, W, C) uint8, C = 1 or 3 (RGB).
        labels: (N,) int64.
        names: (N,) what users know them by: paths within the data set, or ``train[12]``.
    """

    pixels: Pixels
    labels: IntArray
    names: NDArray[np.str_]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.dtype != np.uint8:
            raise ValueError(f"pixels: {self.pixels.dtype} {self.pixels.shape}")
        if not len(self.pixels) == len(self.labels) == len(self.names):
            raise ValueError("pixels, labels and names: not equally many")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: IntArray) -> Pictures:
        """Those at these positions."""
        return replace(
            self,
            pixels=self.pixels[positions],
            labels=self.labels[positions],
            names=self.names[positions],
        )


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set.

    Attributes:
        classes: names, in the order of the labels.
        train, test: its parts; same size and channels.
        skipped: files that are no pictures that can be read, with the reason.
    """

    classes: tuple[str, ...]
    train: Pictures
    test: Pictures
    skipped: tuple[str, ...] = ()


def load_images(
    path: Path, *, test: float = 0.2, seed: int = 0, size: int | None = None
) -> ImageData:
    """Read a data set.

    Args:
        path: a folder or an npz file.
        test: share of each class that becomes the test part where the set has none.
        seed: of that draw.
        size: height and width that pictures are scaled to; None = all have one size already.

    Raises:
        InputError: names what cannot be used.
    """
    from vidal.images.arrays import read_npz
    from vidal.images.folders import read_folder

    if path.is_dir():
        data = read_folder(path, size=size)
    elif path.is_file():
        data = read_npz(path, size=size)
    else:
        raise InputError(path, "no such file or folder", hint="Name a folder of classes or an npz.")
    data = data if len(data.test) else _with_test(path, data, test, seed)
    _check(path, data)
    return data


def _with_test(path: Path, data: ImageData, share: float, seed: int) -> ImageData:
    """A share of each class, at least one picture, set aside."""
    rng = np.random.default_rng([seed, 1])
    parts = []
    for number, name in enumerate(data.classes):
        mine = np.flatnonzero(data.train.labels == number)
        if len(mine) < 2:
            raise InputError(
                path, f"class {name}: one picture, which cannot be in a pool and a test part"
            )
        count = min(len(mine) - 1, max(1, round(share * len(mine))))
        parts.append(rng.permutation(mine)[:count])
    held = np.sort(np.concatenate(parts))
    rest = np.setdiff1d(np.arange(len(data.train)), held, assume_unique=True)
    return replace(data, train=data.train.take(rest), test=data.train.take(held))


def _check(path: Path, data: ImageData) -> None:
    if len(data.classes) < 2:
        have = ", ".join(data.classes) or "none"
        raise InputError(path, f"at least two classes are needed, and there is {have}")
    if data.train.pixels.shape[1:] != data.test.pixels.shape[1:]:
        shapes = [" x ".join(map(str, each.pixels.shape[1:])) for each in (data.train, data.test)]
        raise InputError(path, f"pictures of the train part are {shapes[0]}, of test {shapes[1]}")
    if min(data.train.pixels.shape[1:3]) < SMALLEST:
        raise InputError(path, f"pictures of less than {SMALLEST} pixels a side")
    for part, pictures in (("train", data.train), ("test", data.test)):
        lacking = _absent(pictures.labels, data.classes)
        if lacking:
            raise InputError(path, f"the {part} part has no picture of {', '.join(lacking)}")


def _absent(labels: IntArray, classes: Sequence[str]) -> list[str]:
    counts = np.bincount(labels, minlength=len(classes))
    return [name for name, count in zip(classes, counts.tolist(), strict=True) if not count]


def same_channels(pixels: Sequence[Pixels]) -> list[Pixels]:
    """Parts with one channel where every picture is grey (R = G = B), which loses nothing."""
    if all((part[..., :1] == part).all() for part in pixels):
        return [np.ascontiguousarray(part[..., :1]) for part in pixels]
    return list(pixels)
