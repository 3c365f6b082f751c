"""From a configuration and a checkpoint of detectron2's to a detector; it is imported here only.

Nothing is downloaded and no model zoo is touched: both files are the user's. Nothing in them is
executed: configurations are YAML, checkpoints are read without unpickling objects. Every name and
shape of the checkpoint is compared with the model's, because a head of another shape would
otherwise be left at random weights with no more than a warning.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidal.errors import InputError, UsageError, WeightsError

_GUIDE = "Install it by its own guide (docs/detectron2.md), or give --detections instead."
_CONFIGS = (".yaml", ".yml")
_DERIVED = re.compile(r"(^|\.)(pixel_mean|pixel_std|num_batches_tracked|cell_anchors\.\d+)$")
"""Buffers that follow from the configuration: a checkpoint may hold them or not."""


def library() -> Any:
    """The names of detectron2 that are used.

    Raises:
        UsageError: it is not installed, or cannot be imported (often: built for another torch).
    """
    from vidal.detect.detectron2_adapter import Library

    try:
        from detectron2.data.transforms import ResizeShortestEdge
        from detectron2.modeling import GeneralizedRCNN, detector_postprocess
        from detectron2.modeling.roi_heads import (
            CascadeROIHeads,
            FastRCNNOutputLayers,
            StandardROIHeads,
        )
    except ModuleNotFoundError as error:
        raise UsageError(f"detectron2 cannot be used ({error}).", hint=_GUIDE) from error
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        cause = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise UsageError(
            f"detectron2 is installed but cannot be imported ({cause}).",
            hint="It has to be built for the installed torch. " + _GUIDE,
        ) from error
    return Library(
        rcnn=GeneralizedRCNN,
        standard_heads=StandardROIHeads,
        cascade_heads=CascadeROIHeads,
        output_layers=FastRCNNOutputLayers,
        resize=ResizeShortestEdge,
        postprocess=detector_postprocess,
    )


def load(
    config: Path, weights: Path, *, classes: Sequence[str] | None, device: str, options: Any
) -> Any:
    """The detector that a configuration and a checkpoint describe.

    Args:
        config: YAML, as detectron2 writes it to ``config.yaml``.
        weights: ``.pth`` or ``.safetensors``: a state dict, alone or under ``model``.
        classes: names to keep; all names in order where the data set of the configuration is not
            one that detectron2 knows.
        device: ``auto``, ``cpu`` or ``cuda``.
        options: ``DetectOptions``.

    Raises:
        UsageError: detectron2 cannot be imported, or the model is of another kind.
        InputError: no such configuration, or not one of detectron2's.
        WeightsError: no such checkpoint, or for another model.
    """
    from vidal.detect.detectron2_adapter import Detectron2Detector, check_model
    from vidal.detect.device import choose_device

    names = library()
    settings = read_config(config)
    settings.MODEL.DEVICE = str(choose_device(device))
    model = _build(config, settings)
    check_model(model, names)
    fill(model, weights)
    outputs = class_names(settings, model.roi_heads.num_classes, classes)
    return Detectron2Detector(
        model=model,
        library=names,
        outputs=outputs,
        classes=tuple(classes) if classes is not None else outputs,
        options=options,
        sizes=(int(settings.INPUT.MIN_SIZE_TEST), int(settings.INPUT.MAX_SIZE_TEST)),
        source={"config": config_digest(config), "weights": _digest(weights)},
        path=weights,
    )


def _build(config: Path, settings: Any) -> Any:
    """The model of a configuration, at random weights."""
    from detectron2.modeling import build_model

    settings.MODEL.WEIGHTS = ""
    try:
        return build_model(settings)
    except (KeyError, AssertionError, ValueError, TypeError) as error:
        raise InputError(config, f"detectron2 cannot build it ({error!r:.120})") from error


def read_config(config: Path) -> Any:
    """The configuration with detectron2's defaults below it.

    Raises:
        InputError: no such file, not YAML, or with keys that detectron2 does not have.
    """
    from detectron2.config import get_cfg

    check_config(config)
    settings = get_cfg()
    try:
        settings.merge_from_file(str(config), allow_unsafe=False)
    except Exception as error:
        # whatever YAML, the chain of _BASE_ files or the configuration's types run into
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(config, f"not a configuration of detectron2 ({cause:.120})") from error
    return settings


def check_config(config: Path) -> None:
    """Refuse what cannot be a configuration, without detectron2.

    Raises:
        InputError: no such file, or of another kind.
    """
    if not config.is_file():
        raise InputError(config, "no such file", hint="Name the model's YAML file with --config.")
    if config.suffix.lower() not in _CONFIGS:
        raise InputError(
            config,
            "not a YAML configuration",
            hint="Python configurations are programs; build the model and use Detectron2Detector.",
        )


def config_digest(config: Path) -> str:
    """Of a configuration's text and of those it is based on (``_BASE_``).

    Raises:
        InputError: one cannot be read.
    """
    digest, seen, file = hashlib.blake2b(digest_size=16), set[Path](), config
    while file not in seen:
        seen.add(file)
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(file, f"cannot be read ({error.strerror or error})") from error
        digest.update(text.encode())
        base = re.search(r"^_BASE_\s*:\s*['\"]?([^'\"\n#]+)", text, re.MULTILINE)
        if base is not None:
            file = file.parent / base[1].strip()
    return digest.hexdigest()


def fill(model: Any, weights: Path) -> None:
    """Load a checkpoint into a model, all of it or nothing.

    Raises:
        WeightsError: unreadable, or names or shapes differ; tells the first three.
    """
    from vidal.detect.checkpoints import load_checkpoint

    if weights.suffix == ".pkl":
        raise WeightsError(
            weights,
            "pickles can execute anything and are not read",
            hint="Load it with detectron2 once and save model.state_dict() with torch.save.",
        )
    state = load_checkpoint(weights).state
    wrong = mismatches(model.state_dict(), state)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise WeightsError(
            weights, f"not weights of this configuration: {'; '.join(wrong[:3])}{more}"
        )
    model.load_state_dict(state, strict=False)


def mismatches(wanted: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
    """What keeps a state dict from being loaded, one phrase each: names and shapes that differ."""
    wrong = []
    for key in sorted(wanted.keys() | state.keys()):
        if key in wanted and key in state:
            mine, theirs = tuple(wanted[key].shape), tuple(state[key].shape)
            if mine != theirs:
                wrong.append(f"{key} is {theirs}, not {mine}")
        elif not _DERIVED.search(key):
            wrong.append(f"{key} is {'missing' if key in wanted else 'not part of it'}")
    return wrong


def class_names(settings: Any, count: int, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Names of a model's outputs: of the first known data set, else as the user gives them.

    Raises:
        UsageError: the data sets are not known, and not all names were given.
    """
    from detectron2.data import MetadataCatalog

    for name in (*settings.DATASETS.TEST, *settings.DATASETS.TRAIN):
        known = MetadataCatalog.get(name).get("thing_classes", None)
        if known is not None and len(known) == count:
            return tuple(known)
    if classes is None or len(classes) != count:
        raise UsageError(
            f"the model scores {count} classes and does not name them.",
            hint="Name all of them in order with --classes.",
        )
    return tuple(classes)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
