"""BADGE: factors against gradients written out, and what its draws have to hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from vidal.query.badge import Gradients, embedding_sq_distances, kmeans_pp, sampling_probabilities
from vidal.query.farthest import Takes


def gradients(probs, features):
    """(N, K D), written out."""
    errors = probs - np.eye(probs.shape[1])[probs.argmax(axis=1)]
    return (errors[:, :, None] * features[:, None, :]).reshape(len(probs), -1)


def items(rng, count, classes=3, width=4):
    return rng.dirichlet(np.ones(classes), count), rng.normal(size=(count, width))


def generator(seed=0):
    return np.random.default_rng(seed)


def test_distances_by_hand():
    # g = (-.5, .5) f and (0, 0): the second is sure.
    probs, features = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[2.0], [7.0]])
    np.testing.assert_allclose(embedding_sq_distances(probs, features, 0), [0.0, 2.0])
    np.testing.assert_allclose(embedding_sq_distances(probs, features, 1), [2.0, 0.0])


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 4), st.integers(0, 99))
def test_the_factors_give_the_distances_of_the_gradients(count, classes, width, seed):
    rng = generator(seed)
    probs, features = items(rng, count, classes, width)
    whole = gradients(probs, features)
    for kind in (np.float64, np.float32):
        position = seed % count
        given_ = Gradients(probs, features.astype(kind))
        expected = ((whole - whole[position]) ** 2).sum(axis=1)
        near = 1e-10 if kind is np.float64 else 1e-4
        found = embedding_sq_distances(probs, features.astype(kind), position)
        np.testing.assert_allclose(found, expected, rtol=near, atol=near)
        np.testing.assert_allclose(given_.sq_distances(position), expected, rtol=near, atol=near)
        np.testing.assert_allclose(given_.norms, (whole**2).sum(axis=1), rtol=near, atol=near)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_duplicates_are_at_distance_zero_exactly(kind):
    probs, features = items(generator(), 5)
    twice = np.repeat(probs, 2, axis=0), np.repeat(1000 * features, 2, axis=0).astype(kind)
    for row in range(10):
        assert Gradients(*twice).sq_distances(row)[row ^ 1] == 0.0
        assert embedding_sq_distances(*twice, row)[row ^ 1] == 0.0


def test_whole_numbers_are_features_too():
    probs, features = np.full((2, 2), 0.5), np.array([[2**24], [2**24 + 1]])  # not both float32
    assert embedding_sq_distances(probs, features, 0).tolist() == [0.0, 0.5]
    assert Gradients(probs, features).sq_distances(0).tolist() == [0.0, 0.5]


def test_chances_are_in_proportion_and_never_of_what_was_picked():
    chances = sampling_probabilities(np.array([1.0, 3.0, -1e-9, 4.0]), np.array([3]))
    np.testing.assert_allclose(chances, [0.25, 0.75, 0.0, 0.0])


def test_where_all_distances_are_zero_the_others_are_equally_likely():
    np.testing.assert_allclose(
        sampling_probabilities(np.zeros(4), np.array([1])), [1 / 3, 0, *[1 / 3] * 2]
    )
    np.testing.assert_array_equal(sampling_probabilities(np.zeros(2), np.array([0, 1])), [0.0, 0.0])
    assert sampling_probabilities(np.zeros(0), np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("scale", [1e-320, 1e300])
def test_chances_are_right_for_very_small_and_very_large_distances(scale):
    chances = sampling_probabilities(np.array([1.0, 1.0, 2.0]) * scale, np.zeros(0))
    np.testing.assert_allclose(chances, [0.25, 0.25, 0.5], rtol=1e-2)


def test_the_first_pick_has_the_longest_gradient_and_ties_go_to_the_lower_row():
    probs, features = items(generator(), 20)
    longest = int(np.argmax((gradients(probs, features) ** 2).sum(axis=1)))
    assert kmeans_pp(probs, features, 1, generator()).tolist() == [longest]
    twice = np.tile(probs, (2, 1)), np.tile(features, (2, 1))
    assert kmeans_pp(*twice, 1, generator()).tolist() == [longest]
    last_first = np.arange(40)[::-1]
    assert kmeans_pp(*twice, 1, generator(), order=last_first).tolist() == [longest + 20]


@given(st.integers(0, 20), st.integers(0, 25), st.integers(0, 20))
def test_picks_are_distinct_as_many_as_asked_and_repeat_with_the_seed(count, budget, seed):
    probs, features = items(generator(seed), count)
    picks = kmeans_pp(probs, features, budget, generator(seed))
    assert len(np.unique(picks)) == len(picks) == min(budget, count)
    np.testing.assert_array_equal(picks, kmeans_pp(probs, features, budget, generator(seed)))


def test_the_second_pick_is_drawn_by_the_chances():
    probs, features = items(generator(4), 7)
    first = int(kmeans_pp(probs, features, 1, generator())[0])
    chances = sampling_probabilities(
        embedding_sq_distances(probs, features, first), np.array([first])
    )
    seeds = 3000
    seconds = [int(kmeans_pp(probs, features, 2, generator(seed))[1]) for seed in range(seeds)]
    found = np.bincount(seconds, minlength=7)
    assert found[first] == 0
    drawn = chances > 0
    assert chisquare(found[drawn], seeds * chances[drawn]).pvalue > 1e-3


def test_with_zero_weight_everywhere_the_rest_is_drawn_evenly():
    probs, features = np.full((5, 2), 0.5), np.ones((5, 3)) / 3
    seconds = [int(kmeans_pp(probs, features, 2, generator(seed))[1]) for seed in range(2000)]
    found = np.bincount(seconds, minlength=5)
    assert found[0] == 0  # the first pick: equals go to the lower row
    assert chisquare(found[1:]).pvalue > 1e-3


def test_of_sure_items_at_most_one_is_drawn_before_all_others():
    rng = generator(5)
    probs, features = items(rng, 12)
    probs[[2, 5, 8, 11]] = np.eye(3)[[0, 1, 2, 0]]
    for seed in range(40):
        picks = kmeans_pp(probs, features, 9, generator(seed)).tolist()
        assert len({2, 5, 8, 11} & set(picks)) == 1


def test_picks_are_those_of_gradients_written_out():
    """With two even classes a feature is its own gradient but for a factor."""
    for seed in range(5):
        probs, features = items(generator(seed), 30)
        whole = gradients(probs, features)
        even = np.full((30, 2), 0.5)
        np.testing.assert_array_equal(
            kmeans_pp(probs, features, 15, generator(seed)),
            kmeans_pp(even, whole, 15, generator(seed)),
        )


def test_a_pick_counts_all_detections_of_its_frame_as_picked():
    probs, features = items(generator(1), 8)
    ranges = np.repeat([[0, 4], [4, 6], [6, 8]], [4, 2, 2], axis=0)
    away = np.repeat([[0, 6], [0, 8], [4, 8]], [4, 2, 2], axis=0)
    frames = np.repeat([0, 1, 2], [4, 2, 2])
    for seed in range(20):
        rows = kmeans_pp(probs, features, 8, generator(seed), takes=Takes(ranges, away))
        assert sorted(frames[rows].tolist()) in ([0, 2], [1])


def test_only_free_rows_are_picked():
    probs, features = items(generator(1), 6)
    free = np.arange(6) % 2 == 0
    picks = kmeans_pp(probs, features, 6, generator(), free=free)
    assert sorted(picks.tolist()) == [0, 2, 4]


def test_what_does_not_belong_together_is_refused():
    for probs, features in (
        (np.ones((2, 0)), np.ones((2, 2))),
        (np.ones((2, 1)), np.ones((3, 2))),
        (np.ones(2), np.ones((2, 2))),
        (np.full((2, 2), 0.5), np.array([[np.nan], [1.0]])),
    ):
        with pytest.raises(ValueError):
            kmeans_pp(probs, features, 1, generator())
