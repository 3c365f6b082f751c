"""Learning curves: small examples by hand, and what may be concluded from how many seeds."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.evaluate.curves import (
    ALL_DATA,
    Curve,
    Picks,
    Row,
    area,
    compare,
    curves,
    labels_needed,
    labels_saved,
    summarise,
)


def a_row(strategy, seed, number, value, picks=None):
    return Row(
        strategy=strategy,
        seed=seed,
        round=number,
        labelled=10 * (number + 1),
        boxes=40 * (number + 1),
        ap50=value,
        ap50_at_half=None if value is None else value / 2,
        classes={"car": value},
        picks=picks,
    )


def a_curve(name, *runs, labelled=(10, 20, 30)):
    values = np.array(runs, float)
    return Curve(
        name, tuple(range(len(runs))), np.tile(np.array(labelled, float), (len(runs), 1)), values
    )


def test_area_is_the_mean_height_of_the_trapezoids():
    # (0.2+0.4)/2 over 10 labels, (0.4+0.6)/2 over 30: (3 + 15) / 40
    assert area([10, 20, 50], [0.2, 0.4, 0.6]) == pytest.approx(0.45)


def test_area_of_one_point_is_its_value():
    assert area([10], [0.3]) == 0.3


def test_area_refuses_labels_that_do_not_increase():
    with pytest.raises(ValueError, match="increasing"):
        area([10, 10], [0.1, 0.2])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.data())
def test_area_lies_between_the_extremes(values, data):
    steps = data.draw(st.lists(st.integers(1, 50), min_size=len(values), max_size=len(values)))
    result = area(np.cumsum(steps), values)
    assert min(values) - 1e-12 <= result <= max(values) + 1e-12


def test_labels_needed_interpolate_between_rounds():
    assert labels_needed([10, 20, 30], [0.2, 0.4, 0.5], 0.45) == pytest.approx(25)


def test_labels_needed_take_the_first_crossing_of_a_curve_that_dips():
    assert labels_needed([10, 20, 30, 40], [0.2, 0.5, 0.3, 0.6], 0.5) == pytest.approx(20)


def test_a_value_that_is_never_reached_needs_no_number_of_labels():
    assert np.isnan(labels_needed([10, 20], [0.2, 0.4], 0.5))


def test_labels_saved_compare_at_the_best_value_both_reach():
    # The baseline reaches 0.5 at 30 labels; the strategy is there at 20.
    good, base = a_curve("tc", [0.2, 0.5, 0.6]), a_curve("random-r", [0.2, 0.4, 0.5])
    assert labels_saved(good, base) == pytest.approx(1 - 20 / 30)
    assert labels_saved(base, good) == pytest.approx(1 - 30 / 20)


def test_a_seed_that_is_not_finished_is_left_out():
    rows = [a_row("tc", seed, r, 0.1) for seed in (0, 1) for r in range(3)][:-1]
    assert curves(rows)["tc"].seeds == (0,)


def test_curves_hold_seeds_by_rounds():
    rows = [a_row("tc", seed, r, 0.1 * r + seed) for r in (1, 0) for seed in (1, 0)]
    curve = curves(rows)["tc"]
    np.testing.assert_allclose(curve.values, [[0.0, 0.1], [1.0, 1.1]])
    np.testing.assert_allclose(curve.labelled, [[10, 20], [10, 20]])


def test_intervals_are_students_t_over_seeds():
    last = a_curve("tc", [0, 0, 0.4], [0, 0, 0.5], [0, 0, 0.6]).intervals()[-1]
    # mean 0.5, sd 0.1, t(2) = 4.3027: 4.3027 * 0.1 / sqrt(3) = 0.2484
    assert (last.value, last.low, last.high) == pytest.approx((0.5, 0.2516, 0.7484), abs=1e-4)


def compared(mine, theirs):
    return compare(
        a_curve("tc", *([0, 0, v] for v in mine)), a_curve("random-r", *([0, 0, v] for v in theirs))
    )


def test_with_two_seeds_nothing_is_concluded_however_large_the_difference():
    result = compared([0.9, 0.9], [0.1, 0.1])
    assert not result.conclusive
    assert "2 seeds; with so few nothing can be concluded" in result.sentence


def test_a_steady_difference_is_conclusive_although_the_seeds_differ_much():
    result = compared([0.30, 0.51, 0.70], [0.20, 0.40, 0.60])
    assert result.conclusive
    assert result.sentence.startswith("tc is better than random-r: +0.103 AP50 (95 % interval")


def test_a_difference_that_changes_sign_is_inside_the_seed_noise():
    result = compared([0.3, 0.5, 0.7], [0.2, 0.6, 0.6])
    assert not result.conclusive
    assert "inside the seed noise" in result.sentence


def test_a_loss_is_called_worse():
    assert "tc is worse than random-r" in compared([0.2, 0.4, 0.6], [0.3, 0.5, 0.701]).sentence


def test_runs_are_compared_over_the_seeds_they_share():
    mine = Curve("tc", (0, 2), np.array([[10.0]] * 2), np.array([[0.5], [0.7]]))
    theirs = Curve("random-r", (1, 2), np.array([[10.0]] * 2), np.array([[0.1], [0.6]]))
    result = compare(mine, theirs)
    assert result.final.n == 1
    assert result.final.value == pytest.approx(0.1)


def test_runs_without_a_common_seed_are_not_compared():
    mine = Curve("tc", (0,), np.array([[10.0]]), np.array([[0.5]]))
    theirs = Curve("random-r", (1,), np.array([[10.0]]), np.array([[0.1]]))
    assert compare(mine, theirs) is None


def test_the_table_states_quality_relative_to_all_data():
    rows = [a_row("random-r", seed, r, 0.3 + 0.1 * r) for seed in (0, 1) for r in range(2)]
    rows += [a_row("tc", seed, r, 0.3 + 0.2 * r) for seed in (0, 1) for r in range(2)]
    rows += [a_row(ALL_DATA, seed, 0, 0.8) for seed in (0, 1)]
    first, second, third = summarise(rows)
    assert (first.strategy, second.strategy, third.strategy) == (ALL_DATA, "tc", "random-r")
    assert second.relative == pytest.approx(0.5 / 0.8)
    assert second.final_at_half.value == pytest.approx(0.25)
    assert second.comparison.final.value == pytest.approx(0.1)
    assert third.comparison is None


def test_a_reference_that_found_nothing_is_stated_and_nothing_is_a_share_of_it():
    rows = [a_row(ALL_DATA, 0, 1, 0.0), *(a_row("random-r", 0, n, 0.1) for n in range(2))]
    whole, line = summarise(rows)
    assert (whole.strategy, whole.final.value) == (ALL_DATA, 0.0)
    assert line.relative is None
    # A reference without a number is none.
    assert [each.strategy for each in summarise([a_row(ALL_DATA, 0, 1, None), *rows[1:]])] == [
        "random-r"
    ]


def test_of_no_labels_none_can_be_saved():
    flat = a_curve("x", [0.3, 0.3, 0.3], labelled=(0, 10, 20))
    assert np.isnan(labels_saved(flat, flat))


def test_numbers_of_the_picks_are_averaged_where_they_are_known():
    picks = [Picks(5, false_positives=4), Picks(5, false_positives=6), Picks(5)]
    rows = [a_row("tc", 0, r, 0.1, picks[r]) for r in range(3)]
    assert summarise(rows)[0].picks == {"frames": 5.0, "false_positives": 5.0}


def test_a_row_survives_json():
    for row in (a_row("tc", 3, 1, 0.4, Picks(5, misses=2)), a_row("tc", 3, 1, None)):
        assert Row.from_dict(json.loads(json.dumps(row.as_dict()))) == row
