"""From scores to a selection under a budget.

``RoundRobin`` is the rule of the paper's experiments: in each clip repeatedly take the frame with
the highest score and delete its neighbours, which gives a ranked list per clip; then take rank 1
of every clip, rank 2 of every clip, and so on until the budget is filled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.random import Generator

from vidal.errors import UnknownName, UsageError
from vidal.protocols import Scorer, Selector
from vidal.query import exclusion
from vidal.query.pools import restrict, take
from vidal.types import AnyGap, Explanation, Gap, IntArray, Pool, ScoreArray

DEFAULT_GAP = 3
"""Frames excluded on either side; the paper's value for ImageNet-VID (1 for SYNTHIA-AL)."""

Turns = Literal["clips", "none", "weighted"]
"""How clips take turns: one by one; not at all (the score alone decides); or a clip with twice the
frames twice as often."""
_ORDER: dict[str, str] = {
    "clips": (
        "Rank is not score: clips take turns, the best frame of every clip before the second best"
        " of any (--turns none: by score alone)."
    ),
    "none": "",
    "weighted": (
        "Rank is not score: clips take turns, longer clips more often (--turns none: by score"
        " alone)."
    ),
}


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
    """Per-clip ranked lists with neighbour exclusion, taken rank by rank, or as ``turns`` says.

    Clips of one rank come by descending score, ties at random. Where the acquisition function
    has a true attribute ``positive_first``, frames with a score of zero or less come only after
    all others (the paper's uncertainty methods); otherwise they are listed like any other.

    Attributes:
        inner: the acquisition function.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    inner: Scorer = field(metadata={"option": False})
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})
    turns: Turns = field(default="clips", metadata={"option": False})

    def __post_init__(self) -> None:
        check_gap(self.gap)
        check_turns(self.turns)

    @property
    def needs(self) -> frozenset[str]:
        """What the acquisition function reads."""
        return self.inner.needs

    @property
    def order_words(self) -> str:
        """Why a later rank may have the higher score."""
        return _ORDER[self.turns]

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
        return round_robin(
            pool, scores, budget, rng, gap=self.gap, positive_first=first, turns=self.turns
        )


@dataclass(frozen=True, slots=True)
class Spread:
    """Neighbour exclusion around a selector that knows nothing of clips.

    The selector is asked again, with its former picks counted as labelled, until the budget is
    filled or no frame is left that is far enough from all picks.

    Attributes:
        inner: the selector.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    inner: Selector = field(metadata={"option": False})
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

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


def lift(strategy: Scorer | Selector, gap: AnyGap, turns: Turns | None = None) -> Selector:
    """A strategy as something that selects.

    An acquisition function is wrapped in ``RoundRobin`` if ``turns`` are given, else in what its
    own method ``rule(gap)`` says, or in ``RoundRobin``. A selector stays what it is, with ``gap``
    and ``turns`` in its fields of these names if it has them.

    Raises:
        UsageError: ``gap`` is negative, or turns for a selector that has an order of its own.
    """
    check_gap(gap)
    if not isinstance(strategy, Selector):
        if turns is not None:
            return RoundRobin(strategy, gap, turns)
        rule = getattr(strategy, "rule", None)
        return cast(Selector, rule(gap)) if callable(rule) else RoundRobin(strategy, gap)
    given = {"gap": gap, "turns": turns}
    known = getattr(strategy, "__dataclass_fields__", {})
    if turns is not None and "turns" not in known:
        raise UsageError(
            f"turns {turns}: {type(strategy).__name__} chooses frames in an order of its own.",
            hint="Leave turns out, or choose a strategy that scores frames.",
        )
    kept = {name: value for name, value in given.items() if name in known and value is not None}
    return cast(Selector, replace(cast(Any, strategy), **kept)) if kept else strategy


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
    gap: AnyGap,
    positive_first: bool = False,
    turns: Turns = "clips",
) -> IntArray:
    """Rank 1 of every clip, rank 2 of every clip, ...

    Weighted turns are Webster's (Sainte-Lague's) divisors: the pick of rank r in a clip of n frames
    has its turn at (2 r + 1) / n, so that after any number of picks every clip has had its share by
    frames, as nearly as whole frames can be. Clips of one length take turns one by one.

    Equals are drawn twice: among the frames of a clip, then among the clips of a rank; so a long
    clip does not come before a short one.

    Args:
        pool: F frames.
        scores: (F,) finite.
        budget: how many to take at most.
        rng: decides between equals.
        gap: between chosen or labelled frames of a clip, see ``Gap``.
        positive_first: frames with a score of zero or less come after all others.
        turns: how clips take turns.
    """
    taken = exclusion.thin(pool.frames, pool.labelled, ranked(scores, rng), gap)
    rank = _turn(pool.frames.clip, taken, turns)
    late = (scores[taken] <= 0) & positive_first
    order = np.lexsort((rng.permutation(len(taken)), -scores[taken], rank, late))
    return taken[order][:budget]


def _turn(clip: IntArray, taken: IntArray, turns: Turns) -> ScoreArray:
    """(n,) when the turn of each taken position comes, from its place in its clip's list."""
    if turns == "none":
        return np.zeros(len(taken))
    place = occurrence(clip[taken]).astype(np.float64)
    if turns == "clips":
        return place
    return (2 * place + 1) / np.bincount(clip)[clip[taken]]


def check_turns(turns: str) -> None:
    """Refuse what is no way of taking turns, with an ``UnknownName``."""
    if turns not in get_args(Turns):
        raise UnknownName("turns", turns, get_args(Turns))


def check_gap(gap: AnyGap) -> None:
    """Refuse what is no gap, such as a negative one, with a ``UsageError``."""
    Gap.of(gap)


def occurrence(values: IntArray) -> IntArray:
    """How often each value occurred before, (n,)."""
    by_value = np.argsort(values, kind="stable")
    in_order = values[by_value]
    starts = np.flatnonzero(np.diff(in_order, prepend=in_order[:1] - 1))
    runs = np.diff(starts, append=len(values))
    rank = np.empty(len(values), dtype=np.int64)
    rank[by_value] = np.arange(len(values)) - np.repeat(starts, runs)
    return rank
