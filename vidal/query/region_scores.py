"""Scores of frames from values of their detections: one class, and a table of formulas.

The baselines of Zolfaghari Bengar et al., "Temporal Coherence for Active Learning in Videos",
ICCV Workshops 2019, section 4: each detection is scored by its class distribution, and a frame by
the mean (least confidence, entropy) or the sum (margin) over its detections. Frames without
detections score 0. A distribution has the K classes and, last, the background, which counts as a
class of its own wherever two columns are compared; so K = 1 is no special case.

Other formulas read more: features, what is labelled, or columns that something made which trains
or looks again (``Regions.columns``). An image is a frame with one detection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vidal.errors import UnknownName, UsageError
from vidal.protocols import Selector
from vidal.query.dispersion import label_dispersion
from vidal.query.egl import expected_gradient_length
from vidal.query.looks import Spreading, spread_by
from vidal.query.options import Preset
from vidal.query.pools import items_of, layer_of, regions_of
from vidal.query.regions import Fold, fold
from vidal.query.svm import margin_of_labelled
from vidal.query.uncertainty import bald, certainty, entropy, least_confidence, margin
from vidal.types import AnyGap, Explanation, IntArray, Pool, ScoreArray
from vidal.words import place_of

By = Literal["detector", "heads"]
"""Who disagrees: the detector with itself, or heads that are trained on its features."""

DISTRIBUTIONS = frozenset({"probs", "passes", "members"})
"""What formulas read that has the background as its last column."""

WEIGHT = "weight"
"""Column of regions, where it is there: (N,) in [0, 1], how much a detection's value counts."""

_PLAIN = frozenset({"probs", "scores", "labels", "boxes"})
_TIE = 1e-6
"""Weight of what orders equals; less than any difference of two dispersions that is one."""


@dataclass(frozen=True, slots=True)
class Formula:
    """One line of the table.

    Attributes:
        of: the arrays of ``reads``, in that order -> (N,) float64, higher = ask.
        words: its name in the reasons of a query, or what names it for a pool.
        what: in one sentence, for the list of strategies.
        aggregate: how a frame is made of detections; the paper's way where there is one.
        reads: fields of ``Regions``, names of its columns, "items" for what is labelled, or "layer"
            for the last layer.
        signed: whether values can be negative; then a frame without detections scores as low as
            the lowest detection of the pool.
        known_only: the background is left out whatever the option says (purity).
        by: who disagrees, by default; None = there is no choice.
        learned: by heads, always.
        labels: nothing can be said before some frames are labelled.
        peak: what the detection with the highest value is.
    """

    of: Callable[..., ScoreArray]
    words: str | Callable[[Pool], str]
    what: str
    aggregate: Fold = "mean"
    reads: tuple[str, ...] = ("probs",)
    signed: bool = False
    known_only: bool = False
    by: By | None = None
    learned: bool = False
    labels: bool = False
    peak: str = "least certain"

    def needs(self, by: By) -> frozenset[str]:
        """What a pool is built with for it."""
        needs = {"regions"}
        for name in self.reads:
            needs |= {"labelled"} if name == "items" else ({name} - _PLAIN)
        if self.labels:
            needs |= {"labels"}
        if "logits" in self.reads:
            needs |= {"features"}  # the last layer reads them
        if self.learned or (self.by is not None and by == "heads"):
            needs |= {"heads", "features", "labelled"}
        return frozenset(needs)

    @property
    def hidden(self) -> frozenset[str]:
        """Options of ``RegionScore`` that have no meaning for it."""
        compares = not self.known_only and self.reads[0] in DISTRIBUTIONS
        return frozenset(
            ({"by"} if self.by is None else set()) | (set() if compares else {"background"})
        )


def _foreground_least_confidence(probs: NDArray[Any]) -> ScoreArray:
    """Of the K classes: how sure the detector is of the background does not count."""
    return least_confidence(probs[:, :-1])


def _squared_margin(probs: NDArray[Any]) -> ScoreArray:
    """The 1-vs-2 margin of Brust et al., "Active learning for deep object detection", 2019."""
    return margin(probs) ** 2


def _bald(passes: NDArray[Any]) -> ScoreArray:
    return bald(np.moveaxis(passes, 1, 0))


def _variation_ratio(members: NDArray[Any]) -> ScoreArray:
    """Share of members that do not vote with the most; equals by the entropy of their mean."""
    votes = members.argmax(axis=2).T
    mean = members.mean(axis=1, dtype=np.float64) if members.shape[1] else members.sum(axis=1)
    return label_dispersion(votes) + _TIE * _evenness(mean)


def _dispersion(votes: NDArray[Any], probs: NDArray[Any]) -> ScoreArray:
    """Equals, of which there are many, by the entropy at the end."""
    return label_dispersion(votes.T) + _TIE * _evenness(probs)


def _evenness(probs: NDArray[Any]) -> ScoreArray:
    return entropy(probs) / math.log(max(2, probs.shape[1]))


def _unlike_labelled(labelledness: NDArray[Any]) -> ScoreArray:
    return 1.0 - np.asarray(labelledness, np.float64)


def _as_it_is(values: NDArray[Any]) -> ScoreArray:
    return np.asarray(values, np.float64)


FORMULAS: Mapping[str, Formula] = {
    "entropy": Formula(
        entropy,
        "entropy",
        "How evenly a detection's probability is spread over classes and background.",
    ),
    "least-confidence": Formula(
        _foreground_least_confidence,
        "least confidence",
        "How little the detector is sure of the class it chose.",
    ),
    "margin": Formula(
        _squared_margin,
        "margin score",
        "How close the two most likely classes of a detection are.",
        aggregate="sum",
    ),
    "certainty": Formula(
        certainty,
        "certainty",
        "How sure the detector is of one of its classes (purity: what it knows).",
        aggregate="top",
        known_only=True,
        peak="surest",
    ),
    "bald": Formula(
        _bald,
        "disagreement of passes",
        "How much stochastic passes disagree about a detection (MC dropout).",
        reads=("passes",),
        by="detector",
        peak="most disputed",
    ),
    "ensemble": Formula(
        _variation_ratio,
        "variation ratio",
        "How many members of an ensemble disagree with the majority about a detection.",
        reads=("members",),
        by="heads",
        peak="most disputed",
    ),
    "label-dispersion": Formula(
        _dispersion,
        "label dispersion",
        "How often the label of a detection changed while the detector was trained.",
        reads=("votes", "probs"),
        by="detector",
        peak="most changed",
    ),
    "learning-loss": Formula(
        _as_it_is,
        "predicted loss",
        "The loss that is predicted for a detection by a head that learned losses.",
        reads=("predicted_loss",),
        signed=True,
        learned=True,
        peak="largest",
    ),
    "vaal": Formula(
        _unlike_labelled,
        "probability of not being labelled",
        "How little a detection resembles what is labelled (VAAL on features).",
        reads=("labelledness",),
        learned=True,
        peak="least labelled",
    ),
    "svm-margin": Formula(
        margin_of_labelled,
        "SVM margin",
        "How near a detection is to a plane between the classes (linear SVM on labels).",
        reads=("features", "items"),
        signed=True,
        labels=True,
        peak="nearest a plane",
    ),
    "egl": Formula(
        expected_gradient_length,
        "expected gradient length",
        "How much the last layer would change if a detection's class were known.",
        reads=("probs", "features"),
    ),
}


@dataclass(frozen=True, slots=True)
class RegionScore:
    """A formula of detections, folded into frames.

    Attributes:
        formula: a key of ``FORMULAS``, or a line of another table.
        aggregate: how detections make a frame: mean, sum, max, or top (the mean of the highest);
            the default is the paper's where there is one.
        top: how many the highest are, for aggregate top.
        background: true = the background counts as a class; false = the classes alone, scaled to
            sum to 1.
        by: who disagrees: detector (its dropout layers, or snapshots of its training), or heads
            (small networks on its features, trained on what is labelled). On images: the network.
        spread: how picks are spread: clips (the best of every clip, then the second best), or looks
            (diminishing returns among frames that look alike, see ``vidal.query.looks``).
        groups: of looks; 0 = twice the root of the number of frames that are asked for.
    """

    formula: str | Formula = field(metadata={"option": False})
    aggregate: Fold = "mean"
    top: int = 3
    background: bool = True
    by: By = "detector"
    spread: Spreading = "clips"
    groups: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.formula, str) and self.formula not in FORMULAS:
            raise UnknownName("formula", self.formula, tuple(FORMULAS))
        if self.top < 1:
            raise UsageError(f"top {self.top}: less than 1.", hint="Give a number of detections.")

    @property
    def line(self) -> Formula:
        """The formula itself."""
        return FORMULAS[self.formula] if isinstance(self.formula, str) else self.formula

    @property
    def needs(self) -> frozenset[str]:
        """What the formula reads, and what is to be made of it."""
        return self.line.needs(self.by)

    @property
    def positive_first(self) -> bool:
        """Frames with a score of 0 come last, where 0 means nothing."""
        return not self.line.signed

    def rule(self, gap: AnyGap) -> Selector:
        """What chooses by these scores."""
        return spread_by(self, self.spread, gap, self.groups)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64; >= 0 unless the formula is signed, in its range for mean, max and top."""
        return self._folded(pool, self._values(pool))

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The frame's value, how many detections it has, and the one with the highest value."""
        regions, line = regions_of(pool), self.line
        name = line.words if isinstance(line.words, str) else line.words(pool)
        values = self._values(pool)
        scores = self._folded(pool, values)[positions]
        counts = np.bincount(regions.pos, minlength=len(pool))[positions]
        firsts = np.searchsorted(regions.pos, positions)
        words, highest = [], np.zeros(len(positions), dtype=np.float64)
        for i, (first, count) in enumerate(zip(firsts.tolist(), counts.tolist(), strict=True)):
            if not count:
                words.append("no detections")
                continue
            row = first + int(np.argmax(values[first : first + count]))
            highest[i] = values[row]
            plural = "s" if count > 1 else ""
            words.append(
                f"{self.aggregate} {name} {scores[i]:.3f} over {count} detection{plural}; "
                f"{line.peak}: {named(pool, row)}"
            )
        parts = {"detections": counts.astype(np.int64), "highest": highest}
        return Explanation(tuple(words), parts)

    def _folded(self, pool: Pool, values: ScoreArray) -> ScoreArray:
        empty = float(values.min()) if self.line.signed and len(values) else 0.0
        frame = regions_of(pool).pos
        return fold(values, frame, len(pool), self.aggregate, self.top, empty)

    def _values(self, pool: Pool) -> ScoreArray:
        values = self.line.of(*(self._read(pool, name) for name in self.line.reads))
        weight = regions_of(pool).columns.get(WEIGHT)
        if weight is None:
            return values
        low = min(0.0, float(values.min(initial=0.0)))
        return low + (values - low) * np.asarray(weight, np.float64)

    def _read(self, pool: Pool, name: str) -> Any:
        if name == "items":
            return items_of(pool)
        if name == "layer":
            return layer_of(pool)
        regions = regions_of(pool)
        plain = name in _PLAIN or name == "features"
        values = getattr(regions, name) if plain else regions.column(name)
        if name in DISTRIBUTIONS and (self.line.known_only or not self.background):
            return foreground(values)
        return values


def foreground(probs: NDArray[Any]) -> NDArray[np.float64]:
    """(..., K+1) with the background at 0 and the K classes scaled to sum to 1.

    All classes alike where all of it was background.
    """
    known = probs.astype(np.float64)
    known[..., -1] = 0.0
    total = known.sum(axis=-1, keepdims=True)
    even = np.where(np.arange(known.shape[-1]) < known.shape[-1] - 1, 1.0, 0.0)
    known = np.where(total > 0, known, even)
    return np.asarray(known / np.where(total > 0, total, max(1, known.shape[-1] - 1)))


def region_score(formula: str | Formula) -> Preset[RegionScore]:
    """The strategy of one line of a table, with the line's own defaults."""
    line = FORMULAS[formula] if isinstance(formula, str) else formula
    given: dict[str, Any] = {"formula": formula, "aggregate": line.aggregate}
    if line.by is not None:
        given["by"] = line.by
    return Preset(RegionScore, line.what, given, line.hidden)


def named(pool: Pool, row: int) -> str:
    """A detection in words, with its place in the picture where the size of that is known."""
    regions, sizes = regions_of(pool), pool.frames.sizes
    label = int(regions.labels[row])
    name = pool.classes[label] if label >= 0 else "unknown object"
    said = f"{name}, score {float(regions.scores[row]):.2f}"
    if not sizes:
        return said
    size = sizes[int(pool.frames.clip[regions.pos[row]])]
    return f"{said}, {place_of(regions.boxes[row].tolist(), size)}"
