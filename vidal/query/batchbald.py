"""BatchBALD: a batch whose answers, taken together, tell most about the weights.

Kirsch, van Amersfoort and Gal, "BatchBALD: Efficient and Diverse Batch Acquisition for Deep
Bayesian Active Learning", NeurIPS 2019: greedy choice under the mutual information of all labels
of the batch and the weights. The joint entropy is exact while there are few combinations of labels
(section 3.3), then a Monte Carlo estimate (section 3.4). Gains only fall as the batch grows
(submodularity), so that items whose last known gain is below the best need not be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.query.batch import filled, highest_rows, region_takes
from vidal.query.farthest import Takes
from vidal.query.pools import regions_of
from vidal.query.region_scores import By, foreground, named
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.query.uncertainty import bald, entropy
from vidal.types import AnyGap, BoolArray, Explanation, IntArray, Pool, ScoreArray

LARGEST = 20
"""Picks above which the highest BALD scores are taken: a joint of more cannot be estimated well."""
_COMBINATIONS = 10_000
_CHUNK = 1024
_VALUES = 4_000_000
"""Numbers that are held at once."""
_TIE = 1e-12


def batchbald(
    passes: NDArray[Any],
    budget: int,
    rng: Generator,
    *,
    takes: Takes | None = None,
    free: BoolArray | None = None,
    order: IntArray | None = None,
    samples: int = 1000,
) -> IntArray:
    """Rows whose labels share most information with the weights, in the order chosen.

    Args:
        passes: (T, N, K) class distributions of T stochastic passes; T >= 1.
        budget: how many rows at most. Above 20 the joint is not looked at: the rows with the
            highest BALD scores.
        rng: draws combinations of labels where there are more than 10,000.
        takes: what each pick takes with it (``away``); None = itself.
        free: (N,) bool, rows that may be chosen; None = all.
        order: (N,) a permutation: of equals the lower one is taken; None = the row.
        samples: combinations that are drawn.

    Raises:
        ValueError: no passes, or another shape.
    """
    if passes.ndim != 3 or not len(passes):
        raise ValueError(f"passes {passes.shape}: not (T, N, K) with at least one pass")
    n = passes.shape[1]
    taken, rank = Takes.itself(n) if takes is None else takes, order
    rank = np.arange(n) if rank is None else rank
    gains = np.where(True if free is None else free, bald(passes), -np.inf)
    joint = None if budget > LARGEST else _Joint(passes, rng, samples)
    picks: list[int] = []
    while len(picks) < budget and (gains > -np.inf).any():
        if joint is not None and picks:
            row = joint.best(gains, rank)
        else:
            best = np.flatnonzero(gains >= gains.max() - _TIE)
            row = int(best[np.argmin(rank[best])])
        picks.append(row)
        gains[slice(*taken.away[row].tolist())] = -np.inf
        if joint is not None and len(picks) < budget:
            joint.add(row)
    return np.array(picks, dtype=np.int64)


class _Joint:
    """The labels of what was chosen: combinations and their probability in every pass.

    ``_table`` (T, S) holds the probability of each combination in each pass, ``_weight`` (S,) what
    its term counts in the entropy: 1 where all are there, 1 / (S p) where they were drawn by p.
    """

    def __init__(self, passes: NDArray[Any], rng: Generator, samples: int) -> None:
        self._passes, self._rng, self._samples = passes, rng, samples
        self._table = np.ones((len(passes), 1))
        self._weight = np.ones(1)
        self._rows: list[int] = []
        self._drawn = False

    def add(self, row: int) -> None:
        """One item more; exact as long as one more after it can be."""
        count, _, classes = self._passes.shape
        self._rows.append(row)
        if classes ** (len(self._rows) + 1) <= _COMBINATIONS:
            own = self._passes[:, row].astype(np.float64)
            self._table = (self._table[:, :, None] * own[:, None, :]).reshape(count, -1)
            self._weight = np.ones(self._table.shape[1])
            return
        self._draw()

    def _draw(self) -> None:
        """Combinations drawn from the mixture of passes."""
        chosen = self._passes[:, self._rows].astype(np.float64)
        which = self._rng.integers(len(chosen), size=self._samples)
        edges = np.cumsum(chosen[which], axis=2)
        point = self._rng.random((self._samples, len(self._rows), 1)) * edges[:, :, -1:]
        label = np.minimum((edges <= point).sum(axis=2), chosen.shape[2] - 1)
        each = np.take_along_axis(chosen[:, None], label[None, :, :, None], axis=3)[..., 0]
        self._table = each.prod(axis=2)
        self._weight = 1.0 / (self._samples * np.maximum(self._table.mean(axis=0), 1e-300))

    def best(self, gains: ScoreArray, rank: IntArray) -> int:
        """The row that adds most; lowers the gains of those that were looked at."""
        base = self._entropy_of_chosen()
        queue = np.lexsort((rank, -gains))
        found, looked = -np.inf, 0
        while looked < len(queue) and gains[queue[looked]] > found - _TIE:
            part = queue[looked : looked + _CHUNK]
            part = part[gains[part] > -np.inf]
            gains[part] = np.minimum(gains[part], self._gains(part, base))
            found, looked = max(found, float(gains[part].max(initial=-np.inf))), looked + _CHUNK
        near = np.flatnonzero(gains >= gains.max() - _TIE)
        return int(near[np.argmin(rank[near])])

    def _gains(self, rows: IntArray, base: float) -> ScoreArray:
        """(n,) mutual information that each row adds: H(chosen and it) - H(chosen) - E H(it)."""
        count, _, classes = self._passes.shape
        result = np.empty(len(rows))
        step = max(1, _VALUES // (self._table.shape[1] * classes))
        for at in range(0, len(rows), step):
            own = self._passes[:, rows[at : at + step]].astype(np.float64)
            joint = self._table.T @ own.reshape(count, -1) / count
            logs = np.log(joint, out=np.zeros_like(joint), where=joint > 0)
            joint *= logs
            total = -(self._weight @ joint).reshape(-1, classes).sum(axis=1)
            inner = entropy(own.reshape(-1, classes)).reshape(count, -1).mean(axis=0)
            result[at : at + step] = total - base - inner
        return result

    def _entropy_of_chosen(self) -> float:
        """H(labels of the chosen), by the same combinations."""
        joint = self._table.mean(axis=0)
        logs = np.log(joint, out=np.zeros_like(joint), where=joint > 0)
        return float(-(self._weight @ (joint * logs)))


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
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    by: By = "detector"
    background: bool = True
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

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
            what = named(pool, row)
            words.append(f"passes disagree by {scores[row]:.3f} nats on a {what}; {how}")
        values = np.where(rows >= 0, scores[rows] if len(scores) else 0.0, 0.0)
        return Explanation(tuple(words), {"bald": values})

    def _passes(self, pool: Pool) -> NDArray[np.float64] | NDArray[np.float32]:
        """(T, N, K+1)"""
        passes = regions_of(pool).column("passes")
        return np.moveaxis(passes if self.background else foreground(passes), 1, 0)
