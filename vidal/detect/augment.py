"""Random flips, magnification and brightness; a training batch from samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator

from vidal import boxes as box_math
from vidal.detect.losses import Target
from vidal.detect.options import TrainOptions
from vidal.detect.preprocess import network_size, normalise
from vidal.types import FloatArray, Image, Sample

_VISIBLE = 0.4
"""An object of which less than this share stays in the image is barred instead of learned."""


def draw(size: tuple[int, int], base: float, options: TrainOptions, rng: Generator) -> FloatArray:
    """(2, 3) affine map of pixels: magnified about a random point, perhaps mirrored.

    Args:
        size: (h, w) of the result.
        base: magnification that fits the image to the network, before the random one.
        options: ranges.
        rng: what is drawn from. The same number of draws whatever the outcome.
    """
    low, high = np.log(options.scale[0]), np.log(options.scale[1])
    scale = float(np.exp(rng.uniform(low, high)))
    shift = rng.uniform(size=2) * np.array(size[::-1]) * (1 - scale)
    matrix = np.array([[base * scale, 0, shift[0]], [0, base * scale, shift[1]]], dtype=np.float32)
    if rng.uniform() < options.flip:
        matrix[0] = -matrix[0]
        matrix[0, 2] += size[1]
    return matrix


def warp_boxes(boxes: FloatArray, matrix: FloatArray) -> FloatArray:
    """(n, 4) boxes under an affine map without rotation; may leave the image."""
    corners = boxes.reshape(-1, 2, 2) * matrix[[0, 1], [0, 1]] + matrix[:, 2]
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)


def warp_image(image: Image, matrix: FloatArray, size: tuple[int, int]) -> Image:
    """The image under a map of pixel edges (OpenCV's maps are of pixel centres)."""
    centred = matrix.copy()
    centred[:, 2] += 0.5 * (matrix[[0, 1], [0, 1]] - 1)
    fill = (114, 114, 114)
    return np.asarray(
        cv2.warpAffine(image, centred, size[::-1], flags=cv2.INTER_LINEAR, borderValue=fill),
        dtype=np.uint8,
    )


def target_of(sample: Sample, matrix: FloatArray, size: tuple[int, int]) -> Target:
    """A sample's boxes in network pixels: what is learned, and what is barred."""
    whole = warp_boxes(np.asarray(sample.boxes, dtype=np.float32), matrix)
    seen = box_math.clip(whole, size)
    share = np.divide(
        box_math.area(seen),
        box_math.area(whole),
        out=np.zeros(len(whole), np.float32),
        where=box_math.area(whole) > 0,
    )
    side = np.min(seen[:, 2:] - seen[:, :2], axis=1, initial=np.inf)
    there = (share > 0) & (side >= 1)
    known = there & ~sample.ignore & (sample.labels >= 0) & (share >= _VISIBLE)
    return Target(
        boxes=torch.from_numpy(seen[known]),
        labels=torch.from_numpy(sample.labels[known].astype(np.int64) + 1),
        barred=torch.from_numpy(seen[there & ~known]),
    )


class Drawn(NamedTuple):
    """What chance has made of one sample, before its pixels are touched."""

    size: tuple[int, int]
    matrix: FloatArray
    gain: FloatArray


def draw_one(sample: Sample, transform: Any, options: TrainOptions, rng: Generator) -> Drawn:
    """Draw for one sample; the same number of draws whatever the outcome."""
    height, width = sample.image.shape[:2]
    size = network_size((height, width), transform)
    matrix = draw(size, size[0] / height, options, rng)
    gain = 1 + options.brightness * rng.uniform(-1, 1, size=3) * (0.3, 0.3, 0.3)
    gain = gain + options.brightness * 0.7 * rng.uniform(-1, 1)
    return Drawn(size, matrix, gain.astype(np.float32))


def change(sample: Sample, drawn: Drawn) -> tuple[FloatArray, Target]:
    """Pixels (h, w, 3) in 0..255, and the target, as drawn."""
    warped = warp_image(sample.image, drawn.matrix, drawn.size).astype(np.float32)
    pixels = np.minimum(warped * drawn.gain, 255)
    return pixels, target_of(sample, drawn.matrix, drawn.size)


def as_batch(images: Sequence[FloatArray], transform: Any) -> torch.Tensor:
    """Images as one normalised batch (B, 3, H, W); smaller ones are padded right and below."""
    high, wide = np.max([image.shape[:2] for image in images], axis=0)
    pixels = np.zeros((len(images), high, wide, 3), np.float32)
    pixels[:] = np.asarray(transform.image_mean, np.float32) * 255
    for row, image in enumerate(images):
        height, width = image.shape[:2]
        pixels[row, :height, :width] = image
    return normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2), transform)


def make_batch(
    samples: Sequence[Sample], transform: Any, options: TrainOptions, rng: Generator
) -> tuple[torch.Tensor, list[tuple[int, int]], list[Target]]:
    """Augmented images as a normalised batch (B, 3, H, W), their sizes, their targets."""
    drawn = [draw_one(sample, transform, options, rng) for sample in samples]
    changed = [change(sample, each) for sample, each in zip(samples, drawn, strict=True)]
    images = as_batch([image for image, _ in changed], transform)
    return images, [each.size for each in drawn], [target for _, target in changed]
