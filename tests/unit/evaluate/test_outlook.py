"""How many labels a target may take."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vidal.evaluate.outlook import FARTHEST, LEAST_POINTS, outlook


def drawn(values, spread, seed=0, draws=400):
    """Draws of the test clips that move all models alike, and each a little."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, spread, (draws, 1))
    return values + shared + rng.normal(0, spread / 5, (draws, len(values)))


def power(n, top=0.8, fall=1.6, exponent=0.5):
    return top - fall * np.asarray(n, float) ** -exponent


N = np.array([20.0, 40, 60, 80, 100])


@pytest.mark.parametrize("exponent", [0.3, 0.5, 0.8])
def test_the_range_holds_the_truth_of_a_power_law(exponent):
    values = power(N, exponent=exponent)
    truth = 180.0
    target = float(power(truth, exponent=exponent))
    held = 0
    for seed in range(20):
        noisy = values + np.random.default_rng(seed).normal(0, 0.004, len(N))
        told = outlook(target, N, noisy, drawn(noisy, 0.01, seed), np.random.default_rng(seed))
        held += not told.refused and told.low <= truth <= told.high
    assert held >= 15


def test_the_range_is_wider_where_test_clips_differ_more():
    values = power(N)
    spans = []
    for spread in (0.002, 0.02):
        told = outlook(0.66, N, values, drawn(values, spread), np.random.default_rng(0))
        assert not told.refused
        spans.append((told.low, told.high))
    assert spans[1][0] <= spans[0][0]
    assert spans[1][1] >= spans[0][1]


def test_a_target_that_the_curve_levels_off_below_may_take_more_than_is_told():
    values = power(N, top=0.7, fall=20.0, exponent=1.5)
    told = outlook(0.78, N, values, drawn(values, 0.003), np.random.default_rng(0))
    assert told.never > 0
    assert told.high == math.inf or told.high <= FARTHEST * N[-1]
    assert told.as_dict()["high"] is None or math.isfinite(told.as_dict()["high"])


@pytest.mark.parametrize(
    ("n", "values", "why"),
    [
        (
            N[:3],
            power(N[:3]),
            f"models of {LEAST_POINTS} rounds with more labels each; there are 3",
        ),
        (N[:1], power(N[:1]), "there is 1"),
        (N[:0], power(N[:0]), "there are none"),
        (np.array([20.0, 20, 20, 20]), np.array([0.2, 0.3, 0.35, 0.37]), "there is 1"),
        (N, np.array([0.5, 0.49, 0.48, 0.47, 0.46]), "does not rise"),
        (N, np.array([0.40, 0.52, 0.38, 0.55, 0.41]), "not rise clearly more than it scatters"),
        (N, np.array([0.4, np.nan, np.nan, 0.5, 0.55]), "there are 3"),
    ],
)
def test_what_cannot_be_told_is_refused_in_words(n, values, why):
    told = outlook(0.9, n, values, drawn(values, 0.01), np.random.default_rng(0))
    assert why in told.refused
    assert math.isnan(told.low)
    assert told.as_dict()["low"] is None


def test_a_target_that_is_reached_is_said_to_be():
    assert "has reached it" in outlook(0.5, N, power(N), None, np.random.default_rng(0)).refused


def test_without_draws_the_scatter_of_the_points_makes_the_range():
    noisy = power(N) + np.array([0.01, -0.012, 0.008, -0.006, 0.004])
    told = outlook(0.68, N, noisy, None, np.random.default_rng(0))
    assert N[-1] < told.low < told.high
    again = outlook(0.68, N, noisy, None, np.random.default_rng(0))
    assert told == again
