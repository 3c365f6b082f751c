"""Class balance around any strategy: of what it would like to ask for, what the labels lack.

What an item costs:

- a strategy that takes the highest scores: minus the score. Scores with a unit of their own
  (``UNITS``, or the attribute ``unit`` of the strategy) are taken as they are, as in the thesis;
  others are divided by their standard deviation over the pool.
- a strategy that covers feature space (``Covering``: k-center): its greedy form, thesis
  Algorithm 2; the unit is the mean distance of the pool from what is labelled.
- any other is asked for ``OVERSAMPLING`` times the budget, one that spreads its picks over looks
  for its whole order; a place in that order costs 1 / budget, and frames that it does not name
  come after all others: lambda 1 means that one object too many or too few is as bad as a frame
  that comes one query later.

What a frame brings is the pool's column ``expected_objects`` (F, K); without it, the summed class
distributions of the frame's detections, which on images is the class distribution itself.

The target follows Eq. 4.4 with objects in place of images: after the query the classes have equal
shares (or shares in proportion to weights) of the objects labelled so far and those that the query
is expected to bring if it is made without balance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.errors import UsageError
from vidal.protocols import Scorer, Selector
from vidal.query import exclusion
from vidal.query.balance import (
    LAMBDAS,
    Distance,
    Solution,
    choose_lambda,
    discrepancy,
    kcenter_balanced,
    l1_score,
    solve,
    to_nearest,
)
from vidal.query.balance_pool import (
    COLUMN,
    class_shares,
    expected_objects,
    labelled_objects,
    neighbour_ranges,
)
from vidal.query.balance_told import BalanceTold, brought_words, missing_parts
from vidal.query.foreign import Foreign
from vidal.query.looks import Looks
from vidal.query.options import LARGEST
from vidal.query.pools import restrict
from vidal.query.select import DEFAULT_GAP, RoundRobin, TopScores, check_gap, lift
from vidal.types import AnyGap, Explanation, IntArray, Pool, ScoreArray

OVERSAMPLING = 4
UNITS: Mapping[str, str] = {
    "bald": "nats",
    "certainty": "probability",
    "ensemble": "share of the members",
    "entropy": "nats",
    "label-dispersion": "share of the epochs",
    "least-confidence": "probability",
    "margin": "probability",
    "vaal": "probability",
}
"""Formula of class distributions -> the unit of its values."""
_DEVIATIONS = "standard deviations of the score"
_PLACES = "query lengths of the strategy's order"
_RADII = "mean distances of the pool from what is labelled"
_TIES = 1e-9


@runtime_checkable
class Covering(Protocol):
    """A strategy that covers feature space: class balance has a greedy form of its own for it."""

    def points(self, pool: Pool) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """(F, D) of the pool's frames and (M, D) of what is labelled; None = frames have none."""
        ...


@dataclass(frozen=True, slots=True)
class Balanced:
    """A strategy, chosen from so that the classes of the labels become even.

    Attributes:
        inner: the strategy.
        lam: what an object too few or too many costs, in the unit of the strategy's score; None =
            the smallest in (0, 3] after which the distance to the target falls no further.
        weights: how many labels of a class are wanted, such as cyclist=3; others count 1.
        kind: of the distance: l1, l2, or w1 (ordered classes).
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
        listener: is told what was weighed, at every selection.
    """

    inner: Selector = field(metadata={"option": False})
    lam: float | None = field(default=None, metadata={"option": False})
    weights: Mapping[str, float] = field(default_factory=dict, metadata={"option": False})
    kind: Distance = field(default="l1", metadata={"option": False})
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})
    listener: Callable[[BalanceTold], None] | None = field(
        default=None, compare=False, metadata={"option": False}
    )

    balances: ClassVar[bool] = True
    order_words: ClassVar[str] = (
        "Rank is not score: frames were chosen together, so that the classes become even."
    )

    def __post_init__(self) -> None:
        check_gap(self.gap)
        check_lambda(self.lam)
        if getattr(self.inner, "balances", False):
            raise UsageError(
                "balance: the strategy evens out the classes by itself.",
                hint="Leave balance out, or balance another strategy, such as entropy.",
            )

    @property
    def needs(self) -> frozenset[str]:
        """What the strategy reads, what frames bring, and what was labelled."""
        return self.inner.needs | {COLUMN, "labelled"}

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64, of the strategy."""
        return self.inner.score(pool)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The strategy's words, and what the frame brings of what is missing."""
        own = self.inner.explain(pool, positions)
        target = self._target(pool, self.inner.score(pool), len(positions))
        brings = expected_objects(pool)[positions]
        words = tuple(
            f"{said}; {brought_words(row, target, pool.classes)}"
            for said, row in zip(own.words, brings, strict=True)
        )
        parts = {**own.parts, **missing_parts(brings, target)}
        return replace(own, words=words, parts=parts)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` positions, those first that the strategy would take first."""
        free = np.flatnonzero(exclusion.away_from_labelled(pool.frames, pool.labelled, self.gap))
        rest = restrict(pool, free)
        if not budget or not len(rest):
            return free[:0]
        scores = self.inner.score(pool)
        target = self._target(pool, scores, budget)
        space = self.inner.points(rest) if isinstance(self.inner, Covering) else None
        if space is not None:
            return free[self._cover(rest, *space, target, budget)]
        if takes_highest(self.inner):
            costs, unit = self._costs(scores[free])
        else:
            costs, unit = self._places(rest, budget, rng), _PLACES
        return free[self._weighed(rest, costs, target, budget, rng, unit)]

    def _costs(self, scores: ScoreArray) -> tuple[ScoreArray, str]:
        """Minus the scores, and their unit."""
        unit, spread = natural_unit(self.inner), float(scores.std())
        if unit or spread == 0:
            return -scores, unit or _DEVIATIONS
        return -scores / spread, _DEVIATIONS

    def _places(self, pool: Pool, budget: int, rng: Generator) -> ScoreArray:
        """(F,) place in the strategy's order, over the budget; what it does not name is last."""
        inner, asked = self.inner, OVERSAMPLING * budget
        if isinstance(inner, Looks):
            asked = len(pool)
            inner = replace(inner, groups=inner.groups or max(2, round(2 * budget**0.5)))
        order = inner.select(pool, asked, rng)
        place = np.full(len(pool), len(order) / budget)
        place[order] = np.arange(len(order)) / budget
        return place

    def _weighed(
        self,
        pool: Pool,
        costs: ScoreArray,
        target: ScoreArray,
        budget: int,
        rng: Generator,
        unit: str,
    ) -> IntArray:
        """The certified choice, by rising cost."""
        brings = expected_objects(pool)
        # Equals are decided by chance: a difference too small to matter beside any other.
        size = float(np.abs(costs).max()) or 1.0
        costs = costs + _TIES * size * rng.random(len(costs))
        ranges = neighbour_ranges(pool, self.gap)

        def solved(lam: float, thorough: bool = True) -> Solution:
            return solve(
                costs,
                brings,
                target,
                lam,
                budget,
                kind=self.kind,
                ranges=ranges,
                thorough=thorough,
            )

        lam = self.lam
        if lam is None:
            swept = [solved(each, thorough=False).positions for each in LAMBDAS]
            left = [discrepancy(target, brings[at].sum(axis=0), self.kind) for at in swept]
            lam = choose_lambda(LAMBDAS, left)
        found = solved(lam)
        self._tell(pool, found.positions, target, lam, unit, found.relative_gap)
        return np.asarray(found.positions[np.argsort(costs[found.positions], kind="stable")])

    def _cover(
        self,
        pool: Pool,
        points: NDArray[Any],
        known: NDArray[Any],
        target: ScoreArray,
        budget: int,
    ) -> IntArray:
        """Algorithm 2 of the thesis; always with the L1 distance."""
        brings = expected_objects(pool)
        scale = _mean_distance(points, known)
        ranges = neighbour_ranges(pool, self.gap)

        def covered(lam: float) -> IntArray:
            return kcenter_balanced(
                points, known, brings, target, lam * scale, budget, ranges=ranges
            )

        lam = self.lam
        if lam is None:
            few = LAMBDAS[1::2]  # each is a whole greedy choice
            swept = [brings[covered(each)].sum(axis=0) for each in few]
            lam = choose_lambda(few, [discrepancy(target, each) for each in swept])
        found = covered(lam)
        self._tell(pool, found, target, lam, _RADII, None)
        return found

    def _target(self, pool: Pool, scores: ScoreArray, budget: int) -> ScoreArray:
        """(K,) what the query should bring."""
        brings = expected_objects(pool).sum(axis=1)
        if not (budget and len(brings) and len(pool.classes)):
            return np.zeros(len(pool.classes))
        first = brings
        if np.isfinite(scores).all():
            first = brings[np.argsort(-scores, kind="stable")[:budget]]
        known = labelled_objects(pool)
        total = float(known.sum()) + min(budget, len(brings)) * float(first.mean())
        return np.maximum(class_shares(self.weights, pool.classes) * total - known, 0.0)

    def _tell(
        self,
        pool: Pool,
        positions: IntArray,
        target: ScoreArray,
        lam: float,
        unit: str,
        gap: float | None,
    ) -> None:
        if self.listener is None:
            return
        shares = class_shares(self.weights, pool.classes)
        brings, known = expected_objects(pool)[positions].sum(axis=0), labelled_objects(pool)
        self.listener(
            BalanceTold(
                lam=lam,
                chosen_by_itself=self.lam is None,
                unit=unit,
                kind=self.kind if gap is not None else "l1",
                classes=pool.classes,
                shares=shares,
                labelled=known,
                target=target,
                brings=brings,
                score_before=l1_score(known, shares) if known.any() else None,
                score_after=l1_score(known + brings, shares) if (known + brings).any() else None,
                gap=gap,
            )
        )


def balanced(
    strategy: Scorer | Selector,
    lam: float | Literal["auto"],
    *,
    weights: Mapping[str, float] | None = None,
    kind: Distance = "l1",
    gap: AnyGap = 0,
) -> Balanced:
    """A strategy under class balance, for frames (``gap``) and for images (no gap).

    Args:
        strategy: whatever scores or selects.
        lam: see ``Balanced``; ``auto`` = chosen on the pool.
        weights: wanted labels of a class in proportion to others; 1 for those not named.
        kind: of the distance.
        gap: between chosen or labelled frames of a clip, see ``Gap``.

    Raises:
        UsageError: a negative or huge ``lam``, or a negative ``gap``.
    """
    return Balanced(
        inner=lift(strategy, gap),
        lam=None if lam == "auto" else float(lam),
        weights=dict(weights or {}),
        kind=kind,
        gap=gap,
    )


def takes_highest(selector: Selector) -> bool:
    """Whether scores alone decide what a selector takes, but for the neighbours."""
    return isinstance(
        selector.inner if isinstance(selector, Foreign) else selector, RoundRobin | TopScores
    )


def natural_unit(strategy: Any) -> str:
    """The unit of a strategy's score, ``""`` where it has none of its own."""
    while hasattr(strategy, "inner"):
        strategy = strategy.inner
    formula = getattr(strategy, "formula", "")
    return str(getattr(strategy, "unit", "") or UNITS.get(str(formula), ""))


def check_lambda(lam: float | None) -> None:
    """Refuse what cannot be lambda, with a ``UsageError``."""
    if lam is not None and not 0 <= lam <= LARGEST:
        raise UsageError(
            f"balance {lam!r} is not a number from 0 to {LARGEST:,}.", hint="Such as 1, or auto."
        )


def _mean_distance(points: NDArray[Any], known: NDArray[Any]) -> float:
    """Of the points from the nearest known one, or from their mean; 1 where all are there."""
    return float(to_nearest(points, known).mean()) or 1.0 if len(points) else 1.0
