"""Any torchvision ``FasterRCNN`` as a detector, run part by part (``forward``).

Frames of one size share a forward pass; frames of different sizes never do, because padding changes
the scores of a feature pyramid.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator

from vidal.detect import training
from vidal.detect.architectures import choose_columns, fresh
from vidal.detect.checkpoints import Checkpoint, digest, save_checkpoint
from vidal.detect.columns import WIDE
from vidal.detect.device import resolved, use_bf16
from vidal.detect.forward import TOGETHER, Forward
from vidal.detect.options import DetectOptions, TrainOptions
from vidal.detect.stream import Part, in_turn, overlapped, table_of
from vidal.detect.training import Snapshots, TrainState
from vidal.types import Detections, FloatArray, Frame, Sample


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
        wide: which of ``features`` and ``embedding`` its tables have.
    """

    architecture: str
    network: Any = field(repr=False)
    outputs: tuple[str, ...] = field(repr=False)
    classes: tuple[str, ...]
    options: DetectOptions
    training: TrainOptions
    notes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    wide: frozenset[str] = WIDE
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        resolved(self.options.precision, self.device)  # refused here, and not at the first frame
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
            **self.options.key,
            "precision": resolved(self.options.precision, self.device),
        }

    def giving(self, columns: Collection[str]) -> FasterRCNNDetector:
        """The same detector, which computes these of ``features`` and ``embedding`` only."""
        return replace(self, wide=frozenset(columns))

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """Detections of a batch; ``frame`` counts positions in ``frames``, all are ``scanned``.

        Frames may differ in size. Memory grows with a few frames, whatever the number given.

        Raises:
            UsageError: the GPU's memory is not enough.
        """
        return next(self.stream([frames]))

    def stream(self, groups: Iterable[Sequence[Frame]]) -> Iterator[Detections]:
        """What ``detect`` gives of each group, in order.

        On a GPU the next frames are copied there, and the last rows become a table, while the
        network looks at those between; at most a few groups are held. Tables are the same to the
        bit.

        Raises:
            UsageError: the GPU's memory is not enough.
        """
        run = in_turn if self.device.type == "cpu" else overlapped
        together = TOGETHER[self.device.type]

        def finish(parts: list[Part], count: int) -> Detections:
            return table_of(parts, count, self.classes) if parts else self._empty()

        return run(groups, self._forward, finish, self.device, together)

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

    def warm(self, size: tuple[int, int], frames: int = 0) -> None:
        """Look at blank frames of (H, W), once: a GPU loads its kernels, parts are compiled.

        Args:
            size: of the frames that will come.
            frames: in one forward pass; 0 = what suits the device.
        """
        count = frames or TOGETHER[self.device.type]
        self._forward(torch.zeros((count, *size, 3), dtype=torch.uint8, device=self.device))

    @property
    def _forward(self) -> Forward:
        """The forward pass; what it has computed once stays."""
        return Forward(
            self.network,
            self._cache["columns"],
            self.options,
            self.wide,
            together=self.device.type != "cpu",
            cache=self._cache.setdefault("forward", {}),
        )

    def _empty(self) -> Detections:
        """The table of no frames."""
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
            blank = torch.zeros((1, 64, 64, 3), dtype=torch.uint8, device=self.device)
            found = replace(self._forward, wide=WIDE)(blank)
            self._cache["widths"] = (found.features.shape[1], found.embedding.shape[1])
        features, embedding = self._cache["widths"]
        return (
            features if "features" in self.wide else 0,
            embedding if "embedding" in self.wide else 0,
        )


def _copy_output(source: Any, theirs: int, target: Any, mine: int) -> None:
    """Copy the weights of one class's score and box offsets from one predictor to another."""
    with torch.no_grad():
        for layer, width in (("cls_score", 1), ("bbox_pred", 4)):
            here = slice(mine * width, (mine + 1) * width)
            there = slice(theirs * width, (theirs + 1) * width)
            for name in ("weight", "bias"):
                values = getattr(getattr(source, layer), name)[there]
                getattr(getattr(target, layer), name)[here] = values


def narrowed(network: Any, columns: torch.Tensor) -> Any:
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
