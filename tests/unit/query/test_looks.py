"""Diminishing returns among frames that look alike."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.assemble import build_strategy
from vidal.query.expected_errors import ExpectedErrors
from vidal.query.looks import Looks, look_groups, most_rewarding
from vidal.query.pools import restrict
from vidal.query.select import RoundRobin, lift
from vidal.types import Deferred, Explanation, FrameSet, Pool


@dataclass(frozen=True)
class Given:
    """Scores as they stand in the pool."""

    needs = frozenset({"value"})

    def score(self, pool):
        return pool.column("value").astype(np.float64)

    def explain(self, pool, positions):
        return Explanation(("given",) * len(positions), {})


def a_pool(values, looks, clips=None):
    n = len(values)
    clip = np.arange(n) if clips is None else np.array(clips)
    index = np.array([int((clip[:at] == clip[at]).sum()) for at in range(n)])
    names = tuple(f"c{k:02d}" for k in range(int(clip.max()) + 1))
    none = np.zeros(0, np.int64)
    columns = {"value": np.array(values, float), "embedding": np.array(looks, np.float32)}
    return Pool(FrameSet(names, clip, index), ("car",), FrameSet(names, none, none), columns)


def rng(seed=0):
    return np.random.default_rng(seed)


def grouped(looks, count):
    """(F,) the group of each row."""
    return look_groups(looks, count, rng()).of(np.arange(len(looks)))


def test_a_rare_look_comes_before_a_third_frame_of_a_common_one():
    # 9, then sqrt(9+8)-sqrt(9) = 1.12, sqrt(24)-sqrt(17) = .78; the other look adds sqrt(1) = 1
    scores, groups = np.array([9.0, 8, 7, 1]), np.array([0, 0, 0, 1])
    assert most_rewarding(scores, groups, 4).tolist() == [0, 1, 3, 2]
    # with .5 it adds sqrt(.5) = .71, less than the third frame
    assert most_rewarding(np.array([9, 8, 7, 0.5]), groups, 4).tolist() == [0, 1, 2, 3]


def test_frames_of_one_look_come_by_score():
    assert most_rewarding(np.array([5.0, 4, 3, 0, 0]), np.zeros(5, int), 9).tolist() == [
        0,
        1,
        2,
        3,
        4,
    ]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=25),
    st.integers(0, 30),
)
def test_every_choice_is_the_one_that_adds_most(rows, budget):
    rows.sort(key=lambda row: -row[0])
    scores, groups = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows])
    chosen = most_rewarding(scores, groups, budget).tolist()
    assert len(chosen) == len(set(chosen)) == min(budget, len(rows))
    sums = np.zeros(4)
    left = set(range(len(rows)))
    for place in chosen:
        gains = {p: (sums[groups[p]] + scores[p]) ** 0.5 - sums[groups[p]] ** 0.5 for p in left}
        assert gains[place] == pytest.approx(max(gains.values()))
        sums[groups[place]] += scores[place]
        left.discard(place)


def test_groups_are_of_frames_that_look_alike():
    looks = [[0, 0], [10, 10], [0.1, 0], [10, 9.9], [0, 0.2], [-10, 10]]
    groups = grouped(np.array(looks), 3)
    assert groups[0] == groups[2] == groups[4]
    assert groups[1] == groups[3]
    assert len(set(groups.tolist())) == 3
    assert (grouped(np.array(looks), 3) == groups).all()


@pytest.mark.parametrize(
    "looks", [np.zeros((4, 0)), np.zeros((4, 3)), np.zeros((0, 3)), np.array([[1.0, 2.0]])]
)
def test_looks_that_tell_nothing_apart_are_one_group(looks):
    assert grouped(looks, 5).tolist() == [0] * len(looks)


def test_of_many_frames_a_sample_finds_the_groups_and_the_others_join_them(monkeypatch):
    monkeypatch.setattr("vidal.query.looks.LARGEST_SAMPLE", 40)
    monkeypatch.setattr("vidal.query.looks._CHUNK", 7)
    kinds = rng(1).integers(0, 3, 200)
    looks = kinds[:, None] * [[5.0, -9.0]] + rng(2).normal(0, 0.1, (200, 2))
    groups = grouped(looks.astype(np.float32), 3)
    for kind in range(3):
        assert len(set(groups[kinds == kind].tolist())) == 1
    assert len(set(groups.tolist())) == 3


def kinds_of_looks(frames=600, seed=1):
    """Frames of three kinds, four of each clip, and what they look like."""
    kinds = np.repeat(rng(seed).integers(0, 3, frames // 4), 4)
    noise = rng(seed + 1).normal(0, 0.1, (frames, 2))
    return kinds, (kinds[:, None] * [[5.0, -9.0]] + noise).astype(np.float32)


def unread(rows):
    raise AssertionError("single frames were looked at")


def test_of_too_many_frames_one_stands_for_some_beside_it():
    kinds, looks = kinds_of_looks()
    clips = np.repeat(np.arange(150), 4)
    held = a_pool(rng(3).random(600), looks, clips)
    column = Deferred(np.arange(600), 2, unread, (looks[::4], np.arange(600) // 4))
    coarse = held.with_columns(embedding=column)
    chosen = [Looks(Given(), gap=0, groups=3).select(pool, 60, rng()) for pool in (held, coarse)]
    assert chosen[0].tolist() == chosen[1].tolist()
    assert len(set(kinds[chosen[1]].tolist())) == 3
    few = restrict(coarse, np.arange(0, 600, 3))
    assert len(Looks(Given(), gap=0, groups=3).select(few, 60, rng())) == 60


def test_a_column_that_is_not_held_is_read_where_nothing_stands_for_it():
    _, looks = kinds_of_looks()
    held = a_pool(rng(3).random(600), looks, np.repeat(np.arange(150), 4))
    deferred = held.with_columns(embedding=Deferred(np.arange(600), 2, lambda rows: looks[rows]))
    chosen = [Looks(Given(), gap=0, groups=3).select(pool, 60, rng()) for pool in (held, deferred)]
    assert chosen[0].tolist() == chosen[1].tolist()


def test_there_are_no_more_groups_than_different_looks():
    assert set(grouped(np.array([[0.0], [1.0]] * 3), 5).tolist()) == {0, 1}


def test_a_look_without_many_errors_is_asked_about_too():
    # five crowded clips by day, one dark one
    pool = a_pool([20, 19, 18, 17, 16, 2], [[0, 0], [0, 1], [1, 0], [1, 1], [0, 0], [30, 30]])
    assert 5 not in RoundRobin(Given(), gap=0).select(pool, 3, rng())
    assert Looks(Given(), gap=0, groups=2).select(pool, 3, rng()).tolist() == [0, 1, 5]


def test_neighbours_of_a_pick_are_left_out_also_under_another_look():
    pool = a_pool([9, 8, 7, 1], [[0], [5], [0], [5]], clips=[0, 0, 0, 0])
    assert Looks(Given(), gap=1, groups=2).select(pool, 4, rng()).tolist() == [0, 2]


def test_of_one_clip_the_second_frame_counts_half_of_its_score():
    # one look: 12, then 8 of another clip before 11 / 2 and 10 / 3 of the first
    pool = a_pool([12, 11, 10, 8, 5], [[0]] * 5, clips=[0, 0, 0, 1, 2])
    assert Looks(Given(), gap=0).select(pool, 5, rng()).tolist() == [0, 3, 1, 4, 2]


def test_the_option_says_what_spreads_the_picks():
    assert isinstance(lift(ExpectedErrors(spread="clips"), 2), RoundRobin)
    looks = build_strategy("expected-errors", gap=2, options={"spread": "looks", "groups": "7"})
    assert isinstance(looks, Looks)
    assert (looks.gap, looks.groups) == (2, 7)
    assert looks.needs >= {"embedding", "expected"}
