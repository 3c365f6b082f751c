"""Cluster-Margin: unsure items, spread over clusters of what they look like.

Citovsky, DeSalvo, Gentile, Karydas, Rajagopalan, Rostamizadeh and Kumar, "Batch Active Learning at
Scale", NeurIPS 2021: cluster the pool once; of the items with the smallest margins (ten times the
budget) take one of each cluster in turn, the smallest cluster first. The paper cuts a dendrogram of
average linkage at a distance; here the number of clusters is given, and above 2,000 items the
dendrogram is that of a sample, whose clusters the others join by the nearest mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.arrays import nearest
from vidal.errors import UsageError
from vidal.query.batch import distributions, filled, highest_rows, region_takes
from vidal.query.farthest import Takes
from vidal.query.pools import regions_of
from vidal.query.region_scores import named
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.query.uncertainty import margin
from vidal.types import AnyGap, BoolArray, Explanation, IntArray, Pool, ScoreArray

_SAMPLE = 2_000
_BLOCK = 65_536


def cluster_margin(
    clusters: NDArray[Any],
    scores: NDArray[Any],
    budget: int,
    rng: Generator,
    *,
    candidates: int | None = None,
    takes: Takes | None = None,
    free: BoolArray | None = None,
) -> IntArray:
    """Rows, one of each cluster in turn, among those with the highest scores; in the order taken.

    Clusters come by rising number of candidates, equals by number; of a cluster one is drawn. When
    no candidate is left the next ones by score become candidates.

    Args:
        clusters: (N,) int, the cluster of each item.
        scores: (N,) finite, high = small margin.
        budget: how many rows at most.
        rng: draws within clusters, and decides between equal scores.
        candidates: how many; None = ten times the budget.
        takes: what each pick takes with it (``away``); None = itself.
        free: (N,) bool, rows that may be taken; None = all.

    Raises:
        ValueError: other numbers of clusters than of scores.
    """
    n = len(scores)
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} clusters of {n} items")
    taken = Takes.itself(n) if takes is None else takes
    closed = np.zeros(n, np.bool_) if free is None else ~free
    shuffled = rng.permutation(n)
    queue = shuffled[np.argsort(-np.asarray(scores, np.float64)[shuffled], kind="stable")]
    queue = queue[~closed[queue]]
    size = max(1, 10 * budget if candidates is None else candidates)
    picks: list[int] = []
    for at in range(0, len(queue), size):
        part = queue[at : at + size]
        picks += _in_turn(part[~closed[part]], clusters, budget - len(picks), rng, taken, closed)
    return np.array(picks, dtype=np.int64)


def _in_turn(
    rows: IntArray,
    clusters: NDArray[Any],
    count: int,
    rng: Generator,
    takes: Takes,
    closed: BoolArray,
) -> list[int]:
    """At most ``count`` of these rows; closes what they take away."""
    drawn = rows[rng.permutation(len(rows))]
    mine = np.asarray(clusters)[drawn]
    order = np.argsort(mine, kind="stable")
    edges = np.flatnonzero(np.diff(mine[order], prepend=-1, append=-1)) if len(rows) else [0]
    queues = [drawn[order[a:b]].tolist()[::-1] for a, b in pairwise(edges)]
    queues.sort(key=len)
    picks: list[int] = []
    while queues and len(picks) < count:
        left = []
        for queue in queues:
            while queue and closed[queue[-1]]:
                queue.pop()
            if queue and len(picks) < count:
                row = queue.pop()
                picks.append(row)
                closed[slice(*takes.away[row].tolist())] = True
            if queue:
                left.append(queue)
        queues = left
    return picks


def average_linkage(features: NDArray[Any], count: int, rng: Generator) -> IntArray:
    """(N,) cluster of each row of (N, D), at most ``count`` of them, from 0.

    Sokal and Michener, "A statistical method for evaluating systematic relationships", 1958, by
    SciPy; above 2,000 rows of a sample, and the others join the nearest mean.
    """
    n = len(features)
    if n < 2 or count < 2:
        return np.zeros(n, np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    sample = np.arange(n)
    if n > _SAMPLE:
        sample = np.sort(rng.choice(n, _SAMPLE, replace=False))
    points = features[sample].astype(np.float64)
    found = fcluster(linkage(points, "average"), count, "maxclust") - 1
    if n <= _SAMPLE:
        return found.astype(np.int64)
    sizes = np.bincount(found)
    means = np.zeros((len(sizes), points.shape[1]))
    np.add.at(means, found, points)
    means /= sizes[:, None]
    parts = [
        nearest(features[at : at + _BLOCK], means, 1, metric="euclidean")[:, 0]
        for at in range(0, n, _BLOCK)
    ]
    joined = np.concatenate(parts)
    joined[sample] = found
    return joined


@dataclass(frozen=True, slots=True)
class ClusterMargin:
    """Frames with detections of small margin, from as many groups of like detections as possible.

    Cluster-Margin of Citovsky et al., "Batch Active Learning at Scale", NeurIPS 2021, on the
    features and class distributions of detections. A frame is taken for the detection that is
    drawn. Frames without detections come last, at random. What is labelled is not looked at.

    Attributes:
        clusters: of the detections that may be chosen; 0 = as many as frames are asked for.
        candidates: detections of small margin that are chosen from, as a multiple of the number of
            frames that are asked for.
        background: true = the background counts as a class; false = the classes alone, scaled to
            sum to 1.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    clusters: int = 0
    candidates: int = 10
    background: bool = True
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset({"regions", "features"})

    def __post_init__(self) -> None:
        check_gap(self.gap)
        if self.clusters < 0:
            raise UsageError(f"clusters {self.clusters}: negative.", hint="Give 0 to leave it.")
        if self.candidates < 1:
            raise UsageError(f"candidates {self.candidates}: less than 1.", hint="Such as 10.")

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions in the order drawn."""
        regions = regions_of(pool)
        takes, free = region_takes(pool, self.gap)
        rows = np.flatnonzero(free)
        groups = np.zeros(len(regions), np.int64)
        groups[rows] = average_linkage(regions.features[rows], self.clusters or budget, rng)
        chosen = cluster_margin(
            groups,
            self._margins(pool),
            budget,
            rng,
            candidates=self.candidates * budget,
            takes=takes,
            free=free,
        )
        return filled(pool, regions.pos[chosen], budget, rng, self.gap)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) 1 - the smallest margin of a frame's detections, in [0, 1]; 0 without detections."""
        return fold(self._margins(pool), regions_of(pool).pos, len(pool), "max")

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The detection with the smallest margin."""
        scores = self._margins(pool)
        rows = highest_rows(pool, scores, positions)
        words = tuple(
            f"smallest margin {1 - scores[row]:.3f}, of a {named(pool, row)};"
            " drawn in turn from groups of like detections"
            if row >= 0
            else "no detections: drawn at random from such frames"
            for row in rows.tolist()
        )
        margins = np.where(rows >= 0, 1 - scores[rows] if len(scores) else 1.0, 1.0)
        return Explanation(words, {"margin": margins})

    def _margins(self, pool: Pool) -> ScoreArray:
        """(N,) 1 - (p1 - p2)."""
        return margin(distributions(pool, self.background))
