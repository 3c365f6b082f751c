"""What one seed of a simulation is given: its pool, its first labels, and what is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidal.errors import BudgetError, UnknownName, UsageError
from vidal.images.config import ImagesConfig
from vidal.images.data import ImageData, Pictures
from vidal.images.open_classes import known_classes
from vidal.images.splits import class_uniform_set, counted_set, noise_mixture
from vidal.query.budget import Budget
from vidal.types import IntArray

RARE, COMMON, UNKNOWN = "rare classes", "common classes", "unknown classes"
"""Names of the groups of classes that results are told apart by."""

_KNOWN, _POOL, _INITIAL, _RARE, _TEST, _NOISE = 11, 12, 13, 14, 15, 16
"""Purposes of random numbers."""


@dataclass(frozen=True, eq=False)
class Task:
    """A pool of N images with the truth, and test images.

    Attributes:
        classes: names of the K known classes.
        train: the N images; labels 0..K-1, and K = unknown.
        origin: (N,) ascending: where each is in the train part of the data set.
        initial: (I,) positions that are labelled at the start.
        test: images of known classes.
        rare: numbers of the rare classes; empty where there are none.
        original: images of the pool before rare classes were thinned; shares count from it.
        budget: images asked for in a round, or what they may cost.
    """

    classes: tuple[str, ...]
    train: Pictures
    origin: IntArray
    initial: IntArray
    test: Pictures
    rare: tuple[int, ...]
    original: int
    budget: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of a picture."""
        height, width, channels = self.train.pixels.shape[1:]
        return height, width, channels

    @property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Name -> classes that are told apart; empty where all are alike."""
        k = len(self.classes)
        found: dict[str, tuple[int, ...]] = {}
        if self.rare:
            found = {RARE: self.rare, COMMON: tuple(c for c in range(k) if c not in self.rare)}
        return {**found, UNKNOWN: (k,)} if (self.train.labels == k).any() else found


def make_task(data: ImageData, config: ImagesConfig, seed: int) -> Task:
    """Draw what a seed is given; every part from random numbers of its own.

    Raises:
        BudgetError: the initial set or a round takes more than there is.
        UnknownName, UsageError: classes that cannot be meant.
    """
    known = _known(data, config, seed)
    number = np.full(len(data.classes), len(known), np.int64)
    number[known] = np.arange(len(known))
    origin = _drawn_pool(config, number[data.train.labels], len(known), seed)
    original, names = len(origin), tuple(data.classes[c] for c in known)
    labels = number[data.train.labels[origin]]
    initial = _initial(config, labels, len(names), seed)
    rare: tuple[int, ...] = ()
    if config.imbalance < 1:
        rare = _rare(config.rare, names, seed)
        kept = _thinned(config.imbalance, labels, len(names), rare, initial, seed)
        initial, origin, labels = np.searchsorted(kept, initial), origin[kept], labels[kept]
    whole = data.train.take(origin)
    test = _judged(data, config, number, len(names))
    budget = Budget.parse(config.budget)
    return Task(
        classes=names,
        train=Pictures(whole.pixels, labels, whole.names),
        origin=origin,
        initial=initial,
        test=test,
        rare=rare,
        original=original,
        budget=_affordable(budget, original, config),
    )


def _known(data: ImageData, config: ImagesConfig, seed: int) -> IntArray:
    own, rng = config.data, np.random.default_rng([seed, _KNOWN])
    return known_classes(data.classes, own.known, own.openness, own.split, rng)


def _affordable(budget: Budget, images: int, config: ImagesConfig) -> int:
    """The budget of a round, which pays for one image at least, whatever it is."""
    count, dearest = budget.frames(images), max(config.cost.known, config.cost.unknown)
    if count < dearest:
        raise BudgetError(budget.text, f"{count} does not pay for one image of cost {dearest:g}")
    return count


def _drawn_pool(config: ImagesConfig, labels: IntArray, known: int, seed: int) -> IntArray:
    """Ascending places of the pool in the train part, labels of which are 0..K."""
    count, noise, rng = config.data.pool, config.data.noise, np.random.default_rng([seed, _POOL])
    if count is not None and count > len(labels):
        raise UsageError(f"data.pool: {count} of {len(labels)} training images.")
    if noise is None:
        return np.sort(rng.permutation(len(labels))[:count])
    inside = np.flatnonzero(labels < known)
    if count is not None:
        wanted = count - round(count * noise)
        if not 0 < wanted <= len(inside):
            why = f"data.noise: {wanted} known images in a pool of {count}, of {len(inside)}."
            raise UsageError(why, hint="Lower data.pool, or leave it out.")
        inside = rng.permutation(inside)[:wanted]
    kept = np.sort(np.concatenate([inside, np.flatnonzero(labels >= known)]))
    own = np.random.default_rng([seed, _NOISE])
    try:
        return kept[noise_mixture(labels[kept], known, noise, own)]
    except ValueError as error:
        raise UsageError(
            f"data.noise: {error}.",
            hint="Lower the noise, data.pool or data.known: other classes are the noise.",
        ) from error


def _initial(config: ImagesConfig, labels: IntArray, known: int, seed: int) -> IntArray:
    budget, kind, rng = (
        Budget.parse(config.initial),
        config.initial_from,
        np.random.default_rng([seed, _INITIAL]),
    )
    inside = int((labels < known).sum())
    count = budget.frames(inside if kind == "known" else len(labels))
    there = inside if kind in ("classes", "known") else len(labels)
    if count > there:
        what = "of known classes" if kind in ("classes", "known") else "in the pool"
        raise BudgetError(budget.text, f"{count} initial images of {there} {what}")
    if count < 2:
        raise BudgetError(budget.text, "at least two initial images are needed")
    if kind == "classes":
        return class_uniform_set(labels, known, count, rng)
    chosen = counted_set(labels, known, count, rng, kind)
    if (labels[chosen] < known).sum() < 2:
        raise BudgetError(
            budget.text,
            "fewer than two initial images are of known classes",
            hint="Raise initial, or give initial_from: known.",
        )
    return chosen


def _rare(names: Sequence[str] | None, classes: Sequence[str], seed: int) -> tuple[int, ...]:
    """Numbers of the rare classes: those named, or half of all."""
    if names is None:
        rng = np.random.default_rng([seed, _RARE])
        return tuple(np.sort(rng.permutation(len(classes))[: len(classes) // 2]).tolist())
    for name in names:
        if name not in classes:
            raise UnknownName("class", name, tuple(classes))
    found = tuple(sorted({classes.index(name) for name in names}))
    if not 0 < len(found) < len(classes):
        raise UsageError(
            f"rare: {'all' if found else 'none'} of the classes.",
            hint="Name some of them, or leave it out: half of the classes are drawn.",
        )
    return found


def _thinned(
    factor: float,
    labels: IntArray,
    known: int,
    rare: tuple[int, ...],
    initial: IntArray,
    seed: int,
) -> IntArray:
    """Positions that are left, ascending: of the rare classes a share, beside the initial set."""
    from vidal.query.balance import imbalanced_subset

    rng = np.random.default_rng([seed, _RARE, 1])
    inside = np.flatnonzero(labels < known)
    start = np.searchsorted(inside, initial)
    kept = imbalanced_subset(labels[inside], factor, rng, rare=rare, initial=start)
    return np.sort(np.concatenate([inside[kept], np.flatnonzero(labels >= known)]))


def _judged(data: ImageData, config: ImagesConfig, number: IntArray, known: int) -> Pictures:
    """The test images of known classes; the same for all seeds where all classes are known."""
    labels = number[data.test.labels]
    places = np.flatnonzero(labels < known)
    count = config.data.test_images
    if count is not None:
        if count > len(places):
            raise UsageError(f"data.test_images: {count} of {len(places)} test images.")
        places = np.sort(np.random.default_rng(_TEST).permutation(places)[:count])
    chosen = data.test.take(places)
    for number_, name in enumerate(data.classes[i] for i in np.flatnonzero(number < known)):
        if not (labels[places] == number_).any():
            raise UsageError(f"data.test_images: no test image of {name} is among those drawn.")
    return Pictures(chosen.pixels, labels[places], chosen.names)
