"""Box-head outputs -> rows, with the full class distribution of every kept box.

torchvision's own post-processing drops the background column and turns each (proposal, class)
pair into a row of its own, so the distribution and the feature of a box are lost. Here the index
of the proposal stays with every pair, through suppression, and both are looked up at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vidal.detect.options import DetectOptions
from vidal.detect.vision import nms

_PAIRS = 1 << 22
"""Pairs of boxes that are compared at once."""
_SMALLEST = 1e-2
"""Boxes thinner than this many network pixels are dropped, as torchvision does."""


class Kept(NamedTuple):
    """The rows of a batch, sorted by image and, within one, by falling score."""

    proposal: Tensor  # (N,) int64, row of the box head's outputs
    image: Tensor  # (N,) int64, sorted
    label: Tensor  # (N,) int64 in 0..K-1
    score: Tensor  # (N,) float32, the class's entry in the proposal's distribution
    boxes: Tensor  # (N, 4) float32 xyxy in network pixels, inside the image
    stands_for: Tensor  # (N,) int64 >= 1, boxes that suppression left this one of


def distribution(logits: Tensor, columns: Tensor) -> Tensor:
    """Class logits -> probabilities of the kept classes, background last.

    Args:
        logits: (P, C+1), background first (torchvision's order).
        columns: (K,) int64, the columns of ``logits`` that are kept, in the order wanted.

    Returns:
        (P, K+1) float32; rows sum to 1. The last column is everything else: background, and the
        classes that were not kept.
    """
    full = torch.softmax(logits.float(), dim=1)
    rest = torch.ones(full.shape[1], dtype=torch.bool, device=full.device)
    rest[columns] = False
    other = full[:, rest].sum(dim=1, keepdim=True)
    return torch.cat([full[:, columns], other], dim=1)


def rank_within(groups: Tensor) -> Tensor:
    """(N,) how many earlier entries are of the same group: 0 for the first of each."""
    order = groups.argsort(stable=True)
    ordered = groups[order]
    position = torch.arange(len(groups), device=groups.device)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    first = torch.where(starts, position, 0).cummax(dim=0).values if len(groups) else position
    rank = torch.empty_like(position)
    rank[order] = position - first
    return rank


def suppress(boxes: Tensor, scores: Tensor, groups: Tensor, overlap: float) -> Tensor:
    """Greedy non-maximum suppression within each group, for all groups in one call.

    Groups are moved apart by whole multiples of a power of two, in float64, where these shifts are
    exact: the outcome of a group does not depend on which other groups are in the batch.

    Returns:
        indices of the kept rows, by falling score.
    """
    if not len(boxes):
        return torch.zeros(0, dtype=torch.int64, device=boxes.device)
    stride = 2.0 ** torch.ceil(torch.log2(boxes.max().double() + 2))
    apart = boxes.double() + (groups.double() * stride)[:, None]
    kept: Tensor = nms(apart, scores.double(), overlap)
    return kept


def stand_for(boxes: Tensor, groups: Tensor, kept: Tensor, overlap: float) -> Tensor:
    """How many boxes each kept one stands for: itself, and those that it suppressed.

    Args:
        boxes: (N, 4) before suppression.
        groups: (N,) int64; only boxes of one group suppress each other.
        kept: (M,) rows that suppression kept, by falling score: a box was suppressed by the first
            that overlaps it by more.
        overlap: of the suppression.

    Returns:
        (M,) int64, in the order of ``kept``; the sum over a group is its number of boxes.
    """
    group = groups.unique(return_inverse=True)[1]  # type: ignore[no-untyped-call]
    place = group[kept].argsort(stable=True)  # of the kept ones, by group and falling score
    rivals = torch.bincount(group[kept], minlength=int(group.max()) + 1 if len(group) else 0)
    start = rivals.cumsum(0) - rivals
    found = torch.full_like(group, len(kept))
    many = rivals[group]
    for some in _parts(many):
        box = torch.repeat_interleave(some, many[some])
        before = many[some].cumsum(0) - many[some]
        turn = torch.arange(len(box), device=box.device) - before.repeat_interleave(many[some])
        rival = start[group[box]] + turn
        near = _overlap(boxes[box].double(), boxes[kept[place[rival]]].double()) > overlap
        found.scatter_reduce_(0, box[near], rival[near], "amin")
    counts = torch.bincount(found[found < len(kept)], minlength=len(kept))
    result = torch.empty_like(counts)
    result[place] = counts
    return result.clamp(min=1)


def _parts(many: Tensor) -> Sequence[Tensor]:
    """Rows in a few parts, so that no part has more than a few million pairs."""
    rows = torch.arange(len(many), device=many.device)
    total = int(many.sum())
    if total <= _PAIRS:
        return [rows]
    return torch.tensor_split(rows, min(len(many), 1 + 2 * total // _PAIRS))


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """(N,) IoU of boxes, row by row."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    areas = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1)
    return shared / (areas - shared)


def select(
    probs: Tensor,
    deltas: Tensor,
    proposals: Tensor,
    image: Tensor,
    *,
    columns: Tensor,
    size: tuple[int, int],
    coder: Any,
    options: DetectOptions,
) -> Kept:
    """The boxes of a batch of images of one size.

    Args:
        probs: (P, K+1) from ``distribution``.
        deltas: (P, (C+1) * 4) class-wise offsets, background first.
        proposals: (P, 4) xyxy in network pixels.
        image: (P,) int64, the image each proposal belongs to, sorted.
        columns: (K,) int64, as for ``distribution``.
        size: (h, w) of the images in network pixels, without padding.
        coder: torchvision's ``BoxCoder`` of the box head.
        options: floor, overlap and limits.
    """
    row, label = torch.nonzero(probs[:, :-1] > options.score_floor, as_tuple=True)
    by_class = deltas.view(len(deltas), deltas.shape[1] // 4, 4)
    offsets = by_class[row, columns[label]].float()
    boxes = coder.decode_single(offsets, proposals[row])
    limit = torch.tensor((size[1], size[0], size[1], size[0]), device=boxes.device)
    boxes = torch.minimum(boxes.clamp(min=0), limit.to(boxes.dtype))
    large = (boxes[:, 2:] - boxes[:, :2] >= _SMALLEST).all(dim=1)
    row, label, boxes = row[large], label[large], boxes[large]
    score = probs[row, label]
    group = image[row] * (probs.shape[1] - 1) + label
    kept = suppress(boxes, score, group, options.overlap)
    count = torch.ones_like(row)
    count[kept] = stand_for(boxes, group, kept, options.overlap)
    kept = kept[rank_within(group[kept]) < options.per_class]
    kept = kept[rank_within(image[row[kept]]) < options.per_frame]
    kept = kept[image[row[kept]].argsort(stable=True)]
    row = row[kept]
    return Kept(row, image[row], label[kept], score[kept], boxes[kept], count[kept])
