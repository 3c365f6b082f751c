import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vidal.query.uncertainty import (
    Entropy,
    LeastConfidence,
    Margin,
    aggregate,
    entropy,
    least_confidence,
    margin,
)
from vidal.types import FrameSet, Pool, Regions

FORMULAS = [least_confidence, margin, entropy]
NONE = np.zeros(0, np.int64)


def a_pool(probs, pos, *, frames, classes=("car", "cyclist")):
    probs = np.array(probs, np.float32).reshape(-1, len(classes) + 1)
    n = len(probs)
    return Pool(
        FrameSet(("a",), np.zeros(frames, np.int64), np.arange(frames)),
        classes,
        FrameSet(("a",), NONE, NONE),
        regions=Regions(
            np.array(pos, np.int64),
            np.tile([0, 0, 1, 1], (n, 1)),
            probs[:, :-1].max(axis=1),
            probs[:, :-1].argmax(axis=1),
            probs,
            np.zeros((n, 0)),
        ),
    )


def test_least_confidence_leaves_the_background_out():
    np.testing.assert_allclose(
        least_confidence(np.array([[0.75, 0.25, 0], [0.1, 0.1, 0.8]])), [0.25, 0.9]
    )


def test_margin_is_the_squared_distance_of_the_best_two_from_certainty():
    np.testing.assert_allclose(
        margin(np.array([[1, 0, 0], [0.5, 0.5, 0], [0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])),
        [0, 1, 0.25, 0.25],
    )


def test_entropy_is_in_nats_and_takes_zeros():
    np.testing.assert_allclose(
        entropy(np.array([[1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])),
        [0, math.log(2), math.log(3)],
    )


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_take_no_rows_and_one_class(formula):
    assert formula(np.zeros((0, 3), np.float32)).shape == (0,)
    sure, unsure = formula(np.array([[0.95, 0.05], [0.6, 0.4]], np.float32))
    assert 0 < sure < unsure


def test_with_one_class_and_background_the_three_rank_confident_detections_alike():
    p = np.random.default_rng(0).uniform(0.5, 1, 50)
    probs = np.stack([p, 1 - p], axis=1)
    orders = [np.argsort(formula(probs)).tolist() for formula in FORMULAS]
    assert orders[0] == orders[1] == orders[2]


@given(arrays(np.float64, (6, 4), elements=st.floats(0, 1)))
def test_formulas_stay_in_their_ranges(raw):
    probs = (raw + 1e-9) / (raw + 1e-9).sum(axis=1, keepdims=True)
    for formula, top in zip(FORMULAS, (1, 1, math.log(4)), strict=True):
        values = formula(probs)
        assert ((values >= 0) & (values <= top + 1e-9)).all()


@given(arrays(np.float64, (6, 4), elements=st.floats(0.01, 1)), st.permutations(range(3)))
def test_formulas_do_not_depend_on_the_order_of_classes(raw, order):
    probs = raw / raw.sum(axis=1, keepdims=True)
    for formula in FORMULAS:
        np.testing.assert_allclose(formula(probs), formula(probs[:, [*order, 3]]))


@pytest.mark.parametrize(
    ("how", "expected"), [("mean", [2, 0, 5]), ("sum", [4, 0, 5]), ("max", [3, 0, 5])]
)
def test_frames_without_detections_score_zero(how, expected):
    values = aggregate(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 2]), 3, how)
    np.testing.assert_array_equal(values, expected)


def test_defaults_aggregate_as_the_paper_does():
    pool = a_pool([[0.8, 0.1, 0.1], [0.6, 0.4, 0], [0.5, 0.5, 0]], [0, 0, 2], frames=3)
    np.testing.assert_allclose(LeastConfidence().score(pool), [0.3, 0, 0.5], atol=1e-6)
    np.testing.assert_allclose(Margin().score(pool), [0.3**2 + 0.8**2, 0, 1], atol=1e-6)
    two = -sum(p * math.log(p) for p in (0.8, 0.1, 0.1, 0.6, 0.4))
    np.testing.assert_allclose(Entropy().score(pool), [two / 2, 0, math.log(2)], atol=1e-6)


def test_explains_by_the_least_certain_detection():
    pool = a_pool([[0.8, 0.1, 0.1], [0.4, 0.6, 0], [0.5, 0.5, 0]], [0, 0, 2], frames=3)
    told = LeastConfidence().explain(pool, np.array([2, 1, 0]))
    assert told.words == (
        "mean least confidence 0.500 over 1 detection; least certain: car, score 0.50",
        "no detections",
        "mean least confidence 0.300 over 2 detections; least certain: cyclist, score 0.60",
    )
    assert told.parts["detections"].tolist() == [1, 0, 2]
    np.testing.assert_allclose(told.parts["highest"], [0.5, 0, 0.4], atol=1e-6)


def test_a_pool_built_without_regions_is_an_error_and_no_zero():
    bare = Pool(FrameSet(("a",), NONE, NONE), ("car",), FrameSet(("a",), NONE, NONE))
    with pytest.raises(KeyError, match="regions"):
        Entropy().score(bare)
