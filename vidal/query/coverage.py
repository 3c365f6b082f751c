"""Strategies that cover feature space: k-center, greedy and robust."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.arrays import nearest
from vidal.errors import UsageError
from vidal.query.batch import (
    Unit,
    filled,
    frame_takes,
    highest_rows,
    nearest_others,
    region_takes,
)
from vidal.query.coreset import LARGEST, improved
from vidal.query.farthest import farthest_first
from vidal.query.pools import items_of, regions_of
from vidal.query.region_scores import named
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.types import AnyGap, Explanation, IntArray, Pool, ScoreArray
from vidal.words import counted

COLUMN = "embedding"
_BLOCK = 65_536


@dataclass(frozen=True, slots=True)
class KCenter:
    """Frames that look unlike everything labelled or chosen: the farthest one, again and again.

    Greedy k-center of Sener and Savarese, "Active Learning for Convolutional Neural Networks: A
    Core-Set Approach", ICLR 2018, on what a frame looks like to the detector, or on the features
    of its detections. Labelled frames (or detections) are centres from the start; those of unknown
    objects and of background, too: they are covered. Equal distances in random order.

    Attributes:
        items: what is compared: frames (their embedding), or regions (detections: a frame is taken
            for the one that is farthest from all labelled and chosen ones; frames without
            detections come last, at random). On images both are the image.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    items: Unit = "frames"
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    def __post_init__(self) -> None:
        check_gap(self.gap)

    @property
    def needs(self) -> frozenset[str]:
        """The embedding of frames, or features of detections and of labelled ones."""
        return _needs(self.items)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions, the farthest first."""
        points, known = _space(pool, self.items)
        takes, free = (frame_takes if self.items == "frames" else region_takes)(pool, self.gap)
        order = rng.permutation(len(points))
        rows = farthest_first(points, known, budget, takes=takes, free=free, order=order)
        picks = rows if self.items == "frames" else regions_of(pool).pos[rows]
        return filled(pool, picks, budget, rng, self.gap)

    def points(self, pool: Pool) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """What is compared, where that is frames; see ``vidal.query.balanced.Covering``."""
        return _space(pool, self.items) if self.items == "frames" else None

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) distance from the nearest labelled one, of regions the largest of a frame.

        Of the mean of all where nothing is labelled.
        """
        return _score(pool, self.items)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """How far the nearest labelled or other chosen frame is, and which it is."""
        return _explained(pool, positions, self.items)


@dataclass(frozen=True, slots=True)
class Coreset:
    """The frames that leave no frame far from a labelled or chosen one, a few outliers let off.

    Robust k-center of Sener and Savarese, "Active Learning for Convolutional Neural Networks: A
    Core-Set Approach", ICLR 2018, on what frames look like to the detector; solved by HiGHS. Above
    ``exact`` frames the greedy choice takes its place, passing over the outliers at every step;
    the reasons say so. Picks come in the order in which each is the farthest from those before.

    Attributes:
        outliers: frames that need not be covered; -1 = one in 10,000, rounded down.
        exact: pools of at most so many frames are solved, 10,000 at most; a thousand take about
            20 s, two thousand minutes.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    outliers: int = -1
    exact: int = 1000
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset({COLUMN})

    def __post_init__(self) -> None:
        check_gap(self.gap)
        if self.outliers < -1:
            raise UsageError(f"outliers {self.outliers}: negative.", hint="Give 0 for none.")
        if not 0 <= self.exact <= LARGEST:
            raise UsageError(
                f"exact {self.exact}: not in 0..{LARGEST}.", hint="Give 0 to choose greedily."
            )

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions, the farthest first."""
        points, known = _space(pool, "frames")
        takes, free = frame_takes(pool, self.gap)
        order, let_off = rng.permutation(len(points)), self._let_off(pool)
        greedy = farthest_first(
            points, known, budget, takes=takes, free=free, order=order, let_off=let_off
        )
        if not self._solved(pool):
            return greedy
        best = improved(points, known, greedy, let_off, takes=takes, free=free)
        if best is None:
            return greedy

        def whole(rows: IntArray) -> IntArray:
            """The rows, the farthest first, and behind them others as far as they fit."""
            among, left = np.zeros(len(points), np.bool_), free.copy()
            among[rows] = True
            picks = farthest_first(points, known, budget, takes=takes, free=among, order=order)
            for row in picks:
                left[slice(*takes.away[row].tolist())] = False
            base = np.concatenate([known, points[picks]]) if len(known) else points[picks]
            count = budget - len(picks)
            more = farthest_first(
                points, base, count, takes=takes, free=left, order=order, let_off=let_off
            )
            return np.concatenate([picks, more])

        picks = whole(best.needed)
        # Neighbours can leave less room around fewer rows.
        return picks if len(picks) >= len(greedy) else whole(best.rows)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) distance from the nearest labelled frame; of the mean where there is none."""
        return _score(pool, "frames")

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """For how many frames it stands, the nearest other, and how the choice was made."""
        told = _explained(pool, positions, "frames")
        points, known = _space(pool, "frames")
        counts = np.zeros(len(positions), np.int64)
        if len(positions):
            base = np.concatenate([known, points[positions]]) if len(known) else points[positions]
            counts = np.bincount(_nearest_rows(points, base), minlength=len(base))[len(known) :]
        let_off = counted(self._let_off(pool), "outlier")
        how = f"the least radius, {let_off} let off"
        if not self._solved(pool):
            how = f"chosen greedily, {let_off} let off: {len(pool):,} frames are too many to solve"
        words = (
            f"stands for {counted(int(count), 'frame')} that look most like it; {words}; {how}"
            for count, words in zip(counts, told.words, strict=True)
        )
        return replace(told, words=tuple(words), parts={**told.parts, "stands_for": counts})

    def _let_off(self, pool: Pool) -> int:
        return len(pool) // 10_000 if self.outliers < 0 else self.outliers

    def _solved(self, pool: Pool) -> bool:
        return len(pool) <= self.exact


def _needs(items: Unit) -> frozenset[str]:
    if items == "frames":
        return frozenset({COLUMN})
    return frozenset({"regions", "features", "labelled"})


def _space(pool: Pool, items: Unit) -> tuple[NDArray[Any], NDArray[Any]]:
    """(N, D) what may be chosen, and (M, D) what is labelled."""
    if items == "frames":
        return pool.column(COLUMN), pool.labelled_columns[COLUMN]
    return regions_of(pool).features, items_of(pool).features


def _score(pool: Pool, items: Unit) -> ScoreArray:
    points, known = _space(pool, items)
    far = _from_labelled(points, known)
    frame = np.arange(len(pool)) if items == "frames" else regions_of(pool).pos
    return fold(far, frame, len(pool), "max")


def _nearest_rows(points: NDArray[Any], base: NDArray[Any]) -> IntArray:
    """(N,) the row of ``base`` that is nearest to each point."""
    blocks = range(0, len(points), _BLOCK)
    parts = [nearest(points[at : at + _BLOCK], base, 1, metric="euclidean")[:, 0] for at in blocks]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _from_labelled(points: NDArray[Any], known: NDArray[Any]) -> ScoreArray:
    """(N,) distance from the nearest of ``known``, or from the mean of all."""
    middle = points.mean(axis=0, dtype=np.float64) if len(points) else None
    parts = [np.zeros(0)]
    for at in range(0, len(points), _BLOCK):
        block = points[at : at + _BLOCK].astype(np.float64)
        others: Any = middle
        if len(known):
            others = known[nearest(block, known, 1, metric="euclidean")[:, 0]]
        parts.append(np.linalg.norm(block - others, axis=1))
    return np.concatenate(parts)


def _explained(pool: Pool, positions: IntArray, items: Unit) -> Explanation:
    """In the order asked, but the same whatever that is."""
    order = np.argsort(positions, kind="stable")
    points, known = _space(pool, items)
    if items == "frames":
        others, far = nearest_others(points[positions[order]], known)
        words = [
            _frame_words(pool, positions[order], len(known), other, distance)
            for other, distance in zip(others.tolist(), far.tolist(), strict=True)
        ]
    else:
        rows = highest_rows(pool, _from_labelled(points, known), positions[order])
        found = np.flatnonzero(rows >= 0)
        distances = nearest_others(points[rows[found]], known)[1]
        far = np.zeros(len(rows))
        far[found] = distances
        words = [
            _region_words(pool, row, distance)
            for row, distance in zip(rows.tolist(), far.tolist(), strict=True)
        ]
    back = np.argsort(order)
    far = np.where(np.isfinite(far), far, 0.0)
    return Explanation(tuple(words[place] for place in back), {"distance": far[back]})


def _frame_words(pool: Pool, chosen: IntArray, known: int, other: int, distance: float) -> str:
    if other < 0:
        return "nothing is labelled, and no other frame chosen, that it could resemble"
    if other < known:
        ref, what = pool.labelled.ref(other), "labelled"
    else:
        ref, what = pool.frames.ref(int(chosen[other - known])), "chosen"
    return (
        f"looks unlike all labelled and other chosen frames: the nearest, {ref} ({what}),"
        f" is at distance {distance:.3g}"
    )


def _region_words(pool: Pool, row: int, distance: float) -> str:
    if row < 0:
        return "no detections: drawn at random from such frames"
    what = named(pool, row)
    if distance == np.inf:
        return f"{what}: nothing is labelled, and no other frame chosen, that it could resemble"
    return (
        f"{what}, looks unlike all labelled and other chosen detections: the nearest is at"
        f" distance {distance:.3g}"
    )
