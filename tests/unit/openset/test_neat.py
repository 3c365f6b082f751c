"""NEAT: inconsistency-based data-centric active open-set annotation, AAAI 2024."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.openset.planted import image_pool, share_of_known
from vidal.assemble import STRATEGIES
from vidal.errors import UsageError
from vidal.openset.neat import (
    Neat,
    inconsistency,
    known_by_neighbours,
    neighbour_counts,
    ordered,
    select,
)
from vidal.query.options import build, options_of
from vidal.types import BACKGROUND, Items

SEEDS = st.integers(0, 2**32 - 1)


def test_neighbours_are_counted_by_label_and_unknown_is_the_last_column():
    found = neighbour_counts(np.array([[0, 2, 2], [1, 1, 0]]), 2)
    assert found.tolist() == [[1, 0, 2], [1, 2, 0]]
    assert neighbour_counts(np.zeros((2, 0)), 1).tolist() == [[0, 0], [0, 0]]
    assert neighbour_counts(np.zeros((0, 3)), 1).shape == (0, 2)
    for label in (-1, 3):
        with pytest.raises(ValueError, match="outside"):
            neighbour_counts(np.array([[label]]), 2)


def test_known_is_more_than_half_or_at_least_a_larger_share():
    counts = np.array([[2, 2], [3, 2], [4, 0], [0, 0], [7, 3]])
    assert known_by_neighbours(counts).tolist() == [False, True, True, False, True]
    assert known_by_neighbours(counts, 0.7).tolist() == [False, False, True, False, True]
    assert known_by_neighbours(counts, 1.0).tolist() == [False, False, True, False, False]


def test_inconsistency_is_the_cross_entropy_with_the_softmax_of_the_neighbours():
    e = math.e
    found = inconsistency(np.array([[1.0, 0], [0, 1], [0.5, 0.5]]), np.array([[1, 0, 9]] * 3))
    first, second = math.log(1 + 1 / e), math.log(1 + e)
    np.testing.assert_allclose(found, [first, second, (first + second) / 2])


@given(SEEDS, st.integers(1, 5), st.integers(1, 12))
def test_without_known_neighbours_it_is_log_k_and_it_falls_with_the_neighbours_class(seed, k, n):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(k), 4)
    none = np.concatenate([np.zeros((4, k), int), np.full((4, 1), n)], axis=1)
    np.testing.assert_allclose(inconsistency(probs, none), math.log(k), atol=1e-12)
    counts = none.copy()
    counts[:, 0] = n
    order = np.argsort(probs[:, 0])
    assert (np.diff(inconsistency(probs, counts)[order]) <= 1e-12).all()


def test_only_those_with_most_known_neighbours_compete_and_ties_go_by_inconsistency():
    counts = np.array([[6, 0], [5, 1], [5, 1], [5, 1], [4, 2], [1, 5]])
    scores = np.array([0.1, 0.2, 0.4, 0.3, 9.0, 99.0])
    assert select(scores, counts, 2).tolist() == [2, 3]
    assert ordered(scores, counts, 2).tolist() == [2, 3]
    assert select(scores, counts, 1).tolist() == [2]
    assert select(scores, counts, 2, keep=5).tolist() == [2, 4]


def test_a_shortage_is_filled_by_the_share_of_known_neighbours_then_by_inconsistency():
    counts = np.array([[0, 4], [2, 2], [2, 2], [4, 0], [0, 0]])
    scores = np.array([9.0, 1.0, 2.0, 0.0, 10.0])
    assert ordered(scores, counts, 5).tolist() == [3, 2, 1, 4, 0]
    assert select(scores, counts, 3).tolist() == [1, 2, 3]
    assert select(scores, counts, 9).tolist() == [0, 1, 2, 3, 4]
    assert select(scores, counts, 0).tolist() == []
    assert select(np.zeros(0), np.zeros((0, 2), int), 3).tolist() == []


@given(SEEDS, st.integers(0, 8), st.sampled_from([0.0, 0.5, 0.8, 1.0]))
def test_picks_are_distinct_and_as_many_as_asked_for(seed, budget, share):
    rng = np.random.default_rng(seed)
    counts, scores = rng.integers(0, 4, (6, 3)), rng.random(6)
    picks = select(scores, counts, budget, share)
    assert picks.tolist() == sorted(set(picks.tolist()))
    assert len(picks) == min(budget, 6)


@given(SEEDS, st.integers(1, 6))
def test_the_passive_form_is_the_active_one_with_the_same_inconsistency_everywhere(seed, budget):
    counts = np.random.default_rng(seed).integers(0, 4, (8, 3))
    is_known = known_by_neighbours(counts)
    share = counts[:, :2].sum(1) / np.maximum(1, counts.sum(1))
    by_number = sorted(np.flatnonzero(is_known), key=lambda i: -counts[i, :2].sum())
    others = sorted(np.flatnonzero(~is_known), key=lambda i: -share[i])
    assert select(np.ones(8), counts, budget).tolist() == sorted([*by_number, *others][:budget])


def planted(rng, n=150):
    """Unknown images that the model doubts, and known ones of which it doubts some."""
    classes = np.arange(n) % 3
    frozen = np.zeros((2 * n, 6))
    frozen[np.arange(n), classes] = 5
    frozen[n:, 3 + np.arange(n) % 3] = 5
    frozen += rng.normal(0, 1, frozen.shape)
    logits = np.zeros((2 * n, 3))
    logits[np.arange(n), classes] = rng.uniform(-1, 6, n)
    logits[n:] = rng.normal(0, 0.3, (n, 3))
    labelled = np.repeat(np.arange(6), 12)
    base = np.eye(6)[labelled] * 5 + rng.normal(0, 1, (72, 6))
    pool = image_pool(
        logits,
        np.eye(6)[labelled][:, :3] * 4,
        np.minimum(labelled, 3),
        np.eye(3),
        frozen=(frozen, base),
    )
    return pool, np.repeat([False, True], n), logits, classes


def test_it_asks_for_known_images_and_among_them_for_those_the_model_gets_wrong():
    pool, unknown, logits, classes = planted(np.random.default_rng(2))
    mine = share_of_known("neat", pool, unknown, 40)
    assert mine > 0.95
    assert mine > share_of_known("entropy", pool, unknown, 40) + 0.3
    assert mine > share_of_known("random", pool, unknown, 40) + 0.3
    assert share_of_known("neat-passive", pool, unknown, 40) > 0.95
    wrong = logits[:150].argmax(axis=1) != classes

    def mistakes(name):
        picks = build(STRATEGIES[name], {}).select(pool, 40, np.random.default_rng(0))
        return wrong[picks[picks < 150]].mean()

    assert mistakes("neat") > mistakes("neat-passive") + 0.1


def test_scaling_the_frozen_features_changes_nothing():
    pool, *_ = planted(np.random.default_rng(3))
    larger = replace(
        pool,
        regions=replace(
            pool.regions,
            columns={**pool.regions.columns, "frozen": 7 * pool.regions.column("frozen")},
        ),
        items=replace(
            pool.items, columns={**pool.items.columns, "frozen": 7 * pool.items.column("frozen")}
        ),
    )
    first, second = (
        Neat(gap=0).select(each, 30, np.random.default_rng(5)) for each in (pool, larger)
    )
    np.testing.assert_array_equal(first, second)


def test_background_is_no_neighbour_and_fewer_labelled_objects_than_neighbours_are_all_asked():
    pool, *_ = planted(np.random.default_rng(3))
    items = pool.items.keep(np.array([0, 12, 40]))
    beside = Items(
        np.concatenate([items.features, pool.regions.features[:9]]),
        np.concatenate([items.probs, pool.regions.probs[:9]]),
        np.concatenate([items.answers, np.full(9, BACKGROUND)]),
        {"frozen": np.concatenate([items.column("frozen"), pool.regions.column("frozen")[:9]])},
    )
    found = Neat().counts(replace(pool, items=beside), np.arange(5))
    assert found.sum(axis=1).tolist() == [3] * 5
    assert found.tolist() == [[1, 1, 0, 1]] * 5


def test_with_no_object_labelled_it_draws_and_says_so():
    pool, *_ = planted(np.random.default_rng(3))
    bare = replace(pool, items=pool.items.keep(np.zeros(0, np.int64)))
    picks = Neat(gap=0).select(bare, 10, np.random.default_rng(0))
    other = Neat(gap=0).select(bare, 10, np.random.default_rng(1))
    assert len(np.unique(picks)) == 10
    assert set(picks) != set(other)
    assert "drawn at random" in Neat().explain(bare, picks).words[0]
    assert "labels" in Neat().needs  # so a first round is refused, where nobody was asked


def test_frozen_features_that_are_no_numbers_are_refused():
    pool, *_ = planted(np.random.default_rng(3))
    broken = pool.regions.column("frozen").copy()
    broken[3, 1] = np.nan
    columns = {**pool.regions.columns, "frozen": broken}
    pool = replace(pool, regions=replace(pool.regions, columns=columns))
    with pytest.raises(UsageError, match="NaN"):
        Neat().select(pool, 3, np.random.default_rng(0))


@pytest.mark.parametrize("options", [{"neighbours": 0}, {"min_known_frac": 1.5}, {"keep": 0.5}])
def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(UsageError):
        Neat(**options)


def test_the_passive_form_has_no_option_for_what_competes():
    names = {option.name for option in options_of(STRATEGIES["neat-passive"])}
    assert names == {"neighbours", "min_known_frac"}
