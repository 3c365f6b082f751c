import math

import numpy as np
import pytest

from vidal.errors import EvidenceMissing, UsageError
from vidal.query.portable import (
    LEAST,
    Portable,
    class_weights,
    fit_classifiers,
    likeness_above,
)
from vidal.types import BACKGROUND, FrameSet, Items, Pool, Regions

NONE = np.zeros(0, np.int64)


def examples(n=60, seed=0):
    """Detections of two classes: of class 0 many boxes mean right, of class 1 confidence does."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    suppressed, scores = rng.integers(1, 40, n), rng.uniform(0.5, 1, n)
    right = np.where(labels == 0, suppressed > 15, scores > 0.75)
    return labels, right, suppressed, scores


def items(labels, right, suppressed, scores, k=2):
    columns = {"labels": labels, "suppressed": suppressed, "scores": scores}
    answers = np.where(right, labels, BACKGROUND)
    return Items(np.zeros((len(labels), 0)), np.zeros((len(labels), k + 1)), answers, columns)


def a_pool(rows, *, frames, embedding=None, objects=((8, 0),), known=None):
    """Rows of (frame, label, boxes before suppression, score)."""
    pos, labels, suppressed, scores = (np.array(each) for each in zip(*rows, strict=True))
    n, known = len(pos), items(*examples()) if known is None else known
    looks = np.random.default_rng(0).normal(size=(frames, 5)) if embedding is None else embedding
    done = np.arange(len(objects))
    return Pool(
        FrameSet(("a", "b"), np.zeros(frames, np.int64), np.arange(frames)),
        ("car", "cyclist"),
        FrameSet(("a", "b"), np.ones(len(objects), np.int64), done),
        {"embedding": looks},
        Regions(
            pos,
            np.tile([0, 0, 1, 1], (n, 1)),
            scores,
            labels,
            np.zeros((n, 3)),
            np.zeros((n, 0)),
            {"suppressed": suppressed},
        ),
        known,
        {"objects": np.array(objects)},
    )


def test_every_class_has_a_classifier_of_its_own():
    found = fit_classifiers(*examples(), 2)
    many = found.right(np.zeros(2, int), np.array([2, 38]), np.array([0.9, 0.6]))
    sure = found.right(np.ones(2, int), np.array([38, 2]), np.array([0.55, 0.98]))
    assert many[0] < 0.2 < 0.8 < many[1]
    assert sure[0] < 0.3 < 0.7 < sure[1]


def test_a_class_with_too_few_examples_is_judged_as_all_are():
    labels, right, suppressed, scores = examples()
    few = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[: LEAST - 1]])
    found = fit_classifiers(labels[few], right[few], suppressed[few], scores[few], 3)
    np.testing.assert_array_equal(found.weights[1], found.weights[2])
    assert found.offsets[1] == found.offsets[2] != found.offsets[0]


def test_rare_classes_weigh_more_and_the_mean_is_1():
    weights = class_weights(np.array([0, 9]))
    np.testing.assert_allclose(weights, [20 / 11, 2 / 11])
    np.testing.assert_allclose(class_weights(np.array([4, 4, 4])), 1)
    assert class_weights(NONE).shape == (0,)


def test_doubtful_detections_of_rare_classes_score_and_sure_ones_do_not():
    rows = [(0, 0, 15, 0.8), (1, 0, 39, 0.8), (2, 1, 9, 0.75)]
    pool = a_pool(rows, frames=4)
    told = Portable().explain(pool, np.arange(4))
    uncertain, rare = told.parts["uncertainty"], told.parts["rarity"]
    assert uncertain[2] == 1 > uncertain[0] > 2 * uncertain[1]
    np.testing.assert_allclose(rare, [0.1, 0.1, 0.9, 0])
    np.testing.assert_allclose(Portable(rare=2).score(pool), uncertain + 2 * rare)
    assert told.parts["detections"].tolist() == [1, 1, 1, 0]


def test_likeness_is_to_frames_of_higher_rank_only(monkeypatch):
    embedding = np.array([[1.0, 0], [1, 0], [-1, 0], [0, 1], [-1, -1]])
    expected = likeness_above(embedding, np.array([2, 0, 1, 3]))
    assert expected[0] == 0
    np.testing.assert_allclose(expected[:3], [0, 0, 1], atol=1e-12)
    monkeypatch.setattr("vidal.query.portable._BLOCK", 2)
    np.testing.assert_allclose(likeness_above(embedding, np.array([2, 0, 1, 3])), expected)
    assert likeness_above(embedding, NONE).shape == (0,)
    assert likeness_above(embedding[:0], NONE).shape == (0,)
    assert likeness_above(np.zeros((3, 0)), np.arange(3)).tolist() == [0, 0, 0]


def test_of_two_frames_that_look_alike_the_second_waits_for_one_that_looks_different():
    rows = [(0, 0, 15, 0.8), (1, 0, 16, 0.8), (2, 0, 20, 0.8)]
    embedding = np.array([[1.0, 0], [1, 0], [-1, 1], [-1, -1]])
    pool = a_pool(rows, frames=4, embedding=embedding)
    order = np.argsort(-Portable().score(pool)).tolist()
    assert sorted(order[:2]) == [0, 1]
    rng = np.random.default_rng(0)
    plain = Portable(penalty=0.0, gap=0).select(pool, 2, rng).tolist()
    spread = Portable(penalty=0.9, gap=0).select(pool, 2, rng).tolist()
    assert sorted(plain) == [0, 1]
    assert spread == [order[0], 2]


def test_the_gap_is_kept_and_the_budget_filled_beyond_the_candidates():
    rows = [(at, at % 2, 15, 0.8) for at in range(40)]
    pool = a_pool(rows, frames=40)
    picks = Portable(gap=3, candidates=1).select(pool, 8, np.random.default_rng(0))
    assert len(picks) == 8
    assert np.diff(np.sort(picks)).min() > 3


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (items(*(each[:0] for each in examples())), "none"),
        (
            items(*(each[:4] for each in (examples()[0], np.ones(60, bool), *examples()[2:]))),
            "right",
        ),
    ],
)
def test_without_right_and_wrong_detections_there_is_nothing_to_learn(known, why):
    pool = a_pool([(0, 0, 15, 0.8)], frames=1, known=known)
    with pytest.raises(EvidenceMissing, match=why) as caught:
        Portable().score(pool)
    assert caught.value.strategy == "portable-pal"


def test_a_detector_that_counts_nothing_is_refused():
    labels, right, _, scores = examples()
    known = Items(
        np.zeros((60, 0)),
        np.zeros((60, 3)),
        np.where(right, labels, BACKGROUND),
        {"labels": labels, "scores": scores},
    )
    with pytest.raises(EvidenceMissing, match="how many boxes"):
        Portable().score(a_pool([(0, 0, 15, 0.8)], frames=1, known=known))


@pytest.mark.parametrize("wrong", [{"rare": -1.0}, {"penalty": -0.1}, {"candidates": 0}])
def test_weights_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(UsageError):
        Portable(**wrong)


def test_entropy_is_in_bits_so_that_an_even_chance_counts_1():
    found = fit_classifiers(*examples(), 2)
    right = found.right(np.zeros(1, int), np.array([15]), np.array([0.75]))
    assert abs(math.log2(right[0] / (1 - right[0]))) < 2
