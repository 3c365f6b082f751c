"""What can be chosen about detecting and about training: frozen values, free of torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from vidal.errors import UsageError

Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
NO_TF32 = ("precision tf32 is arithmetic of GPUs.", "Use --precision fp32 on a processor.")
"""What is wrong where it is asked for on a processor, and the way out."""
PRECISIONS: tuple[str, ...] = get_args(Precision)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise UsageError(f"{what}.")


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """How box-head outputs become detections.

    Non-maximum suppression per class at IoU 0.6 with at most 100 boxes of a class and 300 of a
    frame are the settings of the temporal-coherence authors' detector.

    Attributes:
        score_floor: a box is kept where its class probability exceeds this, in [0, 1).
        overlap: IoU in (0, 1] above which the weaker box of one class is dropped.
        per_class: most boxes of one class in a frame.
        per_frame: most boxes in a frame.
        precision: ``bf16`` or ``fp16`` autocast, ``fp32``, ``tf32`` = fp32 with the shortened
            products of a GPU's tensor cores, or ``auto`` = bf16 where it is computed natively, else
            fp32. Results repeat exactly for one precision, and differ slightly between them.
        compile: the network's parts are compiled by ``torch.compile``, for batches of 4, 8, 16;
            worth its minute at the start on a GPU. Results differ slightly.
    """

    score_floor: float = 0.05
    overlap: float = 0.6
    per_class: int = 100
    per_frame: int = 300
    precision: Precision = "auto"
    compile: bool = False

    def __post_init__(self) -> None:
        _require(0 <= self.score_floor < 1, f"score_floor {self.score_floor} is not in [0, 1)")
        _require(0 < self.overlap <= 1, f"overlap {self.overlap} is not in (0, 1]")
        _require(self.per_class > 0, f"per_class {self.per_class} is not positive")
        _require(self.per_frame > 0, f"per_frame {self.per_frame} is not positive")
        _require(self.precision in PRECISIONS, f"unknown precision {self.precision}")

    @property
    def key(self) -> dict[str, Any]:
        """For content keys, JSON values; what is not asked for leaves no trace in them."""
        values = asdict(self)
        if not self.compile:
            del values["compile"]
        return values


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How a detector is fitted.

    Attributes:
        epochs: passes over the samples.
        steps: of the optimiser, instead of epochs: passes go on until there are so many, however
            few samples there are; 0 = by epochs. Models that were fitted to different numbers of
            labels compare only where they had equally many steps.
        batch: images a step.
        optimizer: ``adamw``, or ``sgd`` with momentum 0.9.
        lr: peak learning rate, reached after ``warmup`` steps.
        schedule: ``cosine`` to zero, or ``steps``: times ``drop`` at each of ``drops``.
        drops: where the rate drops, as shares of all steps.
        drop: what it is multiplied by there.
        warmup: steps of linear warm-up; at most a tenth of all steps is used.
        weight_decay: decoupled for ``adamw``, L2 for ``sgd``.
        clip_norm: largest norm of the gradient.
        ema: decay of the averaged weights that training returns; 0 = the last weights.
        flip: share of images that are mirrored.
        scale: (low, high) random magnification; what leaves the image is cut off.
        brightness: images are multiplied by a factor in [1 - brightness, 1 + brightness].
        freeze_norm: keep the statistics of batch normalisation (for pretrained networks, whose
            statistics a batch of two would spoil).
        anchors: anchors an image that the proposal loss looks at.
        rois: proposals an image that the box loss looks at; a quarter of them objects.
        precision: as in ``DetectOptions``; ``fp16`` scales the loss (and skips the steps in which
            a gradient is not finite).
        loaders: threads that read and change images ahead of the network; None = none on a
            processor, up to 8 of the cores beside a GPU. The weights do not depend on it.
    """

    epochs: int = 12
    steps: int = 0
    batch: int = 4
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    schedule: Literal["cosine", "steps"] = "cosine"
    drops: tuple[float, ...] = (0.7, 0.9)
    drop: float = 0.1
    warmup: int = 100
    weight_decay: float = 1e-4
    clip_norm: float = 10.0
    ema: float = 0.998
    flip: float = 0.5
    scale: tuple[float, float] = (0.75, 1.35)
    brightness: float = 0.3
    freeze_norm: bool = False
    anchors: int = 128
    rois: int = 64
    precision: Precision = "auto"
    loaders: int | None = None

    def __post_init__(self) -> None:
        _require(self.epochs > 0, f"epochs {self.epochs} is not positive")
        _require(self.steps >= 0, f"steps {self.steps} is negative")
        _require(self.batch > 0, f"batch {self.batch} is not positive")
        _require(self.optimizer in ("adamw", "sgd"), f"unknown optimizer {self.optimizer!r}")
        _require(self.schedule in ("cosine", "steps"), f"unknown schedule {self.schedule!r}")
        _require(self.lr > 0, f"lr {self.lr} is not positive")
        _require(0 < self.drop <= 1, f"drop {self.drop} is not in (0, 1]")
        _require((self.loaders or 0) >= 0, f"loaders {self.loaders} is negative")
        _require(self.clip_norm > 0, f"clip_norm {self.clip_norm} is not positive")
        _require(0 <= self.ema < 1, f"ema {self.ema} is not in [0, 1)")
        _require(0 <= self.flip <= 1, f"flip {self.flip} is not in [0, 1]")
        _require(0 <= self.brightness < 1, f"brightness {self.brightness} is not in [0, 1)")
        _require(0 < self.scale[0] <= self.scale[1], f"scale {self.scale} is not a range")
        _require(self.precision in PRECISIONS, f"unknown precision {self.precision}")

    @property
    def shaping(self) -> dict[str, Any]:
        """The options that shape the weights: how many threads read samples does not."""
        return {name: value for name, value in asdict(self).items() if name != "loaders"}

    def length(self, samples: int) -> tuple[int, int]:
        """Steps and passes (the last one perhaps a part) over so many samples, at least one."""
        per_epoch = -(-samples // self.batch)
        steps = self.steps or per_epoch * self.epochs
        return steps, -(-steps // per_epoch)
