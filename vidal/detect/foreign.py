"""A detector of another package: its author writes ``detect``, the rest is here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from numpy.random import Generator

from vidal.detect.options import DetectOptions
from vidal.errors import PluginError, UsageError
from vidal.plugins import Plugin
from vidal.protocols import Detector
from vidal.types import Detections, Frame, Sample


@dataclass(frozen=True, slots=True)
class ForeignDetector:
    """What vidal adds to a detector that was registered by another package.

    Attributes:
        plugin: where it comes from.
        detector: what its factory made.
        notes: of a checkpoint; vidal knows of none.
    """

    plugin: Plugin
    detector: Detector
    notes: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names, in the order of the probability columns."""
        return tuple(self.detector.classes)

    @property
    def key(self) -> Mapping[str, Any]:
        """What its output depends on."""
        return {"package": self.plugin.package, "version": self.plugin.version}

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """Detections of a batch, all frames ``scanned``.

        Raises:
            PluginError: it returned something else.
        """
        found = self.detector.detect(frames)
        if not isinstance(found, Detections):
            raise self._refusal(f"detect() gave {type(found).__name__}, not Detections")
        if found.scanned.shape != (len(frames),) or not found.scanned.all():
            raise self._refusal(f"detect() has to scan all {len(frames)} frames of a batch")
        if found.classes != self.classes:
            raise self._refusal("detect() gave other classes than `classes` says")
        return found

    def fit(
        self,
        samples: Sequence[Sample],
        rng: Generator,
        progress: Callable[[Mapping[str, float]], None] | None = None,
    ) -> NoReturn:
        """Refused: it is trained by its own package.

        Raises:
            UsageError: always.
        """
        raise self._untrained()

    def with_classes(self, classes: Sequence[str], rng: Generator) -> NoReturn:
        """Refused like ``fit``.

        Raises:
            UsageError: always.
        """
        raise self._untrained()

    def _untrained(self) -> UsageError:
        return UsageError(
            f"detector {self.plugin.name!r} of {self.plugin.package} is not trained by vidal.",
            hint="Train it with its own package, and give its weights or its detections.",
        )

    def _refusal(self, why: str) -> PluginError:
        return PluginError("detector", self.plugin.name, self.plugin.package, why)


def load_foreign(
    plugin: Plugin,
    *,
    weights: Path | None,
    classes: tuple[str, ...] | None,
    device: str,
    options: DetectOptions,
) -> ForeignDetector:
    """Call the factory of another package.

    Raises:
        PluginError: it cannot be imported, or makes no detector.
    """
    factory = plugin.load()
    try:
        made = factory(weights=weights, classes=classes, device=device, options=options)
    except TypeError as error:
        raise PluginError("detector", plugin.name, plugin.package, str(error)) from error
    if not isinstance(made, Detector):
        why = "what it makes lacks `classes`, `key`, `detect` or `fit`"
        raise PluginError("detector", plugin.name, plugin.package, why)
    return ForeignDetector(plugin, made, {})
