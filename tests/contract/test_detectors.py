"""What every detector of the table has to hold, with real weights files and without a network.

A new entry of ``vidal.detect.DETECTORS`` has to join ``LOADERS``, or this suite fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from vidal.detect import DETECTORS, DetectOptions, TrainOptions, fresh_detector, load_detector
from vidal.detect.faster_rcnn import FasterRCNNDetector
from vidal.protocols import Detector
from vidal.types import Detections, Frame, FrameRef, Sample

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


def a_frame(seed: int, size: tuple[int, int] = (96, 128)) -> Frame:
    rng = default_rng(seed)
    coarse = rng.integers(0, 256, (size[0] // 16 + 1, size[1] // 16 + 1, 3), dtype=np.uint8)
    image = np.repeat(np.repeat(coarse, 16, axis=0), 16, axis=1)[: size[0], : size[1]]
    return Frame(FrameRef("clip", seed), np.ascontiguousarray(image))


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return [a_frame(0), a_frame(1), a_frame(2, (64, 200)), a_frame(3), a_frame(4, (150, 200))]


@pytest.fixture(scope="module")
def found(detector: FasterRCNNDetector, frames: list[Frame]) -> Detections:
    return detector.detect(frames)


def assert_close(first: Detections, second: Detections) -> None:
    np.testing.assert_array_equal(first.frame, second.frame)
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-3)
    np.testing.assert_allclose(first.boxes, second.boxes, atol=0.05)
    np.testing.assert_allclose(first.embedding, second.embedding, atol=1e-3, rtol=1e-3)


def test_every_entry_of_the_table_is_in_this_suite() -> None:
    elsewhere = {"detectron2"}  # optional: test_detectron2.py runs a suite of its own
    assert set(LOADERS) | elsewhere == set(DETECTORS)


def test_it_offers_the_seam(detector: FasterRCNNDetector) -> None:
    assert isinstance(detector, Detector)
    assert len(set(detector.classes)) == len(detector.classes) > 1


def test_all_frames_are_scanned_and_rows_sorted(found: Detections, frames: list[Frame]) -> None:
    assert found.scanned.tolist() == [True] * len(frames)
    assert (np.diff(found.frame) >= 0).all()


def test_scores_are_the_labels_own_entry_of_a_distribution(
    detector: FasterRCNNDetector, found: Detections
) -> None:
    assert len(found) > 0
    assert found.classes == detector.classes
    assert found.probs.shape == (len(found), len(detector.classes) + 1)
    np.testing.assert_allclose(found.probs.sum(axis=1), 1, atol=1e-5)
    own = found.probs[np.arange(len(found)), found.labels]
    np.testing.assert_array_equal(own, found.scores)
    assert (found.scores > detector.options.score_floor).all()


def test_scores_fall_within_a_frame(found: Detections) -> None:
    for index in range(found.frames):
        assert (np.diff(found.scores[found.on(index)]) <= 0).all()


def test_boxes_lie_inside_their_own_image(found: Detections, frames: list[Frame]) -> None:
    sizes = np.array([frame.image.shape[1::-1] for frame in frames])[found.frame]
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2:] <= sizes).all()


def test_features_and_embeddings_are_finite_and_wide(found: Detections) -> None:
    assert found.features.dtype == np.float16
    assert found.features.shape[1] >= 64
    assert np.isfinite(found.features).all()
    assert found.embedding.shape[1] >= 64
    assert found.embedding.std(axis=0).max() > 0


def test_a_batch_gives_what_its_frames_give_alone(
    detector: FasterRCNNDetector, found: Detections, frames: list[Frame]
) -> None:
    alone = [detector.detect([frame]) for frame in frames]
    joined = Detections.gather(
        alone, range(len(frames)), frames=len(frames), classes=detector.classes
    )
    assert_close(found, joined)


def test_the_same_frames_give_the_same_table(
    detector: FasterRCNNDetector, found: Detections, frames: list[Frame]
) -> None:
    assert detector.detect(frames) == found


def test_no_frames_give_an_empty_table_of_the_same_widths(
    detector: FasterRCNNDetector, found: Detections
) -> None:
    nothing = detector.detect([])
    assert nothing.frames == len(nothing) == 0
    assert nothing.features.shape[1] == found.features.shape[1]
    assert nothing.embedding.shape[1] == found.embedding.shape[1]


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


def test_its_key_is_plain_values_and_repeats(detector: FasterRCNNDetector) -> None:
    assert json.loads(json.dumps(detector.key)) == detector.key
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
