from __future__ import annotations

import math

import numpy as np
import pytest

from vidal.evaluate.intervals import bootstrap_interval, difference_interval, mean_interval


def test_t_interval_of_three_seeds_by_hand():
    # Mean 2, standard deviation 1, t(2, 0.975) = 4.3027: margin 4.3027 / sqrt(3) = 2.4842.
    interval = mean_interval([1.0, 2.0, 3.0])
    assert (interval.value, interval.n) == (2.0, 3)
    assert interval.low == pytest.approx(2 - 2.48414, abs=1e-4)
    assert interval.high == pytest.approx(2 + 2.48414, abs=1e-4)


def test_one_seed_says_nothing_about_the_spread():
    interval = mean_interval([0.7])
    assert (interval.value, interval.low, interval.high) == (0.7, -math.inf, math.inf)
    assert not interval.excludes(0)


@pytest.mark.parametrize("values", [[], [1.0, math.nan]])
def test_means_of_nothing_or_of_nan_are_refused(values):
    with pytest.raises(ValueError, match="none, or not all finite"):
        mean_interval(values)


def test_pairing_by_seed_shows_a_gain_that_the_spread_hides():
    good, base = [0.50, 0.61, 0.72], [0.48, 0.60, 0.70]
    assert difference_interval(good, base).excludes(0)
    assert mean_interval(good).low < np.mean(base)
    with pytest.raises(ValueError, match="not pairs"):
        difference_interval([1.0], [1.0, 2.0])


def test_bootstrap_of_a_mean_covers_it_and_repeats_with_the_seed():
    values = np.arange(10.0)

    def run(seed: int):
        rng = np.random.default_rng(seed)
        return bootstrap_interval(10, lambda clips: values[clips].mean(), rng)

    interval = run(3)
    assert interval.value == 4.5
    assert interval.n == 1000
    # Standard error sqrt(8.25 / 10) = 0.908, so about 4.5 -+ 1.78.
    assert interval.low == pytest.approx(4.5 - 1.78, abs=0.3)
    assert interval.high == pytest.approx(4.5 + 1.78, abs=0.3)
    assert interval == run(3)


def test_bootstrap_counts_the_draws_in_which_the_statistic_is_defined():
    def needs_clip_0(clips):
        return 1.0 if 0 in clips else math.nan

    interval = bootstrap_interval(2, needs_clip_0, np.random.default_rng(0), draws=400)
    assert 250 < interval.n < 350  # 3 in 4
    with pytest.raises(ValueError, match="undefined"):
        bootstrap_interval(2, lambda clips: math.nan, np.random.default_rng(0))
    with pytest.raises(ValueError, match="none"):
        bootstrap_interval(0, lambda clips: 1.0, np.random.default_rng(0))
