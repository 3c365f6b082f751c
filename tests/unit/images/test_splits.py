"""Initial sets, known classes, mixtures with unknown ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.images import class_uniform_set, initial_set, noise_mixture, open_split

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=80).map(np.array)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_one_percent_of_known_images_is_rounded_down():
    labels = np.repeat([0, 1, 2], [150, 149, 500])
    chosen = initial_set(labels, 2, 1, rng())
    assert len(chosen) == 2
    assert (labels[chosen] < 2).all()


def test_a_percentage_means_what_it_says_in_decimals():
    # 0.29 * 100 is 28.999999999999996 in floating point
    assert len(initial_set(np.zeros(100, int), 1, 29.0, rng())) == 29
    assert len(initial_set(np.zeros(1000, int), 1, 0.7, rng())) == 7


@given(LABELS, st.integers(1, 5), st.floats(0, 100), st.integers(0, 99))
def test_initial_sets_are_known_distinct_ascending_and_repeatable(labels, known, percent, seed):
    chosen = initial_set(labels, known, percent, rng(seed))
    assert (np.diff(chosen) > 0).all()
    assert (labels[chosen] < known).all()
    np.testing.assert_array_equal(chosen, initial_set(labels, known, percent, rng(seed)))
    whole = (labels < known).sum() * percent / 100
    assert whole - 1 - 1e-9 <= len(chosen) <= whole + 1e-9


def test_exact_shares_hold_as_many_unknowns_as_the_pool():
    labels = np.repeat([0, 1, 5], [30, 30, 40])
    chosen = initial_set(labels, 2, 10, rng(), known_only=False, shares="exact")
    assert np.bincount(labels[chosen] >= 2).tolist() == [6, 4]


def test_a_plain_draw_takes_unknowns_as_they_come():
    labels = np.repeat([0, 9], [50, 50])
    draws = [initial_set(labels, 1, 10, rng(s), known_only=False) for s in range(300)]
    counts = [(labels[each] == 9).sum() for each in draws]
    assert len(set(counts)) > 3
    assert 4.7 < np.mean(counts) < 5.3


@pytest.mark.parametrize(("known", "percent"), [(0, 5), (1, -1), (1, 101)])
def test_what_cannot_be_meant_is_refused(known, percent):
    with pytest.raises(ValueError, match=r"known|percent"):
        initial_set(np.zeros(4, int), known, percent, rng())


@given(LABELS, st.integers(1, 5), st.integers(0, 99), st.data())
def test_class_uniform_sets_differ_by_one_where_classes_suffice(labels, known, seed, data):
    there = int((labels < known).sum())
    count = data.draw(st.integers(0, there))
    chosen = class_uniform_set(labels, known, count, rng(seed))
    assert len(chosen) == count
    assert (np.diff(chosen) > 0).all()
    counts = np.bincount(labels[chosen], minlength=known)[:known]
    have = np.bincount(labels, minlength=known)[:known]
    assert counts.sum() == count
    roomy = counts[counts < have]
    assert not len(roomy) or roomy.min() >= count // known


def test_class_uniform_sets_refuse_more_than_there_is():
    with pytest.raises(ValueError, match="2 of 1"):
        class_uniform_set(np.array([0, 3]), 2, 2, rng())


def test_known_classes_are_drawn_and_every_one_can_be():
    drawn = [tuple(open_split(5, 2, rng(s))) for s in range(200)]
    assert len(set(drawn)) == 10
    assert all(a < b for a, b in drawn)
    with pytest.raises(ValueError, match="6 of 5"):
        open_split(5, 6, rng())


@given(st.integers(1, 60), st.integers(0, 200), st.floats(0, 0.95), st.integers(0, 9))
def test_the_share_of_unknowns_is_within_one_image_of_the_ratio(inside, outside, ratio, seed):
    labels = np.repeat([0, 7], [inside, outside])
    wanted = np.floor(inside * ratio / (1 - ratio) + 0.5)
    if wanted > outside + 0.5:
        with pytest.raises(ValueError, match="there are"):
            noise_mixture(labels, 1, ratio, rng(seed))
        return
    if abs(inside * ratio / (1 - ratio) % 1 - 0.5) < 1e-6:
        return
    kept = noise_mixture(labels, 1, ratio, rng(seed))
    unknown = int((labels[kept] == 7).sum())
    assert len(kept) - unknown == inside
    assert abs(unknown - ratio * len(kept)) <= 1
