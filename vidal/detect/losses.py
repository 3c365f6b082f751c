"""The losses of Faster R-CNN (Ren et al. 2015, section 3.1.2), with regions left out of account.

torchvision's own training forward treats everything that is not a labelled object as background.
Here a region may be barred: unknown objects and ignored areas are neither object nor background,
for the proposal network and for the box head. Sampling draws from a given generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vidal.detect.options import TrainOptions
from vidal.detect.proposals import flatten_levels, propose
from vidal.detect.vision import ImageList, fastrcnn_loss

_POSITIVE = {"anchors": 0.5, "rois": 0.25}
"""Share of objects among the sampled anchors and proposals, as in torchvision."""
_COVERED = 0.5
"""A box counts as inside a barred region when this share of its own area is."""


@dataclass(frozen=True, slots=True)
class Target:
    """The truth of one image in network pixels.

    Attributes:
        boxes: (n, 4) float32 xyxy.
        labels: (n,) int64 in 1..K; 0 is background.
        barred: (m, 4) float32 xyxy, never background.
    """

    boxes: Tensor
    labels: Tensor
    barred: Tensor


def covered(boxes: Tensor, regions: Tensor) -> Tensor:
    """(N,) bool: at least half of the box lies inside one of the regions."""
    if not len(regions):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    low = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    both = (high - low).clamp(min=0).prod(dim=2)
    own = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return (both >= _COVERED * own[:, None]).any(dim=1)


def sample(labels: Tensor, count: int, share: float, generator: torch.Generator) -> Tensor:
    """Indices of at most ``count`` labels >= 0, up to ``share`` of them positive; positives first.

    Entries of -1 are never drawn. The draw depends on ``generator`` alone.
    """
    positive = torch.nonzero(labels > 0).squeeze(1)
    negative = torch.nonzero(labels == 0).squeeze(1)
    most = min(len(positive), int(count * share))
    chosen = torch.randperm(len(positive), generator=generator)[:most].to(labels.device)
    rest = torch.randperm(len(negative), generator=generator)[: count - most].to(labels.device)
    return torch.cat([positive[chosen], negative[rest]])


def _proposal_losses(
    rpn: Any,
    objectness: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    targets: list[Target],
    options: TrainOptions,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Objectness and offset loss of the proposal network over sampled anchors."""
    truth = [{"boxes": each.boxes} for each in targets]
    labels, matched = rpn.assign_targets_to_anchors([anchors] * len(targets), truth)
    scores, wanted, offsets, aims = [], [], [], []
    for image, (label, match, target) in enumerate(zip(labels, matched, targets, strict=True)):
        label[(label == 0) & covered(anchors, target.barred)] = -1
        rows = sample(label, options.anchors, _POSITIVE["anchors"], generator)
        hits = rows[label[rows] > 0]
        scores.append(objectness[image, rows])
        wanted.append(label[rows])
        offsets.append(deltas[image, hits])
        aims.append(rpn.box_coder.encode_single(match[hits], anchors[hits]))
    total = max(1, sum(len(each) for each in wanted))
    box = functional.smooth_l1_loss(
        torch.cat(offsets), torch.cat(aims), beta=1 / 9, reduction="sum"
    )
    cls = functional.binary_cross_entropy_with_logits(
        torch.cat(scores), torch.cat(wanted), reduction="sum"
    )
    return cls / total, box / total


def _sample_regions(
    heads: Any,
    proposals: list[Tensor],
    targets: list[Target],
    options: TrainOptions,
    generator: torch.Generator,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Sampled proposals of each image with their labels and offsets."""
    boxes = [each.boxes for each in targets]
    proposals = heads.add_gt_proposals(proposals, boxes)
    matched, labels = heads.assign_targets_to_proposals(
        proposals, boxes, [each.labels for each in targets]
    )
    regions, classes, aims = [], [], []
    for mine, match, label, target in zip(proposals, matched, labels, targets, strict=True):
        label[(label == 0) & covered(mine, target.barred)] = -1
        rows = sample(label, options.rois, _POSITIVE["rois"], generator)
        truth = target.boxes if len(target.boxes) else mine.new_zeros((1, 4))
        regions.append(mine[rows])
        classes.append(label[rows])
        aims.append(heads.box_coder.encode_single(truth[match[rows]], mine[rows]))
    return regions, classes, aims


def training_losses(
    network: Any,
    images: Tensor,
    sizes: list[tuple[int, int]],
    targets: list[Target],
    options: TrainOptions,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The four losses of a batch, all finite; a part that nothing was sampled for is 0.

    Args:
        network: a torchvision ``FasterRCNN`` in training mode.
        images: (B, 3, H, W), normalised and padded.
        sizes: (h, w) of each image without padding.
        targets: the truth of each image.
        options: how many anchors and proposals are sampled.
        generator: what the samples are drawn with.
    """
    maps = network.backbone(images)
    levels = list(maps.values())
    scores, offsets = network.rpn.head(levels)
    anchors = network.rpn.anchor_generator(ImageList(images, sizes), levels)[0]
    counts = [each.shape[1] * each.shape[2] * each.shape[3] for each in scores]
    objectness = flatten_levels(scores, 1).squeeze(2)
    deltas = flatten_levels(offsets, 4)
    objectness_loss, anchor_loss = _proposal_losses(
        network.rpn, objectness, deltas, anchors, targets, options, generator
    )
    with torch.no_grad():
        proposals = propose(network.rpn, objectness, deltas, anchors, counts, sizes)
    heads = network.roi_heads
    regions, labels, aims = _sample_regions(heads, proposals, targets, options, generator)
    class_loss, box_loss = objectness_loss.new_zeros(()), objectness_loss.new_zeros(())
    # Nothing is sampled where barred regions hold all proposals: a mean of nothing is 0/0, and
    # batch norms in a head would take NaN into their running statistics.
    if any(len(each) for each in regions):
        padded = [(images.shape[2], images.shape[3])] * len(sizes)
        pooled = heads.box_roi_pool(maps, regions, padded)
        logits, boxes = heads.box_predictor(heads.box_head(pooled))
        class_loss, box_loss = fastrcnn_loss(logits.float(), boxes.float(), labels, aims)
    return {
        "objectness": objectness_loss,
        "proposals": anchor_loss,
        "classes": class_loss,
        "boxes": box_loss,
    }
