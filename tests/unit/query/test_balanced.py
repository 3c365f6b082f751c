"""Strategies under class balance: what an item costs, what is missing, what is told."""

import math
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.assemble import build_strategy
from vidal.errors import UnknownName, UsageError
from vidal.query.balance import l1_score
from vidal.query.balance_pool import class_shares, expected_objects
from vidal.query.balance_pseudo import EntropyL1PseudoLabel
from vidal.query.balanced import Balanced, balanced, natural_unit
from vidal.query.baselines import Random
from vidal.query.looks import Looks
from vidal.query.region_scores import region_score
from vidal.testing.strategies import a_pool
from vidal.types import Explanation, FrameSet, Pool, Regions


@dataclass(frozen=True)
class Given:
    """Scores as they stand in the pool."""

    unit: str = ""
    needs = frozenset({"value"})

    def score(self, pool):
        return pool.column("value").astype(np.float64)

    def explain(self, pool, positions):
        return Explanation(("given",) * len(positions), {})


@dataclass(frozen=True)
class Points:
    """Covers feature space."""

    needs = frozenset({"embedding"})

    def points(self, pool):
        return pool.column("embedding"), pool.labelled_columns["embedding"]

    def score(self, pool):
        return np.full(len(pool), np.nan)

    def select(self, pool, budget, rng):
        raise AssertionError("class balance has its own form")

    def explain(self, pool, positions):
        return Explanation(("far",) * len(positions), {})


def frames(labels, values, known=(0, 0), looks=None):
    """One frame a clip, which brings one object of the class ``labels`` says."""
    n = len(labels)
    names = tuple(f"c{k:03d}" for k in range(n + 1))
    looks = np.zeros((n, 1)) if looks is None else np.array(looks, float)[:, None]
    return Pool(
        FrameSet(names, np.arange(n), np.zeros(n, np.int64)),
        ("car", "cyclist"),
        FrameSet(names, np.array([n]), np.array([0])),
        {
            "value": np.array(values, float),
            "expected_objects": np.eye(2)[np.array(labels)],
            "embedding": looks,
        },
        labelled_columns={"objects": np.array([known]), "embedding": np.zeros((1, 1))},
    )


def rng(seed=0):
    return np.random.default_rng(seed)


def told_by(selector, pool, budget):
    heard = []
    picks = replace(selector, listener=heard.append).select(pool, budget, rng())
    return picks, heard[-1]


def test_balance_turns_from_the_class_of_which_there_is_enough():
    pool = frames([0] * 20 + [1] * 20, np.r_[np.arange(20) + 100, np.arange(20)], (10, 0))
    plain = balanced(Given(), 0).select(pool, 6, rng())
    assert plain.tolist() == [19, 18, 17, 16, 15, 14]
    even, told = told_by(balanced(Given(), 10), pool, 6)
    assert even.tolist() == [39, 38, 37, 36, 35, 34]
    assert told.target.tolist() == [0, 8]
    assert told.brings.tolist() == [0, 6]
    assert told.score_before == 1
    assert told.score_after == pytest.approx(l1_score(np.array([10, 6])))
    assert told.gap == pytest.approx(0, abs=1e-9)


def test_class_weights_are_wanted_shares():
    pool = frames([0] * 30 + [1] * 30, np.zeros(60))
    picks = balanced(Given(), 1, weights={"cyclist": 3}).select(pool, 20, rng())
    assert np.bincount(pool.column("expected_objects")[picks].argmax(axis=1)).tolist() == [5, 15]
    assert class_shares({"cyclist": 3}, ("car", "cyclist")).tolist() == [0.25, 0.75]
    with pytest.raises(UnknownName, match="tram"):
        class_shares({"tram": 3}, ("car",))
    with pytest.raises(UsageError, match="all are 0"):
        class_shares({"car": 0}, ("car",))


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_a_scaled_score_changes_nothing_unless_it_has_a_unit(seed):
    values = rng(seed).normal(size=40)
    labels = rng(seed).integers(0, 2, 40)
    once, twice = frames(labels, values), frames(labels, 7 * values)
    chosen = [balanced(Given(), 0.5).select(pool, 9, rng()) for pool in (once, twice)]
    assert chosen[0].tolist() == chosen[1].tolist()


def test_a_score_with_a_unit_is_taken_as_it_is():
    pool = frames([0, 0, 0, 1, 1, 1], [3.0, 3, 3, 0, 0, 0])
    # A swap costs 3 and saves two objects: worth it from lambda 1.5 on.
    for lam, cyclists in ((1.4, 0), (1.6, 1)):
        picks, told = told_by(balanced(Given(unit="nats"), lam), pool, 2)
        assert (picks >= 3).sum() == cyclists
        assert told.unit == "nats"
    assert natural_unit(balanced(region_score("entropy")(), 1)) == "nats"
    assert natural_unit(Looks(Given())) == ""


def test_auto_takes_the_smallest_lambda_after_which_nothing_is_gained():
    pool = frames([0] * 20 + [1] * 20, np.r_[np.full(20, 1.0), np.zeros(20)])
    picks, told = told_by(balanced(Given(unit="nats"), "auto"), pool, 10)
    assert (picks >= 20).sum() == 5
    assert told.chosen_by_itself
    assert 0.5 <= told.lam <= 0.6


def test_a_strategy_without_scores_is_asked_for_more_and_pays_by_place():
    pool = frames([0] * 30 + [1] * 30, np.zeros(60), (30, 0))
    picks, told = told_by(balanced(Random(), 3), pool, 10)
    assert (picks >= 30).all()
    assert told.unit.startswith("query lengths")
    plain = Random().select(pool, 40, rng())[:10]
    assert sorted(balanced(Random(), 0).select(pool, 10, rng())) == sorted(plain)


def test_looks_are_kept_without_lambda():
    pool = a_pool((30, 20), seed=2)
    inner = Looks(region_score("entropy")(), gap=2)
    under = Balanced(inner, 0.0, gap=2)
    assert under.select(pool, 6, rng()).tolist() == inner.select(pool, 6, rng()).tolist()


def test_what_covers_feature_space_is_chosen_greedily():
    pool = frames([0, 0, 1, 1], np.zeros(4), (5, 0), looks=[9, 8, 2, 1])
    assert balanced(Points(), 0).select(pool, 2, rng()).tolist()[0] == 0
    picks, told = told_by(balanced(Points(), 20), pool, 2)
    assert sorted(picks) == [2, 3]
    assert told.gap is None
    assert "greedily" in told.sentence


def test_no_frame_near_another_or_a_labelled_one_is_chosen():
    pool = a_pool((60,), labelled=[(0, 30)])
    picks = balanced(region_score("entropy")(), 1.0, gap=4).select(pool, 30, rng())
    index = np.sort(np.r_[pool.frames.index[picks], 30])
    assert np.diff(index).min() > 4
    assert len(picks) >= 10


def test_equal_frames_are_chosen_equally_often():
    pool = frames([0] * 10, np.zeros(10))
    counts = np.zeros(10)
    for seed in range(300):
        counts[balanced(Given(), 1.0).select(pool, 3, rng(seed))] += 1
    assert counts.min() > 60
    assert counts.max() < 120


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1.0])
def test_chance_decides_between_equals_only(scale):
    values = scale * np.arange(1.0, 31)
    pool = frames([0] * 30, values)
    for seed in range(5):
        picks = balanced(Given("nats"), 0).select(pool, 4, rng(seed))
        assert picks.tolist() == [29, 28, 27, 26]


def test_pseudo_labels_leave_to_chance_only_what_is_equal():
    # Entropies far below 1e-9.
    sure = np.stack([1 - (p := 1e-12 * np.arange(1.0, 21)), p, np.zeros(20)], axis=1)
    names = tuple(f"c{k:03d}" for k in range(21))
    pool = Pool(
        FrameSet(names, np.arange(20), np.zeros(20, np.int64)),
        ("car", "cyclist"),
        FrameSet(names, np.array([20]), np.array([0])),
        {"expected_objects": sure[:, :2]},
        regions=Regions(
            np.arange(20), np.zeros((20, 4)), np.ones(20), np.zeros(20), sure, np.zeros((20, 1))
        ),
        labelled_columns={"objects": np.array([[0, 0]])},
    )
    for seed in range(5):
        assert EntropyL1PseudoLabel().select(pool, 3, rng(seed)).tolist() == [19, 18, 17]


def test_the_reason_says_what_the_frame_brings_of_what_is_missing():
    pool = frames([0, 1, 1], [2.0, 1, 0], (20, 4))
    told = balanced(Given(), 1).explain(pool, np.array([1, 0]))
    assert told.words == (
        "given; brings 1.0 cyclist (9 missing)",
        "given; brings nothing that is missing",
    )
    assert told.parts["brings"].tolist() == [1, 1]
    assert told.parts["brings_missing"].tolist() == [1, 0]


@pytest.mark.parametrize("strategy", ["entropy", "expected-errors", "random", "kcenter"])
def test_the_reasons_and_the_note_speak_of_the_same_target(strategy):
    pool = a_pool(labelled=[(0, 3), (1, 20)])
    picks, told = told_by(
        Balanced(build_strategy(strategy, gap=2, options={}), 1.0, gap=2), pool, 7
    )
    said = " ".join(balanced_words(strategy, pool, picks))
    for name, missing in zip(pool.classes, told.target, strict=True):
        for found in re.findall(rf"{name} \((\d+) missing", said):
            assert int(found) == round(missing)
    assert "missing)" in said


def balanced_words(strategy, pool, picks):
    return (
        Balanced(build_strategy(strategy, gap=2, options={}), 1.0, gap=2).explain(pool, picks).words
    )


def test_what_was_weighed_is_told_as_json_and_in_words():
    pool = frames([0] * 9 + [1] * 9, np.zeros(18), (6, 2))
    _, told = told_by(balanced(Given(), 2, weights={"cyclist": 2}), pool, 4)
    plain = told.as_dict()
    assert plain["lambda"] == 2
    assert plain["labelled_before"] == {"car": 6, "cyclist": 2}
    assert plain["target"] == {"car": 0, "cyclist": 6}
    assert plain["expected_to_bring"] == {"car": 0, "cyclist": 4}
    assert plain["l1_score_before"] == pytest.approx((6 / 8 - 1 / 3) * 2 / (2 * 2 / 3))
    assert "lambda 2 for an object" in told.sentence
    assert "lack 6 cyclist;" in told.sentence
    assert "best possible" in told.sentence


def test_images_bring_their_class_distribution():
    probs = np.array([[0.7, 0.3, 0], [0.1, 0.9, 0]], np.float32)
    none = np.zeros((2, 0))
    pool = Pool(
        FrameSet(("images",), np.zeros(2, np.int64), np.arange(2)),
        ("cat", "dog"),
        FrameSet(("images",), np.zeros(0, np.int64), np.zeros(0, np.int64)),
        regions=Regions(np.arange(2), np.zeros((2, 4)), np.ones(2), np.zeros(2), probs, none),
    )
    np.testing.assert_allclose(expected_objects(pool), probs[:, :2])
    assert balanced(region_score("entropy")(), 0.6).select(pool, 1, rng()).tolist() == [0]


def test_pseudo_labels_ask_for_what_each_class_lacks():
    pool = a_pool((40, 30), seed=4)
    strategy = EntropyL1PseudoLabel(gap=0)
    lacking = np.zeros((0, 3)), np.array([[60, 0, 60]])
    for objects in lacking:
        known = replace(pool, labelled=FrameSet(pool.frames.clips, *np.zeros((2, 0), int)))
        if len(objects):
            known = replace(
                pool,
                labelled=FrameSet(pool.frames.clips, np.array([1]), np.array([99])),
                labelled_columns={"objects": objects},
            )
        picks = strategy.select(known, 10, rng())
        predicted = pool.column("expected_objects")[picks].argmax(axis=1)
        assert len(picks) == 10
    assert (predicted == 1).sum() >= 9


@pytest.mark.parametrize("lam", [-1, math.inf, math.nan, 1e308])
def test_a_lambda_that_cannot_be_meant_is_refused(lam):
    with pytest.raises(UsageError, match="balance"):
        balanced(Given(), lam)


def test_without_any_label_there_is_no_l1_score():
    pool = frames([0] * 4, np.zeros(4), (0, 0))
    nothing = replace(pool, columns={**pool.columns, "expected_objects": np.zeros((4, 2))})
    _, told = told_by(balanced(Given(), 1.0), nothing, 2)
    assert told.score_after is None
    assert "none before, none expected after" in told.sentence
