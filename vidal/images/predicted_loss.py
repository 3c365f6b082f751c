"""A module that learns to predict the loss of an image, trained along with a classifier.

Yoo and Kweon, "Learning loss for active learning", CVPR 2019: stage maps -> mean over places ->
128 -> ReLU, joined -> 1; the loss ranks pairs of a batch, and after ``CUT`` of the steps it no
longer reaches the classifier (120 of 200 epochs).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vidal.images.networks import NetworkSpec, Seen, build
from vidal.images.recipes import Recipe
from vidal.images.training import Body, Model, Scale, Stock, drawing, fit
from vidal.types import FloatArray, IntArray

CUT = 0.6
MARGIN = 1.0
WIDTH = 128


class LossModule(nn.Module):
    """Stage maps of a network -> predicted loss (N,)."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.each = nn.ModuleList(nn.Linear(count, WIDTH) for count in channels)
        self.last = nn.Linear(WIDTH * len(channels), 1)

    def forward(self, stages: list[Tensor]) -> Tensor:
        """(N,) higher = more loss."""
        means = [stage.float().mean(dim=(2, 3)) for stage in stages]
        parts = [layer(mean).relu() for layer, mean in zip(self.each, means, strict=True)]
        return self.last(torch.cat(parts, dim=1))[:, 0]


def ranking_loss(scores: Tensor, targets: Tensor, margin: float = MARGIN) -> Tensor:
    """Mean over pairs (i, n-1-i) of max(0, margin - sign(target difference) * score difference).

    Pairs of equal targets count as 0; of an odd number the last is left out. As
    ``vidal.query.learning_loss.ranking_loss``, with gradients.
    """
    even = len(scores) // 2 * 2
    if not even:
        return scores.sum() * 0.0
    own, other = scores[: even // 2], scores[:even].flip(0)[: even // 2]
    goal, against = targets[: even // 2], targets[:even].flip(0)[: even // 2]
    sign = torch.sign(goal - against).detach()
    return (sign.abs() * (margin - sign * (own - other))).clamp(min=0).mean()


def predicted_loss(
    stock: Stock,
    labels: IntArray,
    pool: Stock,
    spec: NetworkSpec,
    recipe: Recipe,
    scale: Scale,
    seed: int,
    *,
    body: Body | None = None,
) -> FloatArray:
    """(N,) float32 predicted loss of each image of ``pool``.

    A classifier of its own is trained together with the module: the one that is judged is trained
    the same way for every strategy.

    Args:
        stock, labels: n labelled images and their classes.
        pool: what is asked about.
        spec, recipe, scale, seed, body: as of ``fit``.
    """
    channels = [stage.shape[1] for stage in _probe(spec, stock, scale)]
    with drawing(seed + 1, stock.device):
        module = LossModule(channels).to(stock.device)

    def extra(seen: Seen, losses: Tensor, done: float) -> Tensor:
        stages = seen.stages if done < CUT else [stage.detach() for stage in seen.stages]
        return ranking_loss(module(stages), losses.detach())

    model = fit(stock, scale, labels, spec, recipe, seed, extra=(module, extra), body=body)
    found = []
    with torch.inference_mode():
        for batch in pool.batches():
            found.append(module(model.seen(batch).stages).float().cpu().numpy())
    return np.concatenate([np.zeros(0, np.float32), *found])


def _probe(spec: NetworkSpec, stock: Stock, scale: Scale) -> list[Tensor]:
    """Stage maps of two images, for their channels."""
    network = build(spec, 0).to(stock.device).eval()
    with torch.inference_mode():
        return (
            Model(network, scale, False).seen(stock.batch(torch.zeros(2, dtype=torch.long))).stages
        )
