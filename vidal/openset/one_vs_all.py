"""One-vs-all heads: for each class two logits, of "not this one" and of "this one".

Saito and Saenko, "OVANet: one-vs-all network for universal domain adaptation", ICCV 2021; losses as
EOAL and PAL use them. A head has 2 C outputs, without bias; torch's losses are in
``vidal.openset.losses``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit

from vidal.types import ScoreArray

LEAST = 1e-12
"""What arguments of logarithms are raised to."""


def pairs(outputs: NDArray[np.floating]) -> NDArray[np.floating]:
    """(n, 2 C) outputs of a head -> (n, 2, C); axis 1 = negative, positive."""
    return outputs.reshape(len(outputs), 2, outputs.shape[1] // 2)


def ova_probs(logits: NDArray[np.floating]) -> ScoreArray:
    """P(class) by each head: (N, 2, C) logits -> (N, C) in [0, 1]; axis 1 = negative, positive."""
    two = np.asarray(logits, np.float64)
    return np.asarray(expit(two[:, 1] - two[:, 0]))


def ova_loss(positive: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Mean of -log p^y - min over other classes of log(1 - p^c): the hardest negative.

    Args:
        positive: (N, C) of ``ova_probs``.
        labels: (N,) in 0..C-1. C = 1: there is no negative. N = 0: 0.
    """
    place = np.asarray(labels).astype(np.int64).reshape(-1)
    own, hardest = ova_terms(positive, place)
    return float((own + hardest).mean()) if len(place) else 0.0


def ova_entropy(positive: NDArray[np.floating]) -> ScoreArray:
    """(N, C) -> (N,) mean entropy of the heads in nats, in [0, log 2]."""
    p = np.asarray(positive, np.float64)
    return np.asarray((entr(p) + entr(1 - p)).mean(axis=1))


def ova_terms(
    positive: NDArray[np.floating], labels: NDArray[np.int64]
) -> tuple[ScoreArray, ScoreArray]:
    """(N,) -log p of the own class, and (N,) the largest -log(1 - p) of the others, 0 for none."""
    p = np.asarray(positive, np.float64)
    rows = np.arange(len(p))
    own = -np.log(np.maximum(p[rows, labels], LEAST))
    others = -np.log(np.maximum(1 - p, LEAST))
    others[rows, labels] = 0.0
    return own, others.max(axis=1, initial=0.0)
