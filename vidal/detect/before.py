"""What a detector knew before suppression: the proposals around every row, and those it refused.

Every proposal says one box (that of its strongest class) and one class distribution. A row is
surrounded by the proposals whose box overlaps it; a proposal that no row overlaps survived the
proposal network and lost to the background. Number and spread of the boxes before suppression are
evidence about a kept box in MetaDetect (Schubert et al., 2020, arXiv 2010.01695); refused proposals
are one of the ways in which objects are missed (Miller et al., 2022, arXiv 2203.07662).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vidal.detect.postprocess import Kept
from vidal.types import REFUSED, REFUSED_KEPT

OVERLAP = 0.5
"""IoU above which a proposal's box lies around a row."""
FREE = 0.3
"""IoU up to which a proposal's box counts as overlapped by no row."""


class Before(NamedTuple):
    """What lay before suppression.

    Attributes:
        around: (N, A) float32, see ``vidal.types.AROUND``; rows as kept.
        refused: (B, R, 6) float32, see ``vidal.types.REFUSED``; by falling objectness, zeros where
            an image has fewer.
    """

    around: Tensor
    refused: Tensor


class Proposals(NamedTuple):
    """The proposals of a batch of B images of one size, those of an image in a row.

    Attributes:
        numbers: of each image.
        image: (P,) int64, sorted.
        boxes: (P, 4) float32, as the proposal network gave them.
        objectness: (P,) float32 in [0, 1].
        probs: (P, K+1) float32, background last.
    """

    numbers: list[int]
    image: Tensor
    boxes: Tensor
    objectness: Tensor
    probs: Tensor


def look_before(proposals: Proposals, refined: Tensor, kept: Kept) -> Before:
    """What lay before suppression around the kept rows, and what was refused.

    Args:
        proposals: of a batch.
        refined: (P, 4) float32, as their strongest class moves them.
        kept: the rows of the batch.
    """
    count, device = len(proposals.numbers), proposals.boxes.device
    most = max(proposals.numbers, default=0)
    here = torch.arange(len(proposals.image), device=device)
    starts = torch.tensor([0, *proposals.numbers[:-1]], device=device).cumsum(0)
    place = here - starts[proposals.image]
    boxes = _padded(refined, proposals.image, place, (count, most))
    probs = _padded(proposals.probs, proposals.image, place, (count, most))
    objectness = _padded(proposals.objectness, proposals.image, place, (count, most))

    rows = torch.bincount(kept.image, minlength=count)
    first = rows.cumsum(0) - rows
    at = torch.arange(len(kept.image), device=device) - first[kept.image]
    size = (count, int(rows.max()) if len(rows) else 0)
    mine = _padded(kept.boxes, kept.image, at, size)
    label = _padded(kept.label, kept.image, at, size)
    own = _padded(place[kept.proposal], kept.image, at, size)

    iou = _iou(mine, boxes)
    score = probs.transpose(1, 2).gather(1, label[:, :, None].expand(-1, -1, most))
    mask = (iou > OVERLAP).float()
    number = mask.sum(2)
    weight = mask * score
    total = weight.sum(2)
    safe = number.clamp(min=1)
    mean = total / safe
    spread = ((weight * score).sum(2) / safe - mean**2).clamp(min=0).sqrt()
    centre = torch.bmm(weight, boxes) / total.clamp(min=1e-6)[:, :, None]
    others = weight.scatter(2, own[:, :, None], 0.0)
    best = others.amax(2) if most else total
    said = torch.stack([objectness, 1 - probs[:, :, -1]], dim=2)
    sums = torch.bmm(mask, said) / safe[:, :, None]
    near = (mask * iou).sum(2) / safe
    hull = _hull(mask, boxes, mine)
    around = torch.stack(
        [
            number,
            (iou > 0.7).float().sum(2),
            mean,
            spread,
            best,
            near,
            _pairs(centre, mine),
            hull,
            sums[:, :, 0],
            sums[:, :, 1],
            objectness.gather(1, own),
        ],
        dim=2,
    )[kept.image, at]
    moved = _pairs(proposals.boxes[kept.proposal], kept.boxes)
    return Before(
        torch.cat([around, moved[:, None]], dim=1), _refused(iou, boxes, objectness, said)
    )


def _refused(iou: Tensor, boxes: Tensor, objectness: Tensor, said: Tensor) -> Tensor:
    free = objectness > 0
    if iou.shape[1]:
        free &= iou.amax(1) <= FREE
    best = torch.where(free, objectness, 0)
    most = min(REFUSED_KEPT, best.shape[1])
    where = best.topk(most, dim=1).indices[:, :, None]
    table = torch.cat([boxes, said], dim=2)
    table = torch.where(free[:, :, None], table, 0)
    result = table.new_zeros((len(table), REFUSED_KEPT, len(REFUSED)))
    result[:, :most] = table.gather(1, where.expand(-1, -1, len(REFUSED)))
    return result


def _hull(mask: Tensor, boxes: Tensor, mine: Tensor) -> Tensor:
    inside = mask > 0
    inf = float("inf")
    low = [torch.where(inside, boxes[:, None, :, k], inf).amin(2) for k in (0, 1)]
    high = [torch.where(inside, boxes[:, None, :, k], -inf).amax(2) for k in (2, 3)]
    area = (high[0] - low[0]) * (high[1] - low[1])
    own = (mine[..., 2] - mine[..., 0]) * (mine[..., 3] - mine[..., 1])
    return torch.where(inside.any(2), own / area.clamp(min=1e-6), 1.0)


def _padded(values: Tensor, image: Tensor, place: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, M, ...) from rows of B images; zeros where an image has fewer than M."""
    if len(values) == size[0] * size[1]:
        return values.view(*size, *values.shape[1:])
    result = values.new_zeros((*size, *values.shape[1:]))
    result[image, place] = values
    return result


def _iou(rows: Tensor, boxes: Tensor) -> Tensor:
    """(B, K, P) IoU; 0 where either is empty."""
    a, b = rows[:, :, None], boxes[:, None]
    width = (torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])).clamp_(0)
    height = (torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])).clamp_(0)
    both = width.mul_(height)
    one = (rows[..., 2] - rows[..., 0]) * (rows[..., 3] - rows[..., 1])
    two = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    union = (one[:, :, None] + two[:, None]).sub_(both)
    return both.div_(union.clamp_(min=1e-6))


def _pairs(first: Tensor, second: Tensor) -> Tensor:
    """(...) IoU of boxes one by one."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(each[..., 2:] - each[..., :2]).prod(-1) for each in (first, second)]
    return both / (areas[0] + areas[1] - both).clamp(min=1e-6)
