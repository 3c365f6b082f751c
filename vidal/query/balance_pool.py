"""What class balance reads of a pool: what frames bring, what is labelled, what is wanted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vidal.errors import UnknownName, UsageError
from vidal.query import exclusion
from vidal.query.pools import regions_of
from vidal.types import AnyGap, Gap, IntArray, Pool, ScoreArray

COLUMN = "expected_objects"
"""(F, K): the expected number of objects of each class in a frame."""


def expected_objects(pool: Pool) -> NDArray[np.float64]:
    """(F, K) float64 >= 0: what a frame is expected to bring of each class.

    The pool's column of that name; else the summed class distributions of the detections without
    background: of an image, its class distribution.
    """
    if COLUMN in pool.columns:
        return np.maximum(pool.column(COLUMN).astype(np.float64), 0.0)
    regions = regions_of(pool)
    mass = np.zeros((len(pool), len(pool.classes)))
    np.add.at(mass, regions.pos, regions.probs[:, :-1].astype(np.float64))
    return mass


def labelled_objects(pool: Pool) -> ScoreArray:
    """(K,) float64: objects of each class that were annotated so far."""
    found = pool.labelled_columns.get("objects")
    if found is None:
        return np.zeros(len(pool.classes))
    return np.asarray(found.sum(axis=0), np.float64)


def class_shares(weights: Mapping[str, float], classes: tuple[str, ...]) -> ScoreArray:
    """(K,) the share of all labels that each class should have; sums to 1.

    Raises:
        UnknownName: a weight for a class that there is not.
        UsageError: no class with a weight above 0.
    """
    values = np.ones(len(classes))
    for name, weight in weights.items():
        if name not in classes:
            raise UnknownName("class in class weights", name, classes)
        values[classes.index(name)] = weight
    if len(values) and values.sum() <= 0:
        raise UsageError("class weights: all are 0.", hint="Give at least one class a weight.")
    return values / values.sum() if len(values) else values


def neighbour_ranges(pool: Pool, gap: AnyGap) -> IntArray | None:
    """(F, 2) positions that a pick of each frame takes away; None where none do."""
    if not Gap.of(gap) or not len(pool):
        return None
    return np.stack(exclusion.neighbourhoods(pool.frames, gap), axis=1)
