"""The strategy BADGE, on the detections of frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from vidal.query.badge import Gradients, kmeans_pp
from vidal.query.batch import distributions, filled, highest_rows, named, region_takes
from vidal.query.pools import regions_of
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.types import Explanation, IntArray, Pool, ScoreArray


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
        gap: frames excluded on either side of a chosen or labelled one, in its clip; 0 = none.
    """

    background: bool = True
    gap: int = field(default=DEFAULT_GAP, metadata={"option": False})

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
            said = f"{named(pool.classes, regions, row)}: gradient of length {lengths[row]:.3g}"
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
