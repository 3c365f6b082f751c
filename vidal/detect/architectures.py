"""The networks by name, and what is particular to each; one row a network."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.random import Generator
from torch import Tensor
from torch.overrides import TorchFunctionMode

from vidal.detect import scenes_tiny
from vidal.detect.options import TrainOptions
from vidal.detect.vision import detection
from vidal.errors import UnknownName, WeightsError

ROAD_CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
"""The COCO classes that are kept unless others are asked for."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network.

    Attributes:
        name: as on the command line.
        build: number of outputs, background included -> a torchvision ``FasterRCNN`` with fresh
            weights from torch's generator.
        coco: torchvision's weights entry, or None.
        training: what suits it.
        body: beginnings of the names of the weights that turn an image into feature maps, before
            the pyramid: what can be pre-trained.
    """

    name: str
    build: Callable[[int], Any]
    coco: Any
    training: TrainOptions
    body: tuple[str, ...] = ("backbone.body.",)


def _mobilenet(outputs: int) -> Any:
    return detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=outputs
    )


def _resnet(outputs: int) -> Any:
    return detection.fasterrcnn_resnet50_fpn_v2(
        weights=None, weights_backbone=None, num_classes=outputs
    )


_FINE_TUNE = TrainOptions(
    optimizer="sgd", lr=0.005, schedule="steps", freeze_norm=True, anchors=256, rois=256
)
ARCHITECTURES: Mapping[str, Architecture] = {
    each.name: each
    for each in (
        Architecture(
            "fasterrcnn-mobilenet-320",
            _mobilenet,
            detection.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1,
            _FINE_TUNE,
        ),
        Architecture(
            "fasterrcnn-resnet50-v2",
            _resnet,
            detection.FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1,
            _FINE_TUNE,
        ),
        Architecture(
            "scenes-tiny",
            scenes_tiny.build,
            None,
            TrainOptions(lr=2e-3, batch=4),
            ("backbone.stem.", "backbone.stages."),
        ),
    )
}


def architecture(name: str) -> Architecture:
    """The network of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in ARCHITECTURES:
        raise UnknownName("detector", name, tuple(ARCHITECTURES))
    return ARCHITECTURES[name]


def fresh(name: str, outputs: int, rng: Generator) -> Any:
    """A network with random weights drawn from ``rng``; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        return architecture(name).build(outputs)


def blank(name: str, outputs: int) -> Any:
    """A network with weights of no meaning, to be overwritten; drawing some would take seconds."""
    with _Unfilled():
        return architecture(name).build(outputs)


def skeleton(name: str, outputs: int) -> Any:
    """A network without memory for weights, to compare names and shapes with."""
    with torch.device("meta"), _Unfilled():
        return architecture(name).build(outputs)


class _Unfilled(TorchFunctionMode):
    """Weights are neither drawn nor set: they keep what their memory holds."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init" or func in _DRAWING:
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


_DRAWING = (Tensor.normal_, Tensor.uniform_)
"""What those of torch.nn.init call that are no torch functions themselves."""


def coco_outputs(name: str) -> tuple[str, ...]:
    """The names of the C classes that COCO weights score, background left out."""
    return tuple(architecture(name).coco.meta["categories"][1:])


def coco_file(name: str) -> Path:
    """Where torchvision looks for, and puts, the COCO weights of a network."""
    url = str(architecture(name).coco.url)
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def coco_weights(name: str) -> Mapping[str, Tensor]:
    """The COCO weights from torchvision's cache, downloaded (and hash-checked) if not there.

    Raises:
        WeightsError: not cached and not downloadable, or the cached file is not a checkpoint.
    """
    file = coco_file(name)
    cached = file.is_file()
    try:
        # torch announces a download on standard output, which belongs to the caller's results.
        with contextlib.redirect_stdout(sys.stderr):
            state: Mapping[str, Tensor] = architecture(name).coco.get_state_dict(
                progress=False, check_hash=True, weights_only=True
            )
    except Exception as error:
        # whatever urllib, zipfile or the unpickler raise: the three ways out are the same
        why = "is not a readable checkpoint" if cached else "could not be downloaded"
        raise WeightsError(
            file, f"the COCO weights of {name} {why} ({error})", hint=_ways_out(file)
        ) from error
    return state


def _ways_out(file: Path) -> str:
    return (
        f"Put {file.name} into {file.parent}, or give your own checkpoint with --weights FILE, "
        "or use --detector scenes-tiny for rendered scenes."
    )


def choose_columns(outputs: Sequence[str], classes: Sequence[str]) -> tuple[int, ...]:
    """Where each wanted class is among a network's outputs.

    Raises:
        UnknownName: a class that the network does not know.
    """
    known = [name for name in outputs if name != "N/A"]
    for name in classes:
        if name not in known:
            raise UnknownName("class", name, known)
    return tuple(outputs.index(name) for name in classes)
