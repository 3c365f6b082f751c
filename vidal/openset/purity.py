"""Whether an item belongs to one of the K known classes: scores, high = likely known.

Arrays hold the K known classes only: a column for the background or for unknown is dropped before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import Items, Pool, ScoreArray

_BLOCK = 1 << 21
"""Features that are held at once: 16 MB."""


def energy(logits: NDArray[Any]) -> ScoreArray:
    """ln sum_k exp(o_k), the negative free energy; (N, K) -> (N,), K >= 1.

    Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020.
    """
    o = np.asarray(logits, np.float64)
    most = o.max(axis=1, initial=-np.inf) if o.shape[1] else np.zeros(len(o))
    with np.errstate(divide="ignore", over="ignore"):  # exp(-inf) = 0 is what is meant
        return np.asarray(most + np.log(np.exp(o - most[:, None]).sum(axis=1)))


def react(
    features: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], threshold: float
) -> ScoreArray:
    """Energy of the last layer on features cut off above; (N, D) -> (N,).

    Sun, Guo and Li, "ReAct: out-of-distribution detection with rectified activations", NeurIPS
    2021. Their threshold is the 90th percentile of the activations of labelled known items.

    Args:
        features: what the last layer reads.
        weight: (D, K) of the last layer.
        bias: (K,).
        threshold: activations above it count as it; infinity = plain energy.
    """
    cut = np.minimum(np.asarray(features, np.float64), threshold)
    return energy(cut @ np.asarray(weight, np.float64) + np.asarray(bias, np.float64))


def mahalanobis(
    features: NDArray[Any],
    labelled: NDArray[Any],
    labels: NDArray[Any],
    known: int,
    ridge: float = 1e-6,
) -> ScoreArray:
    """-min_c (f - m_c)' S^-1 (f - m_c) with one covariance S for all known classes; (N,) <= 0.

    S is the within-class covariance (divided by the number of items) plus ``ridge`` on its
    diagonal; where it has no inverse, its pseudo-inverse. Lee et al., "A simple unified framework
    for detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018.

    Args:
        features: (N, D).
        labelled: (M, D).
        labels: (M,): 0..known-1; other items say nothing of the known classes.
        known: K. A class without items is skipped.
        ridge: >= 0.

    Raises:
        ValueError: no labelled item of a known class.
    """
    place = np.asarray(labels).astype(np.int64).reshape(-1)
    use = (place >= 0) & (place < known)
    base, place = np.asarray(labelled, np.float64)[use], place[use]
    if not len(base):
        raise ValueError("no labelled items of known classes")
    classes, place = np.unique(place, return_inverse=True)
    means = np.stack([base[place == number].mean(axis=0) for number in range(len(classes))])
    spread = base - means[place]
    width = base.shape[1]
    covariance = spread.T @ spread / len(base) + ridge * np.eye(width)
    whiten = _inverse_root(covariance)
    centres, nearest = means @ whiten, np.full(len(features), np.inf)
    step = max(1, _BLOCK // max(1, width))
    for at in range(0, len(features), step):
        points = np.asarray(features[at : at + step], np.float64) @ whiten
        for centre in centres:
            here = nearest[at : at + step]
            np.minimum(here, ((points - centre) ** 2).sum(axis=1), out=here)
    return -nearest


def _inverse_root(covariance: ScoreArray) -> ScoreArray:
    """(D, r) W with W W' the inverse, or the pseudo-inverse, of a symmetric matrix."""
    values, vectors = np.linalg.eigh(covariance)
    least = values.max(initial=0.0) * len(values) * np.finfo(np.float64).eps
    keep = values > least
    return vectors[:, keep] / np.sqrt(values[keep])


LEAST_ITEMS = 2
"""Labelled items of known classes that a covariance can be made of."""


def distance_or_energy(features: NDArray[Any], items: Items, logits: NDArray[Any]) -> ScoreArray:
    """(N,) `mahalanobis` to what is labelled; `energy` where too little is.

    Args:
        features: (N, D).
        items: labelled, with features.
        logits: (N, K).
    """
    if not _enough(items):
        return energy(logits)
    return mahalanobis(features, items.features, items.answers, items.unknown)


def distance_words(pool: Pool) -> str:
    """What `distance_or_energy` is of a pool, for the reasons of a query."""
    if pool.items is not None and _enough(pool.items):
        return "Mahalanobis score"
    return "energy (too little is labelled for distances)"


REACT_PERCENTILE = 90.0
"""Of the activations of labelled known items: above it they are cut off, as in the ReAct code."""


def rectified(
    features: NDArray[Any], items: Items, layer: tuple[NDArray[Any], NDArray[Any]]
) -> ScoreArray:
    """(N,) `react` with its threshold from what is labelled; `energy` where no class is.

    Args:
        features: (N, D).
        items: labelled, with features.
        layer: (D, K) weights and (K,) offsets of the last layer.
    """
    known = items.known().features
    threshold = np.inf
    if known.size:
        threshold = float(np.percentile(known, REACT_PERCENTILE))
    step = max(1, _BLOCK // max(1, features.shape[1]))
    starts = range(0, max(1, len(features)), step)
    parts = [react(features[at : at + step], *layer, threshold) for at in starts]
    return np.concatenate(parts)


def rectified_words(pool: Pool) -> str:
    """What `rectified` is of a pool, for the reasons of a query."""
    if pool.items is not None and len(pool.items.known()):
        return "energy of cut-off activations"
    return "energy (no labelled object of the classes: nothing is cut off)"


def _enough(items: Items) -> bool:
    return len(items.known()) >= LEAST_ITEMS
