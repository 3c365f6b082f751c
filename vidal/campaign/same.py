"""When two answers are the same: tools round corners, order boxes as they like, and drop tracks."""

from __future__ import annotations

import numpy as np

from vidal.types import Annotations, BoolArray

NEAR = 0.01
"""Pixels between a box and its copy after an annotation tool has read and written it."""


def paired(fits: BoolArray) -> bool:
    """Whether every row of (N, M) has a column of its own that it fits, and no column is left."""
    if fits.shape[0] != fits.shape[1]:
        return False
    left = np.ones(fits.shape[1], np.bool_)
    for row in fits:
        twins = np.flatnonzero(row & left)
        if not len(twins):
            return False
        left[twins[0]] = False
    return True


def same_answer(known: Annotations, said: Annotations, index: int) -> bool:
    """Whether a file says of a frame what is known of it.

    Boxes have a twin within ``NEAR``, of the same class, and to be ignored or not alike. Tracks
    count where the file has some: most formats of single pictures have none.

    Args:
        known: what is recorded of the clip.
        said: what the file says of it, in the same classes.
        index: the frame.
    """
    old, new = known.on(index), said.on(index)
    apart = np.abs(known.boxes[old, None].astype(np.float64) - said.boxes[None, new])
    fits = apart.max(axis=2, initial=0) <= NEAR
    columns = [(known.labels, said.labels), (known.ignore, said.ignore)]
    if (said.track[new] >= 0).any():
        columns.append((known.track, said.track))
    for mine, theirs in columns:
        fits &= mine[old, None] == theirs[None, new]
    return paired(fits)
