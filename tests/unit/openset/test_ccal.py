"""CCAL: formulas by hand, quotas of classes, and pictures that are alike in meaning or in looks."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.openset.learned_problems import planted, precision_of
from vidal.detect.spec import DetectorSpec
from vidal.errors import EvidenceMissing, UsageError
from vidal.openset.ccal import (
    Ccal,
    distinctive_raw,
    distinctive_score,
    picks_per_class,
    query_score,
    select_per_class,
    semantic_score,
)
from vidal.openset.dias import Dias
from vidal.openset.mqnet import MQNet
from vidal.query.region_scores import RegionScore
from vidal.selection.trained import Trainer

SEEDS = st.integers(0, 2**32 - 1)
ROOT = math.sqrt(0.5)


def test_semantic_scores_by_hand_and_a_labelled_duplicate_has_one():
    found = semantic_score(np.array([[2.0, 0], [1, 1], [-1, 0]]), np.array([[3.0, 0]]))
    np.testing.assert_allclose(found, [1, (ROOT + 1) / 2, 0])


def test_semantic_scores_without_labels_or_items():
    assert semantic_score(np.ones((2, 3)), np.zeros((0, 3))).tolist() == [0, 0]
    assert semantic_score(np.zeros((0, 3)), np.ones((2, 3))).shape == (0,)
    assert semantic_score(np.ones((1, 3)), np.ones((2, 3))).tolist() == [0]


def test_the_raw_distinctive_score_by_hand():
    pool = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    own = np.array([[[1.0, 0.0]], [[1.0, 1.0]], [[-1.0, 0.0]]])
    # first: near (1,0) at 1, (1,1) at root; they are root apart. second: (1,1), then (1,0) at 0
    np.testing.assert_allclose(distinctive_raw(pool, own), [1 - ROOT + ROOT, ROOT - 0 + ROOT])


def test_one_labelled_item_leaves_its_cosine():
    pool = np.array([[[1.0, 0.0], [1.0, 1.0]]])
    own = np.array([[[1.0, 0.0], [1.0, 0.0]]])
    np.testing.assert_allclose(distinctive_raw(pool, own), [(1 + ROOT) / 2])


def test_views_are_compared_each_with_its_own_and_averaged():
    rng = np.random.default_rng(0)
    pool, own = rng.normal(size=(6, 4, 5)), rng.normal(size=(7, 4, 5))
    each = [distinctive_raw(pool[:, [r]], own[:, [r]]) for r in range(4)]
    np.testing.assert_allclose(distinctive_raw(pool, own), np.mean(each, axis=0))


@pytest.mark.parametrize("own", [np.zeros((0, 1, 2)), np.ones((2, 2, 2)), np.ones((2, 2))])
def test_a_class_without_items_or_with_other_views_is_refused(own):
    with pytest.raises(ValueError, match="of a class"):
        distinctive_raw(np.ones((3, 1, 2)), own)


def test_distinctive_scores_turn_around():
    np.testing.assert_allclose(distinctive_score(np.array([0.0, 2.0, 0.5])), [1, 0, 0.75])
    assert distinctive_score(np.array([4.0])).tolist() == [1]


def test_the_joint_score_by_hand():
    found = query_score(np.array([0.9, 1.0, 0.0]), np.array([0.5, 0.2, 0.9]))
    np.testing.assert_allclose(found, [0.5, 1.2, -0.1], atol=1e-6)
    half = query_score(np.array([0.95]), np.array([0.0]), k=50)
    e = math.exp(-100 * 0.05)
    assert half[0] == pytest.approx((1 - e) / (1 + e))  # the code's formula


@given(SEEDS)
def test_the_joint_score_rises_with_meaning(seed):
    rng = np.random.default_rng(seed)
    semantic = np.sort(rng.random(10))
    assert (np.diff(query_score(semantic, np.full(10, 0.3))) >= 0).all()


def test_the_best_of_each_class_come_first_then_the_best_of_all():
    scores = np.array([[5.0, 4, 3, 9, 9], [9, 9, 9, 1, 2]])
    place = np.array([0, 0, 0, 1, 1])
    assert select_per_class(scores, place, 2).tolist() == [0, 4]
    assert select_per_class(scores, place, 3).tolist() == [0, 1, 4]
    assert picks_per_class(scores, place, 4).tolist() == [0, 4, 1, 3]
    assert picks_per_class(scores, place, 5).tolist() == [0, 4, 1, 3, 2]


def test_the_share_of_a_class_without_candidates_goes_to_the_others():
    scores = np.vstack([np.arange(6.0), np.full((2, 6), np.nan)])
    assert select_per_class(scores, np.zeros(6, int), 4).tolist() == [2, 3, 4, 5]


@given(SEEDS, st.integers(1, 4), st.integers(0, 12), st.integers(0, 15))
def test_the_budget_is_filled_with_distinct_items(seed, classes, count, budget):
    rng = np.random.default_rng(seed)
    scores, place = rng.random((classes, count)), rng.integers(0, classes, count)
    found = select_per_class(scores, place, budget)
    assert len(found) == len(np.unique(found)) == min(budget, count)
    order = rng.permutation(count)
    turned = select_per_class(scores[:, order], place[order], budget)
    assert sorted(order[turned]) == found.tolist()


def test_scores_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="out of range"):
        select_per_class(np.ones((2, 3)), np.array([0, 1, 2]), 1)
    with pytest.raises(ValueError, match="finite"):
        select_per_class(np.array([[np.nan]]), np.array([0]), 1)


def with_encoders(problem, noise=0.1, seed=0):
    """What encoders would say: the semantic one tells unknown kinds apart, whatever the doubt."""
    rng = np.random.default_rng(seed)

    def columns(features):
        semantic = features + rng.normal(0, noise, features.shape)
        distinctive = semantic[:, None] + rng.normal(0, noise, (len(features), 4, 8))
        return {"semantic": semantic, "distinctive": distinctive}

    pool = problem.pool
    regions = replace(pool.regions, columns=columns(pool.regions.features.astype(float)))
    items = replace(pool.items, columns=columns(pool.items.features.astype(float)))
    return replace(pool, regions=regions, items=items)


def test_it_asks_for_more_known_objects_than_chance_and_the_closed_set_method():
    problem = planted()
    pool = with_encoders(problem)
    found = precision_of(problem, pool, Ccal(t=0.9))
    assert found > problem.share_of_known + 0.3
    closed = RegionScore("margin", aggregate="max", background=False)
    assert found > precision_of(problem, pool, closed)


def test_classes_share_a_query():
    problem = planted()
    pool = with_encoders(problem)
    picks = Ccal(gap=0).select(pool, 30, np.random.default_rng(0))
    truth = pool.regions.probs[picks, :3].argmax(axis=1)
    assert np.bincount(truth, minlength=3).min() >= 7


def test_unknown_labelled_items_are_not_used():
    problem = planted()
    pool = with_encoders(problem)
    without = replace(pool, items=pool.items.known())
    np.testing.assert_array_equal(Ccal().score(pool), Ccal().score(without))


def test_the_codes_slope_is_half_of_it():
    pool = with_encoders(planted())
    code = Ccal(slope="code").score(pool)
    np.testing.assert_array_equal(code, Ccal(k=50).score(pool))
    assert not np.array_equal(code, Ccal().score(pool))


def test_nothing_known_is_labelled_yet():
    problem = planted()
    pool = with_encoders(problem)
    pool = replace(pool, items=pool.items.keep(pool.items.answers == 3))
    assert len(Ccal(gap=0).select(pool, 5, np.random.default_rng(0))) == 5


def test_features_that_are_not_numbers_are_refused():
    pool = with_encoders(planted())
    semantic = pool.regions.columns["semantic"].copy()
    semantic[0] = np.nan
    columns = {**pool.regions.columns, "semantic": semantic}
    with pytest.raises(UsageError, match="semantic features of detections hold NaN"):
        Ccal().score(replace(pool, regions=replace(pool.regions, columns=columns)))
    with pytest.raises(UsageError, match="k 0"):
        Ccal(k=0.0)


@pytest.mark.parametrize(
    ("strategy", "way_out"),
    [
        (Ccal(), "mahalanobis"),
        (Dias(), "certainty"),
        (MQNet(purity="csi"), "purity=energy"),
    ],
    ids=["ccal", "dias", "mqnet"],
)
def test_what_needs_pictures_is_refused_on_video_with_the_way_out(strategy, way_out):
    detector = DetectorSpec("scenes-tiny")
    trainer = Trainer("it", strategy.needs, detector, seed=0, number=1)
    with pytest.raises(EvidenceMissing) as caught:
        trainer.check(5)
    assert "of a video" in caught.value.message
    assert way_out in caught.value.hint
