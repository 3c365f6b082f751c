"""Which detector, in words: small enough to travel to another process, and free of torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vidal.detect.load import COCO, SHIPPED, find_detector, load_detector, shipped_checkpoint
from vidal.detect.machine import this_machine
from vidal.detect.options import DetectOptions
from vidal.detect.other_models import refuse_other_models
from vidal.errors import UsageError, WeightsError
from vidal.types.devices import Devices, one_of

if TYPE_CHECKING:
    from vidal.detect.faster_rcnn import FasterRCNNDetector

VERSION = 1
"""Raise it when the same weights and options give other detections than before."""
GPU_VERSION = 2
"""The same for what GPUs alone compute. 2: exact suppression, fp32 without shortened products."""


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A detector that can be loaded anywhere.

    Attributes:
        name: of ``DETECTORS``, or another package's.
        weights: checkpoint of one's own, or None.
        classes: class names to keep, or None.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, or ``cuda:0,1`` for several processes.
        options: how outputs become detections.
        config: of a model of detectron2's.
    """

    name: str = "auto"
    weights: Path | None = None
    classes: tuple[str, ...] | None = None
    device: str = "auto"
    options: DetectOptions = DetectOptions()
    config: Path | None = None

    def __post_init__(self) -> None:
        find_detector(self.name)
        Devices.parse(self.device)

    @property
    def key(self) -> Mapping[str, Any]:
        """What detections depend on, as JSON values.

        Weights count by their content, so that a file may be moved. Device and precision count as
        what this machine makes of ``auto``: another machine may make something else of it. torch is
        not imported where there is no GPU: a run whose evidence is complete never waits for it.

        Raises:
            WeightsError: the file cannot be read.
        """
        file = shipped_checkpoint(self.name) if self.name in SHIPPED else None
        file = self.weights or file
        config = {}
        if self.config is not None:
            from vidal.detect.detectron2_files import config_digest

            config = {"detector": self.name, "config": config_digest(self.config)}
        foreign = find_detector(self.name)
        if foreign is not None:
            made = {"detector": self.name, "package": foreign.package}
            config = {**made, "package_version": foreign.version}
        return {
            **config,
            "version": VERSION,
            "weights": self._default_weights() if file is None else _digest(file, _stamp(file)),
            "classes": None if self.classes is None else list(self.classes),
            "device": self.resolved_device,
            **self._resolved_options().key,
            **self._device_key(foreign is not None),
        }

    def _device_key(self, foreign: bool) -> Mapping[str, Any]:
        """What else the device decides; nothing on a processor for vidal's own detectors."""
        if not foreign:
            return {} if self.resolved_device == "cpu" else {"gpu_version": GPU_VERSION}
        if self.options.precision != "auto":
            return {}
        # Another package decides what ``auto`` is: it may ask what this device computes natively.
        return {"precision": f"auto/{this_machine().precision('auto', self.resolved_device)}"}

    @property
    def resolved_device(self) -> str:
        """``cpu`` or ``cuda``, also where that was left to vidal; never which GPU."""
        return this_machine().device(self.device)

    def _resolved_options(self) -> DetectOptions:
        """With the precision that will be computed in: it shapes the detections."""
        if self.name == "detectron2" and self.options.precision == "auto":
            return replace(self.options, precision="fp32")  # the only one it has
        if find_detector(self.name) is not None:
            return self.options  # what another package makes of ``auto`` is its own affair
        chosen = this_machine().precision(self.options.precision, self.resolved_device)
        return replace(self.options, precision=chosen)  # type: ignore[arg-type]

    def _default_weights(self) -> str | None:
        """What stands for the weights where there is no file: another package brings its own."""
        return f"coco/{self.name}" if find_detector(self.name) is None else None

    def check(self) -> None:
        """Refuse a checkpoint that is not there, before anything is computed.

        Raises:
            WeightsError, InputError: a file cannot be read.
            UsageError: a configuration without its detector, or the other way round.
        """
        if self.weights is not None:
            _stamp(self.weights)
            refuse_other_models(self.weights)
        if self.config is not None:
            from vidal.detect.detectron2_files import check_config

            check_config(self.config)
        if (self.config is not None) != (self.name == "detectron2"):
            raise UsageError(
                "--config and --detector detectron2 go together.", hint="Give both, with --weights."
            )
        if self.name == "detectron2" and self.weights is None:
            raise UsageError("detectron2 needs weights.", hint="Give --weights FILE.pth.")

    def check_device(self) -> None:
        """Refuse a device that this machine does not have, before anything is computed.

        Raises:
            UsageError: no such device, or arithmetic that it does not have.
        """
        machine, asked = this_machine(), Devices.parse(self.device)
        if asked.kind == "cuda" and not machine.gpu:
            wrong, hint = "torch finds no CUDA device here", "Use --device cpu."
        elif any(number >= machine.gpus for number in asked.numbers):
            wrong, hint = f"there are {machine.gpus}", "They count from 0."
        else:
            machine.precision(self.options.precision, self.resolved_device)
            return
        raise UsageError(f"device {self.device!r}: {wrong}.", hint=hint)

    def settled(self) -> Self:
        """The same with what this machine makes of ``auto``; it has the same key here.

        What travels to other machines is settled: they compute what the key says.
        """
        if find_detector(self.name) is not None or self.name == "detectron2":
            return self if self.device != "auto" else replace(self, device=self.resolved_device)
        device = self.resolved_device if self.device == "auto" else self.device
        return replace(self, device=device, options=self._resolved_options())

    def verify(self) -> None:
        """Refuse weights that cannot be used, and classes that they do not have; fetch nothing.

        Raises:
            UnknownName, UsageError, WeightsError: as ``load_detector``.
        """
        self.check()
        if self.weights is not None or self.name in SHIPPED:
            self.load()
        elif self.classes is not None and find_detector(self.name) is None:
            from vidal.detect.architectures import choose_columns, coco_outputs

            named = "fasterrcnn-mobilenet-320" if self.name == "auto" else self.name
            choose_columns(coco_outputs(named), self.classes)  # all COCO networks have the same

    def fetch(self) -> None:
        """Make sure that COCO weights are here, once, before several processes want them.

        Raises:
            WeightsError: they are neither in the cache nor to be had.
        """
        if self.weights is None and self.name not in SHIPPED:
            self._beside_gpu().load()

    def _beside_gpu(self) -> Self:
        """The network that a GPU would run, on the processor: only its files are looked at."""
        if self.resolved_device == "cpu" or find_detector(self.name) is not None:
            return self
        name = COCO[self.resolved_device] if self.name == "auto" else self.name
        return replace(self, name=name, device="cpu", options=DetectOptions())

    def load(self) -> FasterRCNNDetector:
        """The detector itself.

        Raises:
            UnknownName, UsageError, WeightsError: as ``load_detector``.
        """
        return load_detector(
            self.name,
            weights=self.weights,
            classes=self.classes,
            device=one_of(this_machine().devices(self.device)),
            options=self._resolved_options(),
            config=self.config,
        )


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise WeightsError(
            path, "no such checkpoint", hint="Name an existing file with --weights."
        ) from error
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=8)
def _digest(path: Path, stamp: tuple[int, int]) -> str:
    """Of the file's content; ``stamp`` makes a changed file a new entry."""
    del stamp
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
    except OSError as error:
        raise WeightsError(path, "cannot be read") from error
