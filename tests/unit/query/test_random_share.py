"""A random share beside a strategy's choice."""

import numpy as np
import pytest

from vidal.errors import UsageError
from vidal.query.random_share import check_share, select_with_random
from vidal.query.select import RoundRobin
from vidal.types import Explanation, FrameSet, Pool

CLIPS, FRAMES = 4, 50


class Rising:
    """Later frames of a clip score higher."""

    needs = frozenset()

    def score(self, pool):
        return pool.frames.index.astype(float)

    def explain(self, pool, positions):
        return Explanation(("late",) * len(positions), {})


def a_pool():
    names = tuple(f"c{n}" for n in range(CLIPS))
    frames = FrameSet(names, np.repeat(np.arange(CLIPS), FRAMES), np.tile(np.arange(FRAMES), CLIPS))
    none = FrameSet(names, np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Pool(frames=frames, classes=(), labelled=none, columns={}, regions=None)


def choose(share, seed=0, budget=12, gap=2):
    return select_with_random(
        RoundRobin(Rising(), gap),
        a_pool(),
        budget,
        np.random.default_rng(seed),
        share=share,
        gap=gap,
    )


def test_the_share_is_rounded_down_and_lies_behind_the_strategys_frames():
    positions, drawn = choose(0.3)
    assert (len(positions), drawn) == (12, 3)
    assert len(set(positions.tolist())) == 12
    index = positions % FRAMES
    assert (index[:-drawn] >= 30).all()


def test_no_share_is_the_strategy_itself():
    positions, drawn = choose(0.0)
    alone = RoundRobin(Rising(), 2).select(a_pool(), 12, np.random.default_rng(0))
    assert drawn == 0
    assert positions.tolist() == alone.tolist()


def test_the_gap_holds_between_random_and_chosen_frames():
    for seed in range(20):
        positions, _ = choose(0.5, seed=seed, budget=20)
        clip, index = positions // FRAMES, positions % FRAMES
        for number in range(CLIPS):
            assert (np.diff(np.sort(index[clip == number])) > 2).all()


def test_random_frames_come_from_the_whole_pool_alike():
    drawn = np.concatenate([choose(0.5, seed=seed)[0][-6:] for seed in range(300)])
    counts = np.bincount(drawn % FRAMES // 10, minlength=5)
    assert counts.min() > 0.8 * counts.mean()


def test_a_share_of_everything_is_refused():
    for share in (1.0, -0.1):
        with pytest.raises(UsageError, match="random share"):
            check_share(share)
