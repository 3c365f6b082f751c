"""The strategy BatchBALD, on the detections of frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.query.batch import filled, highest_rows, named, region_takes
from vidal.query.batchbald import LARGEST, batchbald
from vidal.query.pools import regions_of
from vidal.query.region_scores import By, foreground
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.query.uncertainty import bald
from vidal.types import Explanation, IntArray, Pool, ScoreArray


@dataclass(frozen=True, slots=True)
class BatchBald:
    """Frames whose labels together tell most about the weights, by stochastic passes (up to 20).

    BatchBALD of Kirsch et al., NeurIPS 2019. A frame stands for one of its detections, the one
    that is chosen: the joint of all detections of all frames has no end. Up to 20 frames are chosen
    by the joint; of more, which cannot be estimated, those with the highest BALD scores, one
    detection each. Frames without detections come last, at random.

    Attributes:
        by: whose passes: detector (its dropout layers), or heads (small networks on its features,
            trained on what is labelled). On images: the network.
        background: true = the background counts as a class; false = the classes alone, scaled to
            sum to 1.
        gap: frames excluded on either side of a chosen or labelled one, in its clip; 0 = none.
    """

    by: By = "detector"
    background: bool = True
    gap: int = field(default=DEFAULT_GAP, metadata={"option": False})

    def __post_init__(self) -> None:
        check_gap(self.gap)

    @property
    def needs(self) -> frozenset[str]:
        """Passes of the detections, and what heads learn from."""
        heads = {"heads", "features", "labelled"} if self.by == "heads" else set()
        return frozenset({"regions", "passes"} | heads)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions in the order chosen."""
        passes = self._passes(pool)
        takes, free = region_takes(pool, self.gap)
        order = rng.permutation(passes.shape[1])
        rows = batchbald(passes, budget, rng, takes=takes, free=free, order=order)
        return filled(pool, regions_of(pool).pos[rows], budget, rng, self.gap)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) highest BALD score of a frame's detections, in nats; 0 without detections."""
        return fold(bald(self._passes(pool)), regions_of(pool).pos, len(pool), "max")

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The detection on whose class the passes disagree most."""
        scores = bald(self._passes(pool))
        rows = highest_rows(pool, scores, positions)
        how = "its labels add most to those of the other chosen frames"
        if len(positions) > LARGEST:
            how = f"by itself: more than {LARGEST} frames are too many for a joint choice"
        words = []
        for row in rows.tolist():
            if row < 0:
                words.append("no detections: drawn at random from such frames")
                continue
            what = named(pool.classes, regions_of(pool), row)
            words.append(f"passes disagree by {scores[row]:.3f} nats on a {what}; {how}")
        values = np.where(rows >= 0, scores[rows] if len(scores) else 0.0, 0.0)
        return Explanation(tuple(words), {"bald": values})

    def _passes(self, pool: Pool) -> NDArray[np.float64] | NDArray[np.float32]:
        """(T, N, K+1)"""
        passes = regions_of(pool).column("passes")
        return np.moveaxis(passes if self.background else foreground(passes), 1, 0)
