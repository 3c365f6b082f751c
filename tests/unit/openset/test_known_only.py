"""Known only: what is likely an unknown object counts less; novelty: it counts alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.heads.options import HeadOptions
from vidal.heads.trunk import RegionTrunk
from vidal.openset.known import (
    COLUMN,
    KEPT,
    OBJECT,
    kept,
    known_objects,
    learn_unknown,
    mean_weight,
    share_unknown,
    shrunk,
)
from vidal.openset.known_only import (
    NOTHING_YET,
    KnownOnlyChoice,
    KnownOnlyScore,
    kept_share,
    known_only,
    weighed,
)
from vidal.openset.novelty import Novelty, first_novelty
from vidal.query.baselines import Random
from vidal.query.expected_errors import ExpectedErrors
from vidal.query.looks import Looks
from vidal.query.region_scores import region_score
from vidal.query.select import RoundRobin
from vidal.query.temporal_coherence import TemporalCoherence
from vidal.testing.strategies import a_pool, generator
from vidal.types import BACKGROUND, FrameSet, Items, Pool, Regions

K = 2


def planted(frames=40, seed=0, unknown_share=0.5, labelled=120, unknown_labelled=None):
    """Frames with one detection each: known or unknown objects by their feature; the detector is
    less sure of unknown ones. Of the labelled objects a third is unknown, or so many."""
    rng = np.random.default_rng(seed)

    def features(kinds):
        centre = np.array([[0, 0, 3], [3, 0, 0], [0, 3, 0]])[kinds]
        return (centre + 0.5 * rng.normal(size=(len(kinds), 3))).astype(np.float32)

    kinds = np.where(rng.random(frames) < unknown_share, K, rng.integers(0, K, frames))
    doubt = np.where(kinds == K, 0.5, rng.uniform(0.55, 0.95, frames))
    probs = np.stack([doubt, 1 - doubt, np.zeros(frames)], axis=1)
    none = np.zeros(0, np.int64)
    regions = Regions(
        np.arange(frames),
        np.tile([0, 0, 9, 9], (frames, 1)),
        doubt,
        np.zeros(frames, np.int64),
        probs,
        features(kinds),
    )
    answers = rng.integers(0, K + 1, labelled)
    if unknown_labelled is not None:
        answers = np.where(np.arange(labelled) < unknown_labelled, K, answers % K)
    items = Items(features(answers), np.full((labelled, K + 1), 1 / 3), answers)
    pool = Pool(
        FrameSet(("a",), np.zeros(frames, np.int64), np.arange(frames)),
        ("car", "bus"),
        FrameSet(("a",), none, none),
        regions=regions,
        items=items,
    )
    return pool, kinds


def taught(pool, strategy=None, seed=3):
    trunk = RegionTrunk(
        pool.items, pool.regions.features, pool.regions.probs, HeadOptions(width=16, least_steps=80)
    )
    found = learn_unknown(trunk, seed)
    columns = {**pool.regions.columns, **found.pool}
    return replace(pool, regions=replace(pool.regions, columns=columns))


def said(pool, unknown):
    unknown = np.asarray(unknown, float)
    columns = {**pool.regions.columns, COLUMN: unknown, KEPT: 1 - unknown}
    return replace(pool, regions=replace(pool.regions, columns=columns))


def test_a_planted_problem_known_only_asks_for_known_objects_and_novelty_for_the_others():
    pool, kinds = planted()
    entropy = region_score("entropy")()
    budget = 12

    def precision(selector):
        picks = selector.select(taught(pool), budget, generator())
        assert len(picks) == budget
        return np.mean(kinds[picks] < K)

    closed = precision(RoundRobin(entropy, 0))
    chance = np.mean(kinds < K)
    assert closed == 0.0  # the detector doubts unknown objects most
    assert precision(known_only(entropy, 0)) == 1.0 > chance
    assert precision(known_only(Random(), 0)) >= chance + 0.2
    assert precision(RoundRobin(Novelty(), 0)) == 0.0


def test_a_few_unknown_labels_are_enough_where_new_footage_is_full_of_them():
    """Five unknown objects of 300 labelled ones, every second one in the pool."""
    pool, kinds = planted(labelled=300, unknown_labelled=5)
    learned = taught(pool)
    assert learned.regions.column(COLUMN).max() < 0.5  # nobody is told that they are unknown
    entropy = region_score("entropy")()
    picks = known_only(entropy, 0).select(learned, 12, generator())
    assert (kinds[picks] < K).all()
    believed = weighed(learned, 1 - learned.regions.column(COLUMN))
    assert np.mean(kinds[RoundRobin(entropy, 0).select(believed, 12, generator())] < K) < 0.5


def test_same_seed_same_probabilities_and_another_seed_other_ones():
    pool, _ = planted(20)
    first, again = (taught(pool).regions.column(COLUMN) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != taught(pool, seed=4).regions.column(COLUMN)).any()
    assert ((first >= 0) & (first <= 1)).all()


def test_before_an_unknown_object_is_labelled_nothing_is_weighed_and_that_is_said():
    pool, _ = planted()
    pool = replace(pool, items=pool.items.known())
    learned = taught(pool)
    assert COLUMN not in learned.regions.columns
    entropy = region_score("entropy")()
    kept = KnownOnlyScore(entropy)
    np.testing.assert_array_equal(kept.score(learned), entropy.score(learned))
    assert kept.explain(learned, np.arange(3)).words == entropy.explain(pool, np.arange(3)).words
    assert kept.remarks(learned) == (NOTHING_YET,)
    chosen = KnownOnlyChoice(Random()).select(learned, 5, generator())
    np.testing.assert_array_equal(chosen, Random().select(learned, 5, generator()))


def test_where_all_that_is_labelled_is_unknown_the_share_is_all_that_is_known():
    pool, _ = planted(5)
    items = pool.items.keep(pool.items.answers == K)
    regions = taught(replace(pool, items=items)).regions
    assert regions.column(COLUMN).tolist() == [1.0] * 5
    assert regions.column(KEPT).tolist() == [0.5] * 5  # nothing is likelier unknown than the rest


def test_background_is_no_object_of_a_frame():
    """Two detections of a frame: an unknown object, and nothing. All its objects are unknown."""
    pool, _ = planted(2)
    regions = replace(pool.regions, pos=np.array([0, 0]))
    pool = replace(pool, regions=regions)
    assert known_objects(pool) is None
    for unknown, objects, share in (
        ([1.0, 0.0], [1.0, 0.0], [0.0, 1.0]),  # by hand: 1 - 1/1; no detection at all
        ([0.5, 0.0], [1.0, 1.0], [0.75, 1.0]),
        ([0.0, 0.0], [0.0, 0.0], [1.0, 1.0]),
        ([0.4, 0.0], [0.2, 0.0], [0.0, 1.0]),  # an object at least as often as an unknown one
    ):
        columns = {**regions.columns, COLUMN: np.array(unknown), OBJECT: np.array(objects)}
        told = replace(pool, regions=replace(regions, columns=columns))
        np.testing.assert_allclose(known_objects(told), share)


def test_the_head_tells_objects_from_background():
    pool, kinds = planted(60)
    answers = np.where(pool.items.answers == 1, BACKGROUND, pool.items.answers)
    learned = taught(replace(pool, items=replace(pool.items, answers=answers)))
    objects = learned.regions.column(OBJECT)
    assert objects[kinds == 1].mean() < objects[kinds != 1].mean() - 0.15
    assert taught(pool).regions.column(OBJECT).min() > 0.9  # no background was labelled


def test_a_few_labels_are_held_to_the_share_of_unknown_objects():
    # (n p + 10 s) / (n + 10), by hand
    np.testing.assert_allclose(shrunk(np.array([1.0, 0.0]), 0.2, 10), [0.6, 0.1])
    np.testing.assert_allclose(shrunk(np.array([1.0]), 0.2, 0), [0.2])
    assert share_unknown(np.array([0, 1, 2, BACKGROUND]), 2) == 0.25
    assert share_unknown(np.zeros(0, int), 2) == 0.0


def test_the_share_of_what_is_labelled_is_taken_out_of_what_detections_count():
    # odds of 1/2 are 1, of 1/5 1/4, so r = 4: 1 / (1 + 4), and with ten labelled 1 / (1 + sqrt 4)
    np.testing.assert_allclose(kept(np.array([0.5]), 0.2, 10**9), [0.2], rtol=1e-6)
    np.testing.assert_allclose(kept(np.array([0.5]), 0.2, 10), [1 / 3])
    np.testing.assert_allclose(kept(np.array([0.2, 0.9]), 0.2, 0), [0.5, 0.5])
    np.testing.assert_allclose(kept(np.array([0.3]), 0.3, 10), [0.5])
    for share in (0.0, 1.0):
        assert kept(np.array([0.1, 1.0]), share, 5).tolist() == [0.5, 0.5]
    sure = kept(np.array([0.0, 1.0]), 0.5, 10**6)
    assert sure[0] > 1 - 1e-6
    assert 0 < sure[1] < 1e-6


@given(
    st.lists(st.floats(0, 1), max_size=5),
    st.floats(0, 1),
    st.integers(0, 10**6),
)
def test_what_is_likelier_unknown_counts_less_and_nothing_counts_more_than_once(
    values, share, labelled
):
    found = kept(np.array(values), share, labelled)
    assert ((found >= 0) & (found <= 1)).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(found[order]) <= 0).all()


@given(
    st.lists(st.floats(0, 1), max_size=5),
    st.floats(0, 1),
    st.integers(0, 10**6),
)
def test_held_probabilities_stay_probabilities_in_their_order(values, share, labelled):
    found = shrunk(np.array(values), share, labelled)
    assert ((found >= -1e-12) & (found <= 1 + 1e-12)).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(found[order]) >= -1e-12).all()


def two_frames():
    """Frame 0: a car and a bus, frame 1: two cars; false alarms by hand."""
    none = np.zeros(0, np.int64)
    probs = np.array([[0.5, 0.5, 0], [0.1, 0.9, 0], [0.5, 0.5, 0], [1, 0, 0]], np.float32)
    regions = Regions(
        np.array([0, 0, 1, 1]),
        np.tile([0, 0, 9, 9], (4, 1)),
        np.array([0.5, 0.9, 0.5, 1.0]),
        np.array([0, 1, 0, 0]),
        probs,
        np.zeros((4, 1)),
        {"false_alarm": np.array([0.4, 0.1, 0.6, 0.2]), "verdict": np.array([1.0, 0, 1, 0])},
    )
    return Pool(
        FrameSet(("a",), np.zeros(2, np.int64), np.arange(2)),
        ("car", "bus"),
        FrameSet(("a",), none, none),
        {
            "errors": np.array([[[1, 1], [0, 0]], [[1, 0], [0, 2]]], np.float32),
            "expected": np.array([[[0.4, 1], [0.1, 0]], [[0.8, 0], [0, 2]]], np.float32),
            "told": np.array([[[0.4, 1], [0.1, 0]], [[0.8, 0], [0, 2]]], np.float32),
            "detections": np.array([2, 2]),
            "learned": np.ones(2, bool),
            "prior": np.zeros(2),
        },
        regions,
    )


UNKNOWN = [0.5, 0.0, 1.0, 0.0]


def test_each_detections_value_is_weighed_before_frames_are_made():
    pool = said(two_frames(), UNKNOWN)
    half, full = np.log(2), -(0.1 * np.log(0.1) + 0.9 * np.log(0.9))
    summed = KnownOnlyScore(region_score("entropy")(aggregate="sum")).score(pool)
    np.testing.assert_allclose(summed, [0.5 * half + full, 0.0], rtol=1e-6)


def test_of_expected_errors_each_detections_part_is_weighed_and_misses_are_left():
    pool = said(two_frames(), UNKNOWN)
    np.testing.assert_allclose(
        kept_share(pool, 1 - np.array(UNKNOWN), "false_alarm"), [[0.5, 1], [0.2 / 0.8, 1]]
    )
    scores = KnownOnlyScore(ExpectedErrors(per="frame")).score(pool)
    np.testing.assert_allclose(scores, [0.2 + 1 + 0.1, 0.2 + 2], rtol=1e-6)
    plain = ExpectedErrors(per="frame").score(pool)
    np.testing.assert_allclose(plain, [1.5, 2.8], rtol=1e-6)


def test_without_a_learned_chance_of_false_alarms_doubt_takes_its_place():
    pool = two_frames()
    columns = {COLUMN: np.array(UNKNOWN), KEPT: 1 - np.array(UNKNOWN)}
    pool = replace(pool, regions=replace(pool.regions, columns=columns))
    found = kept_share(pool, 1 - np.array(UNKNOWN), "false_alarm")
    # 1 - score: 0.5, 0.1 in frame 0; 0.5 (unknown), 0.0 in frame 1
    np.testing.assert_allclose(found, [[0.5, 1], [0, 1]], atol=1e-6)


def test_verdicts_of_temporal_coherence_count_detection_by_detection():
    pool = said(two_frames(), UNKNOWN)
    kept = KnownOnlyScore(TemporalCoherence(errors="fp+fn"))
    assert kept.score(pool).tolist() == [0.5 + 1, 0 + 2]
    assert {"verdict", "regions", "features", "labelled"} <= kept.needs


class Plain:
    """Another package's acquisition function, with negative scores."""

    needs = frozenset()

    def score(self, pool):
        return np.array([1.0, -1.0])

    def explain(self, pool, positions):
        raise AssertionError("nobody asks it for reasons here")


def test_any_other_score_is_weighed_by_the_frames_mean_weight_above_the_lowest():
    pool = said(two_frames(), UNKNOWN)
    np.testing.assert_allclose(mean_weight(pool, 1 - np.array(UNKNOWN)), [0.75, 0.5])
    np.testing.assert_allclose(KnownOnlyScore(Plain()).score(pool), [-1 + 2 * 0.75, -1])


def test_a_frame_without_detections_is_neither_preferred_nor_put_behind():
    # With few unknown objects labelled a sure known object counts little more than one half.
    pool = a_pool((40,), regions_per_frame=1)
    use = pool.regions.pos % 2 == 0  # every second frame is empty
    few = replace(
        pool.regions,
        **{
            name: getattr(pool.regions, name)[use]
            for name in ("pos", "boxes", "scores", "labels", "probs", "features")
        },
        columns={},
    )
    unknown = kept(np.tile([0.001, 0.9], 10), 0.05, 2)
    columns = {COLUMN: 1 - unknown, KEPT: unknown}
    pool = replace(pool, regions=replace(few, columns=columns))
    weights = mean_weight(pool, unknown)
    np.testing.assert_allclose(weights[1::2], unknown.mean())
    assert unknown.min() < unknown.mean() < unknown.max() < 0.7
    choice = known_only(Random(), 0)
    drawn = np.concatenate([choice.select(pool, 5, np.random.default_rng(k)) for k in range(200)])
    assert 0.35 < np.mean(drawn % 2) < 0.55  # half of the frames are empty


def test_reasons_say_how_many_detections_are_likely_unknown():
    pool = said(two_frames(), [0.6, 0.0, 0.9, 0.8])
    told = KnownOnlyScore(region_score("entropy")()).explain(pool, np.array([1, 0]))
    assert told.words[0].endswith("; 2 likely unknown objects")
    assert told.words[1].endswith("; 1 likely unknown object")
    np.testing.assert_allclose(told.parts["unknown"], [1.7, 0.6])


def test_reasons_say_how_many_detections_count_less_without_being_likely_unknown():
    pool = two_frames()
    columns = {COLUMN: np.array([0.6, 0.1, 0.2, 0.0]), KEPT: np.array([0.1, 0.3, 0.49, 0.5])}
    pool = replace(pool, regions=replace(pool.regions, columns={**pool.regions.columns, **columns}))
    words = KnownOnlyScore(region_score("entropy")()).explain(pool, np.array([0, 1])).words
    assert words[0].endswith("; 1 likely unknown object, 1 possible one")
    assert words[1].endswith("; 1 possible unknown object")


def test_what_chooses_by_scores_keeps_its_way_of_spreading_picks():
    looks = known_only(ExpectedErrors(), 3)
    assert isinstance(looks, Looks)
    assert isinstance(looks.inner, KnownOnlyScore)
    assert looks.gap == 3
    clips = known_only(region_score("margin")(), 1)
    assert isinstance(clips, RoundRobin)
    assert clips.inner.positive_first


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_weights_leave_shares_in_bounds_and_certainty_of_known_changes_nothing(unknown):
    pool = two_frames()
    share = kept_share(pool, 1 - np.array(unknown), "false_alarm")
    assert ((share >= -1e-12) & (share <= 1 + 1e-12)).all()
    same = weighed(pool, np.ones(4))
    for name in ("errors", "expected"):
        np.testing.assert_allclose(same.column(name), pool.column(name))
    np.testing.assert_array_equal(same.column("told"), pool.column("told"))


def test_novelty_before_unknown_objects_are_labelled_is_distance_then_doubt_among_classes():
    rng = np.random.default_rng(0)
    known = np.concatenate([rng.normal(size=(30, 2)), rng.normal(size=(30, 2)) + 8])
    items = Items(known, np.full((60, 3), 1 / 3), np.repeat([0, 1], 30))
    features = np.array([[0.0, 0], [8, 8], [40, -40]])
    probs = np.array([[0.6, 0.2, 0.2]] * 3)
    near, other, far = first_novelty(features, probs, items)
    assert far == pytest.approx(0.8)  # farther than all, times 1 - background
    assert max(near, other) < 0.2
    few = items.keep(np.arange(5))
    for nothing in (None, few):
        np.testing.assert_allclose(first_novelty(features, probs, nothing), [0.2] * 3)
    assert first_novelty(features[:0], probs[:0], items).shape == (0,)


def test_novelty_sums_what_known_only_takes_off():
    pool = said(two_frames(), UNKNOWN)
    assert Novelty().score(pool).tolist() == [0.5, 1.0]
    assert Novelty(aggregate="max").score(pool).tolist() == [0.5, 1.0]
    assert Novelty(aggregate="mean").score(pool).tolist() == [0.25, 0.5]
    assert Novelty().remarks(pool) == ()
    assert Novelty().remarks(two_frames()) != ()
    assert Novelty().explain(pool, np.array([1])).words == (
        "1 likely unknown object of 2 detections",
    )


def test_novelty_finds_what_may_be_unknown_where_few_unknown_objects_are_labelled():
    # P held to the share of 2 % calls none of them likely; what speaks for it is told, and counts.
    pool = two_frames()
    probability = np.array([0.001, 0.9, 0.02, 0.2])
    columns = {COLUMN: shrunk(probability, 0.02, 5), KEPT: kept(probability, 0.02, 5)}
    regions = replace(pool.regions, columns={**pool.regions.columns, **columns})
    pool = replace(pool, regions=regions)
    told = Novelty().explain(pool, np.array([1, 0]))
    assert told.words == (
        "1 possible unknown object of 2 detections",
        "1 possible unknown object of 2 detections",
    )
    assert told.parts["possible"].tolist() == [1, 1]
    # 1 - kept = r^(1/3) / (1 + r^(1/3)), r = odds of P over those of .02
    odds = np.array([0.001 / 0.999, 9, 0.02 / 0.98, 0.25]) / (0.02 / 0.98)
    each = odds ** (1 / 3) / (1 + odds ** (1 / 3))
    np.testing.assert_allclose(Novelty().score(pool), [each[0] + each[1], each[2] + each[3]])


def test_a_pool_without_regions_or_with_one_frame_is_no_special_case():
    empty = a_pool((3,), regions_per_frame=0)
    empty = said(empty, [])
    for strategy in (region_score("entropy")(), ExpectedErrors(), TemporalCoherence(), Novelty()):
        assert known_only(strategy, 0).score(empty).tolist() == [
            pytest.approx(v) for v in known_only(strategy, 0).inner.inner.score(empty)
        ]
