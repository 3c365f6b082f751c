"""BUAL: doubt of two classifiers, one of which has learned to be sure of what it does not know.

Zong et al., "Bidirectional uncertainty-based active learning for open-set annotation", ECCV 2024.
A copy of the closed-set classifier goes on learning which class items do *not* have, drawn at
random (random label negative learning): items of known classes stay where they are, unknown ones
drift away from the borders, so the copy's doubt means a known class that is not learned yet. Its
doubt counts where an auxiliary classifier takes an item for unknown, that of the closed-set
classifier, by the share r of known objects in the last query, elsewhere.

Paper and code differ, and open_set.md (C6) decides: the code's form is the default, lowest weighted
*confidence* of three quantities that are scaled to [0, 1]; Eq. 3 of the paper is ``form=paper``.
They order alike at r = 1 only if both are scaled. Of margins the smallest are asked for (printed:
largest), and the entropy is that of all classes (printed: of the top class). The code draws its
subset by the truth, stops by the truth, and counts a state before any training: none of it here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.arrays import min_max
from vidal.errors import UsageError
from vidal.openset.checks import finite, known_probs, numbers
from vidal.openset.items import frame_scores, reasons
from vidal.protocols import Trunk
from vidal.query.pools import items_of, regions_of
from vidal.query.regions import Fold
from vidal.query.uncertainty import certainty, entropy, margin
from vidal.types import Explanation, IntArray, Learned, Pool, ScoreArray

Kind = Literal["lc", "margin", "entropy"]
Form = Literal["code", "paper"]
Weights = Literal["full", "negative", "equal", "precision"]
Negative = Literal["random", "dense"]

_LEAST = 1e-5
"""Smallest probability of not being a class, in logarithms."""


def confidence(probs: NDArray[np.floating], kind: Kind = "margin") -> ScoreArray:
    """How sure, larger = surer: max p (``lc``), p1 - p2 (``margin``) or sum p ln p (``entropy``).

    Args:
        probs: (N, K), K >= 1; with K = 1 the margin is that to nothing, 1.
        kind: which.

    Raises:
        ValueError: another kind, or values that are not finite.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind {kind!r} is none of {', '.join(get_args(Kind))}")
    (p,) = numbers(probs)
    if kind == "lc":
        return certainty(p)
    return 1.0 - margin(p) if kind == "margin" else -entropy(p)


def score(
    conf_n: NDArray[np.floating],
    conf_p: NDArray[np.floating],
    unknown_prob: NDArray[np.floating] | None,
    precision: float,
) -> ScoreArray:
    """-(a n + r (1 - a) p), all three scaled to [0, 1] over the pool; higher = ask.

    The code's form [C]. Without an auxiliary classifier (round 1) it is -n.

    Args:
        conf_n: (N,) confidence of the negative classifier.
        conf_p: (N,) of the closed-set classifier.
        unknown_prob: (N,) of the auxiliary classifier; None = there is none.
        precision: r, share of known objects in the last query.
    """
    n, p = min_max(conf_n), min_max(conf_p)
    if unknown_prob is None:
        return -n
    a = min_max(unknown_prob)
    return -(a * n + precision * (1 - a) * p)


def paper_score(
    unc_n: NDArray[np.floating],
    unc_p: NDArray[np.floating],
    unknown_prob: NDArray[np.floating],
    precision: float,
) -> ScoreArray:
    """a u_n + r (1 - a) u_p of uncertainties as they are; (N,) each, higher = ask: Eq. 3 [P].

    Raises:
        ValueError: values that are not finite.
    """
    n, p, a = numbers(unc_n, unc_p, unknown_prob)
    return np.asarray(a * n + precision * (1 - a) * p)


def negative_loss(probs: NDArray[np.floating], complementary: NDArray[np.integer]) -> float:
    """Mean of -ln(1 - p of the class that an item is told not to have); Eq. 1. 0 for no items.

    Args:
        probs: (N, K).
        complementary: (N,) 0..K-1; 1 - p counts as 1e-5 at least.

    Raises:
        ValueError: another number of classes than of items, or one out of range.
    """
    (p,) = numbers(probs)
    told = np.asarray(complementary).astype(np.int64).reshape(-1)
    if len(told) != len(p) or (len(p) and not (0 <= told.min() <= told.max() < p.shape[1])):
        raise ValueError(f"{len(told)} classes for probabilities {p.shape}, or out of range")
    if not len(p):
        return 0.0
    return float(-np.log(np.maximum(1 - p[np.arange(len(p)), told], _LEAST)).mean())


def complementary_labels(labels: NDArray[np.integer], known: int, rng: Generator) -> IntArray:
    """(N,) a class that each item is told not to have, drawn anew at every call.

    Args:
        labels: (N,) 0..known-1: any other class, all alike; -1 = unlabelled: any class.
        known: K.
        rng: draws.

    Raises:
        ValueError: a label outside -1..known-1, or one class alone and a labelled item: there is
            no other.
    """
    own = np.asarray(labels).astype(np.int64).reshape(-1)
    if known < 1 or ((own < -1) | (own >= known)).any():
        raise ValueError(f"labels outside -1..{known - 1}")
    if known == 1 and (own >= 0).any():
        raise ValueError("one class: a labelled item has no other class")
    free = rng.integers(known, size=len(own))
    other = rng.integers(max(1, known - 1), size=len(own))
    return np.where(own < 0, free, other + ((other >= own) & (own >= 0)))


def draw_subset(pool: int | NDArray[np.integer], size: int, rng: Generator) -> IntArray:
    """``min(size, N)`` distinct ascending items of the pool, all alike: no label is looked at.

    Args:
        pool: N, or (N,) positions.
        size: at least 0.
        rng: draws.
    """
    every = np.arange(pool) if isinstance(pool, int | np.integer) else np.asarray(pool)
    picks = rng.choice(len(every), min(max(0, size), len(every)), replace=False)
    return np.sort(every[picks]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Bual:
    """Doubtful detections, by a classifier that was taught to be sure of unknown objects (BUAL).

    On images the copy is trained end to end, as in the paper. On video only a hidden layer moves,
    and the method lives on features that drift: it is weak there. A first round, in which no
    unknown object is labelled, asks by the copy's doubt alone. Where labels came by other ways than
    queries, the share of known objects among them stands for the precision of the last query (our
    reading). Items that the auxiliary classifier takes for unknown come last.

    Attributes:
        kind: of confidence, lc (least confidence), margin or entropy.
        form: code (the lowest confidences, all scaled) or paper (Eq. 3, as it is).
        weights: full, or an ablation: negative (the copy alone), equal (both alike), precision
            (the closed-set classifier by r, no auxiliary one).
        negative: what the copy is told, one class at random, or dense (all classes: a control that
            pushes unknown objects to the borders).
        subset: unlabelled items that the copy learns from (5,000 in the paper).
        steps: most of the copy's training; 0 = all epochs of the recipe over labelled items and
            the subset, as in the paper, which is long for a CPU.
        states: of the copy, evenly over its training, whose confidences are averaged (the paper's:
            20, every fifth of 100 epochs).
        aggregate: how detections make a frame, mean, sum, max, or top (the mean of the highest).
        top: how many the highest are, for aggregate top.
    """

    kind: Kind = "margin"
    form: Form = "code"
    weights: Weights = "full"
    negative: Negative = "random"
    subset: int = 5000
    steps: int = 400
    states: int = 10
    aggregate: Fold = "top"
    top: int = 3

    needs: ClassVar[frozenset[str]] = frozenset(
        {"regions", "features", "labelled", "labels", "trunk", "precision"}
    )

    def __post_init__(self) -> None:
        for name, least in (("subset", 1), ("steps", 0), ("states", 1), ("top", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} {getattr(self, name)}: less than {least}.")

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """The copy's confidence, and what the auxiliary classifier takes for unknown."""
        from vidal.openset.bual_training import copied_confidence, unknown_probs

        found: dict[str, NDArray[np.generic]] = {
            "bual.negative": copied_confidence(trunk, self, seed)
        }
        if self.weights == "full" and (trunk.answers == trunk.known).any():
            found["bual.unknown"], found["bual.rejected"] = unknown_probs(trunk, seed)
        return Learned(found)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) of detections, folded; in [-3, 0] for the code's form and aggregate top or mean."""
        return frame_scores(pool, self._values(pool), self.aggregate, self.top)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """Confidences of both classifiers, and how likely the detection is unknown."""
        parts = self._parts(pool)

        def say(row: int) -> str:
            both = ", ".join(
                f"{words} {parts[name][row]:.3f}"
                for name, words in (
                    ("negative", "confidence of the negative classifier"),
                    ("closed", "of the closed-set one"),
                    ("unknown", "unknown with probability"),
                )
            )
            return f"{both} ({self.kind})"

        return reasons(pool, positions, self._values(pool), say, parts)

    def _parts(self, pool: Pool) -> dict[str, ScoreArray]:
        regions = regions_of(pool)
        closed = confidence(known_probs(finite(regions.probs, "probabilities")), self.kind)
        unknown = regions.columns.get("bual.unknown", np.zeros(len(regions)))
        return {
            "negative": np.asarray(regions.column("bual.negative"), np.float64),
            "closed": closed,
            "unknown": np.asarray(unknown, np.float64),
        }

    def _values(self, pool: Pool) -> ScoreArray:
        """(N,) with those that are taken for unknown behind all others, the surest last."""
        parts, regions = self._parts(pool), regions_of(pool)
        values = self._weighed(parts, _precision(pool))
        out = np.asarray(regions.columns.get("bual.rejected", np.zeros(len(regions))), np.bool_)
        if not out.any():
            return values
        lowest = float(values.min())
        return np.where(out, lowest - 1 - parts["unknown"], values)

    def _weighed(self, parts: dict[str, ScoreArray], r: float | None) -> ScoreArray:
        n, p, a = parts["negative"], parts["closed"], parts["unknown"]
        if self.form == "paper":
            shift = 0.0 if self.kind == "entropy" else 1.0
            n, p = shift - n, shift - p
            if r is None or self.weights == "negative":
                return n
            if self.weights == "full":
                return paper_score(n, p, a, r)
            return n + (1.0 if self.weights == "equal" else r) * p
        if r is None or self.weights == "negative":
            return score(n, p, None, 0.0)
        if self.weights == "full":
            return score(n, p, a, r)
        return -(min_max(n) + (1.0 if self.weights == "equal" else r) * min_max(p))


def _precision(pool: Pool) -> float | None:
    """r: of the last answered query that found anything, else of all that is labelled.

    The latter where labels came by other ways than queries; None in a first round, in which no
    unknown object is labelled.
    """
    found = [each for each in pool.precisions if np.isfinite(each)]
    if found:
        return found[-1]
    labelled = items_of(pool).objects()
    unknown = int((labelled.answers == labelled.unknown).sum())
    return 1 - unknown / len(labelled) if unknown else None
