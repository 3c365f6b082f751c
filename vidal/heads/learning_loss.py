"""A head that predicts the loss of another one.

Yoo and Kweon, "Learning loss for active learning", CVPR 2019. There both learn together from the
feature maps of the network; here the losses are those of heads that have not seen the item (a head
that has remembers it, and its loss is near 0), and the features stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from vidal.heads.classifier import fit_head, training_set
from vidal.heads.network import Scale, answers, perceptron, seeded, train
from vidal.heads.options import HeadOptions
from vidal.types import FloatArray, Items, ScoreArray


def ranking_loss(scores: Tensor, targets: Tensor, margin: float = 1.0) -> Tensor:
    """As ``vidal.query.learning_loss.ranking_loss``, with a gradient in ``scores``."""
    half = len(scores) // 2
    if not half:
        return (scores * 0).sum()
    first, second = slice(0, half), slice(half, 2 * half)
    gap = scores[first] - scores[second].flip(0)
    sign = torch.sign(targets[first] - targets[second].flip(0))
    return torch.where(sign == 0, 0.0, torch.relu(margin - sign * gap)).mean()


def held_out_losses(items: Items, rng: Generator, options: HeadOptions) -> ScoreArray:
    """(m,) cross-entropy of each item of ``training_set`` under a head that has not seen it."""
    base, targets = training_set(items)
    count = len(base)
    fold = rng.permutation(count) % min(options.folds, count)
    losses = np.zeros(count)
    for number in range(int(fold.max()) + 1):
        mine = fold == number
        head, _ = fit_head(
            base[~mine], targets[~mine], items.unknown + 1, int(rng.integers(2**62)), options
        )
        chosen = head.probs(base[mine])[np.arange(int(mine.sum())), targets[mine]]
        losses[mine] = -np.log(np.maximum(chosen, 1e-12))
    return losses


def predicted_loss(
    items: Items, features: NDArray[Any], rng: Generator, options: HeadOptions
) -> FloatArray:
    """(N,) float32 predicted loss of ``features``; only its order has a meaning."""
    base, _ = training_set(items)
    losses = held_out_losses(items, rng, options)
    scale = Scale.of(base)
    with seeded(int(rng.integers(2**62))):
        network = perceptron(base.shape[1], 1, options.width, options.dropout)
        train(
            network,
            scale(base),
            torch.from_numpy(losses.astype(np.float32)),
            lambda outputs, targets: ranking_loss(outputs[:, 0], targets),
            options,
        )
    return answers(network, scale, features)[:, 0]
