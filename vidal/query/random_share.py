"""A share of the query drawn at random, beside what the strategy chooses.

Frames that a strategy chose are no sample of the pool: what is learned from their labels holds for
frames like them. A random share is one, and costs that part of the budget.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from vidal.errors import UsageError
from vidal.protocols import Selector
from vidal.query import exclusion
from vidal.query.pools import restrict
from vidal.types import AnyGap, IntArray, Pool


def check_share(share: float) -> None:
    """Refuse what is no share, with a ``UsageError``."""
    if not 0 <= share < 1:
        raise UsageError(
            f"random share {share!r} is not at least 0 and less than 1.",
            hint="Such as 0.25: a quarter of the budget.",
        )


def select_with_random(
    selector: Selector, pool: Pool, budget: int, rng: Generator, *, share: float, gap: AnyGap
) -> tuple[IntArray, int]:
    """The positions that the selector chooses and, behind them, some drawn at random.

    The random ones are drawn first, so that they are a sample of the whole pool; the strategy then
    chooses from the rest, with the random ones counted as labelled.

    Args:
        selector: chooses the others.
        pool: to choose from.
        budget: of both together.
        rng: draws.
        share: of the budget that is drawn at random, rounded down, in [0, 1).
        gap: between chosen or labelled frames of a clip, see ``Gap``.

    Returns:
        At most ``budget`` positions, and how many of the last ones were drawn at random.
    """
    wanted = math.floor(share * budget)
    if not wanted:
        return selector.select(pool, budget, rng), 0
    order = rng.permutation(len(pool))
    drawn = exclusion.thin(pool.frames, pool.labelled, order, gap, wanted)
    rest = np.setdiff1d(np.arange(len(pool)), drawn)
    chosen = rest[selector.select(restrict(pool, rest, labelled=drawn), budget - len(drawn), rng)]
    return np.concatenate([chosen, drawn]), len(drawn)
