"""The formulas of class balance, and the solver against enumeration, MILP and its own bound."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.query import balance_solver
from vidal.query.balance import (
    choose_lambda,
    discrepancy,
    dual_bound,
    imbalanced_counts,
    imbalanced_subset,
    kcenter_balanced,
    l1_score,
    objective,
    pseudo_label_balanced,
    solve,
    target_counts,
)
from vidal.query.exclusion import neighbourhoods
from vidal.query.kcenter import kcenter_greedy
from vidal.types import FrameSet

KINDS = st.sampled_from(["l1", "l2", "w1"])


def a_case(seed, items=60, classes=4, sharp=0.3):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(classes, sharp), items)
    return rng.normal(size=items), probs, rng.gamma(1.0, 2.0, classes)


def ranges_of(seed, items, gap):
    rng = np.random.default_rng(seed)
    clip = np.sort(rng.integers(0, 2, items))
    parts = [np.sort(rng.choice(3 * items, int((clip == c).sum()), False)) for c in (0, 1)]
    frames = FrameSet(("a", "b"), clip, np.concatenate(parts))
    return np.stack(neighbourhoods(frames, gap), axis=1)


def apart(positions, ranges):
    return all(ranges[a, 1] <= b for a, b in pairwise(positions))


def by_enumeration(costs, probs, target, lam, count, kind, ranges=None):
    choices = (np.array(c, np.int64) for c in combinations(range(len(costs)), count))
    return min(
        objective(costs, probs, target, lam, c, kind)
        for c in choices
        if ranges is None or apart(c, ranges)
    )


def test_the_target_is_what_is_missing_for_equal_counts_after_the_query():
    assert target_counts(np.array([5, 1, 0]), 6, 3, 1).tolist() == [0, 2, 3]
    assert target_counts(np.array([5, 1, 0]), 6, 3, 2).tolist() == [0, 3, 4]
    assert target_counts(np.zeros(0), 6, 3, 1).shape == (0,)


def test_distances_are_of_the_difference_and_w1_of_its_sums():
    target, mass = np.array([2.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])
    assert discrepancy(target, mass) == 3
    assert discrepancy(target, mass, "l2") == pytest.approx(5**0.5)
    assert discrepancy(target, mass, "w1") == 2 + 1 + 1
    with pytest.raises(ValueError, match="l3"):
        discrepancy(target, mass, "l3")


def test_the_objective_is_costs_and_what_is_left_of_the_target():
    probs = np.array([[1.0, 0], [0, 1], [0.5, 0.5]])
    value = objective(np.array([1.0, 2, 4]), probs, np.array([1.0, 1]), 10, np.array([0, 2]))
    assert value == pytest.approx(5 + 10 * (0.5 + 0.5))
    assert objective(np.ones(3), probs, np.array([1.0, 1]), 10, np.zeros(0)) == 20


def test_the_l1_score_is_0_for_equal_and_1_for_a_single_class():
    assert l1_score(np.array([3, 3, 3])) == 0
    assert l1_score(np.array([9, 0, 0])) == pytest.approx(1)
    assert l1_score(np.array([2, 1])) == pytest.approx(1 / 3)
    assert l1_score(np.zeros(4)) == l1_score(np.array([7])) == l1_score(np.zeros(0)) == 0
    assert l1_score(np.array([3, 1]), np.array([0.75, 0.25])) == pytest.approx(0)
    assert l1_score(np.array([5, 0]), np.array([0.75, 0.25])) == pytest.approx(1 / 3)


def test_lambda_is_the_smallest_after_which_l1_falls_no_further():
    assert choose_lambda([0.5, 1, 2], [9, 4, 4]) == 1
    assert choose_lambda([2, 1, 0.5], [4, 4, 9]) == 1
    assert choose_lambda([0.5, 1], [3, 3]) == 0.5
    assert choose_lambda([1, 2, 3], [10, 0.09, 0]) == 2
    assert choose_lambda([1, 2, 3], [10, 0.09, 0], tolerance=0.001) == 3
    with pytest.raises(ValueError, match="none"):
        choose_lambda([], [])


def test_rare_classes_keep_whole_items_also_where_a_product_falls_short():
    assert imbalanced_counts(np.array([100, 100, 7]), 0.29, np.array([1, 2])).tolist() == [
        *(100, 29, 2)
    ]
    assert imbalanced_counts(np.array([10, 10]), 1.0, np.array([0])).tolist() == [10, 10]


def test_rare_classes_are_given_by_number_or_by_mask():
    sizes, mask = np.array([10, 5, 3]), np.array([True, False, True])
    by_mask = imbalanced_counts(sizes, 0.3, mask)
    assert by_mask.tolist() == imbalanced_counts(sizes, 0.3, np.array([0, 2])).tolist() == [3, 5, 0]
    labels = np.repeat([0, 1], 3)
    kept = imbalanced_subset(labels, 0, np.random.default_rng(0), rare=np.array([True, False]))
    assert kept.tolist() == [3, 4, 5]
    whole = np.array([True, False, False, False, False, True])
    kept = imbalanced_subset(labels, 0, np.random.default_rng(0), rare=[0, 1], initial=whole)
    assert kept.tolist() == [0, 5]
    for rare in (mask[:2], np.array([3]), np.array([-1])):
        with pytest.raises(ValueError, match="rare"):
            imbalanced_counts(sizes, 0.3, rare)


def test_an_imbalanced_pool_thins_half_of_the_classes_and_spares_the_initial_set():
    labels = np.repeat(np.arange(5), 100)
    kept = imbalanced_subset(labels, 0.1, np.random.default_rng(3))
    assert sorted(np.bincount(labels[kept]).tolist()) == [10, 10, 100, 100, 100]
    again = imbalanced_subset(labels, 0.1, np.random.default_rng(3))
    np.testing.assert_array_equal(kept, again)
    initial = np.arange(200, 220)
    kept = imbalanced_subset(labels, 0.3, np.random.default_rng(3), rare=[2, 4], initial=initial)
    assert np.isin(initial, kept).all()
    assert np.bincount(labels[kept]).tolist() == [100, 100, 20 + 24, 100, 30]
    assert imbalanced_subset(np.zeros(0, int), 0.5, np.random.default_rng(0)).tolist() == []
    with pytest.raises(ValueError, match="factor"):
        imbalanced_subset(labels, 1.5, np.random.default_rng(0))


def test_farthest_first_under_balance_turns_to_the_class_that_lacks():
    pool = np.array([[9.0], [8.0], [1.0], [0.0]])
    probs = np.array([[1.0, 0], [1, 0], [0, 1], [1, 0]])
    target, none = np.array([0.0, 2.0]), np.zeros((0, 1))
    assert kcenter_balanced(pool, none, probs, target, 0, 2).tolist() == [0, 3]
    assert kcenter_balanced(pool, none, probs, target, 100, 2).tolist() == [2, 0]
    assert kcenter_balanced(pool, np.array([[0.0]]), probs, target, 0, 9).tolist()[0] == 0
    assert kcenter_balanced(none, none, np.zeros((0, 2)), target, 1, 3).tolist() == []
    same = np.zeros((3, 2))
    assert sorted(kcenter_balanced(same, same, np.ones((3, 1)), np.ones(1), 1, 3)) == [0, 1, 2]


@pytest.mark.parametrize("labelled", [0, 2])
def test_of_duplicates_under_balance_the_lowest_comes_first(labelled):
    # The product of a matrix and a vector may round equal rows differently.
    for seed in range(60):
        rng = np.random.default_rng(seed)
        items, width = int(rng.integers(9, 60)), int(rng.integers(1, 40))
        which = rng.integers(0, items // 2, items)
        pool = rng.normal(size=(items, width))[which]
        probs = rng.dirichlet(np.ones(3), items)[which]
        known, target = rng.normal(size=(labelled, width)), rng.random(3) * items / 3
        left = [np.flatnonzero(which == each).tolist() for each in range(items)]
        for pick in kcenter_balanced(pool, known, probs, target, 0.5, items).tolist():
            assert left[which[pick]].pop(0) == pick


def test_without_lambda_farthest_first_under_balance_is_farthest_first():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        pool, known = rng.integers(-2, 3, (20, 2)), rng.integers(-2, 3, (seed % 3, 2))
        found = kcenter_balanced(pool, known, np.ones((20, 2)), np.ones(2), 0.0, 20)
        assert found.tolist() == kcenter_greedy(pool, known, 20).tolist()


def test_pseudo_labels_fill_each_class_and_then_the_highest_scores():
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    scores = np.array([4.0, 3, 2, 1])
    assert pseudo_label_balanced(scores, probs, np.array([1.4, 0.5]), 2).tolist() == [0, 3]
    assert pseudo_label_balanced(scores, probs, np.array([0.0, 3]), 2).tolist() == [0, 3]
    assert pseudo_label_balanced(scores, probs, np.array([3.0, 3]), 2).tolist() == [0, 1]
    assert pseudo_label_balanced(scores[:0], probs[:0], np.array([1.0, 1]), 2).tolist() == []


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 5), KINDS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_up_to_twelve_items_the_optimum_is_exact_and_proven(seed, items, classes, kind, near):
    costs, probs, target = a_case(seed, items, classes)
    budget, lam = seed % (items + 1), (0.0, 0.4, 3.0)[seed % 3]
    ranges = ranges_of(seed, items, 2) if near else None
    found = solve(costs, probs, target, lam, budget, kind=kind, ranges=ranges)
    count = len(found.positions)
    assert count == budget or near
    best = by_enumeration(costs, probs, target, lam, count, kind, ranges)
    assert found.value == pytest.approx(best, abs=1e-9)
    assert found.bound == found.value
    assert found.value == pytest.approx(objective(costs, probs, target, lam, found.positions, kind))


@given(st.integers(0, 10**6), KINDS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_relaxation_bounds_the_optimum_from_below(seed, kind, near):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balance_solver, "countable", lambda items, budget: False)
        costs, probs, target = a_case(seed, 11, 3)
        ranges = ranges_of(seed, 11, 2) if near else None
        found = solve(costs, probs, target, 0.7, 4, kind=kind, ranges=ranges)
    best = by_enumeration(costs, probs, target, 0.7, len(found.positions), kind, ranges)
    assert found.bound <= best + 1e-9
    assert best <= found.value + 1e-9
    assert ranges is None or apart(found.positions, ranges)
    assert len(found.positions) == 4


@given(st.integers(0, 10**6), KINDS)
@settings(max_examples=30, deadline=None)
def test_any_prices_give_a_lower_bound(seed, kind):
    costs, probs, target = a_case(seed, 30, 4)
    prices = np.random.default_rng(seed).normal(0, 3, 4)
    found = solve(costs, probs, target, 0.8, 7, kind=kind)
    assert dual_bound(costs, probs, target, 0.8, 7, prices, kind) <= found.value + 1e-9
    assert found.bound <= found.value


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_larger_lambda_buys_balance_and_pays_costs(seed):
    costs, probs, target = a_case(seed, 11, 3)
    terms = []
    for lam in (0.0, 0.3, 1.0, 5.0):
        at = solve(costs, probs, target, lam, 4).positions
        terms.append((discrepancy(target, probs[at].sum(axis=0)), costs[at].sum()))
    left, paid = np.array(terms).T
    assert (np.diff(left) <= 1e-9).all()
    assert (np.diff(paid) >= -1e-9).all()


@given(st.integers(0, 10**6), st.integers(1, 400), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_without_lambda_the_cheapest_are_chosen(seed, items, budget):
    costs, probs, target = a_case(seed, items)
    found = solve(costs, probs, target, 0.0, budget)
    np.testing.assert_array_equal(found.positions, np.sort(np.argsort(costs)[:budget]))
    assert found.gap == pytest.approx(0, abs=1e-12)


def test_sure_classes_and_a_large_lambda_give_exact_quotas():
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 300, p=[0.8, 0.15, 0.05])
    found = solve(rng.normal(size=300), np.eye(3)[labels], np.array([4.0, 5, 6]), 1e3, 15)
    assert np.bincount(labels[found.positions]).tolist() == [4, 5, 6]
    assert found.relative_gap < 1e-9
    assert found.gap == found.value - found.bound


@pytest.mark.parametrize("lam", [1e3, 1e6, 1e9, 1e12, 1e15])
@pytest.mark.parametrize("target", [1.0, 7.0])
def test_costs_decide_within_a_class_however_large_lambda_is(lam, target):
    costs, probs = np.array([0.3, 0.2, 0.1, 0.4, 0.05]), np.eye(2)[[0, 0, 0, 1, 1]]
    found = solve(costs, probs, np.array([target, target]), lam, 2)
    # Of a target that is out of reach any two items leave as much: the cheapest two.
    assert found.positions.tolist() == [2, 4]


@pytest.mark.parametrize("scale", [1e-200, 1e-14, 1.0, 1e14])
@pytest.mark.parametrize("other", [1.0, 1e13])
def test_small_differences_of_costs_decide_whatever_the_others_are(scale, other):
    costs = scale * np.array([other, 0.2, 0.1])
    for lam in (0.0, 0.5 * scale):
        assert solve(costs, np.ones((3, 1)), np.zeros(1), lam, 1).positions.tolist() == [2]


@pytest.mark.parametrize("unit", [2.0**-400, 2.0**-40, 2.0**40, 2.0**400])
@pytest.mark.parametrize("kind", ["l1", "l2", "w1"])
def test_the_unit_of_the_costs_does_not_matter(unit, kind):
    costs, probs, target = a_case(0)
    one = solve(costs, probs, target, 1.0, 12, kind=kind)
    other = solve(unit * costs, probs, target, unit, 12, kind=kind)
    np.testing.assert_array_equal(one.positions, other.positions)
    assert (other.value, other.bound) == (unit * one.value, unit * one.bound)
    assert other.relative_gap == one.relative_gap


@pytest.mark.parametrize("lam", [1e12, 1e15, 1e18])
@pytest.mark.parametrize("seed", range(4))
def test_a_lambda_beyond_the_solvers_range_is_no_special_case(lam, seed):
    costs, probs, target = a_case(seed)
    if seed % 2:
        probs = np.eye(4)[probs.argmax(axis=1)]
    found = solve(costs, probs, target, lam, 12)
    assert found.bound <= found.value
    left = discrepancy(target, probs[found.positions].sum(axis=0))
    quiet = solve(costs, probs, target, 1e6, 12).positions
    assert left <= discrepancy(target, probs[quiet].sum(axis=0)) + 1e-3


def test_of_equal_choices_the_first_in_order_is_taken():
    # Equal but for rounding: .1 + .2 against .3, both in costs and in what is left of the target.
    costs, probs = np.array([0.3, 0.0, 0.1, 0.2]), np.array([[0.0], [0.3], [0.2], [0.1]])
    assert solve(costs, np.zeros((4, 1)), np.zeros(1), 1.0, 2).positions.tolist() == [1, 2]
    assert solve(costs[[0, 0, 2, 3]], np.zeros((4, 1)), np.zeros(1), 0.0, 3).positions.tolist() == [
        *(0, 2, 3)
    ]
    for lam in (1.0, 1e9):
        none = np.zeros(4)
        assert solve(none, probs, np.full(1, 0.3), lam, 2).positions.tolist() == [0, 1]
    assert solve(
        np.zeros(12), np.eye(3)[np.arange(12) % 3], np.ones(3), 1e9, 3
    ).positions.tolist() == [*(0, 1, 2)]


def test_a_permuted_pool_gives_the_same_choice():
    costs, probs, target = a_case(5, 400)
    order = np.random.default_rng(1).permutation(400)
    plain = solve(costs, probs, target, 0.5, 30)
    moved = solve(costs[order], probs[order], target, 0.5, 30)
    assert moved.value == pytest.approx(plain.value, rel=1e-4)
    assert moved.bound == pytest.approx(plain.bound, rel=1e-5)


@pytest.mark.parametrize("kind", ["l1", "w1"])
def test_highs_finds_no_better_choice_than_the_bound_allows(kind):
    from scipy.optimize import Bounds, LinearConstraint, milp

    costs, probs, target = a_case(8, 150, 5)
    found = solve(costs, probs, target, 1.0, 12, kind=kind)
    columns, wanted = (
        (probs, target) if kind == "l1" else (np.cumsum(probs, axis=1), np.cumsum(target))
    )
    rows = np.hstack([columns.T, np.eye(5), -np.eye(5)])
    rows = np.vstack([rows, np.r_[np.ones(150), np.zeros(10)]])
    right = np.append(wanted, 12)
    best = milp(
        np.r_[costs, np.ones(10)],
        constraints=LinearConstraint(rows, right, right),
        integrality=np.r_[np.ones(150), np.zeros(10)],
        bounds=Bounds(0, np.r_[np.ones(150), np.full(10, np.inf)]),
        options={"mip_rel_gap": 1e-9},
    )
    assert found.bound <= best.fun + 1e-9
    assert best.fun <= found.value + 1e-9
    assert found.value == pytest.approx(best.fun, rel=5e-3)


def test_a_large_pool_is_certified_to_a_hundredth_of_a_percent():
    rng = np.random.default_rng(0)
    labels = rng.choice(10, 20_000, p=(prior := 0.1 ** np.linspace(0, 1, 10)) / prior.sum())
    logits = rng.normal(size=(20_000, 10))
    logits[np.arange(20_000), labels] += rng.gamma(2.0, 1.5, 20_000)
    probs = np.exp(logits)
    probs /= probs.sum(axis=1, keepdims=True)
    costs = (probs * np.log(probs)).sum(axis=1)
    counts = rng.multinomial(400, prior / prior.sum())
    found = solve(costs, probs, target_counts(counts, 400, 400, 1), 1.0, 400)
    assert found.relative_gap <= 1e-4


def test_equal_items_and_other_corners_are_no_special_case():
    same = solve(np.zeros(5000), np.full((5000, 2), 0.5), np.array([10.0, 10]), 1.0, 20)
    assert len(same.positions) == 20
    assert same.value == pytest.approx(0, abs=1e-9)
    assert solve(np.zeros(0), np.zeros((0, 3)), np.ones(3), 1, 4).positions.tolist() == []
    assert solve(np.arange(3.0), np.ones((3, 1)), np.ones(1), 1, 9).positions.tolist() == [0, 1, 2]
    assert solve(np.arange(30.0), np.ones((30, 0)), np.ones(0), 1, 2).positions.tolist() == [0, 1]
    float32 = solve(*(x.astype(np.float32) for x in a_case(1, 40)), 0.5, 5)
    assert float32.positions.tolist() == solve(*a_case(1, 40), 0.5, 5).positions.tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lam": -1}, "negative"),
        ({"lam": np.nan}, "not finite"),
        ({"budget": -1}, "negative"),
        ({"kind": "l3"}, "l3"),
        ({"costs": np.array([np.nan, 1])}, "not finite"),
        ({"target": np.ones(3)}, "do not fit"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, words):
    plain = {"costs": np.ones(2), "probs": np.ones((2, 2)), "target": np.ones(2)}
    with pytest.raises(ValueError, match=words):
        solve(**{**plain, "lam": 1.0, "budget": 1, **change})
