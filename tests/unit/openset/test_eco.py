"""Evidence Conflict Sampling: known from survey slides."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from tests.unit.openset.planted import image_pool, share_of_known
from vidal.errors import UsageError
from vidal.openset.eco import (
    EvidenceConflict,
    Whitening,
    class_gaussians,
    evidence_conflict,
    evidence_literal,
    likelihood,
)

SEEDS = st.integers(0, 2**32 - 1)


def test_a_class_has_means_and_population_variances():
    found = class_gaussians(np.array([[1.0], [3.0], [0.0], [8.0]]), np.array([0, 0, 1, 1]), 2)
    np.testing.assert_allclose(found, [[[2.0], [4.0]], [[1.0], [16.0]]])


def test_a_class_of_one_item_gets_the_pooled_variance_and_others_say_nothing():
    features = np.array([[1.0], [3.0], [9.0], [50.0], [60.0]])
    found = class_gaussians(features, np.array([0, 0, 1, 2, -1]), 2)
    np.testing.assert_allclose(found[0], [[2.0], [9.0]])
    np.testing.assert_allclose(found[1], [[1.0], [2 / 3]])


def test_no_variance_is_below_a_share_of_the_median_and_an_empty_class_is_refused():
    features = np.array([[0.0, 5], [2, 5], [0, 1], [4, 3]])
    found = class_gaussians(features, np.array([0, 0, 1, 1]), 2, floor=0.1)
    np.testing.assert_allclose(found[1], [[1, 0.1], [4, 1]])
    with pytest.raises(ValueError, match="class 1"):
        class_gaussians(features, np.array([0, 0, 2, 2]), 3)
    with pytest.raises(ValueError, match="not finite"):
        class_gaussians(np.array([[np.nan]]), np.array([0]), 1)


@given(SEEDS)
def test_the_likelihood_is_a_gaussian_with_or_without_its_height(seed):
    rng = np.random.default_rng(seed)
    x, means, variances = rng.normal(size=(4, 2)), rng.normal(size=(3, 2)), rng.gamma(2, 1, (3, 2))
    density = norm.pdf(x[:, :, None], means.T, np.sqrt(variances.T))
    gaussians = np.stack([means, variances])
    np.testing.assert_allclose(likelihood(x, gaussians, density=True), density)
    np.testing.assert_allclose(likelihood(x, gaussians), density * np.sqrt(2 * np.pi * variances.T))


def test_where_nothing_varies_only_the_mean_is_likely():
    gaussians = np.array([[[1.0]], [[0.0]]])
    assert likelihood(np.array([[1.0], [1.1]]), gaussians).tolist() == [[[1]], [[0]]]
    with pytest.raises(ValueError, match="variance of 0"):
        likelihood(np.array([[1.0]]), gaussians, density=True)


def test_literal_evidence_is_an_amount_and_conflict_wants_it_for_all_classes():
    agree = [[0.9, 0.1], [0.7, 0.2]]
    differ = [[0.9, 0.1], [0.2, 0.7]]
    values = np.array([agree, differ])
    np.testing.assert_allclose(evidence_literal(values), [1.6, 1.6])
    np.testing.assert_allclose(
        evidence_conflict(values),
        [math.log(1.6 + 1e-6) + math.log(1e-6), math.log(0.9 + 1e-6) + math.log(0.7 + 1e-6)],
    )
    tied = np.array([[[0.5, 0.5]]])
    np.testing.assert_allclose(
        evidence_conflict(tied, eps=1.0), [math.log(1.5) + math.log(1.0)]
    )  # a feature speaks for one class


@given(SEEDS, st.integers(1, 6), st.integers(1, 5))
def test_the_literal_form_is_the_logarithm_of_the_slides_product(seed, features, classes):
    p = np.random.default_rng(seed).random((5, features, classes))
    winner = p.argmax(axis=2)
    product = np.ones(5)
    for y in range(classes):
        product *= np.prod(np.where(winner == y, np.exp(p.max(axis=2)), 1.0), axis=1)
    np.testing.assert_allclose(evidence_literal(p), np.log(product))
    order = np.random.default_rng(seed + 1).permutation(features)
    for rule in (evidence_literal, evidence_conflict):
        np.testing.assert_allclose(rule(p[:, order]), rule(p))
    assert (evidence_conflict(p[:, :, :1]) == evidence_literal(p[:, :, :1])).all()


def test_edges_of_the_contract():
    for rule in (evidence_literal, evidence_conflict):
        assert rule(np.zeros((0, 3, 2))).tolist() == []
        assert np.isfinite(rule(np.zeros((2, 0, 2)))).all()
    assert likelihood(np.zeros((0, 2)), np.ones((2, 3, 2))).shape == (0, 2, 3)
    single = class_gaussians(np.ones((2, 1), np.float32), np.zeros(2), 1)
    assert single.dtype == np.float64
    with pytest.raises(ValueError, match="eps"):
        evidence_conflict(np.ones((1, 1, 2)), eps=0.0)


def test_whitened_features_are_independent_with_deviation_1_and_constant_ones_fall_away():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 5))
    rows[:, 4] = 2.0
    whiten = Whitening(rows[:200], rows[200:], 1.0)
    found = whiten(rows)
    assert found.shape[1] == 3
    np.testing.assert_allclose(found.T @ found / 300, np.eye(3), atol=1e-9)
    few = Whitening(rows[:200] * [1, 1, 1, 1, 1], rows[200:], 0.5)(rows)
    assert few.shape[1] < 3
    assert Whitening(np.ones((4, 2)), np.ones((1, 2)), 1.0)(np.ones((4, 2))).shape == (4, 0)


def planted(rng, n=200):
    """Known images, some of which show features of two classes, and doubtful ones far away."""
    means = np.array([[0.0] * 4, [8.0] * 4])
    classes = np.arange(n) % 2
    known = means[classes]
    known[: n // 4] = [0, 0, 8, 8]
    known = known + rng.normal(0, 1, known.shape)
    far = rng.normal(0, 40, (n, 4))
    far += 4 - far.mean(axis=1, keepdims=True)  # between the classes, as the model sees it
    labelled = np.repeat(np.arange(2), 15)
    base = means[labelled] + rng.normal(0, 1, (30, 4))
    weight = np.tile([-0.2, 0.2], (4, 1))
    pool = image_pool(
        np.concatenate([known, far]), base, labelled, weight, bias=np.array([3.2, -3.2])
    )
    return pool, np.repeat([False, True], n)


@pytest.mark.parametrize("form", ["conflict", "literal"])
def test_what_is_far_from_every_class_has_no_evidence(form):
    pool, unknown = planted(np.random.default_rng(4))
    mine = share_of_known("eco", pool, unknown, 50, form=form)
    assert mine > 0.95
    assert mine > share_of_known("entropy", pool, unknown, 50) + 0.3
    assert mine > share_of_known("random", pool, unknown, 50) + 0.3


def test_the_conflict_form_asks_for_images_that_show_two_classes():
    pool, _ = planted(np.random.default_rng(4))
    mixed = np.arange(400) < 50

    def share(form):
        scores = EvidenceConflict(form=form, whiten=False).score(pool)
        return mixed[np.argsort(-scores)[:40]].mean()

    assert share("conflict") > 0.9
    assert share("literal") < 0.4  # as in the pool: 50 of 200


def test_with_one_class_labelled_the_amount_decides_and_with_none_all_are_alike():
    pool, _ = planted(np.random.default_rng(4))
    one = replace(pool, items=pool.items.keep(pool.items.answers == 0))
    both = [EvidenceConflict(form=form).score(one) for form in ("conflict", "literal")]
    np.testing.assert_array_equal(*both)
    none = replace(pool, items=pool.items.keep(pool.items.answers < 0))
    assert not EvidenceConflict().score(none).any()
    assert "all are alike" in EvidenceConflict().explain(none, np.arange(1)).words[0]


def test_the_blocks_of_a_large_pool_change_nothing(monkeypatch):
    pool, _ = planted(np.random.default_rng(4))
    whole = EvidenceConflict().score(pool)
    monkeypatch.setattr("vidal.openset.eco._BLOCK", 100)
    np.testing.assert_allclose(EvidenceConflict().score(pool), whole)


def test_options_that_cannot_be_meant_are_refused():
    for options in ({"kept": 0.0}, {"kept": 1.1}, {"top": 0}):
        with pytest.raises(UsageError):
            EvidenceConflict(**options)
