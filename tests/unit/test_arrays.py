import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vidal.arrays import (
    component_posterior,
    fit_mixture,
    min_max,
    mixture_posterior,
    nearest,
    reverse_votes,
    z_score,
)

NUMBERS = st.floats(-1e6, 1e6)


def vectors(rows, columns=3):
    # Few different numbers: equal distances are the rule, not the exception.
    return arrays(np.float64, (rows, columns), elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0]))


def two_groups(seed, sizes=(60, 40)):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0, 1, sizes[0]), rng.normal(6, 0.7, sizes[1])])


def brute_force(queries, base, k, metric):
    if metric == "euclidean":
        distance = ((queries[:, None] - base) ** 2).sum(axis=2)
    else:
        unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
                for x in (queries, base)]  # fmt: skip
        distance = -(unit[0][:, None] * unit[1]).sum(axis=2)
    return np.argsort(distance.round(12), axis=1, kind="stable")[:, :k]


@given(arrays(np.float64, st.integers(1, 20), elements=NUMBERS))
def test_min_max_reaches_both_ends_or_is_zero(x):
    scaled = min_max(x)
    assert scaled.min() == 0
    assert scaled.max() == (1 if x.min() < x.max() else 0)


@given(arrays(np.float64, st.integers(1, 20), elements=NUMBERS))
def test_z_scores_have_mean_zero_and_deviation_one_or_are_zero(x):
    z = z_score(x)
    if x.max() - x.min() > 1e-3:
        assert abs(z.mean()) < 1e-4
        assert z.std() == pytest.approx(1, abs=1e-4)
    if x.max() == x.min():
        assert not z.any()


def test_equal_numbers_whose_mean_is_rounded_have_no_z_score():
    assert np.full(3, 0.1).std() > 0  # of rounding only
    assert not z_score(np.full(3, 0.1)).any()
    assert not z_score(np.array([1.0, 5.0]), np.full(3, 0.1)).any()


def test_numbers_at_the_ends_of_what_there_is_are_scaled_and_others_refused():
    assert min_max(np.array([-1.7e308, 0.0, 1.7e308])).tolist() == [0, 0.5, 1]
    assert min_max(np.array([0.0, 5e-324])).tolist() == [0, 1]
    for function in (min_max, z_score):
        for value in (np.nan, np.inf):
            with pytest.raises(ValueError, match="not finite"):
                function(np.array([1.0, value]))


def test_no_numbers_stay_none():
    empty = np.zeros(0)
    assert min_max(empty).shape == z_score(empty).shape == component_posterior(empty).shape == (0,)
    assert not z_score(np.array([3.0]), empty).any()


@given(
    arrays(np.float64, 7, elements=NUMBERS),
    arrays(np.float64, 3, elements=NUMBERS),
    arrays(np.float64, 3, elements=st.floats(1e-3, 10)),
    arrays(np.float64, 3, elements=st.floats(0.01, 1)),
)
def test_posteriors_are_probabilities_however_far_away(x, means, variances, weights):
    posterior = mixture_posterior(x, means, variances, weights)
    assert posterior.shape == (7, 3)
    assert (posterior >= 0).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1)


def test_a_component_without_weight_gets_nothing():
    posterior = mixture_posterior(np.array([5.0]), [0.0, 5.0], [1.0, 1.0], [1.0, 0.0])
    np.testing.assert_array_equal(posterior, [[1, 0]])


@pytest.mark.parametrize(
    ("variances", "weights"), [([1, 0], [0.5, 0.5]), ([1, 1], [0, 0]), ([1, 1], [-1, 2]), ([], [])]
)
def test_a_mixture_that_is_none_is_refused(variances, weights):
    with pytest.raises(ValueError, match=r"variance|means"):
        mixture_posterior(np.zeros(2), np.zeros(len(variances)), variances, weights)


@pytest.mark.parametrize("components", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_mixtures_are_those_of_scikit_learn(seed, components):
    from sklearn.mixture import GaussianMixture

    sizes = (60, 40) if components == 2 else (50, 30)
    x = two_groups(seed, sizes)
    if components == 3:
        x = np.append(x, np.random.default_rng(seed + 9).normal(-9, 0.3, 20))
    theirs = GaussianMixture(components, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ten steps are not always enough for its taste
        theirs.fit(x[:, None])
    order = np.argsort(theirs.means_[:, 0])
    expected = np.stack(
        [theirs.means_[order, 0], theirs.covariances_[order, 0, 0], theirs.weights_[order]], axis=1
    )
    np.testing.assert_allclose(fit_mixture(x, components), expected, rtol=1e-6)


def test_the_added_variance_is_added_and_no_floor():
    x = np.repeat([0.0, 10.0], 50) + np.tile([-0.008, 0.008], 50)
    np.testing.assert_allclose(fit_mixture(x)[:, 1], 0.008**2 + 5e-4, rtol=1e-9)


def test_fewer_distinct_values_than_components_make_as_many_components():
    found = fit_mixture(np.array([1.0, 4.0, 1.0, 1.0]), components=5)
    np.testing.assert_allclose(found, [[1, 5e-4, 0.75], [4, 5e-4, 0.25]], atol=1e-9)
    assert fit_mixture(np.full(3, 2.0)).shape == (1, 3)


def test_no_values_and_no_components_are_refused():
    with pytest.raises(ValueError, match="0 values"):
        fit_mixture(np.zeros(0))
    with pytest.raises(ValueError, match="for 0 components"):
        fit_mixture(np.arange(3.0), components=0)
    with pytest.raises(ValueError, match="not finite"):
        fit_mixture(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="side"):
        component_posterior(np.arange(3.0), side="middle")


@given(arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)), st.integers(1, 4))
def test_mixtures_of_anything_are_finite_and_ordered(x, components):
    found = fit_mixture(x, components)
    assert np.isfinite(found).all()
    assert (np.diff(found[:, 0]) >= 0).all()
    assert (found[:, 1] >= 5e-4).all()
    assert found[:, 2].sum() == pytest.approx(1)


def test_two_sides_of_two_components_share_what_there_is():
    x = two_groups(3)
    np.testing.assert_allclose(component_posterior(x) + component_posterior(x, side="low"), 1)
    assert (component_posterior(np.array([0.0, 6.0]), fit_on=x).round(3) == [0, 1]).all()


def test_an_extreme_value_may_belong_to_the_wider_component():
    # A tight high group inside a wide low one: the posterior falls again beyond it.
    wide, tight = np.linspace(0, 12, 200), np.linspace(7.95, 8.05, 200)
    x = np.array([4.0, 8.0, 30.0])
    high = mixture_posterior(x, [wide.mean(), 8.0], [wide.var(), tight.var()], [0.5, 0.5])[:, 1]
    assert high[0] < 0.01 < 0.9 < high[1] > high[2]
    assert high[2] < 0.01


@pytest.mark.parametrize("value", [0.5, -3.0])
def test_without_two_distinct_values_the_posterior_is_a_half(value):
    assert (component_posterior(np.full(4, value)) == 0.5).all()
    assert (component_posterior(np.arange(3.0), fit_on=np.full(9, value)) == 0.5).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@given(vectors(5), vectors(9), st.integers(0, 9))
def test_nearest_is_a_sort_of_all_distances_with_ties_by_row(metric, queries, base, k):
    found = nearest(queries, base, k, metric)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, brute_force(queries, base, k, metric))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_nearest_is_exact_far_from_the_origin_and_over_several_blocks(metric, monkeypatch):
    rng = np.random.default_rng(4)
    base = rng.normal(size=(300, 8)) + (1e4 if metric == "euclidean" else 0)
    base[200:] = base[:100]  # duplicates tie, wherever they stand
    queries = base[rng.integers(0, 300, 41)] + rng.normal(size=(41, 8)) * 1e-3
    whole = nearest(queries, base, 7, metric)
    monkeypatch.setattr("vidal.arrays._BLOCK", 1000)
    np.testing.assert_array_equal(nearest(queries, base, 7, metric), whole)
    np.testing.assert_array_equal(whole, brute_force(queries, base, 7, metric))
    # each of the nearest is at hand twice, the first copy first
    assert (whole[:, 0] < 200).all()


def test_neighbours_that_cannot_be_are_refused():
    x = np.zeros((2, 3))
    for k, other in ((3, x), (-1, x), (1, np.zeros((2, 4)))):
        with pytest.raises(ValueError, match="nearest"):
            nearest(x, other, k)
    with pytest.raises(ValueError, match="manhattan"):
        nearest(x, x, 1, "manhattan")
    with pytest.raises(ValueError, match="finite"):
        nearest(x, np.full((2, 3), np.nan), 1)
    assert nearest(np.zeros((0, 3)), x, 1).shape == (0, 1)


def test_every_labelled_item_votes_for_its_nearest_pool_items():
    pool = np.array([[1, 0], [0, 1], [-1, 0.1]])
    labelled = np.array([[2, 0.1], [3, 0], [0.1, 5]])
    votes = reverse_votes(pool, labelled, np.array([0, 0, 1]), 3, 1)
    np.testing.assert_array_equal(votes, [[2, 0, 0], [0, 1, 0], [0, 0, 0]])


@given(vectors(6), vectors(4), arrays(np.int64, 4, elements=st.integers(0, 2)), st.integers(0, 9))
def test_votes_add_up_to_k_for_every_labelled_item(pool, labelled, labels, k):
    votes = reverse_votes(pool, labelled, labels, 3, k)
    assert (votes >= 0).all()
    np.testing.assert_array_equal(votes.sum(axis=0), np.bincount(labels, minlength=3) * min(k, 6))


def test_votes_without_items_are_none_and_wrong_labels_are_refused():
    pool, none = np.zeros((4, 2)), np.zeros((0, 2))
    assert not reverse_votes(pool, none, np.zeros(0), 3, 2).any()
    assert reverse_votes(none, pool, np.zeros(4, int), 3, 2).shape == (0, 3)
    for labels in ([0, 1], [0, 1, 2, 3], [0, 1, 2, -1]):
        with pytest.raises(ValueError, match="labels"):
            reverse_votes(pool, pool, np.array(labels), 3, 2)
