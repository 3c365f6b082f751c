"""EAOA: an energy-based approach to active open-set annotation, CVPR 2025."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from vidal.assemble import STRATEGIES
from vidal.errors import UsageError
from vidal.openset.eaoa import (
    Eaoa,
    adapt_k,
    aleatoric,
    energy_margin_loss,
    epistemic_data,
    epistemic_learn,
    select_filtered,
)
from vidal.query.options import build

SEEDS = st.integers(0, 2**32 - 1)


def test_the_energy_loss_by_hand():
    logits = np.array([[2.0, -99, 0], [-1, -99, 9], [4, -99, 0]])  # energies -2, 1, -4
    found = energy_margin_loss(logits, np.array([0, 2, 1]), 2, -3.0, 3.0)
    assert found == pytest.approx((1**2 + 0**2) / 2 + 2**2)
    assert energy_margin_loss(logits[:1], np.array([0]), 2, -3.0, 3.0) == pytest.approx(1)
    assert energy_margin_loss(logits[1:2], np.array([2]), 2, -3.0, 3.0) == pytest.approx(4)
    assert energy_margin_loss(np.zeros((0, 3)), np.zeros(0, int), 2) == 0


def test_energy_of_the_detector_has_a_term_of_the_unknown_where_there_is_a_column():
    logits = np.array([[0.0, 0, 3], [1, 2, -1000]])
    found = epistemic_learn(logits, 2)
    np.testing.assert_allclose(
        found, [-math.log(2) + math.log(1 + math.exp(3)), -np.logaddexp(1, 2)]
    )
    np.testing.assert_allclose(epistemic_learn(logits[:, :2], 2), -logsumexp(logits[:, :2], axis=1))


def test_votes_are_divided_by_the_size_of_their_class():
    found = epistemic_data(np.array([[4, 2, 6]]), np.array([4, 2, 6]))  # mean 3
    by_hand = -np.logaddexp(4 / (4 / 3), 2 / (2 / 3)) + np.logaddexp(0, 6 / 2)
    np.testing.assert_allclose(found, [by_hand])


def test_an_item_without_votes_has_the_energy_of_k_zeros():
    none = np.zeros((1, 4), int)
    np.testing.assert_allclose(epistemic_data(none, np.array([5, 5, 5, 0])), [-math.log(3)])
    with_unknown = epistemic_data(none, np.array([5, 5, 5, 2]))
    np.testing.assert_allclose(with_unknown, [-math.log(3) + math.log(2)])
    np.testing.assert_allclose(epistemic_data(none, np.zeros(4)), [-math.log(3)])


def test_a_class_without_items_weighs_1_and_hundreds_of_votes_do_not_overflow():
    found = epistemic_data(np.array([[500.0, 7, 900]]), np.array([2, 0, 1]))  # mean 1
    np.testing.assert_allclose(found, [-np.logaddexp(250, 7) + 900])


def test_votes_read_as_shares_are_the_odds_of_the_slides():
    votes = np.array([[3, 1, 4], [0, 0, 0], [0, 2, 0]])
    sizes = np.array([5, 5, 5])
    found = epistemic_data(votes, sizes, "shares")
    np.testing.assert_allclose(found[[0, 2]], [-math.log(4) + math.log(5), -math.log(2)])
    assert np.isfinite(found).all()
    assert found[1] == found.max()
    without = epistemic_data(votes, np.array([5, 5, 0]), "shares")
    np.testing.assert_allclose(without[0], -math.log(4))


@given(SEEDS, st.integers(1, 4), st.sampled_from(["logits", "shares"]))
def test_a_vote_for_a_known_class_lowers_it_and_one_for_unknown_raises_it(seed, known, reading):
    rng = np.random.default_rng(seed)
    votes, sizes = rng.integers(1, 9, (3, known + 1)), rng.integers(1, 9, known + 1)
    before = epistemic_data(votes, sizes, reading)
    for column in range(known + 1):
        more = votes + np.eye(known + 1, dtype=int)[column]
        change = epistemic_data(more, sizes, reading) - before
        assert (change > 0).all() if column == known else (change <= 0).all()
        # one vote more is lost in rounding beside a class with far more of them
        near = (
            votes[:, column] / sizes[column]
            > (votes / sizes)[:, :-1].max(axis=1) - 30 / sizes[:-1].mean()
        )
        assert column == known or (change[near] < 0).all()


@given(SEEDS, st.integers(2, 5))
def test_aleatoric_is_the_log_of_what_the_likeliest_class_leaves(seed, k):
    logits = np.random.default_rng(seed).normal(0, 3, (4, k))
    wanted = np.log(1 - softmax(logits, axis=1).max(axis=1))
    np.testing.assert_allclose(aleatoric(logits), wanted, atol=1e-9)


def test_aleatoric_of_one_class_is_0_of_equals_the_lower_one_goes_and_all_is_finite():
    assert aleatoric(np.array([[3.0], [-2.0]])).tolist() == [0, 0]
    np.testing.assert_allclose(aleatoric(np.zeros((1, 2))), [math.log(0.5)])
    assert np.isfinite(aleatoric(np.array([[1e3, -1e3, 0.0]]))).all()
    assert aleatoric(np.zeros((0, 3))).tolist() == []


def test_k_follows_the_precision_outside_the_tolerance_and_is_never_below_1():
    assert [adapt_k(5, p) for p in (0.7, 0.66, 0.65, 0.6, 0.55, 0.54)] == [6, 6, 5, 5, 5, 4]
    assert adapt_k(1.5, 0.0) == 1
    assert adapt_k(3, 1.0, step=0.5) == 3.5
    assert adapt_k(3, math.nan) == 3
    assert Eaoa().steered(()) == 5
    assert Eaoa().steered((0.1, 0.2, math.nan, 0.9)) == 4
    assert Eaoa(k=2).steered((0.0, 0.0, 0.9)) == 2


def test_of_each_class_the_cleanest_then_the_informative():
    clean = np.array([0.9, 0.8, 0.7, 0.1, 0.95])
    info = np.array([0.1, 0.2, 0.9, 1.0, 0.5])
    predicted = np.array([0, 0, 0, 0, 1])
    assert select_filtered(clean, info, predicted, 2, 2.0, 2).tolist() == [1, 4]
    assert select_filtered(clean, info, predicted, 2, 3.0, 2).tolist() == [2, 4]
    assert select_filtered(clean, info, predicted, 2, 3.0, 1).tolist() == [2]
    assert select_filtered(clean, info, predicted, 2, 1.0, 4).tolist() == [0, 1, 2, 4]
    assert select_filtered(clean, info, predicted, 2, 2.5, 0).tolist() == []


@given(SEEDS, st.integers(0, 20), st.integers(1, 5), st.integers(0, 25), st.floats(1, 6))
def test_a_batch_is_exact_distinct_and_permuted_with_the_pool(seed, n, known, budget, k):
    rng = np.random.default_rng(seed)
    clean, info, predicted = rng.random(n), rng.random(n), rng.integers(0, known + 1, n)
    found = select_filtered(clean, info, predicted, known, k, budget)
    assert len(found) == len(np.unique(found)) == min(budget, n)
    assert (np.diff(found) > 0).all()
    order = rng.permutation(n)
    again = select_filtered(clean[order], info[order], predicted[order], known, k, budget)
    np.testing.assert_array_equal(np.sort(order[again]), found)


def test_frozen_features_are_asked_for_only_where_they_vote():
    assert "frozen" not in Eaoa().needs
    assert "frozen" in Eaoa(features="frozen").needs


def test_options_that_cannot_be_meant_are_refused():
    for options in ({"k": 0}, {"votes": 0}, {"step": -1}, {"target": 1.5}, {"energy_weight": -1}):
        with pytest.raises(UsageError):
            build(STRATEGIES["eaoa"], options)


@given(SEEDS, st.integers(1, 4))
def test_scores_are_finite_for_extreme_logits_and_votes_and_in_single_precision(seed, known):
    rng = np.random.default_rng(seed)
    logits = rng.choice([-1e3, 0.0, 1e3], (5, known + 1)).astype(np.float32)
    sizes = rng.integers(0, 3, known + 1)
    found = [
        epistemic_learn(logits, known),
        epistemic_data(np.abs(logits), sizes),
        epistemic_data(np.abs(logits), sizes, "shares"),
        aleatoric(logits),
    ]
    assert all(np.isfinite(each).all() and each.dtype == np.float64 for each in found)
