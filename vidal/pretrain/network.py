"""SimSiam's network around any encoder, and its loss in torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional

from vidal.pretrain.options import SimSiamOptions

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of pixels in [0, 1] that torchvision's networks are used to."""


def torch_loss(p1: Tensor, z1: Tensor, p2: Tensor, z2: Tensor) -> Tensor:
    """``simsiam.simsiam_loss`` of (N, D) tensors; no gradient flows through z."""

    def half(p: Tensor, z: Tensor) -> Tensor:
        stopped = functional.normalize(z.detach().float(), dim=1)
        return -0.5 * (functional.normalize(p.float(), dim=1) * stopped).sum(dim=1).mean()

    return half(p1, z2) + half(p2, z1)


def _layer(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]


class SimSiam(nn.Module):
    """Encoder, projector (3 layers) and predictor (2 layers), as in Section 3 of the paper.

    Attributes:
        encoder: images (B, C, S, S), normalised -> features (B, W).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        width: int,
        options: SimSiamOptions,
        *,
        mean: Sequence[float] = IMAGENET[0],
        std: Sequence[float] = IMAGENET[1],
    ) -> None:
        """Weights of the heads are drawn from torch's generator.

        Args:
            encoder: see the class; trained in place.
            width: W, of its features.
            options: ``dim`` and ``hidden`` are used.
            mean, std: of every channel of pixels in [0, 1], for normalisation.
        """
        super().__init__()
        self.encoder = encoder
        self.projector = nn.Sequential(
            *_layer(width, options.dim),
            *_layer(options.dim, options.dim),
            nn.Linear(options.dim, options.dim, bias=False),
            nn.BatchNorm1d(options.dim, affine=False),
        )
        self.predictor = nn.Sequential(
            *_layer(options.dim, options.hidden), nn.Linear(options.hidden, options.dim)
        )
        for name, values in (("mean", mean), ("std", std)):
            wide = torch.tensor(values, dtype=torch.float32)[:, None, None] * 255
            self.register_buffer(name, wide, persistent=False)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Views (B, C, S, S) uint8 -> z and p, (B, dim) each."""
        pixels = (views.to(self.mean.device).float() - self.mean) / self.std
        z = self.projector(self.encoder(pixels.contiguous(memory_format=torch.channels_last)))
        return z, self.predictor(z)


def simsiam_network(
    encoder: nn.Module,
    width: int,
    options: SimSiamOptions,
    rng: Generator,
    *,
    mean: Sequence[float] = IMAGENET[0],
    std: Sequence[float] = IMAGENET[1],
) -> SimSiam:
    """The network with heads drawn from ``rng``; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        return SimSiam(encoder, width, options, mean=mean, std=std)


def feature_width(encoder: nn.Module, *, channels: int = 3, size: int = 64) -> int:
    """W: how many features an encoder gives; one blank image passes through it."""
    was = encoder.training
    where = next(encoder.parameters()).device
    encoder.eval()
    with torch.no_grad():
        found: Tensor = encoder(torch.zeros((1, channels, size, size), device=where))
    encoder.train(was)
    if found.ndim != 2:
        raise ValueError(f"an encoder gives features (B, W), not {tuple(found.shape)}")
    return int(found.shape[1])
