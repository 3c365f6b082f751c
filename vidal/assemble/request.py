"""What a user asks of a selection, as it was written: names and texts, unchecked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.evidence.given import Frames, GivenDetections
from vidal.formats.detections import Transform
from vidal.types import AnyGap, Gap
from vidal.types.gap import DEFAULT as DEFAULT_GAP


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRequest:
    """The options of ``vidal select`` by their names, from a command line, Python or a YAML file.

    ``detections`` may be settled already; ``vidal.api.options.SelectOptions`` tells what each
    means.
    """

    videos: Path | None
    out: Path
    budget: str
    strategy: str
    errors: str | None = None
    options: Mapping[str, Any] | None = None
    gap: AnyGap = DEFAULT_GAP
    turns: str | None = None
    known_only: bool = False
    labels: Path | None = None
    seed: int = 0
    detector: str = "auto"
    weights: Path | None = None
    config: Path | None = None
    classes: str | None = None
    threshold: float = 0.5
    device: str = "auto"
    precision: str = "auto"
    batch: int = 0
    compile: bool = False
    coherence: Mapping[str, Any] | None = None
    flow: Mapping[str, Any] | None = None
    tracker: str = "auto"
    tracker_options: Mapping[str, Any] | None = None
    expected: Mapping[str, Any] | None = None
    random_share: float = 0.0
    balance: float | str | None = None
    class_weights: Mapping[str, Any] | None = None
    cost: object = None
    cache: Path | None = None
    workers: int = 0
    engine: str | None = None
    ray_address: str | None = None
    ray_gpus: float | None = None
    image_rate: str = "10"
    detections: Path | GivenDetections | None = None
    detections_images: Path | None = None
    detections_frames: Frames = "auto"
    score_transform: Transform = "none"
    size: str | None = None

    @property
    def own_gap(self) -> Gap:
        """Between chosen or labelled frames of a clip."""
        return Gap.of(self.gap)

    @property
    def names(self) -> tuple[str, ...] | None:
        """The classes that are named; None = all."""
        if self.classes is None:
            return None
        return tuple(name.strip() for name in self.classes.split(",") if name.strip())
