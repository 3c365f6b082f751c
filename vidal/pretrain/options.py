"""What can be chosen about SimSiam; the defaults are the thesis's where it states them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vidal.errors import UsageError


@dataclass(frozen=True, slots=True)
class SimSiamOptions:
    """How SimSiam trains.

    The thesis (Section 5.3): SGD, rate 0.03, momentum 0.9, weight decay 1e-4, batch 512, 800
    epochs, cosine; crops of 0.2 to 1 of the area, flips, colour jitter (0.4, 0.4, 0.4, 0.1) with
    probability 0.8, grey 0.2, blur of sigma 0.1 to 2.

    Attributes:
        epochs: passes over the pictures.
        batch: pictures a step.
        lr: learning rate of a batch of 256; it is used times ``batch / 256``, as in the paper
            (Section 4, "Baseline settings"), and falls to zero along a cosine.
        momentum, weight_decay: of stochastic gradient descent.
        size: side of a view in pixels.
        dim: of projections and predictions.
        hidden: of the predictor's middle layer.
        crop: (low, high) share of the area that a view shows.
        flip: share of views that are mirrored.
        jitter: strengths of brightness, contrast, saturation and hue.
        jitter_share: share of views whose colours are changed.
        grey: share of views without colour.
        blur: share of views that are blurred.
        sigma: (low, high) of the blur, in pixels.
    """

    epochs: int = 100
    batch: int = 64
    lr: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 1e-4
    size: int = 128
    dim: int = 512
    hidden: int = 128
    crop: tuple[float, float] = (0.2, 1.0)
    flip: float = 0.5
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    jitter_share: float = 0.8
    grey: float = 0.2
    blur: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch": 2, "size": 8, "dim": 2, "hidden": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise UsageError(f"{name} {getattr(self, name)!r} is below {low}.")
        if not 0 < self.lr < math.inf:
            raise UsageError(f"lr {self.lr!r} is not a number above 0.")
        if not (0 <= self.momentum < 1 and 0 <= self.weight_decay < math.inf):
            raise UsageError("momentum is not in [0, 1), or weight_decay is not at least 0.")
        for name in ("flip", "jitter_share", "grey", "blur"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)!r} is not in [0, 1].")
        if not (all(0 <= each <= 1 for each in self.jitter) and self.jitter[3] <= 0.5):
            raise UsageError(f"jitter {self.jitter!r}: strengths in [0, 1], of hue in [0, 0.5].")
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise UsageError(f"crop {self.crop!r} is not a range of shares of the area.")
        if not 0 < self.sigma[0] <= self.sigma[1] < math.inf:
            raise UsageError(f"sigma {self.sigma!r} is not a range.")

    @property
    def rate(self) -> float:
        """The first learning rate."""
        return self.lr * self.batch / 256
