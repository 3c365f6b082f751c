import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vidal.query.baselines import EveryNth, Random, RandomR, apportion
from vidal.types import FrameSet, Pool


def a_pool(lengths, *, labelled=()):
    taken = set(labelled)
    pairs = [(c, i) for c, n in enumerate(lengths) for i in range(n) if (c, i) not in taken]
    names = tuple(f"clip-{c}" for c in range(len(lengths)))
    clip, index = np.array(pairs, np.int64).reshape(-1, 2).T
    known = np.array(sorted(taken), np.int64).reshape(-1, 2).T
    return Pool(FrameSet(names, clip, index), (), FrameSet(names, *known))


def rng(seed=0):
    return np.random.default_rng(seed)


def every_nth(lengths, budget, gap=0, labelled=()):
    pool = a_pool(lengths, labelled=labelled)
    picks = EveryNth(gap=gap).select(pool, budget, rng())
    return [(int(pool.frames.clip[p]), int(pool.frames.index[p])) for p in picks]


def test_random_draws_every_frame_equally_often():
    pool = a_pool((1, 9))
    generator = rng(1)
    counts = np.zeros(10, np.int64)
    for _ in range(3000):
        counts[Random().select(pool, 2, generator)] += 1
    assert (np.abs(counts - 600) < 110).all()  # 5 standard deviations of 21.9


def test_random_r_draws_every_clip_equally_often():
    pool = a_pool((1, 9))
    generator = rng(1)
    first = [int(RandomR(gap=0).select(pool, 1, generator)[0]) == 0 for _ in range(2000)]
    assert abs(sum(first) - 1000) < 112  # 5 standard deviations of 22.4


def test_random_r_keeps_its_distance():
    pool = a_pool((30,), labelled=[(0, 15)])
    picks = np.sort(pool.frames.index[RandomR(gap=3).select(pool, 30, rng())])
    assert np.diff(picks).min() > 3
    assert np.abs(picks - 15).min() > 3


def test_every_nth_aims_at_the_middle_of_equal_stretches():
    assert every_nth((100,), 5) == [(0, 10), (0, 30), (0, 50), (0, 70), (0, 90)]
    assert every_nth((9,), 1) == [(0, 4)]


def test_every_nth_spreads_the_budget_in_proportion_to_length():
    picks = every_nth((100, 50, 0, 50), 8)
    assert [clip for clip, _ in picks] == [0, 0, 0, 0, 1, 1, 3, 3]


def test_every_nth_moves_aside_for_labelled_frames():
    assert every_nth((9,), 1, gap=1, labelled=[(0, 4)]) == [(0, 6)]


def test_every_nth_takes_all_that_fit():
    assert every_nth((7,), 99, gap=2) == [(0, 0), (0, 3), (0, 6)]
    assert every_nth((3,), 99) == [(0, 0), (0, 1), (0, 2)]


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=4),
    st.integers(0, 4),
    st.integers(0, 30),
    st.sets(st.tuples(st.integers(0, 3), st.integers(0, 19)), max_size=6),
)
def test_every_nth_fills_the_budget_as_far_as_the_gap_allows(lengths, gap, budget, marked):
    labelled = [(c, i) for c, i in marked if c < len(lengths) and i < lengths[c]]
    if sum(lengths) == len(labelled):
        return
    picks = every_nth(lengths, budget, gap, labelled)
    assert len(set(picks)) == len(picks)
    for (c, i), (d, j) in itertools.combinations(picks + labelled, 2):
        assert c != d or abs(i - j) > gap or ((c, i) in labelled and (d, j) in labelled)
    assert len(picks) == min(budget, most(lengths, gap, set(labelled)))


def most(lengths, gap, labelled):
    """The largest number of frames that fit: from left to right, each as early as it can be."""
    count = 0
    for clip, length in enumerate(lengths):
        last = -(10**9)
        for i in range(length):
            near = any(c == clip and abs(i - j) <= gap for c, j in labelled)
            if not near and i - last > gap:
                last, count = i, count + 1
    return count


def test_largest_remainders_by_hand():
    # 10 * (53, 24, 23) / 100 = 5.3, 2.4, 2.3: the seat left over goes to 2.4
    whole = np.array([99, 99, 99])
    assert apportion(10, np.array([53, 24, 23]), whole).tolist() == [5, 3, 2]
    assert apportion(1, np.array([5, 5, 5]), whole).tolist() == [1, 0, 0]
    assert apportion(10, np.array([53, 24, 23]), np.array([2, 99, 99])).tolist() == [2, 4, 4]
    assert apportion(10, np.array([1, 1]), np.array([2, 3])).tolist() == [2, 3]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=8), st.integers(0, 300))
def test_apportioned_seats_fill_the_budget_and_respect_the_caps(rows, budget):
    weights, caps = np.array(rows, np.int64).reshape(-1, 2).T
    caps = np.minimum(weights, caps)
    seats = apportion(budget, weights, caps)
    assert seats.sum() == min(budget, caps.sum())
    assert ((seats >= 0) & (seats <= caps)).all()


def test_baselines_need_nothing_and_do_not_score():
    pool = a_pool((4, 3))
    for strategy in (Random(), RandomR(), EveryNth()):
        assert strategy.needs == frozenset()
        assert np.isnan(strategy.score(pool)).all()


def test_baselines_say_what_they_did():
    pool, two = a_pool((4,)), np.array([0, 1])
    assert Random().explain(pool, two).words == ("drawn at random from all frames",) * 2
    assert EveryNth(gap=1).explain(pool, two).words[0] == (
        "evenly spaced within its clip, more than 1 frame away from other chosen or labelled ones"
    )
    assert RandomR(gap=0).explain(pool, two).words[0] == "drawn at random within its clip"
