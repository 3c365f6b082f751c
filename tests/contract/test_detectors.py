"""What every detector of the table has to hold, with real weights files and without a network.

A new entry of ``vidal.detect.DETECTORS`` has to join ``LOADERS``, or this suite fails.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from vidal.detect import DETECTORS, DetectOptions, TrainOptions, fresh_detector, load_detector
from vidal.detect.faster_rcnn import FasterRCNNDetector
from vidal.testing import DetectorContract
from vidal.testing.detectors import a_frame
from vidal.types import Detections, Frame, Sample

FIVE = ("person", "bicycle", "car", "bus", "dog")
FP32 = DetectOptions(precision="fp32", score_floor=0.3)
FAINT = DetectOptions(precision="fp32", score_floor=0.003)
"""For trained networks, which see next to nothing in coloured blocks."""
SHORT = TrainOptions(epochs=1, batch=1, precision="fp32", freeze_norm=True, anchors=32, rois=32)


def spread(detector: FasterRCNNDetector) -> None:
    """Activations and scores of random weights that differ by more than rounding."""
    draw = torch.Generator().manual_seed(1)
    network = detector.network
    for norm in (each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)):
        norm.momentum = 0.5
    with torch.no_grad():
        network.backbone.train()
        for _ in range(6):
            network.backbone(torch.randn(2, 3, 64, 64, generator=draw))
        network.eval()
        network.rpn.head.cls_logits.weight.normal_(std=0.05, generator=draw)
        typical = np.abs(detector.detect([a_frame(9)]).features.astype(np.float32)).sum(axis=1)
        spread_of_logits = 20 / float(typical.mean())
        network.roi_heads.box_predictor.cls_score.weight.normal_(
            std=spread_of_logits, generator=draw
        )


def from_state_dict(name: str, folder: Path) -> FasterRCNNDetector:
    """A torchvision network through ``--weights``: a plain state dict that torch saved."""
    file = folder / f"{name}.pth"
    every = DetectOptions(precision="fp32", score_floor=0.0)
    random = quick(fresh_detector(name, FIVE, default_rng(0), device="cpu", options=every))
    spread(random)
    torch.save(random.network.state_dict(), file)
    return load_detector(
        name, weights=file, classes=FIVE, device="cpu", options=FP32, training=SHORT
    )


def shipped(name: str, folder: Path) -> FasterRCNNDetector:
    return load_detector(name, device="cpu", options=FAINT, training=SHORT)


def any_file(name: str, folder: Path) -> FasterRCNNDetector:
    """``auto`` with a checkpoint of some of the classes."""
    load_detector("scenes-tiny", device="cpu").save(folder / "mine.safetensors")
    return load_detector(
        name,
        weights=folder / "mine.safetensors",
        classes=("wheelchair", "car"),
        device="cpu",
        options=FAINT,
        training=SHORT,
    )


LOADERS: dict[str, Callable[[str, Path], FasterRCNNDetector]] = {
    "auto": any_file,
    "fasterrcnn-mobilenet-320": from_state_dict,
    "fasterrcnn-resnet50-v2": from_state_dict,
    "scenes-day": shipped,
    "scenes-tiny": shipped,
}


@pytest.fixture(scope="module", params=LOADERS)
def detector(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> FasterRCNNDetector:
    made = LOADERS[request.param](request.param, tmp_path_factory.mktemp("weights"))
    return quick(made)


def quick(detector: FasterRCNNDetector) -> FasterRCNNDetector:
    """What is tested holds at any size and number of proposals; these take little time."""
    network = detector.network
    network.transform.min_size = (96,)
    for limits in (network.rpn._pre_nms_top_n, network.rpn._post_nms_top_n):
        limits.update(training=60, testing=60)
    return detector


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return [a_frame(0), a_frame(1), a_frame(2, (64, 200)), a_frame(3), a_frame(4, (150, 200))]


@pytest.fixture(scope="module")
def found(detector: FasterRCNNDetector, frames: list[Frame]) -> Detections:
    return detector.detect(frames)


class TestEveryDetector(DetectorContract):
    """The suite that vidal ships, for each entry of the table."""

    @pytest.fixture(scope="class")
    @classmethod
    def detector(cls, detector: FasterRCNNDetector) -> FasterRCNNDetector:
        return detector


def test_scores_lie_above_the_floor_and_classes_are_several(
    detector: FasterRCNNDetector, found: Detections
) -> None:
    assert (found.scores > detector.options.score_floor).all()
    own = found.probs[np.arange(len(found)), found.labels]
    np.testing.assert_array_equal(own, found.scores)
    assert len(detector.classes) > 1


def test_every_entry_of_the_table_is_in_this_suite() -> None:
    elsewhere = {"detectron2"}  # optional: test_detectron2.py runs a suite of its own
    assert set(LOADERS) | elsewhere == set(DETECTORS)


def test_features_and_embeddings_are_finite_and_wide(found: Detections) -> None:
    assert found.features.dtype == np.float16
    assert found.features.shape[1] >= 64
    assert np.isfinite(found.features).all()
    assert found.embedding.shape[1] >= 64
    assert found.embedding.std(axis=0).max() > 0


def test_a_frame_with_nothing_is_scanned_all_the_same(detector: FasterRCNNDetector) -> None:
    strict = type(detector)(
        detector.architecture,
        detector.network,
        detector.outputs,
        detector.classes,
        DetectOptions(precision="fp32", score_floor=0.99999),
        detector.training,
    )
    empty = strict.detect([a_frame(0)])
    assert len(empty) == 0
    assert empty.scanned.tolist() == [True]
    assert empty.embedding.shape[0] == 1


def test_its_key_names_its_classes(detector: FasterRCNNDetector) -> None:
    assert detector.key["classes"] == list(detector.classes)


def test_fitting_gives_a_new_detector_and_leaves_this_one(
    detector: FasterRCNNDetector, found: Detections, frames: list[Frame]
) -> None:
    key = dict(detector.key)
    some = Sample(
        frames[0].image,
        np.array([[10, 10, 60, 60], [70, 20, 120, 90]], np.float32),
        np.array([1, -1]),
        np.zeros(2, np.bool_),
    )
    fitted = detector.fit([some], default_rng(0))
    assert fitted.classes == detector.classes
    assert fitted.key["weights"] != key["weights"]
    detector._cache.pop("weights")
    assert detector.key == key
    assert detector.detect(frames) == found
    assert fitted.detect(frames[:1]).scanned.tolist() == [True]
