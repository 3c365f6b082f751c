import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vidal.errors import UnknownName
from vidal.query.options import build, options_of
from vidal.query.region_scores import FORMULAS, RegionScore, region_score
from vidal.query.uncertainty import entropy, least_confidence, margin
from vidal.types import FrameSet, Pool, Regions

PURE = [least_confidence, margin, entropy]
PAPER = {name: FORMULAS[name] for name in ("entropy", "least-confidence", "margin")}
"""The baselines of the paper."""
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


def of(name, probs):
    return FORMULAS[name].of(np.array(probs))


def test_pure_functions_take_the_columns_they_are_given():
    probs = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    np.testing.assert_allclose(least_confidence(probs), [0, 0.5, 0.3, 0.3])
    np.testing.assert_allclose(margin(probs), [0, 1, 0.5, 0.5])


def test_of_one_column_there_is_no_margin_and_no_entropy():
    one = np.array([[1.0], [1.0]])
    assert margin(one).tolist() == entropy(one).tolist() == least_confidence(one).tolist() == [0, 0]


def test_least_confidence_of_a_detection_leaves_the_background_out():
    np.testing.assert_allclose(
        of("least-confidence", [[0.75, 0.25, 0], [0.1, 0.1, 0.8]]), [0.25, 0.9]
    )


def test_margin_of_a_detection_is_squared_and_background_is_a_class():
    np.testing.assert_allclose(
        of("margin", [[1, 0, 0], [0.5, 0.5, 0], [0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]),
        [0, 1, 0.25, 0.25],
    )


def test_entropy_is_in_nats_and_takes_zeros():
    np.testing.assert_allclose(
        entropy(np.array([[1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])),
        [0, math.log(2), math.log(3)],
    )


@pytest.mark.parametrize("formula", [*PURE, *(line.of for line in PAPER.values())])
def test_formulas_take_no_rows_and_one_class(formula):
    assert formula(np.zeros((0, 3), np.float32)).shape == (0,)
    sure, unsure = formula(np.array([[0.95, 0.05], [0.6, 0.4]], np.float32))
    assert 0 < sure < unsure


def test_with_one_class_and_background_the_three_rank_confident_detections_alike():
    p = np.random.default_rng(0).uniform(0.5, 1, 50)
    probs = np.stack([p, 1 - p], axis=1)
    orders = [np.argsort(line.of(probs)).tolist() for line in PAPER.values()]
    assert orders[0] == orders[1] == orders[2]


@given(arrays(np.float64, (6, 4), elements=st.floats(0, 1)))
def test_formulas_stay_in_their_ranges(raw):
    probs = (raw + 1e-9) / (raw + 1e-9).sum(axis=1, keepdims=True)
    for formula, top in zip(PURE, (1, 1, math.log(4)), strict=True):
        values = formula(probs)
        assert ((values >= 0) & (values <= top + 1e-9)).all()


@given(arrays(np.float64, (6, 4), elements=st.floats(0.01, 1)), st.permutations(range(3)))
def test_formulas_do_not_depend_on_the_order_of_classes(raw, order):
    probs = raw / raw.sum(axis=1, keepdims=True)
    for formula in PAPER.values():
        np.testing.assert_allclose(formula.of(probs), formula.of(probs[:, [*order, 3]]))


def test_defaults_aggregate_as_the_paper_does():
    pool = a_pool([[0.8, 0.1, 0.1], [0.6, 0.4, 0], [0.5, 0.5, 0]], [0, 0, 2], frames=3)
    np.testing.assert_allclose(
        region_score("least-confidence")().score(pool), [0.3, 0, 0.5], atol=1e-6
    )
    np.testing.assert_allclose(
        region_score("margin")().score(pool), [0.3**2 + 0.8**2, 0, 1], atol=1e-6
    )
    two = -sum(p * math.log(p) for p in (0.8, 0.1, 0.1, 0.6, 0.4))
    np.testing.assert_allclose(
        region_score("entropy")().score(pool), [two / 2, 0, math.log(2)], atol=1e-6
    )


def test_explains_by_the_least_certain_detection():
    pool = a_pool([[0.8, 0.1, 0.1], [0.4, 0.6, 0], [0.5, 0.5, 0]], [0, 0, 2], frames=3)
    told = region_score("least-confidence")().explain(pool, np.array([2, 1, 0]))
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
        region_score("entropy")().score(bare)


OLD = {
    ("entropy", "mean"): [0.6560217545594081, 0.0, 0.629787820093589],
    ("entropy", "sum"): [1.3120435091188163, 0.0, 1.8893634602807672],
    ("entropy", "max"): [0.6730116548474838, 0.0, 0.801818563969639],
    ("least-confidence", "mean"): [0.29999998211860657, 0.0, 0.46666667362054187],
    ("least-confidence", "sum"): [0.5999999642372131, 0.0, 1.4000000208616257],
    ("least-confidence", "max"): [0.3999999761581421, 0.0, 0.7999999970197678],
    ("margin", "mean"): [0.3649999825656416, 0.0, 0.4241666740924123],
    ("margin", "sum"): [0.7299999651312832, 0.0, 1.272500022277237],
    ("margin", "max"): [0.6399999713897708, 0.0, 1.0],
}
"""Of the three classes that this table took the place of, to the last digit."""


@pytest.mark.parametrize(("name", "how"), OLD)
def test_scores_are_those_of_a_class_per_formula(name, how):
    probs = [[0.8, 0.1, 0.1], [0.6, 0.4, 0], [0.5, 0.5, 0], [0.2, 0.1, 0.7], [0.05, 0.9, 0.05]]
    pool = a_pool(probs, [0, 0, 2, 2, 2], frames=3)
    strategy = build(region_score(name), {"aggregate": how})
    np.testing.assert_allclose(strategy.score(pool), OLD[name, how], rtol=1e-15)
    if how == {"entropy": "mean", "least-confidence": "mean", "margin": "sum"}[name]:
        assert region_score(name)() == strategy


def test_every_formula_has_the_options_that_mean_something_and_its_own_defaults():
    for name, line in FORMULAS.items():
        found = {option.name: option.default for option in options_of(region_score(name))}
        more = {"background": True} if name in {*PAPER, "bald", "ensemble", "egl"} else {}
        more |= {} if line.by is None else {"by": line.by}
        same = {"aggregate": line.aggregate, "top": 3, "spread": "clips", "groups": 0}
        assert found == same | more


def test_a_formula_that_is_not_in_the_table_is_refused():
    with pytest.raises(UnknownName, match="entropie"):
        RegionScore("entropie")
