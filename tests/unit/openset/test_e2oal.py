"""E2OAL, arXiv 2603.07898."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import dirichlet

from vidal.assemble import STRATEGIES
from vidal.errors import UsageError
from vidal.openset.e2oal import (
    E2oal,
    edl_kl,
    edl_loss,
    edl_nll,
    edl_probs,
    information,
    pool_size,
    purity,
    select_from_pool,
    structure_f1,
    target_update,
    ternary_search,
)
from vidal.openset.e2oal_classes import estimate
from vidal.openset.e2oal_training import split
from vidal.query.options import build

SEEDS = st.integers(0, 2**32 - 1)


def test_evidence_by_hand_where_the_slide_misprints_it():
    found = edl_probs(np.array([[0.0, 5, 0, 0], [-5, 0, -5, -5]]))
    e5 = math.exp(5)
    np.testing.assert_allclose(found[0], np.array([2, e5 + 1, 2, 2]) / (e5 + 7))
    assert found[:, 1].round(3).tolist() == [0.961, 0.398]
    cut = edl_probs(np.array([[99.0, 0]]), clamp=1)
    np.testing.assert_allclose(cut, [[(math.e + 1) / (math.e + 3), 2 / (math.e + 3)]])


def test_the_divergence_is_0_only_without_evidence_for_another_class():
    logits = np.array([[3.0, -900, -900], [0, 0, 0]])
    kl = edl_kl(logits, np.array([0, 0]), clamp=40)
    np.testing.assert_allclose(kl[0], 0, atol=1e-9)
    assert kl[1] > 0
    assert edl_kl(np.array([[2.0]]), np.array([0])).tolist() == [0]


def test_the_divergence_is_that_of_dirichlets_by_sampling():
    logits, labels = np.array([[0.5, 1.0, -1.0]]), np.array([2])
    alpha = np.exp(logits[0]) + 1
    alpha[2] = 1
    draws = dirichlet.rvs(alpha, 40_000, random_state=0)
    sampled = np.mean(dirichlet.logpdf(draws.T, alpha) - dirichlet.logpdf(draws.T, np.ones(3)))
    assert edl_kl(logits, labels)[0] == pytest.approx(sampled, abs=0.01)


@given(SEEDS, st.integers(1, 5), st.floats(0.2, 4))
def test_evidence_is_a_distribution_and_its_loss_is_made_of_both_parts(seed, classes, gamma):
    rng = np.random.default_rng(seed)
    logits, labels = rng.uniform(-1e3, 1e3, (4, classes)), rng.integers(0, classes, 4)
    probs = edl_probs(logits, gamma)
    np.testing.assert_allclose(probs.sum(axis=1), 1)
    nll, kl = edl_nll(logits, labels, gamma), edl_kl(logits, labels, gamma)
    np.testing.assert_allclose(nll, -np.log(probs[np.arange(4), labels]), atol=1e-12)
    assert (kl >= -1e-9).all()
    whole = edl_loss(logits, labels, 0.3, gamma)
    assert whole == pytest.approx(nll.mean() + 0.3 * kl.mean() / classes)
    assert edl_loss(logits[:0], labels[:0]) == 0


def test_purity_is_a_gap_and_without_unknown_columns_the_largest():
    logits = np.array([[1.0, 4, 3, 2], [0, 0, 5, 9]])
    assert purity(logits, 2).tolist() == [1, -9]
    assert purity(logits, 4).tolist() == [4, 9]
    assert purity(np.zeros((0, 3)), 2).tolist() == []


@given(SEEDS, st.integers(1, 6))
def test_information_is_a_product_of_jensen_shannon_divergences(seed, k):
    p = np.random.default_rng(seed).dirichlet(np.full(k, 0.5), 5)
    found = information(p)
    for row, value in zip(p, found, strict=True):
        sure = np.eye(k)[row.argmax()]
        wanted = (jensenshannon(row, np.full(k, 1 / k)) * jensenshannon(row, sure)) ** 2
        assert value == pytest.approx(np.nan_to_num(wanted), abs=1e-9)
    assert (found <= math.log(2) ** 2).all()


def test_information_is_0_at_uniform_and_at_one_hot_and_of_one_class():
    p = np.array([[0.25] * 4, [0, 1, 0, 0]])
    np.testing.assert_allclose(information(p), [0, 0], atol=1e-12)
    assert information(np.ones((2, 1))).tolist() == [0, 0]
    assert information(np.zeros((0, 3))).tolist() == []


def test_reversed_divergences_of_the_code_exceed_log_2():
    p = np.array([[0.6, 0.4 - 1e-9, 1e-9]])
    assert information(p, "reversed")[0] > math.log(2) ** 2 > information(p)[0] > 0


def test_the_target_answers_the_precision_and_stays_in_0_to_1():
    assert target_update(0.6, 0.6, 0.5) == pytest.approx(0.7)
    assert target_update(0.6, 0.6, 0.0) == 1
    assert target_update(0.1, 0.2, 1.0) == 0
    assert target_update(0.4, 0.6, math.nan) == 0.4
    assert E2oal().steered(()) == 0.6
    assert E2oal().steered((0.8, 0.7)) == pytest.approx(0.3)
    assert E2oal(target=0.9).steered((0.1, 1.0)) == pytest.approx(0.9)


def test_the_pool_grows_until_its_end_is_as_impure_as_the_target():
    pure, info = np.array([0.2, 1.0, 0.8, 0.6, 0.4]), np.array([0.0, 3, 2, 1, 9])
    assert pool_size(pure, info, 2, 0.7) == 3  # (0.8 + 0.6) / 2
    assert pool_size(pure, info, 2, 0.95) == 2
    assert pool_size(pure, info, 2, 0.69) == 4
    assert pool_size(pure, info, 2, 0.1) == 5
    assert pool_size(pure, info, 2, 0.7, "code") == 4  # rows 1 and 4: (1.0 + 0.4) / 2
    assert pool_size(pure, info, 2, 0.0, "code") == 5
    for rule in ("paper", "code"):
        assert pool_size(pure, info, 5, 1.0, rule) == 5
        assert pool_size(pure, info, 9, 1.0, rule) == 5
        assert pool_size(pure, info, 0, 0.5, rule) == 0
        assert pool_size(np.zeros(0), np.zeros(0), 3, 0.5, rule) == 0


@given(SEEDS, st.integers(1, 15), st.integers(1, 15), st.floats(0.01, 1))
def test_the_size_of_the_pool_is_that_of_looking_at_every_size(seed, n, budget, target):
    rng = np.random.default_rng(seed)
    pure, info = rng.integers(0, 6, n) / 5, rng.integers(0, 4, n).astype(float)
    order = np.argsort(-pure, kind="stable")
    for rule in ("paper", "code"):
        wanted = n
        for size in range(budget, n + 1):
            kept = order[:size]
            if rule == "code":
                kept = np.sort(kept)[np.argsort(-info[np.sort(kept)], kind="stable")]
                kept = kept[:budget]
            if np.mean(pure[kept][-budget:]) <= target + 1e-12:
                wanted = size
                break
        assert pool_size(pure, info, budget, target, rule) == wanted


@given(SEEDS, st.integers(0, 15), st.integers(0, 18), st.integers(0, 20))
def test_a_batch_is_exact_and_out_of_the_purest(seed, n, budget, size):
    rng = np.random.default_rng(seed)
    pure, info = rng.random(n), rng.random(n)
    found = select_from_pool(pure, info, budget, size)
    assert len(found) == len(np.unique(found)) == min(budget, n)
    best = np.argsort(-pure)[: max(size, budget)]
    assert np.isin(found, best).all()


def test_f1_by_hand_with_a_cluster_that_no_class_has():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    clusters = np.array([4, 4, 9, 5, 5, 9, 9, 6])
    # class 0 has cluster 4: 2*2/(2+3); class 1 cluster 5: 1; unknown 9 and 6: 2*3/(4+3)
    assert structure_f1(labels, clusters, 2) == pytest.approx(4 / 5 * 6 / 7)
    assert structure_f1(labels, labels, 2) == 1
    assert structure_f1(labels[:5], clusters[:5], 2) == 0  # nothing unknown: 0/0
    assert structure_f1(np.zeros(0, int), np.zeros(0, int), 2) == 0


@given(SEEDS, st.integers(1, 4))
def test_f1_does_not_depend_on_the_names_of_clusters(seed, known):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(known + 1), 12)
    own = np.arange(len(labels)) % 12 < 9  # so that one match is the best
    clusters = np.where(own, labels, rng.integers(0, 9, len(labels)))
    names, order = rng.permutation(100), rng.permutation(len(labels))
    before = structure_f1(labels, clusters, known)
    assert 0 < before <= 1
    assert structure_f1(labels[order], names[clusters][order], known) == pytest.approx(before)


@given(st.integers(1, 39), st.integers(0, 38), st.integers(-3, 9))
def test_the_search_finds_every_single_peak(count, peak, low):
    peak %= count
    values = -np.abs(np.arange(count) - peak) - 0.3 * (np.arange(count) > peak)
    assert ternary_search(values, low) == low + peak


def test_the_search_takes_the_first_of_equals_that_it_sees_and_refuses_nothing_to_search():
    assert ternary_search(np.zeros(3), 5) == 5
    with pytest.raises(ValueError, match="no values"):
        ternary_search(np.zeros(0), 1)


def planted(kinds, known, seed=0):
    """(n, 12) features of so many kinds, and labels: those from ``known`` on are unknown."""
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(kinds), 12)
    features = np.eye(12)[which] + rng.normal(0, 0.08, (len(which), 12))
    return features, np.minimum(which, known), which


def test_the_number_of_unknown_classes_is_found_and_each_has_its_own_place():
    features, labels, which = planted(7, 3)
    found = estimate(features, labels, 3, 0, 24)
    assert found.extra == 4
    assert (found.place[labels < 3] == -1).all()
    unknown = labels == 3
    together = np.unique(np.stack([which[unknown], found.place[unknown]], axis=1), axis=0)
    assert len(together) == 4


def test_known_classes_without_labels_do_not_spoil_the_estimate():
    features, labels, _ = planted(5, 3)
    kept = labels != 1
    assert estimate(features[kept], labels[kept], 3, 0, 20).extra == 2


def test_no_unknown_objects_have_no_classes_and_a_few_have_one():
    features, labels, _ = planted(3, 3)
    assert estimate(features, labels, 3, 0, 20).extra == 0
    found = estimate(np.ones((3, 2)), np.array([0, 1, 2]), 2, 0, 20)
    assert found.extra == 1
    assert found.place.tolist() == [-1, -1, 0]
    only = estimate(np.eye(4), np.array([1, 1, 1, 1]), 1, 0, 20)
    assert only.extra >= 1
    assert (only.place >= 0).all()


def test_a_given_number_of_unknown_classes_is_taken():
    features, labels, which = planted(5, 2)
    found = split(features, labels, 2, 0, 3)
    assert found.extra == 3
    unknown = labels == 2
    assert len(np.unique(np.stack([which[unknown], found.place[unknown]], axis=1), axis=0)) == 3
    assert split(features[:10], labels[:10], 2, 0, 3).extra == 0


def test_options_that_cannot_be_meant_are_refused():
    wrong = {"gamma": 0, "clamp": -1, "target": 2, "ramp": -1, "classes": -1, "most_classes": 1}
    for name, value in wrong.items():
        with pytest.raises(UsageError):
            build(STRATEGIES["e2oal"], {name: value})
