"""Learning curves: small examples by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.evaluate.curves import (
    ALL_DATA,
    Curve,
    Measure,
    Picks,
    Row,
    area,
    curves,
    labels_needed,
    labels_saved,
    reference_curve,
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
    frames = np.tile(np.array(labelled, float), (len(runs), 1))
    rounds = tuple(range(values.shape[1]))
    return Curve(name, tuple(range(len(runs))), rounds, frames, 4 * frames, values)


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
    # The baseline reaches 0.5 with 20 labels more than the 10 it began with, the strategy with 10.
    good, base = a_curve("tc", [0.2, 0.5, 0.6]), a_curve("random-r", [0.2, 0.4, 0.5])
    assert labels_saved(good, base) == pytest.approx(1 - 10 / 20)
    assert labels_saved(base, good) == pytest.approx(1 - 20 / 10)
    many = replace(good, boxes=2 * good.boxes - 40)  # 40, 120, 200 against 40, 80, 120
    assert labels_saved(many, base, "boxes") == pytest.approx(1 - 80 / 80)


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


def test_of_no_labels_none_can_be_saved():
    flat = a_curve("x", [0.3, 0.3, 0.3], labelled=(0, 10, 20))
    assert np.isnan(labels_saved(flat, flat))


def test_a_row_survives_json():
    whole = a_row("tc", 3, 1, 0.4, Picks(5, misses=2, conditions={"night": 2}))
    for row in (replace(whole, conditions={"night": 0.2, "rain": None}), a_row("tc", 3, 1, None)):
        assert Row.from_dict(json.loads(json.dumps(row.as_dict()))) == row


def test_a_row_of_an_earlier_version_is_read():
    old = a_row("tc", 3, 1, 0.4, Picks(5)).as_dict()
    del old["conditions"], old["picks"]["conditions"]
    row = Row.from_dict(old)
    assert (row.conditions, row.picks.conditions) == ({}, {})


def test_curves_of_a_class_or_a_condition_leave_out_seeds_without_it():
    rows = [
        replace(a_row("tc", seed, r, 0.5), conditions={"night": 0.1 * r if seed else None})
        for seed in (0, 1)
        for r in range(2)
    ]
    (curve,) = curves(rows, Measure("condition", "night")).values()
    assert curve.seeds == (1,)
    np.testing.assert_allclose(curve.values, [[0, 0.1]])
    assert curves(rows, Measure("class", "car"))["tc"].seeds == (0, 1)
    assert curves(rows, Measure("class", "tram")) == {}


def test_all_data_is_a_curve_of_one_round():
    rows = [a_row("tc", 0, 0, 0.1), *(a_row(ALL_DATA, seed, 1, 0.5 + seed) for seed in (0, 1))]
    curve = reference_curve(rows)
    assert (curve.rounds, curve.seeds) == ((1,), (0, 1))
    np.testing.assert_allclose(curve.values, [[0.5], [1.5]])
    assert reference_curve(rows[:1]) is None
