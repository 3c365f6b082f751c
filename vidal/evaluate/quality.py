"""How good error estimates are, judged by the true errors.

Counts add up over clips (``sum(counts, VerdictCounts())``), so clips may stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.boxes import overlapping
from vidal.evaluate.matching import ClipMatch, assign, overlaps
from vidal.types import UNKNOWN, BoolArray, ErrorEstimate, IntArray, ScoreArray

_COVERED = 0.5


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    """Agreement of verdicts with the truth: how many were given, were due, and were both."""

    given: int = 0
    due: int = 0
    right: int = 0

    def __add__(self, other: VerdictCounts) -> VerdictCounts:
        return VerdictCounts(
            self.given + other.given, self.due + other.due, self.right + other.right
        )

    @property
    def precision(self) -> float:
        """Share of the given verdicts that are right; NaN where none was given."""
        return self.right / self.given if self.given else float("nan")

    @property
    def recall(self) -> float:
        """Share of the due verdicts that were given; NaN where none was due."""
        return self.right / self.due if self.due else float("nan")


def false_positive_verdicts(estimate: ErrorEstimate, match: ClipMatch) -> VerdictCounts:
    """Estimated against true false positives of one clip, detection by detection.

    Detections that the match leaves out (ignored, or on frames without labels) do not count.
    """
    flagged = np.zeros(len(match.detections), dtype=np.bool_)
    flagged[estimate.rows[estimate.false_positive]] = True
    flagged &= match.judged & ~match.ignored
    due = match.false_positive
    return VerdictCounts(
        int(np.count_nonzero(flagged)),
        int(np.count_nonzero(due)),
        int(np.count_nonzero(flagged & due)),
    )


def missed_verdicts(
    estimate: ErrorEstimate, match: ClipMatch, *, iou: float = 0.3, same_class: bool = True
) -> VerdictCounts:
    """Estimated against true misses of one clip: one-to-one, IoU >= ``iou``, surest first.

    Estimated misses on frames without known errors do not count, nor do those that pair with no
    missed object and lie for more than half in an ignore region (of their class, or of none).

    Args:
        estimate: its candidates with a positive verdict are judged.
        match: tells which objects were missed.
        iou: least overlap of a candidate with the object.
        same_class: whether the class has to agree, too.
    """
    given = np.flatnonzero(estimate.missed & match.known[estimate.missed_frame])
    frame, label = estimate.missed_frame[given], estimate.missed_label[given]
    boxes, truth = estimate.missed_boxes[given], match.truth
    left, right, _ = overlapping((frame, boxes), (truth.frame, truth.boxes))
    overlap, cover = overlaps(boxes[left], truth.boxes[right])
    agrees = label[left] == truth.labels[right]
    if not same_class:
        agrees |= True
    pairs = agrees & match.missed[right] & (overlap >= iou)
    order = np.argsort(-estimate.missed_confidence[given], kind="stable")
    priority = np.empty(len(given), dtype=np.int64)
    priority[order] = np.arange(len(given))
    hit = assign(left[pairs], right[pairs], overlap[pairs], priority=priority, targets=len(truth))
    region = truth.ignore[right] & (cover > _COVERED) & (agrees | (truth.labels[right] == UNKNOWN))
    left_out = np.zeros(len(given), dtype=np.bool_)
    left_out[left[region]] = True
    right_ones = hit >= 0
    return VerdictCounts(
        int(np.count_nonzero(right_ones | ~left_out)),
        int(np.count_nonzero(match.missed)),
        int(np.count_nonzero(right_ones)),
    )


def rank_correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Spearman's rho with mean ranks for ties, in [-1, 1]; NaN where either side is constant.

    Raises:
        ValueError: other lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values")
    a, b = _ranks(first), _ranks(second)
    a, b = a - a.mean() if len(a) else a, b - b.mean() if len(b) else b
    norm = np.sqrt((a @ a) * (b @ b))
    return float(np.clip((a @ b) / norm, -1, 1)) if norm > 0 else float("nan")


def rank_agreement(estimated: NDArray[Any], true: NDArray[Any]) -> float:
    """As ``rank_correlation``, but 0 for an estimate that is constant where the truth is not.

    Who says the same of every frame has told nothing: that is a result, not a missing one. So
    whether there is a number depends on the truth alone, and estimates are compared on the same
    frames. NaN where the truth is constant.

    Raises:
        ValueError: other lengths.
    """
    if len(estimated) == len(true) and len(true) and np.ptp(true) > 0 and np.ptp(estimated) == 0:
        return 0.0
    return rank_correlation(estimated, true)


@dataclass(frozen=True, slots=True)
class Correlation:
    """Rank correlation of per-frame counts; see ``rank_agreement``.

    Attributes:
        pooled: over all frames; mostly differences between clips. NaN where the truth is constant.
        within: mean over clips in which the truth varies; NaN where there are none.
        clips: how many those are: the same for every estimate.
    """

    pooled: float
    within: float
    clips: int


def correlate(estimated: Sequence[NDArray[Any]], true: Sequence[NDArray[Any]]) -> Correlation:
    """Rank correlation of estimates (F_i,) with true counts (F_i,), clip by clip.

    Raises:
        ValueError: other numbers of clips or frames.
    """
    each = np.array([rank_agreement(mine, due) for mine, due in zip(estimated, true, strict=True)])
    if not len(each):
        return Correlation(float("nan"), float("nan"), 0)
    inside = each[~np.isnan(each)]
    return Correlation(
        pooled=rank_agreement(np.concatenate(estimated), np.concatenate(true)),
        within=float(inside.mean()) if len(inside) else float("nan"),
        clips=len(inside),
    )


@dataclass(frozen=True, slots=True, eq=False)
class CaptureCurve:
    """Errors found in the frames an estimate ranks highest.

    Attributes:
        shares: (S,) float64: the share of frames that was asked for.
        frames: (S,) int64: frames chosen; fewer where the gap leaves no more.
        captured: (S,) float64: true errors in them.
        random: (S,) float64: expected in as many frames drawn uniformly.
        oracle: (S,) float64: in the frames that the true counts choose, by the same rule.
    """

    shares: ScoreArray
    frames: IntArray
    captured: ScoreArray
    random: ScoreArray
    oracle: ScoreArray

    @property
    def over_random(self) -> ScoreArray:
        """(S,) captured errors as a multiple of random choice; NaN where there are no errors."""
        return _ratio(self.captured, self.random)

    @property
    def of_oracle(self) -> ScoreArray:
        """(S,) captured errors as a share of the oracle's; NaN where there are no errors."""
        return _ratio(self.captured, self.oracle)


def capture_curve(
    estimated: Sequence[NDArray[Any]],
    true: Sequence[NDArray[Any]],
    rng: Generator,
    *,
    shares: Sequence[float] = (0.02, 0.05, 0.1),
    gap: int = 3,
) -> CaptureCurve:
    """Errors in the top ``shares`` of all frames, no two chosen frames within ``gap`` of a clip.

    Args:
        estimated: scores (F_i,) of each clip, higher = more errors expected.
        true: error counts (F_i,) of each clip.
        rng: orders frames of equal score.
        shares: of all frames, in (0, 1].
        gap: frames on either side of a chosen one that may not be chosen; 0 = none.

    Raises:
        ValueError: other numbers of clips or frames, or no frames.
    """
    lengths = [len(values) for values in estimated]
    if lengths != [len(values) for values in true] or not sum(lengths):
        raise ValueError("estimated and true: other clips or frames, or none")
    score, errors = np.concatenate(estimated), np.concatenate(true).astype(np.float64)
    budgets = np.maximum(np.rint(np.asarray(shares) * len(score)), 1).astype(np.int64)
    jitter = rng.permutation(len(score))
    picks = _spread_top(np.lexsort((jitter, -score)), lengths, gap, int(budgets.max()))
    best = _spread_top(np.lexsort((jitter, -errors)), lengths, gap, int(budgets.max()))
    mine, ideal = (np.append(0.0, np.cumsum(errors[rows])) for rows in (picks, best))
    frames = np.minimum(budgets, len(picks))
    return CaptureCurve(
        shares=np.asarray(shares, dtype=np.float64),
        frames=frames,
        captured=mine[frames],
        random=frames * errors.mean(),
        oracle=ideal[np.minimum(budgets, len(best))],
    )


def nearest_pick_distance(clip: IntArray, index: IntArray) -> float:
    """Redundancy of picks: mean distance, in frames, to the nearest other pick of the same clip.

    Small = near-duplicates. Picks that are alone in their clip do not count; NaN where all are.
    """
    order = np.lexsort((index, clip))
    step = np.diff(index[order]).astype(np.float64)
    step[np.diff(clip[order]) != 0] = np.inf
    nearest = np.minimum(np.append(step, np.inf), np.append(np.inf, step))[: len(order)]
    near = nearest[np.isfinite(nearest)]
    return float(near.mean()) if len(near) else float("nan")


def class_imbalance(counts: IntArray) -> float:
    """L1 distance of class counts to uniform over its largest value 2b(C-1)/C: 0 = balanced.

    The imbalance score of Zolfaghari Bengar et al. 2022 (class-balanced active learning): 1 = all
    of one class. NaN where there are no objects or fewer than two classes.
    """
    total, classes = float(counts.sum()), len(counts)
    if total == 0 or classes < 2:
        return float("nan")
    distance = np.abs(counts - total / classes).sum()
    return float(distance / (2 * total * (classes - 1) / classes))


def class_entropy(counts: IntArray) -> float:
    """Entropy of the class shares divided by ln C, in [0, 1]: 1 = balanced; NaN as above."""
    if counts.sum() == 0 or len(counts) < 2:
        return float("nan")
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum() / np.log(len(counts))) + 0.0


@dataclass(frozen=True, slots=True)
class Stability:
    """Label-free monitors of one clip, from the estimate alone; NaN where nothing was judged.

    Attributes:
        flicker_rate: estimated false positives / judged detections.
        gap_rate: estimated misses / (judged detections + estimated misses).
        link_share: judged detections with at least one link.
    """

    flicker_rate: float
    gap_rate: float
    link_share: float


def stability(estimate: ErrorEstimate) -> Stability:
    """How much a detector flickers on one clip."""
    judged, misses = len(estimate.rows), int(np.count_nonzero(estimate.missed))
    nan = float("nan")
    return Stability(
        flicker_rate=float(estimate.false_positive.mean()) if judged else nan,
        gap_rate=misses / (judged + misses) if judged + misses else nan,
        link_share=estimate.link_share if judged else nan,
    )


def _ranks(values: NDArray[Any]) -> ScoreArray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place].astype(np.float64)


def _ratio(above: ScoreArray, below: ScoreArray) -> ScoreArray:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _spread_top(order: IntArray, lengths: Sequence[int], gap: int, budget: int) -> IntArray:
    """The first ``budget`` frames of an order, skipping those within ``gap`` of one taken."""
    # Padding of ``gap`` cells after each clip keeps one clip's picks from blocking the next.
    starts = np.cumsum([0, *lengths[:-1]])
    shift = np.repeat(np.arange(len(lengths)) * gap, lengths) + gap
    cell = np.arange(len(order)) + shift
    blocked: BoolArray = np.zeros(len(order) + gap * (len(starts) + 1), dtype=np.bool_)
    taken: list[int] = []
    for pos in order.tolist():
        if len(taken) == budget:
            break
        if not blocked[cell[pos]]:
            taken.append(pos)
            blocked[cell[pos] - gap : cell[pos] + gap + 1] = True
    return np.array(taken, dtype=np.int64)
