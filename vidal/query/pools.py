"""Views of a pool that wrappers of strategies need."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from vidal.types import FrameSet, IntArray, Pool, Regions


def regions_of(pool: Pool) -> Regions:
    """The pool's detections.

    Raises:
        KeyError: the pool was built without them (a strategy did not state it in ``needs``).
    """
    if pool.regions is None:
        raise KeyError("regions")
    return pool.regions


def take(frames: FrameSet, positions: IntArray) -> FrameSet:
    """The frames at these positions, in that order."""
    return FrameSet(frames.clips, frames.clip[positions], frames.index[positions])


def restrict(pool: Pool, positions: IntArray, *, labelled: IntArray | None = None) -> Pool:
    """The pool with these frames only.

    Args:
        pool: the whole.
        positions: (m,) increasing positions to keep.
        labelled: positions, none of ``positions``, that count as labelled from now on: picks of
            the same round.
    """
    known = pool.labelled
    if labelled is not None:
        more = take(pool.frames, labelled)
        known = FrameSet(
            known.clips,
            np.concatenate([known.clip, more.clip]),
            np.concatenate([known.index, more.index]),
        )
    return replace(
        pool,
        frames=take(pool.frames, positions),
        labelled=known,
        columns={name: values[positions] for name, values in pool.columns.items()},
        regions=None if pool.regions is None else _restrict(pool.regions, positions, len(pool)),
    )


def _restrict(regions: Regions, positions: IntArray, length: int) -> Regions:
    place = np.full(length, -1, dtype=np.int64)
    place[positions] = np.arange(len(positions))
    rows = place[regions.pos] >= 0
    columns = {f.name: getattr(regions, f.name)[rows] for f in fields(regions)}
    return Regions(**{**columns, "pos": place[columns["pos"]]})
