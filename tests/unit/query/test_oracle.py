"""Oracles: the true errors in place of estimates."""

import numpy as np
import pytest

from vidal.query.oracle import OracleErrors, OracleFalseNegatives, OracleFalsePositives
from vidal.types import FrameSet, Pool

EMPTY = np.zeros(0, np.int64)


def a_pool(truth):
    """Frames of one clip; ``truth`` = per frame ((fp, fn) per class)."""
    columns = {} if truth is None else {"truth_errors": np.array(truth)}
    frames = FrameSet(("a",), np.zeros(3, np.int64), np.arange(3))
    return Pool(frames, ("car", "person"), FrameSet(("a",), EMPTY, EMPTY), columns)


TRUTH = [[(1, 0), (2, 0)], [(0, 4), (0, 1)], [(1, 1), (0, 0)]]


def test_false_positives_are_summed_over_classes():
    assert OracleFalsePositives().score(a_pool(TRUTH)).tolist() == [3, 0, 1]


def test_misses_are_summed_over_classes():
    assert OracleFalseNegatives().score(a_pool(TRUTH)).tolist() == [0, 5, 1]


def test_the_reason_says_how_many_errors_there_are():
    words = OracleFalsePositives().explain(a_pool(TRUTH), np.array([0, 2])).words
    assert words == ("3 true false alarms", "1 true false alarm")


def test_both_kinds_of_errors_are_summed_and_said():
    assert OracleErrors().score(a_pool(TRUTH)).tolist() == [3, 5, 2]
    words = OracleErrors().explain(a_pool(TRUTH), np.array([2, 0])).words
    assert words == ("1 true false alarm and 1 true miss", "3 true false alarms and 0 true misses")


def test_a_pool_without_truth_cannot_be_scored():
    with pytest.raises(KeyError, match="truth_errors"):
        OracleFalseNegatives().score(a_pool(None))
