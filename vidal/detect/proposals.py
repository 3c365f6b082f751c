"""Region proposals: torchvision's region proposal network, run on its own weights and settings.

Gives the proposals that its ``filter_proposals`` gives, but decodes only the anchors that survive
the first cut (a hundredth of them) and keeps the levels of an image apart by looking at each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vidal.detect.vision import batched_nms, nms


def flatten_levels(maps: list[Tensor], width: int) -> Tensor:
    """Per-level (B, A*width, H, W) -> (B, all anchors, width), in the order of the anchors."""
    flat = []
    for level in maps:
        count, _, height, columns = level.shape
        cells = level.view(count, -1, width, height, columns).permute(0, 3, 4, 1, 2)
        flat.append(cells.reshape(count, -1, width).float())
    return torch.cat(flat, dim=1)


def _suppress(boxes: Tensor, scores: Tensor, level: Tensor, levels: int, overlap: float) -> Tensor:
    """Indices kept by suppression within each level, best first."""
    if boxes.is_cuda:
        kept: Tensor = batched_nms(boxes, scores, level, overlap)
        return kept
    parts = []
    for number in range(levels):
        rows = torch.nonzero(level == number).squeeze(1)
        parts.append(rows[nms(boxes[rows], scores[rows], overlap)])
    kept = torch.cat(parts)
    return kept[scores[kept].argsort(descending=True, stable=True)]


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
    picked, levels, first = [], [], 0
    for number, part in enumerate(torch.split(objectness, counts, dim=1)):
        top = min(rpn.pre_nms_top_n(), part.shape[1])
        picked.append(part.topk(top, dim=1).indices + first)
        levels.append(torch.full((top,), number, device=objectness.device))
        first += part.shape[1]
    where, level = torch.cat(picked, dim=1), torch.cat(levels)
    chosen = deltas.gather(1, where[:, :, None].expand(-1, -1, 4))
    boxes = rpn.box_coder.decode_single(chosen.reshape(-1, 4), anchors[where.reshape(-1)])
    boxes = boxes.view(len(objectness), -1, 4)
    limits = torch.tensor([(w, h, w, h) for h, w in sizes], device=boxes.device)
    boxes = torch.minimum(boxes.clamp(min=0), limits[:, None].to(boxes.dtype))
    scores = objectness.gather(1, where).sigmoid()
    large = (boxes[..., 2:] - boxes[..., :2] >= rpn.min_size).all(dim=2)
    usable = large & (scores >= rpn.score_thresh)
    result = []
    for mine, score, use in zip(boxes, scores, usable, strict=True):
        mine, score = mine[use], score[use]
        kept = _suppress(mine, score, level[use], len(counts), rpn.nms_thresh)
        result.append(mine[kept[: rpn.post_nms_top_n()]])
    return result
