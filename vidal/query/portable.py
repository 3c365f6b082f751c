"""PAL: is a detection right, by two numbers of it; then frames of rare classes that look different.

"Portable Active Learning for Object Detection", CVPR 2026, arXiv 2605.10349. Known to us are the
abstract and summaries of the paper, not its text, and there is no public code. From them: logistic
classifiers, one a class, tell true from false positives by the number of boxes before suppression
and the confidence; the entropy of what they say is a detection's uncertainty (LIUS); at the level
of images a class-weighted entropy, a reward of rare classes and a penalty of similarity that
depends on the rank (GUIDE). How these are scaled and joined is our reading, written down here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.errors import EvidenceMissing, UsageError
from vidal.query import exclusion
from vidal.query.looks import moments
from vidal.query.pools import items_of, regions_of
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap, ranked
from vidal.query.uncertainty import entropy
from vidal.types import AnyGap, Explanation, IntArray, Items, Pool, ScoreArray
from vidal.words import counted

LEAST = 5
"""Right and wrong detections, of each, that a class needs for a classifier of its own."""
MOST_CANDIDATES = 20_000
"""Frames that are compared with each other, at most, unless more are asked for."""
_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Portable:
    """Detections that may be wrong, by class, in frames of rare classes that look different (PAL).

    Attributes:
        rare: weight of the classes that a frame shows, rare ones counting more, beside the
            uncertainty of its detections.
        penalty: what is taken off for looking like a frame of higher rank.
        candidates: how many frames are compared, for each frame asked for.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    rare: float = 0.5
    penalty: float = 0.5
    candidates: int = 4
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    needs: ClassVar[frozenset[str]] = frozenset(
        {"regions", "suppressed", "labelled", "labels", "embedding"}
    )

    def __post_init__(self) -> None:
        check_gap(self.gap)
        for name in ("rare", "penalty"):
            if getattr(self, name) < 0:
                raise UsageError(
                    f"{name} {getattr(self, name)}: negative.", hint="Give 0 for none."
                )
        if self.candidates < 1:
            raise UsageError(f"candidates {self.candidates}: less than 1.")

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) in [0, 1 + rare]: weighted entropy, scaled by the pool's, and rare classes."""
        parts = self._parts(pool)
        return parts["uncertainty"] + self.rare * parts["rarity"]

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` positions: by score, less the likeness to a frame of higher rank.

        Frames that are not compared come after all that are, by their score.
        """
        scores = self.score(pool)
        order = ranked(scores, rng)
        order = order[exclusion.away_from_labelled(pool.frames, pool.labelled, self.gap)[order]]
        count = max(min(self.candidates * budget, MOST_CANDIDATES), budget)
        first, rest = order[:count], order[count:]
        value = scores[first] - self.penalty * likeness_above(pool.column("embedding"), first)
        first = first[np.argsort(-value, kind="stable")]
        order = np.concatenate([first, rest])
        return exclusion.thin(pool.frames, pool.labelled, order, self.gap)[:budget]

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """How uncertain the detections are, weighted, and how rare the classes shown are."""
        parts = {name: values[positions] for name, values in self._parts(pool).items()}
        counts = np.bincount(regions_of(pool).pos, minlength=len(pool))[positions]
        words = tuple(
            f"weighted entropy {uncertain:.3f}, rare classes {rare:.3f};"
            f" {counted(count, 'detection')}"
            for uncertain, rare, count in zip(
                parts["uncertainty"], parts["rarity"], counts.tolist(), strict=True
            )
        )
        return Explanation(words, {**parts, "detections": counts.astype(np.int64)})

    def _parts(self, pool: Pool) -> Mapping[str, ScoreArray]:
        regions, items = regions_of(pool), items_of(pool)
        classifiers = _fitted(items)
        # An object outside the classes is judged as the class it resembles most.
        best = regions.probs[:, :-1].argmax(axis=1) if len(regions) else regions.labels
        labels = np.where(regions.labels >= 0, regions.labels, best)
        right = classifiers.right(labels, regions.column("suppressed"), regions.scores)
        weights = class_weights(pool.labelled_columns["objects"].sum(axis=0))
        values = weights[labels] * entropy(np.stack([right, 1 - right], axis=1)) / np.log(2)
        total = fold(values, regions.pos, len(pool), "sum")
        most = total.max(initial=0.0)
        shown = np.zeros((len(pool), len(weights)))
        shown[regions.pos, labels] = 1.0
        return {
            "uncertainty": total / most if most > 0 else total,
            "rarity": shown @ weights / weights.sum(),
        }


def class_weights(counts: NDArray[Any]) -> ScoreArray:
    """(K,) mean 1: inversely proportional to the labelled objects of a class, one more of each."""
    weights = 1.0 / (1.0 + np.asarray(counts, np.float64))
    return weights / weights.mean() if len(weights) else weights


def likeness_above(embedding: NDArray[Any], order: IntArray) -> ScoreArray:
    """(n,) in [0, 1]: the largest cosine of each frame of ``order`` with one before it.

    Of columns at mean 0 and deviation 1 over all frames; 0 for the first, and for what looks like
    the opposite.

    Args:
        embedding: (F, E).
        order: (n,) positions, the highest rank first.
    """
    mean, spread = moments(embedding)
    looks = (embedding[order].astype(np.float64) - mean) / np.where(spread > 0, spread, 1.0)
    length = np.linalg.norm(looks, axis=1, keepdims=True)
    looks = looks / np.where(length > 0, length, 1.0)
    result = np.zeros(len(order))
    for at in range(0, len(order), _BLOCK):
        block = looks[at : at + _BLOCK]
        like = block @ looks[: at + len(block)].T
        like[np.arange(at + len(block)) >= at + np.arange(len(block))[:, None]] = 0.0
        result[at : at + len(block)] = like.max(axis=1, initial=0.0)
    return np.clip(result, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Classifiers:
    """P(right | class, boxes before suppression, confidence).

    Attributes:
        mean, spread: (2,) scale of the two inputs.
        weights: (K, 2) of the classes; those with too few examples have the ones of all.
        offsets: (K,).
    """

    mean: ScoreArray
    spread: ScoreArray
    weights: ScoreArray
    offsets: ScoreArray

    def right(self, labels: IntArray, suppressed: NDArray[Any], scores: NDArray[Any]) -> ScoreArray:
        """(N,) in (0, 1) of detections."""
        rows = (_inputs(suppressed, scores) - self.mean) / self.spread
        logit = (rows * self.weights[labels]).sum(axis=1) + self.offsets[labels]
        return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)))


def fit_classifiers(
    labels: IntArray, right: NDArray[Any], suppressed: NDArray[Any], scores: NDArray[Any], k: int
) -> Classifiers:
    """One logistic regression a class, and one of all for classes with too few examples.

    Args:
        labels: (M,) detected class of labelled detections, 0..k-1.
        right: (M,) bool, whether it was annotated so; both occur.
        suppressed: (M,) boxes before suppression.
        scores: (M,) confidence.
        k: number of classes.
    """
    from sklearn.linear_model import LogisticRegression

    inputs = _inputs(suppressed, scores)
    spread = inputs.std(axis=0)
    mean, scale = inputs.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)
    rows = (inputs - mean) / scale

    def fitted(use: NDArray[Any]) -> tuple[ScoreArray, float]:
        model = LogisticRegression().fit(rows[use], right[use])
        return model.coef_[0], float(model.intercept_[0])

    every = fitted(np.ones(len(rows), np.bool_))
    pairs = []
    for label in range(k):
        use = labels == label
        kinds = np.bincount(right[use].astype(np.int64), minlength=2)
        pairs.append(fitted(use) if kinds.min() >= LEAST else every)
    weights = np.array([pair[0] for pair in pairs]).reshape(k, 2)
    return Classifiers(mean, scale, weights, np.array([pair[1] for pair in pairs]))


def _inputs(suppressed: NDArray[Any], scores: NDArray[Any]) -> ScoreArray:
    """(N, 2): the number of boxes has a long tail, so its logarithm."""
    return np.stack([np.log(np.maximum(suppressed, 1)), scores.astype(np.float64)], axis=1)


@lru_cache(maxsize=1)  # of one round: scores, picks and reasons ask for the same classifiers
def _fitted(items: Items) -> Classifiers:
    labels = items.columns.get("labels", np.zeros(0, np.int64))
    right = items.answers == labels if len(items) else np.zeros(0, np.bool_)
    kinds = np.unique(right)
    if len(kinds) < 2:
        found = (
            "none" if not len(items) else f"all {len(items)} are {'right' if kinds[0] else 'wrong'}"
        )
        raise EvidenceMissing(
            "portable-pal",
            "labelled",
            f"learns from labelled detections that are right and others that are wrong; {found}",
            hint="Label more frames chosen by another strategy first, such as random.",
        )
    if "suppressed" not in items.columns:
        raise EvidenceMissing(
            "portable-pal",
            "suppressed",
            "the detector does not tell how many boxes each detection stands for",
            hint="Use a detector of vidal's own, or another strategy.",
        )
    return fit_classifiers(
        labels, right, items.column("suppressed"), items.column("scores"), items.unknown
    )
