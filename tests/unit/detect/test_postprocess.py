"""Box-head outputs to rows, on tensors small enough to check by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import batched_nms, box_iou, nms

from vidal.detect import postprocess
from vidal.detect.options import DetectOptions
from vidal.detect.postprocess import Kept, distribution, rank_within, select, suppress
from vidal.errors import UsageError

CODER = BoxCoder((10.0, 10.0, 5.0, 5.0))


def kept_of(
    probs: list[list[float]],
    proposals: list[list[float]],
    image: list[int] | None = None,
    size: tuple[int, int] = (100, 200),
    **options: float,
) -> Kept:
    """Rows of proposals that the head does not move."""
    given_probs = torch.tensor(probs)
    classes = given_probs.shape[1] - 1
    return select(
        given_probs,
        torch.zeros(len(probs), (classes + 1) * 4),
        torch.tensor(proposals),
        torch.tensor(image or [0] * len(probs)),
        columns=torch.arange(1, classes + 1),
        size=size,
        coder=CODER,
        options=DetectOptions(**options),  # type: ignore[arg-type]
    )


def test_background_moves_from_the_first_column_to_the_last() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]]))
    assert distribution(logits, torch.tensor([1, 2])).tolist() == [
        pytest.approx([0.5, 0.3, 0.2], abs=1e-6)
    ]


def test_classes_that_are_not_kept_count_as_background() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.4, 0.3, 0.2]]))
    probs = distribution(logits, torch.tensor([3, 1]))
    assert probs.tolist() == [pytest.approx([0.2, 0.4, 0.4], abs=1e-6)]


def test_half_precision_logits_still_sum_to_one() -> None:
    logits = torch.randn(50, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    probs = distribution(logits, torch.tensor([1, 2, 3, 4]))
    assert probs.dtype == torch.float32
    assert torch.allclose(probs.sum(dim=1), torch.ones(50), atol=1e-6)


def test_rank_counts_earlier_entries_of_the_same_group() -> None:
    assert rank_within(torch.tensor([7, 3, 7, 7, 3])).tolist() == [0, 0, 1, 2, 1]
    assert rank_within(torch.zeros(0, dtype=torch.int64)).tolist() == []


def test_the_weaker_of_two_overlapping_boxes_of_a_class_goes() -> None:
    # IoU of the first two: 90*40 of 100*40 -> 0.818 > 0.6; the third shares nothing
    rows = kept_of(
        [[0.7, 0.3], [0.9, 0.1], [0.2, 0.8]],
        [[0, 0, 100, 40], [10, 0, 100, 40], [120, 50, 140, 80]],
    )
    assert rows.proposal.tolist() == [1, 2]
    assert rows.score.tolist() == pytest.approx([0.9, 0.2])
    assert rows.boxes.tolist() == [[10, 0, 100, 40], [120, 50, 140, 80]]


def test_an_overlap_of_exactly_the_threshold_is_kept() -> None:
    # 60 of 100 columns shared: IoU = 0.6
    boxes = [[0, 0, 100, 40], [0, 0, 60, 40]]
    assert len(kept_of([[0.9, 0.1], [0.8, 0.2]], boxes).proposal) == 2
    assert len(kept_of([[0.9, 0.1], [0.8, 0.2]], boxes, overlap=0.59).proposal) == 1


def test_boxes_of_different_classes_do_not_suppress_each_other() -> None:
    rows = kept_of([[0.6, 0.3, 0.1]], [[0, 0, 50, 50]])
    assert rows.proposal.tolist() == [0, 0]
    assert rows.label.tolist() == [0, 1]
    assert rows.score.tolist() == pytest.approx([0.6, 0.3])


def test_boxes_of_different_images_do_not_suppress_each_other() -> None:
    same = [[0.0, 0, 50, 50]] * 2
    assert kept_of([[0.6, 0.4], [0.7, 0.3]], same, image=[0, 1]).image.tolist() == [0, 1]


def test_a_score_at_the_floor_is_dropped() -> None:
    boxes = [[0.0, 0, 9, 9], [20, 0, 29, 9]]
    assert kept_of([[0.25, 0.75], [0.5, 0.5]], boxes, score_floor=0.25).proposal.tolist() == [1]


def test_rows_are_sorted_by_image_then_by_falling_score() -> None:
    boxes = [[0.0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9], [60, 0, 69, 9]]
    rows = kept_of([[0.3, 0.7], [0.4, 0.6], [0.9, 0.1], [0.8, 0.2]], boxes, image=[0, 0, 1, 1])
    assert rows.proposal.tolist() == [1, 0, 2, 3]
    rows = kept_of([[0.3, 0.7], [0.9, 0.1], [0.4, 0.6], [0.8, 0.2]], boxes, image=[0, 0, 1, 1])
    assert rows.proposal.tolist() == [1, 0, 3, 2]


def test_limits_hold_per_class_and_per_frame() -> None:
    boxes = [[20.0 * n, 0, 20.0 * n + 9, 9] for n in range(6)]
    probs = [[0.9, 0, 0.1], [0.8, 0, 0.2], [0.7, 0, 0.3], [0, 0.6, 0.4], [0, 0.5, 0.5]]
    probs += [[0.95, 0, 0.05]]
    image = [0, 0, 0, 0, 0, 1]
    assert kept_of(probs, boxes, image, per_class=2).proposal.tolist() == [0, 1, 3, 4, 5]
    assert kept_of(probs, boxes, image, per_frame=2).proposal.tolist() == [0, 1, 5]


def test_boxes_are_cut_to_the_image_and_what_is_left_empty_goes() -> None:
    rows = kept_of([[0.9, 0.1], [0.8, 0.2]], [[-10, -10, 20, 20], [250, 10, 300, 40]])
    assert rows.boxes.tolist() == [[0, 0, 20, 20]]


def test_offsets_are_those_of_the_kept_column() -> None:
    # dx of output column 2 moves by 5/10 of the width (coder weight 10); column 1 does not move
    deltas = torch.zeros(1, 12)
    deltas[0, 8] = 5.0
    rows = select(
        torch.tensor([[0.9, 0.1]]),
        deltas,
        torch.tensor([[10.0, 10, 30, 30]]),
        torch.tensor([0]),
        columns=torch.tensor([2]),
        size=(100, 100),
        coder=CODER,
        options=DetectOptions(),
    )
    assert rows.boxes.tolist() == [[20, 10, 40, 30]]


def test_no_proposals_give_no_rows() -> None:
    rows = select(
        torch.zeros(0, 3),
        torch.zeros(0, 12),
        torch.zeros(0, 4),
        torch.zeros(0, dtype=torch.int64),
        columns=torch.tensor([1, 2]),
        size=(10, 10),
        coder=CODER,
        options=DetectOptions(),
    )
    assert [len(each) for each in rows] == [0, 0, 0, 0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 60))
def test_suppression_of_many_groups_is_suppression_of_each(seed: int, count: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=draw) * 100
    boxes = torch.cat([corner, corner + 1 + torch.rand(count, 2, generator=draw) * 60], dim=1)
    scores = torch.rand(count, generator=draw)
    groups = torch.randint(0, 5, (count,), generator=draw)
    kept = set(suppress(boxes, scores, groups, 0.5)[0].tolist())
    one_by_one: set[int] = set()
    for group in range(5):
        rows = torch.nonzero(groups == group).squeeze(1)
        alone, _ = suppress(boxes[rows], scores[rows], torch.zeros_like(rows), 0.5)
        one_by_one |= set(rows[alone].tolist())
    assert kept == one_by_one
    assert kept == set(batched_nms(boxes, scores, groups, 0.5).tolist())


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("overlap", [0.1, 0.6])
def test_suppression_gives_the_rows_of_the_greedy_walk_in_their_order(
    overlap: float, ties: bool
) -> None:
    draw = torch.Generator().manual_seed(8)
    corner = torch.rand(400, 2, generator=draw) * 60
    boxes = torch.cat([corner, corner + 1 + torch.rand(400, 2, generator=draw) * 60], dim=1)
    scores = torch.rand(400, generator=draw)
    scores = (scores * 20).round() / 20 if ties else scores
    groups = torch.randint(0, 3, (400,), generator=draw)
    apart = boxes.double() + groups.double()[:, None] * 256
    expected = nms(apart, scores.double(), overlap)
    kept, counts = suppress(boxes, scores, groups, overlap)
    assert 3 < len(kept) < 350
    assert kept.tolist() == expected.tolist()
    assert counts.sum() == 400


@pytest.mark.parametrize(
    "wrong", [{"score_floor": 1.0}, {"overlap": 0.0}, {"per_class": 0}, {"precision": "fp64"}]
)
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        DetectOptions(**wrong)  # type: ignore[arg-type]


def test_log_of_a_probability_survives_the_softmax() -> None:
    logits = torch.tensor([[math.log(0.25), math.log(0.75)]])
    assert distribution(logits, torch.tensor([1]))[0, 0].item() == pytest.approx(0.75)


def test_a_box_stands_for_itself_and_for_those_it_suppressed() -> None:
    near, far = [10.0, 10, 50, 50], [100.0, 10, 140, 50]
    rows = kept_of(
        [[0.9, 0.0, 0.1], [0.8, 0.0, 0.2], [0.7, 0.0, 0.3], [0.1, 0.6, 0.3]],
        [near, [11, 11, 50, 50], far, near],
    )
    assert rows.score.tolist() == pytest.approx([0.9, 0.7, 0.6])
    assert rows.stands_for.tolist() == [3, 1, 1]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), count=st.integers(0, 60), pairs=st.sampled_from([4, 1 << 22])
)
def test_every_box_is_counted_once_for_the_first_that_suppresses_it(
    seed: int, count: int, pairs: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=draw) * 40
    boxes = torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=draw) * 30], dim=1)
    scores = torch.rand(count, generator=draw)
    groups = torch.randint(0, 3, (count,), generator=draw) * 7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postprocess, "_PAIRS", pairs)
        kept, counts = suppress(boxes, scores, groups, 0.4)
    expected, left = [], set(range(count))
    for row in kept.tolist():
        mine = [i for i in sorted(left) if groups[i] == groups[row]]
        iou = box_iou(boxes[mine].double(), boxes[[row]].double())[:, 0] if mine else []
        hit = {i for i, value in zip(mine, iou, strict=True) if value > 0.4}
        expected.append(len(hit))
        left -= hit
    assert counts.tolist() == expected
    assert not left
