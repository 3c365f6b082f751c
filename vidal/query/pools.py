"""Views of a pool that wrappers of strategies need."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import Deferred, FloatArray, FrameSet, IntArray, Items, Pool, Regions


def regions_of(pool: Pool) -> Regions:
    """The pool's detections.

    Raises:
        KeyError: the pool was built without them (a strategy did not state it in ``needs``).
    """
    if pool.regions is None:
        raise KeyError("regions")
    return pool.regions


def items_of(pool: Pool) -> Items:
    """The labelled side.

    Raises:
        KeyError: the pool was built without it (a strategy did not state "labelled" in ``needs``).
    """
    if pool.items is None:
        raise KeyError("labelled")
    return pool.items


def layer_of(pool: Pool) -> tuple[FloatArray, FloatArray]:
    """(D, K) weights and (K,) offsets of the model's last layer.

    Raises:
        KeyError: the pool was built without it (a strategy did not state "layer" in ``needs``).
    """
    if pool.layer is None:
        raise KeyError("layer")
    return pool.layer


def take(frames: FrameSet, positions: IntArray) -> FrameSet:
    """The frames at these positions, in that order."""
    return frames.take(positions)


def restrict(pool: Pool, positions: IntArray, *, labelled: IntArray | None = None) -> Pool:
    """The pool with these frames only.

    Args:
        pool: the whole.
        positions: (m,) increasing positions to keep.
        labelled: positions, none of ``positions``, that count as labelled from now on: picks of
            the same round. Nobody has answered them yet: they have no objects and give no items.
    """
    known, about = pool.labelled, pool.labelled_columns
    if labelled is not None:
        known = known.with_more(take(pool.frames, labelled))
        about = {
            name: np.concatenate([values, _unanswered(pool, name, values, labelled)])
            for name, values in about.items()
        }
    return replace(
        pool,
        frames=take(pool.frames, positions),
        labelled=known,
        columns={name: _taken(values, positions) for name, values in pool.columns.items()},
        regions=None if pool.regions is None else _restrict(pool.regions, positions, len(pool)),
        labelled_columns=about,
    )


def _taken(values: Any, positions: IntArray) -> Any:
    """Rows of a column; of one that is not held, unread."""
    return values.take(positions) if isinstance(values, Deferred) else values[positions]


def _unanswered(pool: Pool, name: str, values: NDArray[Any], positions: IntArray) -> NDArray[Any]:
    """The rows of a column of labelled frames for picks: the pool's own, or zeros."""
    if name in pool.columns:
        return pool.columns[name][positions]
    return np.zeros((len(positions), *values.shape[1:]), values.dtype)


def _restrict(regions: Regions, positions: IntArray, length: int) -> Regions:
    place = np.full(length, -1, dtype=np.int64)
    place[positions] = np.arange(len(positions))
    rows = place[regions.pos] >= 0
    plain = [f.name for f in fields(regions) if f.name != "columns"]
    kept = {name: getattr(regions, name)[rows] for name in plain}
    more = {name: values[rows] for name, values in regions.columns.items()}
    return Regions(**{**kept, "pos": place[kept["pos"]]}, columns=more)
