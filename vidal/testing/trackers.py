"""What every tracker has to satisfy: vidal's own pass this suite, and yours can, too.

from vidal.testing import TrackerContract

class TestMine(TrackerContract):
    def make(self):
        return Mine()
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import cv2
import numpy as np
import pytest

from vidal.protocols import Propagator
from vidal.types import FloatArray, Frame, FrameRef

BOXES: FloatArray = np.array(
    [[60, 60, 100, 90], [10, 20, 30, 60], [250, 130, 330, 200]], dtype=np.float32
)
"""Three boxes of ``view``; the last reaches over the edge of the picture."""


def view(index: int, *, seed: int = 0) -> Frame:
    """A textured ground that moves by (3, 0) px a frame, 180 x 320 px."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.normal(size=(180, 400)).astype(np.float32), (0, 0), 3)
    low, high = ground.min(), ground.max()
    grey = ((ground - low) * (255 / (high - low)))[:, 60 - 3 * index : 380 - 3 * index]
    return Frame(FrameRef("a", index), np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2))


class TrackerContract:
    """Subclass it as ``Test...``, say how the tracker is made, and let pytest run it.

    Attributes:
        follows: False where it does not see motion.
        stays_within: pixels by which a box may move where nothing does.
        follows_within: pixels by which it may miss a ground that moves by three.
    """

    follows: ClassVar[bool] = True
    stays_within: ClassVar[float] = 0.2
    follows_within: ClassVar[float] = 0.5

    def make(self) -> Propagator:
        """The tracker; equal each time."""
        raise TypeError("a contract names its tracker: define make()")

    def test_it_is_a_propagator_made_of_its_options(self) -> None:
        made = self.make()
        assert isinstance(made, Propagator)
        assert dataclasses.is_dataclass(type(made))
        assert hash(made) == hash(self.make())
        assert made == self.make()

    def test_boxes_and_trust_have_their_shapes_and_ranges(self) -> None:
        moved, trust = self.make().step(view(0), view(1), BOXES)
        assert moved.shape == (3, 4)
        assert trust.shape == (3,)
        assert moved.dtype == trust.dtype == np.float32
        assert ((trust >= 0) & (trust <= 1)).all()
        assert np.isfinite(moved).all()

    def test_no_boxes_are_no_boxes(self) -> None:
        moved, trust = self.make().step(view(0), view(1), np.zeros((0, 4), dtype=np.float32))
        assert moved.shape == (0, 4)
        assert trust.shape == (0,)

    def test_inputs_are_left_as_they_are(self) -> None:
        before, after, boxes = view(0), view(1), BOXES.copy()
        self.make().step(before, after, boxes)
        np.testing.assert_array_equal(boxes, BOXES)
        np.testing.assert_array_equal(before.image, view(0).image)
        np.testing.assert_array_equal(after.image, view(1).image)

    def test_the_same_step_gives_the_same_boxes(self) -> None:
        tracker = self.make()
        one, two = (tracker.step(view(0), view(1), BOXES) for _ in range(2))
        for first, second in zip(one, two, strict=True):
            np.testing.assert_array_equal(first, second)

    def test_boxes_are_independent_of_each_other(self) -> None:
        tracker = self.make()
        together, _ = tracker.step(view(0), view(1), BOXES)
        alone = [tracker.step(view(0), view(1), BOXES[i : i + 1])[0] for i in range(3)]
        np.testing.assert_allclose(together, np.concatenate(alone), rtol=0, atol=1e-4)

    def test_identical_frames_leave_boxes_where_they_are(self) -> None:
        moved, trust = self.make().step(view(0), dataclasses.replace(view(0)), BOXES)
        np.testing.assert_allclose(moved, BOXES, atol=self.stays_within)
        assert (trust > 0).all()

    @pytest.mark.parametrize(("before", "after", "dx"), [(0, 1, 3), (1, 0, -3), (2, 5, 9)])
    def test_boxes_follow_the_ground_in_either_direction_of_time(
        self, before: int, after: int, dx: int
    ) -> None:
        if not self.follows:
            pytest.skip("follows = False")
        inside = BOXES[:1]
        moved, trust = self.make().step(view(before), view(after), inside)
        shift = np.array([dx, 0, dx, 0], dtype=np.float32)
        np.testing.assert_allclose(moved, inside + shift, atol=self.follows_within)
        assert (trust > 0).all()
