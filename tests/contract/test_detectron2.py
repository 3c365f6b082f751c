"""The detectron2 adapter: conversions, a small fake, and the real library where it is installed.

The fake proves our logic, not compatibility; where the library is there, the same suite runs on a
small model of its own, and the fake's signatures are compared with it.
"""

from __future__ import annotations

import inspect
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vidal.detect import DetectOptions
from vidal.detect import detectron2_adapter as adapter
from vidal.detect import detectron2_files as files
from vidal.detect.detectron2_adapter import Detectron2Detector, Library
from vidal.detect.spec import DetectorSpec
from vidal.errors import InputError, UnknownName, UsageError, WeightsError
from vidal.protocols import Detector
from vidal.types import Frame, FrameRef

NAMES = ("car", "person", "tree")
FLOOR = DetectOptions(score_floor=0.05, precision="fp32")


# a fake with the public parts that are used


class Boxes:
    def __init__(self, tensor):
        self.tensor = tensor

    def __getitem__(self, rows):
        return Boxes(self.tensor[rows])


class Instances:
    def __init__(self, image_size, **fields):
        self.__dict__.update(image_size=image_size, **fields)

    def __len__(self):
        return len(next(iter(self.get_fields().values())).tensor)

    def get_fields(self):
        return {name: value for name, value in self.__dict__.items() if name != "image_size"}

    def __getitem__(self, rows):
        fields = {name: value[rows] for name, value in self.get_fields().items()}
        return Instances(self.image_size, **fields)


class ImageList:
    def __init__(self, tensor, image_sizes):
        self.tensor, self.image_sizes = tensor, image_sizes


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=4, padding=1)

    def forward(self, x):
        return {"p2": self.conv(x).tanh()}


class Proposals(nn.Module):
    def forward(self, images, features, gt_instances=None):
        found = []
        for height, width in images.image_sizes:
            x, y = torch.meshgrid(torch.arange(4), torch.arange(3), indexing="ij")
            low = torch.stack([x.flatten() * width / 4, y.flatten() * height / 3], dim=1)
            step = torch.tensor([width / 3.0, height / 2.0])
            boxes = Boxes(torch.cat([low, low + step], dim=1).float())
            found.append(Instances((height, width), proposal_boxes=boxes))
        return found, {}


class OutputLayers(nn.Module):
    def __init__(self, use_sigmoid_ce=False):
        super().__init__()
        self.cls_score, self.bbox_pred = nn.Linear(6, 4), nn.Linear(6, 4)
        self.use_sigmoid_ce, self.num_classes = use_sigmoid_ce, 3
        self.test_score_thresh, self.test_nms_thresh, self.test_topk_per_image = 0.2, 0.5, 100

    def forward(self, x):
        return self.cls_score(x), self.bbox_pred(x)

    def predict_probs(self, predictions, proposals):
        scores = predictions[0]
        probs = scores.sigmoid() if self.use_sigmoid_ce else scores.softmax(dim=1)
        return probs.split([len(each) for each in proposals])

    def inference(self, predictions, proposals):
        found, rows = [], []
        for probs, each in zip(self.predict_probs(predictions, proposals), proposals, strict=True):
            finite = probs.isfinite().all(dim=1)
            scores = probs[finite][:, :-1]
            row, label = (scores > self.test_score_thresh).nonzero().unbind(1)
            order = scores[row, label].argsort(descending=True)[: self.test_topk_per_image]
            row, label = row[order], label[order]
            boxes = Boxes(each.proposal_boxes.tensor[finite][row])
            fields = {"scores": scores[row, label], "pred_classes": label}
            found.append(Instances(each.image_size, pred_boxes=boxes, **fields))
            rows.append(row)
        return found, rows


class StandardHeads(nn.Module):
    def __init__(self, use_sigmoid_ce=False):
        super().__init__()
        self.box_in_features, self.num_classes = ["p2"], 3
        self.box_head = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.Tanh())
        self.box_predictor = OutputLayers(use_sigmoid_ce)

    def box_pooler(self, x, box_lists):
        pooled = []
        for features, boxes in zip(x[0], box_lists, strict=True):
            for x1, y1, x2, y2 in (boxes.tensor / 4).floor().long().tolist():
                pooled.append(features[:, y1 : y2 + 1, x1 : x2 + 1].mean(dim=(1, 2)))
        return torch.stack(pooled)[:, :, None, None]


class CascadeHeads(StandardHeads):
    pass


class RCNN(nn.Module):
    def __init__(self, heads=None, input_format="BGR"):
        super().__init__()
        self.backbone, self.proposal_generator = Backbone(), Proposals()
        self.roi_heads, self.input_format = heads or StandardHeads(), input_format
        self.register_buffer("pixel_mean", torch.tensor([103.0, 116.0, 123.0]).view(3, 1, 1), False)

    @property
    def device(self):
        return self.pixel_mean.device

    def preprocess_image(self, batched_inputs):
        images = [(each["image"] - self.pixel_mean) / 57 for each in batched_inputs]
        sizes = [tuple(each.shape[1:]) for each in images]
        return ImageList(torch.stack(images), sizes)


class Resize:
    def __init__(self, short_edge_length, max_size):
        self.size = short_edge_length[0]

    def get_transform(self, image):
        self.step = max(1, min(image.shape[:2]) // self.size)
        return self

    def apply_image(self, image):
        return image[:: self.step, :: self.step]


def postprocess(results, output_height, output_width):
    height, width = results.image_size
    ratio = torch.tensor([output_width / width, output_height / height] * 2)
    limit = torch.tensor([output_width, output_height] * 2)
    boxes = torch.minimum(results.pred_boxes.tensor * ratio, limit)
    results = Instances(results.image_size, **{**results.get_fields(), "pred_boxes": Boxes(boxes)})
    return results[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)]


FAKE = Library(RCNN, StandardHeads, CascadeHeads, OutputLayers, Resize, postprocess)


def spread(model):
    """Scores that differ, as a trained head's do."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight.normal_(std=2.0, generator=draw)


def fake(*, sigmoid=False, input_format="BGR"):
    torch.manual_seed(0)
    model = RCNN(StandardHeads(sigmoid), input_format)
    spread(model)
    return model, FAKE


# the real library, if it is there

CONFIG = """
MODEL:
  META_ARCHITECTURE: GeneralizedRCNN
  PIXEL_STD: [57.0, 57.0, 57.0]
  BACKBONE: {NAME: build_resnet_fpn_backbone, FREEZE_AT: 0}
  RESNETS: {DEPTH: 18, RES2_OUT_CHANNELS: 64, NORM: BN, OUT_FEATURES: [res2, res3, res4, res5]}
  FPN: {IN_FEATURES: [res2, res3, res4, res5], OUT_CHANNELS: 32, NORM: BN}
  ANCHOR_GENERATOR: {SIZES: [[16], [32], [64], [96], [128]]}
  RPN: {IN_FEATURES: [p2, p3, p4, p5, p6], POST_NMS_TOPK_TEST: 40}
  ROI_HEADS: {NAME: StandardROIHeads, IN_FEATURES: [p2, p3, p4, p5], NUM_CLASSES: 3,
              SCORE_THRESH_TEST: 0.2}
  ROI_BOX_HEAD: {NAME: FastRCNNConvFCHead, NUM_FC: 1, FC_DIM: 24, POOLER_RESOLUTION: 5}
INPUT: {MIN_SIZE_TEST: 96, MAX_SIZE_TEST: 200}
DATASETS: {TRAIN: [], TEST: []}
"""


def real_library():
    """Skips, with the reason, where detectron2 cannot be imported; fails if it is required."""
    try:
        return files.library()
    except UsageError as error:
        if os.environ.get("REQUIRE_DETECTRON2") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


def real_model(config: Path, **changes: Any):
    from detectron2.modeling import build_model

    settings = files.read_config(config)
    settings.MODEL.DEVICE = "cpu"
    settings.merge_from_list([each for pair in changes.items() for each in pair])
    torch.manual_seed(0)
    model = build_model(settings)
    if hasattr(getattr(model, "roi_heads", None), "box_predictor"):
        predictor = model.roi_heads.box_predictor
        if hasattr(predictor, "cls_score"):
            spread(model)
    return model


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)
    return file


KINDS = [
    pytest.param("fake", id="fake"),
    pytest.param("real", id="real", marks=pytest.mark.detectron2),
]


@pytest.fixture(params=KINDS)
def make(request, config):
    """A maker of (model, library); ``sigmoid`` and ``input_format`` as options."""
    if request.param == "fake":

        def made(*, sigmoid=False, input_format="BGR"):
            return fake(sigmoid=sigmoid, input_format=input_format)

        return made
    library = real_library()

    def built(*, sigmoid=False, input_format="BGR"):
        changes = {"MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": sigmoid, "INPUT.FORMAT": input_format}
        return real_model(config, **changes), library

    return built


def detector(made, *, classes=NAMES, options=FLOOR):
    model, library = made
    return Detectron2Detector(model, library, NAMES, classes, options, (96, 200))


def a_frame(seed, size=(96, 128)):
    coarse = np.random.default_rng(seed).integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
    image = np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)
    return Frame(FrameRef("clip", seed), np.ascontiguousarray(image))


FRAMES = [a_frame(0), a_frame(1, (120, 192)), a_frame(2)]


def test_it_offers_the_seam(make):
    assert isinstance(detector(make()), Detector)


def test_rows_are_sorted_in_the_frame_and_have_features(make):
    found = detector(make()).detect(FRAMES)
    assert found.scanned.tolist() == [True] * 3
    assert set(found.frame.tolist()) == {0, 1, 2}
    for position, frame in enumerate(FRAMES):
        boxes = found.boxes[found.on(position)]
        height, width = frame.image.shape[:2]
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()
    assert found.features.shape[1] in (6, 24)
    assert np.abs(found.features).sum() > 0
    assert found.embedding.shape[0] == 3
    assert np.abs(found.embedding).sum(axis=1).all()


def test_the_score_is_the_labels_own_entry_of_a_distribution(make):
    found = detector(make()).detect(FRAMES)
    assert len(found) > 3
    np.testing.assert_array_equal(found.probs[np.arange(len(found)), found.labels], found.scores)
    np.testing.assert_allclose(found.probs.sum(axis=1), 1, atol=1e-5)


def test_weak_detections_are_kept_below_the_models_own_threshold(make):
    found = detector(make()).detect(FRAMES)
    assert found.scores.min() < 0.2
    strong = replace(FLOOR, score_floor=0.4)
    weak = found.scores > 0.4
    assert detector(make(), options=strong).detect(FRAMES).scores.tolist() == pytest.approx(
        found.scores[weak].tolist(), abs=1e-6
    )


def test_a_subset_of_classes_leaves_its_mass_to_the_background(make):
    every = detector(make()).detect(FRAMES)
    some = detector(make(), classes=("tree", "car")).detect(FRAMES)
    kept = every.keep(every.labels != 1)
    np.testing.assert_allclose(some.boxes, kept.boxes, atol=1e-3)
    np.testing.assert_array_equal(some.labels, np.array([1, -1, 0])[kept.labels])
    np.testing.assert_allclose(some.probs[:, :2], kept.probs[:, [2, 0]], atol=1e-6)
    np.testing.assert_allclose(some.probs.sum(axis=1), 1, atol=1e-5)
    with pytest.raises(UnknownName):
        detector(make(), classes=("dog",))


def test_frames_do_not_influence_each_other(make):
    mine = detector(make())
    together = mine.detect(FRAMES)
    for position, frame in enumerate(FRAMES):
        alone = mine.detect([frame])
        rows = together.on(position)
        np.testing.assert_allclose(alone.boxes, together.boxes[rows], atol=1e-3)
        np.testing.assert_allclose(alone.scores, together.scores[rows], atol=1e-5)
    assert mine.detect(FRAMES) == together


def test_no_frames_give_an_empty_table_of_the_right_widths(make):
    mine = detector(make())
    nothing, something = mine.detect([]), mine.detect(FRAMES[:1])
    assert nothing.frames == 0
    assert nothing.features.shape[1] == something.features.shape[1]
    assert nothing.embedding.shape[1] == something.embedding.shape[1]


def test_a_model_gets_its_own_channel_order(make):
    model, library = make(input_format="BGR")
    seen = {}
    original = model.preprocess_image
    model.preprocess_image = lambda inputs: seen.update(inputs[0]) or original(inputs)
    image = np.zeros((96, 128, 3), np.uint8)
    image[:, :, 0] = 200
    detector((model, library)).detect([Frame(FrameRef("clip", 0), image)])
    assert seen["image"].mean(dim=(1, 2)).tolist() == [0, 0, 200]
    assert (seen["height"], seen["width"]) == (96, 128)
    model.input_format = "RGB"
    detector((model, library)).detect([Frame(FrameRef("clip", 0), image)])
    assert seen["image"].mean(dim=(1, 2)).tolist() == [200, 0, 0]


def test_scores_of_a_sigmoid_head_become_a_distribution(make):
    found = detector(make(sigmoid=True)).detect(FRAMES)
    assert len(found) > 3
    np.testing.assert_allclose(found.probs.sum(axis=1), 1, atol=1e-5)
    own = found.probs[np.arange(len(found)), found.labels]
    assert (own <= found.scores + 1e-6).all()


def test_outputs_that_are_not_finite_are_refused(make):
    model, library = make()
    inner = model.roi_heads.box_predictor.forward

    def broken(x):
        scores, deltas = inner(x)
        scores = scores.clone()
        scores[0] = float("nan")
        return scores, deltas

    model.roi_heads.box_predictor.forward = broken
    with pytest.raises(WeightsError, match="does not give finite values"):
        detector((model, library)).detect(FRAMES)


def test_the_key_follows_classes_and_options(make):
    first = detector(make()).key
    assert first == detector(make()).key
    assert first != detector(make(), classes=("car",)).key
    assert first != detector(make(), options=replace(FLOOR, score_floor=0.1)).key


def test_training_and_other_precisions_are_refused(make):
    mine = detector(make())
    with pytest.raises(UsageError, match="does not train models of detectron2"):
        mine.fit([], np.random.default_rng(0))
    with pytest.raises(UsageError, match="does not train models of detectron2"):
        mine.with_classes(("car",), np.random.default_rng(0))
    with pytest.raises(UsageError, match="fp32"):
        detector(make(), options=replace(FLOOR, precision="bf16"))


# other models are refused by name


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (nn.Linear(1, 1), "the model is a Linear"),
        (RCNN(CascadeHeads()), "ROI heads are CascadeHeads"),
        (RCNN(nn.Identity()), "ROI heads are Identity"),
        (RCNN(input_format="L"), "input format is L"),
    ],
)
def test_other_kinds_of_models_are_refused_by_name(model, why):
    with pytest.raises(UsageError, match=why):
        adapter.check_model(model, FAKE)


@pytest.mark.detectron2
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {
                "MODEL.ROI_HEADS.NAME": "CascadeROIHeads",
                "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True,
            },
            "ROI heads are CascadeROIHeads",
        ),
        (
            {
                "MODEL.META_ARCHITECTURE": "RetinaNet",
                "MODEL.BACKBONE.NAME": "build_retinanet_resnet_fpn_backbone",
                "MODEL.RETINANET.IN_FEATURES": ["p3", "p4", "p5", "p6", "p7"],
                "MODEL.RESNETS.OUT_FEATURES": ["res3", "res4", "res5"],
                "MODEL.FPN.IN_FEATURES": ["res3", "res4", "res5"],
            },
            "the model is a RetinaNet",
        ),
    ],
)
def test_other_kinds_of_real_models_are_refused_by_name(config, changes, why):
    library = real_library()
    with pytest.raises(UsageError, match=why):
        adapter.check_model(real_model(config, **changes), library)


# the real library only


@pytest.mark.detectron2
def test_boxes_and_scores_are_those_of_the_stock_model(config):
    library = real_library()
    model = real_model(config)
    mine = detector((model, library))
    for frame in FRAMES:
        found = mine.detect([frame])
        resized = library.resize([96, 96], 200)
        bgr = np.ascontiguousarray(frame.image[:, :, ::-1])
        pixels = resized.get_transform(bgr).apply_image(bgr).astype("float32").transpose(2, 0, 1)
        height, width = frame.image.shape[:2]
        inputs = {"image": torch.as_tensor(pixels), "height": height, "width": width}
        with torch.no_grad():
            stock = model([inputs])[0]["instances"]
        assert len(found) == len(stock) > 0
        np.testing.assert_array_equal(found.boxes, stock.pred_boxes.tensor.numpy())
        np.testing.assert_array_equal(found.scores, stock.scores.numpy())
        np.testing.assert_array_equal(found.labels, stock.pred_classes.numpy())


@pytest.mark.detectron2
def test_a_model_is_loaded_by_name_with_its_own_files(config, tmp_path):
    real_library()
    weights = tmp_path / "model_final.pth"
    torch.save({"model": real_model(config).state_dict(), "iteration": 9}, weights)
    spec = DetectorSpec("detectron2", weights, NAMES, device="cpu", options=FLOOR, config=config)
    spec.check()
    loaded = spec.load()
    assert loaded.classes == NAMES
    expected = detector((real_model(config), files.library())).detect(FRAMES)
    assert loaded.detect(FRAMES) == expected
    with pytest.raises(UsageError, match="scores 3 classes and does not name them"):
        replace(spec, classes=None).load()
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG.replace("NUM_CLASSES: 3", "NUM_CLASSES: 5"))
    with pytest.raises(WeightsError, match="not weights of this configuration"):
        replace(spec, config=other).load()
    other.write_text(CONFIG + "NO_SUCH_KEY: 1\n")
    with pytest.raises(InputError, match="not a configuration of detectron2"):
        replace(spec, config=other).load()


@pytest.mark.detectron2
def test_the_fake_has_the_signatures_of_the_library(config):
    library = real_library()
    model = real_model(config)
    theirs = model.roi_heads.box_predictor
    pairs = [
        (RCNN.preprocess_image, type(model).preprocess_image),
        (Proposals.forward, type(model.proposal_generator).forward),
        (OutputLayers.forward, type(theirs).forward),
        (OutputLayers.inference, type(theirs).inference),
        (OutputLayers.predict_probs, type(theirs).predict_probs),
        (StandardHeads.box_pooler, type(model.roi_heads.box_pooler).forward),
    ]
    for mine, real in pairs:
        assert list(inspect.signature(mine).parameters) == list(inspect.signature(real).parameters)
    resize = list(inspect.signature(library.resize.__init__).parameters)
    assert list(inspect.signature(Resize.__init__).parameters) == resize[:3]
    assert (
        list(inspect.signature(postprocess).parameters)
        == list(inspect.signature(library.postprocess).parameters)[:3]
    )
    for name in ("test_score_thresh", "test_nms_thresh", "test_topk_per_image", "use_sigmoid_ce"):
        assert hasattr(theirs, name)
    assert hasattr(model.roi_heads, "num_classes")
