"""How many objects of each class a frame is expected to show."""

from dataclasses import replace

import numpy as np

from tests.unit.selection.test_pool import CLASSES, a_part, estimate
from vidal.evidence.objects import expected_objects
from vidal.selection.pool import build_pool

ROWS = [(0, 0, 0.8), (0, 1, 0.6), (1, 0, 0.9), (1, 0, 0.3)]


def objects(part, **known):
    given = {"threshold": 0.5, "told": None, "estimate": None, **known}
    return expected_objects(part.detections, (4, 2), **given)


def test_alone_a_detection_counts_as_much_as_it_is_not_background():
    np.testing.assert_allclose(objects(a_part(rows=ROWS))[:2], [[0.8, 0.6], [0.9, 0]], atol=1e-6)
    assert expected_objects(None, (4, 2), threshold=0.5, told=None, estimate=None).sum() == 0


def test_a_verdict_takes_a_detection_away_and_adds_a_missed_object():
    verdicts = estimate(
        np.array([0, 1, 2]),
        np.array([True, False, False]),
        np.array([3, 3]),
        np.array([1, 0]),
        np.array([True, False]),
    )
    found = objects(a_part(rows=ROWS), estimate=verdicts)
    np.testing.assert_allclose(found, [[0, 1], [1, 0], [0, 0], [0, 1]])


def test_learned_counts_come_before_verdicts_and_never_make_less_than_nothing():
    told = np.zeros((4, 2, 2))
    told[0, 0] = 0.25, 0.5
    told[0, 1] = 3.0, 0.0
    verdicts = estimate(
        np.array([0]), np.array([True]), np.zeros(0), np.zeros(0), np.zeros(0, bool)
    )
    found = objects(a_part(rows=ROWS), told=told, estimate=verdicts)
    np.testing.assert_allclose(found[:2], [[1 - 0.25 + 0.5, 0], [1, 0]])


def test_the_column_is_there_where_it_is_needed_and_takes_no_untrusted_prior():
    part = a_part(rows=ROWS)
    guess = np.full((4, 2, 2), 9.0, np.float32)
    for told, expected in ((guess, None), (guess, guess)):
        pool = build_pool(
            [replace(part, told=told, expected=expected)],
            classes=CLASSES,
            needs=frozenset({"expected_objects"}),
            threshold=0.5,
        )
        highest = float(pool.column("expected_objects").max())
        assert (highest > 1) == (expected is not None)
