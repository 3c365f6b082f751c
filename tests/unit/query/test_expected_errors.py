from functools import partial

import numpy as np
import pytest

from vidal.errors import UnknownName, UsageError
from vidal.query.balanced import Balanced
from vidal.query.expected_errors import BARE, BEFORE_LABELS, ExpectedErrors
from vidal.types import FrameSet, Pool

Plain = partial(ExpectedErrors, per="frame")

CLASSES = ("car", "pedestrian")
# frame -> class -> (false positives, misses)
EXPECTED = [[[2.3, 0.0], [0.0, 0.8]], [[0.01, 0.0], [0.0, 0.02]], [[0.6, 0.0], [0.4, 1.5]]]

VERDICTS = [[[2, 0], [0, 1]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]


def a_pool(learned=True, told=1, prior=0.0):
    f = len(EXPECTED)
    none = np.zeros(0, np.int64)
    return Pool(
        FrameSet(("a",), np.zeros(f, np.int64), np.arange(f)),
        CLASSES,
        FrameSet(("a",), none, none),
        {
            "expected": np.array(EXPECTED, np.float32),
            "told": np.array(EXPECTED, np.float32) * told,
            "learned": np.full(f, learned),
            "prior": np.full(f, prior, np.float32),
            "errors": np.array(VERDICTS, np.float32),
            "detections": np.array([8, 0, 4]),
        },
    )


def words(strategy, learned=True, prior=0.0):
    return strategy.explain(a_pool(learned, prior=prior), np.arange(3)).words


@pytest.mark.parametrize(
    ("errors", "scores"),
    [("fp", [2.3, 0.01, 1.0]), ("fn", [0.8, 0.02, 1.5]), ("fp+fn", [3.1, 0.03, 2.5])],
)
def test_the_score_is_the_number_of_expected_errors_of_the_kind_asked_for(errors, scores):
    assert ExpectedErrors(errors, per="frame").score(a_pool()).tolist() == pytest.approx(scores)


def test_errors_may_be_reckoned_by_the_boxes_there_are_to_draw():
    # 3.1 errors; 8 detections, 0.8 expected misses and one more are 9.8 boxes.
    assert ExpectedErrors(per="object").score(a_pool())[0] == pytest.approx(3.1 / 9.8)
    assert ExpectedErrors(per="root").score(a_pool())[0] == pytest.approx(3.1 / 9.8**0.5)
    # A frame with nothing in it has a box, too: it does not come first for a hundredth of an error.
    assert ExpectedErrors(per="object").score(a_pool())[1] == pytest.approx(0.03 / 1.02, rel=1e-6)


def test_before_errors_are_counted_boxes_are_the_detections():
    score = ExpectedErrors(per="object").score(a_pool(learned=False))
    assert score[0] == pytest.approx(3.1 / 9)


def test_reasons_name_the_boxes_that_errors_are_reckoned_by():
    told = ExpectedErrors(per="root").explain(a_pool(), np.array([0, 1]))
    assert told.words == (
        "all chances added up: 2.3 false alarms (car) and 0.8 misses (pedestrian); among 9 boxes",
        "all chances added up: no error",
    )
    assert told.parts["boxes"].tolist() == pytest.approx([8.8, 0.02], rel=1e-5)
    assert "boxes" not in ExpectedErrors(per="frame").explain(a_pool(), np.array([0])).parts


def test_errors_of_a_class_may_count_more_or_nothing():
    score = ExpectedErrors(weights="pedestrian = 3, car=0", per="frame").score(a_pool())
    assert score.tolist() == pytest.approx([2.4, 0.06, 5.7])


def test_learned_counts_in_words():
    assert words(Plain()) == (
        "all chances added up: 2.3 false alarms (car) and 0.8 misses (pedestrian)",
        "all chances added up: no error",
        "all chances added up: 1.0 false alarm (0.6 car, 0.4 pedestrian) and 1.5 misses"
        " (pedestrian)",
    )


def test_counts_that_are_mostly_the_shipped_priors_are_parts_and_no_sentence():
    assert words(Plain(), prior=0.51) == (BEFORE_LABELS, BARE, BEFORE_LABELS)  # one has no box
    parts = Plain().explain(a_pool(prior=0.51), np.arange(3)).parts
    assert parts["false_positives"].tolist() == pytest.approx([2.3, 0.01, 1.0])
    assert BEFORE_LABELS not in words(Plain(), prior=0.5)
    assert BEFORE_LABELS not in words(Plain(), learned=False, prior=1.0)


def test_what_is_read_is_right_in_sum_and_what_ranks_is_not_touched_by_it():
    pool, plain = a_pool(told=np.array([1, 2])), a_pool()
    strategy = Plain()
    assert strategy.score(pool).tolist() == strategy.score(plain).tolist()
    told = strategy.explain(pool, np.arange(3))
    assert (
        told.words[0] == "all chances added up: 2.3 false alarms (car) and 1.6 misses (pedestrian)"
    )
    assert told.parts["misses"].tolist() == pytest.approx([1.6, 0.04, 3.0])


def test_sums_that_are_no_counts_are_rough_also_behind_class_balance_and_unknown_objects():
    def rough(**changes):
        return Plain().explain(a_pool(**changes), np.arange(3)).rough

    assert rough() == frozenset()
    both = {"false_positives", "misses"}
    assert rough(prior=1.0) == both
    told = ExpectedErrors(per="root").explain(a_pool(prior=1.0), np.array([0, 1]))
    assert told.rough == {*both, "boxes"}
    assert told.words == (f"{BEFORE_LABELS}; among 8 boxes", BARE)
    assert rough(learned=False) == both
    pool = a_pool(prior=1.0)
    pool = pool.with_columns(expected_objects=np.ones((3, 2), np.float32))
    assert Balanced(Plain()).explain(pool, np.arange(2)).rough == both


def test_what_does_not_count_is_said_apart():
    assert words(Plain("fp"))[0] == (
        "all chances added up: 2.3 false alarms (car); not counted: 0.8 misses (pedestrian)"
    )
    assert words(Plain(weights="car=0"))[0] == (
        "all chances added up: 0.8 misses (pedestrian); not counted: 2.3 false alarms (car)"
    )


def test_without_labels_the_words_name_verdicts_and_give_no_number_without_one():
    assert words(Plain(), learned=False) == (
        "2 unconfirmed detections (car), 1 expected object (pedestrian)",
        "no sign of an error",
        "unsure detections (car, pedestrian), weak detections (pedestrian)",
    )
    assert words(Plain("fn"), learned=False)[0] == (
        "1 expected object (pedestrian); not counted: 2 unconfirmed detections (car)"
    )


def test_verdicts_on_several_classes_are_counted_by_class():
    pool = a_pool(learned=False)
    verdicts = np.array([[[1, 2], [2, 1]]] * 3, np.float32)
    said = Plain().explain(pool.with_columns(errors=verdicts), np.array([0])).words[0]
    assert said == (
        "3 unconfirmed detections (1 car, 2 pedestrian), 3 expected objects (2 car, 1 pedestrian)"
    )


def test_the_parts_are_false_positives_and_misses_of_the_frames_asked_for():
    parts = Plain().explain(a_pool(), np.array([2, 0])).parts
    assert parts["false_positives"].tolist() == pytest.approx([1.0, 2.3])
    assert parts["misses"].tolist() == pytest.approx([1.5, 0.8])


@pytest.mark.parametrize("text", ["car", "car=", "=2", "car=-1", "car=inf", "car=1,2"])
def test_weights_that_cannot_be_meant_are_refused(text):
    with pytest.raises(UsageError, match="option weights"):
        Plain(weights=text)


def test_a_weight_for_a_class_that_there_is_not_is_refused_by_name():
    with pytest.raises(UnknownName, match="bicycle"):
        Plain(weights="bicycle=2").score(a_pool())
