"""CCAL: like labelled known items in meaning, unlike them in looks, by two contrastive encoders.

Du et al., "Contrastive coding for active learning under class distribution mismatch", ICCV 2021.
The semantic encoder (SimCLR) says how near an item is to labelled items of known classes; the
distinctive one, for which a rotation makes another instance, how little it repeats them.

Decisions of open_set.md (C3): the raw distinctive score is cos(x, first) - cos(x, second) +
cos(first, second) with the two nearest labelled items *of one class* (slide, Eq. 5; the code adds
cos(x, first) once more), each rotation by itself; the joint score has the printed slope k (the code
computes tanh of half of it: ``slope=code``). Items that are labelled as unknown are not used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.arrays import min_max, nearest
from vidal.errors import UsageError
from vidal.openset.checks import finite, numbers
from vidal.openset.items import frame_scores, reasons
from vidal.query.pools import items_of, regions_of
from vidal.query.region_picks import frames_of_picks
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.types import AnyGap, Explanation, IntArray, Pool, ScoreArray

Slope = Literal["paper", "code"]

_BLOCK = 8192
"""Items that are compared at once."""


def semantic_score(pool: NDArray[Any], labelled: NDArray[Any]) -> ScoreArray:
    """(N,) in [0, 1]: the largest cosine with a labelled item, scaled over the pool (Eq. 3).

    Zeros where nothing is labelled, or all are alike.

    Args:
        pool: (N, D) of the semantic encoder.
        labelled: (M, D) of labelled items of known classes.
    """
    return min_max(_largest(pool, labelled)[0])


def _largest(pool: NDArray[Any], labelled: NDArray[Any]) -> tuple[ScoreArray, IntArray]:
    """(N,) largest cosine, and which labelled item has it (0 where there is none)."""
    a, b = numbers(pool, labelled)
    if not len(b):
        return np.zeros(len(a)), np.zeros(len(a), np.int64)
    best = nearest(a, b, 1)[:, 0]
    return _cosines(a, b[best]), best


def _cosines(a: ScoreArray, b: ScoreArray) -> ScoreArray:
    """(n,) of the rows of two arrays; 0 with a row of zeros."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.divide((a * b).sum(axis=-1), lengths, out=np.zeros(len(a)), where=lengths > 0)


def distinctive_raw(pool: NDArray[Any], class_items: NDArray[Any]) -> ScoreArray:
    """(N,) mean over views of cos(x, s) - cos(x, t) + cos(s, t); low = unlike what is labelled.

    s and t are the nearest and the second nearest labelled item of one class in that view; with one
    item it is cos(x, s).

    Args:
        pool: (N, R, D) of the distinctive encoder, R rotations.
        class_items: (M, R, D) of labelled items of the class, M >= 1.

    Raises:
        ValueError: no item, other views, or values that are not finite.
    """
    x, (own,) = np.asarray(pool), numbers(class_items)
    if x.ndim != 3 or own.ndim != 3 or x.shape[1:] != own.shape[1:] or not len(own):
        raise ValueError(f"views {x.shape} of items with {own.shape} of a class")
    blocks = range(0, len(x), _BLOCK)
    parts = [_distinctive(numbers(x[at : at + _BLOCK])[0], own) for at in blocks]
    return np.concatenate([np.zeros(0), *parts])


def _distinctive(x: ScoreArray, own: ScoreArray) -> ScoreArray:
    total, views = np.zeros(len(x)), x.shape[1]
    for view in range(views):
        rows, base = x[:, view], own[:, view]
        near = nearest(rows, base, min(2, len(base)))
        first = base[near[:, 0]]
        total += _cosines(rows, first)
        if len(base) > 1:
            second = base[near[:, 1]]
            total += _cosines(first, second) - _cosines(rows, second)
    return total / max(1, views)


def distinctive_score(raw: NDArray[Any]) -> ScoreArray:
    """(N,) in [0, 1]: 1 - raw, scaled over the pool (Eq. 5); higher = ask."""
    return 1.0 - min_max(raw)


def query_score(
    semantic: NDArray[Any], distinctive: NDArray[Any], k: float = 100.0, t: float = 0.9
) -> ScoreArray:
    """(N,) tanh(k (semantic - t)) + distinctive (Eq. 6); higher = ask.

    Args:
        semantic: (N,) of `semantic_score`.
        distinctive: (N,) of `distinctive_score`.
        k: slope; the code's formula is that of k / 2.
        t: of meaning, where known and unknown part.
    """
    s, d = numbers(semantic, distinctive)
    return np.asarray(np.tanh(k * (s - t)) + d)


def select_per_class(scores: NDArray[Any], nearest_class: NDArray[Any], budget: int) -> IntArray:
    """Ascending positions of ``min(budget, N)`` items, as many of each class as can be.

    floor(B / K) of each by the score for the class that an item is nearest to; the rest by that
    score, whatever the class. Equals go to the lower position.

    Args:
        scores: (K, N), finite where an item is nearest to the class.
        nearest_class: (N,) 0..K-1, the class of the labelled item that is nearest in meaning.
        budget: B >= 0.

    Raises:
        ValueError: shapes, classes or scores that do not fit.
    """
    return np.sort(picks_per_class(scores, nearest_class, budget))


def picks_per_class(scores: NDArray[Any], nearest_class: NDArray[Any], budget: int) -> IntArray:
    """`select_per_class`, the most wanted first: the best of each class, then the second best..."""
    every, place = np.asarray(scores, np.float64), np.asarray(nearest_class).astype(np.int64)
    k, n = every.shape
    if place.shape != (n,) or budget < 0 or ((place < 0) | (place >= k)).any():
        raise ValueError(f"scores {every.shape} with classes {place.shape}, or out of range")
    own = every[place, np.arange(n)]
    if not np.isfinite(own).all():
        raise ValueError("scores for the nearest class are not finite")
    quota = budget // k if k else 0
    order = np.argsort(-own, kind="stable")
    rank = np.zeros(n, np.int64)
    for label in range(k):
        mine = order[place[order] == label]
        rank[mine] = np.arange(len(mine))
    inside = rank < quota
    # by rank among those of a quota, by score behind them
    return np.lexsort((np.arange(n), -own, np.where(inside, rank, 0), ~inside))[:budget]


@dataclass(frozen=True, slots=True)
class Ccal:
    """Pictures like labelled ones in meaning and unlike them in looks, evenly over classes (CCAL).

    For images only: the distinctive part needs crops in four rotations through an encoder of its
    own, which detections of a video do not give; there, ``mahalanobis`` asks by features alone.
    Both encoders are trained once, before the first round, on all pictures and without labels; a
    first round is like any other. The class of a candidate is that of the labelled item nearest in
    meaning; a class that nothing is labelled of has no candidates, and its share goes to the
    others. MQ-Net's version of CCAL leaves the classes out.

    Attributes:
        k: slope of the semantic part (100).
        t: of the semantic score, where known and unknown part (0.9, for encoders that were trained
            long); if few items reach it, looks alone decide about the others: then give less.
        slope: paper, or code, whose formula has half of it.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    k: float = 100.0
    t: float = 0.9
    slope: Slope = "paper"
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset(
        {"regions", "labelled", "labels", "semantic", "distinctive"}
    )

    def __post_init__(self) -> None:
        check_gap(self.gap)
        if not self.k > 0:
            raise UsageError(f"k {self.k}: not above 0.", hint="Give a slope, such as 100.")

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` positions, by class and score."""
        scores, place = self._scores(pool)[0], self._nearest(pool)[1]
        return frames_of_picks(
            pool, lambda count: picks_per_class(scores, place, count), budget, rng, self.gap
        )

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) the joint score for the nearest class; in [-1, 2]."""
        return frame_scores(pool, self._own(pool)[0], "top", 3)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The class in question, and both parts of the score."""
        values, distinctive = self._own(pool)
        semantic, place = self._nearest(pool)

        def say(row: int) -> str:
            return (
                f"nearest to {pool.classes[place[row]]}, semantic {semantic[row]:.3f}, "
                f"distinctive {distinctive[row]:.3f}"
            )

        parts = {"semantic": semantic, "distinctive": distinctive}
        return reasons(pool, positions, values, say, parts)

    def _own(self, pool: Pool) -> tuple[ScoreArray, ScoreArray]:
        scores, distinctive = self._scores(pool)
        rows = np.arange(scores.shape[1])
        place = self._nearest(pool)[1]
        return scores[place, rows], distinctive[place, rows]

    def _nearest(self, pool: Pool) -> tuple[ScoreArray, IntArray]:
        """(N,) semantic score, and class of the labelled item nearest in meaning."""
        known = items_of(pool).known()
        given = finite(regions_of(pool).column("semantic"), "semantic features")
        cosine, best = _largest(given, known.column("semantic"))
        place = known.answers[best] if len(known) else np.zeros(len(given), np.int64)
        return min_max(cosine), place

    def _scores(self, pool: Pool) -> tuple[ScoreArray, ScoreArray]:
        """(K, N) joint and distinctive scores for each class."""
        known, semantic = items_of(pool).known(), self._nearest(pool)[0]
        given = finite(regions_of(pool).column("distinctive"), "distinctive features")
        distinctive = np.zeros((len(pool.classes), len(given)))
        for label in range(len(pool.classes)):
            own = known.column("distinctive")[known.answers == label]
            if len(own):
                distinctive[label] = distinctive_score(distinctive_raw(given, own))
        slope = self.k if self.slope == "paper" else self.k / 2
        joint = [query_score(semantic, each, slope, self.t) for each in distinctive]
        return np.array(joint).reshape(distinctive.shape), distinctive
