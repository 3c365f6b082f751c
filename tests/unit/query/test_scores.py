"""The pure functions behind the score strategies, on arrays small enough to work out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vidal.query.badge import sampling_probabilities
from vidal.query.balance import objective
from vidal.query.dispersion import label_dispersion
from vidal.query.egl import expected_gradient_length
from vidal.query.learning_loss import ranking_loss
from vidal.query.pseudo import ceal_pseudo_labels, ceal_threshold
from vidal.query.svm import svm_margin
from vidal.query.uncertainty import bald, certainty, entropy, least_confidence, margin, msp

SEEDS = st.integers(0, 2**32 - 1)


def distributions(seed, *shape):
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


def test_certainty_is_the_largest_probability_and_mirrors_least_confidence():
    probs = np.array([[0.2, 0.5, 0.3], [1, 0, 0]])
    assert certainty(probs).tolist() == [0.5, 1]
    assert msp is certainty
    np.testing.assert_allclose(certainty(probs), 1 - least_confidence(probs))


@pytest.mark.parametrize("formula", [least_confidence, margin, entropy, certainty])
def test_nested_lists_and_whole_numbers_are_distributions_too(formula):
    rows = [[0, 1, 0], [1, 0, 0]]
    sure = [1.0, 1.0] if formula is certainty else [0.0, 0.0]
    assert formula(rows).tolist() == formula(np.array(rows)).tolist() == sure
    assert bald([rows, rows]).tolist() == label_dispersion(rows[:1])[:2].tolist() == [0, 0]


def test_opposite_passes_disagree_by_one_bit_and_equal_ones_not_at_all():
    opposite = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(bald(opposite), [math.log(2)])
    np.testing.assert_allclose(bald(np.repeat([[[0.3, 0.7]]], 4, axis=0)), [0], atol=1e-15)


def test_one_pass_and_none_disagree_with_nothing():
    assert bald(np.array([[[0.2, 0.8], [1, 0]]])).tolist() == [0, 0]
    assert bald(np.zeros((0, 3, 2))).tolist() == [0, 0, 0]
    assert bald(np.zeros((4, 0, 2))).tolist() == []


@given(SEEDS, st.integers(1, 6), st.integers(0, 7), st.integers(1, 5))
def test_disagreement_lies_between_0_and_the_log_of_the_classes(seed, passes, rows, columns):
    probs = distributions(seed, passes, rows, columns)
    values = bald(probs.astype(np.float32))
    assert ((values >= 0) & (values <= math.log(columns) + 1e-6)).all()
    np.testing.assert_allclose(values, bald(probs[::-1]), atol=1e-6)


def test_dispersion_is_the_share_of_votes_not_for_the_most_frequent_label():
    votes = np.array([[0, 2, 1], [0, 2, 2], [0, 1, 3], [0, 1, 4]])
    assert label_dispersion(votes).tolist() == [0, 0.5, 0.75]
    assert label_dispersion(votes[:1]).tolist() == [0, 0, 0]
    assert label_dispersion(np.zeros((0, 2))).tolist() == [0, 0]
    assert label_dispersion(np.zeros((5, 0), np.int16)).tolist() == []


@given(
    arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(0, 6)), elements=st.integers(-1, 4))
)
def test_dispersion_ignores_the_order_of_epochs_and_the_names_of_labels(votes):
    expected = label_dispersion(votes)
    np.testing.assert_array_equal(label_dispersion(votes[::-1]), expected)
    np.testing.assert_array_equal(label_dispersion((7 - 3 * votes).astype(np.int16)), expected)
    counts = [max(np.unique(column, return_counts=True)[1]) for column in votes.T]
    np.testing.assert_allclose(expected, [1 - most / len(votes) for most in counts])


def test_the_threshold_for_pseudo_labels_falls_by_round_to_0():
    assert ceal_threshold(0) == 0.05
    assert ceal_threshold(2) == pytest.approx(0.0434)
    assert ceal_threshold(16) == 0
    assert ceal_threshold(3, start=1.0, decay=0.25) == 0.25


def test_what_was_asked_is_given_by_position_or_by_mask():
    probs = np.eye(3)
    for queried in ([1], np.array([1.0]), np.array([False, True, False])):
        assert ceal_pseudo_labels(probs, 0.05, queried).tolist() == [[0, 0], [2, 2]]
        assert sampling_probabilities(np.array([1.0, 5, 3]), queried).tolist() == [0.25, 0, 0.75]
    for queried in ([3], [-1], np.array([True])):
        with pytest.raises(ValueError, match="queried"):
            ceal_pseudo_labels(probs, 0.05, queried)
        with pytest.raises(ValueError, match="picked"):
            sampling_probabilities(np.ones(3), queried)
        with pytest.raises(ValueError, match="positions"):
            objective(np.ones(3), probs, np.ones(3), 1.0, queried)


def test_only_sure_items_that_nobody_was_asked_about_get_pseudo_labels():
    probs = np.array([[0.999, 0.001], [0.5, 0.5], [0.0, 1.0], [1.0, 0.0]])
    assert ceal_pseudo_labels(probs, 0.05, np.array([3])).tolist() == [[0, 0], [2, 1]]
    assert ceal_pseudo_labels(probs, 0.0, np.zeros(0)).shape == (0, 2)
    assert ceal_pseudo_labels(np.zeros((0, 3)), 1.0, np.zeros(0)).shape == (0, 2)


def test_ranking_loss_compares_every_item_with_its_mirror():
    assert ranking_loss(np.array([3.0, 1.0]), np.array([0.9, 0.1])) == 0
    assert ranking_loss(np.array([1.0, 3.0]), np.array([0.9, 0.1])) == 3
    assert ranking_loss(np.array([1.0, 0.0, 0.5, 1.5]), np.array([2.0, 1.0, 0.0, 1.0])) == 1.5


def test_of_an_odd_batch_the_last_item_is_left_out_and_a_tie_gives_0():
    assert ranking_loss(np.array([1.0, 3.0, 9.0]), np.array([0.9, 0.1, 5.0])) == 3
    assert ranking_loss(np.array([1.0, 3.0]), np.array([0.5, 0.5])) == 0
    assert ranking_loss(np.array([1.0]), np.array([0.5])) == ranking_loss(EMPTY, EMPTY) == 0
    with pytest.raises(ValueError, match="2 scores for 1 targets"):
        ranking_loss(np.zeros(2), np.zeros(1))


EMPTY = np.zeros(0)


@given(SEEDS, st.integers(2, 20), st.floats(-5, 5))
def test_ranking_loss_does_not_change_when_all_scores_move(seed, size, shift):
    rng = np.random.default_rng(seed)
    scores, targets = rng.normal(size=size), rng.normal(size=size)
    moved = ranking_loss(scores + shift, targets)
    assert moved == pytest.approx(ranking_loss(scores, targets), abs=1e-9)
    assert ranking_loss(10 * np.argsort(np.argsort(targets)), targets) == 0


def test_svm_margin_is_minus_the_distance_to_the_nearest_plane():
    decision = np.array([[2.0, -3.0], [0.0, 5.0]])
    assert svm_margin(decision, np.array([1.0, 3.0])).tolist() == [-1, 0]
    assert svm_margin(2 * decision, np.array([2.0, 6.0])).tolist() == [-1, 0]


def test_a_class_without_a_plane_does_not_count():
    assert svm_margin(np.array([[2.0, 0.0]]), np.array([1.0, 0.0])).tolist() == [-2]
    assert svm_margin(np.ones((2, 1)), np.zeros(1)).tolist() == [0, 0]
    assert svm_margin(np.zeros((0, 2)), np.ones(2)).tolist() == []


def test_expected_gradient_is_0_where_the_model_is_certain_and_grows_with_the_feature():
    probs = np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
    features = np.array([[3.0, 4.0], [3.0, 4.0], [6.0, 8.0]])
    np.testing.assert_allclose(
        expected_gradient_length(probs, features), [0, 5 * math.sqrt(0.5), 10 * math.sqrt(0.5)]
    )


@given(SEEDS, st.integers(0, 6), st.integers(1, 5), st.integers(1, 4))
def test_expected_gradient_agrees_with_the_explicit_gradients(seed, rows, classes, width):
    rng = np.random.default_rng(seed)
    probs, features = distributions(seed, rows, classes), rng.normal(size=(rows, width))
    expected = [
        sum(p[c] * np.linalg.norm(np.outer(p - np.eye(classes)[c], f)) for c in range(classes))
        for p, f in zip(probs, features, strict=True)
    ]
    np.testing.assert_allclose(expected_gradient_length(probs, features), expected, atol=1e-12)


@given(SEEDS, st.integers(1, 8), st.integers(1, 4))
def test_permuting_the_items_permutes_every_score_and_extremes_are_finite(seed, rows, classes):
    rng = np.random.default_rng(seed)
    probs = distributions(seed, 3, rows, classes)
    probs[:, rng.random(rows) < 0.5] = np.eye(classes)[rng.integers(classes)]
    features = 1e3 * rng.normal(size=(rows, 3))
    votes = probs.argmax(axis=2)
    planes = rng.uniform(-1e3, 1e3, (rows, classes))
    order = rng.permutation(rows)
    for score, given_arrays, axis in (
        (certainty, (probs[0],), 0),
        (bald, (probs,), 1),
        (label_dispersion, (votes,), 1),
        (expected_gradient_length, (probs[0], features), 0),
        (lambda each: svm_margin(each, np.ones(classes)), (planes,), 0),
    ):
        values = score(*given_arrays)
        assert np.isfinite(values).all()
        moved = score(*(np.take(each, order, axis=axis) for each in given_arrays))
        np.testing.assert_allclose(moved, values[order], rtol=1e-12, atol=1e-12)
