"""Which classes are known: drawn, the first ones, or as a paper has them.

Papers split CIFAR-10 in ways of their own, so figures of two papers are of two problems
(``paper_tables``, section 0). A split by name keeps that apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.random import Generator

from vidal.errors import UsageError
from vidal.images.splits import open_split
from vidal.types import IntArray

TEN = 10
"""Classes of CIFAR-10, which numbered splits are of."""

ORDERS: Mapping[str, tuple[int, ...]] = dict.fromkeys(
    ("eoal", "eaoa", "e2oal"), (8, 2, 7, 4, 3, 5, 9, 6, 0, 1)
)
"""Of CIFAR-10: the first K of these are known."""

SETS: Mapping[str, tuple[int, ...]] = {
    "ccal": (0, 1),
    "mqnet-1": (2, 4, 5, 7),
    "mqnet-2": (1, 2, 5, 7),
    "mqnet-3": (2, 3, 4, 6),
    "mqnet-4": (1, 3, 8, 9),
    "mqnet-5": (2, 3, 5, 9),
}
"""Of CIFAR-10: these are known."""

FIRST = ("first", "bual", "lfosa", "neat")
"""The first K of any data set are known."""

SPLITS = ("drawn", *FIRST, *ORDERS, *SETS)
"""Names of all splits."""


def known_classes(
    classes: Sequence[str], known: int | None, openness: float | None, split: str, rng: Generator
) -> IntArray:
    """Ascending numbers of the known classes; all of them where nothing is asked for.

    Args:
        classes: of the data set, in its order.
        known: K; None = by ``openness``, or as the split has it.
        openness: share of the classes that is unknown, to the nearest number of classes; None =
            by ``known``.
        split: of ``SPLITS``.
        rng: draws, where they are drawn.

    Raises:
        UsageError: numbers that the data set or the split do not have.
    """
    every = len(classes)
    if openness is not None:
        known = _by_openness(every, openness)
    if known is not None and known > every:
        raise UsageError(f"data.known: {known} of {every} classes.")
    if split in {**ORDERS, **SETS} and every != TEN:
        raise UsageError(
            f"data.split: {split} numbers the classes of CIFAR-10, and here are {every}.",
            hint="Give drawn, or first.",
        )
    if split in SETS:
        return _of_set(split, known)
    if known is None:
        if split == "drawn":
            return np.arange(every)
        raise UsageError(f"data.split: {split} needs data.known or data.openness.")
    if split in ORDERS:
        return np.sort(np.array(ORDERS[split][:known], np.int64))
    return open_split(every, known, rng) if split == "drawn" else np.arange(known)


def _by_openness(classes: int, openness: float) -> int:
    """BUAL's openness: unknown classes over all classes."""
    known = round(classes * (1 - Fraction(str(float(openness)))))
    if known < 2:
        raise UsageError(
            f"data.openness: {openness:g} of {classes} classes leaves {known} known.",
            hint="Two at least have to be known.",
        )
    return known


def _of_set(split: str, known: int | None) -> IntArray:
    own = SETS[split]
    if known not in (None, len(own)):
        raise UsageError(
            f"data.split: {split} has {len(own)} known classes, and {known} are asked for.",
            hint="Leave data.known and data.openness out.",
        )
    return np.array(own, np.int64)
