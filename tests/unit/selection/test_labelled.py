"""The labelled side of a pool: which answer a detection on a labelled frame gets."""

import numpy as np
import pytest

from vidal.query.pools import items_of, restrict
from vidal.selection.labelled import LabelledSide
from vidal.testing.strategies import a_pool
from vidal.types import BACKGROUND, Annotations, Detections, Items

CLASSES = ("car", "cyclist")


def detections(boxes, scores, labels, frame, frames=4):
    n = len(boxes)
    probs = np.tile(np.float32([0.5, 0.3, 0.2]), (n, 1))
    return Detections(
        CLASSES,
        np.ones(frames, bool),
        np.array(frame),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels),
        probs,
        np.arange(2 * n).reshape(n, 2).astype(np.float16),
        np.arange(3 * frames).reshape(frames, 3).astype(np.float32),
    )


def annotations(boxes, labels, frame, ignore=None, frames=4, classes=CLASSES, labelled=None):
    n = len(boxes)
    return Annotations(
        classes=classes,
        labelled=np.ones(frames, bool) if labelled is None else np.array(labelled),
        frame=np.array(frame, np.int64),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.array(labels, np.int64),
        track=np.full(n, -1),
        ignore=np.zeros(n, bool) if ignore is None else np.array(ignore),
    )


def side(found, truth, labelled, needs=("labelled", "features", "embedding")):
    made = LabelledSide(CLASSES, frozenset(needs), 0.3)
    made.add(found, truth, np.array(labelled))
    return made.items(), made.columns()


def test_a_detection_gets_the_class_of_the_object_it_lies_on_whatever_its_own():
    found = detections([[0, 0, 10, 10], [50, 50, 60, 60]], [0.9, 0.8], [1, 0], [1, 1])
    items, columns = side(
        found, annotations([[0, 0, 10, 9]], [0], [1]), [False, True, False, False]
    )
    assert items.answers.tolist() == [0, BACKGROUND]
    assert items.features.tolist() == [[0, 1], [2, 3]]
    assert columns["objects"].tolist() == [[1, 0]]
    assert columns["embedding"].tolist() == [[3, 4, 5]]


def test_an_object_outside_the_classes_is_answered_k_and_is_no_object_of_a_class():
    found = detections([[0, 0, 10, 10]], [0.9], [0], [0])
    items, columns = side(found, annotations([[0, 0, 10, 10]], [-1], [0]), [True] * 4)
    assert items.answers.tolist() == [2]
    assert items.unknown == 2
    assert len(items.objects()) == 1
    assert len(items.known()) == 0
    assert columns["objects"].sum() == 0


def test_an_object_answers_for_one_detection_only_that_of_the_highest_score():
    found = detections([[0, 0, 10, 10], [0, 0, 10, 9]], [0.5, 0.9], [0, 0], [0, 0])
    items, _ = side(found, annotations([[0, 0, 10, 10]], [1], [0]), [True] * 4)
    assert items.answers.tolist() == [BACKGROUND, 1]


def test_detections_in_ignore_regions_below_the_threshold_and_on_other_frames_are_no_items():
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]
    found = detections(boxes, [0.9, 0.3, 0.9], [0, 0, 0], [0, 0, 2])
    truth = annotations([[0, 0, 100, 100]], [-1], [0], ignore=[True])
    items, _ = side(found, truth, [True, False, False, False])
    assert len(items) == 0


def test_missed_objects_count_and_ignored_ones_do_not():
    found = detections([], [], [], [])
    truth = annotations(
        [[0, 0, 5, 5], [9, 9, 12, 12], [0, 0, 9, 9], [1, 1, 5, 5]],
        [0, 0, 1, 1],
        [1, 1, 3, 3],
        ignore=[False, False, False, True],
    )
    _, columns = side(found, truth, [False, True, True, True])
    assert columns["objects"].tolist() == [[2, 0], [0, 0], [0, 1]]


def test_classes_of_labels_are_matched_by_name_and_others_are_unknown():
    found = detections([[0, 0, 10, 10], [20, 0, 30, 10]], [0.9, 0.9], [0, 0], [0, 0])
    truth = annotations(
        [[0, 0, 10, 10], [20, 0, 30, 10]], [0, 1], [0, 0], classes=("Cyclist", "dog")
    )
    items, columns = side(found, truth, [True] * 4)
    assert items.answers.tolist() == [1, 2]
    assert columns["objects"][0].tolist() == [0, 1]


def test_a_clip_without_labels_gives_nothing_and_unneeded_columns_are_not_made():
    found = detections([[0, 0, 10, 10]], [0.9], [0], [0])
    items, columns = side(found, None, [False] * 4)
    assert len(items) == 0
    assert columns["objects"].shape == (0, 2)
    assert side(found, None, [False] * 4, needs=("regions",)) == (None, {})


def test_items_refuse_answers_out_of_range():
    with pytest.raises(ValueError, match="answers"):
        Items(np.zeros((1, 2)), np.zeros((1, 3)), np.array([3]))


def test_picks_of_the_round_count_as_labelled_and_are_not_answered():
    pool = a_pool((6, 4), labelled=[(0, 0)])
    rest = restrict(pool, np.array([0, 1, 5]), labelled=np.array([2]))
    assert len(rest.labelled) == 2
    assert rest.labelled_columns["objects"][1].sum() == 0
    np.testing.assert_array_equal(
        rest.labelled_columns["embedding"][1], pool.column("embedding")[2]
    )
    rows = np.isin(pool.regions.pos, [0, 1, 5])
    np.testing.assert_array_equal(rest.regions.column("votes"), pool.regions.column("votes")[rows])
    assert len(items_of(rest)) == len(items_of(pool))


def test_columns_of_another_length_are_refused():
    pool = a_pool((4,))
    with pytest.raises(ValueError, match="votes"):
        type(pool.regions)(
            *(getattr(pool.regions, n) for n in ("pos", "boxes", "scores", "labels", "probs")),
            pool.regions.features,
            {"votes": np.zeros((1, 2))},
        )
