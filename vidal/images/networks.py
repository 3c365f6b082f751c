"""The classifiers: a small network for a CPU, and ResNet-18 in the variant for 32 x 32 pixels.

A network turns normalised pixels (N, C, H, W) into stages (feature maps), the features before its
last layer, and logits; so whoever needs more than logits asks the same network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidal.images.recipes import Network, Recipe


class Seen(NamedTuple):
    """What a network makes of a batch: stage maps (N, C, H, W), features (N, D), logits (N, K)."""

    stages: list[Tensor]
    features: Tensor
    logits: Tensor


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What a network is built from.

    Attributes:
        network, widths, stride, dropout: see ``Recipe``.
        channels: of the pixels, 1 or 3.
        size: height and width of the pixels.
        outputs: classes.
    """

    network: Network
    widths: tuple[int, int, int]
    stride: int
    dropout: float
    channels: int
    size: tuple[int, int]
    outputs: int

    @staticmethod
    def of(recipe: Recipe, shape: tuple[int, int, int], outputs: int) -> NetworkSpec:
        """That of a recipe for pictures of a shape (H, W, C)."""
        height, width, channels = shape
        own = (recipe.network, recipe.widths, recipe.stride, recipe.dropout)
        return NetworkSpec(*own, channels, (height, width), outputs)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> NetworkSpec:
        """What ``as_dict`` gave.

        Raises:
            TypeError: other fields.
        """
        lists: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return NetworkSpec(**lists)


class Classifier(nn.Module, ABC):
    """Common to both networks: stages, then dropout and one linear layer."""

    def __init__(self, stages: list[nn.Module], features: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.dropout = nn.Dropout(spec.dropout)
        self.last = nn.Linear(features, spec.outputs)
        self.spec = spec

    def look(self, pixels: Tensor) -> Seen:
        """All that it makes of a batch."""
        maps = []
        for stage in self.stages:
            pixels = stage(pixels)
            maps.append(pixels)
        features = self.pool(pixels)
        return Seen(maps, features, self.last(self.dropout(features)))

    @abstractmethod
    def pool(self, last: Tensor) -> Tensor:
        """The last map -> features (N, D)."""

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (N, K)."""
        return self.look(pixels).logits


class SmallNetwork(Classifier):
    """Three 3 x 3 convolutions with batch norm, each with a pooling; the features keep places."""

    def __init__(self, spec: NetworkSpec) -> None:
        a, b, c = spec.widths
        first = [_conv(spec.channels, a, spec.stride), nn.BatchNorm2d(a), nn.ReLU(inplace=True)]
        pooled = [*first, nn.MaxPool2d(2)] if spec.stride == 1 else first
        stages = [nn.Sequential(*pooled), _block(a, b), _block(b, c)]
        height, width = (_side(side, spec.stride) for side in spec.size)
        super().__init__(list(stages), c * height * width, spec)

    def pool(self, last: Tensor) -> Tensor:
        """All places of the last map."""
        return last.flatten(1)


class ResNet18(Classifier):
    """He et al. 2016, with a 3 x 3 stem and no first pooling, as the papers use it for CIFAR."""

    def __init__(self, spec: NetworkSpec) -> None:
        stem = [_conv(spec.channels, 64), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
        stages: list[nn.Module] = [
            nn.Sequential(*stem, _Residual(64, 64, 1), _Residual(64, 64, 1)),
            nn.Sequential(_Residual(64, 128, 2), _Residual(128, 128, 1)),
            nn.Sequential(_Residual(128, 256, 2), _Residual(256, 256, 1)),
            nn.Sequential(_Residual(256, 512, 2), _Residual(512, 512, 1)),
        ]
        super().__init__(stages, 512, spec)

    def pool(self, last: Tensor) -> Tensor:
        """The mean over places."""
        return last.mean(dim=(2, 3))


class _Residual(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_conv(before, after, stride), nn.BatchNorm2d(after))
        self.second = nn.Sequential(_conv(after, after), nn.BatchNorm2d(after))
        self.aside: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            own = nn.Conv2d(before, after, 1, stride=stride, bias=False)
            self.aside = nn.Sequential(own, nn.BatchNorm2d(after))

    def forward(self, maps: Tensor) -> Tensor:
        own = self.second(functional.relu(self.first(maps), inplace=True))
        return functional.relu(own + self.aside(maps), inplace=True)


def build(spec: NetworkSpec, seed: int) -> Classifier:
    """A network with weights drawn from ``seed``; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made: Classifier = SmallNetwork(spec) if spec.network == "small" else ResNet18(spec)
    return made.to(memory_format=torch.channels_last)


def _conv(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)


def _side(side: int, stride: int) -> int:
    """A side of the last map: a stride rounds up, a pooling down."""
    first = side // 2 if stride == 1 else -(-side // stride)
    return first // 2 // 2


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(before, after), nn.BatchNorm2d(after), nn.ReLU(inplace=True), nn.MaxPool2d(2, 2)
    )
