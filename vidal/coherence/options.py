"""The options of temporal coherence, with the defaults of the paper where it states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from vidal.errors import UnknownName, UsageError

LinkMode = Literal["many", "one_to_one"]
Clustering = Literal["components", "greedy", "none"]
Tie = Literal["bottom", "top"]
Solver = Literal["auto", "maxflow", "scipy"]

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "link_mode": get_args(LinkMode),
    "clustering": get_args(Clustering),
    "tie": get_args(Tie),
    "solver": get_args(Solver),
}
_LARGEST_COST = 1000
"""Keeps the sum of all capacities of a long clip within the solvers' 32 bits."""

VERSION = 1
"""Raised whenever the same options would give other estimates than before."""


@dataclass(frozen=True, slots=True)
class CoherenceOptions:
    """How errors are estimated (Zolfaghari Bengar et al. 2019, Section 3).

    Attributes:
        score_threshold: detections are judged if their score is strictly above it.
        window: frames that a detection is carried, each way, in true frame index. 3 assumes
            25 to 30 frames a second; use 1 at 2 to 5.
        theta: two detections are linked if one, carried to the frame of the other, overlaps it
            with an IoU strictly above theta.
        weight: cost of two linked nodes that disagree. The paper's is 1; 2 is what the authors'
            working code amounts to.
        same_class: link and cluster detections of the same class only.
        link_mode: ``many``: every overlap links (paper). ``one_to_one``: within an ordered pair of
            frames a track and a detection are linked once, the largest IoU first, so that
            duplicates lose their support.
        clustering: how unmatched tracks of a frame become candidates. ``components``: connected
            components of overlap, the box is the coordinate-wise median; independent of order.
            ``greedy``: the first remaining track absorbs what overlaps it, whatever the class, and
            keeps its own box. ``none``: each track is a candidate.
        cluster_iou: overlap (strictly above) that joins tracks; 0.75 is usual with ``greedy``.
        tie: ``bottom``: of all optimal solutions the one with the fewest objects (most false
            positives, fewest misses); ``top``: the most objects.
        solver: ``auto``: PyMaxflow where it is installed, else SciPy; the labels are the same.
        false_positive_cost: cost of judging a detection false.
        false_negative_cost: cost of judging a candidate a missed object.
    """

    score_threshold: float = 0.5
    window: int = 3
    theta: float = 0.5
    weight: int = 1
    same_class: bool = True
    link_mode: LinkMode = "many"
    clustering: Clustering = "components"
    cluster_iou: float = 0.5
    tie: Tie = "bottom"
    solver: Solver = "auto"
    false_positive_cost: int = 1
    false_negative_cost: int = 1

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise UnknownName(name, str(getattr(self, name)), choices)
        for name in ("score_threshold", "theta", "cluster_iou"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UsageError(f"{name} {value!r} is not between 0 and 1.")
        if self.window < 1:
            raise UsageError(f"window {self.window!r} is not a positive number of frames.")
        for name, least in (("weight", 0), ("false_positive_cost", 1), ("false_negative_cost", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= _LARGEST_COST:
                raise UsageError(
                    f"{name} {value!r} is not a whole number between {least} and {_LARGEST_COST}.",
                    hint="Multiply all costs and the weight by the same number to get fractions.",
                )

    @property
    def key(self) -> Mapping[str, Any]:
        """What an estimate depends on, as JSON values; the solver does not change it."""
        values = asdict(self)
        del values["solver"]
        return {"version": VERSION, **values}
