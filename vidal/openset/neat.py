"""NEAT: known by what the nearest labelled items are, then asked where model and neighbours differ.

"Inconsistency-based data-centric active open-set annotation" (Mao et al., AAAI 2024). Decisions
between slides and the authors' code (`RuiyuM/Active-OpenSet-NEAT`): an item is known where strictly
more of its neighbours are known than unknown (code), or where a share of them is
(``min_known_frac``; 1 = all, the slides); of those, twice the budget with the most known neighbours
compete (code only); the softmax is of raw counts, unknown neighbours left out. Ours: ties of
numbers of known neighbours, all of them in a first round, go by inconsistency, where the code takes
the order of its loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.arrays import nearest
from vidal.errors import UsageError
from vidal.openset.checks import finite, known_probs
from vidal.openset.purity import energy
from vidal.query.batch import highest_rows
from vidal.query.options import Preset
from vidal.query.pools import items_of, regions_of
from vidal.query.region_picks import frames_of_picks
from vidal.query.region_scores import named
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.types import AnyGap, BoolArray, Explanation, IntArray, Pool, ScoreArray

_BLOCK = 8_192

FROZEN = "frozen"
"""The column of features that no label has shaped; on video those of the detector."""


def neighbour_counts(neighbour_labels: NDArray[Any], known: int) -> IntArray:
    """(N, known + 1) how many of the neighbours (N, k) have each label; the last is unknown.

    Raises:
        ValueError: a label outside 0..known.
    """
    labels = np.asarray(neighbour_labels).astype(np.int64)
    if labels.ndim != 2 or ((labels < 0) | (labels > known)).any():
        raise ValueError(f"neighbours {labels.shape} with labels outside 0..{known}")
    n, width = len(labels), known + 1
    cells = np.arange(n)[:, None] * width + labels
    return np.bincount(cells.reshape(-1), minlength=n * width).reshape(n, width).astype(np.int64)


def known_by_neighbours(counts: NDArray[Any], min_known_frac: float = 0.5) -> BoolArray:
    """(N,) whether enough of the counted neighbours (N, K+1) are known; False where there are none.

    Args:
        counts: of `neighbour_counts`.
        min_known_frac: up to 0.5: strictly more than half of them; above: at least this share.
    """
    of_known, whole = _known(counts), np.asarray(counts).sum(axis=1)
    if min_known_frac <= 0.5:
        return np.asarray(2 * of_known > whole)
    return np.asarray((of_known >= min_known_frac * whole) & (whole > 0))


def inconsistency(probs: NDArray[Any], counts: NDArray[Any]) -> ScoreArray:
    """(N,) -sum_c p_c log softmax(V)_c of probabilities (N, K) and known neighbours V.

    Args:
        probs: of the K classes.
        counts: (N, K+1) of `neighbour_counts`; the last column, unknown, is left out.

    Raises:
        ValueError: other shapes, or probabilities that are not finite.
    """
    p, v = np.asarray(probs, np.float64), np.asarray(counts, np.float64)
    if p.ndim != 2 or v.shape != (len(p), p.shape[1] + 1) or not np.isfinite(p).all():
        raise ValueError(f"probabilities {p.shape} with counts {v.shape}, or not finite")
    if not p.shape[1]:
        return np.zeros(len(p))
    own = v[:, :-1]
    return np.asarray((p * (energy(own)[:, None] - own)).sum(axis=1))


def select(
    inconsistency_scores: NDArray[Any],
    counts: NDArray[Any],
    budget: int,
    min_known_frac: float = 0.5,
    keep: float = 2.0,
) -> IntArray:
    """Ascending positions of the ``min(budget, N)`` that NEAT asks for; see `ordered`."""
    return np.sort(ordered(inconsistency_scores, counts, budget, min_known_frac, keep))


def ordered(
    inconsistency_scores: NDArray[Any],
    counts: NDArray[Any],
    budget: int,
    min_known_frac: float = 0.5,
    keep: float = 2.0,
) -> IntArray:
    """``min(budget, N)`` positions, the most wanted first.

    Of the items that are known by their neighbours, ``keep`` times the budget with the most known
    neighbours (equals by inconsistency); of those the most inconsistent (equals by known
    neighbours, then the lower position). Where too few are known, others follow by their share of
    known neighbours, then by inconsistency.

    Args:
        inconsistency_scores: (N,) finite.
        counts: (N, K+1) of `neighbour_counts`.
        budget: at least 0.
        min_known_frac: of `known_by_neighbours`.
        keep: of the budget; at least the budget itself competes.

    Raises:
        ValueError: scores of another number, or not finite, or a negative budget.
    """
    score = np.asarray(inconsistency_scores, np.float64).reshape(-1)
    if len(score) != len(counts) or not np.isfinite(score).all() or budget < 0:
        raise ValueError(f"{len(score)} scores of {len(counts)} items, or not finite")
    of_known, whole = _known(counts), np.asarray(counts).sum(axis=1)
    order = np.lexsort((-score, -of_known))
    is_known = known_by_neighbours(counts, min_known_frac)
    first = order[is_known[order]][: max(budget, int(keep * budget))]
    first = first[np.lexsort((-of_known[first], -score[first]))][:budget]
    share = of_known / np.maximum(1, whole)
    rest = np.lexsort((-score, -share))
    rest = rest[~is_known[rest]]
    return np.concatenate([first, rest])[:budget].astype(np.int64)


def _known(counts: NDArray[Any]) -> IntArray:
    return np.asarray(counts)[:, :-1].sum(axis=1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Neat:
    """Objects among labelled known ones, where the model says another class than its neighbours.

    NEAT, "Inconsistency-based data-centric active open-set annotation", AAAI 2024: the nearest
    labelled objects (cosine of features that no label has shaped) say what is known; among that the
    model's classes are held against theirs. Background is left out. On video the features are those
    of the detector, and a frame is taken for the object that is picked. While no unknown object is
    labelled everything is known; where no object at all is labelled all are alike: at random, and
    the reasons say so. What is lost against the paper: its features are those of CLIP.

    Attributes:
        neighbours: how many labelled objects are asked; all where there are fewer.
        min_known_frac: share of them that has to be known; up to 0.5 = more than half, 1 = all.
        keep: objects with the most known neighbours that compete, as a multiple of the number that
            is asked for.
        passive: the number of known neighbours alone decides.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    neighbours: int = 10
    min_known_frac: float = 0.5
    keep: float = 2.0
    passive: bool = field(default=False, metadata={"option": False})
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset(
        {"regions", "features", "labelled", "labels", FROZEN}
    )

    def __post_init__(self) -> None:
        check_gap(self.gap)
        if self.neighbours < 1:
            raise UsageError(f"neighbours {self.neighbours}: less than 1.", hint="Such as 10.")
        if not 0 <= self.min_known_frac <= 1:
            why = f"min_known_frac {self.min_known_frac}: not in 0..1."
            raise UsageError(why, hint="Give 0.5 for more than half, 1 for all.")
        if self.keep < 1:
            raise UsageError(f"keep {self.keep}: less than 1.", hint="Give 1 to keep no more.")

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions; equals in random order."""
        count = len(regions_of(pool))
        shuffled = rng.permutation(count)
        counts = self.counts(pool, np.arange(count))[shuffled]
        scores = self._inconsistency(pool, shuffled, counts)

        def rule(number: int) -> IntArray:
            return shuffled[ordered(scores, counts, number, self.min_known_frac, self.keep)]

        return frames_of_picks(pool, rule, budget, rng, self.gap)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) the largest inconsistency of a frame's known objects, >= 0; passive: the largest
        number of known neighbours. 0 where nothing is known by its neighbours."""
        return fold(self._values(pool)[0], regions_of(pool).pos, len(pool), "max")

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """What the neighbours of the most wanted object are, and what the model says."""
        values, counts = self._values(pool)
        rows = highest_rows(pool, values, positions)
        words, parts = [], np.zeros(len(rows))
        for place, row in enumerate(rows.tolist()):
            if row < 0:
                words.append("no detections: drawn at random from such frames")
                continue
            own = counts[row]
            parts[place] = own[:-1].sum()
            if not own.sum():
                words.append("no labelled object to compare with: drawn at random")
                continue
            most = pool.classes[int(own[:-1].argmax())] if own[:-1].any() else "none"
            said = (
                f"{named(pool, row)}: {own[:-1].sum()} of {own.sum()} nearest"
                f" labelled objects are known, most of them {most}"
            )
            words.append(said if self.passive else f"{said}; inconsistency {values[row]:.3f}")
        return Explanation(tuple(words), {"known_neighbours": parts})

    def counts(self, pool: Pool, rows: IntArray) -> IntArray:
        """(n, K+1) labels of the nearest labelled objects of these detections."""
        items = items_of(pool).objects()
        base, own = finite(items.column(FROZEN)), regions_of(pool).column(FROZEN)
        k = min(self.neighbours, len(items))
        if not k or not len(rows):
            return np.zeros((len(rows), items.unknown + 1), np.int64)
        starts = range(0, len(rows), _BLOCK)
        parts = [nearest(finite(own[rows[at : at + _BLOCK]]), base, k) for at in starts]
        return neighbour_counts(items.answers[np.concatenate(parts)], items.unknown)

    def _inconsistency(self, pool: Pool, rows: IntArray, counts: IntArray) -> ScoreArray:
        if self.passive:
            return np.zeros(len(rows))
        return inconsistency(known_probs(regions_of(pool).probs[rows]), counts)

    def _values(self, pool: Pool) -> tuple[ScoreArray, IntArray]:
        """(N,) what a frame's score is the largest of, and (N, K+1) counts."""
        rows = np.arange(len(regions_of(pool)))
        counts = self.counts(pool, rows)
        there = known_by_neighbours(counts, self.min_known_frac)
        worth = _known(counts) if self.passive else self._inconsistency(pool, rows, counts)
        return np.where(there, worth, 0.0).astype(np.float64), counts


NEAT_PASSIVE = Preset(
    Neat,
    "Objects with the most known ones among their nearest labelled objects (purity).",
    {"passive": True},
    frozenset({"keep"}),
)
"""The first step alone: what the inconsistency adds to it is the difference to `Neat`."""
