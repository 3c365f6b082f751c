import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from tests.unit.openset.planted import image_pool, share_of_known
from vidal.openset.purity import energy, mahalanobis, react, rectified

SEEDS = st.integers(0, 2**32 - 1)


def test_energy_is_the_log_of_the_sum_of_exponentials():
    np.testing.assert_allclose(
        energy(np.array([[0.0, 0.0], [1.0, 1.0]])), math.log(2) + np.arange(2)
    )
    assert energy(np.array([[5.0]])).tolist() == [5]
    assert energy(np.zeros((0, 3))).tolist() == []


@given(SEEDS, st.integers(1, 5), st.floats(-1e3, 1e3))
def test_energy_moves_with_the_logits_and_never_overflows(seed, classes, shift):
    logits = np.random.default_rng(seed).uniform(-1e3, 1e3, (4, classes))
    values = energy(logits)
    np.testing.assert_allclose(values, logsumexp(logits, axis=1))
    np.testing.assert_allclose(energy(logits + shift), values + shift, atol=1e-9)
    assert (values >= logits.max(axis=1)).all()


def test_react_cuts_activations_off_and_is_energy_without_a_cut():
    features, weight, bias = np.array([[1.0, 9.0]]), np.eye(2), np.array([0.0, 1.0])
    np.testing.assert_allclose(react(features, weight, bias, 2.0), [np.logaddexp(1, 3)])
    np.testing.assert_allclose(react(features, weight, bias, np.inf), energy(features + bias))


def test_mahalanobis_is_0_at_a_class_mean_and_minus_the_squared_distance_elsewhere():
    labelled = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    values = mahalanobis(np.array([[0.0, 0], [1, 1]]), labelled, np.zeros(4), 1, ridge=0)
    np.testing.assert_allclose(values, [0, -4])


def test_items_of_no_known_class_say_nothing_and_a_class_without_items_is_skipped():
    labelled, labels = np.array([[0.0], [2.0], [50.0], [60.0]]), np.array([0, 0, 3, -1])
    np.testing.assert_allclose(mahalanobis(np.array([[3.0]]), labelled, labels, 3, ridge=0), [-4])
    with pytest.raises(ValueError, match="no labelled items"):
        mahalanobis(np.zeros((1, 1)), labelled[2:], labels[2:], 3)


@given(SEEDS)
def test_without_a_ridge_mahalanobis_is_affine_invariant(seed):
    rng = np.random.default_rng(seed)
    labelled, features = rng.normal(size=(12, 3)), rng.normal(size=(5, 3))
    labels = np.arange(12) % 2
    matrix, shift = rng.normal(size=(3, 3)) + 3 * np.eye(3), rng.normal(size=3)
    before = mahalanobis(features, labelled, labels, 2, ridge=0)
    after = mahalanobis(features @ matrix + shift, labelled @ matrix + shift, labels, 2, ridge=0)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-7)


def test_columns_that_do_not_vary_are_no_special_case():
    labelled = np.array([[0.0, 5.0], [2.0, 5.0]])
    values = mahalanobis(np.array([[3.0, 5.0]]), labelled, np.zeros(2), 1, ridge=0)
    np.testing.assert_allclose(values, [-4])
    assert mahalanobis(np.array([[5.0]]), np.array([[5.0]]), np.zeros(1), 1).tolist() == [0]


def test_the_threshold_is_the_90th_percentile_of_activations_of_labelled_known_items():
    rng = np.random.default_rng(0)
    features, labelled = rng.gamma(2, 1, (5, 3)), rng.gamma(2, 1, (9, 3))
    answers = np.array([0, 1, 0, 1, 0, 1, 2, 2, -1])
    weight, bias = rng.normal(size=(3, 2)), rng.normal(size=2)
    pool = image_pool(features, labelled, answers, weight, bias)
    threshold = np.percentile(labelled[:6].astype(np.float32), 90)
    np.testing.assert_allclose(
        rectified(features, pool.items, (weight, bias)), react(features, weight, bias, threshold)
    )
    none = pool.items.keep(answers > 1)
    np.testing.assert_allclose(
        rectified(features, none, (weight, bias)), energy(features @ weight + bias)
    )
    assert rectified(features[:0], pool.items, (weight, bias)).tolist() == []


def test_cutting_off_takes_the_energy_of_a_single_strong_activation_away():
    rng = np.random.default_rng(1)
    weight = np.kron(np.eye(3), np.ones((5, 1)))
    classes = np.arange(150) % 3
    known = np.maximum(0, 2 * weight.T[classes] + rng.normal(0, 0.5, (150, 15)))
    odd = np.maximum(0, rng.normal(0, 0.3, (150, 15)))
    odd[np.arange(150), rng.integers(0, 15, 150)] = 20
    labelled = np.maximum(0, 2 * weight.T[classes[:60]] + rng.normal(0, 0.5, (60, 15)))
    pool = image_pool(np.concatenate([known, odd]), labelled, classes[:60], weight)
    unknown = np.repeat([False, True], 150)
    mine = share_of_known("react", pool, unknown, 50)
    assert mine > 0.95
    assert mine > share_of_known("energy", pool, unknown, 50) + 0.5
    assert mine > share_of_known("random", pool, unknown, 50) + 0.3
