import numpy as np

from vidal.selection.again import best_matches, columns_of
from vidal.types import Detections

CAR, CYCLIST, NOTHING = [0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.2, 0.1, 0.7]


def found(*rows):
    """Rows of (frame, left edge, distribution); every box is 10 wide and high."""
    frame = np.array([row[0] for row in rows], np.int64)
    boxes = np.array([[row[1], 0, row[1] + 10, 10] for row in rows], float).reshape(-1, 4)
    probs = np.array([row[2] for row in rows], float).reshape(-1, 3)
    return Detections(
        ("car", "cyclist"),
        np.ones(3, bool),
        frame,
        boxes,
        probs[:, :2].max(axis=1, initial=0.0),
        probs[:, :2].argmax(axis=1) if len(rows) else np.zeros(0, int),
        probs,
        np.zeros((len(rows), 0)),
        np.zeros((3, 0)),
    )


def test_a_detection_is_found_again_where_it_overlaps_most_and_only_in_its_frame():
    now = found((0, 0, CAR), (0, 50, CAR), (1, 0, CAR))
    then = found((0, 1, CYCLIST), (0, 3, CAR), (0, 57, CAR), (2, 0, CAR))
    mine, theirs = best_matches(now, then)
    assert mine.tolist() == [0]
    assert theirs.tolist() == [0]


def test_of_two_labels_of_one_box_the_surer_counts():
    mine, theirs = best_matches(found((0, 0, CAR)), found((0, 0, NOTHING), (0, 0, CYCLIST)))
    assert (mine.tolist(), theirs.tolist()) == ([0], [1])


def test_votes_are_the_most_likely_label_of_every_state_and_background_where_nothing_was():
    now = found((0, 0, CAR), (1, 0, CYCLIST))
    states = [found((0, 1, CYCLIST)), found((0, 0, NOTHING), (1, 0, CYCLIST)), found()]
    columns = columns_of(now, states)
    assert columns["votes"].tolist() == [[1, 2, 2, 0], [2, 1, 2, 1]]
    assert columns["votes"].dtype == np.int16
    np.testing.assert_allclose(columns["members"][0, :, 0], [0.2, 0.2, 0, 0.8], rtol=1e-6)
    np.testing.assert_allclose(columns["members"].sum(axis=2), 1, rtol=1e-6)


def test_without_detections_and_without_earlier_states_there_is_no_special_case():
    assert columns_of(found(), [found((0, 0, CAR))])["members"].shape == (0, 2, 3)
    assert columns_of(found((0, 0, CAR)), [])["votes"].tolist() == [[0]]
