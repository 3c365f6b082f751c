"""PPAL: unsure frames, weighted by how hard their classes are, then spread by what they show.

Yang, Huang and Crowley, "Plug and Play Active Learning for Object Detection", CVPR 2024 (abstract
and public code, github.com/ChenhongyiYang/PPAL, read; the paper's equations only as the code has
them). What is followed, and what differs:

- *Uncertainty* of a detection: binary entropy of its score. As in the code.
- *Difficulty* of a class: 1 - quality. There quality is p^0.6 IoU^0.4 of positive anchors in
  training, averaged over the class by an exponential mean. Here no training tells it, so it comes
  from what is labelled: the mean probability that the detector gives to the right class of
  annotated objects, 0 where it found nothing; the IoU is not known and left out. The detector may
  have been trained on these labels: difficulties are then low, in the order of the classes all the
  same. Without labels all classes are equally hard.
- *Weight* of a class of difficulty d: 1 + beta alpha ln((e^(1/alpha) - 1) d + 1), in [1, 1 + beta].
- *Candidates*: the frames with the largest weighted sums, ``ratio`` times the budget. On video
  their neighbours are left out at once: else most candidates would be one scene.
- *Distance* of two frames (category-conditioned matching): each detection takes the most similar
  one of its class in the other frame, 1 - cosine of features, 2 where the class is missing there;
  the mean weighted by scores, of both directions. As in the code. Frames without detections, which
  it does not provide for, are at distance 2 from others and 0 from each other.
- *Choice*: farthest-first from a random candidate, then k-medoids, as in the code (the paper
  speaks of k-means++). Above 5,000 candidates farthest-first alone, which needs no matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.errors import UsageError
from vidal.query import exclusion
from vidal.query.batch import highest_rows
from vidal.query.matching import LARGEST, Matching, Shown, spread_choice
from vidal.query.pools import items_of, regions_of
from vidal.query.region_scores import named
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap, ranked
from vidal.types import AnyGap, Explanation, IntArray, Pool, ScoreArray
from vidal.words import counted


def binary_entropy(scores: NDArray[Any]) -> ScoreArray:
    """-s ln s - (1 - s) ln(1 - s) of scores (N,) in [0, 1]; 0 at both ends."""
    result = np.zeros(len(scores))
    for side in (np.asarray(scores, np.float64), 1.0 - np.asarray(scores, np.float64)):
        result -= side * np.log(side, out=np.zeros_like(side), where=side > 0)
    return np.maximum(result, 0.0)


def class_difficulty(
    probs: NDArray[Any], answers: NDArray[Any], objects: NDArray[Any]
) -> ScoreArray:
    """(K,) 1 - mean probability of the right class over all annotated objects of a class.

    Args:
        probs: (M, K or more) class distributions of detections that match an object.
        answers: (M,) its class; others than 0..K-1 are left out.
        objects: (K,) annotated objects of each class, those that were not found included.

    Returns:
        In [0, 1]; 1 for a class without objects, but 0 for all where there are none at all.
    """
    counts = np.asarray(objects, np.float64)
    if not counts.sum():
        return np.zeros(len(counts))
    label = np.asarray(answers).astype(np.int64)
    rows = np.flatnonzero((label >= 0) & (label < len(counts)))
    right = np.asarray(probs, np.float64)[rows, label[rows]]
    quality = np.bincount(label[rows], weights=right, minlength=len(counts))
    found = np.bincount(label[rows], minlength=len(counts))
    # Objects in ignore regions may be matched and not counted.
    return np.asarray(1.0 - quality / np.maximum(1.0, np.maximum(counts, found)))


def difficulty_weights(
    difficulty: NDArray[Any], alpha: float = 0.3, beta: float = 0.2
) -> ScoreArray:
    """(K,) 1 + beta alpha ln((e^(1/alpha) - 1) d + 1): 1 for d = 0, 1 + beta for d = 1.

    Raises:
        ValueError: ``alpha`` is not positive or too small to reckon with, or ``beta`` is negative.
    """
    if not alpha >= 0.002 or not beta >= 0:
        raise ValueError(f"alpha {alpha}, beta {beta}")
    steep = math.expm1(1.0 / alpha)
    return np.asarray(1.0 + beta * alpha * np.log1p(steep * np.asarray(difficulty, np.float64)))


@dataclass(frozen=True, slots=True)
class Ppal:
    """Frames with many unsure detections of hard classes, spread over what they show (PPAL).

    Plug and Play Active Learning of Yang, Huang and Crowley, CVPR 2024; what is followed and what
    differs stands in its module. How hard a class is comes from what is labelled; before
    there are labels all classes count alike.

    Attributes:
        ratio: candidates, as a multiple of the number of frames that are asked for.
        alpha: how early the weight of a hard class rises, in 0.002 and more; the code's value.
        beta: how much more the hardest class counts than the easiest; the code's value.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    ratio: int = 4
    alpha: float = 0.3
    beta: float = 0.2
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset({"regions", "features", "labelled"})

    def __post_init__(self) -> None:
        check_gap(self.gap)
        if self.ratio < 1:
            raise UsageError(f"ratio {self.ratio}: less than 1.", hint="Such as 4.")
        if not self.alpha >= 0.002 or not self.beta >= 0:
            raise UsageError(
                f"alpha {self.alpha}, beta {self.beta}: below 0.002 or below 0.",
                hint="The paper's code has 0.3 and 0.2.",
            )

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions, the most unsure first."""
        scores = self.score(pool)
        order = ranked(scores, rng)
        taken = exclusion.thin(pool.frames, pool.labelled, order, self.gap)
        candidates = taken[: self.ratio * budget]
        if len(candidates) <= budget:
            return candidates
        places = np.sort(candidates)
        chosen = places[spread_choice(_shown(pool, places), budget, rng)]
        return candidates[np.isin(candidates, chosen)]

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) >= 0, sum of the weighted binary entropies of a frame's detections, in nats."""
        return fold(self._uncertainty(pool), regions_of(pool).pos, len(pool), "sum")

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """Weighted uncertainty, the most unsure detection, and how hard its class is."""
        values, regions = self._uncertainty(pool), regions_of(pool)
        hard, label = _difficulty(pool), _labels(pool)
        scores = fold(values, regions.pos, len(pool), "sum")[positions]
        counts = np.bincount(regions.pos, minlength=len(pool))[positions]
        apart = _apart(pool, positions)
        words = []
        for place, row in enumerate(highest_rows(pool, values, positions).tolist()):
            said = "no detections"
            if row >= 0:
                said = (
                    f"weighted uncertainty {scores[place]:.3f} over"
                    f" {counted(int(counts[place]), 'detection')}; most unsure:"
                    f" {named(pool, row)} (difficulty of"
                    f" {pool.classes[label[row]]}: {hard[label[row]]:.2f})"
                )
            if np.isfinite(apart[place]):
                said += f"; the most similar other chosen frame is at distance {apart[place]:.2f}"
            words.append(said)
        return Explanation(tuple(words), {"detections": counts, "uncertainty": scores})

    def _uncertainty(self, pool: Pool) -> ScoreArray:
        weights = difficulty_weights(_difficulty(pool), self.alpha, self.beta)
        return binary_entropy(regions_of(pool).scores) * weights[_labels(pool)]


def _labels(pool: Pool) -> IntArray:
    """(N,) the most likely class of each detection."""
    probs = regions_of(pool).probs[:, :-1]
    return probs.argmax(axis=1) if len(probs) else np.zeros(0, np.int64)


def _difficulty(pool: Pool) -> ScoreArray:
    items = items_of(pool).known()
    return class_difficulty(
        items.probs, items.answers, pool.labelled_columns["objects"].sum(axis=0)
    )


def _shown(pool: Pool, places: IntArray) -> Shown:
    """The detections of some frames of the pool (rising)."""
    regions = regions_of(pool)
    at = np.minimum(np.searchsorted(places, regions.pos), len(places) - 1)
    rows = np.flatnonzero(places[at] == regions.pos) if len(places) else at[:0]
    weights = np.maximum(regions.scores[rows], np.finfo(np.float32).tiny)
    return Shown(at[rows], _labels(pool)[rows], weights, regions.features[rows], len(places))


def _apart(pool: Pool, positions: IntArray) -> ScoreArray:
    """(n,) distance of each frame from the nearest other of them; infinite where there is none."""
    if len(positions) > LARGEST:
        return np.full(len(positions), np.inf)
    places, back = np.unique(positions, return_inverse=True)
    table = Matching(_shown(pool, places)).matrix()
    np.fill_diagonal(table, np.inf)
    return table.min(axis=1, initial=np.inf).astype(np.float64)[back]
