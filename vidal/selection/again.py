"""What earlier states of a detector say of its detections: votes and members of an ensemble.

A detection of the newest state is found again among those of an earlier state in the same frame:
the one that it overlaps most. What was not found there was background then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.boxes import overlapping
from vidal.types import Detections, IntArray

IOU = 0.5
"""Two detections with more overlap are of the same thing."""

COLUMNS = frozenset({"votes", "members"})
"""Columns of regions that are made here."""


def columns_of(detections: Detections, earlier: Sequence[Detections]) -> dict[str, NDArray[Any]]:
    """What all states say of each detection, the newest state last.

    Args:
        detections: N rows, K classes.
        earlier: of the same clip and classes, by E - 1 earlier states.

    Returns:
        ``members`` (N, E, K+1) float32 class distributions, background last, and ``votes`` (N, E)
        int16, the most likely of each.
    """
    members = [_found_again(detections, other) for other in earlier]
    every = np.stack([*members, detections.probs], axis=1).astype(np.float32)
    return {"members": every, "votes": every.argmax(axis=2).astype(np.int16)}


def _found_again(detections: Detections, other: Detections) -> NDArray[np.float32]:
    """(N, K+1) the distribution of the best match of each detection; all background without."""
    probs = np.zeros_like(detections.probs)
    probs[:, -1] = 1.0
    mine, theirs = best_matches(detections, other)
    probs[mine] = other.probs[theirs]
    return probs


def best_matches(detections: Detections, other: Detections) -> tuple[IntArray, IntArray]:
    """Rows that overlap a row of ``other`` by more than ``IOU``, and the row they overlap most.

    Of equals, which are one proposal under several labels, the best scored one.
    """
    left, right, iou = overlapping(
        (detections.frame, detections.boxes), (other.frame, other.boxes), IOU
    )
    order = np.lexsort((right, -other.scores[right], -iou, left))
    left, right = left[order], right[order]
    first = np.flatnonzero(np.diff(left, prepend=-1))
    return left[first], right[first]
