"""How far a budget reaches where known and unknown images do not cost the same."""

import numpy as np
import pytest

from vidal.images.buying import bought
from vidal.images.prices import Prices
from vidal.testing.strategies import a_pool, generator


class Ranked:
    """The same order however many are asked for."""

    needs = frozenset()

    def select(self, pool, budget, rng):
        return np.argsort(-pool.column("purity"), kind="stable")[:budget]


class PurestThenRarest:
    """A filter, then an order: the twice as many purest images, of these the rarest."""

    needs = frozenset()

    def __init__(self):
        self.asked = []

    def select(self, pool, budget, rng):
        self.asked.append(budget)
        pure = np.argsort(-pool.column("purity"), kind="stable")[: 2 * budget]
        return pure[np.argsort(-pool.column("rarity")[pure], kind="stable")][:budget]


def images(known=20, unknown=60):
    """Known images first: the purest; unknown ones are rarer, the last the rarest."""
    count = known + unknown
    pool = a_pool((count,), regions_per_frame=0)
    purity, rarity = np.linspace(1, 0, count), np.linspace(0, 1, count)
    labels = np.where(np.arange(count) < known, 0, 2)
    return pool.with_columns(purity=purity, rarity=rarity), labels


def test_of_an_order_that_stays_the_same_images_are_bought_until_the_next_costs_too_much():
    pool, labels = images(known=3, unknown=20)
    rows = bought(Ranked(), pool, Prices(1.0, 0.25, 2, 4), labels, generator())
    assert rows.tolist() == [0, 1, 2, 3, 4, 5, 6]  # 3 x 1 + 4 x 1/4


def test_a_batch_that_is_composed_as_a_whole_is_not_cut_in_its_middle():
    # Cut out of the 80 that 20 would pay for if all were unknown, only the rarest were bought.
    pool, labels = images()
    selector = PurestThenRarest()
    rows = bought(selector, pool, Prices(1.0, 0.05, 2, 5), labels, generator())
    # Of ten the five rarest are known: 5 x 1, and nothing is left.
    assert rows.tolist() == [9, 8, 7, 6, 5]


def test_what_whole_batches_leave_pays_for_the_next_one():
    pool, labels = images(known=8)
    rows = bought(PurestThenRarest(), pool, Prices(1.0, 0.5, 2, 4), labels, generator())
    assert rows.tolist() == [7, 6, 5, 4]  # of the 8 purest, all known: 4 x 1
    pool, labels = images(known=6)
    selector = PurestThenRarest()
    rows = bought(selector, pool, Prices(1.0, 0.5, 2, 4), labels, generator())
    # 7 and 6 (unknown, 1/2 each), 5 and 4 (1 each) cost 3; at 3/4 an image, 1 pays for two: of the
    # four purest left, 0 to 3, the rarer 3; 2 costs too much.
    assert rows.tolist() == [7, 6, 5, 4, 3]
    assert selector.asked == [4, 2]


@pytest.mark.parametrize("unknown", [0.05, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("budget", [1, 4, 7.5, 1000])
@pytest.mark.parametrize("selector", [Ranked, PurestThenRarest])
def test_no_image_is_bought_twice_and_the_budget_holds_for_every_price(selector, unknown, budget):
    pool, labels = images()
    prices = Prices(1.0, unknown, 2, max(budget, unknown))
    rows = bought(selector(), pool, prices, labels, generator())
    assert len(set(rows.tolist())) == len(rows)
    assert prices.of(labels[rows]) <= prices.budget + 1e-9
    left = prices.less(labels[rows])
    assert left.sure == 0 or len(rows) == len(pool)


def test_where_all_cost_the_same_a_strategy_is_asked_once():
    pool, labels = images()
    selector = PurestThenRarest()
    bought(selector, pool, Prices(1.0, 1.0, 2, 6), labels, generator())
    assert selector.asked == [6]
