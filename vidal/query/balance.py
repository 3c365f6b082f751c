"""Class balance: the formulas of chapter 4 of the thesis, as pure functions of arrays.

Bengar et al., "Class-Balanced Active Learning for Image Classification", WACV 2022: among the items
that a strategy would like to ask for, choose those that bring the classes of which there are few
labels. N items, K classes, B to choose; rows of ``probs`` are what an item is expected to bring of
each class: the class distribution of an image, or the expected number of objects in a frame, whose
row need not sum to 1. Costs: lower = rather; minus a score.

``solve`` is the optimum with a certificate (``vidal.query.balance_solver``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.arrays import numbered
from vidal.query.balance_cover import Nearest, squared_to_nearest
from vidal.query.balance_problem import Distance, Problem, bound_at, taken_apart
from vidal.query.balance_solver import Solution, solve
from vidal.query.select import occurrence
from vidal.types import IntArray, ScoreArray

__all__ = [
    "Distance",
    "Solution",
    "choose_lambda",
    "discrepancy",
    "dual_bound",
    "imbalanced_counts",
    "imbalanced_subset",
    "kcenter_balanced",
    "l1_score",
    "objective",
    "pseudo_label_balanced",
    "solve",
    "target_counts",
]

LAMBDAS: tuple[float, ...] = (
    *(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0),
    *(1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0),
)
"""The sweep of ``auto``: the thesis sweeps (0, 3]."""


def target_counts(counts: NDArray[Any], start: int, batch: int, cycle: int) -> ScoreArray:
    """What is missing of each class for equal counts after the query, (K,) >= 0; Eq. 4.4.

    Args:
        counts: (K,) labels of each class so far.
        start: labels of the initial set.
        batch: labels of a query.
        cycle: number of the query; the first is 1.
    """
    known = np.asarray(counts, np.float64)
    if not len(known):
        return known
    return np.maximum((start + cycle * batch) / len(known) - known, 0.0)


def discrepancy(target: NDArray[Any], mass: NDArray[Any], kind: Distance = "l1") -> float:
    """How far a query's classes (K,) are from the target (K,), >= 0.

    ``l1`` and ``l2`` are norms of the difference; ``w1`` is the Wasserstein-1 distance of ordered
    classes, sum over k of the absolute difference of the sums up to k (not normalised).

    Raises:
        ValueError: another ``kind``.
    """
    difference = np.asarray(target, np.float64) - np.asarray(mass, np.float64)
    if kind == "l1":
        return float(np.abs(difference).sum())
    if kind == "l2":
        return float(np.sqrt((difference**2).sum()))
    if kind == "w1":
        return float(np.abs(np.cumsum(difference)).sum())
    raise ValueError(f"kind {kind!r}: neither l1, l2 nor w1")


def objective(
    costs: NDArray[Any],
    probs: NDArray[Any],
    target: NDArray[Any],
    lam: float,
    positions: NDArray[Any],
    kind: Distance = "l1",
) -> float:
    """Costs of the positions plus ``lam`` times what they leave of the target; Eq. 4.8.

    Raises:
        ValueError: a position that is none.
    """
    u = np.asarray(costs, np.float64)
    chosen = numbered(positions, len(u), "positions")
    mass = np.asarray(probs, np.float64)[chosen].sum(axis=0)
    total = float(u[chosen].sum())
    return total + float(lam) * discrepancy(target, mass, kind)


def dual_bound(
    costs: NDArray[Any],
    probs: NDArray[Any],
    target: NDArray[Any],
    lam: float,
    budget: int,
    prices: NDArray[Any],
    kind: Distance = "l1",
) -> float:
    """A lower bound of the optimum: ``prices . target`` plus the B smallest reduced costs.

    Prices (K,) are cut to what the dual allows: to [-lam, lam] each, for ``l2`` to length lam. For
    ``w1`` they are those of the sums up to each class.
    """
    u, p, omega = (np.asarray(values, np.float64) for values in (costs, probs, target))
    if kind == "w1":
        p, omega = np.cumsum(p, axis=1), np.cumsum(omega)
    problem = Problem(u, p, omega, float(lam), min(budget, len(u)), kind == "l2", None)
    return bound_at(problem, np.asarray(prices, np.float64)).bound


def kcenter_balanced(
    pool: NDArray[Any],
    labelled: NDArray[Any],
    probs: NDArray[Any],
    target: NDArray[Any],
    lam: float,
    budget: int,
    *,
    ranges: IntArray | None = None,
) -> IntArray:
    """Farthest-first under class balance, in the order of choice; thesis Algorithm 2.

    Each pick has the least ``-distance + lam / K * L1 of what would then be left of the target``;
    the distance is the Euclidean one to the nearest labelled or chosen item. The division by K is
    that of the published code.

    Args:
        pool: (N, D).
        labelled: (M, D); without any, distances of the first pick are those to the pool's mean.
        probs: (N, K).
        target: (K,).
        lam: >= 0, in the unit of distances.
        budget: picks, each at most once.
        ranges: (N, 2) half-open ranges of positions that a pick takes away.
    """
    points, known = np.asarray(pool, np.float64), np.asarray(labelled, np.float64)
    p, left = np.asarray(probs, np.float64), np.asarray(target, np.float64).copy()
    weight = float(lam) / max(1, len(left))
    free = np.ones(len(points), np.bool_)
    near = Nearest(points, known)
    picks: list[int] = []
    while len(picks) < budget and free.any():
        pick = near.least(weight * np.abs(left - p).sum(axis=1), free)
        near.add(pick)
        left -= p[pick]
        a, b = (pick, pick + 1) if ranges is None else ranges[pick].tolist()
        free[a:b] = False
        picks.append(pick)
    return np.array(picks, dtype=np.int64)


def to_nearest(points: NDArray[Any], known: NDArray[Any]) -> ScoreArray:
    """(N,) Euclidean distances from the nearest of (M, D); from the points' mean where M = 0."""
    return np.sqrt(squared_to_nearest(points, known))


def pseudo_label_balanced(
    scores: NDArray[Any],
    probs: NDArray[Any],
    target: NDArray[Any],
    budget: int,
    *,
    ranges: IntArray | None = None,
) -> IntArray:
    """From each *predicted* class the ``target`` (rounded, half up) highest scores; ascending.

    The rest of the budget goes to the highest scores that are left; where the targets sum to more
    than the budget, the lowest scores are dropped. The thesis' reference "entropy-L1-pseudo-label"
    (section 4.5.2). Equals go to the lower position.

    Args:
        scores: (N,), higher = ask.
        probs: (N, K); the predicted class is the first largest.
        target: (K,).
        budget: items to choose.
        ranges: (N, 2) half-open ranges of positions that a pick takes away.
    """
    values = np.asarray(scores, np.float64)
    p = np.asarray(probs, np.float64)
    order = np.argsort(-values, kind="stable")
    wanted = np.floor(np.asarray(target, np.float64) + 0.5).astype(np.int64)
    predicted = p.argmax(axis=1) if p.shape[1] else np.zeros(len(values), np.int64)
    asked = np.zeros(len(order), np.bool_)
    if p.shape[1]:
        label = predicted[order]
        asked = occurrence(label) < wanted[label]
    ranked = np.concatenate([order[asked], order[~asked]])
    if ranges is None:
        return np.sort(ranked[:budget])
    return np.sort(taken_apart(ranked, ranges, budget))


def l1_score(counts: NDArray[Any], shares: NDArray[Any] | None = None) -> float:
    """How unbalanced labels are, in [0, 1]: 0 = equal counts, 1 = all of one class; Eq. 4.10.

    The L1 distance of the classes' shares from 1 / K, over its largest value 2 (1 - 1 / K).

    Args:
        counts: (K,) labels of each class. Without labels, and with one class, the score is 0.
        shares: (K,) that sum to 1, instead of 1 / K; 1 is then all labels in the rarest of them.
    """
    known = np.asarray(counts, np.float64)
    classes, total = len(known), float(known.sum())
    if classes < 2 or total <= 0:
        return 0.0
    wanted = np.full(classes, 1 / classes) if shares is None else np.asarray(shares, np.float64)
    return float(np.abs(known / total - wanted).sum() / (2 * (1 - wanted.min())))


def imbalanced_counts(sizes: NDArray[Any], factor: float, rare: NDArray[Any]) -> IntArray:
    """(K,) items of each class in an imbalanced pool: ``floor(factor * n)`` of the rare ones.

    Args:
        sizes: (K,) items of each class.
        factor: in [0, 1]; the thesis has 0.1, 0.3 and 1 (section 4.5.1).
        rare: numbers of the rare classes, or (K,) bool.

    Raises:
        ValueError: a rare class that is none.
    """
    counts = np.asarray(sizes).astype(np.int64).copy()
    which = numbered(rare, len(counts), "rare")
    # A product such as 0.29 * 100 may fall short of the whole number that is meant.
    counts[which] = np.floor(float(factor) * counts[which] + 1e-9).astype(np.int64)
    return counts


def imbalanced_subset(
    labels: NDArray[Any],
    factor: float,
    rng: Generator,
    *,
    rare: Sequence[int] | NDArray[Any] | None = None,
    initial: Sequence[int] | NDArray[Any] = (),
) -> IntArray:
    """Positions of an imbalanced pool (thesis, section 4.5.1), ascending.

    Of the rare classes ``imbalanced_counts`` items are left, drawn at random; the initial set stays
    whole, and counts apart.

    Args:
        labels: (N,) classes from 0.
        factor: in [0, 1].
        rng: draws the items and, where they are not given, the rare classes.
        rare: numbers of the rare classes, or (K,) bool; None = half of the classes (rounded down),
            drawn.
        initial: positions of the initial set, or (N,) bool.

    Raises:
        ValueError: a factor outside [0, 1], a negative label, or a rare class or a position that is
            none.
    """
    known = np.asarray(labels).astype(np.int64)
    if not 0 <= factor <= 1:
        raise ValueError(f"factor {factor}: not in [0, 1]")
    if len(known) and known.min() < 0:
        raise ValueError("labels: negative")
    kept = np.zeros(len(known), np.bool_)
    kept[numbered(initial, len(known), "initial")] = True
    classes = int(known.max(initial=-1)) + 1
    if rare is None:
        rare = np.sort(rng.choice(classes, classes // 2, replace=False)) if classes else []
    sizes = np.bincount(known[~kept], minlength=classes)
    counts = imbalanced_counts(sizes, factor, np.asarray(rare))
    for label, count in enumerate(counts.tolist()):
        mine = np.flatnonzero((known == label) & ~kept)
        kept[mine if count == len(mine) else rng.choice(mine, count, replace=False)] = True
    return np.flatnonzero(kept)


def choose_lambda(
    lambdas: NDArray[Any] | Sequence[float],
    l1_values: NDArray[Any] | Sequence[float],
    tolerance: float = 0.01,
) -> float:
    """The smallest lambda after which the L1 term falls no further; thesis, section 4.5.1.

    Args:
        lambdas: (L,) of a sweep.
        l1_values: (L,) the L1 term at each.
        tolerance: what does not count as falling, as a share of the range of the values.

    Raises:
        ValueError: no values, or not as many as lambdas.
    """
    swept, values = np.asarray(lambdas, np.float64), np.asarray(l1_values, np.float64)
    if not len(swept) or swept.shape != values.shape:
        raise ValueError("lambdas: none, or not as many as values")
    enough = values <= values.min() + tolerance * np.ptp(values)
    return float(swept[enough].min())
