"""Networks of comparators find the ranks that sorting finds, on few places and on many."""

from __future__ import annotations

import numpy as np
import pytest

from vidal.track.medians import ranked


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 25, 49])
@pytest.mark.parametrize("places", [5, 300])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_ranks_are_those_of_sorting(count: int, places: int, dtype: type) -> None:
    rng = np.random.default_rng(count)
    values = rng.integers(-9, 9, (count, 2, places)).astype(dtype)
    ranks = tuple(sorted({0, (count - 1) // 2, count // 2}))
    expected = np.sort(values, axis=0)[list(ranks)]
    np.testing.assert_array_equal(np.stack(ranked(values.copy(), ranks)), expected)
