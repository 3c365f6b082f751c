"""Least confidence, margin and entropy of the detections of a frame.

The baselines of Zolfaghari Bengar et al., "Temporal Coherence for Active Learning in Videos",
ICCV Workshops 2019, section 4: each detection is scored by its class distribution, and a frame by
the mean (least confidence, entropy) or the sum (margin) over its detections. Frames without
detections score 0. A distribution has the K classes and, last, the background, which counts as a
class of its own wherever two columns are compared; so K = 1 is no special case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vidal.query.pools import regions_of
from vidal.types import Explanation, IntArray, Pool, Regions, ScoreArray

Aggregate = Literal["mean", "sum", "max"]


def least_confidence(probs: NDArray[Any]) -> ScoreArray:
    """1 - max_k p_k over the K classes without the background; (N, K+1) -> (N,) in [0, 1].

    Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994.
    """
    return 1.0 - np.max(probs[:, :-1], axis=1, initial=0.0).astype(np.float64)


def margin(probs: NDArray[Any]) -> ScoreArray:
    """(1 - (p1 - p2))^2 of the two largest columns, background too; (N, K+1) -> (N,) in [0, 1].

    Brust et al., "Active learning for deep object detection", VISAPP 2019, the 1-vs-2 margin.
    """
    if probs.shape[1] < 2:
        raise ValueError(f"probs: expected at least 2 columns, got {probs.shape[1]}")
    top = np.partition(probs.astype(np.float64), probs.shape[1] - 2, axis=1)[:, -2:]
    return (1.0 - (top[:, 1] - top[:, 0])) ** 2


def entropy(probs: NDArray[Any]) -> ScoreArray:
    """-sum_k p_k ln p_k over classes and background, 0 ln 0 = 0; (N, K+1) -> (N,) in [0, ln(K+1)].

    Shannon, "A mathematical theory of communication", 1948; Settles, "Active learning literature
    survey", 2009, section 3.1.
    """
    p = probs.astype(np.float64)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.maximum(0.0, -(p * logs).sum(axis=1))


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
class LeastConfidence:
    """How little the detector is sure of the class it chose.

    Attributes:
        aggregate: how detections make a frame: mean (the paper's), sum or max.
    """

    aggregate: Aggregate = "mean"

    needs: ClassVar[frozenset[str]] = frozenset({"regions"})
    positive_first: ClassVar[bool] = True

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64 in [0, 1] for mean and max."""
        return _score(pool, least_confidence, self.aggregate)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The frame's value, how many detections it has, and the least certain of them."""
        return _explain(pool, positions, least_confidence, self.aggregate, "least confidence")


@dataclass(frozen=True, slots=True)
class Margin:
    """How close the two most likely classes of a detection are.

    Attributes:
        aggregate: how detections make a frame: sum (the paper's), mean or max.
    """

    aggregate: Aggregate = "sum"

    needs: ClassVar[frozenset[str]] = frozenset({"regions"})
    positive_first: ClassVar[bool] = True

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64; in [0, 1] for mean and max."""
        return _score(pool, margin, self.aggregate)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The frame's value, how many detections it has, and the least certain of them."""
        return _explain(pool, positions, margin, self.aggregate, "margin score")


@dataclass(frozen=True, slots=True)
class Entropy:
    """How evenly a detection's probability is spread over classes and background.

    Attributes:
        aggregate: how detections make a frame: mean (the paper's), sum or max.
    """

    aggregate: Aggregate = "mean"

    needs: ClassVar[frozenset[str]] = frozenset({"regions"})
    positive_first: ClassVar[bool] = True

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64; in [0, ln(K+1)] nats for mean and max."""
        return _score(pool, entropy, self.aggregate)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The frame's value, how many detections it has, and the least certain of them."""
        return _explain(pool, positions, entropy, self.aggregate, "entropy")


Formula = Callable[[NDArray[Any]], ScoreArray]


def _score(pool: Pool, formula: Formula, how: Aggregate) -> ScoreArray:
    regions = regions_of(pool)
    return aggregate(formula(regions.probs), regions.pos, len(pool), how)


def _explain(
    pool: Pool, positions: IntArray, formula: Formula, how: Aggregate, name: str
) -> Explanation:
    regions = regions_of(pool)
    values = formula(regions.probs)
    scores = aggregate(values, regions.pos, len(pool), how)[positions]
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
            f"{how} {name} {scores[i]:.3f} over {count} detection{plural}; "
            f"least certain: {_named(pool.classes, regions, row)}"
        )
    parts = {"detections": counts.astype(np.int64), "highest": highest}
    return Explanation(tuple(words), parts)


def _named(classes: tuple[str, ...], regions: Regions, row: int) -> str:
    label = int(regions.labels[row])
    name = classes[label] if label >= 0 else "unknown object"
    return f"{name}, score {float(regions.scores[row]):.2f}"
