"""Any torchvision ``FasterRCNN`` as a detector, run part by part.

transform -> backbone -> proposals -> pooled regions -> box head -> box predictor -> rows. Frames
of one size share a forward pass; frames of different sizes never do, because padding changes the
scores of a feature pyramid.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from vidal.detect import postprocess, training
from vidal.detect.architectures import choose_columns, fresh
from vidal.detect.checkpoints import Checkpoint, digest, save_checkpoint
from vidal.detect.device import use_bf16
from vidal.detect.options import DetectOptions, TrainOptions
from vidal.detect.preprocess import prepare
from vidal.detect.proposals import flatten_levels, propose
from vidal.detect.training import Snapshots, TrainState
from vidal.detect.vision import ImageList
from vidal.types import Detections, FloatArray, Frame, Image, Sample

_TOGETHER = {"cpu": 4, "cuda": 16}
"""Frames in one forward pass: on processors, more do not make it faster."""
_HALF_LIMIT = float(np.finfo(np.float16).max)


class _Batch(NamedTuple):
    """Rows of frames of one size; ``frame`` counts within the batch."""

    frame: Tensor
    boxes: Tensor
    scores: Tensor
    labels: Tensor
    probs: Tensor
    features: Tensor
    embedding: Tensor
    suppressed: Tensor


@dataclass(frozen=True, eq=False)
class FasterRCNNDetector:
    """A Faster R-CNN with its class names.

    Attributes:
        architecture: name of the network.
        network: a torchvision ``FasterRCNN`` in evaluation mode, on its device.
        outputs: the C class names that the network scores, background left out.
        classes: the K of them that are kept, in the order of the probability columns.
        options: how its outputs become detections.
        training: how ``fit`` trains.
        notes: what the checkpoint says about itself.
    """

    architecture: str
    network: Any = field(repr=False)
    outputs: tuple[str, ...] = field(repr=False)
    classes: tuple[str, ...]
    options: DetectOptions
    training: TrainOptions
    notes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.network.eval().to(memory_format=torch.channels_last)
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        columns = [1 + column for column in choose_columns(self.outputs, self.classes)]
        self._cache["columns"] = torch.tensor(columns, dtype=torch.int64, device=self.device)

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        device: torch.device = next(self.network.parameters()).device
        return device

    @property
    def bf16(self) -> bool:
        """Whether it computes in bf16 autocast."""
        return use_bf16(self.options.precision, self.device)

    @property
    def key(self) -> Mapping[str, Any]:
        """Architecture, weights digest, classes and options; JSON values."""
        if "weights" not in self._cache:
            self._cache["weights"] = digest(self.network.state_dict())
        return {
            "detector": self.architecture,
            "weights": self._cache["weights"],
            "classes": list(self.classes),
            **asdict(self.options),
            "precision": "bf16" if self.bf16 else "fp32",
        }

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """Detections of a batch; ``frame`` counts positions in ``frames``, all are ``scanned``.

        Frames may differ in size. Memory grows with a few frames, whatever the number given.
        """
        sizes: dict[tuple[int, ...], list[int]] = {}
        for position, frame in enumerate(frames):
            sizes.setdefault(frame.image.shape, []).append(position)
        together = _TOGETHER[self.device.type]
        parts = []
        for positions in sizes.values():
            for first in range(0, len(positions), together):
                some = positions[first : first + together]
                batch = self._forward([frames[position].image for position in some])
                parts.append((np.asarray(some, dtype=np.int64), batch))
        return self._table(parts, len(frames))

    def fit(
        self,
        samples: Sequence[Sample],
        rng: Generator,
        progress: Callable[[Mapping[str, float]], None] | None = None,
        *,
        keep: Path | None = None,
        snapshots: Snapshots | None = None,
    ) -> FasterRCNNDetector:
        """A new detector of the same classes, trained from these weights; this one stays as it is.

        Args:
            samples: labels index ``classes``; -1 and ``ignore`` regions are neither object nor
                background. May load lazily.
            rng: everything random comes from it; the same state gives the same weights on the
                same machine with the same number of threads.
            progress: called after every step (see ``training.run_epoch``).
            keep: file that keeps the training after every epoch; continued from if it exists.
            snapshots: which states on the way become checkpoints; None = none.

        Raises:
            UsageError: no samples, or the training diverges.
        """
        seed = int(rng.integers(2**63))
        network = narrowed(self.network, self._cache["columns"])

        def after(state: TrainState) -> None:
            _, epochs = state.options.length(len(samples))
            if snapshots is not None and state.epoch in snapshots.epochs(epochs):
                weights = state.network.state_dict()
                notes = {"epoch": state.epoch, "epochs": epochs}
                checkpoint = Checkpoint(weights, self.architecture, self.classes, notes)
                save_checkpoint(snapshots.path(state.epoch), checkpoint)

        network = training.train(
            network,
            samples,
            self.training,
            seed,
            progress=progress,
            keep=keep,
            after_epoch=after,
        )
        return replace(self, network=network, outputs=self.classes, notes={"seed": seed}, _cache={})

    def with_classes(self, classes: Sequence[str], rng: Generator) -> FasterRCNNDetector:
        """The same network for other classes: known names keep their weights, others start anew.

        The result has to be trained: what it says about new classes is random until then.
        """
        names = tuple(classes)
        network = copy.deepcopy(self.network)
        new = fresh(self.architecture, len(names) + 1, rng).roi_heads.box_predictor.to(self.device)
        old = self.network.roi_heads.box_predictor
        pairs = [(0, 0)]
        pairs += [
            (1 + names.index(name), 1 + self.outputs.index(name))
            for name in names
            if name in self.outputs
        ]
        for mine, theirs in pairs:
            _copy_output(old, theirs, new, mine)
        network.roi_heads.box_predictor = new
        return replace(self, network=network, outputs=names, classes=names, notes={}, _cache={})

    def save(self, path: Path, notes: Mapping[str, Any] | None = None) -> None:
        """Write a checkpoint that ``load_detector(weights=path)`` reads.

        Raises:
            OutputError: the place cannot be written.
        """
        state = self.network.state_dict()
        kept = dict(self.notes if notes is None else notes)
        save_checkpoint(path, Checkpoint(state, self.architecture, self.outputs, kept))

    def _anchors(self, images: Tensor, levels: list[Tensor], size: tuple[int, int]) -> Tensor:
        """(A, 4) anchors of one image; computed once a padded size."""
        key = tuple(images.shape[2:])
        anchors: dict[Any, Tensor] = self._cache.setdefault("anchors", {})
        if key not in anchors:
            if len(anchors) >= 8:
                anchors.clear()
            one = ImageList(images[:1], [size])
            anchors[key] = self.network.rpn.anchor_generator(one, levels)[0]
        return anchors[key]

    @torch.inference_mode()
    def _forward(self, images: Sequence[Image]) -> _Batch:
        """Rows of images of one size, boxes in pixels of the images as given."""
        network, heads = self.network, self.network.roi_heads
        batch, size = prepare(images, network.transform, self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            maps = network.backbone(batch)
            levels = list(maps.values())
            scores, offsets = network.rpn.head(levels)
            counts = [each.shape[1] * each.shape[2] * each.shape[3] for each in scores]
            anchors = self._anchors(batch, levels, size)
            proposals = propose(
                network.rpn,
                flatten_levels(scores, 1).squeeze(2),
                flatten_levels(offsets, 4),
                anchors,
                counts,
                [size] * len(images),
            )
            # padded sizes: the pooler guesses the strides from them, and only these divide evenly
            padded = [(batch.shape[2], batch.shape[3])] * len(images)
            features = heads.box_head(heads.box_roi_pool(maps, proposals, padded))
            logits, deltas = heads.box_predictor(features)
        probs = postprocess.distribution(logits, self._cache["columns"])
        numbers = torch.tensor([len(each) for each in proposals], device=self.device)
        kept = postprocess.select(
            probs,
            deltas.float(),
            torch.cat(proposals),
            torch.repeat_interleave(numbers),
            columns=self._cache["columns"],
            size=size,
            coder=heads.box_coder,
            options=self.options,
        )
        return _Batch(
            frame=kept.image,
            boxes=_scaled(kept.boxes, size, (images[0].shape[0], images[0].shape[1])),
            scores=kept.score,
            labels=kept.label,
            probs=probs[kept.proposal],
            features=features[kept.proposal].float().clamp(-_HALF_LIMIT, _HALF_LIMIT),
            embedding=_embedding(maps),
            suppressed=kept.stands_for,
        )

    def _table(self, parts: list[tuple[Any, _Batch]], count: int) -> Detections:
        """One table from batches that hold the frames at the given positions."""
        if not parts:
            width, depth = self._widths()
            empty = np.zeros
            return Detections(
                classes=self.classes,
                scanned=empty(0, np.bool_),
                frame=empty(0, np.int64),
                boxes=empty((0, 4), np.float32),
                scores=empty(0, np.float32),
                labels=empty(0, np.int64),
                probs=empty((0, len(self.classes) + 1), np.float32),
                features=empty((0, width), np.float16),
                embedding=empty((0, depth), np.float32),
            )

        def column(name: str) -> Any:
            return torch.cat([getattr(batch, name) for _, batch in parts]).cpu().numpy()

        frame = np.concatenate([where[batch.frame.cpu().numpy()] for where, batch in parts])
        order = np.argsort(frame, kind="stable")
        positions = np.concatenate([where for where, _ in parts])
        embedding = np.empty((count, parts[0][1].embedding.shape[1]), dtype=np.float32)
        embedding[positions] = column("embedding")
        return Detections(
            classes=self.classes,
            scanned=np.ones(count, dtype=np.bool_),
            frame=frame[order],
            boxes=column("boxes")[order],
            scores=np.minimum(column("scores")[order], 1),
            labels=column("labels")[order],
            probs=column("probs")[order],
            features=column("features")[order].astype(np.float16),
            embedding=embedding,
            suppressed=column("suppressed")[order],
        )

    def class_layer(self) -> tuple[FloatArray, FloatArray]:
        """(D, K) weights and (K,) offsets of the last layer: features -> logits of the classes."""
        layer = self.network.roi_heads.box_predictor.cls_score
        columns = self._cache["columns"]
        weight, offset = (
            each.detach()[columns].float().cpu() for each in (layer.weight, layer.bias)
        )
        return weight.numpy().T, offset.numpy()

    def _widths(self) -> tuple[int, int]:
        """Lengths of feature and embedding, from one blank frame."""
        if "widths" not in self._cache:
            blank = self._forward([np.zeros((64, 64, 3), dtype=np.uint8)])
            self._cache["widths"] = (blank.features.shape[1], blank.embedding.shape[1])
        widths: tuple[int, int] = self._cache["widths"]
        return widths


def _scaled(boxes: Tensor, size: tuple[int, int], original: tuple[int, int]) -> Tensor:
    """Boxes of an image of ``size`` (h, w) -> of the original one, inside it."""
    if size == original:
        return boxes
    high, wide = original[0] / size[0], original[1] / size[1]
    scaled = boxes * torch.tensor((wide, high, wide, high), device=boxes.device)
    limit = torch.tensor((original[1], original[0]) * 2, device=boxes.device, dtype=boxes.dtype)
    return torch.minimum(scaled, limit)


def _embedding(maps: Mapping[str, Tensor]) -> Tensor:
    """(B, E) float32: the average of every pyramid level, side by side.

    The level ``pool`` of torchvision's pyramids repeats the coarsest one and is left out.
    """
    levels = [each.float().mean(dim=(2, 3)) for name, each in maps.items() if name != "pool"]
    return torch.cat(levels, dim=1)


def _copy_output(source: Any, theirs: int, target: Any, mine: int) -> None:
    """Copy the weights of one class's score and box offsets from one predictor to another."""
    with torch.no_grad():
        for layer, width in (("cls_score", 1), ("bbox_pred", 4)):
            here = slice(mine * width, (mine + 1) * width)
            there = slice(theirs * width, (theirs + 1) * width)
            for name in ("weight", "bias"):
                values = getattr(getattr(source, layer), name)[there]
                getattr(getattr(target, layer), name)[here] = values


def narrowed(network: Any, columns: Tensor) -> Any:
    """A copy of a network that scores background and the given columns only, in that order."""
    network = copy.deepcopy(network)
    predictor = network.roi_heads.box_predictor
    rows = torch.cat([columns.new_zeros(1), columns])
    for layer, width in (("cls_score", 1), ("bbox_pred", 4)):
        old = getattr(predictor, layer)
        # without memory first: drawing initial weights would advance torch's global generator
        new = torch.nn.Linear(old.in_features, len(rows) * width, device="meta")
        new = new.to_empty(device=old.weight.device)
        wanted = (rows[:, None] * width + torch.arange(width, device=rows.device)).flatten()
        with torch.no_grad():
            new.weight.copy_(old.weight[wanted])
            new.bias.copy_(old.bias[wanted])
        setattr(predictor, layer, new)
    return network
