from dataclasses import replace

import numpy as np

from vidal.query.pools import restrict
from vidal.testing.strategies import a_pool, some_items


def test_part_of_a_pool_keeps_what_the_last_queries_taught():
    asked = some_items(np.random.default_rng(1))
    pool = replace(a_pool((6,)), asked=asked)
    part = restrict(pool, np.array([1, 4]), labelled=np.array([0]))
    assert part.precisions == (0.25, 0.75)
    assert part.asked is asked
    assert part.items is pool.items
    assert len(part.regions.column("frozen")) == 6
