"""OpenMax: Bendale and Boult, CVPR 2016."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import weibull_min

from tests.unit.openset.planted import image_pool, share_of_known
from vidal.errors import UsageError
from vidal.openset.openmax import (
    OpenMax,
    class_distances,
    recalibrate,
    weibull_cdf,
    weibull_fit,
)
from vidal.types import Items

SEEDS = st.integers(0, 2**32 - 1)


def test_a_distance_is_a_200th_of_the_euclidean_one_and_that_of_the_cosine():
    found = class_distances(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[3.0, 0.0], [6.0, 8.0]]))
    np.testing.assert_allclose(found[0], [0.005 * 4 + 1 - 0.6, 0.005 * 5])
    np.testing.assert_allclose(found[1], [0.005 * 3 + 1, 0.005 * 10 + 1])
    assert class_distances(np.zeros((0, 2)), np.zeros((3, 2))).shape == (0, 3)
    with pytest.raises(ValueError, match="not finite"):
        class_distances(np.array([[np.nan]]), np.ones((1, 1)))


def test_a_tail_of_fewer_than_three_or_of_equal_distances_has_no_distribution():
    for distances in ([], [1.0], [1.0, 2.0], [2.0, 2.0, 2.0], [0.0, 0.0, 5.0, 5.0, 5.0]):
        assert weibull_fit(np.array(distances), tail=3).tolist() == [0, 0, 0]
    assert weibull_cdf(np.array([[3.0]]), np.zeros((1, 3))).tolist() == [[0]]


@given(SEEDS, st.integers(3, 40), st.floats(1e-3, 1e3))
def test_the_fit_is_the_most_likely_weibull_distribution_of_the_tail(seed, tail, size):
    distances = size * np.random.default_rng(seed).gamma(2.0, 1.0, 40)
    shape, scale, shift = weibull_fit(distances, tail)
    largest = np.sort(distances)[-tail:]
    assert shift == largest[0]
    moved = largest + 1 - shift

    def likelihood(c, s):
        return weibull_min.logpdf(moved, c, scale=s).sum()

    best = likelihood(shape, scale)
    for c, s in ((1.001, 1), (0.999, 1), (1, 1.001), (1, 0.999)):
        assert likelihood(shape * c, scale * s) < best


def test_the_cdf_of_a_distance_is_that_of_the_distance_moved_as_in_the_fit():
    found = weibull_cdf(np.array([[0.0, 0.5, 1.0, 9e9]] * 3).T, np.array([[2.0, 1.5, 1.0]] * 3))
    expected = weibull_min.cdf([0, 0.5, 1, 9e9], 2, scale=1.5)
    np.testing.assert_allclose(found[:, 1], expected)
    assert found[0, 0] == 0


def test_without_distributions_it_is_a_softmax_with_one_more_column_of_0():
    found = recalibrate(np.array([[1.0, 2.0]]), np.zeros((1, 2)))
    powers = np.exp([1.0, 2.0, 0.0])
    np.testing.assert_allclose(found[0], powers / powers.sum())


def test_the_largest_logits_lose_most():
    found = recalibrate(np.array([[4.0, 2.0, 1.0, 3.0]]), np.full((1, 4), 0.5), alpha=2)
    powers = np.exp([4 - 2, 2, 1, 3 - 0.75, 2.75])
    np.testing.assert_allclose(found[0], powers / powers.sum())


def test_a_row_with_a_negative_logit_is_raised_to_begin_at_0_unless_it_is_not_wanted():
    cdf = np.array([[0.5, 0.5]])
    raised = recalibrate(np.array([[-1.0, 2.0]]), cdf)
    np.testing.assert_allclose(raised, recalibrate(np.array([[0.0, 3.0]]), cdf))
    kept = recalibrate(np.array([[-1.0, 2.0]]), cdf, shift_negative=False)
    powers = np.exp([-1 + 0.25, 2 - 1, 1 - 0.25])
    np.testing.assert_allclose(kept[0], powers / powers.sum())


@given(SEEDS, st.integers(1, 6), st.integers(1, 8))
def test_rows_are_distributions_and_more_distance_is_less_purity(seed, classes, alpha):
    rng = np.random.default_rng(seed)
    logits, cdf = rng.normal(0, 3, (5, classes)), rng.random((5, classes))
    found = recalibrate(logits, cdf, alpha)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()
    farther = recalibrate(logits, np.minimum(1, cdf + rng.random((5, classes))), alpha)
    assert (farther[:, -1] >= found[:, -1] - 1e-12).all()


@given(SEEDS)
def test_p_of_none_does_not_fall_along_a_ray_from_the_mean_of_the_likeliest_class(seed):
    """With one class weighed: with more the ray may come near to another of them."""
    rng = np.random.default_rng(seed)
    means, start = rng.normal(size=(3, 5)), rng.normal(size=5)
    models = np.column_stack([rng.uniform(1, 5, 3), rng.uniform(1, 2, 3), rng.uniform(0, 0.5, 3)])
    logits = np.sort(rng.uniform(0.1, 5, 3))[::-1]
    steps = means[0] + np.linspace(0, 3, 20)[:, None] * start
    # The Euclidean part alone rises along a ray for sure.
    distances = np.linalg.norm(steps[:, None] - means, axis=2)
    found = recalibrate(np.tile(logits, (20, 1)), weibull_cdf(distances, models), alpha=1)
    assert (np.diff(found[:, -1]) >= -1e-12).all()


def test_edges_of_the_contract():
    assert recalibrate(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 4)
    assert recalibrate(np.array([[2.0]]), np.array([[1.0]])).tolist() == pytest.approx(
        np.array([[1, np.exp(2)]]) / (1 + np.exp(2))
    )
    single = recalibrate(np.array([[1, 2]], np.float32), np.array([[0.5, 0.5]], np.float32))
    assert single.dtype == np.float64
    with pytest.raises(ValueError, match="alpha 0"):
        recalibrate(np.ones((1, 2)), np.ones((1, 2)), alpha=0)
    with pytest.raises(ValueError, match="not finite"):
        recalibrate(np.array([[np.inf, 1.0]]), np.ones((1, 2)))


def test_items_that_the_model_gets_wrong_and_unknown_ones_say_nothing_of_a_class():
    rng = np.random.default_rng(0)
    logits = np.eye(2)[np.arange(40) % 2] * 4 + rng.normal(0, 0.3, (40, 2))
    probs = np.column_stack([logits, np.zeros(40)])
    right = Items(np.zeros((40, 1)), probs, np.arange(40) % 2, {"logits": logits})
    wrong = Items(
        np.zeros((50, 1)),
        np.concatenate([probs, probs[:10]]),
        np.concatenate([right.answers, [1, 2, 1, 2, 1, 2, -1, -1, -1, -1]]),
        {"logits": np.concatenate([logits, logits[:10] * 0 + [9, 1]])},
    )
    wrong = wrong.keep((wrong.answers != 1) | (np.arange(50) < 40))
    pool = rng.normal(2, 2, (30, 2))
    np.testing.assert_array_equal(OpenMax().purity(right, pool), OpenMax().purity(wrong, pool))


def planted(rng):
    """Sure of a class, but in a direction that none of its items has."""
    classes = np.arange(200) % 4
    known = np.eye(4)[classes] * 6 + rng.normal(0, 1, (200, 4))
    odd = np.array([9.0, -8, -8, 4]) + rng.normal(0, 1, (200, 4))
    labelled = np.eye(4)[np.arange(80) % 4] * 6 + rng.normal(0, 1, (80, 4))
    unknown = np.repeat([False, True], 200)
    return image_pool(np.concatenate([known, odd]), labelled, np.arange(80) % 4, np.eye(4)), unknown


def test_it_asks_for_known_images_where_the_softmax_is_sure_of_unknown_ones():
    pool, unknown = planted(np.random.default_rng(1))
    mine = share_of_known("openmax", pool, unknown, 60)
    assert mine > 0.95
    assert mine > share_of_known("msp", pool, unknown, 60) + 0.3
    assert mine > share_of_known("random", pool, unknown, 60) + 0.3


def test_reasons_say_where_nothing_right_is_labelled():
    pool, _ = planted(np.random.default_rng(1))
    assert "OpenMax purity 0." in OpenMax().explain(pool, np.arange(1)).words[0]
    few = image_pool(pool.regions.features, np.zeros((0, 4)), np.zeros(0, np.int64), np.eye(4))
    assert "too few labelled" in OpenMax().explain(few, np.arange(1)).words[0]
    assert np.isfinite(OpenMax().score(few)).all()


@pytest.mark.parametrize(
    "options", [{"alpha": 0}, {"tail": 2}, {"euclidean_weight": -1}, {"top": 0}]
)
def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(UsageError):
        OpenMax(**options)


def test_logits_that_are_no_numbers_are_refused():
    broken = np.full((3, 4), np.nan)
    pool = image_pool(np.zeros((3, 4)), np.zeros((0, 4)), np.zeros(0, np.int64), np.eye(4))
    with pytest.raises(UsageError, match="NaN"):
        OpenMax().purity(pool.items, broken)


def test_what_rounding_makes_of_equal_distances_is_no_spread():
    assert weibull_fit(np.array([1, 1, 1 + 1e-15]), tail=3).tolist() == [0, 0, 0]
    assert weibull_fit(np.array([1, 1, 1 + 1e-9]), tail=3)[0] > 0
