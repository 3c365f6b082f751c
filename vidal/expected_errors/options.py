"""How errors are expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from vidal.errors import UnknownName, UsageError
from vidal.expected_errors.pairs import LINK_IOU

Estimator = Literal["mixed", "trees", "forest", "logistic"]
Correction = Literal["none", "importance", "calibration"]
Version = Literal[1, 2]

VERSION = 1
"""Raised whenever the same options would give other evidence than before."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The options that a version decides, see ``ExpectedErrorsOptions``."""

    same: float
    estimator: Estimator
    blend: float
    totals: bool
    weigh: bool


_SETTLED = {1: Settled(0.3, "trees", 0.0, False, False), 2: Settled(0.5, "mixed", 0.5, True, True)}
"""By version."""


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
        version: of the estimate; 1 is the first, as it was published. It settles what is not given:
            same 0.3, estimator trees, blend 0, no totals, nothing weighed and no prior in
            version 1.
        same: a carried box that overlaps a detection by more (IoU) expects no object there: the
            detection is it.
        estimator: trees (gradient boosting), forest (extremely randomised trees), mixed (the mean
            of both) or logistic (regression, the small one).
        correction: what is done about labelled frames that are no random sample of the pool: none,
            importance (weights), or calibration (by the frames that were drawn at random).
        ensemble: boosted models whose probabilities are averaged; every second one does not see
            where in the image a box lies (``PLACE``), nor does logistic regression.
        blend: weight, in [0, 1], of the neighbouring frames in the misses expected of a frame; half
            of it in the false alarms.
        width: standard deviation, in frames, of the Gaussian that weighs those neighbours.
        prior: errors of one kind, judged by own labels, that count as much as the prior that comes
            with vidal, until ten errors are judged and it says nothing any more; 0 = no prior.
        totals: the numbers that are told are made right in sum; the score, and so the choice, is
            the same without.
        weigh: labels of older rounds, and of clips that nothing is chosen from, count by what they
            do for the newest, or for those of the clips that frames are chosen from.
    """

    threshold: float = 0.5
    floor: float = 0.05
    carry: float = 0.15
    window: int = 3
    version: Version = 2
    same: float | None = None
    estimator: Estimator | None = None
    correction: Correction = "none"
    ensemble: int = 2
    blend: float | None = None
    width: float = 6.0
    totals: bool | None = None
    weigh: bool | None = None
    prior: float = 20.0

    def __post_init__(self) -> None:
        if self.version not in _SETTLED:
            raise UnknownName("version", str(self.version), tuple(map(str, _SETTLED)))
        for name, choices in (("estimator", Estimator), ("correction", Correction)):
            if getattr(self, name) not in (*get_args(choices), None):
                raise UnknownName(name, str(getattr(self, name)), get_args(choices))
        for name in ("threshold", "floor", "carry", "blend"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"{name} {value!r} is not between 0 and 1.")
        if self.same is not None and not LINK_IOU <= self.same <= 1:
            raise UsageError(f"same {self.same!r} is not between {LINK_IOU} and 1.")
        for name in ("window", "ensemble", "width", "prior"):
            if getattr(self, name) < (0 if name in ("width", "prior") else 1):
                raise UsageError(f"{name} {getattr(self, name)!r} is not a positive number.")

    @property
    def settled(self) -> Settled:
        """What is given of the options that a version decides, else what the version says."""
        return Settled(
            **{
                name: value if getattr(self, name) is None else getattr(self, name)
                for name, value in asdict(_SETTLED[self.version]).items()
            }
        )

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
        same = self.settled.same
        return {"version": VERSION, "floor": self.least_score, **chosen, "same": same}
