"""The gap: frames, or seconds by presentation times, exactly."""

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.errors import UsageError
from vidal.query import exclusion
from vidal.query.select import round_robin
from vidal.types import FrameSet, Gap, Pool
from vidal.types.gap import DEFAULT

NONE = np.zeros(0, np.int64)
NTSC = Fraction(30000, 1001)


def frames_at(*clips, bases, labelled=()):
    """Frames with these presentation times, and a set of labelled ones (clip, index)."""
    names = tuple(f"c{n}" for n in range(len(clips)))
    clip = np.repeat(np.arange(len(clips)), [len(pts) for pts in clips])
    index = np.concatenate([np.arange(len(pts)) for pts in clips])
    whole = FrameSet(names, clip, index, np.concatenate(clips), bases)
    taken = [pos for pos, pair in enumerate(zip(clip, index, strict=True)) if pair in labelled]
    rest = np.setdiff1d(np.arange(len(whole)), taken)
    return whole.take(rest), whole.take(np.array(taken, np.int64))


@pytest.mark.parametrize(
    ("text", "plain", "words", "apart"),
    [
        (3, 3, "3 frames", "more than 3 frames"),
        ("12", 12, "12 frames", "more than 12 frames"),
        ("1 frame", 1, "1 frame", "more than 1 frame"),
        ("0.5s", "0.5s", "0.5 s", "at least 0.5 s"),
        (".4 S", "0.4s", "0.4 s", "at least 0.4 s"),
        ("400ms", "0.4s", "0.4 s", "at least 0.4 s"),
        ("2 seconds", "2s", "2 s", "at least 2 s"),
        ("0s", "0s", "0 s", "at least 0 s"),
        ("0.000000001 ms", "0.000000000001s", "0.000000000001 s", "at least 0.000000000001 s"),
        (
            "987654321.123456789s",
            "987654321.123456789s",
            "987654321.123456789 s",
            "at least 987654321.123456789 s",
        ),
        (0, 0, "0 frames", "more than 0 frames"),
    ],
)
def test_a_gap_is_read_and_written_back_the_same(text, plain, words, apart):
    gap = Gap.of(text)
    assert (gap.plain, gap.words, gap.apart) == (plain, words, apart)
    assert Gap.of(gap.plain) == gap


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-1",
        -1,
        "0.5",
        "1.5 frames",
        "3 apples",
        "1e3",
        "nan",
        True,
        2.5,
        None,
        "s",
        ".0000000001ms",
    ],
)
def test_what_is_no_gap_is_refused_by_name(text):
    with pytest.raises(UsageError, match="gap "):
        Gap.of(text)


@pytest.mark.parametrize("text", ["-1", "-0.5s", "- 12 frames", "-.4 s", "-400ms", -3])
def test_a_negative_gap_is_called_negative(text):
    with pytest.raises(UsageError, match="negative"):
        Gap.of(text)


@pytest.mark.parametrize(
    ("rate", "first"),
    [(Fraction(25), 13), (NTSC, 15), (Fraction(30), 15), (Fraction(60), 30), (Fraction(2), 1)],
)
def test_half_a_second_is_the_first_frame_that_is_not_less_away(rate, first):
    """12.5 frames at 25; 14.985 at 29.97; exactly 15 at 30, which is not less than the gap."""
    tick = 1 / rate
    frames, labelled = frames_at(np.arange(200), bases=(tick,), labelled=[(0, 0)])
    away = exclusion.away_from_labelled(frames, labelled, DEFAULT)
    assert int(frames.index[away][0]) == first
    taken = exclusion.thin(frames, labelled, np.arange(len(frames)), DEFAULT)
    assert np.diff(frames.index[taken]).tolist() == [first] * (len(taken) - 1)
    assert (np.diff(frames.index[taken]) * tick).min() >= Fraction(1, 2)


def test_a_finer_time_base_gives_the_same_frames():
    """MPEG-TS counts 90,000 ticks a second; 29.97 frames are 3,003 of them."""
    coarse, _ = frames_at(np.arange(100), bases=(1 / NTSC,))
    fine, _ = frames_at(3003 * np.arange(100) + 126_000, bases=(Fraction(1, 90_000),))
    order = np.random.default_rng(0).permutation(100)
    one, two = (exclusion.thin(each, each.take(NONE), order, "0.5s") for each in (coarse, fine))
    np.testing.assert_array_equal(one, two)


def test_a_variable_rate_counts_time_not_frames():
    milliseconds = np.array([0, 499, 500, 501, 3000, 3100, 3499, 3500])
    frames, labelled = frames_at(milliseconds, bases=(Fraction(1, 1000),), labelled=[(0, 0)])
    away = exclusion.away_from_labelled(frames, labelled, "0.5s")
    assert frames.index[away].tolist() == [2, 3, 4, 5, 6, 7]
    taken = exclusion.thin(frames, labelled, np.arange(len(frames)), "0.5s")
    assert frames.index[taken].tolist() == [2, 4, 7]


def test_every_clip_has_its_own_rate():
    frames, labelled = frames_at(
        np.arange(60), np.arange(60), bases=(Fraction(1, 25), Fraction(1, 10))
    )
    taken = exclusion.thin(frames, labelled, np.arange(len(frames)), DEFAULT)
    by_clip = [frames.index[taken][frames.clip[taken] == clip].tolist() for clip in (0, 1)]
    assert by_clip[0] == [0, 13, 26, 39, 52]
    assert by_clip[1] == list(range(0, 60, 5))


def test_seconds_without_times_are_a_mistake_of_the_program_unless_nothing_is_excluded():
    frames = FrameSet(("a",), np.zeros(3, np.int64), np.arange(3))
    with pytest.raises(ValueError, match="without times"):
        exclusion.neighbourhoods(frames, "0.5s")
    assert exclusion.thin(frames, frames.take(NONE), np.arange(3), "0s").tolist() == [0, 1, 2]


@st.composite
def timed_clips(draw):
    """Up to three clips with their own time bases, and rising times with jumps."""
    clips, bases = [], []
    for _ in range(draw(st.integers(1, 3))):
        steps = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
        clips.append(np.cumsum(steps) + draw(st.integers(-1000, 10**12)))
        bases.append(Fraction(1, draw(st.sampled_from([10, 25, 30, 90]))))
    return clips, tuple(bases)


@given(timed_clips(), st.sampled_from(["0.5s", "0.1s", "33ms", "1s", "1000s", "0s"]), st.data())
def test_the_rule_holds_frame_by_frame(made, text, data):
    clips, bases = made
    pairs = [(clip, index) for clip, pts in enumerate(clips) for index in range(len(pts))]
    known = data.draw(st.lists(st.sampled_from(pairs), max_size=3, unique=True))
    frames, labelled = frames_at(*clips, bases=bases, labelled=known)
    order = np.array(data.draw(st.permutations(range(len(frames)))), np.int64)
    gap = Gap.of(text)

    def at(pair):
        return clips[pair[0]][pair[1]] * bases[pair[0]]

    kept, others = [], list(known)
    for pos in order.tolist():
        pair = int(frames.clip[pos]), int(frames.index[pos])
        if all(o[0] != pair[0] or abs(at(o) - at(pair)) >= gap.amount for o in others):
            kept.append(pos)
            others.append(pair)
    assert exclusion.thin(frames, labelled, order, gap).tolist() == kept
    first, last = exclusion.neighbourhoods(frames, gap)
    for pos in range(len(frames)):
        near = [
            other
            for other in range(len(frames))
            if other == pos
            or (
                frames.clip[other] == frames.clip[pos]
                and abs(int(frames.pts[other]) - int(frames.pts[pos])) * bases[frames.clip[pos]]
                < gap.amount
            )
        ]
        assert near == list(range(first[pos], last[pos]))


def test_a_million_frames_are_thinned_in_well_under_a_second():
    count, clips = 1_000_000, 500
    clip = np.repeat(np.arange(clips), count // clips)
    index = np.tile(np.arange(count // clips), clips)
    names = tuple(map(str, range(clips)))
    frames = FrameSet(names, clip, index, 3600 * index, (Fraction(1, 90_000),) * clips)
    order = np.random.default_rng(0).permutation(count)
    spent = []
    for gap in (12, "0.5s"):
        start = time.process_time()
        exclusion.thin(frames, frames.take(NONE), order, gap)
        spent.append(time.process_time() - start)
    assert spent[1] < 1.5 * spent[0] + 0.2


def scored(values, clip):
    names = tuple("abcdef"[: int(max(clip)) + 1])
    index = np.concatenate([np.arange(clip.count(each)) for each in sorted(set(clip))])
    frames = FrameSet(names, np.array(clip), index)
    return Pool(frames, (), frames.take(NONE)), np.array(values, float)


def test_without_turns_the_score_alone_decides():
    pool, scores = scored([9, 8, 7, 1, 2], [0, 0, 0, 1, 1])
    picks = round_robin(pool, scores, 4, np.random.default_rng(0), gap=0, turns="none")
    assert scores[picks].tolist() == [9, 8, 7, 2]
    assert round_robin(pool, scores, 4, np.random.default_rng(0), gap=0).tolist() == [0, 4, 1, 3]


def test_weighted_turns_of_clips_of_one_length_are_turns_one_by_one():
    pool, scores = scored(np.random.default_rng(1).random(60), [0] * 20 + [1] * 20 + [2] * 20)
    ways = (
        round_robin(pool, scores, 30, np.random.default_rng(0), gap=1, turns=turns)
        for turns in ("clips", "weighted")
    )
    np.testing.assert_array_equal(*ways)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(0, 60), st.integers(0, 9))
def test_weighted_turns_give_every_clip_its_share_of_frames(lengths, budget, seed):
    clip = [number for number, length in enumerate(lengths) for _ in range(length)]
    pool, scores = scored(np.random.default_rng(seed).random(len(clip)), clip)
    rng = np.random.default_rng(seed)
    picks = round_robin(pool, scores, budget, rng, gap=0, turns="weighted")
    assert len(picks) == min(budget, len(clip))
    counts = np.bincount(pool.frames.clip[picks], minlength=len(lengths))
    # Webster's rule: no clip has a better claim to a pick than the one that has it.
    claims = (2 * counts + 1) / np.array(lengths)
    held = np.where(counts > 0, (2 * counts - 1) / np.array(lengths), 0)
    assert held.max() <= claims[counts < lengths].min(initial=np.inf)
    for number in range(len(lengths)):
        mine = scores[picks[pool.frames.clip[picks] == number]]
        assert (np.diff(mine) <= 0).all()


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
    st.integers(0, 3),
    st.integers(0, 20),
    st.integers(0, 2**16),
)
def test_the_first_of_what_remains_is_what_a_plain_loop_takes(lengths, gap, most, seed):
    clip = np.repeat(np.arange(len(lengths)), lengths)
    index = np.concatenate([np.arange(n) for n in lengths])
    names = tuple(f"c{n}" for n in range(len(lengths)))
    none = np.zeros(0, np.int64)
    frames, labelled = FrameSet(names, clip, index), FrameSet(names, none, none)
    order = np.random.default_rng(seed).permutation(len(clip))
    taken: list[int] = []
    for pos in order.tolist():
        same = [other for other in taken if clip[other] == clip[pos]]
        if gap == 0 or all(abs(index[other] - index[pos]) > gap for other in same):
            taken.append(pos)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vidal.query.exclusion._AT_ONCE", 5)
        assert exclusion.thin(frames, labelled, order, gap).tolist() == taken
        assert exclusion.thin(frames, labelled, order, gap, most).tolist() == taken[:most]
