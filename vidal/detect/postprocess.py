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

_PAIRS = 1 << 22
"""Pairs of boxes that are compared at once."""
_ROUNDS = 3
"""Rounds of suppression between looks at whether it has come to rest: each look waits for a GPU."""
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


def suppress(
    boxes: Tensor, scores: Tensor, groups: Tensor, overlap: float
) -> tuple[Tensor, Tensor]:
    """Greedy non-maximum suppression within each group, for all groups at once.

    Only pairs of one group are compared, in float64: the outcome of a group does not depend on
    which other groups are in the batch, nor on the device. A box is kept unless a kept one before
    it overlaps it by more; repeated until nothing changes, that gives what the greedy walk gives
    (Zheng et al. 2022, Cluster-NMS), and a GPU is waited for a few times a batch.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        groups: (N,) int64; only boxes of one group suppress each other.
        overlap: IoU above which the weaker box goes.

    Returns:
        (M,) rows that are kept, by falling score, and (M,) how many boxes each stands for: itself,
        and those of which it is the first kept one that overlaps them.
    """
    rank = scores.argsort(descending=True, stable=True)
    order = rank[groups[rank].argsort(stable=True)]  # by group and falling score
    better, worse = _overlapping(boxes[order].double(), groups[order], overlap)
    kept = _unsuppressed(better, worse, len(order))
    place = torch.arange(len(order), device=order.device)
    first = torch.where(kept, place, len(order))
    beats = torch.where(kept[better] & ~kept[worse], better, len(order))
    first.scatter_reduce_(0, worse, beats, "amin")
    counts = torch.zeros_like(place).scatter_add_(0, first, torch.ones_like(place))
    keep, stands = torch.zeros_like(kept), torch.zeros_like(counts)
    keep[order], stands[order] = kept, counts
    rows = rank[keep[rank]]
    return rows, stands[rows]


def _overlapping(boxes: Tensor, groups: Tensor, overlap: float) -> tuple[Tensor, Tensor]:
    """Pairs (before, after) of one group that overlap by more; ``groups`` is sorted."""
    many = rank_within(groups)
    before, after = [], []
    for some in _parts(many):
        number = many[some]
        second = torch.repeat_interleave(some, number)
        start = number.cumsum(0) - number
        turn = torch.arange(len(second), device=boxes.device) - start.repeat_interleave(number)
        first = second - number.repeat_interleave(number) + turn
        near = torch.nonzero(_overlap(boxes[first], boxes[second]) > overlap).squeeze(1)
        before.append(first[near])
        after.append(second[near])
    return torch.cat(before), torch.cat(after)


def _unsuppressed(better: Tensor, worse: Tensor, count: int) -> Tensor:
    """(count,) bool: what no kept one covers, given the pairs in which one could."""
    kept = torch.ones(count, dtype=torch.bool, device=better.device)
    while len(better):
        for _ in range(_ROUNDS):
            before = kept
            hits = torch.zeros(count, dtype=torch.int32, device=better.device)
            kept = hits.index_add_(0, worse, kept[better].int()) == 0
        if torch.equal(before, kept):
            break
    return kept


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
    there: Tensor | None = None,
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
        there: (P,) bool, which rows are proposals at all; None = all.
    """
    likely = probs[:, :-1] > options.score_floor
    likely = likely if there is None else likely & there[:, None]
    row, label = torch.nonzero(likely, as_tuple=True)
    by_class = deltas.view(len(deltas), deltas.shape[1] // 4, 4)
    offsets = by_class[row, columns[label]].float()
    boxes = coder.decode_single(offsets, proposals[row])
    limit = torch.tensor((size[1], size[0], size[1], size[0]), device=boxes.device)
    boxes = torch.minimum(boxes.clamp(min=0), limit.to(boxes.dtype))
    large = (boxes[:, 2:] - boxes[:, :2] >= _SMALLEST).all(dim=1)
    row, label, boxes = row[large], label[large], boxes[large]
    score = probs[row, label]
    group = image[row] * (probs.shape[1] - 1) + label
    kept, stands = suppress(boxes, score, group, options.overlap)
    count = torch.ones_like(row)
    count[kept] = stands
    kept = kept[rank_within(group[kept]) < options.per_class]
    kept = kept[rank_within(image[row[kept]]) < options.per_frame]
    kept = kept[image[row[kept]].argsort(stable=True)]
    row = row[kept]
    return Kept(row, image[row], label[kept], score[kept], boxes[kept], count[kept])
