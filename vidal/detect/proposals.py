"""Region proposals: torchvision's region proposal network, run on its own weights and settings.

Gives the proposals that its ``filter_proposals`` gives, but decodes only the anchors that survive
the first cut (a hundredth of them) and keeps the levels of an image apart by looking at each.

``propose`` is for processors and for training; ``propose_together`` finds the same in arrays of one
shape for a whole batch: a GPU is not waited for at every image, and shapes never change.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vidal.detect.vision import nms


def flatten_levels(maps: list[Tensor], width: int) -> Tensor:
    """Per-level (B, A*width, H, W) -> (B, all anchors, width), in the order of the anchors."""
    flat = []
    for level in maps:
        count, _, height, columns = level.shape
        cells = level.view(count, -1, width, height, columns).permute(0, 3, 4, 1, 2)
        flat.append(cells.reshape(count, -1, width).float())
    return torch.cat(flat, dim=1)


class _Candidates(NamedTuple):
    """The anchors that survive the first cut: T of every image, level by level, best first."""

    boxes: Tensor  # (B, T, 4) xyxy inside the image
    scores: Tensor  # (B, T)
    usable: Tensor  # (B, T) bool: large enough, and likely enough
    tops: list[int]  # how many of each level; sums to T


def _candidates(
    rpn: Any,
    objectness: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    counts: list[int],
    sizes: list[tuple[int, int]],
) -> _Candidates:
    """The best anchors of every level, decoded."""
    picked, tops, first = [], [], 0
    for part in torch.split(objectness, counts, dim=1):
        tops.append(min(rpn.pre_nms_top_n(), part.shape[1]))
        picked.append(part.topk(tops[-1], dim=1).indices + first)
        first += part.shape[1]
    where = torch.cat(picked, dim=1)
    chosen = deltas.gather(1, where[:, :, None].expand(-1, -1, 4))
    boxes = rpn.box_coder.decode_single(chosen.reshape(-1, 4), anchors[where.reshape(-1)])
    boxes = boxes.view(len(objectness), -1, 4)
    limits = torch.tensor([(w, h, w, h) for h, w in sizes], device=boxes.device)
    boxes = torch.minimum(boxes.clamp(min=0), limits[:, None].to(boxes.dtype))
    scores = objectness.gather(1, where).sigmoid()
    large = (boxes[..., 2:] - boxes[..., :2] >= rpn.min_size).all(dim=2)
    return _Candidates(boxes, scores, large & (scores >= rpn.score_thresh), tops)


def propose(
    rpn: Any,
    objectness: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    counts: list[int],
    sizes: list[tuple[int, int]],
) -> list[Tensor]:
    """The proposals of each image.

    Args:
        rpn: a torchvision ``RegionProposalNetwork`` (its limits and thresholds are used).
        objectness: (B, A) logits.
        deltas: (B, A, 4) offsets to the anchors.
        anchors: (A, 4) xyxy, the same for every image of the batch.
        counts: anchors of each level; sums to A.
        sizes: (h, w) of each image before padding.

    Returns:
        per image (P, 4) xyxy inside the image, best first.
    """
    if objectness.is_cuda:
        boxes, there = propose_together(rpn, objectness, deltas, anchors, counts, sizes)
        numbers = there.sum(dim=1).tolist()
        return [mine[:number] for mine, number in zip(boxes, numbers, strict=True)]
    found = _candidates(rpn, objectness, deltas, anchors, counts, sizes)
    level = torch.repeat_interleave(torch.tensor(found.tops))
    result = []
    for mine, score, use in zip(found.boxes, found.scores, found.usable, strict=True):
        mine, score = mine[use], score[use]
        kept = _suppress(mine, score, level[use], len(counts), rpn.nms_thresh)
        result.append(mine[kept[: rpn.post_nms_top_n()]])
    return result


def _suppress(boxes: Tensor, scores: Tensor, level: Tensor, levels: int, overlap: float) -> Tensor:
    """Indices kept by suppression within each level, best first."""
    parts = []
    for number in range(levels):
        rows = torch.nonzero(level == number).squeeze(1)
        parts.append(rows[nms(boxes[rows], scores[rows], overlap)])
    kept = torch.cat(parts)
    return kept[scores[kept].argsort(descending=True, stable=True)]


def propose_together(
    rpn: Any,
    objectness: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    counts: list[int],
    sizes: list[tuple[int, int]],
) -> tuple[Tensor, Tensor]:
    """The proposals of all images of a batch in arrays of one shape.

    The arguments are those of ``propose``.

    Returns:
        (B, P, 4) xyxy, best first and then zeros, and (B, P) bool: which are proposals.
    """
    found = _candidates(rpn, objectness, deltas, anchors, counts, sizes)
    kept = _kept_of_levels(found, rpn.nms_thresh)
    rank = torch.where(kept, found.scores, -1).sort(dim=1, descending=True, stable=True).indices
    rank = rank[:, : rpn.post_nms_top_n()]
    there = kept.gather(1, rank)
    boxes = found.boxes.gather(1, rank[:, :, None].expand(-1, -1, 4))
    return boxes * there[:, :, None], there


def _kept_of_levels(found: _Candidates, overlap: float) -> Tensor:
    """(B, T) bool: what suppression keeps within each level of each image."""
    most, parts, usable = max(found.tops), [], []
    for boxes, use in zip(
        torch.split(found.boxes, found.tops, dim=1),
        torch.split(found.usable, found.tops, dim=1),
        strict=True,
    ):
        room = most - boxes.shape[1]
        covers = _covers(boxes, overlap) & use[:, :, None]
        parts.append(functional.pad(covers, (0, room, 0, room)))
        usable.append(functional.pad(use, (0, room)))
    count = len(found.boxes)
    covers = torch.stack(parts, dim=1).flatten(0, 1)
    kept = greedy(covers, torch.stack(usable, dim=1).flatten(0, 1)).view(count, -1, most)
    return torch.cat([kept[:, n, :top] for n, top in enumerate(found.tops)], dim=1)


def _covers(boxes: Tensor, overlap: float) -> Tensor:
    """(B, k, k) bool: box i, being the better one, overlaps box j by more than ``overlap``."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    sides = (high - low).clamp_(min=0)
    shared = sides[..., 0] * sides[..., 1]
    own = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return (shared / (own[:, :, None] + own[:, None, :] - shared) > overlap).triu_(1)


_ROUNDS = 4
"""Rounds between looks at whether suppression has come to rest: each look waits for the GPU."""


def greedy(covers: Tensor, usable: Tensor) -> Tensor:
    """Greedy non-maximum suppression of G groups at once: the fixed point of "kept, unless a kept
    one before covers it" (Zheng et al. 2022, Cluster-NMS), which is what the greedy walk gives.

    After n rounds the first n of every group are right, so it ends; in practice after a few.

    Args:
        covers: (G, k, k) bool, i covers j, for i < j only.
        usable: (G, k) bool; others are never kept.

    Returns:
        (G, k) bool.
    """
    weights = covers.to(torch.float16 if covers.is_cuda else torch.float32)
    kept = usable
    with torch.autocast(covers.device.type, enabled=False):
        while True:
            for _ in range(_ROUNDS):
                before = kept
                hit = torch.bmm(kept[:, None, :].to(weights.dtype), weights)[:, 0]
                kept = usable & (hit == 0)
            if torch.equal(before, kept):
                return kept
