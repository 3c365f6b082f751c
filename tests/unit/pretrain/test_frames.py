"""The sample of frames: spread, seeded, bounded, and what does not decode."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.errors import WeightsError
from vidal.pretrain.frames import collect, draw_frames, load_sample, save_sample
from vidal.video import open_clip, write_video


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
    st.integers(2, 80),
    st.integers(0, 5),
    st.integers(0, 1000),
)
def test_picks_are_frames_of_the_clips_spread_over_all_of_them(lengths, most, near, seed):
    picks = draw_frames(lengths, most, near, np.random.default_rng(seed))
    total = sum(lengths)
    assert len(picks.clip) == min(most, total)
    assert len(set(zip(picks.clip.tolist(), picks.index.tolist(), strict=True))) == len(picks.clip)
    length = np.array(lengths)[picks.clip]
    assert ((picks.index >= 0) & (picks.index < length)).all()
    assert (np.diff(picks.clip) >= 0).all()
    place = np.cumsum([0, *lengths])[picks.clip] + picks.index
    count = len(place)
    assert (place >= np.arange(count) * total // count).all()  # one of every stretch
    assert (place < np.arange(1, count + 1) * total // count).all()
    has = picks.beside >= 0
    if not near:
        assert not has.any()
    else:
        apart = np.abs(picks.beside - picks.index)[has]
        assert ((apart >= 1) & (apart <= near)).all()
        assert (picks.beside < length).all()
        assert has[length > 2 * near].all()
        assert not has[length == 1].any()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    found = []
    for number, (frames, size) in enumerate([(12, (60, 80)), (6, (32, 48))]):
        images = [np.full((*size, 3), 20 + 100 * number + 6 * i, np.uint8) for i in range(frames)]
        write_video(folder / f"c{number}.mp4", images, Fraction(10))
        found.append(open_clip(folder / f"c{number}.mp4"))
    return found


def test_frames_are_kept_small_and_are_those_that_were_picked(clips):
    picks = draw_frames([12, 6], 100, 0, np.random.default_rng(0))
    seen = []
    sample = collect(clips, picks, 40, lambda done, total: seen.append((done, total)))
    assert len(sample) == 18
    assert (sample.lost, sample.alone, sample.skipped) == (0, 0, ())
    assert seen[-1] == (18, 18)
    shapes = [sample[at][0].shape for at in range(18)]
    assert shapes == [(40, 53, 3)] * 12 + [(32, 48, 3)] * 6  # the second is small already
    means = [sample[at][0].mean() for at in range(18)]
    assert np.allclose(means[:12], 20 + 6 * np.arange(12), atol=4)
    assert np.allclose(means[12:], 120 + 6 * np.arange(6), atol=4)


def test_each_picture_comes_with_the_one_beside_it(clips):
    picks = draw_frames([12, 6], 8, 2, np.random.default_rng(0))
    sample = collect(clips, picks, 40)
    for at, (frame, beside) in enumerate(zip(picks.index, picks.beside, strict=True)):
        mine, other = sample[at]
        assert other.mean() - mine.mean() == pytest.approx(6 * (beside - frame), abs=4)


def test_clips_and_neighbours_that_cannot_be_read_are_counted_and_named(clips, tmp_path):
    gone = tmp_path / "gone.mp4"
    gone.write_bytes(clips[1].path.read_bytes())
    lost = open_clip(gone)
    gone.unlink()
    picks = draw_frames([12, 6], 100, 1, np.random.default_rng(0))
    sample = collect([clips[0], lost], picks, 40)
    assert len(sample) == 12
    assert sample.lost == 6
    ((path, why),) = sample.skipped
    assert path == str(gone)
    assert "no such file" in why
    single = draw_frames([1], 5, 3, np.random.default_rng(0))
    assert single.beside.tolist() == [-1]


def test_a_sample_is_read_as_it_was_kept_and_that_of_another_job_is_refused(clips, tmp_path):
    picks = draw_frames([12, 6], 5, 1, np.random.default_rng(0))
    sample, file = collect(clips, picks, 40), tmp_path / "frames.npz"
    save_sample(sample, file, "key")
    again = load_sample(file, "key")
    assert len(again) == len(sample)
    for at in range(5):
        pairs = zip(again[at], sample[at], strict=True)
        assert all(np.array_equal(mine, theirs) for mine, theirs in pairs)
    with pytest.raises(WeightsError, match="belongs to another"):
        load_sample(file, "other")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(WeightsError, match="not a sample of frames"):
        load_sample(file, "key")
