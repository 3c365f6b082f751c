"""How far a budget reaches where known and unknown images do not cost the same.

What an image costs is known when it is labelled; images are labelled one after the other until the
next one would cost too much (MQ-Net, Park et al., NeurIPS 2022, section 5.5). How many that will be
nobody knows beforehand, and a batch that is composed as a whole (a purity filter, then
informativeness; quotas) is another one for another number: out of a batch of all that cheap labels
would pay for, its filter left nothing out. So a strategy is asked for as many images as are paid
for whatever they are, and what these leave pays for the next batch, of at most as many again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from vidal.images.prices import Prices
from vidal.protocols import Selector
from vidal.query.pools import restrict
from vidal.types import IntArray, Pool


def bought(
    selector: Selector, pool: Pool, prices: Prices, labels: IntArray, rng: Generator
) -> IntArray:
    """(n,) positions that a strategy asks for and the budget pays for, in their order.

    Of an order that is the same however many are asked for, its beginning.

    Args:
        selector: chooses.
        pool: of F images.
        prices: and the budget.
        labels: (F,) what annotators would answer; read of images that were asked for only.
        rng: draws.
    """
    taken = np.zeros(0, np.int64)
    left = prices
    while count := min(_next(prices, left, len(taken)), len(pool) - len(taken)):
        rest = np.setdiff1d(np.arange(len(pool)), taken)
        others = restrict(pool, rest, labelled=taken) if len(taken) else pool
        found = rest[selector.select(others, count, rng)]
        paid = left.paid_for(labels[found])
        taken = np.concatenate([taken, found[:paid]])
        left = prices.less(labels[taken])
        if not paid or paid < len(found):
            break
    return taken


def _next(prices: Prices, left: Prices, bought: int) -> int:
    """How many images to ask for with what is left: as many as are surely paid for, or as many as
    at what images cost so far, up to as many as were bought."""
    if not bought:
        return max(1, left.sure)
    mean = (prices.budget - left.budget) / bought
    return max(left.sure, min(left.most, math.ceil(left.budget / mean), bought))
