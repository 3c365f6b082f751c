"""One-vs-all heads: for each class two logits, of "not this one" and of "this one".

Saito and Saenko, "OVANet: open-set domain adaptation by one-vs-all networks", ICCV 2021; EOAL and
PAL train them. A head has 2 C outputs; torch's losses are in ``vidal.openset.losses``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from vidal.types import IntArray, ScoreArray

LEAST = 1e-12
"""What arguments of logarithms are raised to."""


def pairs(outputs: NDArray[Any]) -> NDArray[Any]:
    """(n, 2 C) outputs of a head -> (n, 2, C); axis 1 = negative, positive."""
    return outputs.reshape(len(outputs), 2, outputs.shape[1] // 2)


def ova_probs(logits: NDArray[Any]) -> ScoreArray:
    """(N, C) probability that an item is of each class, against all others.

    Args:
        logits: (N, 2, C); axis 1 = negative, positive.
    """
    o = np.asarray(logits, np.float64)
    return np.asarray(expit(o[:, 1] - o[:, 0]))


def ova_loss(positive: NDArray[Any], labels: NDArray[Any]) -> float:
    """Mean of -ln p of the label - ln(1 - p) of the hardest other class; 0 for no items.

    With one class there is no other.

    Args:
        positive: (N, C) of `ova_probs`.
        labels: (N,) 0..C-1.

    Raises:
        ValueError: other numbers, or a label out of range.
    """
    p, place = _labelled(positive, labels)
    own, hardest = ova_terms(p, place)
    return float((own + hardest).mean()) if len(p) else 0.0


def ova_terms(positive: NDArray[Any], labels: IntArray) -> tuple[ScoreArray, ScoreArray]:
    """(N,) -ln p of the own class, and (N,) -ln(1 - p) of the hardest other, 0 where there is none.

    Args:
        positive: (N, C) of `ova_probs`.
        labels: (N,) 0..C-1.
    """
    p = np.asarray(positive, np.float64)
    rows = np.arange(len(p))
    own = -np.log(np.maximum(p[rows, labels], LEAST))
    others = -np.log(np.maximum(1 - p, LEAST))
    others[rows, labels] = 0.0
    return own, others.max(axis=1, initial=0.0)


def _labelled(positive: NDArray[Any], labels: NDArray[Any]) -> tuple[ScoreArray, IntArray]:
    p, place = np.asarray(positive, np.float64), np.asarray(labels).astype(np.int64).reshape(-1)
    if p.ndim != 2 or len(p) != len(place) or ((place < 0) | (place >= p.shape[1])).any():
        raise ValueError(f"labels {place.shape} for probabilities {p.shape}, or out of range")
    return p, place


def ova_entropy(positive: NDArray[Any]) -> ScoreArray:
    """(N,) mean entropy in nats of the C binary classifiers, in [0, ln 2]."""
    p = np.asarray(positive, np.float64)
    if not p.shape[1]:
        return np.zeros(len(p))
    both = np.stack([p, 1 - p])
    logs = np.log(both, out=np.zeros_like(both), where=both > 0)
    return np.maximum(0.0, -(both * logs).sum(axis=0).mean(axis=1))
