"""Detectors by name. Importing this costs nothing: torch is imported when one is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidal.detect.options import DetectOptions, TrainOptions
from vidal.errors import UnknownName, UsageError, WeightsError
from vidal.plugins import Plugin, plugin, plugins

if TYPE_CHECKING:
    from numpy.random import Generator

    from vidal.detect.checkpoints import Checkpoint
    from vidal.detect.faster_rcnn import FasterRCNNDetector


@dataclass(frozen=True, slots=True)
class _Request:
    """What ``load_detector`` was asked for."""

    weights: Path | None
    classes: tuple[str, ...] | None
    device: str
    options: DetectOptions
    training: TrainOptions | None
    config: Path | None = None


def load_detector(
    name: str = "auto",
    *,
    weights: Path | None = None,
    classes: Sequence[str] | None = None,
    device: str = "auto",
    options: DetectOptions | None = None,
    training: TrainOptions | None = None,
    config: Path | None = None,
) -> FasterRCNNDetector:
    """The detector of that name, with weights that were trained: never random ones.

    Args:
        name: ``fasterrcnn-mobilenet-320``, ``fasterrcnn-resnet50-v2`` (COCO weights unless
            ``weights`` is given), ``scenes-tiny`` (shipped weights, for rendered scenes),
            ``scenes-day`` (the same network, which has never seen night or a wheelchair),
            ``detectron2`` (needs ``config`` and ``weights``), or ``auto``: the network that
            ``weights`` was made for, and without ``weights`` the COCO network that suits the device
            (MobileNet on a processor, ResNet-50 on a GPU). Or one of another package, see
            ``vidal.plugins``.
        weights: a checkpoint of vidal's, or a torchvision state dict.
        classes: which classes are kept, by name. Default: all of a checkpoint's; of COCO's the
            road classes. A checkpoint that does not name its classes needs all names here, in
            the order of its outputs.
        device: ``auto``, ``cpu`` or ``cuda``.
        options: how outputs become detections.
        training: how ``fit`` trains; default: what suits the network.
        config: of a model of detectron2's.

    Raises:
        UnknownName: no such detector or class.
        PluginError: another package's that cannot be used.
        UsageError: no such device.
        WeightsError: weights that are missing, corrupt or for another network; names the ways out.
    """
    foreign = find_detector(name)
    if classes is not None and (not classes or len(set(classes)) != len(classes)):
        raise UsageError("classes: none, or one twice.", hint="Name each class once.")
    request = _Request(
        weights=None if weights is None else Path(weights),
        classes=None if classes is None else tuple(classes),
        device=device,
        options=options or DetectOptions(),
        training=training,
        config=None if config is None else Path(config),
    )
    if request.config is not None and name != "detectron2":
        raise UsageError(f"detector {name!r} has no configuration.", hint="Leave out --config.")
    if foreign is not None:
        from vidal.detect.foreign import load_foreign

        return load_foreign(
            foreign,
            weights=request.weights,
            classes=request.classes,
            device=device,
            options=request.options,
        )  # type: ignore[return-value]
    return DETECTORS[name](name, request)


def find_detector(name: str) -> Plugin | None:
    """The plug-in of a name; None where it is one of vidal's own.

    Raises:
        UnknownName: there is none of that name.
        PluginError: the name is taken twice.
    """
    own = tuple(DETECTORS)
    found = plugin("detector", name, own)
    if found is None and name not in own:
        raise UnknownName("detector", name, (*own, *plugins("detector", own)))
    return found


def fresh_detector(
    name: str,
    classes: Sequence[str],
    rng: Generator,
    *,
    device: str = "auto",
    options: DetectOptions | None = None,
    training: TrainOptions | None = None,
) -> FasterRCNNDetector:
    """An untrained detector, for ``fit``: its weights are random, drawn from ``rng``.

    Raises:
        UnknownName: no such network (``auto`` is none).
    """
    from dataclasses import replace

    from vidal.detect.architectures import architecture, fresh

    suits = replace(architecture(name).training, freeze_norm=False)
    request = _Request(None, None, device, options or DetectOptions(), training or suits)
    network = fresh(name, len(classes) + 1, rng)
    return _assemble(name, network, tuple(classes), tuple(classes), request)


def _assemble(
    name: str,
    network: object,
    outputs: tuple[str, ...],
    classes: tuple[str, ...],
    request: _Request,
    checkpoint: Checkpoint | None = None,
) -> FasterRCNNDetector:
    from vidal.detect.architectures import architecture
    from vidal.detect.device import choose_device
    from vidal.detect.faster_rcnn import FasterRCNNDetector

    device = choose_device(request.device)
    return FasterRCNNDetector(
        architecture=name,
        network=network.to(device),  # type: ignore[attr-defined]
        outputs=outputs,
        classes=classes,
        options=request.options,
        training=request.training or architecture(name).training,
        notes={} if checkpoint is None else checkpoint.notes,
    )


def _from_file(name: str, path: Path, request: _Request) -> FasterRCNNDetector:
    """From a checkpoint; ``name`` may be ``auto``."""
    from vidal.detect.architectures import ROAD_CLASSES, blank, choose_columns, coco_outputs
    from vidal.detect.checkpoints import fill, fitting, load_checkpoint, output_count
    from vidal.detect.device import choose_device

    choose_device(request.device)
    checkpoint = load_checkpoint(path)
    count = output_count(path, checkpoint.state)
    own = checkpoint.architecture
    if own is not None and name not in ("auto", own):
        raise WeightsError(path, f"made for {own}, not for {name}", hint=f"Use --detector {own}.")
    found = own or (name if name != "auto" else fitting(path, checkpoint.state, count))
    default: tuple[str, ...] | None = None
    outputs = checkpoint.outputs
    if outputs is None and count == 91:
        outputs, default = coco_outputs("fasterrcnn-resnet50-v2"), ROAD_CLASSES
    if outputs is None:
        outputs = _named_by_user(path, count, request)
    network = blank(found, count)
    fill(network, path, found, checkpoint.state, count)
    classes = request.classes or default or outputs
    choose_columns(outputs, classes)
    return _assemble(found, network, outputs, classes, request, checkpoint)


def _named_by_user(path: Path, count: int, request: _Request) -> tuple[str, ...]:
    if request.classes is None or len(request.classes) != count - 1:
        given = 0 if request.classes is None else len(request.classes)
        raise WeightsError(
            path,
            f"scores {count - 1} classes and does not name them ({given} names were given)",
            hint="Name all of them in order with --classes.",
        )
    return request.classes


def _coco(name: str, request: _Request) -> FasterRCNNDetector:
    """From the file given, or with COCO weights."""
    if request.weights is not None:
        return _from_file(name, request.weights, request)
    from vidal.detect.architectures import (
        ROAD_CLASSES,
        blank,
        choose_columns,
        coco_file,
        coco_outputs,
        coco_weights,
    )
    from vidal.detect.checkpoints import fill
    from vidal.detect.device import choose_device

    choose_device(request.device)
    outputs = coco_outputs(name)
    classes = request.classes or ROAD_CLASSES
    choose_columns(outputs, classes)
    state = coco_weights(name)
    network = blank(name, len(outputs) + 1)
    fill(network, coco_file(name), name, state, len(outputs) + 1)
    return _assemble(name, network, outputs, classes, request)


def _auto(name: str, request: _Request) -> FasterRCNNDetector:
    """The file's own network, else COCO weights for the device; never ``scenes-tiny`` by itself."""
    if request.weights is not None:
        return _from_file(name, request.weights, request)
    from vidal.detect.device import choose_device

    return _coco(COCO[choose_device(request.device).type], request)


COCO = {"cpu": "fasterrcnn-mobilenet-320", "cuda": "fasterrcnn-resnet50-v2"}
"""The network of ``auto`` where no weights are given, by kind of device."""


SHIPPED = ("scenes-day", "scenes-tiny")
"""Names of the checkpoints that come with the package."""


def shipped_checkpoint(name: str = "scenes-tiny") -> Path:
    """The checkpoint of a name of ``SHIPPED``."""
    with resources.as_file(resources.files("vidal.detect") / "checkpoints") as folder:
        return folder / f"{name}.safetensors"


def _scenes(name: str, request: _Request) -> FasterRCNNDetector:
    return _from_file("scenes-tiny", request.weights or shipped_checkpoint(name), request)


def _detectron2(name: str, request: _Request) -> Any:
    """The user's own model, by its configuration and checkpoint."""
    del name
    from vidal.detect.detectron2_files import load

    if request.config is None or request.weights is None:
        raise UsageError(
            "detectron2 needs a configuration and weights.",
            hint="Give --config FILE.yaml and --weights FILE.pth.",
        )
    return load(
        request.config,
        request.weights,
        classes=request.classes,
        device=request.device,
        options=request.options,
    )


DETECTORS: Mapping[str, Callable[[str, _Request], FasterRCNNDetector]] = {
    "auto": _auto,
    "detectron2": _detectron2,
    "fasterrcnn-mobilenet-320": _coco,
    "fasterrcnn-resnet50-v2": _coco,
    "scenes-day": _scenes,
    "scenes-tiny": _scenes,
}
"""Every name of ``--detector``."""
