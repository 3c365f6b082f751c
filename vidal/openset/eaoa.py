"""EAOA: filter by epistemic uncertainty, rank by aleatoric, both as energies.

Zong and Huang, "Rethinking epistemic and aleatoric uncertainty for active open-set annotation: an
energy-based approach", CVPR 2025. A detector of known classes and the votes of labelled items say
what is known; the classifier in use says what is informative.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import logsumexp

from vidal.arrays import component_posterior, min_max
from vidal.errors import UsageError
from vidal.openset.checks import known_probs
from vidal.openset.items import reasons
from vidal.openset.one_vs_all import LEAST
from vidal.openset.purity import energy
from vidal.openset.quotas import filtered_per_class, highest
from vidal.protocols import Trunk
from vidal.query.pools import items_of, regions_of
from vidal.query.region_picks import frames_of_picks
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.types import AnyGap, Explanation, IntArray, Learned, Pool, ScoreArray

Votes = Literal["logits", "shares"]
"""What votes are: logits (the released code), or exp(logits), so that they are shares (slides)."""

Features = Literal["learned", "frozen"]
Margins = Literal["auto", "paper", "percentiles"]


def energy_margin_loss(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    known: int,
    known_margin: float = -25.0,
    unknown_margin: float = -7.0,
) -> float:
    """Mean over known items of max(0, E - m_kno)^2 + mean over unknown ones of max(0, m_unk - E)^2.

    E = -ln sum exp of the K known logits. An empty part is 0 (in the released code NaN).

    Args:
        logits: (N, K+1).
        labels: (N,) in 0..K; others are in neither part.
        known: K.
        known_margin, unknown_margin: m_kno, m_unk.
    """
    e = -energy(np.asarray(logits)[:, :known])
    place = np.asarray(labels).astype(np.int64).reshape(-1)
    low = np.maximum(0, e[(place >= 0) & (place < known)] - known_margin) ** 2
    high = np.maximum(0, unknown_margin - e[place == known]) ** 2
    return sum(float(part.mean()) for part in (low, high) if len(part))


def epistemic_learn(logits: NDArray[np.floating], known: int) -> ScoreArray:
    """EU by the detector: -ln sum exp(o_1..o_K) + softplus(o_{K+1}); (N,), low = known.

    Args:
        logits: (N, K+1), or (N, K) for no unknown column: its term is left out.
        known: K.
    """
    o = np.asarray(logits, np.float64)
    result = -energy(o[:, :known])
    return result + np.logaddexp(0.0, o[:, known]) if o.shape[1] > known else result


def epistemic_data(
    votes: NDArray[np.number], class_sizes: NDArray[np.number], reading: Votes = "logits"
) -> ScoreArray:
    """EU by votes of labelled items, divided by class size / mean known class size; low = known.

    Of votes v: -ln sum exp(v_1..v_K) + softplus(v_{K+1}), as in the released code, or, as on the
    slides, where votes are exp(logits), -ln sum v_1..v_K + ln(1 + v_{K+1}); their orders differ.

    Args:
        votes: (N, K+1) >= 0, unknown last.
        class_sizes: (K+1,) labelled items. A class without any has weight 1. No unknown item: its
            term is left out. The mean is over the K known classes (the code's runs over K+1).
        reading: of the votes.
    """
    size = np.asarray(class_sizes, np.float64).reshape(-1)
    mean = size[:-1].mean() if len(size) > 1 else 0.0
    weight = np.where(size > 0, size / mean if mean > 0 else 1.0, 1.0)
    v = np.asarray(votes, np.float64) / weight
    if reading == "shares":
        result = -np.log(np.maximum(v[:, :-1].sum(axis=1), LEAST))
        return result + np.log1p(v[:, -1]) if size[-1] > 0 else result
    result = -energy(v[:, :-1])
    return result + np.logaddexp(0.0, v[:, -1]) if size[-1] > 0 else result


def aleatoric(logits: NDArray[np.floating]) -> ScoreArray:
    """AU = -ln sum exp(o) + ln sum exp(o without its largest) = ln(1 - max p); (N,), higher = ask.

    K = 1: 0.
    """
    o = np.asarray(logits, np.float64)
    if o.shape[1] < 2:
        return np.zeros(len(o))
    rest = o.copy()
    if len(o):
        rest[np.arange(len(o)), o.argmax(axis=1)] = -np.inf
    return np.asarray(logsumexp(rest, axis=1) - energy(o))


def adapt_k(
    k: float, precision: float, target: float = 0.6, step: float = 1.0, tolerance: float = 0.05
) -> float:
    """k of the next round, >= 1: more candidates where the last query was too pure, else fewer.

    Unchanged within ``tolerance`` of the target, and where the precision is NaN.
    """
    off = precision - target
    if not abs(off) > tolerance + 1e-12:
        return max(1.0, float(k))
    return max(1.0, k + step if off > 0 else k - step)


def select_filtered(
    clean: NDArray[np.floating],
    info: NDArray[np.floating],
    predicted: NDArray[np.integer],
    known: int,
    k: float,
    budget: int,
) -> IntArray:
    """(min(budget, N),) ascending rows, see `vidal.openset.quotas.filtered_per_class`.

    Of each class the floor(k ceil(B/K)) cleanest, of these the ceil(B/K) most informative: the
    released code's rule; the paper's is k B of all classes together, then B.
    """
    first = int(np.floor(k * -(-budget // known)))
    return filtered_per_class(clean, info, predicted, known, first, budget)


@dataclass(frozen=True, slots=True)
class Eaoa:
    """Detections that a detector and labelled neighbours call known, the unsurest first (EAOA).

    Of every predicted class the cleanest, of these the most informative; each picked detection
    takes its frame. Clean is the product of two posteriors of low energy, by a detector of known
    classes and by the votes of labelled objects; informative is that of a high ln(1 - max p) of the
    classifier in use. The share of candidates, k, follows the precision of all queries so far. In
    the first round k is as given and, as long as no unknown object is labelled, energies have no
    term of the unknown.

    Lost on regions: the energy loss reaches a hidden layer only, not what made the features.
    Background is a further class of the detector, dropped before scoring, and casts no votes.

    Attributes:
        k: candidates of a class, as a multiple of its share of the budget, in the first round.
        target: query precision that k is steered to.
        step: by which k changes.
        tolerance: deviation from the target that changes nothing.
        votes: pool items that each labelled one votes for, at most a tenth of the pool (250 of
            some 50,000 in the paper; in a small pool all would get all votes).
        reading: what votes are: logits (the released code), or shares (the slides: exp(logits)).
        features: whose neighbours vote: learned (by the detector of known classes) or frozen.
        energy_weight: of the energy loss.
        known_margin: energy that known objects are pushed below, on pictures.
        unknown_margin: energy that unknown objects are pushed above, on pictures.
        margins: auto = paper (the two above) on pictures, and on regions percentiles (the 5th and
            95th of the energies of labelled objects, anew every epoch), which suit a small head.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    k: float = 5.0
    target: float = 0.6
    step: float = 1.0
    tolerance: float = 0.05
    votes: int = 250
    reading: Votes = "logits"
    features: Features = "learned"
    energy_weight: float = 0.01
    known_margin: float = -25.0
    unknown_margin: float = -7.0
    margins: Margins = "auto"
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    def __post_init__(self) -> None:
        check_gap(self.gap)
        for name in ("k", "votes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)}: less than 1.", hint="Leave it.")
        for name in ("step", "tolerance", "energy_weight"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} {getattr(self, name)}: negative.", hint="Give 0.")
        if not 0 <= self.target <= 1:
            raise UsageError(f"target {self.target}: outside 0..1.", hint="The paper's is 0.6.")

    @property
    def needs(self) -> frozenset[str]:
        """Frozen features only where they vote."""
        learns = {"regions", "features", "labelled", "labels", "trunk", "precision"}
        return frozenset(learns | ({"frozen"} if self.features == "frozen" else set()))

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """Of the pool ``eaoa.logits`` (N, K+1) of the detector of known classes and ``eaoa.votes``
        (N, K+1)."""
        from vidal.openset.eaoa_training import learn

        return learn(self, trunk, seed)

    def steered(self, precisions: Iterable[float]) -> float:
        """k after these queries, oldest first."""
        k = self.k
        for precision in precisions:
            k = adapt_k(k, precision, self.target, self.step, self.tolerance)
        return k

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions, the most informative first."""
        clean, info = self._parts(pool)
        probs, k = self._probs(pool), self.steered(pool.precisions)
        predicted = probs.argmax(axis=1) if len(probs) else np.zeros(0, np.int64)

        def rule(count: int) -> IntArray:
            rows = select_filtered(clean, info, predicted, len(pool.classes), k, count)
            return highest(info, count, rows)

        return frames_of_picks(pool, rule, budget, rng, self.gap)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) in [0, 1]: the largest product of clean and informative in a frame."""
        clean, info = self._parts(pool)
        return fold(clean * info, regions_of(pool).pos, len(pool), "max")

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The detection with the largest product."""
        clean, info = self._parts(pool)

        def what(row: int) -> str:
            return f"known with {clean[row]:.3f}, informative with {info[row]:.3f}"

        parts = {"clean": clean, "informative": info}
        return reasons(pool, positions, clean * info, what, parts)

    def _parts(self, pool: Pool) -> tuple[ScoreArray, ScoreArray]:
        """(N,) clean and (N,) informative."""
        regions, known = regions_of(pool), len(pool.classes)
        answers = items_of(pool).answers
        sizes = np.bincount(answers[answers >= 0], minlength=known + 1)
        logits = regions.column("eaoa.logits")
        by_detector = epistemic_learn(logits if sizes[-1] else logits[:, :known], known)
        by_votes = epistemic_data(regions.column("eaoa.votes"), sizes, self.reading)
        unsure = aleatoric(np.log(np.maximum(self._probs(pool), LEAST)))
        clean = np.ones(len(regions))
        for each in (by_detector, by_votes):
            clean *= component_posterior(min_max(each), side="low")
        return clean, component_posterior(min_max(unsure), side="high")

    def _probs(self, pool: Pool) -> ScoreArray:
        """(N, K) by the classifier in use."""
        return known_probs(regions_of(pool).probs)
