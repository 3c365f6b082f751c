"""How unsure, or how sure, a class distribution is: pure functions.

They take the columns that they are given and return the plain value; which columns a strategy gives
them, and what it makes of the value, stands in ``vidal.query.region_scores``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import ScoreArray


def least_confidence(probs: NDArray[Any]) -> ScoreArray:
    """1 - max_k p_k; (N, K) -> (N,) in [0, 1].

    Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994.
    """
    return 1.0 - np.max(probs, axis=1, initial=0.0).astype(np.float64)


def margin(probs: NDArray[Any]) -> ScoreArray:
    """1 - (p1 - p2) of the two largest columns; (N, K) -> (N,) in [0, 1]; 0 where K = 1.

    Scheffer, Decomain and Wrobel, "Active hidden Markov models for information extraction", 2001.
    """
    p = np.asarray(probs, np.float64)
    if p.shape[1] < 2:
        return np.zeros(len(p))
    top = np.partition(p, p.shape[1] - 2, axis=1)[:, -2:]
    return np.asarray(1.0 - (top[:, 1] - top[:, 0]))


def entropy(probs: NDArray[Any]) -> ScoreArray:
    """-sum_k p_k ln p_k, 0 ln 0 = 0; (N, K) -> (N,) in [0, ln K].

    Shannon, "A mathematical theory of communication", 1948; Settles, "Active learning literature
    survey", 2009, section 3.1.
    """
    p = np.asarray(probs, np.float64)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.maximum(0.0, -(p * logs).sum(axis=1))


def certainty(probs: NDArray[Any]) -> ScoreArray:
    """max_k p_k; (N, K) -> (N,) in [0, 1]: purity, high = likely one of the K classes.

    Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution examples
    in neural networks", ICLR 2017.
    """
    return np.max(probs, axis=1, initial=0.0).astype(np.float64)


msp = certainty
"""The maximum softmax probability: the same function."""


def bald(passes: NDArray[Any]) -> ScoreArray:
    """H(mean_t p_t) - mean_t H(p_t) of T stochastic passes; (T, N, K) -> (N,) in [0, ln K].

    The mutual information of label and weights; 0 of one pass or of none. Houlsby et al.,
    "Bayesian active learning for classification and preference learning", 2011; Gal, Islam and
    Ghahramani, "Deep Bayesian active learning with image data", ICML 2017.
    """
    count, rows, columns = np.shape(passes)
    mean, inner = np.zeros((rows, columns)), np.zeros(rows)
    for each in passes:  # one pass at a time in float64
        mean += each
        inner += entropy(each)
    share = max(1, count)
    return np.maximum(0.0, entropy(mean / share) - inner / share)
