from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.errors import UsageError
from vidal.query.baselines import EveryNth, Random
from vidal.query.exclusion import away_from_labelled, neighbourhoods, thin
from vidal.query.pools import restrict
from vidal.query.region_scores import region_score
from vidal.query.select import RoundRobin, Spread, TopScores, lift, round_robin
from vidal.types import Explanation, FrameSet, Pool, Regions

FRAMES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 25)), unique=True, min_size=1, max_size=40
)


@dataclass(frozen=True)
class Given:
    """Scores as they stand in the pool."""

    positive_first: bool = False
    needs = frozenset({"value"})

    def score(self, pool):
        return pool.column("value").astype(np.float64)

    def explain(self, pool, positions):
        return Explanation(("given",) * len(positions), {})


@dataclass(frozen=True)
class Descending(Given):
    """A selector: the highest values, ties by position."""

    def select(self, pool, budget, rng):
        return np.argsort(-self.score(pool), kind="stable")[:budget]


def a_pool(scores, *, labelled=()):
    """``scores``: one {index: score} or list per clip."""
    clips = [dict(enumerate(s)) if isinstance(s, list) else s for s in scores]
    rows = [(c, i, v) for c, s in enumerate(clips) for i, v in sorted(s.items())]
    clip, index, value = (np.array(column) for column in zip(*rows, strict=True))
    known = np.array(labelled, np.int64).reshape(-1, 2).T
    names = tuple("abcdefgh"[: len(clips)])
    return Pool(FrameSet(names, clip, index), ("car",), FrameSet(names, *known), {"value": value})


def names(pool, positions):
    return [f"{ref.clip}{ref.index}" for ref in map(pool.frames.ref, positions)]


def rng(seed=0):
    return np.random.default_rng(seed)


def test_each_clip_gives_its_best_before_any_gives_its_second():
    pool = a_pool([[9, 0, 8, 0, 7], [1, 2, 3, 4, 5]])
    picks = RoundRobin(Given(), gap=1).select(pool, 5, rng())
    assert names(pool, picks) == ["a0", "b4", "a2", "b2", "a4"]


def test_a_pick_deletes_its_neighbours_in_its_own_clip_only():
    pool = a_pool([[1, 5, 4, 3, 2], [1, 6, 1, 1, 1]])
    picks = RoundRobin(Given(), gap=2).select(pool, 10, rng())
    assert names(pool, picks)[:3] == ["b1", "a1", "a4"]
    assert len(picks) == 4


def test_distance_is_of_true_frame_indices():
    pool = a_pool([{0: 3, 10: 2, 11: 1, 12: 0}])
    assert names(pool, RoundRobin(Given(), gap=1).select(pool, 9, rng())) == ["a0", "a10", "a12"]


def test_frames_near_labelled_ones_are_not_taken():
    pool = a_pool([[9, 9, 9, 9, 9, 1], [5]], labelled=[(0, 2)])
    assert names(pool, RoundRobin(Given(), gap=2).select(pool, 9, rng())) == ["a5", "b0"][::-1]


def test_gap_zero_excludes_nothing():
    pool = a_pool([[1, 2, 3]], labelled=[(0, 7)])
    assert names(pool, RoundRobin(Given(), gap=0).select(pool, 9, rng())) == ["a2", "a1", "a0"]


def test_positive_first_exhausts_positive_scores_of_all_clips():
    pool = a_pool([[0, 0, 0], [0, 0, 0], [3, 2, 1]])
    picks = names(pool, RoundRobin(Given(positive_first=True), gap=0).select(pool, 5, rng()))
    assert picks[:3] == ["c0", "c1", "c2"]
    assert {pick[0] for pick in picks[3:]} == {"a", "b"}
    picks = names(pool, RoundRobin(Given(), gap=0).select(pool, 3, rng()))
    assert sorted(pick[0] for pick in picks) == ["a", "b", "c"]


def test_equal_scores_are_drawn_uniformly():
    pool = a_pool([[1, 1, 1, 1]])
    counts = np.zeros(4, np.int64)
    generator = rng(1)
    for _ in range(2000):
        counts[RoundRobin(Given(), gap=0).select(pool, 1, generator)] += 1
    assert (np.abs(counts - 500) < 100).all()  # 5 standard deviations of 19.4


def test_top_scores_knows_neither_clips_nor_neighbours():
    pool = a_pool([[9, 8, 7], [1, 2, 3]], labelled=[(0, 3)])
    assert names(pool, TopScores(Given()).select(pool, 4, rng())) == ["a0", "a1", "a2", "b2"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(value):
    with pytest.raises(ValueError, match="NaN or infinite"):
        RoundRobin(Given()).select(a_pool([[1.0, value]]), 1, rng())


def test_an_unsorted_pool_is_refused():
    frames = FrameSet(("a",), np.zeros(2, np.int64), np.array([1, 0]))
    with pytest.raises(ValueError, match="not sorted"):
        neighbourhoods(frames, 1)


def reference(clip, index, order, labelled, gap):
    """The rule as the paper words it, frame by frame."""
    taken = []
    for pos in order:
        others = [(clip[t], index[t]) for t in taken] + labelled
        if all(c != clip[pos] or abs(i - index[pos]) > gap for c, i in others) or gap == 0:
            taken.append(int(pos))
    lists = {}
    ranks = [lists.setdefault(clip[t], []).append(t) or len(lists[clip[t]]) for t in taken]
    return [t for _, t in sorted(zip(ranks, taken, strict=True), key=lambda pair: pair[0])]


@given(FRAMES, st.integers(0, 6), st.integers(0, 50), st.integers(0, 2**32), st.data())
def test_round_robin_equals_the_rule_frame_by_frame(pairs, gap, budget, seed, data):
    known = data.draw(st.lists(st.sampled_from(pairs), unique=True))
    pairs = sorted(set(pairs) - set(known))
    clip, index = np.array(pairs, np.int64).reshape(-1, 2).T
    pool = Pool(
        FrameSet(tuple("abcd"), clip, index),
        (),
        FrameSet(tuple("abcd"), *np.array(known, np.int64).reshape(-1, 2).T),
    )
    scores = rng(seed).permutation(len(pairs)).astype(np.float64)
    picks = round_robin(pool, scores, budget, rng(), gap=gap)
    assert picks.tolist() == reference(clip, index, np.argsort(-scores), known, gap)[:budget]


def test_a_gap_longer_than_any_clip_leaves_one_frame_a_clip():
    pool = a_pool([[1, 2], [3, 4]])
    huge = 2**62
    assert len(thin(pool.frames, pool.labelled, np.arange(4), huge)) == 2
    near = a_pool([[1, 2], [3, 4]], labelled=[(0, 100)])
    assert away_from_labelled(near.frames, near.labelled, huge).tolist() == [
        False,
        False,
        True,
        True,
    ]


def test_spread_asks_again_until_the_budget_is_filled():
    pool = a_pool([[9, 8, 7, 6, 5, 4], [3, 2, 1]], labelled=[(1, 3)])
    picks = Spread(Descending(), gap=1).select(pool, 5, rng())
    assert names(pool, picks) == ["a0", "a2", "a4", "b0"]
    assert names(pool, Spread(Descending(), gap=1).select(pool, 2, rng())) == ["a0", "a2"]


def test_lift_wraps_scorers_and_sets_the_gap_of_selectors():
    assert lift(region_score("entropy")(), 4) == RoundRobin(region_score("entropy")(), 4)
    assert lift(EveryNth(), 4) == EveryNth(gap=4)
    assert lift(Random(), 4) == Random()
    with pytest.raises(UsageError, match="gap -2"):
        lift(Random(), -2)


def test_restricting_a_pool_keeps_columns_and_regions_together():
    pool = a_pool([[10, 11], [12, 13]])
    pos = np.array([0, 0, 2, 3])
    boxes = np.tile([0.0, 0, 1, 1], (4, 1))
    regions = Regions(pos, boxes, [0.1, 0.2, 0.3, 0.4], [0] * 4, np.zeros((4, 2)), np.zeros((4, 5)))
    whole = Pool(pool.frames, ("car",), pool.labelled, pool.columns, regions)
    part = restrict(whole, np.array([0, 3]), labelled=np.array([2]))
    assert part.column("value").tolist() == [10, 13]
    assert part.regions.pos.tolist() == [0, 0, 1]
    np.testing.assert_allclose(part.regions.scores, [0.1, 0.2, 0.4])
    assert [part.labelled.ref(0).clip, part.labelled.ref(0).index] == ["b", 0]
    assert restrict(pool, np.array([1])).regions is None
