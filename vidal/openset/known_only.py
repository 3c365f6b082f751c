"""Any strategy, kept to the known classes: what is likely an unknown object counts less.

vidal's own, in the spirit of LfOSA (Ning et al., CVPR 2022), which asks for what is surely known:
here the strategy decides what is worth asking, and each detection is weighted by how much likelier
it is anything else (``vidal.openset.known.kept``). A detection of nothing (background) keeps its
weight: that it is false is worth a label.

Where it is weighed:

- a score that is made of detections (``RegionScore``): each detection's value, before frames are
  made of them (of values that can be negative: their height above the lowest);
- expected errors and temporal coherence: each detection's part in the false alarms of its frame and
  class; misses stay as they are (what is missed was not detected, and nothing is known of it);
- any other score: the frame's height above the lowest, by the mean weight of its detections;
- a strategy that chooses without scores: it is asked for ``OVERSAMPLING`` times as many frames, and
  of these come first those of the largest weight, which falls along the strategy's own order.

Before an unknown object is labelled nothing is known, and nothing is weighed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.openset.known import kept_of, learn_unknown, mean_weight, unknown_of
from vidal.protocols import Scorer, Selector, Trunk
from vidal.query.expected_errors import ExpectedErrors
from vidal.query.pools import regions_of
from vidal.query.region_scores import WEIGHT, RegionScore
from vidal.query.select import Turns, lift
from vidal.query.temporal_coherence import TemporalCoherence
from vidal.types import AnyGap, Explanation, IntArray, Learned, Pool, ScoreArray
from vidal.words import counted

OVERSAMPLING = 4
LIKELY = 0.5
"""P(unknown object) above which a detection is said to be one."""
NOTHING_YET = (
    "Known only: the detector finds no labelled unknown object yet (an annotated object of none of"
    " the classes), so nothing is known of which detections are unknown objects, and nothing was"
    " weighed."
)
_NEEDS = frozenset({"regions", "features", "labelled"})
_PARTS: Mapping[str, str] = {"expected": "false_alarm", "errors": "verdict"}
"""Column of the pool -> column of regions: a detection's part in the false alarms of a frame."""


@dataclass(frozen=True, slots=True)
class KnownOnlyScore:
    """An acquisition function whose detections count the less the likelier they are unknown.

    Attributes:
        inner: the acquisition function.
    """

    inner: Scorer = field(metadata={"option": False})

    @property
    def needs(self) -> frozenset[str]:
        """What the acquisition function reads, and what is needed to tell known from unknown."""
        parts = {_PARTS[name] for name in self.inner.needs & set(_PARTS)}
        return self.inner.needs | _NEEDS | parts

    @property
    def positive_first(self) -> bool:
        """As the acquisition function has it."""
        return bool(getattr(self.inner, "positive_first", False))

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """P(unknown object) and the weights; nothing before one is labelled."""
        return learn_unknown(trunk, seed)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64."""
        weight = kept_of(pool)
        if weight is None:
            return self.inner.score(pool)
        if isinstance(self.inner, RegionScore | ExpectedErrors | TemporalCoherence):
            return self.inner.score(weighed(pool, weight))
        scores = self.inner.score(pool)
        low = min(0.0, float(scores.min(initial=0.0)))
        return low + (scores - low) * mean_weight(pool, weight)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The acquisition function's words, and how many detections are likely unknown objects."""
        weight = kept_of(pool)
        seen = pool
        if weight is not None and isinstance(self.inner, RegionScore):
            seen = weighed(pool, weight)  # the words name the score
        return with_unknown(self.inner.explain(seen, positions), pool, positions)

    def remarks(self, pool: Pool) -> tuple[str, ...]:
        """For the reader of a result."""
        return () if unknown_of(pool) is not None else (NOTHING_YET,)


@dataclass(frozen=True, slots=True)
class KnownOnlyChoice:
    """A selector that is asked for more than is wanted; the most known of it comes first.

    Attributes:
        inner: the selector.
    """

    inner: Selector = field(metadata={"option": False})

    order_words: ClassVar[str] = (
        "Rank is not score: of what the strategy chose, frames with more known objects come first."
    )

    @property
    def needs(self) -> frozenset[str]:
        """What the selector reads, and what is needed to tell known from unknown."""
        return self.inner.needs | _NEEDS

    @property
    def balances(self) -> bool:
        """Whether the selector evens out the classes by itself."""
        return bool(getattr(self.inner, "balances", False))

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """P(unknown object) and the weights; nothing before one is labelled."""
        return learn_unknown(trunk, seed)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64, of the selector."""
        return self.inner.score(pool)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The selector's words, and how many detections are likely unknown objects."""
        return with_unknown(self.inner.explain(pool, positions), pool, positions)

    def remarks(self, pool: Pool) -> tuple[str, ...]:
        """For the reader of a result."""
        return () if unknown_of(pool) is not None else (NOTHING_YET,)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` positions."""
        weight = kept_of(pool)
        if weight is None or not budget:
            return self.inner.select(pool, budget, rng)
        order = self.inner.select(pool, min(len(pool), OVERSAMPLING * budget), rng)
        place = 1 - np.arange(len(order)) / max(1, len(order))
        value = mean_weight(pool, weight)[order] * place
        return order[np.argsort(-value, kind="stable")][:budget]


def known_only(strategy: Scorer | Selector, gap: AnyGap, turns: Turns | None = None) -> Selector:
    """A strategy as something that selects, kept to the known classes.

    Args:
        strategy: whatever scores or selects.
        gap: between chosen or labelled frames of a clip, see ``Gap``.
        turns: how clips take turns, see ``lift``.

    Raises:
        UsageError: as ``lift``.
    """
    lifted = lift(strategy, gap, turns)
    if getattr(lifted, "inner", None) is strategy and not isinstance(strategy, Selector):
        return cast(Selector, replace(cast(Any, lifted), inner=KnownOnlyScore(strategy)))
    return KnownOnlyChoice(lifted)


def weighed(pool: Pool, weight: ScoreArray) -> Pool:
    """The pool as a score made of detections is to see it.

    Args:
        pool: with regions.
        weight: (N,) how much each of its regions counts, in [0, 1].
    """
    regions = regions_of(pool)
    changed = {}
    for name, part in _PARTS.items():
        if name in pool.columns:
            values = np.array(pool.column(name), np.float64)
            values[..., 0] *= kept_share(pool, weight, part)
            changed[name] = values
    columns = {**regions.columns, WEIGHT: weight}
    return replace(
        pool, regions=replace(regions, columns=columns), columns={**pool.columns, **changed}
    )


def kept_share(pool: Pool, weight: ScoreArray, part: str) -> NDArray[np.float64]:
    """(F, K) what is left of the false alarms of each frame and class, in [0, 1].

    sum w_i b_i / sum b_i over the detections of the frame and class; 1 where the sum is 0.

    Args:
        pool: with regions.
        weight: (N,) w, of its regions.
        part: column of regions that holds b: P(false alarm), or whether a verdict calls it one;
            1 - score where there is no such column.
    """
    regions = regions_of(pool)
    shape = (len(pool), len(pool.classes))
    known = part in regions.columns
    base = regions.column(part) if known else 1 - regions.scores
    use = regions.labels >= 0
    cell = regions.pos[use] * shape[1] + regions.labels[use]
    amounts = np.asarray(base, np.float64)[use]
    whole, kept = (
        np.bincount(cell, weights=values, minlength=shape[0] * shape[1])
        for values in (amounts, amounts * weight[use])
    )
    share = np.divide(kept, whole, out=np.ones(len(whole)), where=whole > 0)
    return np.asarray(share.reshape(shape))


def with_unknown(told: Explanation, pool: Pool, positions: IntArray) -> Explanation:
    """An explanation that also says how many detections are likely unknown objects, and how many
    may be."""
    unknown = unknown_of(pool)
    if unknown is None or kept_of(pool) is None:
        return told
    likely, possible = (each.tolist() for each in unknown_counts(pool, positions))
    expected = np.bincount(regions_of(pool).pos, weights=unknown, minlength=len(pool))[positions]
    words = tuple(
        f"{said}; {counts}" if (counts := unknown_words(*numbers)) else said
        for said, *numbers in zip(told.words, likely, possible, strict=True)
    )
    return replace(told, words=words, parts={**told.parts, "unknown": expected})


def unknown_counts(pool: Pool, positions: IntArray) -> tuple[IntArray, IntArray]:
    """How many detections of frames are likely unknown objects (P above ``LIKELY``), and how many
    others may be: likelier than anything else, if both were equally likely beforehand.

    Args:
        pool: of which unknown objects are learned.
        positions: (n,) of its frames; both counts are (n,) too.
    """
    unknown, weight, pos = unknown_of(pool), kept_of(pool), regions_of(pool).pos
    assert unknown is not None
    assert weight is not None
    sure = unknown > LIKELY
    maybe = (weight < 0.5) & ~sure
    likely, possible = (np.bincount(pos[each], minlength=len(pool)) for each in (sure, maybe))
    return likely[positions], possible[positions]


def unknown_words(likely: int, possible: int) -> str:
    """``2 likely unknown objects, 1 possible one``; empty where there are none."""
    parts = [counted(likely, "likely unknown object")] if likely else []
    if possible:
        noun = "possible one" if likely else "possible unknown object"
        parts.append(counted(possible, noun))
    return ", ".join(parts)
