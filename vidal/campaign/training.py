"""One round's training: the labelled frames as samples, and the detector they start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.random import Generator

from vidal.campaign.config import CampaignConfig
from vidal.campaign.oracle import by_clip
from vidal.detect.load import fresh_detector
from vidal.detect.options import DetectOptions
from vidal.detect.spec import DetectorSpec
from vidal.errors import InputError, UnreadableClip, UsageError
from vidal.query.region_scores import FORMULAS
from vidal.store import atomic
from vidal.types import Annotations, Clip, FrameRef, Sample
from vidal.video import read_frames

if TYPE_CHECKING:
    from vidal.detect.faster_rcnn import FasterRCNNDetector


SNAPSHOTS = 4
"""States of a training that are kept where a strategy asks; the pool is detected with each."""
VOTED = frozenset({"votes", "members"})
"""What a strategy asks of them."""


class LabelledFrames(Sequence[Sample]):
    """Labelled frames as training samples, in the order given; a frame without objects is one too.

    Every frame is decoded once, into a file of raw pixels beside the training's state: seeking in
    videos for every epoch would take longer than training. A sample is read when it is asked for,
    so memory does not grow with their number; the file takes ``H * W * 3`` bytes a frame.
    """

    def __init__(
        self,
        refs: Sequence[FrameRef],
        clips: Mapping[str, Clip],
        tables: Mapping[str, Annotations],
        cache: Path,
    ) -> None:
        """Decode what is not decoded yet.

        Args:
            refs: frames, grouped by clip and increasing within each.
            clips: by id.
            tables: clip id -> labels.
            cache: file for the pixels; taken as it is if it is there, so it has to belong to
                ``refs``.

        Raises:
            UnreadableClip: a frame does not decode any more.
            OutputError: the file cannot be written.
        """
        self._refs = tuple(refs)
        self._sizes = [clips[ref.clip].size for ref in self._refs]
        lengths = [height * width * 3 for height, width in self._sizes]
        self._starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._tables = tables
        if not cache.exists():
            _decode(self._refs, clips, cache)
        self._pixels = np.memmap(cache, np.uint8, "r") if self._refs else np.zeros(0, np.uint8)
        if len(self._pixels) != self._starts[-1]:
            raise InputError(cache, "does not belong to this training", hint="Remove it.")

    def __len__(self) -> int:
        return len(self._refs)

    @overload
    def __getitem__(self, at: int) -> Sample: ...

    @overload
    def __getitem__(self, at: slice) -> list[Sample]: ...

    def __getitem__(self, at: int | slice) -> Sample | list[Sample]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        ref = self._refs[at]
        place = range(len(self))[at]
        pixels = np.array(self._pixels[self._starts[place] : self._starts[place + 1]])
        table = self._tables[ref.clip]
        rows = table.on(ref.index)
        return Sample(
            image=pixels.reshape(*self._sizes[place], 3),
            boxes=table.boxes[rows],
            labels=table.labels[rows],
            ignore=table.ignore[rows],
        )


def _decode(refs: Sequence[FrameRef], clips: Mapping[str, Clip], cache: Path) -> None:
    with atomic.open_new(cache) as file:
        for name, indices in by_clip(refs).items():
            clip, left = clips[name], list(indices)
            for frame in read_frames(clip, indices):
                if frame.ref.index != left[0] or frame.image.shape[:2] != clip.size:
                    break
                file.write(np.ascontiguousarray(frame.image).data)
                left.pop(0)
            if left:
                raise UnreadableClip(clip.path, f"labelled frame {left[0]} does not decode")


def starting_detector(
    config: CampaignConfig, classes: tuple[str, ...], rng: Generator, *, model: Path | None = None
) -> FasterRCNNDetector:
    """What a training starts from, with the options of the configuration.

    Args:
        config: ``detector`` and ``training`` are read.
        classes: of the campaign; a detector of other classes keeps what it knows of these.
        rng: of weights that are drawn.
        model: of an earlier round; None = the detector that the configuration names.

    Raises:
        WeightsError: no such weights, or a backbone of another network.
        UsageError: options that cannot be meant.
    """
    wanted = config.detector
    options = DetectOptions(precision=wanted.precision, compile=wanted.compile)
    if model is None and wanted.start == "fresh":
        detector = fresh_detector(wanted.name, classes, rng, device=wanted.device, options=options)
    else:
        spec = detector_spec(config, model=model)
        detector = spec.load()
        if detector.classes != classes:
            detector = detector.with_classes(classes, rng)
    if model is None and wanted.backbone is not None:
        from vidal.detect.body import with_body

        detector = with_body(detector, wanted.backbone)
    given: dict[str, Any] = {"precision": wanted.precision, **config.training.given}
    if wanted.start == "fresh":
        given = {"freeze_norm": False, **given}
    if model is None and config.training.initial_epochs is not None:
        given["epochs"] = config.training.initial_epochs
    return replace(detector, training=replace(detector.training, **given), _cache={})


def snapshots_wanted(config: CampaignConfig) -> int:
    """How many states are kept of a training: as configured, or as the strategy asks."""
    if config.training.snapshots is not None:
        return config.training.snapshots
    return SNAPSHOTS if compares_snapshots(config) else 0


def compares_snapshots(config: CampaignConfig) -> bool:
    """Whether the strategy compares states of the detector's training."""
    line = FORMULAS.get(config.selection.strategy)
    if line is None or line.by is None:
        return False
    needs = line.needs(config.selection.options.get("by", line.by))
    return bool(needs & VOTED) and "heads" not in needs


def detector_spec(config: CampaignConfig, *, model: Path | None = None) -> DetectorSpec:
    """The detector of a configuration, or the model of a round."""
    wanted = config.detector
    options = DetectOptions(precision=wanted.precision, compile=wanted.compile)
    if model is not None:
        return DetectorSpec(weights=model, device=wanted.device, options=options)
    if wanted.start == "fresh":
        raise UsageError(
            "the detector starts with random weights: there is nothing to select with yet.",
            hint="Use an initial_strategy that needs no detector, such as random.",
        )
    return DetectorSpec(wanted.name, wanted.weights, wanted.classes, wanted.device, options)
