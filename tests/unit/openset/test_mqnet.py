"""MQ-Net: formulas by hand, a network that only rises, and what it learns of the last query."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tests.unit.openset.learned_problems import planted, precision_of
from vidal.errors import UsageError
from vidal.openset import mqnet
from vidal.openset.mqnet import (
    MetaNet,
    MQNet,
    by_network,
    by_product,
    by_sum,
    csi_purity,
    fit_meta,
    masked_cross_entropy,
    meta_input,
    meta_score,
)
from vidal.query.learning_loss import ranking_loss
from vidal.query.region_scores import RegionScore
from vidal.types import BACKGROUND

SEEDS = st.integers(0, 2**32 - 1)


def toy(seed=0, count=60):
    """Known items with more loss where purity is high, and unknown ones, which lose nothing."""
    rng = np.random.default_rng(seed)
    inputs = np.exp(rng.normal(size=(count, 2)))
    known = inputs[:, 0] > np.median(inputs[:, 0])
    return inputs, np.where(known, inputs[:, 1], 0.0)


def loss_of(net, inputs, targets):
    return ranking_loss(by_network(inputs, net).values, targets, mqnet.MARGIN)


def test_inputs_are_exp_of_z_with_purity_first():
    found = meta_input(np.array([0.0, 2.0]), np.array([3.0, 1.0]))
    np.testing.assert_allclose(found, np.exp([[-1, 1], [1, -1]]))
    of_pool = meta_input(np.array([1.0]), np.array([2.0]), np.array([0.0, 2.0]), [0.0, 2.0])
    np.testing.assert_allclose(of_pool, [[1.0, np.e]])


def test_inputs_without_spread_are_one_and_far_ones_are_cut_off():
    np.testing.assert_array_equal(meta_input(np.ones(3), np.ones(3)), np.ones((3, 2)))
    assert meta_input(np.zeros(0), np.zeros(0)).shape == (0, 2)
    assert meta_input(np.array([7.0]), np.array([1.0])).tolist() == [[1.0, 1.0]]
    far = meta_input(np.array([1e6]), np.array([0.0]), np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert far[0, 0] == pytest.approx(np.exp(10))
    with pytest.raises(ValueError, match="finite"):
        meta_input(np.array([np.nan]), np.array([1.0]))


def test_the_score_by_hand_and_weights_below_zero_count_nothing():
    found = meta_score(np.array([[1.0, 2.0]]), [[1.0], [-5.0]], [-1.0], [2.0], 0.25)
    np.testing.assert_allclose(found, [2 * 0.5 + 0.25])
    column = meta_score(np.array([[1.0, 2.0]]), [[1.0], [-5.0]], [-1.0], [[2.0]], [0.25])
    np.testing.assert_array_equal(column, found)
    assert meta_score(np.zeros((0, 2)), np.ones((2, 1)), [0.0], [1.0], 0.0).shape == (0,)


@given(SEEDS)
def test_the_score_never_falls_whatever_the_weights_are(seed):
    rng = np.random.default_rng(seed)
    net = [rng.normal(size=shape) for shape in ((2, 5), 5, 5)]
    inputs = np.exp(rng.normal(size=(20, 2)))
    more = inputs + rng.random((20, 2))
    before, after = (meta_score(each, *net, 0.0) for each in (inputs, more))
    assert (after >= before - 1e-12).all()


def test_the_loss_is_masked_for_unknown_objects():
    logits = np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]])
    labels = np.array([1, 0, 2])
    plain = functional.cross_entropy(
        torch.from_numpy(logits[:2]), torch.from_numpy(labels[:2]), reduction="none"
    )
    np.testing.assert_allclose(masked_cross_entropy(logits, labels), [*plain, 0.0])
    assert masked_cross_entropy(np.array([[1e3, -1e3]]), [1])[0] == pytest.approx(2000)
    assert masked_cross_entropy(np.zeros((0, 2)), np.zeros(0)).shape == (0,)
    assert masked_cross_entropy(np.zeros((2, 1)), [0, 1]).tolist() == [0, 0]
    with pytest.raises(ValueError, match="labels"):
        masked_cross_entropy(logits, [0])


def test_fitting_lowers_the_loss_and_orders_a_separable_query():
    inputs, targets = toy()
    start = fit_meta(inputs, np.zeros(len(targets)), np.random.default_rng(0))
    net = fit_meta(inputs, targets, np.random.default_rng(0))
    assert loss_of(net, inputs, targets) < loss_of(start, inputs, targets)
    found = by_network(inputs, net).values
    assert found[targets > 0].mean() > found[targets == 0].mean()


def test_every_step_keeps_the_score_rising(monkeypatch):
    inputs, targets = toy(1)
    nets, step = [], mqnet._step
    monkeypatch.setattr(mqnet, "EPOCHS", 3)

    def kept(*arguments):
        nets.append(step(*arguments))
        return nets[-1]

    monkeypatch.setattr(mqnet, "_step", kept)
    fit_meta(inputs, targets, np.random.default_rng(1))
    grid = np.exp(np.stack(np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-2, 2, 9)), -1))
    for net in nets[::20]:
        values = meta_score(grid.reshape(-1, 2), *net).reshape(9, 9)
        assert (np.diff(values, axis=0) >= 0).all()
        assert (np.diff(values, axis=1) >= 0).all()


@pytest.mark.parametrize("targets", [np.zeros(20), np.full(20, 1.5)])
def test_unknown_objects_alone_leave_the_network_as_it_began(targets):
    rng = np.random.default_rng(2)
    first, other = (fit_meta(rng.random((20, 2)), targets, np.random.default_rng(3)) for _ in "ab")
    for one, two in zip(first, other, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first.w1.min() >= 0
    assert first.w1.max() < 1


def test_a_batch_without_a_pair_changes_nothing():
    net = fit_meta(np.ones((1, 2)), [1.0], np.random.default_rng(0))
    again = fit_meta(np.zeros((0, 2)), [], np.random.default_rng(0))
    np.testing.assert_array_equal(net.w1, again.w1)
    still = mqnet._step(net, np.ones((4, 2)), np.zeros(4), 0.1, True)
    assert still is net


def test_the_same_generator_gives_the_same_network(monkeypatch):
    monkeypatch.setattr(mqnet, "EPOCHS", 4)
    inputs, targets = toy(4)
    first, second = (fit_meta(inputs, targets, np.random.default_rng(5)) for _ in range(2))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_step_is_that_of_torch():
    rng = np.random.default_rng(6)
    x, t = np.exp(rng.normal(size=(10, 2))), rng.integers(0, 3, 10).astype(float)
    net = MetaNet(rng.normal(size=(2, 6)), rng.normal(size=6), rng.normal(size=6), 0.3)
    own = [torch.tensor(each, requires_grad=True) for each in net]
    hidden = torch.sigmoid(torch.from_numpy(x) @ own[0].relu() + own[1])
    out = hidden @ own[2].relu() + own[3]
    sign = torch.from_numpy(np.sign(t[:5] - t[:4:-1]))
    terms = (mqnet.MARGIN - sign * (out[:5] - out[5:].flip(0))).clamp(min=0) * (sign != 0)
    terms.mean().backward()
    found = mqnet._step(net, x, t, 0.1, True)
    for before, each, after in zip(net, own, found, strict=True):
        step = 0.1 * (each.grad.numpy() + mqnet.DECAY * np.asarray(before))
        np.testing.assert_allclose(after, before - step, rtol=1e-10, atol=1e-13)


def test_purity_and_informativeness_are_refused_if_they_do_not_fit():
    with pytest.raises(ValueError, match="targets"):
        fit_meta(np.ones((3, 2)), [1.0], np.random.default_rng(0))
    with pytest.raises(ValueError, match="finite"):
        fit_meta(np.full((2, 2), np.nan), [0.0, 1.0], np.random.default_rng(0))


@given(SEEDS, st.floats(-5, 5), st.floats(-5, 5))
def test_the_product_does_not_care_where_scores_begin(seed, a, b):
    purity, informative = np.random.default_rng(seed).normal(size=(2, 12))
    one = by_product(meta_input(purity, informative)).values
    other = by_product(meta_input(purity + a, informative + b)).values
    np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("rule", [by_sum, by_product])
def test_a_constant_column_changes_no_order(rule):
    purity = np.random.default_rng(7).normal(size=15)
    values = rule(meta_input(purity, np.full(15, 3.0))).values
    assert np.argsort(values).tolist() == np.argsort(purity).tolist()


def test_what_purity_weighs():
    inputs = np.exp(np.random.default_rng(8).normal(size=(10, 2)))
    assert by_sum(inputs).purity.tolist() == [0.5] * 10
    net = MetaNet(np.array([[3.0], [1.0]]), np.zeros(1), np.ones(1), 0.0)
    np.testing.assert_allclose(by_network(inputs, net).purity, 0.75)
    flat = MetaNet(np.zeros((2, 1)), np.zeros(1), np.ones(1), 0.0)
    assert by_network(inputs, flat).purity.tolist() == [0.5] * 10
    assert by_product(np.array([[1.0, 3.0], [1.0, 1.0]])).purity.tolist() == [0.75, 0.5]


def test_what_purity_weighs_is_a_matter_of_place():
    """A unit that only sees purity is full where that is high: the other alone moves there."""
    net = MetaNet(np.array([[4.0, 0.0], [0.0, 0.1]]), np.array([-4.0, 0.0]), np.ones(2), 0.0)
    low, high = by_network(np.array([[1.0, 1.0], [9.0, 1.0]]), net).purity
    assert low > 0.9
    assert high < 0.01
    rows = np.array([[1.0, 1.0], [9.0, 1.0]])
    for row, found in zip(rows, (low, high), strict=True):
        steps = [
            by_network(row[None] + step, net).values[0] - by_network(row[None], net).values[0]
            for step in (np.array([1e-6, 0]), np.array([0, 1e-6]))
        ]
        assert found == pytest.approx(steps[0] / sum(steps), rel=1e-3, abs=1e-6)


def test_csi_purity_is_the_largest_cosine():
    found = csi_purity(np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), np.array([[5.0, 0.0]]))
    np.testing.assert_allclose(found, [1, np.sqrt(0.5), 0])
    assert csi_purity(np.ones((2, 3)), np.zeros((0, 3))).tolist() == [0, 0]
    assert csi_purity(np.zeros((0, 3)), np.ones((2, 3))).shape == (0,)


PLAIN = {"purity": "mahalanobis", "informativeness": "entropy"}


def with_last_query(problem, strategy, rows, answers=None):
    """The pool after these rows were asked for; they are still in it, which changes nothing."""
    regions = problem.pool.regions
    items = problem.pool.items
    truth = np.where(problem.unknown, 3, regions.probs[:, :3].argmax(axis=1))
    asked = type(items)(
        regions.features[rows].astype(np.float32),
        regions.probs[rows],
        truth[rows] if answers is None else answers,
        strategy.memory(problem.pool, rows),
    )
    return replace(problem.pool, asked=asked)


def test_after_a_query_it_asks_for_more_known_objects_than_chance_and_the_closed_set_method():
    problem, strategy = planted(), MQNet(**PLAIN)
    rows = np.random.default_rng(0).choice(240, 80, replace=False)
    pool = with_last_query(problem, strategy, rows)
    found = precision_of(problem, pool, strategy)
    assert found > problem.share_of_known + 0.3
    entropy = RegionScore("entropy", aggregate="max", background=False)
    assert found > precision_of(problem, pool, entropy)
    assert found > precision_of(problem, pool, MQNet(rule="product", **PLAIN))


def test_purity_weighs_more_where_more_was_unknown():
    strategy = MQNet(**PLAIN)
    problem = planted()
    known, unknown = np.flatnonzero(~problem.unknown), np.flatnonzero(problem.unknown)
    weights = []
    for rows in (
        np.concatenate([known[:60], unknown[:4]]),
        np.concatenate([known[:16], unknown[:48]]),
    ):
        pool = with_last_query(problem, strategy, rows)
        picks = np.argsort(-strategy.score(pool), kind="stable")[:20]
        weights.append(strategy.explain(pool, picks).parts["purity_weight"].mean())
    assert weights[1] > weights[0] + 0.05


def replace_rule(strategy, rule):
    return replace(strategy, rule=rule)


@pytest.mark.parametrize("answer", [3, BACKGROUND])
def test_where_nothing_known_was_asked_for_the_rule_is_that_of_a_first_round(answer):
    problem, strategy = planted(), MQNet(**PLAIN)
    rows = np.arange(20)
    pool = with_last_query(problem, strategy, rows, np.full(20, answer))
    np.testing.assert_array_equal(strategy.score(pool), replace_rule(strategy, "sum").score(pool))
    assert "the sum: nothing to learn from yet" in strategy.explain(pool, np.array([0])).words[0]
    first = replace(pool, asked=None)
    np.testing.assert_array_equal(strategy.score(first), strategy.score(pool))


def test_the_weight_of_purity_is_told_and_can_be_collected():
    problem, strategy = planted(), MQNet(**PLAIN)
    pool = with_last_query(problem, strategy, np.arange(60))
    told = strategy.explain(pool, np.arange(5))
    weight = told.parts["purity_weight"]
    assert len(weight) == 5
    assert (weight >= 0).all()
    assert (weight <= 1).all()
    for own, words in zip(weight, told.words, strict=True):
        assert f"purity weighs {100 * own:.0f} % (learned from the last query)" in words


def test_memory_is_scaled_by_the_pool_of_then():
    problem, strategy = planted(), MQNet(**PLAIN)
    kept = strategy.memory(problem.pool, np.array([5, 3]))
    whole = strategy.memory(problem.pool, np.arange(240))
    for name, values in kept.items():
        np.testing.assert_array_equal(values, whole[name][[5, 3]])
        assert np.log(whole[name]).std() == pytest.approx(1.0)


def test_needs_follow_the_options():
    assert "contrastive" in MQNet(purity="csi").needs
    assert "contrastive" not in MQNet().needs
    assert "predicted_loss" not in MQNet(informativeness="entropy").needs
    assert "layer" in MQNet(purity="react").needs
    with pytest.raises(UsageError, match="top 0"):
        MQNet(top=0)


def test_logits_that_are_not_numbers_are_refused():
    problem = planted()
    logits = problem.pool.regions.columns["logits"].copy()
    logits[4, 1] = np.nan
    regions = replace(problem.pool.regions, columns={"logits": logits})
    with pytest.raises(UsageError, match="logits of detections hold NaN"):
        MQNet(informativeness="entropy").score(replace(problem.pool, regions=regions))
