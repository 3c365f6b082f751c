"""How errors are expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from vidal.errors import UnknownName, UsageError

Estimator = Literal["trees", "logistic"]
Correction = Literal["none", "importance", "calibration"]

VERSION = 1
"""Raised whenever the same options would give other evidence than before."""


@dataclass(frozen=True, slots=True)
class ExpectedErrorsOptions:
    """Options of the learned estimate.

    Attributes:
        threshold: detections with a higher score (strictly) are the detector's output; weaker ones
            are candidates for missed objects.
        floor: detections with a lower score are not looked at; those above the threshold always
            are.
        carry: detections with a lower score are not carried to neighbouring frames, only met there;
            those above the threshold always are. 0.15 instead of 0.05 cost no accuracy on traffic
            cameras with 32 detections a frame, and a third of the time.
        window: frames that a detection is carried, each way.
        estimator: trees (gradient boosting) or logistic (regression, the small one).
        correction: what is done about labelled frames that are no random sample of the pool: none,
            importance (weights), or calibration (by the frames that were drawn at random).
        ensemble: models whose probabilities are averaged; every second one does not see where in
            the image a box lies (``PLACE``), nor does logistic regression.
    """

    threshold: float = 0.5
    floor: float = 0.05
    carry: float = 0.15
    window: int = 3
    estimator: Estimator = "trees"
    correction: Correction = "none"
    ensemble: int = 2

    def __post_init__(self) -> None:
        for name, choices in (("estimator", Estimator), ("correction", Correction)):
            if getattr(self, name) not in get_args(choices):
                raise UnknownName(name, str(getattr(self, name)), get_args(choices))
        for name in ("threshold", "floor", "carry"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)!r} is not between 0 and 1.")
        for name in ("window", "ensemble"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)!r} is not a positive number.")

    @property
    def least_score(self) -> float:
        """The score above which a detection is looked at: the floor, or a lower threshold.

        The detector's output is never left out of its own estimate.
        """
        return min(self.floor, self.threshold)

    @property
    def evidence_key(self) -> Mapping[str, Any]:
        """What the evidence depends on, as JSON values; not how errors are learned from it."""
        names = ("threshold", "carry", "window")
        chosen = {name: getattr(self, name) for name in names}
        return {"version": VERSION, "floor": self.least_score, **chosen}
