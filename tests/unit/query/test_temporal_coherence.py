import numpy as np
import pytest

from vidal.query.temporal_coherence import TemporalCoherence
from vidal.types import FrameSet, Pool

CLASSES = ("car", "pedestrian")
# frame -> class -> (false positives, false negatives)
ERRORS = [[[2, 0], [0, 1]], [[0, 0], [0, 0]], [[1, 0], [2, 0]], [[0, 0], [0, 2]]]


def a_pool(errors=ERRORS):
    f = len(errors)
    none = np.zeros(0, np.int64)
    return Pool(
        FrameSet(("a",), np.zeros(f, np.int64), np.arange(f)),
        CLASSES,
        FrameSet(("a",), none, none),
        {"errors": np.array(errors, np.float32)},
    )


@pytest.mark.parametrize(
    ("errors", "expected"), [("fp", [2, 0, 3, 0]), ("fn", [1, 0, 0, 2]), ("fp+fn", [3, 0, 3, 2])]
)
def test_the_score_counts_errors_of_the_kind_asked_for(errors, expected):
    assert TemporalCoherence(errors).score(a_pool()).tolist() == expected


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (
            "fp",
            (
                "2 unconfirmed detections (car); not counted: 1 expected object (pedestrian)",
                "no likely error found",
                "3 unconfirmed detections (1 car, 2 pedestrian)",
                "no unconfirmed detection; not counted: 2 expected objects (pedestrian)",
            ),
        ),
        (
            "fn",
            (
                "1 expected object (pedestrian); not counted: 2 unconfirmed detections (car)",
                "no likely error found",
                "no expected object; not counted: 3 unconfirmed detections (1 car, 2 pedestrian)",
                "2 expected objects (pedestrian)",
            ),
        ),
        (
            "fp+fn",
            (
                "2 unconfirmed detections (car), 1 expected object (pedestrian)",
                "no likely error found",
                "3 unconfirmed detections (1 car, 2 pedestrian)",
                "2 expected objects (pedestrian)",
            ),
        ),
    ],
)
def test_the_words_say_what_counted(errors, words):
    assert TemporalCoherence(errors).explain(a_pool(), np.arange(4)).words == words


def test_the_parts_hold_both_kinds_whatever_counted():
    parts = TemporalCoherence("fn").explain(a_pool(), np.array([2, 0])).parts
    assert parts["false_positives"].tolist() == [3, 2]
    assert parts["misses"].tolist() == [0, 1]


def test_zero_score_frames_are_listed_like_any_other():
    assert not getattr(TemporalCoherence(), "positive_first", False)
