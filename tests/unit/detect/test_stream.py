"""The path of GPUs, on a processor: copies beside the work, and arrays of one shape."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from torchvision.ops import nms

from vidal.detect import DetectOptions, fresh_detector
from vidal.detect.forward import TOGETHER
from vidal.detect.proposals import _covers, greedy, propose, propose_together
from vidal.detect.stream import AHEAD, in_turn, overlapped, table_of
from vidal.errors import UsageError
from vidal.testing.detectors import a_frame

CPU = torch.device("cpu")
SIZES = ((72, 112), (96, 80), (72, 112))
GROUPS = [[a_frame(5 * g + n, SIZES[(g + n) % 3]) for n in range(5 + g)] for g in range(6)]


@pytest.fixture(scope="module")
def detector():
    options = DetectOptions(precision="fp32", score_floor=0.2)
    made = fresh_detector(
        "scenes-tiny", ("car", "bus"), default_rng(3), device="cpu", options=options
    )
    made.network.transform.min_size = (72,)
    return made


def streamed(detector, groups, way=overlapped, look=None):
    def finish(parts, count):
        return table_of(parts, count, detector.classes)

    return list(way(groups, look or detector._forward, finish, CPU, 4))


def test_copies_beside_the_work_change_nothing(detector):
    expected = [detector.detect(group) for group in GROUPS]
    assert sum(map(len, expected)) > 100
    assert streamed(detector, GROUPS) == expected == streamed(detector, GROUPS, in_turn)
    assert list(detector.stream(iter(GROUPS))) == expected


def test_a_group_that_cannot_be_had_ends_the_stream_with_its_own_error(detector):
    def broken():
        yield from GROUPS[:2]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        streamed(detector, broken())
    assert not [each for each in threading.enumerate() if each.name.startswith(("lay", "fetch"))]


def test_no_more_than_a_few_groups_are_held(detector):
    taken = []

    def counted():
        for number, group in enumerate(GROUPS * 2):
            taken.append(number)
            yield group

    def finish(parts, count):
        return table_of(parts, count, detector.classes)

    for number, _ in enumerate(overlapped(counted(), detector._forward, finish, CPU, 4)):
        assert len(taken) <= number + 2 * AHEAD + 2
    assert len(taken) == 12


def test_memory_that_is_not_enough_is_told_with_the_way_out(detector):
    def look(_pixels):
        raise torch.OutOfMemoryError("CUDA out of memory")

    for way in (in_turn, overlapped):
        with pytest.raises(UsageError, match="memory") as caught:
            streamed(detector, GROUPS, way, look)
        assert "--batch" in caught.value.hint


@pytest.mark.parametrize("compiled", [False, True])
def test_arrays_of_one_shape_give_the_rows_of_single_images(detector, monkeypatch, compiled):
    """As on a GPU; where parts are compiled, batches that lack frames are filled up."""
    monkeypatch.setattr(torch, "compile", lambda part, dynamic: part)
    options = replace(detector.options, compile=compiled)
    forward = replace(detector._forward, together=True, options=options)
    for group, expected in zip(GROUPS, [detector.detect(group) for group in GROUPS], strict=True):
        (found,) = streamed(detector, [group], look=forward)
        assert found.frame.tolist() == expected.frame.tolist()
        assert found.labels.tolist() == expected.labels.tolist()
        assert found.suppressed.tolist() == expected.suppressed.tolist()
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
        np.testing.assert_allclose(found.probs, expected.probs, atol=1e-5)
        np.testing.assert_allclose(found.embedding, expected.embedding, atol=1e-5)
    assert TOGETHER["cpu"] == 4


@pytest.mark.slow
def test_a_compiled_detector_finds_the_same_but_for_rounding(detector):
    compiled = replace(detector, options=replace(detector.options, compile=True), _cache={})
    group = GROUPS[0][:4]
    found, expected = compiled.detect(group), detector.detect(group)
    assert found.labels.tolist() == expected.labels.tolist()
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
    assert compiled.key != detector.key


def _ranked(seed, groups, count, spread):
    draw = torch.Generator().manual_seed(seed)
    corner = torch.rand(groups, count, 2, generator=draw) * 100
    sides = torch.rand(groups, count, 2, generator=draw) * spread
    return torch.cat([corner, corner + sides], dim=2)


@pytest.mark.parametrize("spread", [1e-3, 40, 200])
@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_suppression_of_all_groups_at_once_is_the_greedy_walk_of_each(count, spread):
    boxes = _ranked(count, 5, count, spread)
    usable = torch.rand(5, count, generator=torch.Generator().manual_seed(1)) < 0.8
    kept = greedy(_covers(boxes, 0.5) & usable[:, :, None], usable)
    scores = torch.linspace(1, 0, count)
    for mine, use, ours in zip(boxes, usable, kept, strict=True):
        rows = torch.nonzero(use).squeeze(1)
        expected = rows[nms(mine[rows], scores[rows], 0.5)]
        assert torch.nonzero(ours).squeeze(1).tolist() == sorted(expected.tolist())


def test_a_chain_of_boxes_as_long_as_the_group_comes_to_rest_right():
    left = torch.arange(40.0)[:, None] * 3
    chain = torch.cat([left, torch.zeros_like(left), left + 10, torch.full_like(left, 10)], dim=1)
    usable = torch.ones(1, 40, dtype=torch.bool)
    kept = greedy(_covers(chain[None], 0.5), usable)
    assert torch.nonzero(kept[0]).squeeze(1).tolist() == list(range(0, 40, 2))


@pytest.mark.parametrize("most", [5, 1000])
def test_proposals_of_one_shape_are_those_of_each_image(detector, monkeypatch, most):
    rpn = detector.network.rpn
    monkeypatch.setattr(rpn, "_post_nms_top_n", {"training": most, "testing": most})
    draw = torch.Generator().manual_seed(4)
    counts = [300, 75, 12]
    anchors = _ranked(5, 1, sum(counts), 60)[0]
    given = (
        rpn,
        torch.randn(3, sum(counts), generator=draw),
        torch.randn(3, sum(counts), 4, generator=draw) * 0.2,
        anchors,
        counts,
        [(90, 130)] * 3,
    )
    boxes, there = propose_together(*given)
    for mine, real, expected in zip(boxes, there, propose(*given), strict=True):
        assert torch.equal(mine[real], expected)
        assert not mine[~real].any()
        assert not (real[1:] & ~real[:-1]).any()
