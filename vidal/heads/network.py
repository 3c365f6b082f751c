"""What all heads share: seeded randomness, scaled features, a training loop, blockwise answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidal.heads.options import HeadOptions

_BLOCK = 16_384
"""Rows that are answered at once."""

_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)

Loss = Callable[[Tensor, Tensor], Tensor]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Everything random in here comes from the seed; torch's own state is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def dropout_only(network: nn.Module) -> Iterator[None]:
    """The network with its dropout layers stochastic and all else as in evaluation.

    Batch norm keeps, and does not change, its running statistics: codes that switch the whole
    network to training mode measure the noise of batches instead.
    """
    modes = {module: module.training for module in network.modules()}
    network.eval()
    for module in network.modules():
        if isinstance(module, _DROPOUT):
            module.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def has_dropout(network: nn.Module) -> bool:
    """Whether a pass through the network can differ from another one."""
    return any(isinstance(module, _DROPOUT) and module.p > 0 for module in network.modules())


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Columns at mean 0 and deviation 1; a column that does not vary is moved only."""

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]

    @staticmethod
    def of(features: NDArray[Any]) -> Scale:
        """Learned from rows (M, D), M >= 1."""
        rows = features.astype(np.float64)
        spread = rows.std(axis=0)
        return Scale(
            rows.mean(axis=0).astype(np.float32),
            np.where(spread > 1e-6, spread, 1.0).astype(np.float32),
        )

    def __call__(self, features: NDArray[Any]) -> Tensor:
        """(N, D) float32."""
        return torch.from_numpy((features.astype(np.float32) - self.mean) / self.spread)


def perceptron(inputs: int, outputs: int, width: int, dropout: float) -> nn.Sequential:
    """One hidden layer with dropout behind it; weights from torch's generator."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, outputs)
    )


def train(
    network: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss: Loss,
    options: HeadOptions,
    *,
    moments: int = 0,
    look: Callable[[], None] | None = None,
) -> None:
    """Fit a network in place; it is in evaluation mode afterwards. Run inside ``seeded``.

    Args:
        network: what is fitted.
        inputs: (M, D), M >= 1.
        targets: (M,) for the loss.
        loss: outputs and targets of a batch -> a scalar.
        options: how.
        moments: how often ``look`` is called, evenly spaced, the last time at the end.
        look: called with the network in evaluation mode.
    """
    count = len(inputs)
    per_epoch = math.ceil(count / options.batch)
    steps = max(options.epochs * per_epoch, options.least_steps)
    due = set(np.linspace(0, steps, moments + 1).round().astype(int)[1:].tolist())
    optimizer = torch.optim.Adam(
        network.parameters(), lr=options.lr, weight_decay=options.weight_decay
    )
    order = torch.randperm(count)
    network.train()
    for step in range(steps):
        place = step % per_epoch
        if step and not place:
            order = torch.randperm(count)
        rows = order[place * options.batch : (place + 1) * options.batch]
        for group in optimizer.param_groups:
            group["lr"] = options.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.zero_grad(set_to_none=True)
        loss(network(inputs[rows]), targets[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if look is not None and step + 1 in due:
            network.eval()
            look()
            network.train()
    network.eval()


@torch.no_grad()
def answers(network: nn.Module, scale: Scale, features: NDArray[Any]) -> NDArray[np.float32]:
    """(N, outputs) of the network in the mode that it is in, block by block."""
    parts = [
        network(scale(features[at : at + _BLOCK])).numpy()
        for at in range(0, max(1, len(features)), _BLOCK)
    ]
    return np.concatenate(parts)
