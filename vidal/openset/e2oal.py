"""E2OAL: without a detector of its own, by the structure inside what is unknown.

"E2OAL" (arXiv 2603.07898; on the survey slides, and the authors' code `chenchenzong/E2OAL`). The
annotated unknowns are split into classes; an auxiliary evidential head tells K + u classes apart
and gives purity, a primary head gives informativeness; the pool of candidates is as pure as the
target asks for.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import entr, softmax

from vidal.arrays import component_posterior
from vidal.errors import UsageError
from vidal.openset.e2oal_classes import structure_f1, ternary_search
from vidal.openset.evidential import edl_kl, edl_loss, edl_nll, edl_probs
from vidal.openset.items import reasons
from vidal.openset.quotas import filtered_per_class, highest
from vidal.protocols import Trunk
from vidal.query.pools import items_of, regions_of
from vidal.query.region_picks import frames_of_picks
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.types import BACKGROUND, AnyGap, Explanation, IntArray, Learned, Pool, ScoreArray

__all__ = [
    "E2oal",
    "edl_kl",
    "edl_loss",
    "edl_nll",
    "edl_probs",
    "information",
    "pool_size",
    "purity",
    "select_from_pool",
    "structure_f1",
    "target_update",
    "ternary_search",
]

Rule = Literal["paper", "code"]
Divergence = Literal["true", "reversed"]

_SLACK = 1e-12


def purity(logits: NDArray[np.floating], known: int) -> ScoreArray:
    """max over known columns - max over the others, (N,), higher = likely known.

    Args:
        logits: (N, K+u) of the auxiliary head; u = 0: the first term alone.
        known: K >= 1.
    """
    o = np.asarray(logits, np.float64)
    own = o[:, :known].max(axis=1)
    return own - o[:, known:].max(axis=1) if o.shape[1] > known else own


def information(probs: NDArray[np.floating], divergence: Divergence = "true") -> ScoreArray:
    """JS(p, uniform) * JS(p, one-hot of its largest), (N,) in [0, (log 2)^2], higher = ask.

    Jensen-Shannon divergences in nats; 0 at uniform and at one-hot p, and for K = 1.

    Args:
        probs: (N, K).
        divergence: true, or reversed = the authors' code: KL from the mean instead of to it, with
            1e-8 added, which exceeds log 2 and gives another order.
    """
    p = np.asarray(probs, np.float64)
    even = np.full_like(p, 1 / max(1, p.shape[1]))
    sure = np.eye(p.shape[1])[p.argmax(axis=1)] if len(p) else p
    of = _reversed_js if divergence == "reversed" else _js
    return of(p, even) * of(p, sure)


def _js(p: ScoreArray, q: ScoreArray) -> ScoreArray:
    both = entr((p + q) / 2).sum(axis=1)
    return np.asarray(np.maximum(both - (entr(p).sum(axis=1) + entr(q).sum(axis=1)) / 2, 0))


def _reversed_js(p: ScoreArray, q: ScoreArray) -> ScoreArray:
    a, b = (each + 1e-8 for each in (p, q))
    a, b = (each / each.sum(axis=1, keepdims=True) for each in (a, b))
    m = (a + b) / 2
    terms = m * (np.log(m) - (np.log(a) + np.log(b)) / 2)
    return np.asarray(terms.sum(axis=1))


def target_update(current: float, goal: float, precision: float) -> float:
    """The target purity of the next query: current + goal - precision, cut to [0, 1].

    max(min(., 0), 1), as printed, would be 1 always. A precision that is NaN changes nothing.
    """
    if np.isnan(precision):
        return float(current)
    return float(min(1.0, max(0.0, current + (goal - precision))))


def pool_size(
    posterior: NDArray[np.floating],
    info: NDArray[np.floating],
    budget: int,
    target: float,
    rule: Rule = "paper",
) -> int:
    """How many of the purest are candidates: min(budget, N) to N.

    The pool grows by falling posterior, equals by the lower row, until the mean posterior of the
    ``budget`` lowest in it (paper), or of the ``budget`` most informative in it (code), is at most
    the target; all where it never is. The code's truncation to an integer is left out; with a
    target of 0 it takes all.

    Args:
        posterior: (N,) P(known).
        info: (N,).
        budget: >= 0.
        target: in [0, 1].
        rule: of growth.
    """
    pure = np.asarray(posterior, np.float64).reshape(-1)
    n = len(pure)
    if budget < 1 or n <= budget:
        return min(n, max(0, budget))
    if rule == "code":
        return _grown_by_information(pure, np.asarray(info, np.float64), budget, target)
    total = np.cumsum(-np.sort(-pure, kind="stable"))
    sums = total[budget - 1 :] - np.concatenate([[0.0], total[:-budget]])
    enough = np.flatnonzero(sums / budget <= target + _SLACK)
    return budget + int(enough[0]) if len(enough) else n


def _grown_by_information(pure: ScoreArray, info: ScoreArray, budget: int, target: float) -> int:
    if target <= 0:
        return len(pure)
    kept: list[tuple[float, int]] = []
    total = 0.0
    for size, row in enumerate(np.argsort(-pure, kind="stable").tolist(), 1):
        heapq.heappush(kept, (float(info[row]), -row))
        total += float(pure[row])
        if len(kept) > budget:
            total -= float(pure[-heapq.heappop(kept)[1]])
        if size >= budget and total / budget <= target + _SLACK:
            return size
    return len(pure)


def select_from_pool(
    posterior: NDArray[np.floating], info: NDArray[np.floating], budget: int, size: int
) -> IntArray:
    """(min(budget, N),) ascending rows: the most informative of the ``size`` purest."""
    pure = np.asarray(posterior, np.float64).reshape(-1)
    candidates = np.sort(highest(pure, max(size, budget)))
    return np.sort(highest(np.asarray(info, np.float64).reshape(-1), budget, candidates))


@dataclass(frozen=True, slots=True)
class E2oal:
    """Informative detections out of a pool of the purest, by the structure of unknowns (E2OAL).

    Purity is the gap of the auxiliary head between its best known and its best unknown class, made
    a posterior by three Gaussians fitted to pool and labelled objects; the pool grows until it is
    as pure as the target, which follows the precision of all queries so far; of it the most
    informative by the primary head are asked for, each with its frame. In the first round the
    target is the goal, and as long as no unknown object is labelled the auxiliary head has K
    classes and purity is its largest logit. The method classifies by its auxiliary head.

    Lost on regions: both heads stand on a hidden layer on features that a detector of the known
    classes made; the evidential loss does not shape these. The classes of unknown objects are found
    in the same features, where the paper has CLIP's. Background is a further class of both heads,
    dropped before scoring.

    Attributes:
        target: query precision that is steered to, and purity of the first pool.
        size: how the pool grows: paper (until its lowest are as pure as the target), or code (until
            its most informative are).
        batch: paper (the most informative of the pool), or code (quotas of predicted classes).
        divergence: of the informativeness: true = Jensen-Shannon, reversed = the authors' code.
        gamma: evidence is divided by it.
        clamp: logits are cut at +- this before they become evidence.
        ramp: share of the training in which the weight of the divergence rises to 1 (10 of 200
            epochs in the code).
        classes: of the unknown objects; 0 = estimated.
        most_classes: clusters that are tried, known classes included; a third of the labelled
            objects where these are fewer.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    target: float = 0.6
    size: Rule = "paper"
    batch: Rule = "paper"
    divergence: Divergence = "true"
    gamma: float = 1.0
    clamp: float = 10.0
    ramp: float = 0.05
    classes: int = 0
    most_classes: int = 1000
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset(
        {"regions", "features", "labelled", "labels", "trunk", "precision", "frozen"}
    )

    def __post_init__(self) -> None:
        check_gap(self.gap)
        for name in ("gamma", "clamp"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} {getattr(self, name)}: not above 0.", hint="Leave it.")
        for name in ("target", "ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)}: outside 0..1.", hint="Leave it.")
        if self.classes < 0:
            raise UsageError(f"classes {self.classes}: negative.", hint="Give 0 to estimate.")
        if self.most_classes < 2:
            raise UsageError(f"most_classes {self.most_classes}: below 2.", hint="Leave it.")

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """Of the pool ``e2oal.primary`` (N, K) and ``e2oal.auxiliary`` (N, K+u) logits, the latter
        of labelled items, too; the network, whose auxiliary head classifies."""
        from vidal.openset.e2oal_training import learn

        return learn(self, trunk, seed)

    def steered(self, precisions: Iterable[float]) -> float:
        """The target purity after these queries, oldest first."""
        current = self.target
        for precision in precisions:
            current = target_update(current, self.target, precision)
        return current

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions, the most informative first."""
        posterior, info = self._parts(pool)
        target, known = self.steered(pool.precisions), len(pool.classes)
        logits = regions_of(pool).column("e2oal.auxiliary")
        pure, predicted = purity(logits, known), logits.argmax(axis=1)

        def rule(count: int) -> IntArray:
            size = pool_size(posterior, info, count, target, self.size)
            if self.batch == "code":
                first = -(-size // known)
                rows = filtered_per_class(pure, info, predicted, known, first, count)
            else:
                rows = select_from_pool(posterior, info, count, size)
            return highest(info, count, rows)

        return frames_of_picks(pool, rule, budget, rng, self.gap)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) >= 0: the largest product of P(known) and information in a frame."""
        posterior, info = self._parts(pool)
        return fold(posterior * info, regions_of(pool).pos, len(pool), "max")

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The detection with the largest product."""
        posterior, info = self._parts(pool)

        def what(row: int) -> str:
            return f"known with probability {posterior[row]:.3f}, information {info[row]:.4f}"

        parts = {"known": posterior, "information": info}
        return reasons(pool, positions, posterior * info, what, parts)

    def _parts(self, pool: Pool) -> tuple[ScoreArray, ScoreArray]:
        """(N,) P(known) and (N,) information."""
        regions, items, known = regions_of(pool), items_of(pool), len(pool.classes)
        own = purity(regions.column("e2oal.auxiliary"), known)
        there = items.answers != BACKGROUND
        labelled = purity(items.column("e2oal.auxiliary")[there], known)
        posterior = component_posterior(own, np.concatenate([own, labelled]), components=3)
        probs = softmax(np.asarray(regions.column("e2oal.primary"), np.float64), axis=1)
        return posterior, information(probs, self.divergence)
