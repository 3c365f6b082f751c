"""From scores to a selection under a budget.

``RoundRobin`` is the rule of the paper's experiments: in each clip repeatedly take the frame with
the highest score and delete its neighbours, which gives a ranked list per clip; then take rank 1
of every clip, rank 2 of every clip, and so on until the budget is filled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.random import Generator

from vidal.errors import UsageError
from vidal.protocols import Scorer, Selector
from vidal.query import exclusion
from vidal.query.pools import restrict, take
from vidal.types import Explanation, IntArray, Pool, ScoreArray

DEFAULT_GAP = 3
"""Frames excluded on either side; the paper's value for ImageNet-VID (1 for SYNTHIA-AL)."""


@dataclass(frozen=True, slots=True)
class TopScores:
    """The frames with the highest scores, wherever they lie; random among equals.

    Attributes:
        inner: the acquisition function.
    """

    inner: Scorer = field(metadata={"option": False})

    @property
    def needs(self) -> frozenset[str]:
        """What the acquisition function reads."""
        return self.inner.needs

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64, of the acquisition function."""
        return self.inner.score(pool)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """Of the acquisition function."""
        return self.inner.explain(pool, positions)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """The ``budget`` highest scores, descending."""
        return ranked(self.inner.score(pool), rng)[:budget]


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Per-clip ranked lists with neighbour exclusion, taken rank by rank.

    Clips of one rank come by descending score, ties at random. Where the acquisition function
    has a true attribute ``positive_first``, frames with a score of zero or less come only after
    all others (the paper's uncertainty methods); otherwise they are listed like any other.

    Attributes:
        inner: the acquisition function.
        gap: frames excluded on either side of a chosen or labelled one, in its clip; 0 = none.
    """

    inner: Scorer = field(metadata={"option": False})
    gap: int = field(default=DEFAULT_GAP, metadata={"option": False})

    def __post_init__(self) -> None:
        check_gap(self.gap)

    @property
    def needs(self) -> frozenset[str]:
        """What the acquisition function reads."""
        return self.inner.needs

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64, of the acquisition function."""
        return self.inner.score(pool)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """Of the acquisition function."""
        return self.inner.explain(pool, positions)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` positions; fewer where the lists of all clips are exhausted."""
        first = bool(getattr(self.inner, "positive_first", False))
        scores = self.inner.score(pool)
        return round_robin(pool, scores, budget, rng, gap=self.gap, positive_first=first)


@dataclass(frozen=True, slots=True)
class Spread:
    """Neighbour exclusion around a selector that knows nothing of clips.

    The selector is asked again, with its former picks counted as labelled, until the budget is
    filled or no frame is left that is far enough from all picks.

    Attributes:
        inner: the selector.
        gap: frames excluded on either side of a chosen or labelled one, in its clip; 0 = none.
    """

    inner: Selector = field(metadata={"option": False})
    gap: int = field(default=DEFAULT_GAP, metadata={"option": False})

    def __post_init__(self) -> None:
        check_gap(self.gap)

    @property
    def needs(self) -> frozenset[str]:
        """What the selector reads."""
        return self.inner.needs

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64, of the selector."""
        return self.inner.score(pool)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """Of the selector."""
        return self.inner.explain(pool, positions)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` positions, in the order in which the selector gave them."""
        picks = np.zeros(0, dtype=np.int64)
        left = np.flatnonzero(exclusion.away_from_labelled(pool.frames, pool.labelled, self.gap))
        while len(left) and len(picks) < budget:
            rest = restrict(pool, left, labelled=picks)
            chosen = self.inner.select(rest, budget - len(picks), rng)
            if len(chosen) == 0:
                break
            taken = exclusion.thin(rest.frames, rest.labelled, chosen, self.gap)
            picks = np.concatenate([picks, left[taken]])
            others = np.setdiff1d(left, picks, assume_unique=True)
            frames, known = take(pool.frames, others), take(pool.frames, picks)
            left = others[exclusion.away_from_labelled(frames, known, self.gap)]
        return picks


def lift(strategy: Scorer | Selector, gap: int) -> Selector:
    """A strategy as something that selects.

    An acquisition function is wrapped in ``RoundRobin``, or in what its own method ``rule(gap)``
    says; a selector stays what it is, with ``gap`` in its field of that name if it has one.

    Raises:
        UsageError: ``gap`` is negative.
    """
    check_gap(gap)
    if not isinstance(strategy, Selector):
        rule = getattr(strategy, "rule", None)
        return cast(Selector, rule(gap)) if callable(rule) else RoundRobin(strategy, gap)
    if "gap" in getattr(strategy, "__dataclass_fields__", {}):
        return cast(Selector, replace(cast(Any, strategy), gap=gap))
    return strategy


def ranked(scores: ScoreArray, rng: Generator) -> IntArray:
    """Positions by descending score, random among equals.

    Raises:
        ValueError: a score is NaN or infinite.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores: hold NaN or infinite values")
    shuffled = rng.permutation(len(scores))
    return shuffled[np.argsort(-scores[shuffled], kind="stable")]


def round_robin(
    pool: Pool,
    scores: ScoreArray,
    budget: int,
    rng: Generator,
    *,
    gap: int,
    positive_first: bool = False,
) -> IntArray:
    """Rank 1 of every clip, rank 2 of every clip, ...

    Equals are drawn twice: among the frames of a clip, then among the clips of a rank; so a long
    clip does not come before a short one.

    Args:
        pool: F frames.
        scores: (F,) finite.
        budget: how many to take at most.
        rng: decides between equals.
        gap: frames excluded on either side of a chosen or labelled one.
        positive_first: frames with a score of zero or less come after all others.
    """
    taken = exclusion.thin(pool.frames, pool.labelled, ranked(scores, rng), gap)
    rank = occurrence(pool.frames.clip[taken])
    late = (scores[taken] <= 0) & positive_first
    order = np.lexsort((rng.permutation(len(taken)), -scores[taken], rank, late))
    return taken[order][:budget]


def check_gap(gap: int) -> None:
    """Refuse a negative gap with a ``UsageError``."""
    if gap < 0:
        raise UsageError(f"gap {gap}: negative.", hint="Give 0 to exclude no neighbours.")


def occurrence(values: IntArray) -> IntArray:
    """How often each value occurred before, (n,)."""
    by_value = np.argsort(values, kind="stable")
    in_order = values[by_value]
    starts = np.flatnonzero(np.diff(in_order, prepend=in_order[:1] - 1))
    runs = np.diff(starts, append=len(values))
    rank = np.empty(len(values), dtype=np.int64)
    rank[by_value] = np.arange(len(values)) - np.repeat(starts, runs)
    return rank
