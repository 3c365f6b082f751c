"""A linear probe and a linear SVM on frozen features."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from vidal.errors import UsageError
from vidal.pretrain.probe import ProbeOptions, linear_probe, linear_svm


def clusters(count=60, classes=3, width=6, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    middle = rng.normal(size=(classes, width))
    return (middle[labels] + noise * rng.normal(size=(count, width))).astype(np.float32), labels


@pytest.mark.parametrize("fit", [
    lambda x, y, k: linear_probe(x, y, k, np.random.default_rng(0)), linear_svm,
])  # fmt: skip
def test_classes_that_lie_apart_are_told_apart(fit):
    features, labels = clusters()
    found = fit(features, labels, 3)
    assert (found.predict(features) == labels).all()
    assert found.decision(features).shape == (60, 3)
    assert found.weight.shape == (3, 6)
    assert found.weight_norms == pytest.approx(np.sqrt((found.weight**2).sum(axis=1)))
    assert found.probabilities(features).sum(axis=1) == pytest.approx(np.ones(60))


def test_a_probe_comes_close_to_the_best_loss_there_is():
    features, labels = clusters(noise=1.0)
    settings = ProbeOptions(lr=0.5, epochs=400, batch=60)
    found = linear_probe(features, labels, 3, np.random.default_rng(0), settings)
    best = LogisticRegression(C=1e6, max_iter=2000).fit(features, labels)
    rows = np.arange(len(labels))

    def loss(probs):
        return -np.log(probs[rows, labels]).mean()

    assert loss(found.probabilities(features)) < loss(best.predict_proba(features)) + 0.02


def test_the_svm_is_scikit_learns_with_c_5():
    features, labels = clusters(noise=1.0)
    theirs = LinearSVC(C=5.0, dual=False, max_iter=5000).fit(features.astype(float), labels)
    found = linear_svm(features, labels, 3)
    assert found.decision(features) == pytest.approx(theirs.decision_function(features), abs=1e-6)


def test_two_classes_have_opposite_planes_and_a_class_without_items_is_never_predicted():
    features, labels = clusters(classes=2)
    found = linear_svm(features, 2 * labels, 4)  # classes 0 and 2 of four
    assert found.weight[0] == pytest.approx(-found.weight[2])
    assert set(found.predict(features).tolist()) == {0, 2}
    assert (found.predict(features) == 2 * labels).all()
    assert np.isneginf(found.decision(features)[:, [1, 3]]).all()
    assert found.weight_norms[[1, 3]].tolist() == [0, 0]
    probe = linear_probe(features, 2 * labels, 4, np.random.default_rng(0))
    assert (probe.predict(features) == 2 * labels).all()


def test_the_same_generator_gives_the_same_probe():
    features, labels = clusters(count=600, noise=1.0)
    one, two, other = (
        linear_probe(features, labels, 3, np.random.default_rng(seed), ProbeOptions(epochs=2))
        for seed in (0, 0, 1)
    )
    assert np.array_equal(one.weight, two.weight)
    assert not np.array_equal(one.weight, other.weight)


def test_the_defaults_are_the_thesis_settings():
    assert ProbeOptions() == ProbeOptions(100, 256, 30.0, 0.9, 0.0)


def test_what_cannot_be_meant_is_refused():
    features, labels = clusters()
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="two classes"):
        linear_svm(features, np.zeros(60, int), 3)
    with pytest.raises(UsageError, match="no items"):
        linear_probe(features[:0], labels[:0], 3, rng)
    with pytest.raises(UsageError, match="do not fit"):
        linear_probe(features, labels[:5], 3, rng)
    with pytest.raises(UsageError, match=r"0\.\.1"):
        linear_probe(features, labels, 2, rng)
    features[0, 0] = np.nan
    with pytest.raises(UsageError, match="finite"):
        linear_svm(features, labels, 3)
    with pytest.raises(UsageError, match="epochs"):
        ProbeOptions(epochs=0)
