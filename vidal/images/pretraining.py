"""SimSiam on the images of a pool, once a seed: what every network of the seed begins with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from vidal.errors import WeightsError
from vidal.images.config import ImagePretraining
from vidal.images.data import Pixels
from vidal.images.networks import Classifier, NetworkSpec, build
from vidal.images.recipes import Recipe
from vidal.images.training import Body, Scale
from vidal.pretrain.network import feature_width, simsiam_network
from vidal.pretrain.options import SimSiamOptions
from vidal.pretrain.training import Arrays, PretrainOutcome, Progress, pretrain
from vidal.store import atomic

_HEADS, _VIEWS = 31, 32
"""Purposes of random numbers."""


class Encoder(nn.Module):
    """The stages of a classifier and the mean over places; it shares the classifier's weights."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.stages = network.stages

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) normalised -> (N, D)."""
        for stage in self.stages:
            pixels = stage(pixels)
        return pixels.mean(dim=(2, 3))


def simsiam_options(
    chosen: ImagePretraining, recipe: Recipe, shape: tuple[int, int, int]
) -> SimSiamOptions:
    """For pictures of a shape (H, W, C): views of their size, mirrored where the recipe does."""
    flip = 0.5 if recipe.flip else 0.0
    own = SimSiamOptions(size=max(shape[:2]), dim=256, hidden=64, batch=256, flip=flip)
    return replace(own, **chosen.given)


def pretrain_images(
    pixels: Pixels,
    scale: Scale,
    spec: NetworkSpec,
    options: SimSiamOptions,
    seed: int,
    *,
    start: int,
    device: torch.device,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Tensor], PretrainOutcome]:
    """The state of a network's stages after SimSiam on pictures (N, H, W, C), labels unseen.

    Args:
        pixels: two at least.
        scale: of these pixels.
        spec: of the network.
        options: how.
        seed: of order and views.
        start: seed of the weights it begins with.
        device: where.
        keep: file of an unfinished training, removed at the end.
        progress: see ``vidal.pretrain.training.run_epoch``.
    """
    network = build(spec, start).to(device)
    encoder = Encoder(network)
    width = feature_width(encoder, channels=spec.channels, size=max(spec.size))
    mean, std = (np.array(each) / 255 for each in (scale.mean, scale.std))
    rng = np.random.default_rng([seed, _HEADS])
    siamese = simsiam_network(encoder, width, options, rng, mean=mean.tolist(), std=std.tolist())
    views = int(np.random.default_rng([seed, _VIEWS]).integers(2**63))
    outcome = pretrain(
        siamese.to(device), Arrays(pixels), options, views, keep=keep, progress=progress
    )
    if keep is not None:
        keep.unlink(missing_ok=True)
    return {name: each.cpu() for name, each in network.stages.state_dict().items()}, outcome


def save_body(path: Path, state: dict[str, Tensor], outcome: PretrainOutcome) -> None:
    """Keep stages, and how spread their features are; whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    plain = {name: each.detach().contiguous() for name, each in state.items()}
    atomic.write_bytes(path, save(plain, {"spread": repr(outcome.spread)}))


def spread_of(path: Path) -> float:
    """How spread the features of a kept body's pre-training ended; about 1 is healthy.

    Raises:
        WeightsError: it is not there, or none.
    """
    try:
        with safe_open(path, "pt") as file:
            return float((file.metadata() or {})["spread"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(path, f"not a pre-trained body ({type(error).__name__})") from error


def load_body(path: Path, *, frozen: bool) -> Body:
    """What ``save_body`` kept.

    Raises:
        WeightsError: it is not there, or none.
    """
    try:
        return Body(load(path.read_bytes()), frozen)
    except (OSError, SafetensorError, ValueError) as error:
        raise WeightsError(path, f"not a pre-trained body ({type(error).__name__})") from error
