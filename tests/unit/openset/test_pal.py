"""Progressive PAL: formulas by hand, quotas, and a weight network whose gradient is a real one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.openset.learned_problems import planted, precision_of
from vidal.errors import UsageError
from vidal.openset.losses import ova_entropy as torch_entropy
from vidal.openset.losses import ova_loss as torch_loss
from vidal.openset.pal import (
    ProgressivePal,
    ova_entropy,
    ova_loss,
    ova_probs,
    ramp,
    scores,
    select_first,
    select_later,
    weighted_entropy,
)
from vidal.openset.pal_training import (
    WeightNetwork,
    inner_loss,
    inner_names,
    outer_loss,
    stepped,
    weighted,
)
from vidal.query.region_scores import RegionScore
from vidal.types import HeadSpec

SEEDS = st.integers(0, 2**32 - 1)


def test_probabilities_are_of_the_positive_channel():
    logits = np.log([[[1.0, 3.0], [3.0, 1.0]]])
    np.testing.assert_allclose(ova_probs(logits), [[0.75, 0.25]])
    assert np.isfinite(ova_probs(np.array([[[1e3], [-1e3]]]))).all()
    assert ova_probs(np.zeros((0, 2, 3))).shape == (0, 3)


def test_the_loss_takes_the_hardest_other_class():
    positive = np.array([[0.5, 0.2, 0.6]])
    assert ova_loss(positive, [0]) == pytest.approx(-math.log(0.5) - math.log(0.4))
    assert ova_loss(positive[:, :1], [0]) == pytest.approx(-math.log(0.5))
    assert ova_loss(np.zeros((0, 2)), np.zeros(0, int)) == 0.0
    with pytest.raises(ValueError, match="out of range"):
        ova_loss(positive, [3])


def test_the_torch_losses_are_the_numpy_ones():
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(20, 8)), rng.integers(0, 4, 20)
    positive = ova_probs(outputs.reshape(20, 2, 4))
    given_ = torch.from_numpy(outputs)
    own = float(torch_loss(given_, torch.from_numpy(labels)))
    assert own == pytest.approx(ova_loss(positive, labels), rel=1e-9)
    np.testing.assert_allclose(torch_entropy(given_), ova_entropy(positive), rtol=1e-9)
    weights = rng.random(20)
    mean = float(weighted(torch_entropy(given_), torch.from_numpy(weights)))
    assert mean == pytest.approx(weighted_entropy(positive, weights), rel=1e-9)


def test_entropies_at_the_edges():
    found = ova_entropy(np.array([[0.0, 1.0], [0.5, 0.5]]))
    np.testing.assert_allclose(found, [0, math.log(2)], atol=1e-15)
    assert weighted_entropy(np.array([[0.5], [0.5]]), np.zeros(2)) == 0.0
    assert weighted_entropy(np.zeros((0, 2)), np.zeros(0)) == 0.0


def test_the_ramp_rises_to_one():
    assert ramp(100, 100) == 1.0
    assert ramp(0, 100) == pytest.approx(math.exp(-5))
    assert ramp(50, 100) == pytest.approx(math.exp(-1.25))


def test_scores_by_hand():
    positive, weights = np.array([[1.0, 0.2], [0.5, 0.1]]), np.array([0.3, 0.4])
    s = 1 + 0.5 * math.log(0.5)
    np.testing.assert_allclose(scores(positive, weights, 1.0), [1.3, 0.4 + s])
    np.testing.assert_allclose(scores(positive, weights, 1.0, [True, False]), [0.3, 0.4 + s])
    np.testing.assert_allclose(scores(positive, weights, 0.5, kind="probability"), [0.8, 0.65])


def test_as_printed_the_score_is_not_monotone_and_clamped_it_is():
    p, none = np.linspace(0, 1, 101)[:, None], np.zeros(101)
    printed, clamped = (scores(p, none, 1.0, kind=each) for each in ("literal", "clamped"))
    assert printed[0] == printed[-1] == 1.0
    assert printed.min() == pytest.approx(1 - math.exp(-1), abs=1e-3)
    assert (np.diff(printed) < 0).any()
    assert (np.diff(clamped) >= 0).all()
    assert clamped[-1] == 1.0


def test_another_kind_or_other_numbers_are_refused():
    with pytest.raises(ValueError, match="kind 'x'"):
        scores(np.ones((1, 1)), np.ones(1), kind="x")
    with pytest.raises(ValueError, match="2 weights of 1"):
        scores(np.ones((1, 1)), np.ones(2))


def test_a_first_query_takes_four_fifths_low_and_one_fifth_high():
    un = np.arange(20.0)
    assert select_first(un, 10).tolist() == [*range(8), 18, 19]
    assert select_first(un, 1500).tolist() == list(range(20))
    assert select_first(un, 0).shape == (0,)
    assert select_first(np.zeros(5), 2).tolist() == [0, 1]


def test_a_later_query_takes_mostly_what_is_predicted_known():
    un = np.arange(40.0)
    out = np.arange(40) < 10
    found = select_later(un, out, 30)
    assert found.tolist() == [0, *range(11, 40)]
    assert len(select_later(un, np.ones(40, bool), 7)) == 7
    assert select_later(un, np.ones(40, bool), 3).tolist() == [0, 1, 2]
    assert select_later(un, np.zeros(40, bool), 3).tolist() == [37, 38, 39]
    with pytest.raises(ValueError, match="predictions"):
        select_later(un, [True], 3)


@given(SEEDS, st.integers(0, 12), st.integers(0, 15))
def test_queries_fill_the_budget_with_distinct_items(seed, count, budget):
    rng = np.random.default_rng(seed)
    un, out = rng.random(count), rng.random(count) < 0.4
    for found in (select_first(un, budget), select_later(un, out, budget)):
        assert len(found) == len(np.unique(found)) == min(budget, count)


@given(SEEDS, st.integers(1, 12))
def test_permuting_the_items_permutes_the_query(seed, budget):
    rng = np.random.default_rng(seed)
    un, out, order = rng.random(12), rng.random(12) < 0.4, rng.permutation(12)
    for own, turned in (
        (select_first(un, budget), select_first(un[order], budget)),
        (select_later(un, out, budget), select_later(un[order], out[order], budget)),
    ):
        assert sorted(order[turned]) == own.tolist()


def looking_ahead(seed=0, *, whole=True):
    """A network, a weight network, and the loss after the inner step, in double precision."""
    problem = planted()
    trunk = problem.trunk()
    heads = {"closed": HeadSpec(5), "ova": HeadSpec(10)}
    network = trunk.network(heads, seed, projection=None if whole else 6).double().eval()
    with trunk.drawing(1):
        omega = WeightNetwork(10).double()
    inputs = trunk.inputs("labelled", np.arange(24)).double()
    labels = torch.from_numpy(trunk.answers[:24].copy())
    pool = trunk.inputs("pool", np.arange(60)).double()
    names = inner_names(network, whole=whole)

    def after(*, detached=False):
        unlabelled = network(pool)
        weights = omega(unlabelled.outputs["ova"].detach())
        weights = weights.detach() if detached else weights
        inner = inner_loss(network(inputs), labels, unlabelled, weights, 1.0)
        return outer_loss(network, stepped(network, inner, names, 0.3), inputs, labels)

    return network, omega, after


@pytest.mark.parametrize("whole", [True, False], ids=["whole network", "behind the trunk"])
def test_the_outer_gradient_reaches_the_weights_and_is_the_finite_difference(whole):
    _, omega, after = looking_ahead(whole=whole)
    slopes = torch.autograd.grad(after(), list(omega.parameters()))
    assert any(bool(each.abs().max() > 0) for each in slopes)
    last = list(omega.parameters())[-2]  # weights of the last layer
    slope = slopes[-2].flatten()
    for at in slope.abs().argsort(descending=True)[:3].tolist():
        values = []
        for step in (1e-4, -1e-4):
            with torch.no_grad():
                last.view(-1)[at] += step
            values.append(after().item())
            with torch.no_grad():
                last.view(-1)[at] -= step
        assert (values[0] - values[1]) / 2e-4 == pytest.approx(float(slope[at]), rel=1e-3)


def test_with_the_weights_cut_off_there_is_no_outer_gradient():
    _, omega, after = looking_ahead()
    slopes = torch.autograd.grad(after(detached=True), list(omega.parameters()), allow_unused=True)
    assert all(each is None for each in slopes)


def test_the_inner_step_leaves_the_network_as_it_is():
    network, _, after = looking_ahead()
    before = [each.detach().clone() for each in network.parameters()]
    after()
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_on_pictures_the_step_is_one_of_projection_and_heads_alone():
    network, _, _ = looking_ahead(whole=False)
    assert set(inner_names(network, whole=False)) == {
        "projection.weight",
        "projection.bias",
        *(f"heads.{head}.{each}" for head in ("closed", "ova") for each in ("weight", "bias")),
    }
    assert "body.0.weight" in inner_names(network, whole=True)


def test_the_weight_network_is_trained():
    problem = planted()
    found = ProgressivePal().learn(problem.trunk(), 1).pool
    assert found["progressive-pal.weights"].std() > 0.01


def test_later_rounds_ask_for_known_objects_and_the_closed_set_method_does_not():
    problem = planted()
    own = problem.completed(ProgressivePal())
    found = precision_of(problem, own, ProgressivePal())
    assert found > problem.share_of_known + 0.3
    closed = RegionScore("margin", aggregate="max", background=False)
    assert found > precision_of(problem, own, closed)


def test_labels_of_unknown_objects_end_the_first_round_wherever_they_come_from():
    strategy = ProgressivePal(gap=0)
    first = planted(precisions=(), unknown_labelled=0).completed(strategy)
    later = planted(precisions=()).completed(strategy)
    told = replace(later, precisions=(0.5,))
    picks = [strategy.select(each, 30, np.random.default_rng(0)) for each in (later, told)]
    np.testing.assert_array_equal(*picks)
    low = np.argsort(strategy.score(first), kind="stable")[:24]
    assert set(low) <= set(strategy.select(first, 30, np.random.default_rng(0)))


def test_unknown_objects_are_asked_for_on_purpose():
    problem = planted()
    strategy = ProgressivePal(known_share=0.75, gap=0)
    pool = problem.completed(strategy)
    out = pool.regions.columns["progressive-pal.unknown"]
    picks = strategy.select(pool, 40, np.random.default_rng(0))
    assert out[picks].sum() == 10


def test_no_unknown_object_yet_means_that_none_is_predicted():
    pool = planted(unknown_labelled=0).completed(ProgressivePal())
    assert not pool.regions.columns["progressive-pal.unknown"].any()


def test_reasons_say_what_an_item_is_predicted_to_be():
    pool = planted().completed(ProgressivePal())
    told = ProgressivePal().explain(pool, np.arange(20))
    out = told.parts["predicted_unknown"].astype(bool)
    assert all(
        ("predicted unknown" in words) == is_out
        for words, is_out in zip(told.words, out, strict=True)
    )


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"mu": -1.0}, "mu -1.0"),
        ({"low_share": 1.5}, "low_share"),
        ({"known_share": -0.1}, "known"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(wrong, why):
    with pytest.raises(UsageError, match=why):
        ProgressivePal(**wrong)


def test_the_closed_head_learns():
    problem = planted()
    trunk = problem.trunk()
    found = ProgressivePal().learn(trunk, 1)
    likely = found.pool["progressive-pal.positive"].argmax(axis=1)
    own = problem.pool.regions.probs[:, :3].argmax(axis=1)
    known = ~problem.unknown
    assert (likely[known] == own[known]).mean() > 0.9
