"""LfOSA: active learning for open-set annotation, CVPR 2022."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture

from vidal.assemble import STRATEGIES
from vidal.errors import UsageError
from vidal.openset.lfosa import known_posterior, max_activation
from vidal.query.options import build

SEEDS = st.integers(0, 2**32 - 1)


def test_the_largest_logit_and_its_column_equals_by_the_lower_one():
    found = max_activation(np.array([[1.0, 3, 2], [0, -1, 0], [-5, -4, -3]]))
    assert found.tolist() == [[3, 1], [0, 0], [-3, 2]]
    assert max_activation(np.zeros((0, 3))).shape == (0, 2)


def test_within_a_predicted_class_the_higher_activations_are_known_and_unknown_gets_0():
    high, low = np.array([9.0, 10, 11]), np.array([1.0, 2, 3])
    logits = np.zeros((8, 3))
    logits[:6, 0] = np.concatenate([high, low])
    logits[6:, 2] = 50
    found = known_posterior(logits)
    np.testing.assert_allclose(found, [1, 1, 1, 0, 0, 0, 0, 0], atol=1e-6)


def test_the_posterior_is_that_of_scikit_learn_on_each_class():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (200, 4))
    logits[np.arange(200), rng.integers(0, 4, 200)] += rng.choice([4, 9], 200)
    found, best = known_posterior(logits), logits.argmax(axis=1)
    for number in range(3):
        value = logits[best == number].max(axis=1)[:, None]
        model = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0)
        model.fit(value)
        wanted = model.predict_proba(value)[:, model.means_.argmax()]
        np.testing.assert_allclose(found[best == number], wanted, atol=1e-6)
    assert (found[best == 3] == 0).all()


def test_a_class_with_one_item_or_equal_ones_gets_one_half():
    assert known_posterior(np.array([[2.0, 0, 0]])).tolist() == [0.5]
    assert known_posterior(np.full((3, 2), [4.0, 1.0])).tolist() == [0.5] * 3
    assert known_posterior(np.zeros((0, 3))).tolist() == []
    assert known_posterior(np.array([[0.0, 1.0]])).tolist() == [0]


@given(SEEDS, st.integers(1, 4), st.integers(0, 30))
def test_in_0_to_1_finite_for_any_logits_and_permuted_with_the_pool(seed, known, n):
    rng = np.random.default_rng(seed)
    logits = rng.uniform(-1e3, 1e3, (n, known + 1))
    found, order = known_posterior(logits), rng.permutation(n)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(known_posterior(logits[order]), found[order], atol=1e-9)
    assert (found[logits.argmax(axis=1) == known] == 0).all()


@given(SEEDS, st.floats(-50, 50))
def test_a_shift_of_one_class_leaves_its_posteriors_as_they_are(seed, shift):
    rng = np.random.default_rng(seed)
    logits = np.full((20, 3), -200.0)
    logits[:, 1] = rng.normal(0, 4, 20)
    before = known_posterior(logits)
    logits[:, 1] += shift
    np.testing.assert_allclose(known_posterior(logits), before, atol=1e-6)


def test_options_that_cannot_be_meant_are_refused():
    for options in ({"temperature": 0}, {"unknown_temperature": -1}, {"top": 0}):
        with pytest.raises(UsageError):
            build(STRATEGIES["lfosa"], options)
