"""Random views of a picture: crops, mirror images, other colours, blur; drawn from a generator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torchvision.transforms.v2 import functional

from vidal.pretrain.options import SimSiamOptions
from vidal.types import Image

_RATIO = (3 / 4, 4 / 3)
_TRIES = 10
"""Of a crop that fits, before the largest one in the middle is taken (as torchvision's does)."""


@dataclass(frozen=True, slots=True)
class View:
    """What is done to a picture.

    Attributes:
        crop: (top, left, height, width) in pixels.
        flip: whether it is mirrored.
        jitter: (what, by how much) in the order it is done; what = 0 brightness, 1 contrast,
            2 saturation, 3 hue.
        grey: whether it loses its colour.
        sigma: of the blur; 0 = none.
    """

    crop: tuple[int, int, int, int]
    flip: bool
    jitter: tuple[tuple[int, float], ...]
    grey: bool
    sigma: float


def draw_crop(
    size: tuple[int, int], scale: tuple[float, float], rng: Generator
) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a part of an image of (H, W): share of the area, and aspect."""
    height, width = size
    for _ in range(_TRIES):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(_RATIO[0]), math.log(_RATIO[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
            return int(top), int(left), h, w
    # Wider or taller than any crop of that area may be: the middle, as much as the aspect allows.
    h = min(height, max(1, round(width / _RATIO[0])))
    w = min(width, max(1, round(height * _RATIO[1])))
    return (height - h) // 2, (width - w) // 2, h, w


def draw_view(size: tuple[int, int], options: SimSiamOptions, rng: Generator) -> View:
    """What to do to an image of (H, W)."""
    crop = draw_crop(size, options.crop, rng)
    flip = bool(rng.uniform() < options.flip)
    jitter: list[tuple[int, float]] = []
    if rng.uniform() < options.jitter_share:
        for what in rng.permutation(4).tolist():
            strength = options.jitter[what]
            low, high = (-strength, strength) if what == 3 else (1 - strength, 1 + strength)
            jitter.append((what, float(rng.uniform(low, high))))
    grey = bool(rng.uniform() < options.grey)
    sigma = float(rng.uniform(*options.sigma)) if rng.uniform() < options.blur else 0.0
    return View(crop, flip, tuple(jitter), grey, sigma)


_JITTER = (
    functional.adjust_brightness,
    functional.adjust_contrast,
    functional.adjust_saturation,
    functional.adjust_hue,
)


def apply_view(image: Image, view: View, side: int) -> Tensor:
    """(C, side, side) uint8 of an image (H, W, C), C = 3 or 1; one channel has no colours."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    pixels = functional.resized_crop(pixels, *view.crop, [side, side], antialias=True)
    if view.flip:
        pixels = functional.horizontal_flip(pixels)
    for what, by in view.jitter:
        if len(pixels) == 3 or what < 2:
            pixels = _JITTER[what](pixels, by)
    if view.grey and len(pixels) == 3:
        pixels = functional.rgb_to_grayscale(pixels, num_output_channels=3)
    if view.sigma:
        kernel = 2 * max(1, round(side / 20)) + 1  # a tenth of the side, odd
        pixels = functional.gaussian_blur(pixels, [kernel, kernel], [view.sigma, view.sigma])
    return pixels


def random_views(images: list[Image], options: SimSiamOptions, rng: Generator) -> Tensor:
    """(B, C, size, size) uint8: one random view of each of B images (H, W, C), whatever H and W."""
    return torch.stack(
        [
            apply_view(image, draw_view(image.shape[:2], options, rng), options.size)
            for image in images
        ]
    )
