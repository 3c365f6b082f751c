"""How the classifier is trained: the papers' recipes, and one that suits a CPU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vidal.errors import UsageError

Network = Literal["small", "resnet18"]
Schedule = Literal["one-cycle", "drops", "constant"]


def _at_least(options: Recipe | VaalOptions | EncoderOptions, low: int, *names: str) -> None:
    for name in names:
        value = getattr(options, name)
        if not low <= value < math.inf:
            raise UsageError(f"{name} {value!r} is not a number of at least {low}.")


def _above_zero(options: Recipe | VaalOptions | EncoderOptions, *names: str) -> None:
    for name in names:
        value = getattr(options, name)
        if not 0 < value < math.inf:
            raise UsageError(f"{name} {value!r} is not a number above 0.")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to train. Stochastic gradient descent; anew from the same weights in every round.

    Attributes:
        network: ``small`` = three convolutions, ``resnet18`` = in the variant for 32 x 32 pixels.
        widths: channels of the small network.
        stride: of its first convolution; with 1 a pooling follows it.
        dropout: before the last layer, in training; 0 = none (then there is no BALD).
        epochs: passes over the labelled images.
        steps: least number of steps, whatever the epochs: with few labels epochs are short.
        batch: images a step.
        lr: highest rate.
        schedule: ``one-cycle`` rises for 30 % of the steps and falls to 0 (both as a cosine),
            ``drops`` multiplies by ``factor`` at each share of the steps in ``drops``.
        drops, factor: see ``schedule``.
        momentum, nesterov, weight_decay: of the descent.
        flip: mirror half of the images, left to right.
        shift: pad by so many pixels of the image's edge and crop at random; 0 = not.
        precision: ``auto`` = bf16 where it is native; else ``fp32`` or ``bf16``.
    """

    network: Network = "small"
    widths: tuple[int, int, int] = (16, 32, 32)
    stride: int = 1
    dropout: float = 0.5
    epochs: int = 40
    steps: int = 200
    batch: int = 64
    lr: float = 0.1
    schedule: Schedule = "one-cycle"
    drops: tuple[float, ...] = ()
    factor: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    flip: bool = False
    shift: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    def __post_init__(self) -> None:
        """Refuse what nothing can be trained with, with a ``UsageError``."""
        _at_least(self, 1, "batch", "stride")
        _at_least(self, 0, "epochs", "steps", "shift", "weight_decay")
        _above_zero(self, "lr", "factor")
        if not all(width >= 1 for width in self.widths):
            raise UsageError(f"widths {self.widths!r}: one is below 1.")
        for name in ("dropout", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)!r} is not in [0, 1).")
        if self.nesterov and not self.momentum:
            raise UsageError("nesterov without momentum.", hint="Give nesterov: false.")
        if not all(0 <= share <= 1 for share in self.drops):
            raise UsageError(f"drops {self.drops!r}: shares of the steps are in [0, 1].")
        if not (self.epochs or self.steps):
            raise UsageError("epochs and steps are both 0: nothing would be trained.")

    def length(self, images: int) -> int:
        """Steps of a training on so many images."""
        return max(self.steps, self.epochs * math.ceil(images / self.batch))

    def rate(self, step: int, steps: int) -> float:
        """The rate of a step, counted from 0."""
        if self.schedule == "drops":
            passed = sum(step >= share * steps for share in self.drops)
            return self.lr * self.factor**passed
        if self.schedule == "constant":
            return self.lr
        top = max(1.0, 0.3 * steps)
        if step < top:
            return self.lr * (0.04 + 0.96 * (1 - math.cos(math.pi * step / top)) / 2)
        return self.lr * (1 + math.cos(math.pi * (step - top) / max(1.0, steps - top))) / 2


RECIPES: Mapping[str, Recipe] = {
    "small": Recipe(),
    "small-colour": Recipe(widths=(32, 64, 64), stride=2, flip=True),
    "thesis": Recipe(
        network="resnet18",
        dropout=0.0,
        epochs=100,
        steps=0,
        batch=256,
        lr=0.02,
        schedule="drops",
        drops=(0.6, 0.8),
        factor=0.2,
        flip=True,
        shift=4,
    ),
    "lfo": Recipe(
        network="resnet18",
        dropout=0.0,
        epochs=200,
        steps=0,
        batch=128,
        lr=0.01,
        schedule="drops",
        drops=(0.3, 0.6, 0.9),
        factor=0.5,
        nesterov=False,
        flip=True,
        shift=4,
    ),
}
"""``small`` and ``small-colour`` after the pilot of two-core runs (grey and coloured images);
``thesis`` = chapter 3 (rate divided by 5 at 60 and 80 of 100 epochs), ``lfo`` = that of LfOSA's
successors (halved every 60 of 200 epochs)."""


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """How self-supervised encoders are trained, for the strategies that ask for them.

    The papers train 700 to 1000 epochs of 32 pictures, which takes a GPU.

    Attributes:
        steps: of the optimizer.
        batch: pictures a step; each is seen in two views, four times as often where rotations are
            told apart.
        temperature: of the cosines.
        width: of what they give.
        lr: highest rate of Adam.
        weight_decay: of Adam.
        crops: parts of 54 % of a picture, of which features are the mean (CCAL: 10); 0 = of the
            whole picture.
    """

    steps: int = 500
    batch: int = 32
    temperature: float = 0.5
    width: int = 128
    lr: float = 1e-3
    weight_decay: float = 1e-6
    crops: int = 10

    def __post_init__(self) -> None:
        """Refuse what nothing can be trained with, with a ``UsageError``."""
        _at_least(self, 1, "steps", "width")
        _at_least(self, 2, "batch")
        _at_least(self, 0, "weight_decay", "crops")
        _above_zero(self, "lr", "temperature")


@dataclass(frozen=True, slots=True)
class VaalOptions:
    """How both are trained.

    Attributes:
        steps: each updates the autoencoder twice and the discriminator once.
        batch: images of either side a step.
        lr: of Adam, for both.
        beta: weight of the divergence.
        adversary: weight of fooling the discriminator.
        width: channels of the first convolution; the second has twice as many.
    """

    steps: int = 150
    batch: int = 64
    lr: float = 1e-3
    beta: float = 1.0
    adversary: float = 1.0
    width: int = 16

    def __post_init__(self) -> None:
        """Refuse what nothing can be trained with, with a ``UsageError``."""
        _at_least(self, 1, "steps", "batch", "width")
        _at_least(self, 0, "beta", "adversary")
        _above_zero(self, "lr")
