"""Partial execution against torchvision's own forward, and what a detector must not change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from vidal.detect import DetectOptions, TrainOptions, fresh_detector
from vidal.detect.architectures import ARCHITECTURES
from vidal.detect.faster_rcnn import FasterRCNNDetector, narrowed
from vidal.detect.preprocess import network_size, padded_size, prepare
from vidal.types import Frame, FrameRef, Sample

CLASSES = ("car", "pedestrian", "cyclist")
CPU = torch.device("cpu")


def a_frame(index: int = 0, size: tuple[int, int] = (96, 128), seed: int | None = None) -> Frame:
    rng = default_rng(index if seed is None else seed)
    small = rng.integers(0, 256, (size[0] // 8 + 1, size[1] // 8 + 1, 3), dtype=np.uint8)
    image = np.repeat(np.repeat(small, 8, axis=0), 8, axis=1)[: size[0], : size[1]]
    return Frame(FrameRef("clip", index), np.ascontiguousarray(image))


def a_detector(
    name: str = "scenes-tiny", height: int = 96, **options: object
) -> FasterRCNNDetector:
    detector = fresh_detector(
        name,
        CLASSES,
        default_rng(3),
        device="cpu",
        options=DetectOptions(**{"precision": "fp32", **options}),  # type: ignore[arg-type]
        training=TrainOptions(epochs=1, batch=2, precision="fp32"),
    )
    detector.network.transform.min_size = (height,)
    return detector


def awake(detector: FasterRCNNDetector) -> FasterRCNNDetector:
    """Random weights whose activations and scores spread, so that no ranking hangs on rounding."""
    network, draw = detector.network, torch.Generator().manual_seed(1)
    network.rpn._post_nms_top_n.update(testing=100)
    norms = [each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 0.5
    batch, _ = prepare([a_frame(n, (72, 112)).image for n in range(4)], network.transform, CPU)
    with torch.no_grad():
        network.backbone.train()
        for _ in range(8):
            network.backbone(batch)
        network.eval()
        layers = [network.rpn.head.cls_logits, network.rpn.head.bbox_pred]
        layers += list(network.roi_heads.box_predictor.children())
        for layer in layers:
            layer.weight.normal_(std=2.0 / layer.weight[0].numel() ** 0.5, generator=draw)
        layers[1].weight *= 0.2
    return detector


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_boxes_and_scores_are_those_of_torchvisions_own_forward(name: str) -> None:
    detector = awake(a_detector(name, score_floor=0.2, overlap=0.5, per_class=300))
    heads = detector.network.roi_heads
    heads.score_thresh, heads.nms_thresh, heads.detections_per_img = 0.2, 0.5, 300
    frame = a_frame(size=(72, 112))
    found = detector.detect([frame])
    pixels = torch.from_numpy(frame.image.copy()).permute(2, 0, 1).float() / 255
    with torch.inference_mode():
        stock = {name: each.numpy() for name, each in detector.network([pixels])[0].items()}
    assert len(found) == len(stock["scores"]) > 10
    np.testing.assert_allclose(found.scores, stock["scores"], atol=1e-4)
    np.testing.assert_array_equal(found.labels + 1, stock["labels"])
    np.testing.assert_allclose(found.boxes, stock["boxes"], atol=0.05)


def test_a_batch_is_prepared_as_torchvision_prepares_it() -> None:
    detector = a_detector(height=96)
    frames = [a_frame(n, (150, 200)) for n in range(2)]
    batch, size = prepare(
        [frame.image for frame in frames], detector.network.transform, detector.device
    )
    pixels = [torch.from_numpy(f.image.copy()).permute(2, 0, 1).float() / 255 for f in frames]
    theirs, _ = detector.network.transform(pixels)
    assert size == theirs.image_sizes[0] == (96, 128)
    torch.testing.assert_close(batch, theirs.tensors, atol=1e-5, rtol=0)


def test_sizes_follow_the_short_side_unless_the_long_one_gets_too_long() -> None:
    transform = a_detector(height=300).network.transform
    assert network_size((300, 480), transform) == (300, 480)
    assert network_size((720, 1280), transform) == (300, 533)
    assert network_size((300, 1200), transform) == (150, 600)
    assert padded_size((300, 533), transform) == (320, 544)


def test_features_and_distribution_belong_to_the_kept_proposal() -> None:
    detector = a_detector()
    found = detector.detect([a_frame()])
    predictor = detector.network.roi_heads.box_predictor
    logits, _ = predictor(torch.from_numpy(found.features.astype(np.float32)))
    again = torch.softmax(logits, dim=1)
    # features are kept in half precision
    np.testing.assert_allclose(found.probs, again[:, [1, 2, 3, 0]].numpy(), atol=2e-3)


def test_the_embedding_averages_each_level_of_the_pyramid() -> None:
    detector = a_detector()
    frame = a_frame()
    batch, _ = prepare([frame.image], detector.network.transform, detector.device)
    with torch.inference_mode():
        maps = detector.network.backbone(batch)
    expected = torch.cat([each.mean(dim=(2, 3)) for each in maps.values()], dim=1)
    found = detector.detect([frame])
    assert found.embedding.shape == (1, 4 * 64)
    np.testing.assert_allclose(found.embedding, expected, atol=1e-5)


def test_narrowing_keeps_the_logits_of_background_and_the_kept_classes() -> None:
    detector = a_detector()
    features = torch.randn(5, 192, generator=torch.Generator().manual_seed(0))
    logits, boxes = detector.network.roi_heads.box_predictor(features)
    small = narrowed(detector.network, torch.tensor([3, 1]))
    mine, moved = small.roi_heads.box_predictor(features)
    torch.testing.assert_close(mine, logits[:, [0, 3, 1]])
    torch.testing.assert_close(moved.view(5, 3, 4), boxes.view(5, 4, 4)[:, [0, 3, 1]])


def test_known_classes_keep_their_weights_when_others_join() -> None:
    detector = a_detector()
    wider = detector.with_classes(("bus", "cyclist"), default_rng(0))
    features = torch.randn(5, 192, generator=torch.Generator().manual_seed(0))
    logits, _ = detector.network.roi_heads.box_predictor(features)
    mine, _ = wider.network.roi_heads.box_predictor(features)
    torch.testing.assert_close(mine[:, [0, 2]], logits[:, [0, 3]])
    assert wider.classes == wider.outputs == ("bus", "cyclist")
    assert detector.classes == CLASSES


def test_random_weights_come_from_the_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = fresh_detector("scenes-tiny", CLASSES, default_rng(5), device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = fresh_detector("scenes-tiny", CLASSES, default_rng(5), device="cpu")
    other = fresh_detector("scenes-tiny", CLASSES, default_rng(6), device="cpu")
    assert first.key == second.key
    assert first.key["weights"] != other.key["weights"]


def test_the_key_tells_weights_classes_and_options_apart() -> None:
    keys = [
        a_detector().key,
        a_detector(score_floor=0.1).key,
        a_detector(precision="bf16").key,
    ]
    assert keys[0] == a_detector().key
    assert len({str(key) for key in keys}) == 3


def test_a_blank_patch_of_the_training_image_is_no_reason_to_fail() -> None:
    detector = a_detector()
    nothing = Sample(
        a_frame().image,
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.int64),
        np.zeros(0, np.bool_),
    )
    fitted = detector.fit([nothing] * 3, default_rng(0))
    assert fitted.classes == CLASSES
    assert fitted.key["weights"] != detector.key["weights"]


def test_the_last_layer_gives_the_logits_behind_the_distribution() -> None:
    detector = replace(awake(a_detector()), classes=("pedestrian", "car"), _cache={})
    found = detector.detect([a_frame(seed) for seed in range(6)])
    weight, offset = detector.class_layer()
    assert weight.shape == (found.features.shape[1], 2)
    logits = found.features.astype(np.float32) @ weight + offset
    ratio = logits[:, 0] - logits[:, 1]
    assert len(found)
    np.testing.assert_allclose(ratio, np.log(found.probs[:, 0] / found.probs[:, 1]), atol=0.05)


def test_every_detection_says_how_many_boxes_it_stands_for() -> None:
    detector = awake(a_detector())
    frames = [a_frame(seed) for seed in range(6)]
    found = detector.detect(frames)
    assert found.suppressed.shape == (len(found),)
    assert (found.suppressed >= 1).all()
    assert found.suppressed.max() > 1
    one = detector.detect(frames[2:3])
    np.testing.assert_array_equal(one.suppressed, found.suppressed[found.frame == 2])
