"""Selection under a budget of boxes or time: as many frames as their expected cost allows.

A strategy is asked for a number of frames; how many a budget pays for is known only when they are
named. So it is asked for growing numbers, always with the same random numbers, until its order is
long enough for ``vidal.query.cost.walk`` to end.

- An order that is the same however many are asked for (scores, round robin, draws, greedy choice)
  is walked: what does not fit is passed over while an average frame would.
- A choice that is composed as a whole (every nth frame, class balance, quotas) would be cut
  somewhere in its middle; of it the largest number is asked for whose whole choice fits, found by
  bisection.

Neighbour exclusion is the strategy's own, as ever.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.random import Generator

from vidal.protocols import Selector
from vidal.query import exclusion
from vidal.query.cost import Walk, walk
from vidal.query.pools import restrict
from vidal.types import AnyGap, IntArray, Pool, ScoreArray

_Ask = Callable[[int], IntArray]

_MOST_ASKS = 24
"""Bisection of a number below 2 ** 24 frames; each ask is a whole selection."""


def expected_boxes(pool: Pool) -> tuple[ScoreArray, ScoreArray]:
    """(F,) objects of target classes and of none that annotators are expected to find in a frame.

    Their sum is that of the column ``expected_objects``; the column ``p_known`` (F,) in [0, 1], the
    share of a frame's objects that are of a target class, parts them. Without it all are.

    Raises:
        KeyError: the pool was built without ``expected_objects``.
        ValueError: ``p_known`` is not in [0, 1].
    """
    objects = np.maximum(pool.column("expected_objects").astype(np.float64), 0.0).sum(axis=1)
    known = np.asarray(pool.columns.get("p_known", np.ones(len(pool))), np.float64)
    if not ((known >= 0) & (known <= 1)).all():
        raise ValueError("p_known: not in [0, 1]")
    return objects * known, objects * (1 - known)


def select_within(
    selector: Selector,
    pool: Pool,
    costs: ScoreArray,
    limit: Fraction,
    rng: Generator,
    *,
    share: float = 0.0,
    gap: AnyGap = 0,
) -> tuple[IntArray, int]:
    """The positions that a strategy chooses and, behind them, some drawn at random.

    The random ones are drawn first, from the whole pool, for up to ``share`` of the limit; what
    they leave of the limit is the strategy's, which counts them as labelled.

    Args:
        selector: chooses the others.
        pool: to choose from.
        costs: (F,) expected cost of each frame; finite, not negative.
        limit: of the cost of all together, in the same unit.
        rng: draws.
        share: of the limit that is drawn at random, in [0, 1).
        gap: between chosen or labelled frames of a clip, see ``Gap``, by the random draw.

    Returns:
        Positions whose costs add up to at most ``limit``, and how many of the last ones were drawn
        at random. None where nothing fits.
    """
    part = Fraction(share) * limit
    if not part:
        return _select(selector, pool, costs, limit, rng), 0
    order = exclusion.thin(pool.frames, pool.labelled, rng.permutation(len(pool)), gap)
    drawn = walk(order, costs, part).taken
    rest = np.setdiff1d(np.arange(len(pool)), drawn)
    left = limit - _sum(costs[drawn])
    others = restrict(pool, rest, labelled=drawn)
    chosen = rest[_select(selector, others, costs[rest], left, rng)]
    return np.concatenate([chosen, drawn]), len(drawn)


def _select(
    selector: Selector, pool: Pool, costs: ScoreArray, limit: Fraction, rng: Generator
) -> IntArray:
    """The strategy's own choice."""

    def ask(count: int) -> IntArray:
        return selector.select(pool, count, copy.deepcopy(rng))

    if not len(pool) or not limit:
        return np.zeros(0, np.int64)
    order, found = _long_enough(ask, costs, limit)
    if found.before == len(order):
        return order
    head = ask(found.before) if found.before else order[:0]
    if np.array_equal(head, order[: found.before]):
        return found.taken
    whole = _largest(ask, costs, limit, head, above=len(order))
    return whole if len(whole) else found.taken


def _long_enough(ask: _Ask, costs: ScoreArray, limit: Fraction) -> tuple[IntArray, Walk]:
    """An order in which the walk ends, or all of it that there is."""
    frames, mean = len(costs), float(costs.mean())
    reach = float(limit) / mean if mean else math.inf  # infinite of a cost next to none, too
    count = math.floor(reach) + 1 if reach < frames else frames
    while True:
        order = ask(count)
        found = walk(order, costs, limit)
        if found.ended or len(order) < count or count == frames:
            return order, found
        count = min(frames, 2 * count)


def _largest(
    ask: _Ask, costs: ScoreArray, limit: Fraction, first: IntArray, *, above: int
) -> IntArray:
    """The largest choice whose whole fits; none where not even that of one frame does.

    Args:
        ask: gives a choice of a number of frames.
        costs, limit: see ``select_within``.
        first: one that was asked for already.
        above: a number whose choice does not fit.
    """
    low, high = 0, above
    choice, count = first, len(first)
    for _ in range(_MOST_ASKS):
        if _sum(costs[choice]) <= limit:
            low = count
        else:
            high = count
        if high - low <= 1:
            break
        count = (low + high) // 2
        choice = ask(count)
    # Asked last is what is taken: whoever listens to the strategy hears of that.
    return choice if count == low else ask(low) if low else choice[:0]


def _sum(costs: ScoreArray) -> Fraction:
    """Exact: sums of floats in another order differ in the last bit."""
    return sum((Fraction(each) for each in costs.tolist()), Fraction(0))
