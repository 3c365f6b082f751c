"""What seeds can tell: small examples by hand, error rates and power by trial."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.evaluate.significance import (
    EXACT,
    beyond_zero,
    corrected_ps,
    holm,
    sign_flip_p,
    sign_flips,
    smallest_difference,
)


def rng():
    return np.random.default_rng(0)


def test_three_steady_seeds_have_a_p_of_one_in_four():
    # Of 8 patterns of signs, +++ and --- are as far from 0.
    assert sign_flip_p([0.1, 0.1, 0.2], rng()) == 0.25
    assert sign_flip_p([0.0, 0.0], rng()) == 1.0
    assert sign_flip_p([0.4], rng()) == 1.0


@given(st.lists(st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=1, max_size=7))
def test_p_is_the_share_of_all_patterns_of_signs(values):
    due = np.abs(np.mean(values))
    every = [
        np.mean(np.multiply(s, values)) for s in itertools.product((1, -1), repeat=len(values))
    ]
    assert sign_flip_p(values, rng()) == pytest.approx(np.mean(np.abs(every) >= due - 1e-9))


def test_many_seeds_draw_patterns_and_repeat_with_the_seed():
    values = np.random.default_rng(1).normal(0.3, 1, EXACT + 8)
    assert len(sign_flips(EXACT, rng())) == 2**EXACT
    first = sign_flip_p(values, rng())
    assert first == sign_flip_p(values, rng())
    # Close to the t test's.
    t = values.mean() / values.std(ddof=1) * np.sqrt(len(values))
    from scipy.stats import t as students

    assert first == pytest.approx(2 * students.sf(abs(t), len(values) - 1), abs=0.01)


def test_one_comparison_needs_no_correction():
    values = [0.1, -0.02, 0.3, 0.2]
    assert corrected_ps({"a": values}, rng()) == {"a": sign_flip_p(values, rng())}
    assert corrected_ps({}, rng()) == {}


def test_twelve_comparisons_of_eight_seeds_can_be_significant():
    draw = np.random.default_rng(2)
    family = {f"noise {k}": draw.normal(0, 0.02, 8) for k in range(11)}
    family["oracle"] = draw.normal(0.1, 0.02, 8)
    found = corrected_ps(family, rng())
    assert found["oracle"] == 2 / 256
    assert list(found) == list(family)
    raw = {name: sign_flip_p(values, rng()) for name, values in family.items()}
    assert holm(raw)["oracle"] > 0.05  # twelve times 2 / 256


def test_a_correction_never_makes_a_p_smaller_and_keeps_their_order():
    draw = np.random.default_rng(3)
    for _ in range(30):
        family = {str(k): draw.normal(0.01 * k, 0.03, 7) for k in range(5)}
        raw = {name: sign_flip_p(values, rng()) for name, values in family.items()}
        found = corrected_ps(family, rng())
        assert all(raw[name] <= found[name] for name in family)
        size = {n: abs(np.mean(v)) / np.sqrt(np.mean(v**2)) for n, v in family.items()}
        order = sorted(family, key=lambda name: -size[name])
        assert [found[name] for name in order] == sorted(found.values())


def test_a_false_finding_anywhere_is_as_rare_as_promised():
    draw = np.random.default_rng(4)
    false = 0
    for _ in range(400):
        base = draw.normal(0, 1, 8)
        family = {str(k): draw.normal(0, 1, 8) - base for k in range(6)}
        false += min(corrected_ps(family, rng()).values()) < 0.05
    assert false / 400 < 0.075  # 5 % and two standard errors


def test_draws_beyond_zero_by_hand():
    assert beyond_zero(np.array([-1.0, 2, 3, 4, 5, 6, 7, 8, 9])) == pytest.approx(2 * 2 / 10)
    assert beyond_zero(np.array([np.nan, 1.0, 2.0, 3.0])) == pytest.approx(2 / 4)
    assert beyond_zero(np.zeros(5)) == beyond_zero(np.full(3, np.nan)) == 1.0


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize("family", [{"a": []}, {"a": [1.0], "b": [1.0, 2.0]}, {"a": [np.nan]}])
def test_differences_that_are_none_or_not_of_the_same_seeds_are_refused(family):
    with pytest.raises(ValueError, match="differences"):
        corrected_ps(family, rng())


def test_the_smallest_difference_is_seen_in_four_of_five_trials():
    draw = np.random.default_rng(5)
    values = draw.normal(0, 1, 8)
    values = (values - values.mean()) / values.std(ddof=1)
    least = smallest_difference(values)
    assert least == pytest.approx(1.156, abs=0.01)  # noncentral t, 8 pairs, 80 %
    trials = draw.normal(least, 1, (4000, 8))
    t = trials.mean(axis=1) / trials.std(axis=1, ddof=1) * np.sqrt(8)
    assert np.mean(np.abs(t) > 2.3646) == pytest.approx(0.8, abs=0.02)


def test_power_scales_with_the_spread_and_needs_two_seeds():
    assert smallest_difference([0.1]) is None
    assert smallest_difference([0.2, 0.2]) == 0.0
    once, thrice = smallest_difference([0.1, 0.2, 0.4]), smallest_difference([0.3, 0.6, 1.2])
    assert thrice == pytest.approx(3 * once)
