import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.errors import UnknownName, UsageError
from vidal.query.budget import Budget
from vidal.query.cost import Cost, Spent, duration, parse_cost, walk

COSTS = st.lists(st.one_of(st.just(0.0), st.floats(0, 50)), max_size=60)


def test_a_frame_costs_its_look_and_its_boxes():
    cost = Cost(frame=2, box=7, unknown=0.5)
    known, unknown = np.array([0.0, 3.0]), np.array([0.0, 2.0])
    time = cost.of_frames(Budget.parse("6h"), known, unknown)
    assert time.tolist() == [2.0, 2 + 7 * (3 + 0.5 * 2)]
    assert cost.of_frames(Budget.parse("9boxes"), known, unknown).tolist() == [0.0, 4.0]
    assert cost.of_frames(Budget.parse("2%"), known, unknown).tolist() == [1.0, 1.0]


def test_rates_are_read_from_a_line_and_from_a_mapping():
    wanted = Cost(frame=3, box=9, known=1, unknown=0.5)
    assert parse_cost("frame=3s, box=0.15min,unknown=0.5") == wanted
    assert Cost.of({"frame": 3, "seconds_per_box": 9, "known": 1, "unknown": "0.5"}) == wanted
    assert parse_cost("box=5") == Cost(box=5)
    assert parse_cost("unknown=-0").text.endswith("an unknown object counts 0")
    assert Cost.of({}) == Cost()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("box", "is not NAME=VALUE"),
        ("", "no rate is named"),
        ("box=7s,box=8s", "given twice"),
        ("box=7x", "is not seconds"),
        ("unknown=1s", "is not a number of boxes"),
        ("box=1_0", "is not seconds"),
        ("box=\u0663", "is not seconds"),
        ("box=-1", "negative or not finite"),
        ("box=nan", "negative or not finite"),
        ("frame=1e400", "is not seconds"),
        ("frame=0,box=0", "both 0"),
        ("known=0,unknown=0", "both 0"),
        ("price=3", "unknown rate of cost|rate of cost"),
    ],
)
def test_rates_that_cannot_be_meant_are_refused_by_name(text, words):
    with pytest.raises(UsageError, match=words):
        parse_cost(text)


def test_values_of_other_kinds_are_refused_by_name():
    for value in (True, None, [7], 10**400):
        with pytest.raises(UsageError, match="box"):
            Cost.of({"box": value})
    with pytest.raises(UnknownName):
        Cost.of({"boxes": 7})
    with pytest.raises(UsageError, match="twice"):
        Cost.of({"box": 7, "seconds_per_box": 7})


def test_one_that_does_not_fit_is_passed_over_while_an_average_one_would():
    costs = np.array([4.0, 4.0, 9.0, 5.0, 1.0, 0.5])
    # 8 spent, 7 left: 9 does not fit, 7 >= the average of 4; 5 and 1 fit, then 1 is left.
    found = walk(np.arange(6), costs, 15)
    assert found.taken.tolist() == [0, 1, 3, 4, 5]
    assert found.before == 2
    # 8 spent, 3 left, less than the average: it ends, though the last two would fit.
    found = walk(np.arange(6), costs, 11)
    assert found.taken.tolist() == [0, 1]
    assert found.ended
    assert walk(np.arange(6), costs, 15, fill=False).taken.tolist() == [0, 1]


def test_a_first_frame_above_the_budget_is_passed_over():
    assert walk(np.array([2, 0, 1]), np.array([3.0, 3.0, 90.0]), 7).taken.tolist() == [0, 1]


def test_frames_that_cost_nothing_are_taken_until_the_budget_is_used_up():
    assert walk(np.arange(5), np.array([0.0, 1.0, 0.0, 1.0, 0.0]), 2).taken.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_costs_and_limits_that_are_no_costs_are_refused(bad):
    with pytest.raises(ValueError, match="costs"):
        walk(np.arange(2), np.array([1.0, bad]), 3)
    with pytest.raises(ValueError, match="limit"):
        walk(np.arange(2), np.ones(2), bad)


@given(st.integers(0, 40), st.integers(0, 30), st.booleans())
def test_where_everything_costs_one_it_is_a_count(frames, limit, fill):
    order = np.random.default_rng(0).permutation(frames)
    taken = walk(order, np.ones(frames), limit, fill=fill).taken
    assert taken.tolist() == order[:limit].tolist()


@given(COSTS, st.floats(0, 200), st.booleans(), st.randoms(use_true_random=False))
def test_the_sum_is_never_above_the_budget_and_the_order_is_kept(costs, limit, fill, random):
    order = list(range(len(costs)))
    random.shuffle(order)
    found = walk(np.array(order, np.int64), np.array(costs), limit, fill=fill)
    taken = found.taken.tolist()
    assert math.fsum(costs[pos] for pos in taken) <= limit
    assert taken == [pos for pos in order if pos in set(taken)]
    assert taken[: found.before] == order[: found.before]


@given(COSTS, st.floats(0.1, 200))
def test_what_is_left_pays_for_no_frame_or_for_less_than_an_average_one(costs, limit):
    taken = walk(np.arange(len(costs)), np.array(costs), limit).taken
    spent = sum((Fraction(costs[pos]) for pos in taken), Fraction(0))
    left = Fraction(limit) - spent
    others = set(range(len(costs))) - set(taken.tolist())
    assert all(costs[pos] > left for pos in others) or left * len(taken) < spent or not left


def test_what_was_spent_is_told_in_frames_boxes_and_hours():
    spent = Spent(10, 30, 4, Cost(frame=2, box=7, unknown=0.5))
    assert spent.boxes == 32
    assert spent.seconds == 20 + 7 * 32
    assert spent.text == "10 frames, 34 boxes (4 of unknown objects) that count for 32, 4 min"
    assert Spent(1, 0, 1, Cost(unknown=0)).text == (
        "1 frame, 1 box (1 of unknown objects) that counts for 0, 2 s"
    )
    assert Spent(2, 3, 1, Cost()).text == "2 frames, 4 boxes (1 of unknown objects), 32 s"
    assert spent.as_dict()["hours"] == pytest.approx(244 / 3600, abs=1e-6)
    assert Spent(1, 1, 0, Cost()).text == "1 frame, 1 box, 9 s"
    assert [duration(s) for s in (0, 89, 600, 3600 * 6.5)] == ["0 s", "89 s", "10 min", "6.5 h"]
