"""Progressive PAL: some unknown objects are asked for on purpose, in a measured share.

Yang et al., "Not all out-of-distribution data are harmful to open-set active learning", NeurIPS
2023. (``portable-pal`` of vidal is another method, for detection.) A head of one-vs-all classifiers
says how likely each class is, a small network weighs unlabelled items by what they do for the
classification of labelled ones (``pal_training``), and both make the score.

Decisions of open_set.md (C5) and its errata: 1 + p ln p is not monotone, so p is raised to 1/e
first (``kind=clamped``; ``literal`` and ``probability`` are options; the code takes the largest
*negative* channel, times 2.5: not offered). An item is predicted unknown by the closed-set head
[C], its score is of the known heads. Four fifths of a first query are the lowest scores, the rest
the highest; later 29 of 30 are the highest of those predicted known, the rest the lowest of those
predicted unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.errors import UsageError
from vidal.openset.checks import numbers
from vidal.openset.items import frame_scores, reasons
from vidal.openset.one_vs_all import LEAST, ova_entropy
from vidal.openset.one_vs_all import ova_loss as ova_loss
from vidal.openset.one_vs_all import ova_probs as ova_probs
from vidal.protocols import Trunk
from vidal.query.pools import items_of, regions_of
from vidal.query.region_picks import frames_of_picks
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.types import AnyGap, BoolArray, Explanation, IntArray, Learned, Pool, ScoreArray

Kind = Literal["clamped", "literal", "probability"]


def weighted_entropy(positive: NDArray[Any], weights: NDArray[Any]) -> float:
    """sum w h / sum w of `ova_entropy` h; 0 where the weights sum to 0.

    Args:
        positive: (N, C).
        weights: (N,) >= 0.
    """
    w = np.asarray(weights, np.float64)
    whole = float(w.sum())
    return float((w * ova_entropy(positive)).sum() / whole) if whole > 0 else 0.0


def ramp(epoch: float, epochs: float) -> float:
    """exp(-5 (1 - e / E)^2): how much the unlabelled items count in epoch e of E."""
    return math.exp(-5.0 * (1.0 - epoch / epochs) ** 2)


def scores(
    positive: NDArray[Any],
    weights: NDArray[Any],
    mu: float = 0.6,
    predicted_unknown: NDArray[Any] | None = None,
    kind: Kind = "clamped",
) -> ScoreArray:
    """(N,) un = w + mu s, or w + mu (1 - s) of items predicted unknown.

    s = 1 + p ln p of the likeliest known class (Eq. un(x)), with p at least 1/e (``clamped``), as
    printed (``literal``), or p itself (``probability``).

    Args:
        positive: (N, K) of the known classes.
        weights: (N,) of the weight network.
        mu: of the second part; 0.6 by the authors' command, 1 by their code.
        predicted_unknown: (N,); None = a first round, nobody is.
        kind: which s.

    Raises:
        ValueError: another kind, other numbers of items, or values that are not finite.
    """
    every, w = numbers(positive, np.reshape(weights, -1))
    p = every.max(axis=1, initial=0.0)
    if kind not in get_args(Kind) or len(w) != len(p):
        raise ValueError(f"kind {kind!r}, or {len(w)} weights of {len(p)} items")
    s = p
    if kind != "probability":
        p = np.maximum(p, math.exp(-1)) if kind == "clamped" else p
        s = 1 + p * np.log(np.maximum(p, LEAST))
    if predicted_unknown is not None:
        s = np.where(np.asarray(predicted_unknown, np.bool_), 1 - s, s)
    return np.asarray(w + mu * s)


def select_first(un: NDArray[Any], budget: int, low_share: float = 0.8) -> IntArray:
    """Ascending positions of ``min(budget, N)``: a share by the lowest scores, the rest highest.

    Shares are rounded half up; equals go to the lower position.

    Args:
        un: (N,) of `scores`.
        budget: B >= 0.
        low_share: of the budget, in [0, 1].
    """
    return np.sort(picks_first(un, budget, low_share))


def picks_first(un: NDArray[Any], budget: int, low_share: float = 0.8) -> IntArray:
    """`select_first`, the most wanted first: the lowest, then the highest."""
    value = _budgeted(un, budget)
    count = min(budget, len(value))
    low = min(count, math.floor(low_share * count + 0.5))
    up = np.argsort(value, kind="stable")
    rest = np.sort(up[low:])
    down = rest[np.argsort(-value[rest], kind="stable")]
    return np.concatenate([up[:low], down[: count - low]])


def select_later(
    un: NDArray[Any],
    predicted_unknown: NDArray[Any],
    budget: int,
    known_share: float = 29 / 30,
) -> IntArray:
    """Ascending positions of ``min(budget, N)``: the highest of those predicted known, and a few
    of the lowest of those predicted unknown.

    Where there are too few of one kind the other fills up. Shares are rounded half up; equals go to
    the lower position.

    Args:
        un: (N,) of `scores`.
        predicted_unknown: (N,).
        budget: B >= 0.
        known_share: of the budget, in [0, 1].
    """
    return np.sort(picks_later(un, predicted_unknown, budget, known_share))


def picks_later(
    un: NDArray[Any],
    predicted_unknown: NDArray[Any],
    budget: int,
    known_share: float = 29 / 30,
) -> IntArray:
    """`select_later`, the most wanted first: those predicted known, then the others."""
    value = _budgeted(un, budget)
    out = np.asarray(predicted_unknown, np.bool_).reshape(-1)
    if len(out) != len(value):
        raise ValueError(f"{len(out)} predictions of {len(value)} items")
    known, unknown = np.flatnonzero(~out), np.flatnonzero(out)
    known = known[np.argsort(-value[known], kind="stable")]
    unknown = unknown[np.argsort(value[unknown], kind="stable")]
    count = min(budget, len(value))
    wanted = min(count, math.floor(known_share * count + 0.5))
    first = min(len(known), max(wanted, count - len(unknown)))
    return np.concatenate([known[:first], unknown[: count - first]])


def _budgeted(un: NDArray[Any], budget: int) -> ScoreArray:
    value = np.asarray(un, np.float64).reshape(-1)
    if budget < 0 or not np.isfinite(value).all():
        raise ValueError(f"budget {budget}, or scores that are not finite")
    return value


@dataclass(frozen=True, slots=True)
class ProgressivePal:
    """Known objects, and a few unknown ones on purpose, by one-vs-all heads (progressive PAL).

    A first round, in which no unknown object is labelled and no query answered, asks for four
    fifths of low scores and one fifth of high ones; later rounds mostly for what is predicted
    known. The public code never trains its weight network: the inner step is an ordinary step of
    the optimizer, and the gradients are cleared before the outer loss. Here the inner step is
    functional, and the outer gradient reaches the network. On video, what is trained is a hidden
    layer on the detector's features: the losses do not shape these. The separate classifier of the
    paper is the one in use.

    Attributes:
        mu: weight of the one-vs-all part of the score (0.6 by the authors' command).
        kind: of that part, clamped, literal (1 + p ln p as printed), or probability.
        low_share: of a first query, by the lowest scores.
        known_share: of later queries, from what is predicted known.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    mu: float = 0.6
    kind: Kind = "clamped"
    low_share: float = 0.8
    known_share: float = 29 / 30
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset(
        {"regions", "features", "labelled", "labels", "trunk", "precision"}
    )

    def __post_init__(self) -> None:
        check_gap(self.gap)
        if self.mu < 0:
            raise UsageError(f"mu {self.mu}: negative.", hint="Give 0 for the weights alone.")
        for name in ("low_share", "known_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)}: not between 0 and 1.")

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """One-vs-all probabilities, weights, and what is predicted unknown."""
        from vidal.openset.pal_training import judged

        return Learned(judged(trunk, seed))

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` positions, by the rule of the round."""
        un, out = self._values(pool), self._unknown(pool)

        def rule(count: int) -> IntArray:
            if _later(pool):
                return picks_later(un, out, count, self.known_share)
            return picks_first(un, count, self.low_share)

        return frames_of_picks(pool, rule, budget, rng, self.gap)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) un of detections, the mean of the highest three; in [0, 1 + mu]."""
        return frame_scores(pool, self._values(pool), "top", 3)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """Weight, probability of the likeliest class, and whether it is predicted unknown."""
        regions, un, out = regions_of(pool), self._values(pool), self._unknown(pool)
        weight = np.asarray(regions.column("progressive-pal.weights"), np.float64)
        best = np.asarray(regions.column("progressive-pal.positive"), np.float64)
        likely = best.max(axis=1, initial=0.0)

        def say(row: int) -> str:
            kind = "predicted unknown" if out[row] else "predicted known"
            return f"score {un[row]:.3f}, {kind}, weight {weight[row]:.3f}, p {likely[row]:.3f}"

        parts = {"weight": weight, "likeliest": likely, "predicted_unknown": out}
        return reasons(pool, positions, un, say, parts)

    def _values(self, pool: Pool) -> ScoreArray:
        regions = regions_of(pool)
        return scores(
            regions.column("progressive-pal.positive"),
            regions.column("progressive-pal.weights"),
            self.mu,
            self._unknown(pool) if _later(pool) else None,
            self.kind,
        )

    def _unknown(self, pool: Pool) -> BoolArray:
        return np.asarray(regions_of(pool).column("progressive-pal.unknown"), np.bool_)


def _later(pool: Pool) -> bool:
    """Whether the first round is over: a query was answered, or an unknown object is labelled."""
    items = items_of(pool)
    return bool(pool.precisions) or bool((items.answers == items.unknown).any())
