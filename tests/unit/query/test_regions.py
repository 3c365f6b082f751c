import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.query.regions import fold

NONE = np.zeros(0)


@pytest.mark.parametrize(
    ("how", "expected"),
    [("mean", [2, 9, -3]), ("sum", [6, 9, -6]), ("max", [4, 9, -1]), ("top", [3, 9, -3])],
)
def test_values_of_a_frame_become_one(how, expected):
    values, frame = np.array([4.0, -1.0, 2.0, -5.0, 0.0]), np.array([0, 2, 0, 2, 0])
    np.testing.assert_array_equal(fold(values, frame, 3, how, top=2, empty=9.0), expected)


@pytest.mark.parametrize("how", ["mean", "sum", "max", "top"])
def test_a_frame_without_detections_gets_what_is_said(how):
    np.testing.assert_array_equal(fold(NONE, NONE, 2, how, empty=-1.5), [-1.5, -1.5])
    assert fold(NONE, NONE, 0, how).shape == (0,)


def test_top_takes_all_where_there_are_fewer():
    assert fold(np.array([1.0, 4.0]), np.array([0, 0]), 1, "top", top=3) == 2.5


def test_what_cannot_be_meant_is_refused():
    one = np.array([1.0])
    for values, frame, frames, options in (
        (one, np.array([1]), 1, {}),
        (one, np.array([-1]), 1, {}),
        (one, np.array([0, 0]), 1, {}),
        (one, np.array([0]), 1, {"how": "median"}),
        (one, np.array([0]), 1, {"how": "top", "top": 0}),
    ):
        with pytest.raises(ValueError):
            fold(values, frame, frames, **options)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-50, 50)), max_size=20),
    st.sampled_from(["mean", "sum", "max", "top"]),
    st.randoms(use_true_random=False),
)
def test_the_order_of_detections_does_not_matter(rows, how, shuffler):
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    results = []
    for each in (rows, shuffled):
        frame = np.array([place for place, _ in each], np.int64)
        results.append(fold(np.array([value for _, value in each], float), frame, 5, how))
    np.testing.assert_allclose(*results)


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-9, 9)), max_size=20), st.integers(1, 4))
def test_top_is_the_mean_of_the_highest_of_every_frame(rows, top):
    frame = np.array([place for place, _ in rows], np.int64)
    values = np.array([value for _, value in rows], float)
    found = fold(values, frame, 5, "top", top=top, empty=7.0)
    for place in range(5):
        mine = sorted(values[frame == place], reverse=True)[:top]
        assert found[place] == pytest.approx(np.mean(mine) if mine else 7.0)
