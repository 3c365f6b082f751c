"""Evidential classification: a head gives evidence, and evidence the parameters of a Dirichlet.

Sensoy, Kaplan and Kandemir, "Evidential deep learning to quantify classification uncertainty",
NeurIPS 2018, with the exponential evidence of E2OAL (arXiv 2603.07898): alpha = exp(o) / gamma + 1,
logits cut at +-``clamp``. torch's loss is in ``vidal.openset.losses``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from vidal.types import ScoreArray


def evidence(logits: NDArray[np.floating], gamma: float = 1.0, clamp: float = 10.0) -> ScoreArray:
    """(N, C) alpha > 1 of the Dirichlet."""
    return np.asarray(np.exp(np.clip(np.asarray(logits, np.float64), -clamp, clamp)) / gamma + 1.0)


def edl_probs(logits: NDArray[np.floating], gamma: float = 1.0, clamp: float = 10.0) -> ScoreArray:
    """Mean of the Dirichlet: (N, C) -> (N, C), rows sum to 1.

    The E2OAL slide prints 0.60 and 0.38 for [0, 5, 0, 0] and [-5, 0, -5, -5]; it is 0.961 and
    0.398.
    """
    alpha = evidence(logits, gamma, clamp)
    return np.asarray(alpha / alpha.sum(axis=1, keepdims=True))


def edl_nll(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    gamma: float = 1.0,
    clamp: float = 10.0,
) -> ScoreArray:
    """(N,) log sum alpha - log alpha_y; ``labels`` (N,) in 0..C-1."""
    alpha = evidence(logits, gamma, clamp)
    place = np.asarray(labels).astype(np.int64).reshape(-1)
    return np.asarray(np.log(alpha.sum(axis=1)) - np.log(alpha[np.arange(len(place)), place]))


def edl_kl(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    gamma: float = 1.0,
    clamp: float = 10.0,
) -> ScoreArray:
    """(N,) KL of the Dirichlet without its evidence for the true class from the uniform one.

    KL(Dir(y + (1 - y) alpha) || Dir(1)) in nats; 0 only where there is no evidence for another
    class.
    """
    alpha = evidence(logits, gamma, clamp)
    place = np.asarray(labels).astype(np.int64).reshape(-1)
    alpha[np.arange(len(place)), place] = 1.0
    total = alpha.sum(axis=1)
    constant = gammaln(total) - gammaln(alpha.shape[1]) - gammaln(alpha).sum(axis=1)
    moved = ((alpha - 1) * (digamma(alpha) - digamma(total)[:, None])).sum(axis=1)
    return np.asarray(constant + moved)


def edl_loss(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    kl_weight: float = 1.0,
    gamma: float = 1.0,
    clamp: float = 10.0,
) -> float:
    """Mean of ``edl_nll`` + ``kl_weight`` * ``edl_kl`` / C; 0 for no items.

    The division by C is that of the authors' code, not of the slide.
    """
    if not len(logits):
        return 0.0
    kl = edl_kl(logits, labels, gamma, clamp) / np.shape(logits)[1]
    return float((edl_nll(logits, labels, gamma, clamp) + kl_weight * kl).mean())
