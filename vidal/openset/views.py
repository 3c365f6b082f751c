"""Random views of normalised pictures for contrastive encoders, a whole batch at a time.

Crops with another size and aspect, mirror images, other brightness and contrast, grey: what SimCLR,
CSI and CCAL change, but for the hue and the blur, which 28 or 32 pixels a side hardly show [E].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What is changed.

    Attributes:
        least: smallest share of the area that a crop keeps; the largest is all of it.
        flip: whether pictures are mirrored, half of them; not so for digits and signs.
        jitter: brightness and contrast change by up to this share, in 4 of 5 pictures.
        grey: share of pictures that lose their colours (with more than one channel).
    """

    least: float = 0.3
    flip: bool = True
    jitter: float = 0.4
    grey: float = 0.2


FIXED_CROP = 0.54
"""Share of the area of the crops that CCAL looks at, ten for a picture [C]."""


def random_views(pixels: Tensor, options: ViewOptions, rng: Generator) -> Tensor:
    """(n, C, H, W) normalised -> the same shape: one random view of each.

    Args:
        pixels: float.
        options: what is changed.
        rng: draws everything.
    """
    n = len(pixels)
    area = rng.uniform(options.least, 1.0, n)
    aspect = np.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3), n))
    flip = np.where((rng.random(n) < 0.5) & options.flip, -1.0, 1.0)
    wide = np.minimum(np.sqrt(area * aspect), 1.0)
    high = np.minimum(np.sqrt(area / aspect), 1.0)
    views = _cropped(pixels, wide, high, flip, rng)
    return _coloured(views, options, rng)


def fixed_crops(pixels: Tensor, rng: Generator, share: float = FIXED_CROP) -> Tensor:
    """(n, C, H, W) -> the same shape: a square part of one size, at a random place of each."""
    side = np.full(len(pixels), math.sqrt(share))
    return _cropped(pixels, side, side, np.ones(len(pixels)), rng)


def _cropped(
    pixels: Tensor,
    wide: np.ndarray[tuple[int], np.dtype[np.float64]],
    high: np.ndarray[tuple[int], np.dtype[np.float64]],
    flip: np.ndarray[tuple[int], np.dtype[np.float64]],
    rng: Generator,
) -> Tensor:
    """Parts of relative size (n,), at random places, scaled to the whole size."""
    n = len(pixels)
    x = rng.uniform(-1, 1, n) * (1 - wide)
    y = rng.uniform(-1, 1, n) * (1 - high)
    change = np.zeros((n, 2, 3))
    change[:, 0, 0], change[:, 0, 2] = wide * flip, x
    change[:, 1, 1], change[:, 1, 2] = high, y
    own = torch.from_numpy(change).to(pixels.device, pixels.dtype)
    grid = functional.affine_grid(own, list(pixels.shape), align_corners=False)
    return functional.grid_sample(
        pixels, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _coloured(pixels: Tensor, options: ViewOptions, rng: Generator) -> Tensor:
    n, channels = pixels.shape[:2]
    on = rng.random(n) < 0.8
    contrast = np.where(on, rng.uniform(1 - options.jitter, 1 + options.jitter, n), 1.0)
    brightness = np.where(on, rng.uniform(-options.jitter, options.jitter, n), 0.0)
    grey = rng.random(n) < options.grey
    factor, shift, without = (
        torch.from_numpy(each).to(pixels.device).view(n, 1, 1, 1)
        for each in (contrast, brightness, grey)
    )
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    views = (pixels - mean) * factor.to(pixels.dtype) + mean + shift.to(pixels.dtype)
    if channels > 1:
        views = torch.where(without, views.mean(dim=1, keepdim=True).expand_as(views), views)
    return views
