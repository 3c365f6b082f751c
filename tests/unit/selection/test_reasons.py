"""Verdicts on boxes, where neighbours show them, and the sentence that names them."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.evidence.verdicts import by_chances, by_cut
from vidal.expected_errors import Evidence, Rows
from vidal.selection.reasons import box_sentences, with_boxes
from vidal.selection.result import ClipResult
from vidal.selection.sightings import sightings, spans
from vidal.track.kalman import KalmanMotion
from vidal.types import Clip, Detections, ErrorEstimate, Explanation, FrameRef
from vidal.types.verdicts import ALARM, CORRECT, UNSURE, Verdicts
from vidal.words import place_of, several

SIZE = (100, 200)
CLASSES = ("pedestrian", "car", "bus")
FRAMES = 60
STANDING = [0, 40, 20, 90]  # at the left edge
FAR = [170, 40, 190, 60]


def a_clip():
    pts = np.arange(FRAMES)
    return Clip("a", Path("a.mp4"), pts, Fraction(1, 25), Fraction(25), SIZE)


def a_table(rows):
    """Detections of (frame, box, label, score)."""
    rows = sorted(rows, key=lambda row: row[0])
    scores = np.array([row[3] for row in rows], np.float32)
    probs = np.zeros((len(rows), len(CLASSES) + 1), np.float32)
    for at, row in enumerate(rows):
        probs[at, row[2]] = row[3]
    return Detections(
        classes=CLASSES,
        scanned=np.ones(FRAMES, bool),
        frame=[row[0] for row in rows],
        boxes=np.array([row[1] for row in rows], np.float32).reshape(-1, 4),
        scores=scores,
        labels=[row[2] for row in rows],
        probs=probs,
        features=np.zeros((len(rows), 0)),
        embedding=np.zeros((FRAMES, 0)),
    )


def said(rows=(), kind=(), alarm=(), missed=()):
    """Verdicts, and places of (frame, box, label, score, chance)."""
    return Verdicts(
        "expected errors",
        np.array(rows, np.int64),
        np.array(kind, np.int64),
        np.array(alarm, np.float32),
        np.array([each[0] for each in missed], np.int64),
        np.array([each[1] for each in missed], np.float32).reshape(-1, 4),
        np.array([each[2] for each in missed], np.int64),
        np.array([each[3] for each in missed], np.float32),
        np.array([each[4] for each in missed], np.float32),
    )


def sentence(table, verdicts, index=49, unknown=None):
    nothing = np.zeros(FRAMES, bool)
    loaded = ClipResult(a_clip(), table, None, np.zeros(FRAMES), ~nothing, nothing, verdicts)
    motion = KalmanMotion.of(table)
    told = box_sentences(loaded, [index], motion, threshold=0.5, window=3, unknown=unknown or {})
    return told[index]


def test_a_missed_object_is_named_by_place_and_by_the_frames_that_show_it():
    table = a_table([(frame, STANDING, 0, 0.9) for frame in (46, 47, 48, 50)])
    words = sentence(table, said(missed=[(49, STANDING, 0, 0.0, 0.8)]))
    assert words == (
        "1 likely miss: pedestrian at the left edge (seen in frames 46-48 and 50, not in 49)"
    )


def test_where_the_motion_is_not_known_nothing_is_said_of_neighbours():
    table = a_table([(frame, STANDING, 0, 0.9) for frame in (46, 47, 48, 50)])
    verdicts = said(missed=[(49, STANDING, 0, 0.0, 0.8)])
    nothing = np.zeros(FRAMES, bool)
    loaded = ClipResult(a_clip(), table, None, np.zeros(FRAMES), ~nothing, nothing, verdicts)
    told = box_sentences(loaded, [49], None, threshold=0.5, window=3, unknown={})
    assert told == {49: "1 likely miss: pedestrian at the left edge"}


def test_weak_detections_of_one_place_are_named_together_with_their_scores():
    weak = [(49, FAR, 1, 0.42), (49, [168, 70, 189, 90], 1, 0.31)]
    places = [
        (49, box, label, score, 0.9 - at / 10) for at, (_, box, label, score) in enumerate(weak)
    ]
    assert sentence(a_table(weak), said(missed=places)) == (
        "2 likely misses: two weak cars (.42, .31) far right"
    )


def test_what_comes_and_goes_is_named_before_what_is_always_seen_and_all_are_counted():
    rows = [(frame, STANDING, 1, 0.7) for frame in range(46, 53)]
    rows += [(frame, FAR, 2, 0.6) for frame in (49, 50)]
    rows += [(49, [60 + 2 * at, 10, 75 + 2 * at, 20], 0, 0.8) for at in range(3)]
    table = a_table(rows)
    here = np.flatnonzero(table.frame == 49)
    chance = [{1: 0.9, 2: 0.5, 0: 0.4}[label] for label in table.labels[here].tolist()]
    words = sentence(table, said(here, [UNSURE] * len(here), chance))
    assert words == (
        "5 unsure boxes, such as bus (.60) far right (seen in frames 49 and 50, not in 46-48, 51"
        " and 52), three pedestrians (.80, .80, .80) on the left"
    )


def test_a_false_alarm_that_no_neighbour_shows_says_so_and_one_that_all_show_too():
    table = a_table([(49, FAR, 1, 0.6), *((frame, STANDING, 0, 0.7) for frame in range(46, 53))])
    here = np.flatnonzero(table.frame == 49)
    kinds = [ALARM, ALARM]
    words = sentence(table, said(here, kinds, np.where(table.labels[here] == 1, 0.9, 0.8)))
    assert words == (
        "2 likely false alarms: car (.60) far right (not seen in frames 46-48 and 50-52),"
        " pedestrian (.70) at the left edge (seen in frames 46-48 and 50-52)"
    )


def test_what_is_likely_correct_or_likely_an_unknown_object_is_not_counted():
    table = a_table([(49, FAR, 1, 0.6), (49, STANDING, 0, 0.7)])
    assert sentence(table, said([0, 1], [CORRECT, CORRECT], [0.1, 0.2])) == ""
    unknown = {FrameRef("a", 49): np.array([0.9, 0.1])}
    words = sentence(table, said([0, 1], [ALARM, ALARM], [0.9, 0.8]), unknown=unknown)
    assert words.startswith("1 likely false alarm: pedestrian (.70)")


def test_the_neighbours_that_were_looked_at_end_with_the_clip_and_at_frames_that_were_not():
    table = a_table([(0, FAR, 1, 0.6)])
    table = replace(table, scanned=np.arange(FRAMES) != 2)
    (found,) = sightings(
        table,
        KalmanMotion.of(table),
        (np.array([0]), np.array([FAR], np.float32)),
        np.array([0]),
        threshold=0.5,
        window=3,
        size=SIZE,
    )
    assert found.seen == ()
    assert found.looked == (1, 3)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([], ""),
        ([7], "7"),
        ([7, 8], "7 and 8"),
        ([46, 47, 48, 50], "46-48 and 50"),
        ([1, 3, 4, 5, 9], "1, 3-5 and 9"),
    ],
)
def test_rising_numbers_in_words(frames, words):
    assert spans(frames) == words


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (STANDING, "at the left edge"),
        ([180, 0, 199, 50], "at the right edge"),
        (FAR, "far right"),
        ([95, 10, 105, 20], "in the middle"),
        ([50, 80, 70, 100], "at the bottom edge"),
        ([50, 10, 70, 30], "on the left"),
        ([0, 10, 199, 30], "across the picture"),
        ([-50, 10, -10, 30], "at the left edge"),
    ],
)
def test_places_in_words(box, words):
    assert place_of(box, SIZE) == words


def test_nouns_without_a_given_plural():
    assert [several(1, "car"), several(2, "bus"), several(12, "person")] == [
        "car",
        "two buses",
        "12 people",
    ]
    assert several(3, "weak traffic lorry") == "three weak traffic lorries"


def test_the_strategys_own_words_come_behind():
    told = Explanation(("own words", "own words"), {})
    assert with_boxes(told, ("boxes", "")).words == ("boxes; own words", "own words")


def an_estimate():
    return ErrorEstimate(
        rows=[0, 1],
        false_positive=[True, False],
        false_positive_confidence=[0.9, 0.2],
        missed_frame=[3, 5],
        missed_boxes=[STANDING, FAR],
        missed_label=[0, 1],
        missed=[False, True],
        missed_confidence=[0.3, 0.8],
        energy=1.0,
        link_share=1.0,
    )


def test_the_cut_never_calls_a_detection_a_false_alarm():
    verdicts = by_cut(an_estimate())
    assert verdicts.kind.tolist() == [UNSURE, CORRECT]
    assert verdicts.certainty.tolist() == pytest.approx([0.9, 0.8])
    assert verdicts.missed_frame.tolist() == [5]
    assert verdicts.missed.tolist() == pytest.approx([0.8])
    assert verdicts.faint.tolist() == []


def faint(count, frame=49):
    """By temporal coherence: one place of a frame that is called missed, and fainter ones of 49."""
    nothing = np.zeros(0, np.int64)
    return by_cut(
        ErrorEstimate(
            rows=nothing,
            false_positive=nothing.astype(bool),
            false_positive_confidence=nothing,
            missed_frame=[frame, *[49] * count],
            missed_boxes=[STANDING, *[FAR] * count],
            missed_label=[0, *[1] * count],
            missed=[True] * (count + 1),
            missed_confidence=[0.9, *[0.7] * count],
            energy=1.0,
            link_share=1.0,
        )
    )


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, ""),
        (1, "; 1 more expected object not drawn: too few neighbouring frames show it"),
        (2, "; 2 more expected objects not drawn: too few neighbouring frames show them"),
    ],
)
def test_what_the_cut_counts_and_the_picture_does_not_show_is_told(count, words):
    told = sentence(a_table([(3, FAR, 1, 0.9)]), faint(count))
    assert told == "1 likely miss: pedestrian at the left edge" + words
    alone = sentence(a_table([(3, FAR, 1, 0.9)]), faint(count, frame=48))
    assert alone == words.removeprefix("; ").replace(" more", "")
    assert "not drawn" not in sentence(a_table([(3, FAR, 1, 0.9)]), faint(count), index=48)


def test_boxes_outside_the_picture_are_not_drawn_and_not_named():
    away = [300, 10, 320, 30]
    table = a_table([(49, away, 1, 0.6), (49, FAR, 2, 0.7)])
    here = said([0, 1], [UNSURE, UNSURE], [0.9, 0.8], [(49, away, 1, 0.0, 0.9)])
    assert sentence(table, here).startswith("1 unsure box: bus (.70) far right")


def evidence(detections, candidates):
    """Rows on frame 0: boxes of detections, and (box, score) of candidates."""
    columns = ("score", "is detection")

    def rows(boxes, values):
        n = len(boxes)
        return Rows(
            np.zeros(n, np.int64),
            np.array(boxes, np.float32).reshape(n, 4),
            np.zeros(n, np.int64),
            np.array(values, np.float32).reshape(n, 2),
            columns,
        )

    found = rows(list(detections), [(0.9, 1)] * len(detections))
    places = rows([box for box, _ in candidates], [(s, float(s > 0)) for _, s in candidates])
    return Evidence(1, columns, found, np.arange(len(detections)), places)


def test_before_labels_nothing_is_a_likely_false_alarm():
    rows = evidence([STANDING, FAR, STANDING], [])
    chances = np.array([0.1, 0.5, 0.99])
    kinds = {
        learned: by_chances(rows, chances, np.zeros(0), learned=learned).kind.tolist()
        for learned in (False, True)
    }
    assert kinds == {False: [CORRECT, UNSURE, UNSURE], True: [CORRECT, UNSURE, ALARM]}


def test_of_places_that_overlap_the_likeliest_is_shown():
    near = [1, 41, 21, 91]
    rows = evidence([], [(STANDING, 0.3), (near, 0.0), (FAR, 0.2)])
    verdicts = by_chances(rows, np.zeros(0), np.array([0.88, 0.9, 0.86]), learned=True)
    assert verdicts.missed_boxes.tolist() == [near, FAR]
    assert verdicts.missed_score.tolist() == pytest.approx([0.0, 0.2])
    assert not len(by_chances(rows, np.zeros(0), np.full(3, 0.4), learned=False).missed)
