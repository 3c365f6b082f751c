"""What DIAS trains: a classifier, a copycat of it, and a generator with its discriminator.

The copycat learns the classes and to have the classifier's maps after two stages; what it makes of
a picture is then nearly right, and counts as unknown of some difficulty: fed into the rest of the
classifier it should be less sure (smoothing 0.5 within, 1 before the last layer). The generator
makes pictures that the classifier should be even about; it tries to make it sure of them. Weights
are those of the code (0.1 each). Smaller than the paper's, as the networks here are [E]: two
convolutions each for generator and discriminator; made-up pictures and maps are normalised by
their own statistics, which are not kept (the code keeps a second batch norm).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional

from vidal.openset.learning import LONGEST, Batch, teachers, train
from vidal.protocols import Trunk
from vidal.types import FloatArray, HeadSpec

WEIGHT = 0.1
"""Of everything that is made up."""
SMOOTHING = (0.5, 0.5, 1.0)
"""Of targets for the copycat's maps: after two stages, and before the last layer."""
LATENT = 64
_RATE = 2e-4


def smoothed(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """``dias.smoothed_cross_entropy`` with a gradient."""
    return functional.cross_entropy(logits, labels, label_smoothing=smoothing)


def even(logits: Tensor) -> Tensor:
    """Cross-entropy with the even target."""
    return -logits.log_softmax(dim=1).mean()


class Generator(nn.Module):
    """Numbers (n, LATENT) -> normalised pictures of a shape (C, H, W)."""

    def __init__(self, shape: tuple[int, int, int], width: int = 32) -> None:
        super().__init__()
        self.shape, self.width = shape, width
        self.rows, self.columns = max(1, -(-shape[1] // 4)), max(1, -(-shape[2] // 4))
        self.first = nn.Linear(LATENT, width * self.rows * self.columns)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, shape[0], 3, padding=1),
        )

    def forward(self, numbers: Tensor) -> Tensor:
        """(n, C, H, W), within four deviations of the mean."""
        maps = self.first(numbers).view(len(numbers), self.width, self.rows, self.columns)
        wide = self.layers(maps)[:, :, : self.shape[1], : self.shape[2]]
        return 4 * torch.tanh(wide / 4)


class Discriminator(nn.Module):
    """Pictures (n, C, H, W) -> (n,) logit of being real."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * width, 1),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """(n,)."""
        found: Tensor = self.layers(pixels)[:, 0]
        return found


def maps_of(network: Any, pixels: Tensor) -> list[Tensor]:
    """Maps after each stage of a network of a trunk of pictures."""
    found = []
    for stage in network.body.stages:
        pixels = stage(pixels)
        found.append(pixels)
    return found


def rest_of(network: Any, maps: Tensor, done: int) -> Tensor:
    """Logits of maps on which ``done`` stages have worked already."""
    for stage in network.body.stages[done:]:
        maps = stage(maps)
    features = network.projection(network.body.pool(maps))
    logits: Tensor = network.heads["logits"](network.body.dropout(features)).float()
    return logits


def places(network: Any) -> tuple[int, int, int]:
    """Stages after which the copycat's maps are used: two within, and all."""
    count = len(network.body.stages)
    return max(1, count - 2), max(1, count - 1), count


@contextmanager
def not_kept(network: nn.Module) -> Iterator[None]:
    """Batch norm by the batch alone: what is made up leaves no trace in running statistics."""
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    before = [each.track_running_stats for each in norms]
    for each in norms:
        each.track_running_stats = False
    running = [(each.running_mean, each.running_var) for each in norms]
    for each in norms:
        each.running_mean = each.running_var = None
    try:
        yield
    finally:
        for each, was, (mean, var) in zip(norms, before, running, strict=True):
            each.track_running_stats = was
            each.running_mean, each.running_var = mean, var


class Imposters:
    """Copycat, generator and discriminator, which learn along with a classifier."""

    def __init__(self, trunk: Trunk, network: Any, seed: int) -> None:
        self.trunk, self.network = trunk, network
        self.rng = np.random.default_rng([seed, 71])
        self.copycat = trunk.network({"logits": HeadSpec(trunk.known)}, seed + 1)
        sample = trunk.inputs("labelled", np.zeros(1, np.int64))
        with trunk.drawing(seed + 2):
            self.generator = Generator(tuple(sample.shape[1:])).to(sample.device)
            self.discriminator = Discriminator(sample.shape[1]).to(sample.device)
        course = trunk.course(len(teachers(trunk, unknown=False)))
        self.course = course
        self.copies = course.optimizer(self.copycat.parameters())
        own = {"lr": _RATE, "betas": (0.5, 0.999)}
        self.makes = torch.optim.Adam(self.generator.parameters(), **own)  # type: ignore[arg-type]
        self.tells = torch.optim.Adam(self.discriminator.parameters(), **own)  # type: ignore[arg-type]

    def loss(self, batch: Batch) -> Tensor:
        """Of the classifier; the others take their steps before."""
        labels = batch.targets
        pixels = self.trunk.inputs("labelled", batch.rows, self.rng)
        copied = self._copy(pixels, labels, batch.share)
        made = self._make(pixels)
        plain = functional.cross_entropy(batch.seen.outputs["logits"], labels)
        with not_kept(self.network):
            unsure = [
                smoothed(rest_of(self.network, maps, done), labels, smoothing)
                for maps, done, smoothing in zip(
                    copied, places(self.network), SMOOTHING, strict=True
                )
            ]
            fake = even(self.network(made).outputs["logits"])
        return plain + WEIGHT * torch.stack(unsure).mean() + WEIGHT * fake

    def _copy(self, pixels: Tensor, labels: Tensor, share: float) -> list[Tensor]:
        """A step of the copycat; its maps at three places, without a gradient."""
        at = places(self.network)
        with torch.no_grad(), not_kept(self.network):
            like = maps_of(self.network, pixels)
        self.copycat.train()
        own = maps_of(self.copycat, pixels)
        pull = sum((own[done - 1] - like[done - 1]).abs().mean() for done in at[:2])
        loss = functional.cross_entropy(rest_of(self.copycat, own[-1], len(own)), labels) + pull
        for group in self.copies.param_groups:
            group["lr"] = self.course.rate(round(share * self.course.steps))
        _descend(self.copies, loss)
        return [own[done - 1].detach() for done in at]

    def _make(self, pixels: Tensor) -> Tensor:
        """A step of discriminator and generator; pictures that were made, without a gradient."""
        numbers = torch.randn(len(pixels), LATENT, device=pixels.device)
        made = self.generator(numbers)
        real, fake = self.discriminator(pixels), self.discriminator(made.detach())
        told = functional.binary_cross_entropy_with_logits
        _descend(self.tells, told(real, torch.ones_like(real)) + told(fake, torch.zeros_like(fake)))
        with not_kept(self.network):
            sure = even(self.network(made).outputs["logits"])
        fooled = self.discriminator(made)
        _descend(self.makes, told(fooled, torch.ones_like(fooled)) - WEIGHT * sure)
        return made.detach()


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for group in optimizer.param_groups:
        torch.nn.utils.clip_grad_norm_(group["params"], LONGEST)
    optimizer.step()


def fitted(trunk: Trunk, seed: int) -> Any:
    """The classifier of K classes, in evaluation mode."""
    network = trunk.network({"logits": HeadSpec(trunk.known)}, seed)
    imposters = Imposters(trunk, network, seed)
    train(trunk, network, imposters.loss, rows=teachers(trunk, unknown=False), seed=seed)
    return network


def probs_of(outputs: Mapping[str, FloatArray]) -> FloatArray:
    """(n, K) distribution of known classes."""
    logits = np.asarray(outputs["logits"], np.float64)
    return np.asarray(softmax(logits, axis=1), np.float32)
