"""What every detector has to satisfy: vidal's own pass this suite, and yours can, too.

from vidal.testing import DetectorContract

class TestMine(DetectorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def detector(cls):
        return load(weights=None, classes=None, device="cpu", options=DetectOptions())
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from vidal.protocols import Detector
from vidal.types import Detections, Frame, FrameRef


def a_frame(seed: int, size: tuple[int, int] = (96, 128)) -> Frame:
    """Coloured blocks, (height, width) = ``size``."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (size[0] // 16 + 1, size[1] // 16 + 1, 3), dtype=np.uint8)
    image = np.repeat(np.repeat(coarse, 16, axis=0), 16, axis=1)[: size[0], : size[1]]
    return Frame(FrameRef("clip", seed), np.ascontiguousarray(image))


def assert_close(first: Detections, second: Detections) -> None:
    """The same rows, but for what rounding does."""
    np.testing.assert_array_equal(first.frame, second.frame)
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-3)
    np.testing.assert_allclose(first.boxes, second.boxes, atol=0.05)
    np.testing.assert_allclose(first.embedding, second.embedding, atol=1e-3, rtol=1e-3)


class DetectorContract:
    """Subclass it as ``Test...`` with a fixture ``detector``, and let pytest run it.

    Frames of your own, in which it finds something, come from a fixture ``frames``.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def detector(cls) -> Detector:
        """The detector."""
        raise TypeError("a contract names its detector: define the fixture detector()")

    @pytest.fixture(scope="class")
    @classmethod
    def frames(cls) -> list[Frame]:
        """Frames of several sizes."""
        sizes = ((96, 128), (96, 128), (64, 200), (96, 128), (150, 200))
        return [a_frame(seed, size) for seed, size in enumerate(sizes)]

    @pytest.fixture(scope="class")
    @classmethod
    def found(cls, detector: Detector, frames: list[Frame]) -> Detections:
        """What it finds in all of them at once."""
        return detector.detect(frames)

    def test_it_offers_the_seam(self, detector: Detector) -> None:
        assert isinstance(detector, Detector)
        assert len(set(detector.classes)) == len(detector.classes) >= 1

    def test_all_frames_are_scanned_and_rows_sorted(
        self, found: Detections, frames: list[Frame]
    ) -> None:
        assert found.scanned.tolist() == [True] * len(frames)
        assert (np.diff(found.frame) >= 0).all()

    def test_scores_are_the_labels_own_entry_of_a_distribution(
        self, detector: Detector, found: Detections
    ) -> None:
        assert len(found) > 0, "it finds nothing in these frames: give others by `frames`"
        assert found.classes == tuple(detector.classes)
        assert found.probs.shape == (len(found), len(detector.classes) + 1)
        np.testing.assert_allclose(found.probs.sum(axis=1), 1, atol=1e-5)
        own = found.probs[np.arange(len(found)), found.labels]
        np.testing.assert_allclose(own, found.scores, atol=1e-6)

    def test_scores_fall_within_a_frame(self, found: Detections) -> None:
        for index in range(found.frames):
            assert (np.diff(found.scores[found.on(index)]) <= 0).all()

    def test_boxes_lie_inside_their_own_image(self, found: Detections, frames: list[Frame]) -> None:
        sizes = np.array([frame.image.shape[1::-1] for frame in frames])[found.frame]
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 2:] <= sizes).all()

    def test_a_batch_gives_what_its_frames_give_alone(
        self, detector: Detector, found: Detections, frames: list[Frame]
    ) -> None:
        alone = [detector.detect([frame]) for frame in frames]
        classes = tuple(detector.classes)
        joined = Detections.gather(alone, range(len(frames)), frames=len(frames), classes=classes)
        assert_close(found, joined)

    def test_the_same_frames_give_the_same_table(
        self, detector: Detector, found: Detections, frames: list[Frame]
    ) -> None:
        assert detector.detect(frames) == found

    def test_no_frames_give_an_empty_table_of_the_same_widths(
        self, detector: Detector, found: Detections
    ) -> None:
        nothing = detector.detect([])
        assert nothing.frames == len(nothing) == 0
        assert nothing.features.shape[1] == found.features.shape[1]
        assert nothing.embedding.shape[1] == found.embedding.shape[1]

    def test_its_key_is_plain_values_and_repeats(self, detector: Detector) -> None:
        assert json.loads(json.dumps(dict(detector.key))) == dict(detector.key)
