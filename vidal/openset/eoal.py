"""EOAL: known by one-vs-all heads, and unlike the clusters of what was unknown.

Safaei, Vibashan, de Melo and Patel, "Entropic open-set active learning", AAAI 2024. S_c is the mean
entropy of K one-vs-all heads, S_d the entropy of the distances to centres of unknown objects; low
S_c - S_d is asked for (the slides give no direction; the released code sorts ascending).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import entr, log_softmax, softmax

from vidal.errors import UsageError
from vidal.openset.finch import finest_within, first_neighbour_clusters, means_of, partitions
from vidal.openset.items import reasons
from vidal.openset.one_vs_all import LEAST, ova_entropy, ova_terms
from vidal.openset.quotas import highest
from vidal.protocols import Trunk
from vidal.query.pools import regions_of
from vidal.query.region_picks import frames_of_picks
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap, occurrence
from vidal.types import AnyGap, Explanation, IntArray, Learned, Pool, ScoreArray

__all__ = [
    "Eoal",
    "closed_set_entropy",
    "distance_entropy",
    "entropic_ova_loss",
    "entropic_score",
    "first_neighbour_clusters",
    "select_per_cluster",
    "tuplet_loss",
]

_SAMPLE = 10_000
"""Items whose first neighbours are looked for; others join the cluster with the nearest mean."""

_BLOCK = 65_536


def closed_set_entropy(positive: NDArray[np.floating]) -> ScoreArray:
    """S_c: mean entropy of the one-vs-all heads in units of log 2; (N, K) -> (N,) in [0, 1].

    Low = each head is sure, of yes or of no.
    """
    return np.asarray(ova_entropy(positive) / math.log(2))


def distance_entropy(
    features: NDArray[np.floating], centres: NDArray[np.floating], temperature: float = 1.0
) -> ScoreArray:
    """S_d: entropy of softmax(-||f - c|| / T) over C centres in units of log C; (N,) in [0, 1].

    1 = equally far from all centres of unknown objects. C < 2: 0.

    Args:
        features: (N, D).
        centres: (C, D).
        temperature: T > 0.
    """
    base, count = np.asarray(centres, np.float64), len(centres)
    if count < 2:
        return np.zeros(len(features))
    from scipy.spatial.distance import cdist

    parts = [np.zeros(0)]
    for at in range(0, len(features), _BLOCK):
        far = cdist(np.asarray(features[at : at + _BLOCK], np.float64), base)
        shares = softmax(-far / temperature, axis=1)
        parts.append(entr(shares).sum(axis=1) / math.log(count))
    return np.minimum(np.concatenate(parts), 1.0)


def entropic_score(closed: NDArray[np.floating], distance: NDArray[np.floating]) -> ScoreArray:
    """-(S_c - S_d), (N,) in [-1, 1]; higher = ask."""
    return np.asarray(distance, np.float64) - np.asarray(closed, np.float64)


def entropic_ova_loss(
    positive: NDArray[np.floating],
    labels: NDArray[np.integer],
    alpha: float = 0.8,
    first_round: bool = False,
) -> float:
    """The loss of the one-vs-all heads, as in the released code.

    Half of the mean over known items of (1 - alpha) (-log p_y + hardest -log(1 - p_j)), and half of
    the mean over unknown ones of alpha / K sum_i (-log p_i - log(1 - p_i)), which is least at 1/2.
    The split by alpha is the code's, not on the slides. Empty parts are 0.

    Args:
        positive: (N, K).
        labels: (N,) in 0..K.
        alpha: weight of unknown items, in [0, 1].
        first_round: the known part is not multiplied by 1 - alpha.
    """
    p = np.asarray(positive, np.float64)
    place = np.asarray(labels).astype(np.int64).reshape(-1)
    known = place < p.shape[1]
    total = 0.0
    if known.any():
        own, hardest = ova_terms(p[known], place[known])
        total += 0.5 * (1.0 if first_round else 1 - alpha) * float((own + hardest).mean())
    if not known.all():
        other = p[~known]
        both = -np.log(np.maximum(other, LEAST)) - np.log(np.maximum(1 - other, LEAST))
        total += 0.5 * alpha * float(both.mean(axis=1).mean())
    return total


def tuplet_loss(
    features: NDArray[np.floating],
    centres: NDArray[np.floating],
    assignment: NDArray[np.integer],
    beta: float = 0.1,
) -> float:
    """Mean of log(1 + sum over other centres of exp(D_own - D_j)) + beta D_own; 0 for no items.

    Args:
        features: (n, D) of unknown items.
        centres: (C, D).
        assignment: (n,) own centre.
        beta: >= 0.
    """
    if not len(features):
        return 0.0
    from scipy.spatial.distance import cdist

    far = cdist(np.asarray(features, np.float64), np.asarray(centres, np.float64))
    place = np.asarray(assignment).astype(np.int64).reshape(-1)
    rows = np.arange(len(far))
    own = -log_softmax(-far, axis=1)[rows, place]
    return float((own + beta * far[rows, place]).mean())


def select_per_cluster(
    scores: NDArray[np.floating], clusters: NDArray[np.integer], budget: int
) -> IntArray:
    """(min(budget, N),) ascending rows: floor(budget / clusters) of each, the rest one at a time.

    The highest scores of each cluster, equals by the lower row; the rest goes round the clusters by
    rising number, as often as needed. (The released code takes the whole quota again, cluster by
    cluster.)

    Args:
        scores: (N,) finite.
        clusters: (N,) int.
        budget: >= 0.
    """
    value = np.asarray(scores, np.float64).reshape(-1)
    numbers, place = np.unique(np.asarray(clusters).reshape(-1), return_inverse=True)
    if not len(value):
        return np.zeros(0, np.int64)
    place = place.reshape(-1)
    order = np.argsort(-value, kind="stable")
    rank = np.empty(len(value), np.int64)
    rank[order] = occurrence(place[order])
    late = np.maximum(rank - budget // len(numbers) + 1, 0)
    return np.sort(np.lexsort((place, late))[:budget])


@dataclass(frozen=True, slots=True)
class Eoal:
    """Detections that one-vs-all heads are sure of and that are like no known unknown (EOAL).

    Of what the K+1 head takes for known, as many as frames are asked for come from clusters of like
    features (FINCH, the finest partition with at most so many clusters); where these are too few
    the best scores of the rejected follow. Each picked detection takes its frame. In the first
    round there is no centre of unknown objects: S_d is 0. With fewer unknown objects than K there
    are fewer centres, and with one S_d is 0 too.

    Lost on regions: heads and a projection are trained on features that a detector of the known
    classes made, where the paper trains all layers with the tuplet and the one-vs-all loss; the
    clusters are those of the projection. Background is a further class of the K+1 head, dropped
    before scoring, and no example for the one-vs-all heads.

    Attributes:
        temperature: what logits of the K+1 head are divided by in the loss.
        width: of the projection that the heads read (128).
        alpha: weight of unknown objects in the one-vs-all loss, in [0, 1].
        beta: weight of the distance to the own centre in the tuplet loss.
        tuplet: weight of the tuplet loss.
        centres: clusters of unknown objects; 0 = as many as known classes.
        distance_temperature: of the softmax over distances to the centres.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    temperature: float = 0.5
    width: int = 128
    alpha: float = 0.8
    beta: float = 0.1
    tuplet: float = 0.1
    centres: int = 0
    distance_temperature: float = 1.0
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset(
        {"regions", "features", "labelled", "labels", "trunk"}
    )

    def __post_init__(self) -> None:
        check_gap(self.gap)
        for name in ("temperature", "distance_temperature", "width"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} {getattr(self, name)}: not above 0.", hint="Leave it.")
        for name in ("beta", "tuplet", "centres"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} {getattr(self, name)}: negative.", hint="Give 0.")
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"alpha {self.alpha}: outside 0..1.", hint="The paper's is 0.8.")

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """Of the pool ``eoal.logits`` (N, K+1), ``eoal.positive`` (N, K), ``eoal.features`` (N, D)
        and ``eoal.distance`` (N,), the entropy S_d."""
        from vidal.openset.eoal_training import learn

        return learn(self, trunk, seed)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions, the highest scores of the batch first."""
        regions, scores = regions_of(pool), self._values(pool)
        taken = regions.column("eoal.logits").argmax(axis=1) < len(pool.classes)
        known, rejected = np.flatnonzero(taken), np.flatnonzero(~taken)
        levels = _levels(regions.column("eoal.features")[known], rng)

        def rule(count: int) -> IntArray:
            if not len(known):
                return highest(scores, count)
            part = select_per_cluster(scores[known], finest_within(levels, max(1, count)), count)
            picked = highest(scores, count, known[part])
            return np.concatenate([picked, highest(scores, count - len(picked), rejected)])

        return frames_of_picks(pool, rule, budget, rng, self.gap)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) in [-1, 1], of the best detection; -1 without detections."""
        return fold(self._values(pool), regions_of(pool).pos, len(pool), "max", empty=-1.0)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The best detection."""
        regions, values = regions_of(pool), self._values(pool)
        closed, far = closed_set_entropy(regions.column("eoal.positive")), self._far(pool)

        def what(row: int) -> str:
            return f"entropy of its classes {closed[row]:.3f}, of its distances {far[row]:.3f}"

        parts = {"score": values, "closed": closed, "distance": far}
        return reasons(pool, positions, values, what, parts)

    def _values(self, pool: Pool) -> ScoreArray:
        regions = regions_of(pool)
        closed = closed_set_entropy(regions.column("eoal.positive"))
        return entropic_score(closed, self._far(pool))

    def _far(self, pool: Pool) -> ScoreArray:
        return np.asarray(regions_of(pool).column("eoal.distance"), np.float64)


def _levels(features: NDArray[Any], rng: Generator) -> list[IntArray]:
    """Partitions of (n, D), the finest first; of many rows those of a sample, and the nearest."""
    n = len(features)
    if n <= _SAMPLE:
        return partitions(features)
    from vidal.arrays import nearest

    sample = np.sort(rng.choice(n, _SAMPLE, replace=False))
    levels = partitions(features[sample])
    means = means_of(features[sample], levels[0], int(levels[0].max()) + 1)
    parts = [nearest(features[at : at + _BLOCK], means, 1)[:, 0] for at in range(0, n, _BLOCK)]
    joined = np.concatenate(parts)
    joined[sample] = levels[0]
    # every coarser partition says where each cluster of the finest one went
    _, first = np.unique(levels[0], return_index=True)
    return [level[first][joined] for level in levels]
