"""For people who hunt new classes: the opposite of ``known_only``.

Once unknown objects are labelled, a detection counts by what ``known_only`` takes off it: how
likely it is an unknown object, if that and anything else were equally likely beforehand. Before,
distance from what is labelled: the distance of Lee et al., "A simple unified framework for
detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018, as the share of
labelled known objects that lie nearer to their class, times the detector's belief that there is an
object. Before anything is labelled, that belief as far as no single class has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vidal.openset.known import kept_of, learn_unknown
from vidal.openset.known_only import LIKELY, unknown_counts, unknown_words
from vidal.openset.purity import mahalanobis
from vidal.protocols import Trunk
from vidal.query.pools import regions_of
from vidal.query.regions import fold
from vidal.types import Explanation, Items, Learned, Pool, ScoreArray
from vidal.words import counted

LEAST_KNOWN = 10
"""Labelled known objects that distances are compared with."""
_UNLIKE = "detections unlike the known classes"
_RIDGE = 1e-3
"""Of the covariance: features of few labels leave most directions empty."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """Ask for the frames with most objects that are likely of no known class.

    Attributes:
        aggregate: how detections make a frame: sum (many detections that may be unknown objects),
            mean, max, or top (the mean of the highest).
        top: how many the highest are, for aggregate top.
    """

    aggregate: Literal["sum", "mean", "max", "top"] = "sum"
    top: int = 3

    needs: ClassVar[frozenset[str]] = frozenset({"regions", "features", "labelled"})

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """P(unknown object); nothing before one is labelled."""
        return learn_unknown(trunk, seed)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64 >= 0; at most 1 but for the sum."""
        pos = regions_of(pool).pos
        return fold(self._values(pool), pos, len(pool), self.aggregate, max(1, self.top))

    def explain(self, pool: Pool, positions: NDArray[np.int64]) -> Explanation:
        """How many detections are likely unknown objects or may be, or are unlike what is
        labelled."""
        pos = regions_of(pool).pos
        counts = np.bincount(pos, minlength=len(pool))[positions]
        if kept_of(pool) is None:
            likely = np.bincount(pos[self._values(pool) > LIKELY], minlength=len(pool))[positions]
            told = [
                counted(number, "detection unlike the known classes", _UNLIKE)
                for number in likely.tolist()
            ]
            parts = {"likely": likely}
        else:
            likely, possible = unknown_counts(pool, positions)
            told = [
                unknown_words(*numbers) or counted(0, "likely unknown object")
                for numbers in zip(likely.tolist(), possible.tolist(), strict=True)
            ]
            parts = {"likely": likely, "possible": possible}
        words = tuple(
            f"{each} of {counted(count, 'detection')}"
            for each, count in zip(told, counts.tolist(), strict=True)
        )
        return Explanation(words, {**parts, "detections": counts})

    def remarks(self, pool: Pool) -> tuple[str, ...]:
        """For the reader of a result."""
        if kept_of(pool) is not None:
            return ()
        return (
            "Novelty: the detector finds no labelled unknown object yet; detections are compared"
            " with the known objects that are labelled.",
        )

    def _values(self, pool: Pool) -> ScoreArray:
        """(N,) in [0, 1]."""
        weight = kept_of(pool)
        if weight is not None:
            return 1 - weight
        regions = regions_of(pool)
        return first_novelty(regions.features, regions.probs, pool.items)


def first_novelty(features: NDArray[Any], probs: NDArray[Any], items: Items | None) -> ScoreArray:
    """(N,) in [0, 1]: how little detections are like known objects, before unknown ones are known.

    With o = 1 - p_background: o times the share of labelled known objects with a smaller
    Mahalanobis distance to their class; of fewer than ``LEAST_KNOWN``, o - max_k p_k.

    Args:
        features: (N, D).
        probs: (N, K+1) of the detector, background last.
        items: what is labelled, with features; None = nothing.
    """
    p = np.asarray(probs, np.float64)
    there = 1 - p[:, -1]
    known = None if items is None else items.known()
    if known is None or len(known) < LEAST_KNOWN:
        return np.maximum(0.0, there - p[:, :-1].max(axis=1, initial=0.0))
    labels = known.answers
    both = np.concatenate([np.asarray(features, np.float64), known.features])
    distance = -mahalanobis(both, known.features, labels, known.unknown, _RIDGE)
    mine, theirs = distance[: len(p)], np.sort(distance[len(p) :])
    return np.asarray(there * np.searchsorted(theirs, mine) / len(theirs), np.float64)
