"""Selection under a budget of boxes or time."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.assemble import STRATEGIES
from vidal.query.balanced import Balanced
from vidal.query.options import build
from vidal.query.select import RoundRobin, lift
from vidal.query.within import expected_boxes, select_within
from vidal.testing.strategies import a_pool, distances, generator
from vidal.types import Explanation, FrameSet, Pool

CHEAP = ("random", "random-r", "every-nth", "entropy", "expected-errors", "kcenter")


class Rising:
    """Later frames of a clip score higher."""

    needs = frozenset()

    def score(self, pool):
        return pool.frames.index.astype(float)

    def explain(self, pool, positions):
        return Explanation(("late",) * len(positions), {})


class Halves:
    """Composed as a whole: of n frames, half from the front and half from the back."""

    needs = frozenset()
    asked: list[int]

    def __init__(self):
        self.asked = []

    def select(self, pool, budget, rng):
        self.asked.append(budget)
        front = np.arange(len(pool))[: budget - budget // 2]
        return np.concatenate([front, np.arange(len(pool))[len(pool) - budget // 2 :]])


def frames_of(count):
    none = FrameSet(("c",), np.zeros(0, np.int64), np.zeros(0, np.int64))
    frames = FrameSet(("c",), np.zeros(count, np.int64), np.arange(count))
    return Pool(frames=frames, classes=(), labelled=none)


def chosen(selector, pool, costs, limit, seed=0, **more):
    return select_within(
        selector, pool, costs, Fraction(limit), np.random.default_rng(seed), **more
    )


def test_a_fixed_order_is_walked_and_what_does_not_fit_is_passed_over():
    costs = np.array([1.0, 1.0, 3.0, 9.0, 2.0, 2.0])
    positions, drawn = chosen(RoundRobin(Rising(), 0), frames_of(6), costs, 8)
    # 5, 4 cost 4; 3 costs 9 and is passed over, for 4 are left; 2 costs 3; 1 costs 1.
    assert positions.tolist() == [5, 4, 2, 1]
    assert drawn == 0


def test_of_a_composed_choice_the_largest_whole_one_that_fits_is_taken():
    selector = Halves()
    costs = np.ones(40)
    costs[:3] = 5.0  # a walk from the front would see nothing of the back
    positions, _ = chosen(selector, frames_of(40), costs, 20)
    assert positions.tolist() == [0, 1, 2, 3, 36, 37, 38, 39]
    assert selector.asked[-1] == 8  # asked last is what is taken


def test_a_composed_choice_of_which_none_fits_is_walked():
    costs = np.full(10, 2.0)
    costs[0] = 50.0
    positions, _ = chosen(Halves(), frames_of(10), costs, 7)
    assert len(positions)
    assert costs[positions].sum() <= 7


@pytest.mark.parametrize("name", CHEAP)
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_it_costs_at_most_the_budget_and_keeps_the_gap(name, share):
    pool = a_pool(seed=5)
    costs = np.random.default_rng(1).gamma(2.0, 2.0, len(pool))
    for limit in (Fraction(0), Fraction(3), Fraction(41, 3), Fraction(90)):
        selector = lift(build(STRATEGIES[name], {}), 2)
        positions, drawn = select_within(
            selector, pool, costs, limit, generator(), share=share, gap=2
        )
        assert len(set(positions.tolist())) == len(positions)
        assert math.fsum(costs[positions]) <= limit
        assert math.fsum(costs[positions[len(positions) - drawn :]]) <= share * limit
        if name != "random":
            assert distances(pool, positions) > 2


@pytest.mark.parametrize("name", CHEAP)
def test_where_every_frame_costs_one_it_is_the_choice_of_that_many_frames(name):
    pool, selector = a_pool(seed=5), lift(build(STRATEGIES[name], {}), 2)
    positions, _ = select_within(selector, pool, np.ones(len(pool)), Fraction(7), generator())
    assert positions.tolist() == selector.select(pool, 7, generator()).tolist()


def test_under_class_balance_it_costs_at_most_the_budget_and_tells_of_what_is_taken():
    told = []
    pool = a_pool(seed=5)
    inner = lift(build(STRATEGIES["entropy"], {}), 2)
    selector = Balanced(inner, 0.5, {}, gap=2, listener=told.append)
    costs = np.random.default_rng(1).gamma(2.0, 2.0, len(pool))
    positions, _ = select_within(selector, pool, costs, Fraction(40), generator())
    assert 0 < math.fsum(costs[positions]) <= 40
    again = selector.select(pool, len(positions), generator())
    assert positions.tolist() == again.tolist()
    assert told[-1].sentence == told[-2].sentence


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(0, 30)), min_size=1, max_size=40),
    st.fractions(0, 100),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 3),
)
def test_the_expected_cost_is_never_above_the_budget(costs, limit, share, gap):
    values = np.array(costs)
    for selector in (RoundRobin(Rising(), gap), Halves()):
        positions, _ = select_within(
            selector,
            frames_of(len(costs)),
            values,
            limit,
            np.random.default_rng(0),
            share=share,
            gap=gap,
        )
        assert sum((Fraction(values[pos]) for pos in positions), Fraction(0)) <= limit


def test_frames_that_cost_next_to_nothing_all_fit():
    taken, _ = chosen(RoundRobin(Rising(), 0), frames_of(3), np.full(3, 2e-311), 1)
    assert sorted(taken.tolist()) == [0, 1, 2]


def test_an_empty_pool_and_an_empty_budget_give_nothing():
    assert chosen(RoundRobin(Rising(), 0), frames_of(0), np.zeros(0), 5)[0].tolist() == []
    assert chosen(RoundRobin(Rising(), 0), frames_of(3), np.ones(3), 0)[0].tolist() == []


def test_the_same_seed_gives_the_same_frames():
    pool = a_pool(seed=5)
    costs = np.random.default_rng(1).gamma(2.0, 2.0, len(pool))
    first, second = (
        select_within(
            lift(build(STRATEGIES["random"], {}), 2), pool, costs, Fraction(30), generator()
        )[0].tolist()
        for _ in range(2)
    )
    assert first == second


def test_objects_are_of_target_classes_unless_a_share_is_known():
    pool = frames_of(2).with_columns(expected_objects=np.array([[1.0, 2.0], [0.0, 4.0]]))
    known, unknown = expected_boxes(pool)
    assert (known.tolist(), unknown.tolist()) == ([3.0, 4.0], [0.0, 0.0])
    known, unknown = expected_boxes(pool.with_columns(p_known=np.array([1.0, 0.25])))
    assert (known.tolist(), unknown.tolist()) == ([3.0, 1.0], [0.0, 3.0])
    with pytest.raises(ValueError, match="p_known"):
        expected_boxes(pool.with_columns(p_known=np.array([1.0, np.nan])))
    with pytest.raises(KeyError):
        expected_boxes(frames_of(2))
