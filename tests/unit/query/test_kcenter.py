"""k-center: against the plain loop, enumeration, and hand-made examples."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vidal.query import coreset, farthest
from vidal.query.farthest import Takes, farthest_first
from vidal.query.kcenter import coreset_robust, covering_radius, kcenter_greedy

NONE = np.zeros((0, 2))
LINE = np.array([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0], [9.0, 0.0]])


def grids(most):
    """Points on a grid: with ties and duplicates."""
    shape = st.tuples(st.integers(1, most), st.just(2))
    return arrays(np.float64, shape, elements=st.integers(-3, 3).map(float))


def plain(pool, labelled, budget):
    """The loop over all items, by differences."""
    if not len(pool):
        return []
    centres = [*labelled]
    picks = []
    while len(picks) < min(budget, len(pool)):
        to = np.array(centres) if centres else pool.mean(axis=0)[None]
        squares = ((pool[:, None] - to) ** 2).sum(axis=2).min(axis=1)
        squares[picks] = -1.0
        picks.append(int(np.argmax(squares)))
        centres.append(pool[picks[-1]])
    return picks


def radius(pool, labelled, picks, outliers=0):
    return covering_radius(pool, np.concatenate([labelled, pool[picks]]), outliers)


def test_each_pick_is_the_farthest_from_all_before_it():
    assert kcenter_greedy(LINE, np.array([[0.0, 0.0]]), 3).tolist() == [3, 2, 1]
    assert kcenter_greedy(LINE, np.array([[0.0, 0.0], [9.0, 0.0]]), 1).tolist() == [2]


def test_without_labels_the_first_is_the_farthest_from_the_mean():
    assert kcenter_greedy(LINE, NONE, 2).tolist() == [3, 0]


def test_duplicates_come_once_each_and_ties_go_to_the_lower_position():
    pool = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    assert kcenter_greedy(pool, np.zeros((1, 2)), 9).tolist() == [1, 3, 0, 2]
    same = np.ones((5, 3))
    assert kcenter_greedy(same, same[:1], 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("shape", [(0, 2), (3, 0)])
def test_nothing_to_choose_or_nothing_to_tell_apart_is_no_special_case(shape):
    pool = np.zeros(shape)
    assert kcenter_greedy(pool, np.zeros((0, shape[1])), 2).tolist() == list(
        range(min(2, shape[0]))
    )
    assert kcenter_greedy(LINE, NONE, 0).tolist() == []


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="points"):
        kcenter_greedy(LINE, np.zeros((1, 3)), 1)
    with pytest.raises(ValueError, match="finite"):
        kcenter_greedy(np.array([[np.nan, 0.0]]), NONE, 1)
    with pytest.raises(ValueError, match="finite"):
        kcenter_greedy(LINE, np.array([[np.inf, 0.0]]), 1)


@given(grids(14), st.integers(0, 3), st.integers(0, 14), st.sampled_from([np.float64, np.float32]))
def test_the_lazy_search_picks_as_the_plain_loop_does(points, labelled, budget, kind):
    points = points * max(1, len(points) - labelled)  # whole means: no tie hangs on rounding
    known, pool = points[:labelled].astype(kind), points[labelled:].astype(kind)
    assert kcenter_greedy(pool, known, budget).tolist() == plain(pool, known, budget)


def test_a_tie_that_rounding_would_break_goes_to_the_lower_position():
    corner = 3 * np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    for kind in (np.float64, np.float32):
        assert kcenter_greedy(corner.astype(kind), NONE.astype(kind), 1).tolist() == [0]


@pytest.mark.parametrize("labelled", [0, 3])
def test_many_rounds_of_the_lazy_search_pick_as_the_plain_loop_does(monkeypatch, labelled):
    monkeypatch.setattr(farthest, "_TOP", 8)
    monkeypatch.setattr(farthest, "_FIRST", 2)
    rng = np.random.default_rng(0)
    for grid in (False, True):
        points = rng.normal(size=(200, 3)) * 3
        points = points.round() if grid else points
        known, pool = points[:labelled], points[labelled:]
        assert kcenter_greedy(pool, known, 120).tolist() == plain(pool, known, 120)


def test_a_distant_origin_does_not_change_the_picks():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(60, 4))
    far = (points + 1e5).astype(np.float64)
    assert kcenter_greedy(far, far[:2], 20).tolist() == plain(far, far[:2], 20)


@given(grids(12), st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_order_of_the_pool_does_not_matter(points, budget, shuffler):
    unique = np.unique(points + np.array([0.0, 0.37]) * points[:, :1] ** 2, axis=0)
    noise = np.random.default_rng(3).normal(size=unique.shape)
    pool, order = unique + noise, list(range(len(unique)))
    shuffler.shuffle(order)
    found = kcenter_greedy(pool[order], pool[:1] + 0.5, budget)
    np.testing.assert_array_equal(
        np.array(order)[found], kcenter_greedy(pool, pool[:1] + 0.5, budget)
    )


@given(grids(12), st.integers(0, 2))
def test_the_radius_never_rises(points, labelled):
    known, pool = points[:labelled], points[labelled:]
    picks = kcenter_greedy(pool, known, len(pool))
    radii = [radius(pool, known, picks[:count]) for count in range(len(picks) + 1)]
    assert all(after <= before for before, after in pairwise(radii))
    assert radii[-1] == 0.0


@settings(max_examples=40)
@given(grids(9), st.integers(1, 3), st.integers(1, 2))
def test_the_greedy_radius_is_at_most_twice_the_least(points, budget, labelled):
    known, pool = points[:labelled], points[labelled:]
    sets = combinations(range(len(pool)), min(budget, len(pool)))
    least = min(radius(pool, known, list(each)) for each in sets)
    assert radius(pool, known, kcenter_greedy(pool, known, budget)) <= 2 * least + 1e-9


def test_a_pick_takes_its_own_frame_and_its_neighbours_away():
    points = np.array([[9.0], [8.0], [7.0], [-1.0], [3.0]])
    ranges = np.array([[0, 2], [0, 2], [2, 4], [2, 4], [4, 5]])
    takes = Takes(ranges, np.array([[0, 4], [0, 4], [0, 4], [0, 4], [4, 5]]))
    assert farthest_first(points, np.zeros((1, 1)), 9, takes=takes).tolist() == [0, 4]
    free = np.array([False, False, True, True, True])
    # The frame of row 2 covers -1, too.
    assert farthest_first(points, np.zeros((1, 1)), 9, takes=takes, free=free).tolist() == [2, 4]


def test_outliers_are_passed_over():
    pool = np.array([[1.0], [2.0], [50.0], [3.0], [60.0]])
    found = farthest_first(pool, np.zeros((1, 1)), 2, let_off=2)
    assert found.tolist() == [3, 0]


def test_equal_distances_whose_squares_are_rounded_apart_are_equal():
    # As numpy.linalg.norm and numpy.argmax have it: .1 and .1, but squares .01 and .01 + 2e-18.
    for seed in (2219, *range(50)):
        rng = np.random.default_rng(seed)
        points, known = (0.1 * rng.integers(-4, 5, (n, 2)) for n in (12, 2))
        far = [np.linalg.norm(points - each, axis=1) for each in known]
        expected = int(np.argmax(np.minimum(*far)))
        assert kcenter_greedy(points, known, 1).tolist() == [expected]


@pytest.mark.parametrize("kind", [list, np.uint8, np.int64, np.float32])
def test_points_are_numbers_of_any_kind(kind):
    rows, known = [[0, 0], [3, 4], [200, 9]], [[3, 4]]
    pool, centres = (rows, known) if kind is list else (np.array(rows, kind), np.array(known, kind))
    assert kcenter_greedy(pool, centres, 3).tolist() == [2, 0, 1]
    assert coreset_robust(pool, centres, 1, 0).tolist() == [2]
    assert covering_radius(pool, centres, 1) == 5.0


def test_of_equals_the_first_in_order_is_taken():
    pool = np.array([[1.0], [-1.0], [1.0]])
    order = np.array([2, 1, 0])
    assert farthest_first(pool, np.zeros((1, 1)), 1, order=order).tolist() == [2]


def test_the_radius_lets_off_the_farthest():
    centres = np.array([[0.0, 0.0]])
    assert [covering_radius(LINE, centres, let_off) for let_off in range(5)] == [9, 4, 1, 0, 0]
    assert covering_radius(LINE, NONE) == np.inf
    assert covering_radius(LINE, NONE, 4) == 0.0
    assert covering_radius(NONE, centres) == 0.0
    with pytest.raises(ValueError, match="outliers"):
        covering_radius(LINE, centres, -1)
    with pytest.raises(ValueError, match="outliers"):
        coreset_robust(LINE, centres, 1, -1)


@settings(max_examples=30, deadline=None)
@given(grids(8), st.integers(0, 3), st.integers(0, 2), st.integers(0, 3))
def test_the_robust_choice_is_the_first_of_the_least_radius(points, budget, labelled, outliers):
    known, pool = points[:labelled], points[labelled:]
    found = coreset_robust(pool, known, budget, outliers)
    sets = list(combinations(range(len(pool)), min(budget, len(pool))))
    radii = [round(radius(pool, known, list(each), outliers), 9) for each in sets]
    assert tuple(found) == sets[int(np.argmin(radii))]


@settings(max_examples=20, deadline=None)
@given(grids(8), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2))
def test_a_radius_that_is_larger_by_rounding_is_no_larger(points, budget, labelled, outliers):
    # .3 - .2 is less than .2 - .1, and by that alone one set would be better than another.
    known, pool = points[:labelled], points[labelled:]
    found = coreset_robust(0.1 * pool, 0.1 * known, budget, outliers)
    assert found.tolist() == coreset_robust(pool, known, budget, outliers).tolist()


def test_half_of_the_greedy_radius_is_no_bound_where_outliers_are_let_off():
    pool = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.5], [90.0, 0.0], [0.0, 95.0]])
    found = coreset_robust(pool, NONE, 1, 2)
    assert found.tolist() == [2]
    assert radius(pool, NONE, found, 2) == pytest.approx(0.5**0.5)
    assert radius(pool, NONE, kcenter_greedy(pool, NONE, 1), 0) / 2 > 40


def test_above_the_limits_the_robust_choice_is_greedy(monkeypatch):
    pool = np.random.default_rng(0).normal(size=(70, 2))
    greedy = np.sort(farthest_first(pool, NONE, 4, let_off=2))
    best = coreset_robust(pool, NONE, 4, 2)
    assert radius(pool, NONE, best, 2) < radius(pool, NONE, greedy, 2)
    for limit, value in (("LARGEST", 69), ("_PAIRS", 100)):
        with monkeypatch.context() as patch:
            patch.setattr(coreset, limit, value)
            np.testing.assert_array_equal(coreset_robust(pool, NONE, 4, 2), greedy)


def test_the_solver_keeps_neighbours_apart():
    pool = np.arange(12.0)[:, None]
    first = np.maximum(np.arange(12) - 3, 0)
    takes = Takes(Takes.itself(12).own, np.stack([first, np.minimum(np.arange(12) + 4, 12)], 1))
    greedy = farthest_first(pool, np.zeros((0, 1)), 3, takes=takes)
    found = coreset.improved(pool, np.zeros((0, 1)), greedy, 0, takes=takes).rows
    assert len(found) == 3
    assert np.diff(found).min() > 3
    assert radius(pool, np.zeros((0, 1)), found) == 2.0  # 1, 5, 9 or the like


def test_rows_that_the_radius_does_not_need_are_told_apart():
    """Four groups of points, two of them labelled: of five rows two are needed."""
    rng = np.random.default_rng(2)
    pool = np.repeat(np.arange(4) * 100.0, 20)[:, None] + rng.random((80, 1))
    known = np.array([[0.5], [100.5]])
    greedy = farthest_first(pool, known, 5)
    found = coreset.improved(pool, known, greedy, 0)
    assert len(found.rows) == 5
    assert set(found.needed) <= set(found.rows)
    assert radius(pool, known, found.needed) == radius(pool, known, found.rows)
    chosen = coreset_robust(pool, known, 5, 0)
    assert len(chosen) == 5
    assert radius(pool, known, chosen) <= radius(pool, known, found.rows)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.integers(0, 3))
def test_needed_rows_have_the_radius_of_all(seed, outliers):
    rng = np.random.default_rng(seed)
    pool, known = rng.normal(size=(70, 2)), rng.normal(size=(2, 2))
    greedy = farthest_first(pool, known, 6, let_off=outliers)
    found = coreset.improved(pool, known, greedy, outliers)
    assert radius(pool, known, found.needed, outliers) == pytest.approx(
        radius(pool, known, found.rows, outliers)
    )
