"""The losses of open-set methods on tensors; each equals the NumPy function of its name.

A mean over no items is 0 (where released codes give NaN). Imported where something is trained.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from vidal.openset.one_vs_all import LEAST


def mean_or_zero(values: Tensor) -> Tensor:
    """Mean; 0, with a gradient of 0, where there are none."""
    return values.mean() if len(values) else values.sum()


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over items, 0 for none."""
    return mean_or_zero(functional.cross_entropy(logits, targets, reduction="none"))


def entropic_ova_loss(
    outputs: Tensor, labels: Tensor, alpha: float = 0.8, first_round: bool = False
) -> Tensor:
    """As ``eoal.entropic_ova_loss``, of outputs (n, 2 K) and labels 0..K."""
    known = labels < outputs.shape[1] // 2
    own, hardest = ova_terms(outputs[known], labels[known])
    yes, no = log_sides(outputs[~known])
    share = 1.0 if first_round else 1 - alpha
    return 0.5 * share * mean_or_zero(own + hardest) - 0.5 * alpha * mean_or_zero(
        (yes + no).mean(dim=1)
    )


def ova_loss(outputs: Tensor, labels: Tensor) -> Tensor:
    """As ``one_vs_all.ova_loss``, of outputs (n, 2 C) and labels 0..C-1."""
    own, hardest = ova_terms(outputs, labels)
    return mean_or_zero(own + hardest)


def ova_entropy(outputs: Tensor) -> Tensor:
    """As ``one_vs_all.ova_entropy``, (n, 2 C) -> (n,)."""
    yes, no = log_sides(outputs)
    return -(yes.exp() * yes + no.exp() * no).mean(dim=1)


def tuplet_loss(features: Tensor, centres: Tensor, assignment: Tensor, beta: float = 0.1) -> Tensor:
    """As ``eoal.tuplet_loss``."""
    apart = features[:, None] - centres[None]
    distances = (apart.square().sum(dim=2) + LEAST).sqrt()  # the root of 0 has no gradient
    own = distances.gather(1, assignment[:, None])[:, 0]
    terms = functional.cross_entropy(-distances, assignment, reduction="none") + beta * own
    return mean_or_zero(terms)


def free_energy(logits: Tensor) -> Tensor:
    """(n, K) -> (n,) -log sum exp."""
    return -torch.logsumexp(logits, dim=1)


def energy_margin_loss(
    logits: Tensor,
    labels: Tensor,
    known: int,
    known_margin: float = -25.0,
    unknown_margin: float = -7.0,
) -> Tensor:
    """As ``eaoa.energy_margin_loss``."""
    energy = free_energy(logits[:, :known])
    low = (energy - known_margin).clamp(min=0).square()
    high = (unknown_margin - energy).clamp(min=0).square()
    return mean_or_zero(low[(labels >= 0) & (labels < known)]) + mean_or_zero(high[labels == known])


def edl_loss(
    logits: Tensor,
    labels: Tensor,
    kl_weight: float = 1.0,
    gamma: float = 1.0,
    clamp: float = 10.0,
) -> Tensor:
    """As ``evidential.edl_loss``."""
    alpha = logits.clamp(-clamp, clamp).exp() / gamma + 1
    classes = logits.shape[1]
    own = alpha.gather(1, labels[:, None])[:, 0]
    nll = alpha.sum(dim=1).log() - own.log()
    other = alpha.scatter(1, labels[:, None], 1.0)
    total = other.sum(dim=1)
    constant = torch.lgamma(total) - torch.lgamma(other).sum(dim=1) - math.lgamma(classes)
    moved = ((other - 1) * (torch.digamma(other) - torch.digamma(total)[:, None])).sum(dim=1)
    return mean_or_zero(nll + kl_weight * (constant + moved) / classes)


def log_sides(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """(n, C) each: log P(class) and log P(not the class), not below that of ``LEAST``."""
    negative, positive = outputs.chunk(2, dim=1)
    least = torch.log(torch.tensor(LEAST)).item()
    yes = functional.logsigmoid(positive - negative).clamp(min=least)
    return yes, functional.logsigmoid(negative - positive).clamp(min=least)


def ova_terms(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """As ``one_vs_all.ova_terms``, of outputs (n, 2 C)."""
    yes, no = log_sides(outputs)
    own = -yes.gather(1, labels[:, None])[:, 0]
    others = (-no).scatter(1, labels[:, None], 0.0)
    return own, others.max(dim=1).values if others.shape[1] else own * 0
