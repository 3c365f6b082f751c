"""Which images are labelled at the start, which classes are known, and what is mixed in.

Labels are 0..K-1 = known class, K and above = unknown. Positions are ascending, the generator is an
argument: one seed, one split.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.types import IntArray

Shares = Literal["plain", "exact"]
"""A plain draw from the pool, or as many unknowns as are in the pool, exactly."""


def initial_set(
    labels: NDArray[Any],
    known: int,
    percent: float,
    rng: Generator,
    known_only: bool = True,
    shares: Shares = "plain",
) -> IntArray:
    """Positions of the images that are labelled before the first query.

    The protocol of LfOSA and its successors: floor(percent % of the images of known classes), drawn
    from those alone. With ``known_only=False`` that of MQ-Net: floor(percent % of the pool) with
    unknowns among them, drawn plainly (the paper) or with the pool's shares of known and unknown,
    each rounded down (its code).

    Args:
        labels: (N,) integers >= 0; below ``known`` = a known class.
        known: K >= 1.
        percent: in [0, 100].
        rng: draws.
        known_only: leave unknowns out.
        shares: how they are drawn where they are not left out.

    Raises:
        ValueError: a percentage outside [0, 100], or no known class.
    """
    values = _labels(labels, known)
    share = Fraction(str(float(percent))) / 100
    if not 0 <= share <= 1:
        raise ValueError(f"percent: {percent}, outside 0..100")
    whole = int((values < known).sum()) if known_only else len(values)
    return counted_set(
        values, known, math.floor(share * whole), rng, "known" if known_only else shares
    )


def counted_set(
    labels: NDArray[Any], known: int, count: int, rng: Generator, kind: Shares | Literal["known"]
) -> IntArray:
    """As ``initial_set``, of a number of images: ``known`` ones alone, or see ``Shares``.

    Raises:
        ValueError: no known class, or more images than there are.
    """
    values = _labels(labels, known)
    inside, outside = np.flatnonzero(values < known), np.flatnonzero(values >= known)
    there = len(inside) if kind == "known" else len(values)
    if not 0 <= count <= there:
        raise ValueError(f"count: {count} of {there} images")
    if kind == "known":
        return _drawn(inside, count, rng)
    if kind == "plain" or not len(values):
        return _drawn(np.arange(len(values)), count, rng)
    of_unknown = Fraction(len(outside), len(values))
    first = _drawn(inside, math.floor(count * (1 - of_unknown)), rng)
    return np.sort(np.concatenate([first, _drawn(outside, math.floor(count * of_unknown), rng)]))


def class_uniform_set(labels: NDArray[Any], known: int, count: int, rng: Generator) -> IntArray:
    """``count`` positions, equally many of each known class (thesis, sections 3.4.1 and 4.5.1).

    What does not divide goes to drawn classes, one each; what a class has too few of is drawn from
    the known images that are left.

    Raises:
        ValueError: fewer known images than ``count``, or no known class.
    """
    values = _labels(labels, known)
    inside = np.flatnonzero(values < known)
    if not 0 <= count <= len(inside):
        raise ValueError(f"count: {count} of {len(inside)} images of known classes")
    quota = np.full(known, count // known)
    quota[rng.permutation(known)[: count % known]] += 1
    parts = [_drawn(np.flatnonzero(values == c), int(quota[c]), rng) for c in range(known)]
    chosen = np.concatenate([np.zeros(0, np.int64), *parts])
    rest = np.setdiff1d(inside, chosen, assume_unique=True)
    return np.sort(np.concatenate([chosen, _drawn(rest, count - len(chosen), rng)]))


def open_split(classes: int, known: int, rng: Generator) -> IntArray:
    """(known,) ascending numbers of the classes that count as known, of ``classes`` in all.

    Raises:
        ValueError: none, or more than there are.
    """
    if not 1 <= known <= classes:
        raise ValueError(f"known: {known} of {classes} classes")
    return np.sort(rng.permutation(classes)[:known]).astype(np.int64)


def noise_mixture(labels: NDArray[Any], known: int, ratio: float, rng: Generator) -> IntArray:
    """Positions of a pool in which unknown images have the share ``ratio`` (MQ-Net, section 5.1).

    All known images, and round(n_known * ratio / (1 - ratio)) unknown ones.

    Args:
        labels: (N,) integers >= 0; below ``known`` = a known class.
        known: K >= 1.
        ratio: in [0, 1).
        rng: draws the unknown ones.

    Raises:
        ValueError: a ratio outside [0, 1), or fewer unknown images than it takes.
    """
    values = _labels(labels, known)
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio: {ratio}, outside [0, 1)")
    inside, outside = np.flatnonzero(values < known), np.flatnonzero(values >= known)
    share = Fraction(str(float(ratio)))
    count = math.floor(len(inside) * share / (1 - share) + Fraction(1, 2))
    if count > len(outside):
        raise ValueError(f"ratio: {ratio} takes {count} unknown images, there are {len(outside)}")
    return np.sort(np.concatenate([inside, _drawn(outside, count, rng)]))


def _labels(labels: NDArray[Any], known: int) -> IntArray:
    values = np.asarray(labels).astype(np.int64).reshape(-1)
    if known < 1 or (values < 0).any():
        raise ValueError(f"known: {known}, or a label below 0")
    return values


def _drawn(positions: IntArray, count: int, rng: Generator) -> IntArray:
    """``count`` of them (or all), without replacement, ascending."""
    return np.sort(rng.permutation(positions)[:count]).astype(np.int64)
