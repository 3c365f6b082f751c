"""The forward pass of a Faster R-CNN, part by part, on images of one size.

transform -> backbone -> proposals -> pooled regions -> box head -> box predictor -> rows. On a GPU
proposals lie in arrays of one shape for the whole batch, and nothing waits for a single image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vidal.detect import postprocess
from vidal.detect.device import arithmetic
from vidal.detect.options import DetectOptions
from vidal.detect.preprocess import fit
from vidal.detect.proposals import flatten_levels, propose, propose_together
from vidal.detect.vision import ImageList

TOGETHER = {"cpu": 4, "cuda": 16}
"""Frames in one forward pass: on processors, more do not make it faster."""
_HALF_LIMIT = 65504.0


class Batch(NamedTuple):
    """Rows of frames of one size; ``frame`` counts within the batch."""

    frame: Tensor
    boxes: Tensor
    scores: Tensor
    labels: Tensor
    probs: Tensor
    features: Tensor  # (N, D) float16; (N, 0) where not wanted
    embedding: Tensor  # (B, E) float32; (B, 0) where not wanted
    suppressed: Tensor


class _Regions(NamedTuple):
    """Proposals of a batch."""

    boxes: list[Tensor]  # per image (P, 4)
    image: Tensor  # (sum P,) sorted
    there: Tensor | None  # (sum P,) bool; None = all


@dataclass(frozen=True, eq=False)
class Forward:
    """What a forward pass needs.

    Attributes:
        network: a torchvision ``FasterRCNN`` in evaluation mode, on its device.
        columns: (K,) int64, the outputs that are kept.
        options: how its outputs become detections.
        wide: which of ``features`` and ``embedding`` are computed.
        together: proposals lie in arrays of one shape for the whole batch. The rows are the same.
        cache: what is computed once: anchors by size, compiled parts.
    """

    network: Any
    columns: Tensor
    options: DetectOptions
    wide: frozenset[str]
    together: bool
    cache: dict[Any, Any] = field(default_factory=dict)

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Batch:
        """Rows of images (B, H, W, 3) uint8 on the network's device; boxes in their pixels."""
        original, count = (pixels.shape[1], pixels.shape[2]), len(pixels)
        least = _filled(count) if self.options.compile else 0
        if count < least:  # compiled for few shapes: the last frame stands for those that lack
            pixels = torch.cat([pixels, pixels[-1:].expand(least - count, -1, -1, -1)])
        heads = self.network.roi_heads
        batch, size = fit(pixels, self.network.transform)
        with arithmetic(self.options.precision, pixels.device):
            maps, regions = self._regions(batch, size)
            # padded sizes: the pooler guesses the strides from them, and only these divide evenly
            padded = [(batch.shape[2], batch.shape[3])] * len(batch)
            pooled = heads.box_roi_pool(maps, regions.boxes, padded)
            features = self._part("head", heads.box_head)(pooled)
            logits, deltas = heads.box_predictor(features)
        probs = postprocess.distribution(logits, self.columns)
        kept = postprocess.select(
            probs,
            deltas.float(),
            torch.cat(regions.boxes),
            regions.image,
            columns=self.columns,
            size=size,
            coder=heads.box_coder,
            options=self.options,
            there=_among(regions, count, len(batch)),
        )
        return Batch(
            frame=kept.image,
            boxes=_scaled(kept.boxes, size, original),
            scores=kept.score,
            labels=kept.label,
            probs=probs[kept.proposal],
            features=_half(features, kept.proposal, wanted="features" in self.wide),
            embedding=_embedding(maps, count, wanted="embedding" in self.wide),
            suppressed=kept.stands_for,
        )

    def _regions(self, batch: Tensor, size: tuple[int, int]) -> tuple[Any, _Regions]:
        """The feature maps, and the proposals."""
        network = self.network
        maps = self._part("backbone", network.backbone)(batch)
        levels = list(maps.values())
        scores, offsets = self._part("rpn", network.rpn.head)(levels)
        counts = [each.shape[1] * each.shape[2] * each.shape[3] for each in scores]
        found = (
            network.rpn,
            flatten_levels(scores, 1).squeeze(2),
            flatten_levels(offsets, 4),
            self._anchors(batch, levels, size),
            counts,
            [size] * len(batch),
        )
        every = torch.arange(len(batch), device=batch.device)
        if self.together:
            boxes, there = propose_together(*found)
            image = every.repeat_interleave(boxes.shape[1])
            return maps, _Regions(list(boxes), image, there.flatten())
        proposals = propose(*found)
        numbers = torch.tensor([len(each) for each in proposals], device=batch.device)
        return maps, _Regions(proposals, torch.repeat_interleave(numbers), None)

    def _anchors(self, images: Tensor, levels: list[Tensor], size: tuple[int, int]) -> Tensor:
        """(A, 4) anchors of one image; computed once a padded size."""
        key = tuple(images.shape[2:])
        anchors: dict[Any, Tensor] = self.cache.setdefault("anchors", {})
        if key not in anchors:
            if len(anchors) >= 8:
                anchors.clear()
            one = ImageList(images[:1], [size])
            anchors[key] = self.network.rpn.anchor_generator(one, levels)[0]
        return anchors[key]

    def _part(self, name: str, part: Any) -> Any:
        """A part of the network, compiled if that was asked for."""
        if not self.options.compile:
            return part
        parts: dict[str, Any] = self.cache.setdefault("compiled", {})
        if name not in parts:
            parts[name] = torch.compile(part, dynamic=False)
        return parts[name]


def _filled(count: int) -> int:
    """4, 8, 16, ... frames: whatever came before, a group is filled up in the same way."""
    return max(4, 1 << (count - 1).bit_length())


def _among(regions: _Regions, count: int, whole: int) -> Tensor | None:
    """Which proposals count: those of the first ``count`` images, where they are proposals."""
    if count == whole:
        return regions.there
    real = regions.image < count
    return real if regions.there is None else real & regions.there


def _half(features: Tensor, rows: Tensor, *, wanted: bool) -> Tensor:
    """(N, D) float16 features of the kept rows: half the bytes to copy from a GPU."""
    if not wanted:
        return torch.zeros((len(rows), 0), dtype=torch.float16, device=rows.device)
    return features[rows].float().clamp(-_HALF_LIMIT, _HALF_LIMIT).half()


def _scaled(boxes: Tensor, size: tuple[int, int], original: tuple[int, int]) -> Tensor:
    """Boxes of an image of ``size`` (h, w) -> of the original one, inside it."""
    if size == original:
        return boxes
    high, wide = original[0] / size[0], original[1] / size[1]
    scaled = boxes * torch.tensor((wide, high, wide, high), device=boxes.device)
    limit = torch.tensor((original[1], original[0]) * 2, device=boxes.device, dtype=boxes.dtype)
    return torch.minimum(scaled, limit)


def _embedding(maps: Mapping[str, Tensor], count: int, *, wanted: bool) -> Tensor:
    """(B, E) float32: the average of every pyramid level, side by side.

    The level ``pool`` of torchvision's pyramids repeats the coarsest one and is left out.
    """
    if not wanted:
        return torch.zeros((count, 0), device=next(iter(maps.values())).device)
    levels = [
        each[:count].float().mean(dim=(2, 3)) for name, each in maps.items() if name != "pool"
    ]
    return torch.cat(levels, dim=1)
