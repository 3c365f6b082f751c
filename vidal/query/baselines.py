"""Strategies that look at no evidence, so that no detector has to run for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from vidal.query import exclusion
from vidal.query.pools import take
from vidal.query.select import DEFAULT_GAP, Turns, check_gap, check_turns, round_robin
from vidal.types import AnyGap, Explanation, Gap, IntArray, Pool, ScoreArray


@dataclass(frozen=True, slots=True)
class Random:
    """Frames drawn uniformly without replacement; neighbours are not excluded."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, F)`` positions in the order drawn."""
        return rng.permutation(len(pool))[:budget]

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) NaN: it does not score."""
        return np.full(len(pool), np.nan)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The same sentence for every frame."""
        return Explanation(("drawn at random from all frames",) * len(positions), {})


@dataclass(frozen=True, slots=True)
class RandomR:
    """Random+R of the paper: random frames, clip by clip in turn, neighbours excluded.

    Attributes:
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
        turns: how clips take turns.
    """

    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})
    turns: Turns = field(default="clips", metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        check_gap(self.gap)
        check_turns(self.turns)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` positions; clips of one rank in random order."""
        nothing = np.zeros(len(pool))
        return round_robin(pool, nothing, budget, rng, gap=self.gap, turns=self.turns)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) NaN: it does not score."""
        return np.full(len(pool), np.nan)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The same sentence for every frame."""
        where = "from all frames" if self.turns == "none" else "within its clip"
        words = f"drawn at random {where}{_away(self.gap)}"
        return Explanation((words,) * len(positions), {})


@dataclass(frozen=True, slots=True)
class EveryNth:
    """Frames at even distances; deterministic.

    The budget is spread over the clips in proportion to their frames in the pool, by largest
    remainder (earlier clips first among equals), and no clip gets more than fit into it under the
    gap. In a clip, pick j of q aims at fraction (j + 1/2) / q of its frames and takes the nearest
    one that is far enough from labelled frames and other picks.

    Attributes:
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        check_gap(self.gap)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions, increasing; ``rng`` is not used."""
        free = np.flatnonzero(exclusion.away_from_labelled(pool.frames, pool.labelled, self.gap))
        first, after = exclusion.neighbourhoods(take(pool.frames, free), self.gap)
        clips = np.arange(len(pool.frames.clips) + 1)
        starts = np.searchsorted(pool.frames.clip[free], clips).tolist()
        ahead, back = after.data, (first - 1).data
        lengths = np.bincount(pool.frames.clip, minlength=len(clips) - 1)
        fits = np.array([_room(ahead, a, b) for a, b in pairwise(starts)], dtype=np.int64)
        aims = np.searchsorted(pool.frames.clip, clips).tolist()
        picks: list[int] = []
        for clip, quota in enumerate(apportion(budget, lengths, fits).tolist()):
            if quota:
                targets = aims[clip] + (np.arange(quota) + 0.5) * lengths[clip] / quota
                wanted = _nearest(free, np.floor(targets).astype(np.int64))
                latest = _latest(back, starts[clip + 1] - 1, quota)
                picks += _fit(wanted, latest, starts[clip], ahead)
        return free[np.array(picks, dtype=np.int64)]

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) NaN: it does not score."""
        return np.full(len(pool), np.nan)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The same sentence for every frame."""
        words = f"evenly spaced within its clip{_away(self.gap)}"
        return Explanation((words,) * len(positions), {})


def apportion(budget: int, weights: IntArray, caps: IntArray) -> IntArray:
    """``min(budget, sum(caps))`` seats in proportion to ``weights`` by largest remainder, (n,).

    Nobody gets more than their cap; what they cannot take is spread over the others in the same
    way. Integer arithmetic throughout; equal remainders go to the earlier entry.
    """
    seats = np.zeros(len(weights), dtype=np.int64)
    rest = min(budget, int(caps.sum()))
    open_ = (weights > 0) & (caps > 0)
    while rest:
        total = int(weights[open_].sum())
        share = np.where(open_, rest * weights // total, 0)
        full = open_ & (rest * weights >= caps * total)
        if not full.any():
            left = np.where(open_, rest * weights % total, -1)
            share[np.argsort(-left, kind="stable")[: rest - int(share.sum())]] += 1
            return seats + share
        seats[full] = caps[full]
        rest -= int(caps[full].sum())
        open_ &= ~full
    return seats


def _room(ahead: Sequence[int], start: int, stop: int) -> int:
    """How many positions of start..stop fit."""
    count = 0
    while start < stop:
        count += 1
        start = ahead[start]
    return count


def _latest(back: Sequence[int], last: int, count: int) -> list[int]:
    """``count`` increasing positions up to ``last``, each as late as it can be."""
    found = []
    for _ in range(count):
        found.append(last)
        last = back[last]
    return found[::-1]


def _nearest(free: IntArray, targets: IntArray) -> list[int]:
    """For each target position the place in ``free`` (sorted) nearest to it, the earlier of two."""
    right = np.minimum(np.searchsorted(free, targets), len(free) - 1)
    left = np.maximum(right - 1, 0)
    closer = np.abs(free[left] - targets) <= np.abs(free[right] - targets)
    return np.where(closer, left, right).tolist()


def _fit(wanted: list[int], latest: list[int], start: int, ahead: Sequence[int]) -> list[int]:
    """Wanted places moved as little as needed, so that neighbours stay out and all have room."""
    picks = []
    for want, limit in zip(wanted, latest, strict=True):
        picks.append(min(max(want, start), limit))
        start = ahead[picks[-1]]
    return picks


def _away(gap: AnyGap) -> str:
    kept = Gap.of(gap)
    return f", {kept.apart} away from other chosen or labelled ones" if kept else ""
