"""Frames of one size -> one normalised batch, as torchvision's transform would make it.

The same arithmetic (bilinear without antialiasing, then normalised, then padded with zeros), but
for the whole batch at once, and only resized where the size differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidal.types import Image


def network_size(size: tuple[int, int], transform: Any) -> tuple[int, int]:
    """(h, w) that torchvision's ``GeneralizedRCNNTransform`` resizes an image of (H, W) to."""
    low, high = min(size), max(size)
    scale = min(transform.min_size[-1] / low, transform.max_size / high)
    return max(1, math.floor(size[0] * scale)), max(1, math.floor(size[1] * scale))


def padded_size(size: tuple[int, int], transform: Any) -> tuple[int, int]:
    """(h, w) rounded up to what the network's strides divide."""
    step = int(transform.size_divisible)
    return math.ceil(size[0] / step) * step, math.ceil(size[1] / step) * step


def normalise(pixels: Tensor, transform: Any) -> Tensor:
    """Pixels 0..255 as float (B, 3, h, w) -> normalised and padded, in channels-last memory."""
    count, channels, height, width = pixels.shape
    mean = torch.tensor(transform.image_mean, device=pixels.device) * 255
    std = torch.tensor(transform.image_std, device=pixels.device) * 255
    high, wide = padded_size((height, width), transform)
    batch = torch.zeros((count, high, wide, channels), device=pixels.device).permute(0, 3, 1, 2)
    inside = batch[:, :, :height, :width]
    torch.sub(pixels, mean[:, None, None], out=inside)
    inside.div_(std[:, None, None])
    return batch


def stacked(images: Sequence[Image], device: torch.device) -> Tensor:
    """RGB uint8 images of one size -> (B, H, W, 3) uint8 on a device."""
    return torch.from_numpy(np.stack(images)).to(device)


def prepare(
    images: Sequence[Image], transform: Any, device: torch.device
) -> tuple[Tensor, tuple[int, int]]:
    """RGB uint8 images of one size -> what ``fit`` makes of them, on a device."""
    return fit(stacked(images, device), transform)


def fit(images: Tensor, transform: Any) -> tuple[Tensor, tuple[int, int]]:
    """Images (B, H, W, 3) uint8 -> batch (B, 3, h', w'), the unpadded size (h, w)."""
    pixels = images.permute(0, 3, 1, 2).float()
    size = network_size((pixels.shape[2], pixels.shape[3]), transform)
    if size != tuple(pixels.shape[2:]):
        pixels = functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
    return normalise(pixels, transform), size
