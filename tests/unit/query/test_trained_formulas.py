"""Formulas that read more than a class distribution: columns, features, what is labelled."""

import math

import numpy as np
import pytest

from vidal.assemble import STRATEGIES, build_strategy
from vidal.errors import EvidenceMissing, UnknownName, UsageError
from vidal.query.options import build
from vidal.query.region_scores import foreground, region_score
from vidal.query.svm import margin_of_labelled
from vidal.types import BACKGROUND, FrameSet, Items, Pool, Regions

NONE = np.zeros(0, np.int64)
HALF = [0.5, 0.5, 0.0]


def a_pool(pos, *, frames, probs=None, features=None, items=None, **columns):
    n = len(pos)
    probs = np.tile([0.6, 0.3, 0.1], (n, 1)) if probs is None else np.array(probs)
    return Pool(
        FrameSet(("a",), np.zeros(frames, np.int64), np.arange(frames)),
        ("car", "cyclist"),
        FrameSet(("a",), NONE, NONE),
        regions=Regions(
            np.array(pos, np.int64),
            np.tile([0, 0, 1, 1], (n, 1)),
            probs[:, :-1].max(axis=1),
            probs[:, :-1].argmax(axis=1),
            probs,
            np.zeros((n, 0)) if features is None else features,
            columns,
        ),
        items=items,
    )


def scores(name, pool, **options):
    return build(STRATEGIES[name], options).score(pool)


def labelled(features, answers):
    return Items(np.array(features, float), np.zeros((len(answers), 3)), answers)


def test_without_the_background_the_classes_are_scaled_to_sum_to_1():
    probs = np.array([[0.2, 0.2, 0.6], [0.3, 0.1, 0.6], [0, 0, 1.0]])
    np.testing.assert_allclose(
        foreground(probs), [[0.5, 0.5, 0], [0.75, 0.25, 0], [0.5, 0.5, 0]], atol=1e-15
    )
    pool = a_pool([0, 1], frames=2, probs=probs[:2])
    np.testing.assert_allclose(scores("entropy", pool, background=False)[0], math.log(2), rtol=1e-6)
    np.testing.assert_allclose(scores("margin", pool, background=False), [1, 0.25], rtol=1e-6)
    np.testing.assert_allclose(
        scores("least-confidence", pool, background=False), [0.5, 0.25], rtol=1e-6
    )
    np.testing.assert_allclose(scores("least-confidence", pool), [0.8, 0.7], rtol=1e-6)


def test_certainty_leaves_the_background_out_and_takes_the_surest_detections():
    probs = [[0.4, 0.1, 0.5], [0.5, 0.5, 0], [0.9, 0.1, 0], [0.7, 0.3, 0]]
    pool = a_pool([0, 0, 0, 0], frames=2, probs=probs)
    np.testing.assert_allclose(scores("certainty", pool), [(0.8 + 0.9 + 0.7) / 3, 0], rtol=1e-6)
    np.testing.assert_allclose(scores("msp", pool, top=1), [0.9, 0], rtol=1e-6)
    with pytest.raises(UnknownName, match="background"):
        build_strategy("certainty", gap=0, options={"background": "true"})
    with pytest.raises(UsageError, match="top 0"):
        build_strategy("certainty", gap=0, options={"top": "0"})


def test_passes_that_contradict_each_other_score_one_bit():
    passes = np.array([[[1, 0, 0], [0, 1, 0]], [HALF, HALF]], float)
    np.testing.assert_allclose(
        scores("bald", a_pool([0, 1], frames=2, passes=passes)), [math.log(2), 0]
    )


def test_a_committee_is_asked_how_many_are_not_of_the_majority_then_how_even_its_mean_is():
    sure, even = [[0.9, 0.1, 0]] * 2, [[0.6, 0.4, 0]] * 2
    split = [[0.9, 0.1, 0], [0.1, 0.9, 0]]
    members = np.array([sure, even, split], float)
    found = scores("ensemble", a_pool([0, 1, 2], frames=3, members=members))
    np.testing.assert_allclose(found, [0, 0, 0.5], atol=2e-6)
    assert found[0] < found[1]


def test_labels_that_changed_come_first_and_equals_by_the_entropy_at_the_end():
    votes = np.array([[0, 0, 1, 2], [0, 0, 0, 0], [1, 1, 1, 1]], np.int16)
    probs = [[0.9, 0.1, 0], [0.9, 0.1, 0], [0.5, 0.5, 0]]
    found = scores("label-dispersion", a_pool([0, 1, 2], frames=3, probs=probs, votes=votes))
    np.testing.assert_allclose(found, [0.5, 0, 0], atol=2e-6)
    assert found[2] > found[1]


def test_what_looks_least_labelled_is_asked_for():
    pool = a_pool([0, 1, 1], frames=3, labelledness=np.array([0.9, 0.2, 0.4], np.float32))
    np.testing.assert_allclose(scores("vaal", pool), [0.1, 0.7, 0], rtol=1e-6)


def test_a_frame_without_detections_scores_as_low_as_any_where_scores_can_be_negative():
    pool = a_pool([0, 1], frames=3, predicted_loss=np.array([-3.0, -1.0]))
    assert scores("learning-loss", pool).tolist() == [-3, -1, -3]
    nothing = a_pool([], frames=2, probs=np.zeros((0, 3)), predicted_loss=np.zeros(0))
    assert scores("learning-loss", nothing).tolist() == [0, 0]


def test_detections_near_a_plane_between_the_labelled_classes_come_first():
    items = labelled(
        [[-1.0, 0], [-1, 1], [1, 0], [1, 1], [9, 9]], [0, 0, BACKGROUND, BACKGROUND, 2]
    )
    features = np.array([[0.1, 0.5], [1.0, 0.5], [-2.0, 0.5]], np.float16)
    pool = a_pool([0, 1, 2], frames=3, features=features, items=items)
    found = scores("svm-margin", pool)
    assert (found <= 0).all()
    assert found.argsort().tolist() == [2, 1, 0]
    np.testing.assert_allclose(found, margin_of_labelled(features, items))


@pytest.mark.parametrize("answers", [[], [0, 0], [2, 2], [0, 2]])
def test_without_two_labelled_classes_there_is_no_plane_and_the_way_out_is_named(answers):
    items = labelled(np.ones((len(answers), 1)), answers)
    pool = a_pool([0], frames=1, features=np.ones((1, 1)), items=items)
    with pytest.raises(EvidenceMissing, match="two classes") as caught:
        scores("svm-margin", pool)
    assert (caught.value.strategy, caught.value.column) == ("svm-margin", "labelled")
    assert "first round" in caught.value.hint


def test_purity_by_energy_ranks_strong_logits_first_and_empty_frames_last():
    pool = a_pool([0, 1], frames=3, logits=np.array([[-5.0, -6.0], [3.0, 2.0]]))
    found = scores("energy", pool)
    assert found[1] > found[0] == found[2]


def test_distances_to_labelled_classes_are_used_as_soon_as_there_are_two_items_and_this_is_said():
    features, logits = np.array([[0.0], [3.0]]), np.array([[1.0, 0.0], [5.0, 0.0]])
    strategy = build(STRATEGIES["mahalanobis"], {})
    for items, best, words in (
        (labelled([[0.0]], [0]), 1, "energy (too little is labelled for distances)"),
        (labelled([[0.0], [5.0]], [0, 2]), 1, "energy"),
        (labelled([[-1.0], [1.0]], [0, 0]), 0, "Mahalanobis score"),
    ):
        pool = a_pool([0, 1], frames=2, features=features, items=items, logits=logits)
        assert strategy.score(pool).argmax() == best
        assert words in strategy.explain(pool, np.array([0])).words[0]


def test_gradients_are_longer_where_the_feature_is():
    pool = a_pool([0, 1], frames=2, probs=[HALF, HALF], features=np.array([[1.0], [2.0]]))
    np.testing.assert_allclose(scores("egl", pool), [math.sqrt(0.5), 2 * math.sqrt(0.5)])


@pytest.mark.parametrize(
    ("name", "options", "needs"),
    [
        ("entropy", {}, {"regions"}),
        ("egl", {}, {"regions", "features"}),
        ("bald", {}, {"regions", "passes"}),
        ("bald", {"by": "heads"}, {"regions", "passes", "heads", "features", "labelled"}),
        ("ensemble", {}, {"regions", "members", "heads", "features", "labelled"}),
        ("label-dispersion", {}, {"regions", "votes"}),
        ("vaal", {}, {"regions", "labelledness", "heads", "features", "labelled"}),
        ("svm-margin", {}, {"regions", "features", "labelled", "labels"}),
        ("mahalanobis", {}, {"regions", "features", "labelled", "logits"}),
        ("learning-loss", {"spread": "looks"}, None),
    ],
)
def test_a_strategy_asks_for_what_its_formula_reads_and_no_more(name, options, needs):
    found = build_strategy(name, gap=0, options=options).needs
    assert found == needs if needs is not None else "embedding" in found


def test_negative_scores_can_be_spread_over_looks():
    columns = {"predicted_loss": np.array([-3.0, -1.0, -2.0, -9.0])}
    pool = a_pool([0, 1, 2, 3], frames=4, **columns).with_columns(embedding=np.zeros((4, 2)))
    chosen = build_strategy("learning-loss", gap=0, options={"spread": "looks"})
    picks = chosen.select(pool, 2, np.random.default_rng(0))
    assert sorted(picks.tolist()) == [1, 2]
    assert region_score("vaal")().line.learned
