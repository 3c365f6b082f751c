"""Probabilities against verdicts, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.evaluate.reliability import reliability


def test_brier_score_counts_and_curve_by_hand():
    p = np.array([0.1, 0.15, 0.9, 1.0])
    y = np.array([False, True, True, True])
    told = reliability(p, y, found=5)
    assert told.said == pytest.approx(2.15)
    assert (told.found, told.rows) == (5, 4)
    assert told.brier == pytest.approx((0.01 + 0.7225 + 0.01 + 0) / 4)
    assert told.base == pytest.approx(0.75 * 0.25)
    assert [(b.rows, b.found) for b in told.bins] == [(2, 0.5), (2, 1.0)]
    assert [b.said for b in told.bins] == pytest.approx([0.125, 0.95])


def test_nothing_judged_has_no_score():
    told = reliability(np.zeros(0), np.zeros(0, bool), found=3)
    assert (told.said, told.found, told.rows, told.bins) == (0.0, 3, 0, ())
    assert np.isnan(told.brier)
    assert np.isnan(told.base)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="outside"):
        reliability(np.array([1.2]), np.array([True]), found=1)
    with pytest.raises(ValueError, match="2 probabilities"):
        reliability(np.zeros(2), np.zeros(1, bool), found=0)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_bins_hold_all_rows_and_the_share_alone_scores_the_base(rows):
    p, y = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    told = reliability(p, y, found=int(y.sum()))
    assert sum(b.rows for b in told.bins) == len(rows)
    assert sum(b.rows * b.found for b in told.bins) == pytest.approx(y.sum())
    assert sum(b.rows * b.said for b in told.bins) == pytest.approx(p.sum())
    alone = reliability(np.full(len(y), y.mean()), y, found=0)
    assert alone.brier == pytest.approx(alone.base)
