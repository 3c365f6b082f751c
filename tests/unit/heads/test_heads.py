"""Small heads on features: what they say of disagreement, of losses, of what is not labelled."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vidal.heads.classifier import (
    fit_head,
    head_members,
    head_passes,
    head_votes,
    stochastic_passes,
    training_set,
)
from vidal.heads.learning_loss import held_out_losses, predicted_loss, ranking_loss
from vidal.heads.network import dropout_only, has_dropout, seeded
from vidal.heads.options import HeadOptions, VaalOptions
from vidal.heads.vaal import labelledness
from vidal.query import learning_loss
from vidal.query.dispersion import label_dispersion
from vidal.query.uncertainty import bald, entropy
from vidal.types import BACKGROUND, Items

QUICK = HeadOptions(width=16, epochs=1, least_steps=150, passes=4, members=3, votes=6, folds=3)
CENTRES = np.array([[4.0, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]])


def clouds(seed=0, each=20, spread=1.0):
    """Items of two classes and of the background, apart from each other."""
    rng = np.random.default_rng(seed)
    answers = np.repeat([0, 1, BACKGROUND], each)
    features = CENTRES[answers] + spread * rng.normal(size=(3 * each, 4))
    return Items(features, np.full((3 * each, 3), 1 / 3), answers)


def rng(seed=5):
    return np.random.default_rng(seed)


def between():
    """Two sure rows, and one halfway between the two classes."""
    return np.array([CENTRES[0], CENTRES[2], (CENTRES[0] + CENTRES[1]) / 2])


def test_background_is_the_last_class_and_unknown_objects_teach_nothing():
    items = Items(np.arange(4)[:, None], np.zeros((4, 4)), [2, 3, BACKGROUND, 0])
    features, targets = training_set(items)
    assert features[:, 0].tolist() == [0, 2, 3]
    assert targets.tolist() == [2, 3, 0]


def test_a_head_learns_the_classes_and_the_background():
    base, targets = training_set(clouds())
    head, _ = fit_head(base, targets, 3, 1, QUICK)
    probs = head.probs(CENTRES)
    assert probs.argmax(axis=1).tolist() == [0, 1, 2]
    assert probs.dtype == np.float32
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("make", [head_passes, head_members, head_votes, predicted_loss])
def test_columns_are_the_same_for_the_same_seed_and_leave_the_global_generator_alone(make):
    before = torch.random.get_rng_state()
    first = make(clouds(), between(), rng(), QUICK)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    np.testing.assert_array_equal(make(clouds(), between(), rng(), QUICK), first)
    assert not np.array_equal(make(clouds(), between(), rng(6), QUICK), first) or make is head_votes


def test_shapes_and_types_are_those_that_strategies_read():
    assert head_passes(clouds(), between(), rng(), QUICK).shape == (3, 4, 3)
    assert head_members(clouds(), between(), rng(), QUICK).shape == (3, 3, 3)
    votes = head_votes(clouds(), between(), rng(), QUICK)
    assert votes.shape == (3, 6)
    assert votes.dtype == np.int16
    none = np.zeros((0, 4), np.float16)
    assert head_passes(clouds(), none, rng(), QUICK).shape == (0, 4, 3)
    assert head_votes(clouds(), none, rng(), QUICK).shape == (0, 6)
    assert predicted_loss(clouds(), none, rng(), QUICK).shape == (0,)


def test_passes_and_members_disagree_most_between_the_classes():
    draw = rng(3)
    sure = CENTRES[np.arange(60) % 3] + 0.3 * draw.normal(size=(60, 4))
    unsure = between()[2] + 0.3 * draw.normal(size=(60, 4))
    wide = replace(QUICK, width=64, passes=20)
    rows = np.concatenate([sure, unsure])
    for make in (head_passes, head_members):
        values = bald(np.moveaxis(make(clouds(spread=0.5), rows, rng(), wide), 1, 0))
        assert values[60:].mean() > 1.5 * values[:60].mean()


def test_votes_end_with_the_trained_head_and_waver_between_the_classes():
    items = clouds(spread=2.0)
    far = np.concatenate([3 * CENTRES, rng().normal(size=(200, 4)) + between()[2]])
    votes = head_votes(items, far, rng(), QUICK)
    wavers = label_dispersion(votes.T)
    assert votes[:3, -1].tolist() == [0, 1, 2]
    assert wavers[3:].mean() > wavers[:3].mean()


def test_without_dropout_every_pass_is_the_same():
    base, targets = training_set(clouds())
    plain = HeadOptions(width=16, epochs=1, least_steps=50, dropout=0.0)
    head, _ = fit_head(base, targets, 3, 1, plain)
    assert not has_dropout(head.network)
    passes = stochastic_passes(head, between(), 5, seed=3)
    assert (passes == passes[:, :1]).all()
    np.testing.assert_allclose(bald(np.moveaxis(passes, 1, 0)), 0, atol=1e-12)


def test_only_dropout_is_stochastic_and_batch_norm_stays_as_it_was():
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 2))
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rows = torch.ones(8, 4)
    with seeded(1), dropout_only(network), torch.no_grad():
        assert [module.training for module in network] == [False, False, True, False]
        assert not torch.equal(network(rows), network(rows))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(module.training for module in network)


@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.sampled_from([0.1, 1.0, 3.0]))
def test_the_ranking_loss_of_torch_is_that_of_numpy(seed, size, margin):
    draw = np.random.default_rng(seed)
    scores, targets = draw.normal(size=size), draw.integers(0, 3, size).astype(float)
    found = ranking_loss(torch.from_numpy(scores), torch.from_numpy(targets), margin)
    assert float(found) == pytest.approx(learning_loss.ranking_loss(scores, targets, margin))


def test_tied_pairs_have_no_gradient():
    scores = torch.tensor([0.3, 0.1, 0.9, 0.2], requires_grad=True)
    ranking_loss(scores, torch.tensor([1.0, 2.0, 5.0, 1.0])).backward()
    assert scores.grad.tolist() == [0, 0.5, -0.5, 0]


def test_losses_are_those_of_heads_that_have_not_seen_the_item():
    items = clouds(each=15)
    wrong = Items(items.features, items.probs, np.where(np.arange(45) == 3, 1, items.answers))
    losses = held_out_losses(wrong, rng(), QUICK)
    assert losses.shape == (45,)
    assert losses.argmax() == 3
    assert losses[3] > 1


def test_the_predicted_loss_is_highest_where_the_classes_cannot_be_told_apart():
    draw = rng(2)
    mixed = np.concatenate([CENTRES[[0, 1] * 40] * 0.05, CENTRES[[2] * 80]])
    features = mixed + 0.3 * draw.normal(size=mixed.shape)
    items = Items(features, np.zeros((160, 3)), np.repeat([0, 1, BACKGROUND], [40, 40, 80]))
    shuffled = items.keep(draw.permutation(160))
    values = predicted_loss(shuffled, np.array([[0, 0, 0, 0], [0, 0, 4, 0]]), rng(), QUICK)
    assert values[0] > values[1] + 0.5


VAAL = VaalOptions(width=16, latent=4, steps=150, batch=32)


def test_what_lies_where_nothing_is_labelled_looks_less_labelled():
    draw = rng(1)
    labelled = draw.normal(size=(60, 4))
    pool = np.concatenate([draw.normal(size=(60, 4)), draw.normal(size=(60, 4)) + 6])
    found = labelledness(labelled, pool, rng(), VAAL)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    assert found[:60].mean() > found[60:].mean() + 0.2
    np.testing.assert_array_equal(labelledness(labelled, pool, rng(), VAAL), found)
    assert labelledness(labelled, pool[:0], rng(), VAAL).shape == (0,)


def test_heads_are_surer_inside_a_class_than_between():
    base, targets = training_set(clouds())
    head, _ = fit_head(base, targets, 3, 1, QUICK)
    assert entropy(head.probs(between())).argmax() == 2
