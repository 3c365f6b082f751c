"""Pseudo-labels of what the model is sure of.

Wang et al., "Cost-effective active learning for deep image classification" (CEAL), IEEE TCSVT 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.arrays import numbered
from vidal.query.uncertainty import entropy
from vidal.types import IntArray


def ceal_threshold(round_index: int, start: float = 0.05, decay: float = 0.0033) -> float:
    """The entropy, in nats, below which an item gets a pseudo-label; falls by round, never below 0.

    Args:
        round_index: of the query, from 0.
        start: in round 0.
        decay: by how much it falls each round.
    """
    return max(0.0, start - decay * round_index)


def ceal_pseudo_labels(
    probs: NDArray[Any], threshold: float, queried: NDArray[Any] | IntArray
) -> IntArray:
    """(n, 2) position and most likely class of items with less entropy than the threshold.

    Args:
        probs: (N, K).
        threshold: nats; strictly less counts, so 0 gives none.
        queried: (q,) positions, or (N,) bool, that people answer: they never get a pseudo-label.

    Raises:
        ValueError: a position that is none.
    """
    sure = entropy(probs) < threshold
    sure[numbered(queried, len(sure), "queried")] = False
    positions = np.flatnonzero(sure)
    if not len(positions):
        return np.zeros((0, 2), np.int64)
    classes = np.argmax(np.asarray(probs)[positions], axis=1)
    return np.stack([positions, classes], axis=1).astype(np.int64)
