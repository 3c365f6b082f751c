"""What every propagator of ``vidal.assemble`` has to do."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from vidal.assemble import PROPAGATORS
from vidal.protocols import Propagator
from vidal.types import Frame, FrameRef

FOLLOWS = {"flow", "sparse", "template"}
"""Those that see motion."""
SEES_CUTS = {"flow"}
"""Those that judge the whole frame; the others are kept from steps across a cut by their caller."""

BOXES = np.float32([[60, 60, 100, 90], [10, 20, 30, 60], [250, 130, 330, 200]])


@pytest.fixture(params=sorted(PROPAGATORS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def view(index: int, *, seed: int = 0) -> Frame:
    """A textured ground that moves by (3, 0) px a frame, 180 x 320 px."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.normal(size=(180, 400)).astype(np.float32), (0, 0), 3)
    grey = cv2.normalize(ground, None, 0, 255, cv2.NORM_MINMAX)[:, 60 - 3 * index : 380 - 3 * index]
    return Frame(FrameRef("a", index), np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2))


def test_it_is_a_propagator_made_of_its_options(name: str) -> None:
    made = PROPAGATORS[name]()
    assert isinstance(made, Propagator)
    assert dataclasses.is_dataclass(made)
    assert hash(made) == hash(PROPAGATORS[name]())
    assert made == PROPAGATORS[name]()


def test_boxes_and_trust_have_their_shapes_and_ranges(name: str) -> None:
    moved, trust = PROPAGATORS[name]().step(view(0), view(1), BOXES)
    assert (moved.shape, moved.dtype) == ((3, 4), np.float32)
    assert (trust.shape, trust.dtype) == ((3,), np.float32)
    assert ((trust >= 0) & (trust <= 1)).all()
    assert np.isfinite(moved).all()


def test_no_boxes_are_no_boxes(name: str) -> None:
    moved, trust = PROPAGATORS[name]().step(view(0), view(1), np.zeros((0, 4), dtype=np.float32))
    assert moved.shape == (0, 4)
    assert trust.shape == (0,)


def test_inputs_are_left_as_they_are(name: str) -> None:
    before, after, boxes = view(0), view(1), BOXES.copy()
    PROPAGATORS[name]().step(before, after, boxes)
    np.testing.assert_array_equal(boxes, BOXES)
    np.testing.assert_array_equal(before.image, view(0).image)
    np.testing.assert_array_equal(after.image, view(1).image)


def test_the_same_step_gives_the_same_boxes(name: str) -> None:
    propagator = PROPAGATORS[name]()
    one, two = (propagator.step(view(0), view(1), BOXES) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)


def test_boxes_are_independent_of_each_other(name: str) -> None:
    propagator = PROPAGATORS[name]()
    together, _ = propagator.step(view(0), view(1), BOXES)
    alone = [propagator.step(view(0), view(1), BOXES[i : i + 1])[0] for i in range(3)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_identical_frames_leave_boxes_where_they_are(name: str) -> None:
    moved, trust = PROPAGATORS[name]().step(view(0), dataclasses.replace(view(0)), BOXES)
    np.testing.assert_allclose(moved, BOXES, atol=0.2)
    assert (trust > 0).all()


@pytest.mark.parametrize("name", sorted(FOLLOWS))
@pytest.mark.parametrize(("before", "after", "dx"), [(0, 1, 3), (1, 0, -3), (2, 5, 9)])
def test_boxes_follow_the_ground_in_either_direction_of_time(
    name: str, before: int, after: int, dx: int
) -> None:
    inside = BOXES[:1]
    moved, trust = PROPAGATORS[name]().step(view(before), view(after), inside)
    np.testing.assert_allclose(moved, inside + np.float32([dx, 0, dx, 0]), atol=0.5)
    assert (trust > 0).all()


@pytest.mark.parametrize("name", sorted(SEES_CUTS))
def test_boxes_are_not_carried_across_a_cut(name: str) -> None:
    _, trust = PROPAGATORS[name]().step(view(0, seed=1), view(1, seed=2), BOXES)
    assert not trust.any()
