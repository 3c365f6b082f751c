"""``scenes-tiny``: a small Faster R-CNN for frames 300 pixels high, where objects are small.

Strides 4 to 32 (torchvision's MobileNet variant has stride-32 maps only, too coarse for objects of
17 pixels), one anchor size a level, and a light box head. 1.4 million weights.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from vidal.detect.vision import (
    AnchorGenerator,
    FasterRCNN,
    FeaturePyramidNetwork,
    MultiScaleRoIAlign,
    RPNHead,
)

HEIGHT = 300
"""The short side of the images it looks at, in pixels."""

_WIDTHS = (24, 48, 96, 128, 160)
_PYRAMID = 64
_HIDDEN = 192
_POOL = 5
_ANCHORS = ((11,), (22,), (44,), (96,))
_RATIOS = (0.6, 1.2, 2.4)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Stage(nn.Module):
    """Halves the resolution, then one residual convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = _conv(inputs, outputs, 2)
        self.refine = _conv(outputs, outputs)

    def forward(self, images: Tensor) -> Tensor:
        images = self.down(images)
        return images + self.refine(images)


class SmallPyramid(nn.Module):
    """Four convolutional stages and a feature pyramid on strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.out_channels = _PYRAMID
        self.stem = _conv(3, _WIDTHS[0], 2)
        pairs = pairwise(_WIDTHS)
        self.stages = nn.ModuleList(_Stage(inputs, outputs) for inputs, outputs in pairs)
        self.fpn = FeaturePyramidNetwork(list(_WIDTHS[1:]), _PYRAMID)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Batch (B, 3, H, W), H and W divisible by 32 -> maps ``0``..``3``, each (B, 64, h, w)."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        images = self.stem(images)
        for number, stage in enumerate(self.stages):
            images = stage(images)
            maps[str(number)] = images
        pyramid: dict[str, Tensor] = self.fpn(maps)
        return pyramid


class _BoxHead(nn.Module):
    """Pooled regions (P, 64, 5, 5) -> features (P, 192)."""

    def __init__(self) -> None:
        super().__init__()
        self.pooled = nn.Linear(_PYRAMID * _POOL * _POOL, _HIDDEN)
        self.hidden = nn.Linear(_HIDDEN, _HIDDEN)

    def forward(self, regions: Tensor) -> Tensor:
        first = torch.relu(self.pooled(regions.flatten(1)))
        return torch.relu(self.hidden(first))


def build(outputs: int) -> Any:
    """The network with ``outputs`` class scores (background first), freshly initialised."""
    anchors = AnchorGenerator(_ANCHORS, (_RATIOS,) * len(_ANCHORS))
    network = FasterRCNN(
        SmallPyramid(),
        min_size=HEIGHT,
        max_size=HEIGHT * 2,
        rpn_anchor_generator=anchors,
        rpn_head=RPNHead(_PYRAMID, anchors.num_anchors_per_location()[0]),
        rpn_pre_nms_top_n_train=400,
        rpn_pre_nms_top_n_test=300,
        rpn_post_nms_top_n_train=200,
        rpn_post_nms_top_n_test=100,
        rpn_fg_iou_thresh=0.5,
        rpn_bg_iou_thresh=0.3,
        box_roi_pool=_pooler(),
        box_head=_BoxHead(),
        box_predictor=Predictor(_HIDDEN, outputs),
        box_score_thresh=0.05,
        box_nms_thresh=0.6,
    )
    return network


def _pooler() -> Any:
    """Regions up to 40 pixels are pooled at stride 4, up to 80 at stride 8, and so on."""
    levels = [str(number) for number in range(len(_ANCHORS))]
    return MultiScaleRoIAlign(levels, _POOL, 1, canonical_scale=40, canonical_level=3)


class Predictor(nn.Module):
    """Features (P, D) -> class logits (P, C+1), background first, and offsets (P, (C+1) * 4)."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(width, outputs)
        self.bbox_pred = nn.Linear(width, outputs * 4)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.cls_score(features), self.bbox_pred(features)
