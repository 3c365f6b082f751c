"""BADGE: a batch that is uncertain and diverse in the space of last-layer gradients.

Ash, Zhang, Krishnamurthy, Langford and Agarwal, "Deep Batch Active Learning by Diverse, Uncertain
Gradient Lower Bounds", ICLR 2020: k-means++ seeding (Arthur and Vassilvitskii, SODA 2007) on
g = (p - e_y) f', the gradient of the loss for the most likely class y. g is never built: its inner
products are (q . q')(f . f') with q = p - e_y, so that a pick costs O(N (D + K)), and memory O(N).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.arrays import numbered
from vidal.query.batch import distributions, filled, highest_rows, region_takes
from vidal.query.farthest import Takes
from vidal.query.pools import regions_of
from vidal.query.region_scores import named
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.types import AnyGap, BoolArray, Explanation, IntArray, Pool, ScoreArray

_BLOCK = 2048
_NEAR = {np.dtype(np.float32): 1e-3, np.dtype(np.float64): 1e-9}
"""Share of the norms below which a squared distance from a product is computed again exactly."""


def embedding_sq_distances(
    probs: NDArray[Any], features: NDArray[Any], position: int
) -> ScoreArray:
    """(N,) ||g_i - g_position||^2 of the gradient embeddings; exactly 0 of duplicates.

    Args:
        probs: (N, K) class distributions.
        features: (N, D) what the last layer reads.
        position: of the item to compare with.

    Raises:
        ValueError: other numbers of rows, no classes, or values that are not finite.
    """
    gradients = Gradients(probs, features)
    rows = np.arange(len(probs))
    parts = [
        gradients.exact(rows[at : at + _BLOCK], position) for at in range(0, len(rows), _BLOCK)
    ]
    return np.concatenate([np.zeros(0), *parts])


def sampling_probabilities(sq_distances: NDArray[Any], picked: NDArray[Any]) -> ScoreArray:
    """(N,) the chance of each item to be picked next, in proportion to its squared distance.

    Args:
        sq_distances: (N,) to the nearest item picked so far; below 0 counts as 0.
        picked: (p,) positions, or (N,) bool, which get 0. Where all distances are 0 the others are
            equally likely; where all are picked all get 0.

    Raises:
        ValueError: a position that is none.
    """
    weights = np.maximum(np.asarray(sq_distances, np.float64), 0.0)
    gone = numbered(picked, len(weights), "picked")
    weights[gone] = 0.0
    largest = weights.max(initial=0.0)
    if largest > 0:
        weights /= largest
    else:
        weights[:] = 1.0
        weights[gone] = 0.0
    total = weights.sum()
    return np.asarray(weights / total if total > 0 else weights)


def kmeans_pp(
    probs: NDArray[Any],
    features: NDArray[Any],
    budget: int,
    rng: Generator,
    *,
    takes: Takes | None = None,
    free: BoolArray | None = None,
    order: IntArray | None = None,
) -> IntArray:
    """Rows by k-means++ seeding on gradient embeddings, in the order picked.

    The first is the one with the longest embedding; then each is drawn by
    ``sampling_probabilities``, with one number of ``rng``. Features of float32 or float16 are
    multiplied in float32, and what lies close together is compared again in float64.

    Args:
        probs: (N, K) class distributions.
        features: (N, D) finite.
        budget: how many rows at most.
        rng: draws.
        takes: what each pick takes with it; None = itself.
        free: (N,) bool, rows that may be picked; None = all.
        order: (N,) a permutation: of equally long embeddings the lower one is first; None = row.

    Raises:
        ValueError: other numbers of rows, no classes, or values that are not finite.
    """
    gradients = Gradients(probs, features)
    n = len(gradients)
    taken = Takes.itself(n) if takes is None else takes
    closed = np.zeros(n, np.bool_) if free is None else ~free
    least, picks = np.full(n, np.inf), list[int]()
    while len(picks) < budget and not closed.all():
        if picks:
            chances = sampling_probabilities(least, closed)
            row = int(rng.choice(n, p=chances))
        else:
            lengths = np.where(closed, -1.0, gradients.norms)
            best = np.flatnonzero(lengths == lengths.max())
            row = int(best[0] if order is None else best[np.argmin(order[best])])
        picks.append(row)
        closed[slice(*taken.away[row].tolist())] = True
        for centre in range(*taken.own[row].tolist()):
            np.minimum(least, gradients.sq_distances(centre), out=least)
    return np.array(picks, dtype=np.int64)


class Gradients:
    """Gradient embeddings of N items, as two factors each."""

    def __init__(self, probs: NDArray[Any], features: NDArray[Any]) -> None:
        """
        Args:
            probs: (N, K) class distributions.
            features: (N, D).

        Raises:
            ValueError: other numbers of rows, no classes, or values that are not finite.
        """
        wide, probs = np.asarray(features), np.asarray(probs)
        if probs.ndim != 2 or wide.ndim != 2 or len(probs) != len(wide) or not probs.shape[1]:
            raise ValueError(f"probabilities {probs.shape} with features {wide.shape}")
        # Only what is narrow already is multiplied in float32: whole numbers may not fit.
        narrow = wide.dtype in (np.float16, np.float32)
        self._features = wide.astype(np.float32 if narrow else np.float64, copy=False)
        self._errors = np.array(probs, np.float64)
        self._errors[np.arange(len(probs)), self._errors.argmax(axis=1)] -= 1.0
        squares = [
            (wide[at : at + _BLOCK].astype(np.float64) ** 2).sum(axis=1)
            for at in range(0, len(wide), _BLOCK)
        ]
        self.norms = (self._errors**2).sum(axis=1) * np.concatenate([np.zeros(0), *squares])
        if not np.isfinite(self.norms).all():
            raise ValueError("values that are not finite")

    def __len__(self) -> int:
        return len(self._errors)

    def sq_distances(self, row: int) -> ScoreArray:
        """(N,) squared distances from one item: one product a factor, exact where that cancels."""
        inner = (self._features @ self._features[row]).astype(np.float64)
        inner *= self._errors @ self._errors[row]
        sizes = self.norms + self.norms[row]
        result = sizes - 2.0 * inner
        near = np.flatnonzero(result <= _NEAR[self._features.dtype] * sizes)
        for at in range(0, len(near), _BLOCK):
            result[near[at : at + _BLOCK]] = self.exact(near[at : at + _BLOCK], row)
        return result

    def exact(self, rows: IntArray, row: int) -> ScoreArray:
        """(n,) squared distances of some items from one, without cancellation.

        With sums s and differences d of the factors: g - g' = (d_q s_f' + s_q d_f') / 2.
        """
        q, f = self._errors[rows], self._features[rows].astype(np.float64)
        q_own, f_own = self._errors[row], self._features[row].astype(np.float64)
        q_less, q_plus, f_less, f_plus = q - q_own, q + q_own, f - f_own, f + f_own
        first = (q_less**2).sum(axis=1) * (f_plus**2).sum(axis=1)
        second = (q_plus**2).sum(axis=1) * (f_less**2).sum(axis=1)
        mixed = (q_less * q_plus).sum(axis=1) * (f_less * f_plus).sum(axis=1)
        return np.maximum(0.0, 0.25 * (first + second + 2.0 * mixed))


@dataclass(frozen=True, slots=True)
class Badge:
    """Frames with detections that would change the last layer much, each in another direction.

    BADGE of Ash et al., "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds",
    ICLR 2020: k-means++ seeding on gradients of the last layer, one for each detection, from its
    class distribution and feature. A frame is taken for the detection that is drawn; then all its
    detections count as chosen. Frames without detections come last, at random. What is labelled is
    not looked at. On images: as in the paper, one item an image.

    Attributes:
        background: true = the background counts as a class; false = the classes alone, scaled to
            sum to 1.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    background: bool = True
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset({"regions", "features"})

    def __post_init__(self) -> None:
        check_gap(self.gap)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions in the order drawn."""
        regions = regions_of(pool)
        takes, free = region_takes(pool, self.gap)
        probs, order = distributions(pool, self.background), rng.permutation(len(regions))
        rows = kmeans_pp(probs, regions.features, budget, rng, takes=takes, free=free, order=order)
        return filled(pool, regions.pos[rows], budget, rng, self.gap)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) length of the longest gradient of a frame's detections; 0 without detections."""
        return fold(self._lengths(pool), regions_of(pool).pos, len(pool), "max")

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The detection with the longest gradient, and how far the other chosen frames' are."""
        order = np.argsort(positions, kind="stable")
        lengths, regions = self._lengths(pool), regions_of(pool)
        rows = highest_rows(pool, lengths, positions[order])
        there = rows >= 0
        apart = np.full(len(rows), np.inf)
        if there.any():
            mine = rows[there]
            probs = distributions(pool, self.background)[mine]
            apart[there] = _apart(Gradients(probs, regions.features[mine]))
        words = []
        for row, distance in zip(rows.tolist(), apart.tolist(), strict=True):
            if row < 0:
                words.append("no detections: drawn at random from such frames")
                continue
            said = f"{named(pool, row)}: gradient of length {lengths[row]:.3g}"
            if np.isfinite(distance):
                said += f", {distance:.3g} from that of the nearest other chosen frame"
            words.append(said)
        back = np.argsort(order)
        size = np.where(there, lengths[rows] if len(lengths) else 0.0, 0.0)
        return Explanation(tuple(words[place] for place in back), {"gradient": size[back]})

    def _lengths(self, pool: Pool) -> ScoreArray:
        probs = distributions(pool, self.background)
        return np.sqrt(Gradients(probs, regions_of(pool).features).norms)


def _apart(gradients: Gradients) -> ScoreArray:
    """(n,) distance of each from the nearest other."""
    result = np.full(len(gradients), np.inf)
    for row in range(len(gradients)):
        squares = gradients.sq_distances(row)
        squares[row] = np.inf
        result[row] = np.sqrt(max(0.0, float(squares.min(initial=np.inf))))
    return result
