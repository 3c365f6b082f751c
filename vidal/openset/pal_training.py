"""What progressive PAL trains: a closed-set head, one-vs-all heads, and the network of weights.

Every step looks ahead: the step that the heads *would* take is made as a function of the weights,
the classification loss of labelled items after it is differentiated by them, and the weight network
takes its step; then the heads take theirs. The inner step reaches what both heads share: all of the
network on features of regions; on pictures a projection behind the stages, which is given for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from vidal.openset.learning import (
    Batch,
    class_outputs,
    class_targets,
    teachers,
    train,
    without_background,
)
from vidal.openset.losses import ova_entropy, ova_loss
from vidal.openset.one_vs_all import ova_probs, pairs
from vidal.openset.pal import ramp
from vidal.protocols import Trunk
from vidal.types import HeadSpec, Seen

_SHARED = 128
"""Width of the projection that networks of pictures get."""
_WIDTH = 512
"""Hidden units of the weight network."""
_RATE = 6e-5
"""Of its Adam [R]. Only ratios of weights matter to their loss: by higher rates all of them drift
to 0, where the sigmoid is flat."""
_UNLABELLED = 2
"""Unlabelled items for one labelled."""


def weighted(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean (n,), (n,) -> (); 0 where the weights sum to 0."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-12)


class WeightNetwork(nn.Module):
    """Weight of an item in (0, 1) from its one-vs-all outputs (n, 2 C)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, 1))

    def forward(self, ova: Tensor) -> Tensor:
        """(n,)."""
        found: Tensor = self.layers(ova)[:, 0].sigmoid()
        return found


def inner_loss(seen: Seen, labels: Tensor, pool: Seen, weights: Tensor, rise: float) -> Tensor:
    """Cross-entropy + rise (weighted entropy of unlabelled items + one-vs-all loss)."""
    entropy = weighted(ova_entropy(pool.outputs["ova"]), weights)
    ova = ova_loss(seen.outputs["ova"], labels)
    return functional.cross_entropy(seen.outputs["closed"], labels) + rise * (entropy + ova)


def stepped(network: nn.Module, loss: Tensor, names: Sequence[str], rate: float) -> dict[str, Any]:
    """Parameters after a step against a loss, as a function of all that the loss depends on."""
    own = dict(network.named_parameters())
    slopes = torch.autograd.grad(
        loss, [own[name] for name in names], create_graph=True, allow_unused=True
    )
    return {
        name: own[name] if slope is None else own[name] - rate * slope
        for name, slope in zip(names, slopes, strict=True)
    }


def outer_loss(
    network: nn.Module, ahead: Mapping[str, Tensor], inputs: Tensor, labels: Tensor
) -> Tensor:
    """Classification loss of labelled items with the parameters after the inner step."""
    seen = functional_call(network, dict(ahead), (inputs,))
    return functional.cross_entropy(seen.outputs["closed"], labels)


def inner_names(network: nn.Module, *, whole: bool) -> list[str]:
    """Parameters of the inner step: all of the network, or of projection and heads."""
    own = [name for name, each in network.named_parameters() if each.requires_grad]
    return own if whole else [n for n in own if n.startswith(("projection.", "heads."))]


def _built(trunk: Trunk, columns: int, seed: int) -> nn.Module:
    heads = {"closed": HeadSpec(columns), "ova": HeadSpec(2 * columns)}
    network: nn.Module = trunk.network(heads, seed, projection=_SHARED if trunk.pictures else None)
    return network


def judged(trunk: Trunk, seed: int) -> dict[str, NDArray[Any]]:
    """What the score reads of every item of the pool.

    Unknown objects are a class of their own from the first that is labelled; background is one as
    well where there is any, and is left out of what comes back.
    """
    known = trunk.known
    classes = known + int((trunk.answers == known).any())
    columns = class_outputs(trunk, classes)
    network = _built(trunk, columns, seed)
    device = next(network.parameters()).device
    with trunk.drawing(seed + 1):
        omega = WeightNetwork(2 * columns).to(device)
    _fit(trunk, network, omega, classes, seed)
    found = trunk.look(network, "pool").outputs
    ova = found["ova"]
    with torch.inference_mode():
        weights = omega(torch.from_numpy(np.array(ova)).to(device)).cpu().numpy()
    closed = without_background(found["closed"], classes)
    return {
        "progressive-pal.positive": ova_probs(pairs(ova))[:, :known],
        "progressive-pal.weights": weights,
        "progressive-pal.unknown": closed.argmax(axis=1) == known,
    }


def _fit(trunk: Trunk, network: nn.Module, omega: WeightNetwork, classes: int, seed: int) -> None:
    """Both by turns, see the top of this module."""
    rows = teachers(trunk, unknown=True)
    course = trunk.course(len(rows))
    names = inner_names(network, whole=not trunk.pictures)
    optimizer = torch.optim.Adam(omega.parameters(), lr=_RATE)

    def loss(batch: Batch) -> Tensor:
        labels = class_targets(batch.targets, trunk.known, classes)
        rise = ramp(batch.share, 1.0)
        if batch.pool is None:
            ova = ova_loss(batch.seen.outputs["ova"], labels)
            plain = functional.cross_entropy(batch.seen.outputs["closed"], labels)
            return plain + rise * ova
        given = batch.pool.outputs["ova"].detach()
        inner = inner_loss(batch.seen, labels, batch.pool, omega(given), rise)
        rate = course.rate(round(batch.share * course.steps))
        ahead = stepped(network, inner, names, rate)
        outer = outer_loss(network, ahead, trunk.inputs("labelled", batch.rows), labels)
        slopes = torch.autograd.grad(outer, list(omega.parameters()), retain_graph=True)
        for own, slope in zip(omega.parameters(), slopes, strict=True):
            own.grad = slope
        optimizer.step()
        weights = omega(given).detach()
        return inner_loss(batch.seen, labels, batch.pool, weights, rise)

    train(trunk, network, loss, rows=rows, seed=seed, pool=_UNLABELLED * course.batch)
