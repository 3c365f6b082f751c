"""Contrastive encoders of pictures: SimCLR, and CSI with rotations as other instances.

Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020;
Tack et al., "CSI: novelty detection via contrastive learning on distributionally shifted
instances", NeurIPS 2020. CCAL and MQ-Net train them once, on pool and labelled pictures together,
before the first round: no label is read. Their public code trains 700 to 1000 epochs with LARS;
here Adam with a warm-up and half a cosine, as many steps as are asked for [E].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vidal.errors import UsageError
from vidal.pretrain.simsiam import unit
from vidal.types import FloatArray, IntArray

Views = Callable[[IntArray, Generator], Tensor]
"""Rows of the pictures -> (n, C, H, W) a random view of each, normalised, on their device."""

TURNS = 4
"""Rotations: by 0, 90, 180 and 270 degrees."""
_LOOK = 256


@dataclass(frozen=True, slots=True)
class ContrastiveOptions:
    """How an encoder is trained.

    Attributes:
        steps: of the optimizer.
        batch: pictures in a step; each is seen in two views, and in four rotations if it is turned.
        turned: rotations count as other instances, and are told apart (CSI); false = SimCLR.
        temperature: of the cosines (0.5).
        width: of the embedding (128).
        lr: rate of Adam; rises for a tenth of the steps, then falls to 0 along a half cosine.
        weight_decay: of Adam (1e-6).
    """

    steps: int = 1000
    batch: int = 32
    turned: bool = True
    temperature: float = 0.5
    width: int = 128
    lr: float = 1e-3
    weight_decay: float = 1e-6

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 2), ("width", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"contrastive {name} {getattr(self, name)}: less than {least}.")
        for name in ("temperature", "lr"):
            if not getattr(self, name) > 0:
                raise UsageError(f"contrastive {name} {getattr(self, name)}: not above 0.")


class ContrastiveNetwork(nn.Module):
    """An encoder, a projection of two layers, and what tells rotations apart.

    Args:
        encoder: (n, C, H, W) -> (n, features).
        features: its width.
        width: of the embedding.
    """

    def __init__(self, encoder: nn.Module, features: int, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = nn.Sequential(
            nn.Linear(features, features), nn.ReLU(), nn.Linear(features, width)
        )
        self.turn = nn.Linear(features, TURNS)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(n, C, H, W) -> embedding (n, width), logits of the rotation (n, 4)."""
        features = self.encoder(pixels)
        return self.projection(features), self.turn(features)


def fit_contrastive(
    encoder: nn.Module,
    features: int,
    views: Views,
    count: int,
    options: ContrastiveOptions,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> ContrastiveNetwork:
    """Train an encoder without labels; it is in evaluation mode afterwards. Same seed, same bits.

    Args:
        encoder: (n, C, H, W) -> (n, ``features``); is trained in place, on the device it is on.
        features: width of what it gives.
        views: hands out random views; is called twice a step.
        count: N pictures, N >= 2.
        options: how.
        seed: of weights of the projection, order and views.
        progress: is told steps done and steps in all.

    Raises:
        UsageError: fewer than two pictures, or the loss is not finite.
    """
    if count < 2:
        raise UsageError(f"{count} pictures: contrasts need at least two.")
    device = next(encoder.parameters()).device
    rng = np.random.default_rng([seed, 41])
    size = min(options.batch, count)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network = ContrastiveNetwork(encoder, features, options.width).to(device).train()
        optimizer = torch.optim.Adam(
            network.parameters(), lr=options.lr, weight_decay=options.weight_decay
        )
        left = np.zeros(0, np.int64)
        for step in range(options.steps):
            if len(left) < size:
                left = np.concatenate([left, rng.permutation(count)])
            rows, left = np.unique(left[:size]), left[size:]
            for group in optimizer.param_groups:
                group["lr"] = _rate(step, options)
            loss = contrast(network, views(rows, rng), views(rows, rng), options)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if progress is not None:
                progress(step + 1, options.steps)
    if not torch.isfinite(loss):
        raise UsageError("the contrastive loss is not finite.", hint="Give a lower rate.")
    return network.eval()


def _rate(step: int, options: ContrastiveOptions) -> float:
    warm = max(1, options.steps // 10)
    if step < warm:
        return options.lr * (step + 1) / warm
    share = (step - warm) / max(1, options.steps - warm)
    return options.lr * 0.5 * (1 + math.cos(math.pi * share))


def contrast(
    network: ContrastiveNetwork, first: Tensor, second: Tensor, options: ContrastiveOptions
) -> Tensor:
    """The loss of a step: NT-Xent, and with turns the cross-entropy of telling rotations apart.

    Args:
        network: is asked for all views at once.
        first, second: (n, C, H, W) two views of the same pictures, n >= 2.
        options: temperature and turns.
    """
    turns = TURNS if options.turned else 1
    both = torch.cat([turned(first, turns), turned(second, turns)])
    embedding, rotation = network(both)
    half = len(embedding) // 2
    loss = nt_xent_torch(embedding[:half], embedding[half:], options.temperature)
    if not options.turned:
        return loss
    which = torch.arange(turns, device=both.device).repeat_interleave(len(first)).repeat(2)
    return loss + functional.cross_entropy(rotation, which)


def turned(pixels: Tensor, turns: int = TURNS) -> Tensor:
    """(n, C, H, W) -> (turns n, C, H, W): all as they are, then all by 90 degrees, ...

    Pictures that are not square are scaled back to their size when they lie on a side.
    """
    found = [pixels]
    for number in range(1, turns):
        each = torch.rot90(pixels, number, (2, 3))
        if each.shape != pixels.shape:
            size = (pixels.shape[2], pixels.shape[3])
            each = functional.interpolate(each, size, mode="bilinear", align_corners=False)
        found.append(each)
    return torch.cat(found)


def nt_xent(first: FloatArray, second: FloatArray, temperature: float = 0.5) -> float:
    """The normalised temperature-scaled cross-entropy of SimCLR, mean over both views.

    Each view has to find the other one of its instance among all others by the cosine.

    Args:
        first, second: (n, D) embeddings of two views of the same instances.
        temperature: > 0.

    Raises:
        ValueError: other shapes, or no instance.
    """
    one, other = (np.asarray(each, np.float64) for each in (first, second))
    if one.shape != other.shape or one.ndim != 2 or not len(one):
        raise ValueError(f"two arrays (n, D) are needed, not {one.shape} and {other.shape}")
    views = unit(np.concatenate([one, other]))
    cosines = views @ views.T / temperature
    np.fill_diagonal(cosines, -np.inf)
    n = len(one)
    partner = np.concatenate([np.arange(n, 2 * n), np.arange(n)])
    most = cosines.max(axis=1)
    whole = most + np.log(np.exp(cosines - most[:, None]).sum(axis=1))
    return float((whole - cosines[np.arange(2 * n), partner]).mean())


def nt_xent_torch(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """``nt_xent`` with a gradient."""
    views = functional.normalize(torch.cat([first, second]), dim=1)
    cosines = views @ views.T / temperature
    own = torch.eye(len(views), dtype=torch.bool, device=views.device)
    n = len(first)
    partner = torch.arange(2 * n, device=views.device).roll(n)
    return functional.cross_entropy(cosines.masked_fill(own, -torch.inf), partner)


def embeddings(
    network: ContrastiveNetwork,
    views: Views,
    count: int,
    seed: int,
    *,
    turns: int = TURNS,
    looks: int = 1,
) -> NDArray[np.float32]:
    """(N, turns, D) float32 unit vectors of all pictures in each rotation.

    ``distinctive`` of CCAL: four turns, ten crops; ``semantic``: one turn, ten crops, of the other
    encoder; ``contrastive`` of MQ-Net: one turn, one look at the picture as it is.

    Args:
        network: of ``fit_contrastive``.
        views: the pictures as they are, or random crops of one size, of which the mean is taken.
        count: N.
        seed: of the crops.
        turns: 1 or 4.
        looks: how often ``views`` is asked.
    """
    rng = np.random.default_rng([seed, 42])
    found: list[NDArray[np.float32]] = []
    network.eval()
    with torch.inference_mode():
        for at in range(0, count, _LOOK):
            rows = np.arange(at, min(count, at + _LOOK))
            total: Tensor | float = 0.0
            for _ in range(looks):
                embedding, _ = network(turned(views(rows, rng), turns))
                total = total + functional.normalize(embedding.float(), dim=1)
            mean = functional.normalize(torch.as_tensor(total), dim=1)
            found.append(mean.view(turns, len(rows), -1).transpose(0, 1).cpu().numpy())
    if not found:
        last = network.projection[-1]
        return np.zeros((0, turns, int(last.out_features)), np.float32)  # type: ignore[arg-type]
    return np.concatenate(found)
