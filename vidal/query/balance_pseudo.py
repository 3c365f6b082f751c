"""The reference of class balance in the thesis: uncertain frames of each predicted class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from vidal.query import exclusion
from vidal.query.balance import pseudo_label_balanced
from vidal.query.balance_pool import COLUMN, expected_objects, labelled_objects, neighbour_ranges
from vidal.query.balance_told import brought_words, missing_parts
from vidal.query.pools import regions_of, restrict
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.query.uncertainty import entropy
from vidal.types import AnyGap, Explanation, IntArray, Pool, ScoreArray


@dataclass(frozen=True, slots=True)
class EntropyL1PseudoLabel:
    """Ask, of each predicted class, for as many uncertain frames as its labels lack (thesis 4.5.2).

    The reference of class balance: entropies alone decide within a class, and the class is the one
    that a frame is expected to bring most of.

    Attributes:
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset({"regions", "labelled", COLUMN})
    balances: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_gap(self.gap)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64 nats: the mean entropy of the frame's detections."""
        regions = regions_of(pool)
        return fold(entropy(regions.probs), regions.pos, len(pool), "mean")

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` positions, by falling entropy; random among equals."""
        free = np.flatnonzero(exclusion.away_from_labelled(pool.frames, pool.labelled, self.gap))
        rest = restrict(pool, free)
        # Only the order counts: whole ranks, and chance within a rank.
        scores = np.unique(self.score(rest), return_inverse=True)[1] + rng.random(len(rest))
        brings, target = expected_objects(rest), self._target(rest, budget)
        ranges = neighbour_ranges(rest, self.gap)
        found = pseudo_label_balanced(scores, brings, target, budget, ranges=ranges)
        return free[found[np.argsort(-scores[found], kind="stable")]]

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The entropy, and what the frame brings of what is missing."""
        scores, brings = self.score(pool)[positions], expected_objects(pool)[positions]
        target = self._target(pool, len(positions))
        words = tuple(
            f"entropy {score:.2f}; {brought_words(row, target, pool.classes)}"
            for score, row in zip(scores.tolist(), brings, strict=True)
        )
        return Explanation(words, {"entropy": scores, **missing_parts(brings, target)})

    def _target(self, pool: Pool, budget: int) -> ScoreArray:
        """(K,) frames of each predicted class: the budget, by what the labels lack."""
        known, classes = labelled_objects(pool), len(pool.classes)
        if not (budget and classes and len(pool)):
            return np.zeros(classes)
        each = float(expected_objects(pool).sum(axis=1).mean())
        total = float(known.sum()) + budget * each
        objects = np.maximum(total / classes - known, 0.0)
        return objects / each if each > 0 else objects
