"""Strategies that choose a batch: what they compare, what a pick takes, and what they say."""

import numpy as np
import pytest

from vidal.errors import UsageError
from vidal.query.badge import Badge
from vidal.query.batchbald import BatchBald
from vidal.query.cluster_margin import ClusterMargin
from vidal.query.coverage import Coreset, KCenter
from vidal.query.kcenter import covering_radius, kcenter_greedy
from vidal.query.ppal import Ppal
from vidal.query.select import lift
from vidal.testing.strategies import a_pool, distances
from vidal.types import FrameSet, Items, Pool, Regions

NONE = np.zeros(0, np.int64)
BY_REGIONS = [KCenter(items="regions"), Badge(), BatchBald(), ClusterMargin()]


def generator(seed=0):
    return np.random.default_rng(seed)


def looking(points, known=(), clip=None):
    """Frames that look like these points, one a clip, and labelled ones in a clip of their own."""
    n = len(points)
    clip = np.arange(n) if clip is None else np.asarray(clip)
    clips = (*(f"clip-{i}" for i in range(n)), "known")
    about = np.asarray(known, np.float32).reshape(len(known), np.shape(points)[1])
    return Pool(
        FrameSet(clips, clip, np.arange(n)),
        ("car",),
        FrameSet(clips, np.full(len(known), n), np.arange(len(known))),
        {"embedding": np.asarray(points, np.float32)},
        labelled_columns={"embedding": about},
    )


def with_regions(pos, features, known, *, frames, probs=None):
    """Frames one a clip, with detections at these positions, and labelled detections."""
    n = len(pos)
    clips = tuple(f"clip-{i}" for i in range(frames))
    dist = np.tile(np.array([0.6, 0.4], np.float32), (n, 1)) if probs is None else probs
    regions = Regions(
        np.asarray(pos),
        np.tile(np.array([0, 0, 9, 9], np.float32), (n, 1)),
        np.full(n, 0.6),
        np.zeros(n, np.int64),
        dist,
        np.asarray(features, np.float16),
        {"passes": np.repeat(dist[:, None], 3, axis=1)},
    )
    about = np.asarray(known, np.float32).reshape(-1, np.shape(features)[1])
    items = Items(about, np.full((len(about), 2), 0.5), np.zeros(len(about), np.int64))
    return Pool(
        FrameSet(clips, np.arange(frames), np.zeros(frames, np.int64)),
        ("car",),
        FrameSet(clips, NONE, NONE),
        {},
        regions,
        items,
        {"objects": np.zeros((0, 1), np.int64)},
    )


def test_kcenter_starts_from_what_is_labelled():
    pool = looking([[0.0], [3.0], [9.0]], known=[[8.0]])
    assert KCenter(gap=0).select(pool, 3, generator()).tolist() == [0, 1, 2]
    np.testing.assert_allclose(KCenter().score(pool), [8, 5, 1])


def test_kcenter_is_the_pure_function_where_nothing_ties_and_nothing_is_near():
    pool = a_pool(labelled=[(0, 3), (1, 20)])
    known = pool.labelled_columns["embedding"]
    picks = KCenter(gap=0).select(pool, 12, generator())
    np.testing.assert_array_equal(picks, kcenter_greedy(pool.column("embedding"), known, 12))


def test_kcenter_leaves_neighbours_out_while_it_chooses():
    """Without the gap 0, 1, 2 are far from all; with it 0 takes 1 and 2 away, and 3 is next."""
    pool = looking([[9.0, 0], [0, 9.0], [-9.0, 0], [0.0, 1.0]], known=[[0, 0]], clip=[0, 0, 0, 3])
    for seed in range(6):
        picks = KCenter(gap=2).select(pool, 4, generator(seed)).tolist()
        assert picks[0] in (0, 1, 2)
        assert picks[1:] == [3]


def test_equal_distances_are_drawn_evenly():
    pool = looking([[1.0], [-1.0], [1.0], [0.2]], known=[[0.0]])
    firsts = [int(KCenter().select(pool, 1, generator(seed))[0]) for seed in range(300)]
    assert min(np.bincount(firsts)) > 60
    assert set(firsts) == {0, 1, 2}


def test_a_detection_that_is_far_takes_its_frame_and_the_frame_covers_all_that_it_shows():
    pool = with_regions([0, 0, 1, 2], [[9.0], [-9], [-8.5], [3]], [[0.0]], frames=4)
    picks = KCenter(items="regions", gap=0).select(pool, 4, generator())
    # Frame 0 covers 9 and -9, so 2 (at 3) comes before 1 (at -8.5); 3 shows nothing.
    assert picks.tolist() == [0, 2, 1, 3]
    np.testing.assert_allclose(KCenter(items="regions").score(pool), [9, 8.5, 3, 0])


@pytest.mark.parametrize("strategy", BY_REGIONS, ids=lambda each: type(each).__name__)
def test_frames_without_detections_come_last_and_say_so(strategy):
    pool = with_regions([1, 1, 3], [[1.0], [2], [3]], [[0.0]], frames=5)
    picks = lift(strategy, 0).select(pool, 5, generator())
    assert set(picks[:2].tolist()) == {1, 3}
    assert sorted(picks.tolist()) == [0, 1, 2, 3, 4]
    words = strategy.explain(pool, np.array([0, 1])).words
    assert words[0] == "no detections: drawn at random from such frames"
    assert "car, score 0.60" in words[1]


@pytest.mark.parametrize("strategy", [*BY_REGIONS, Ppal()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("gap", [0, 2, 5])
def test_regions_charge_the_budget_by_frames_and_keep_neighbours_apart(strategy, gap):
    pool = a_pool((30, 12, 1), labelled=[(0, 5)], regions_per_frame=4)
    for budget in (1, 4, 100):
        picks = lift(strategy, gap).select(pool, budget, generator())
        assert len(np.unique(picks)) == len(picks) <= budget
        assert len(picks) == budget or budget == 100
        assert distances(pool, picks) > gap


def test_the_background_counts_unless_it_is_left_out():
    probs = np.array([[0.5, 0.0, 0.5], [0.6, 0.4, 0.0], [0.9, 0.05, 0.05]], np.float32)
    pool = with_regions([0, 1, 2], np.ones((3, 1)), np.zeros((0, 1)), frames=3, probs=probs)
    assert Badge().score(pool).argmax() == 0
    assert Badge(background=False).score(pool).argmax() == 1
    assert ClusterMargin().score(pool).argmax() == 0
    assert ClusterMargin(background=False).score(pool).argmax() == 1


def test_of_images_every_item_is_a_frame():
    """One detection a frame, gap 0: the pure functions on the images."""
    rng = generator(3)
    probs = rng.dirichlet(np.ones(2), 30).astype(np.float32)
    points = rng.normal(size=(30, 4)).astype(np.float16)
    pool = with_regions(np.arange(30), points, points[:2] + 1, frames=30, probs=probs)
    picks = KCenter(items="regions", gap=0).select(pool, 9, generator())
    np.testing.assert_array_equal(picks, kcenter_greedy(points, pool.items.features, 9))


def test_the_robust_choice_is_no_worse_than_the_greedy_one_and_says_how_it_was_made():
    pool = a_pool((60,), seed=4)
    points, none = pool.column("embedding"), np.zeros((0, 8))
    best = Coreset(gap=0, outliers=3).select(pool, 5, generator())
    greedy = Coreset(gap=0, outliers=3, exact=0).select(pool, 5, generator())
    radii = [covering_radius(points, np.concatenate([none, points[p]]), 3) for p in (best, greedy)]
    assert radii[0] < radii[1]
    told = Coreset(outliers=3).explain(pool, best)
    assert "3 outliers let off" in told.words[0]
    assert told.parts["stands_for"].sum() == 60
    assert told.words[0].startswith(f"stands for {told.parts['stands_for'][0]} frame")
    said = Coreset(outliers=3, exact=0).explain(pool, greedy).words[0]
    assert "chosen greedily" in said
    assert "60 frames are too many to solve" in said


def test_reasons_name_the_nearest_labelled_or_chosen_frame():
    pool = looking([[0.0, 0], [3.0, 0], [4.0, 0]], known=[[0.0, 1.5]])
    told = KCenter().explain(pool, np.array([2, 0]))
    assert "clip-0@000000 (chosen), is at distance 4" in told.words[0]
    assert "known@000000 (labelled), is at distance 1.5" in told.words[1]
    np.testing.assert_allclose(told.parts["distance"], [4, 1.5])
    assert (
        "clip-1@000001 (chosen), is at distance 1"
        in KCenter().explain(pool, np.array([2, 1])).words[0]
    )
    alone = looking([[0.0]])
    assert "nothing is labelled" in KCenter().explain(alone, np.array([0])).words[0]


def test_batchbald_says_when_there_are_too_many_frames_for_a_joint_choice():
    pool = a_pool((50,))
    few, many = (BatchBald().explain(pool, np.arange(count)).words[0] for count in (20, 21))
    assert "add most to those of the other chosen frames" in few
    assert "more than 20 frames are too many for a joint choice" in many


def test_needs_follow_what_is_compared():
    assert KCenter().needs == {"embedding"}
    assert KCenter(items="regions").needs == {"regions", "features", "labelled"}
    assert BatchBald().needs == {"regions", "passes"}
    assert BatchBald(by="heads").needs == {"regions", "passes", "heads", "features", "labelled"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Coreset(outliers=-2),
        lambda: Coreset(exact=-1),
        lambda: Coreset(exact=10_001),
        lambda: ClusterMargin(clusters=-1),
        lambda: ClusterMargin(candidates=0),
        lambda: Ppal(ratio=0),
        lambda: Ppal(alpha=0.0),
        lambda: Ppal(beta=-1.0),
    ],
)
def test_options_that_cannot_be_meant_are_refused(make):
    with pytest.raises(UsageError):
        make()
