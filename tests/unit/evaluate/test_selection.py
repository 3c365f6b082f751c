import numpy as np

from vidal.evaluate.selection import query_precision, query_recall


def test_precision_is_the_share_of_known_items():
    assert query_precision(np.array([0, 2, 3, 3]), 3) == 0.5
    assert query_precision(np.array([3]), 3) == 0
    assert query_precision(np.zeros(0), 3) == 0


def test_recall_counts_what_was_labelled_before_on_both_sides():
    assert query_recall(np.array([0, 3, 1]), 4, 8, 3) == 0.5
    assert query_recall(np.zeros(0), 0, 0, 3) == 0
    assert query_recall(np.zeros(0), 3, 0, 3) == 1
