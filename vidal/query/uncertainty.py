"""Scores of frames from the class distributions of their detections: a table of formulas.

The baselines of Zolfaghari Bengar et al., "Temporal Coherence for Active Learning in Videos",
ICCV Workshops 2019, section 4: each detection is scored by its class distribution, and a frame by
the mean (least confidence, entropy) or the sum (margin) over its detections. Frames without
detections score 0. A distribution has the K classes and, last, the background, which counts as a
class of its own wherever two columns are compared; so K = 1 is no special case.

The pure functions take the columns that they are given; which columns a strategy gives them, and
what it makes of the value, stands in ``FORMULAS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vidal.errors import UnknownName
from vidal.protocols import Selector
from vidal.query.looks import Spreading, spread_by
from vidal.query.options import Preset
from vidal.query.pools import regions_of
from vidal.types import Explanation, IntArray, Pool, Regions, ScoreArray

Aggregate = Literal["mean", "sum", "max"]


def least_confidence(probs: NDArray[Any]) -> ScoreArray:
    """1 - max_k p_k; (N, K) -> (N,) in [0, 1].

    Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994.
    """
    return 1.0 - np.max(probs, axis=1, initial=0.0).astype(np.float64)


def margin(probs: NDArray[Any]) -> ScoreArray:
    """1 - (p1 - p2) of the two largest columns; (N, K) -> (N,) in [0, 1]; 0 where K = 1.

    Scheffer, Decomain and Wrobel, "Active hidden Markov models for information extraction", 2001.
    """
    if probs.shape[1] < 2:
        return np.zeros(len(probs))
    top = np.partition(probs.astype(np.float64), probs.shape[1] - 2, axis=1)[:, -2:]
    return np.asarray(1.0 - (top[:, 1] - top[:, 0]))


def entropy(probs: NDArray[Any]) -> ScoreArray:
    """-sum_k p_k ln p_k, 0 ln 0 = 0; (N, K) -> (N,) in [0, ln K].

    Shannon, "A mathematical theory of communication", 1948; Settles, "Active learning literature
    survey", 2009, section 3.1.
    """
    p = probs.astype(np.float64)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.maximum(0.0, -(p * logs).sum(axis=1))


def certainty(probs: NDArray[Any]) -> ScoreArray:
    """max_k p_k; (N, K) -> (N,) in [0, 1]: purity, high = likely one of the K classes.

    Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution examples
    in neural networks", ICLR 2017.
    """
    return np.max(probs, axis=1, initial=0.0).astype(np.float64)


msp = certainty
"""The maximum softmax probability: the same function."""


def bald(passes: NDArray[Any]) -> ScoreArray:
    """H(mean_t p_t) - mean_t H(p_t) of T stochastic passes; (T, N, K) -> (N,) in [0, ln K].

    The mutual information of label and weights; 0 of one pass or of none. Houlsby et al.,
    "Bayesian active learning for classification and preference learning", 2011; Gal, Islam and
    Ghahramani, "Deep Bayesian active learning with image data", ICML 2017.
    """
    count, rows, columns = passes.shape
    mean, inner = np.zeros((rows, columns)), np.zeros(rows)
    for each in passes:  # one pass at a time in float64
        mean += each
        inner += entropy(each)
    share = max(1, count)
    return np.maximum(0.0, entropy(mean / share) - inner / share)


def _foreground_least_confidence(probs: NDArray[Any]) -> ScoreArray:
    """Of the K classes: how sure the detector is of the background does not count."""
    return least_confidence(probs[:, :-1])


def _squared_margin(probs: NDArray[Any]) -> ScoreArray:
    """The 1-vs-2 margin of Brust et al., "Active learning for deep object detection", 2019."""
    return margin(probs) ** 2


def aggregate(values: ScoreArray, pos: IntArray, frames: int, how: Aggregate) -> ScoreArray:
    """Values of detections folded into their frames: (N,) at positions (N,) -> (F,).

    Frames without detections get 0. ``max`` expects values >= 0.
    """
    if how == "max":
        result = np.zeros(frames, dtype=np.float64)
        np.maximum.at(result, pos, values)
        return result
    result = np.bincount(pos, weights=values, minlength=frames).astype(np.float64)
    if how == "mean":
        result /= np.maximum(1, np.bincount(pos, minlength=frames))
    return result


@dataclass(frozen=True, slots=True)
class Formula:
    """One line of the table.

    Attributes:
        of: class distributions (N, K+1), background last -> (N,) float64 >= 0, higher = ask.
        words: its name in the reasons of a query.
        what: in one sentence, for the list of strategies.
        aggregate: how the paper makes a frame of detections.
    """

    of: Callable[[NDArray[Any]], ScoreArray]
    words: str
    what: str
    aggregate: Aggregate


FORMULAS: Mapping[str, Formula] = {
    "entropy": Formula(
        entropy,
        "entropy",
        "How evenly a detection's probability is spread over classes and background.",
        "mean",
    ),
    "least-confidence": Formula(
        _foreground_least_confidence,
        "least confidence",
        "How little the detector is sure of the class it chose.",
        "mean",
    ),
    "margin": Formula(
        _squared_margin,
        "margin score",
        "How close the two most likely classes of a detection are.",
        "sum",
    ),
}


@dataclass(frozen=True, slots=True)
class RegionScore:
    """A formula of class distributions, folded from detections into frames.

    Attributes:
        formula: a key of ``FORMULAS``.
        aggregate: how detections make a frame: mean, sum or max; the default is the paper's.
        spread: how picks are spread: clips (the best of every clip, then the second best), or looks
            (diminishing returns among frames that look alike, see ``vidal.query.looks``).
        groups: of looks; 0 = twice the root of the number of frames that are asked for.
    """

    formula: str = field(metadata={"option": False})
    aggregate: Aggregate = "mean"
    spread: Spreading = "clips"
    groups: int = 0

    needs: ClassVar[frozenset[str]] = frozenset({"regions"})
    positive_first: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.formula not in FORMULAS:
            raise UnknownName("formula", self.formula, tuple(FORMULAS))

    def rule(self, gap: int) -> Selector:
        """What chooses by these scores."""
        return spread_by(self, self.spread, gap, self.groups)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64 >= 0; in the formula's range for mean and max."""
        regions = regions_of(pool)
        return aggregate(self._values(regions), regions.pos, len(pool), self.aggregate)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The frame's value, how many detections it has, and the least certain of them."""
        regions, name = regions_of(pool), FORMULAS[self.formula].words
        values = self._values(regions)
        scores = aggregate(values, regions.pos, len(pool), self.aggregate)[positions]
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
                f"least certain: {_named(pool.classes, regions, row)}"
            )
        parts = {"detections": counts.astype(np.int64), "highest": highest}
        return Explanation(tuple(words), parts)

    def _values(self, regions: Regions) -> ScoreArray:
        return FORMULAS[self.formula].of(regions.probs)


def region_score(formula: str) -> Preset[RegionScore]:
    """The strategy of one line of the table, with the paper's aggregate as the default."""
    line = FORMULAS[formula]
    return Preset(RegionScore, line.what, {"formula": formula, "aggregate": line.aggregate})


def _named(classes: tuple[str, ...], regions: Regions, row: int) -> str:
    label = int(regions.labels[row])
    name = classes[label] if label >= 0 else "unknown object"
    return f"{name}, score {float(regions.scores[row]):.2f}"
