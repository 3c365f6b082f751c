"""Scores with diminishing returns among frames that look alike.

``RoundRobin`` spreads picks over clips. Where there are more clips than picks that spreads nothing:
the best frames of the most crowded clips are all of one kind. Here frames are grouped by what they
look like, and what a group is worth grows with the square root of its picks' scores: the diversity
reward of Lin & Bilmes, "A class of submodular functions for document summarization" (ACL 2011,
equation 5), R(S) = sum_k sqrt(sum_{j in P_k and S} r_j), maximised greedily (at least 1 - 1/e of
the optimum, Nemhauser et al. 1978). Rare looks (night) get their share, however few objects they
show. Of one clip the second frame counts half of its score, the third a third: else the frames of
one long crowded clip would be all of their look.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.errors import UsageError
from vidal.protocols import Scorer, Selector
from vidal.query import exclusion
from vidal.query.select import DEFAULT_GAP, RoundRobin, check_gap, occurrence, ranked
from vidal.types import AnyGap, Deferred, Explanation, IntArray, Pool, ScoreArray

Spreading = Literal["clips", "looks"]
"""The best of every clip before the second best of any, or ``Looks``."""

COLUMN = "embedding"
"""(F, E): what a frame looks like to the detector."""

LARGEST_SAMPLE = 5_000
"""Frames that groups are found from; all others join the nearest."""
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Looks:
    """Greedy choice under the diversity reward over groups of frames that look alike.

    Attributes:
        inner: the acquisition function; where it has negative scores, the lowest counts as 0.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
        groups: of looks; 0 = twice the root of the number of frames that are asked for.
    """

    inner: Scorer = field(metadata={"option": False})
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})
    groups: int = 0

    def __post_init__(self) -> None:
        check_gap(self.gap)

    @property
    def needs(self) -> frozenset[str]:
        """What the acquisition function reads, and what frames look like."""
        return self.inner.needs | {COLUMN}

    @property
    def order_words(self) -> str:
        """Why a later rank may have the higher score."""
        return (
            "Rank is not score: of frames that look alike, and of further frames of a clip, each"
            " counts less than the one before (--turns none: by score alone)."
        )

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64, of the acquisition function."""
        return self.inner.score(pool)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """Of the acquisition function."""
        return self.inner.explain(pool, positions)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` positions, in the order in which they add most."""
        scores = self.inner.score(pool)
        scores = scores - min(0.0, scores.min(initial=0.0))
        count = self.groups or max(2, round(2 * budget**0.5))
        looks, row = self._looks(pool)
        grouping = look_groups(looks, count, rng)
        taken = exclusion.thin(pool.frames, pool.labelled, ranked(scores, rng), self.gap)
        values = scores[taken] / (1 + occurrence(pool.frames.clip[taken]))
        order = np.argsort(-values, kind="stable")
        taken, values = taken[order], values[order]
        return taken[
            most_rewarding(values, grouping.of(taken if row is None else row[taken]), budget)
        ]

    def _looks(self, pool: Pool) -> tuple[NDArray[Any], IntArray | None]:
        """(B, E), and which of them each frame looks like; None = one for each frame.

        Where frames are too many to look at each of them, one stands for some beside it.
        """
        column = pool.columns[COLUMN]
        if isinstance(column, Deferred) and column.coarse is not None:
            return column.coarse
        return pool.column(COLUMN), None


def spread_by(scorer: Scorer, how: Spreading, gap: AnyGap, groups: int) -> Selector:
    """What chooses by scores and spreads its picks in one of the two ways.

    Raises:
        UsageError: a negative gap or number of groups.
    """
    if groups < 0:
        raise UsageError(f"groups {groups}: negative.", hint="Give 0 to leave it to vidal.")
    return Looks(scorer, gap, groups) if how == "looks" else RoundRobin(scorer, gap)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Groups of looks, and which one a frame belongs to.

    Attributes:
        looks: (B, E) that groups were found from.
        use: (D,) columns that tell something apart; none = there is one group.
        mean, spread: (D,) of these columns.
        means: fitted k-means; None = one group.
    """

    looks: NDArray[Any]
    use: IntArray
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    means: Any = None

    def standard(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """(n, D) float64 standardised columns of (n, E) rows."""
        return np.asarray((rows[:, self.use].astype(np.float64) - self.mean) / self.spread)

    def of(self, rows: IntArray) -> IntArray:
        """(n,) number of the group of some of the looks."""
        if self.means is None:
            return np.zeros(len(rows), dtype=np.int64)
        if len(self.looks) <= _CHUNK:
            whole = self.means.predict(self.standard(self.looks))
            return np.asarray(whole[rows], np.int64)
        groups = np.empty(len(rows), np.int64)
        for at in range(0, len(rows), _CHUNK):
            some = self.looks[rows[at : at + _CHUNK]]
            groups[at : at + _CHUNK] = self.means.predict(self.standard(some))
        return groups


def look_groups(looks: NDArray[Any], count: int, rng: Generator) -> Grouping:
    """Groups of rows of (B, E) that look alike, at most ``count``, by k-means on standardised
    columns.

    One group where columns tell nothing apart. MacQueen, "Some methods for classification and
    analysis of multivariate observations" (1967), started by k-means++.
    """
    count = min(count, len(looks))
    mean, spread = moments(looks)
    use = np.flatnonzero(spread > 0)
    plain = Grouping(looks, use, mean[use], spread[use])
    if count < 2 or not len(use):
        return plain
    from sklearn.cluster import KMeans

    sample = looks
    if len(looks) > LARGEST_SAMPLE:
        sample = looks[np.sort(rng.choice(len(looks), LARGEST_SAMPLE, replace=False))]
    points = plain.standard(sample)
    count = min(count, len(np.unique(points, axis=0)))
    means = KMeans(count, n_init=4, random_state=int(rng.integers(2**31))).fit(points)
    return replace(plain, means=means)


def moments(looks: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation, (E,) each, of columns (F, E), without a copy of them all."""
    count = max(1, len(looks))
    chunks = [looks[at : at + _CHUNK] for at in range(0, len(looks), _CHUNK)]
    zero = np.zeros(looks.shape[1])
    mean = sum((part.sum(axis=0, dtype=np.float64) for part in chunks), zero) / count
    squares = (((part - mean) ** 2).sum(axis=0, dtype=np.float64) for part in chunks)
    return mean, np.sqrt(sum(squares, zero) / count)


def most_rewarding(scores: ScoreArray, groups: IntArray, budget: int) -> IntArray:
    """Places of the greedy choice, in order; frames that add nothing come last, best score first.

    Args:
        scores: (n,) >= 0, in descending order.
        groups: (n,) of each frame.
        budget: how many at most.
    """
    by_group = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[by_group], prepend=-1, append=-1))
    lists = [by_group[a:b].data for a, b in pairwise(ends)]
    values = np.maximum(scores, 0.0).data
    sums = [0.0] * len(lists)
    heap = [(-_gain(0.0, values[places[0]]), places[0], k, 0) for k, places in enumerate(lists)]
    heapq.heapify(heap)
    chosen: list[int] = []
    # Of a group only the next best frame can add most, so the heap holds one entry a group.
    while heap and len(chosen) < budget:
        _, place, group, turn = heapq.heappop(heap)
        chosen.append(place)
        sums[group] += values[place]
        if turn + 1 < len(lists[group]):
            after = lists[group][turn + 1]
            heapq.heappush(heap, (-_gain(sums[group], values[after]), after, group, turn + 1))
    return np.array(chosen, dtype=np.int64)


def _gain(total: float, value: float) -> float:
    """What a frame adds to a group's reward."""
    return float((total + value) ** 0.5 - total**0.5)
