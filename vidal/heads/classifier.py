"""Heads that tell the K classes and the background apart: passes, committees, epochs, energies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from vidal.heads.network import (
    Scale,
    answers,
    dropout_only,
    perceptron,
    seeded,
    train,
)
from vidal.heads.options import HeadOptions
from vidal.types import BACKGROUND, FloatArray, IntArray, Items

_SEEDS = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A trained classifier of features.

    Attributes:
        network: in evaluation mode; K+1 outputs, background last.
        scale: of its inputs.
    """

    network: nn.Module
    scale: Scale

    def probs(self, features: NDArray[Any]) -> FloatArray:
        """(N, D) -> (N, K+1) float32."""
        return np.asarray(softmax(answers(self.network, self.scale, features), axis=1))


def training_set(items: Items) -> tuple[FloatArray, IntArray]:
    """(m, D) features and (m,) targets in 0..K, K = background; unknown objects are left out.

    As in the training of the detector, an object outside the classes is neither an example of a
    class nor of the background.
    """
    kept = items.keep(items.answers != items.unknown)
    return kept.features, np.where(kept.answers == BACKGROUND, items.unknown, kept.answers)


def fit_head(
    features: NDArray[Any],
    targets: IntArray,
    outputs: int,
    seed: int,
    options: HeadOptions,
    votes_of: NDArray[Any] | None = None,
) -> tuple[Head, NDArray[np.int16]]:
    """A head, and what it said of ``votes_of`` (N, D) while it learned: (N, E) labels.

    Args:
        features: (m, D), m >= 1.
        targets: (m,) in 0..outputs-1.
        outputs: how many classes it tells apart.
        seed: of weights, order and dropout.
        options: how.
        votes_of: what is looked at; None = nothing.
    """
    scale, votes = Scale.of(features), []
    with seeded(seed):
        network = perceptron(features.shape[1], outputs, options.width, options.dropout)

        def look() -> None:
            if votes_of is not None:
                logits = answers(network, scale, votes_of)
                votes.append(logits.argmax(axis=1).astype(np.int16))

        train(
            network,
            scale(features),
            torch.from_numpy(np.ascontiguousarray(targets, np.int64)),
            nn.functional.cross_entropy,
            options,
            moments=options.votes,
            look=look,
        )
    rows = 0 if votes_of is None else len(votes_of)
    none = np.zeros((rows, 0), np.int16)
    return Head(network, scale), np.stack(votes, axis=1) if votes else none


def head_passes(
    items: Items, features: NDArray[Any], rng: Generator, options: HeadOptions
) -> FloatArray:
    """(N, T, K+1) float32 class distributions of ``features`` under MC dropout."""
    head, _ = fit_head(*training_set(items), items.unknown + 1, _draw(rng), options)
    return stochastic_passes(head, features, options.passes, _draw(rng))


def stochastic_passes(head: Head, features: NDArray[Any], count: int, seed: int) -> FloatArray:
    """(N, T, K+1) float32 of a head whose dropout layers alone are stochastic."""
    with seeded(seed), dropout_only(head.network):
        return np.stack([head.probs(features) for _ in range(count)], axis=1)


def head_members(
    items: Items, features: NDArray[Any], rng: Generator, options: HeadOptions
) -> FloatArray:
    """(N, T, K+1) float32 of heads with other weights, each on a draw with replacement.

    Breiman, "Bagging predictors", 1996; Lakshminarayanan, Pritzel and Blundell, "Simple and
    scalable predictive uncertainty estimation using deep ensembles", NIPS 2017.
    """
    base, targets = training_set(items)
    parts = []
    for _ in range(options.members):
        rows = rng.integers(len(base), size=len(base))
        head, _ = fit_head(base[rows], targets[rows], items.unknown + 1, _draw(rng), options)
        parts.append(head.probs(features))
    return np.stack(parts, axis=1)


def head_votes(
    items: Items, features: NDArray[Any], rng: Generator, options: HeadOptions
) -> NDArray[np.int16]:
    """(N, E) int16 label of ``features`` at evenly spaced moments of a head's training."""
    base, targets = training_set(items)
    return fit_head(base, targets, items.unknown + 1, _draw(rng), options, features)[1]


def _draw(rng: Generator) -> int:
    return int(rng.integers(_SEEDS))
