"""Pseudo-labels: which detections are sure, and what becomes of the rest of their frames."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.coherence.pseudo_labels import PseudoLabelOptions, pseudo_annotations, sure
from vidal.errors import UsageError
from vidal.types import Carried, Detections, ErrorEstimate, Links

OPTIONS = PseudoLabelOptions(confidence=0.8, run=3, false_alarm=0.3, floor=0.1)


def table(rows, frames=8):
    """Detections from (frame, x, label, score)."""
    n = len(rows)
    x = np.array([row[1] for row in rows], np.float32)
    return Detections(
        classes=("car", "person"),
        scanned=np.ones(frames, bool),
        frame=np.array([row[0] for row in rows], np.int64),
        boxes=np.stack([x, np.zeros(n), x + 20, np.full(n, 10)], axis=1),
        scores=np.array([row[3] for row in rows], np.float32),
        labels=np.array([row[2] for row in rows], np.int64),
        probs=np.zeros((n, 3), np.float32),
        features=np.zeros((n, 0), np.float16),
        embedding=np.zeros((frames, 0), np.float32),
    )


def linked(*pairs):
    src, dst = np.array(pairs, np.int64).reshape(-1, 2).T
    none = np.zeros(0, np.int64)
    carried = Carried(none, none, np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    return Links(src, dst, np.ones(len(src), np.float32), carried, np.zeros(0, bool))


def an_estimate(rows, missed=()):
    """Nothing is false; places (frame, x) where an object may have been missed."""
    m = len(missed)
    x = np.array([place[1] for place in missed], np.float32)
    return ErrorEstimate(
        rows=np.arange(rows),
        false_positive=np.zeros(rows, bool),
        false_positive_confidence=np.zeros(rows, np.float32),
        missed_frame=np.array([place[0] for place in missed], np.int64),
        missed_boxes=np.stack([x, np.zeros(m), x + 9, np.full(m, 9)], axis=1),
        missed_label=np.zeros(m, np.int64),
        missed=np.zeros(m, bool),
        missed_confidence=np.zeros(m, np.float32),
        energy=0.0,
        link_share=1.0,
    )


RUN = table([(0, 0, 0, 0.9), (1, 0, 0, 0.9), (2, 0, 0, 0.9), (3, 0, 0, 0.9)])
CHAIN = linked((0, 1), (1, 2), (2, 3))


def verdict(detections=RUN, links=CHAIN, wrong=(), alarm=None, options=OPTIONS):
    false = np.isin(np.arange(len(detections)), wrong)
    probability = np.zeros(len(detections)) if alarm is None else np.array(alarm)
    return sure(detections, links, false, probability, options).tolist()


def test_a_run_that_is_right_throughout_is_sure_and_one_frame_less_is_not():
    assert verdict() == [True] * 4
    assert verdict(options=replace(OPTIONS, run=5)) == [False] * 4


def test_one_detection_that_is_not_right_breaks_the_run_in_two():
    """A break after three frames leaves the first three; a break in the middle leaves nothing."""
    assert verdict(wrong=[3]) == [True, True, True, False]
    assert verdict(wrong=[1]) == [False] * 4
    assert verdict(alarm=[0, 0, 0, 0.31]) == [True, True, True, False]
    assert verdict(alarm=[0, np.nan, 0, 0]) == [False] * 4
    weak = table([(0, 0, 0, 0.9), (1, 0, 0, 0.9), (2, 0, 0, 0.9), (3, 0, 0, 0.79)])
    assert verdict(weak) == [True, True, True, False]


def test_a_link_to_another_class_supports_nothing():
    other = table([(0, 0, 0, 0.9), (1, 0, 0, 0.9), (2, 0, 1, 0.9), (3, 0, 1, 0.9)])
    assert verdict(other) == [False] * 4
    assert verdict(other, options=replace(OPTIONS, run=2)) == [True] * 4


def test_a_run_is_as_long_as_it_has_frames_not_boxes():
    double = table([(0, 0, 0, 0.9), (0, 2, 0, 0.9), (1, 0, 0, 0.9), (1, 2, 0, 0.9)])
    links = linked((0, 2), (0, 3), (1, 2), (1, 3))
    assert verdict(double, links) == [False] * 4
    assert verdict(double, links, options=replace(OPTIONS, run=2)) == [True] * 4


def test_without_links_only_a_run_of_one_is_sure_and_nothing_gives_nothing():
    assert verdict(links=linked()) == [False] * 4
    assert verdict(links=linked(), options=replace(OPTIONS, run=1)) == [True] * 4
    assert verdict(table([]), linked()) == []


@given(st.integers(0, 10**6), st.integers(1, 25))
def test_stricter_rules_never_make_more_detections_sure(seed, count):
    rng = np.random.default_rng(seed)
    frames = np.sort(rng.integers(0, 6, count))
    rows = [(f, 0, rng.integers(2), s) for f, s in zip(frames, rng.random(count), strict=True)]
    pairs = [(a, b) for a, b in rng.integers(0, count, (30, 2)) if frames[a] < frames[b]]
    detections, links = table(rows), linked(*pairs)
    wrong, alarm = rng.random(count) < 0.2, rng.random(count)
    base = PseudoLabelOptions(confidence=0.3, run=2, false_alarm=0.7)
    loose = sure(detections, links, wrong, alarm, base)
    for change in ({"confidence": 0.5}, {"run": 3}, {"false_alarm": 0.4}):
        strict = sure(detections, links, wrong, alarm, replace(base, **change))
        assert not (strict & ~loose).any()
    assert not (loose & wrong).any()


MIXED = table(
    [
        (1, 0, 0, 0.9), (1, 40, 1, 0.5), (1, 80, 0, 0.1), (1, 99, 0, 0.05),
        (3, 0, 0, 0.9), (5, 0, 0, 0.6),
    ]
)  # fmt: skip


def annotated(rows=(0, 4), allowed=None, missed=((1, 200), (5, 0), (6, 0))):
    free = np.ones(8, bool) if allowed is None else allowed
    return pseudo_annotations(
        MIXED, np.array(rows, np.int64), an_estimate(6, missed), allowed=free, floor=0.1
    )


def test_what_is_unsure_on_a_taken_frame_is_ignored_and_what_scores_little_is_background():
    found = annotated()
    assert np.flatnonzero(found.labelled).tolist() == [1, 3]
    on = found.on(1)
    assert found.boxes[on][:, 0].tolist() == [0, 40, 80, 200]
    assert found.ignore[on].tolist() == [False, True, True, True]
    assert found.labels[on][0] == 0
    assert found.boxes[found.on(3)][:, 0].tolist() == [0]
    assert not found.ignore[found.on(3)].any()
    assert (found.track == -1).all()


def test_frames_without_a_sure_detection_and_frames_that_are_taken_already_are_left_out():
    taken = np.ones(8, bool)
    taken[1] = False
    found = annotated(allowed=taken)
    assert np.flatnonzero(found.labelled).tolist() == [3]
    none = annotated(rows=())
    assert not none.labelled.any()
    assert len(none) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("confidence", 1.5), ("false_alarm", -0.1), ("floor", 2.0), ("run", 0), ("spacing", -1),
        ("ratio", 0.0), ("ratio", float("nan")), ("confidence", float("nan")),
    ],
)  # fmt: skip
def test_options_that_cannot_be_meant_are_refused(name, value):
    with pytest.raises(UsageError, match=name):
        PseudoLabelOptions(**{name: value})
