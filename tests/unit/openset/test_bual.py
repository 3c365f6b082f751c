"""BUAL: formulas by hand, what is told at random, and a copy that tells unknown objects apart."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare, spearmanr

from tests.unit.openset.learned_problems import planted, precision_of
from vidal.errors import UsageError
from vidal.openset.bual import (
    Bual,
    complementary_labels,
    confidence,
    draw_subset,
    negative_loss,
    paper_score,
    score,
)
from vidal.openset.bual_training import Mixed, dense_loss, negative_loss_torch
from vidal.query.region_scores import RegionScore

shares = arrays(np.float64, 8, elements=st.floats(0, 1, width=32))


def test_confidences_by_hand():
    probs = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(confidence(probs, "lc"), [0.5, 1.0])
    np.testing.assert_allclose(confidence(probs, "margin"), [0.2, 1.0])
    own = 0.5 * math.log(0.5) + 0.3 * math.log(0.3) + 0.2 * math.log(0.2)
    np.testing.assert_allclose(confidence(probs, "entropy"), [own, 0.0], atol=1e-15)


def test_confidences_of_one_class_and_of_no_items():
    for kind in ("lc", "margin", "entropy"):
        assert len(np.unique(confidence(np.ones((3, 1)), kind))) == 1
        assert confidence(np.zeros((0, 3)), kind).shape == (0,)


def test_other_kinds_and_nan_are_refused():
    with pytest.raises(ValueError, match="kind 'max'"):
        confidence(np.ones((1, 2)), "max")
    with pytest.raises(ValueError, match="finite"):
        confidence(np.array([[np.nan, 1.0]]))


def test_the_score_by_hand():
    n, p, a = np.array([0.0, 1.0, 2.0]), np.array([5.0, 4.0, 3.0]), np.array([0.1, 0.3, 0.2])
    # scaled: n 0 .5 1; p 1 .5 0; a 0 1 .5
    np.testing.assert_allclose(score(n, p, a, 0.5), [-0.5, -0.5, -0.5])
    np.testing.assert_allclose(score(n, p, None, 0.0), [0, -0.5, -1])
    np.testing.assert_allclose(score(n, p, a, 0.0), [0, -0.5, -0.5])
    np.testing.assert_allclose(paper_score(n, p, a, 0.5), [2.25, 1.7, 1.6])


@given(shares, shares, shares)
def test_both_forms_order_alike_at_full_precision_if_both_are_scaled(n, p, a):
    # all of them from 0 to 1, so that scaling changes nothing
    n, p, a = (np.concatenate([[0, 1], each]) for each in (n, p, a))
    np.testing.assert_allclose(
        score(n, p, a, 1.0), paper_score(1 - n, 1 - p, a, 1.0) - 1, atol=1e-12
    )


def test_for_low_precision_the_paper_prefers_unknown_items_and_the_code_does_not():
    rng = np.random.default_rng(0)
    n, p, a = rng.random((3, 2000))
    code, paper = score(n, p, a, 0.5), paper_score(1 - n, 1 - p, a, 0.5)
    tops = [set(np.argsort(-each)[:200]) for each in (code, paper)]
    assert a[list(tops[1])].mean() > a[list(tops[0])].mean() + 0.2


@given(shares, shares)
def test_nothing_unknown_and_full_precision_is_the_closed_set_method(n, p):
    found = score(n, p, np.zeros(8), 1.0)
    assert (np.diff(found[np.argsort(p, kind="stable")]) <= 1e-12).all()


def test_permuting_the_items_permutes_the_scores():
    rng = np.random.default_rng(1)
    n, p, a = rng.random((3, 20))
    order = rng.permutation(20)
    np.testing.assert_allclose(score(n, p, a, 0.4)[order], score(n[order], p[order], a[order], 0.4))


def test_the_negative_loss_by_hand_and_at_the_edge():
    probs = np.array([[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]])
    expected = -(math.log(0.5) + math.log(0.75) + math.log(1e-5)) / 3
    assert negative_loss(probs, [0, 0, 1]) == pytest.approx(expected)
    assert negative_loss(np.zeros((0, 3)), np.zeros(0, int)) == 0.0
    with pytest.raises(ValueError, match="out of range"):
        negative_loss(probs, [0, 0, 2])


def test_the_torch_loss_is_the_numpy_one():
    rng = np.random.default_rng(2)
    logits, told = torch.from_numpy(rng.normal(size=(30, 4))), rng.integers(0, 4, 30)
    own = negative_loss_torch(logits, torch.from_numpy(told))
    assert float(own) == pytest.approx(negative_loss(logits.softmax(1).numpy(), told), rel=1e-12)


def test_the_gradient_pushes_down_the_class_that_an_item_does_not_have():
    logits = torch.zeros(1, 3, requires_grad=True)
    negative_loss_torch(logits, torch.tensor([1])).backward()
    assert logits.grad[0, 1] > 0
    assert (logits.grad[0, [0, 2]] < 0).all()


def test_dense_learning_stands_still_at_an_even_distribution():
    logits = torch.zeros(2, 4, requires_grad=True)
    dense_loss(logits, torch.tensor([-1, -1])).backward()
    np.testing.assert_allclose(logits.grad, 0, atol=1e-7)
    labelled = torch.zeros(1, 4, requires_grad=True)
    dense_loss(labelled, torch.tensor([2])).backward()
    assert labelled.grad[0, 2] < 0


def test_complementary_labels_are_even_and_never_the_own_one():
    rng = np.random.default_rng(3)
    own = np.tile([0, 2, -1], 10_000)
    told = complementary_labels(own, 3, rng)
    counts = [np.bincount(told[own == label], minlength=3) for label in (0, 2, -1)]
    assert counts[0][0] == 0
    assert counts[1][2] == 0
    for found in (counts[0][1:], counts[1][:2], counts[2]):
        assert chisquare(found).pvalue > 1e-3
    assert (complementary_labels(own, 3, rng) != told).any()


def test_one_class_has_no_other_one():
    with pytest.raises(ValueError, match="no other class"):
        complementary_labels([0], 1, np.random.default_rng(0))
    assert complementary_labels([-1, -1], 1, np.random.default_rng(0)).tolist() == [0, 0]
    assert complementary_labels([], 1, np.random.default_rng(0)).shape == (0,)
    with pytest.raises(ValueError, match="outside"):
        complementary_labels([3], 3, np.random.default_rng(0))


def test_a_subset_is_drawn_evenly_without_labels():
    rng = np.random.default_rng(4)
    found = draw_subset(10, 4, rng)
    assert len(np.unique(found)) == 4
    assert draw_subset(3, 10, rng).tolist() == [0, 1, 2]
    assert draw_subset(np.array([7, 5, 9]), 2, rng).tolist()[0] in (5, 7)
    counts = sum(np.bincount(draw_subset(10, 4, rng), minlength=10) for _ in range(2000))
    assert chisquare(counts).pvalue > 1e-3


def test_it_asks_for_fewer_unknown_objects_than_chance_and_the_closed_set_method():
    problem = planted()
    own = problem.completed(Bual(kind="margin"))
    chance = problem.share_of_known
    assert precision_of(problem, own, Bual(kind="margin")) > chance + 0.15
    closed = precision_of(problem, own, RegionScore("margin", aggregate="max", background=False))
    assert precision_of(problem, own, Bual(kind="margin")) > closed


def test_what_is_taken_for_unknown_comes_after_all_others():
    problem = planted()
    pool = problem.completed(Bual())
    out = pool.regions.columns["bual.rejected"]
    values = Bual().score(pool)
    assert 0 < out.sum() < len(out)
    assert values[~out].min() > values[out].max()


@pytest.mark.parametrize("form", ["code", "paper"])
def test_without_precision_no_auxiliary_classifier_is_the_copy_alone(form):
    problem = planted(precisions=(0.0,))
    pool = problem.completed(Bual(form=form, weights="precision"))
    one, other = (Bual(form=form, weights=each).score(pool) for each in ("precision", "negative"))
    assert spearmanr(one, other).statistic == pytest.approx(1.0)
    np.testing.assert_array_equal(np.argsort(one), np.argsort(other))


def test_a_first_round_asks_by_the_copy_alone():
    problem = planted(precisions=(), unknown_labelled=0)
    pool = problem.completed(Bual(kind="lc"))
    order = np.argsort(pool.regions.columns["bual.negative"], kind="stable")
    values = Bual(kind="lc").score(pool)[order]
    assert (np.diff(values) <= 1e-12).all()


def test_without_queries_the_share_of_known_objects_among_the_labels_stands_for_their_precision():
    by_labels = planted(precisions=()).completed(Bual())
    known = (by_labels.items.answers < by_labels.items.unknown).mean()
    told = replace(by_labels, precisions=(float(known),))
    np.testing.assert_array_equal(Bual().score(by_labels), Bual().score(told))
    other = replace(by_labels, precisions=(0.05,))
    assert not np.array_equal(Bual().score(by_labels), Bual().score(other))


def test_reasons_say_both_confidences():
    pool = planted().completed(Bual())
    words = Bual().explain(pool, np.array([0, 1])).words
    assert all("confidence of the negative classifier" in each for each in words)
    assert all("unknown with probability" in each for each in words)


def test_a_limited_training_runs_through_the_same_rates():
    trunk = planted().trunk()
    rows = np.arange(10)
    mixed, whole = Mixed(trunk, rows, rows, 30), Mixed(trunk, rows, rows, 0)
    assert mixed.course(20).steps == 30
    assert whole.course(20).steps == trunk.course(20).steps == 150
    assert mixed.course(20).rate(15) == pytest.approx(whole.course(20).rate(75))
    assert Mixed(trunk, rows, rows, 999).course(20).steps == 150


def test_items_of_both_sides_come_in_the_order_asked():
    trunk = planted().trunk()
    mixed = Mixed(trunk, np.array([4, 7]), np.array([9, 8, 30]), 0)
    found = mixed.inputs("labelled", np.array([3, 0, 4, 1]))
    expected = [("pool", 8), ("labelled", 4), ("pool", 30), ("labelled", 7)]
    for each, (side, row) in zip(found, expected, strict=True):
        assert torch.equal(each, trunk.inputs(side, np.array([row]))[0])
    assert mixed.answers.tolist() == [*trunk.answers[[4, 7]], 3, 3, 3]


@pytest.mark.parametrize("wrong", [{"subset": 0}, {"steps": -1}, {"states": 0}, {"top": 0}])
def test_numbers_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(UsageError, match="less than"):
        Bual(**wrong)
