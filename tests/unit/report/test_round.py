"""The parts of a round's report: neighbours, pictures, tables, words."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from vidal.evaluate.curves import Picks
from vidal.evaluate.intervals import Interval
from vidal.evaluate.reliability import reliability
from vidal.report import reliability as told
from vidal.report.near import neighbours
from vidal.report.round import pictures
from vidal.report.round.pictures import Pictures
from vidal.report.simulation_tables import _saved
from vidal.report.write import write_outputs
from vidal.selection.forecast import Forecast
from vidal.types import Detections


def a_clip(video, boxes, missed=()):
    """One box a frame of ``boxes``: (frame, x, label, score)."""
    rows = sorted(boxes)
    found = Detections(
        classes=("car", "van"),
        scanned=np.ones(video.frames, bool),
        frame=[row[0] for row in rows],
        boxes=[[row[1], 5, row[1] + 10, 15] for row in rows],
        scores=[row[3] for row in rows],
        labels=[row[2] for row in rows],
        probs=np.zeros((len(rows), 3)),
        features=np.zeros((len(rows), 0)),
        embedding=np.zeros((video.frames, 0)),
    )
    return SimpleNamespace(clip=video, detections=found, verdicts=said(missed))


class Still:
    """Motion of a scene in which everything moves by so many pixels a frame."""

    def __init__(self, across=0.0):
        self.across = across

    def step(self, frame, target, boxes):
        moved = boxes + np.outer(target - frame, [self.across, 0, self.across, 0])
        return moved.astype(np.float32), np.ones(len(boxes), np.float32)


def said(missed):
    """Verdicts that say where objects are missed: (frame, x, label)."""
    boxes = np.array([[x, 5, x + 10, 15] for _, x, _ in missed], np.float32).reshape(-1, 4)
    return SimpleNamespace(
        missed_frame=np.array([row[0] for row in missed], np.int64),
        missed_boxes=boxes,
        missed_label=np.array([row[2] for row in missed], np.int64),
    )


def marks(boxes, labels, scores):
    return SimpleNamespace(
        boxes=np.array(boxes, np.float32), labels=np.array(labels), scores=np.array(scores)
    )


def beside(loaded, index, drawn, motion):
    (found,) = neighbours(loaded, {index: drawn}, motion, 0.5).values()
    return {each.index: each for each in found}


def test_boxes_beside_a_frame_are_those_of_the_objects_on_it(video):
    loaded = a_clip(
        video,
        [(2, 20, 0, 0.9), (3, 22, 0, 0.9), (3, 40, 1, 0.8), (4, 24, 1, 0.9), (5, 26, 0, 0.2)],
    )
    drawn = marks([[22, 5, 32, 15], [40, 5, 50, 15]], [0, 1], [0.9, 0.8])
    found = beside(loaded, 3, drawn, Still(2.0))
    assert sorted(found) == [0, 1, 2, 4, 5, 6]
    assert found[2].marks == ((0,),)
    assert found[4].marks == ((0,),)  # of another class, and the same object
    assert found[5].marks == ()  # below the threshold: not shown
    assert beside(loaded, 3, drawn, None)[2].marks == ((),)
    far = beside(loaded, 3, drawn, Still(-20.0))
    assert far[2].marks == ((),)


def test_a_likely_miss_is_found_in_the_boxes_whose_tracks_come_to_lie_on_it(video):
    loaded = a_clip(video, [(2, 20, 0, 0.9), (5, 45, 0, 0.9)], [(3, 20, 0)])
    drawn = marks([[20, 5, 30, 15]], [0], [np.nan])
    found = beside(loaded, 3, drawn, Still())
    assert found[2].marks == ((0,),)
    assert found[5].marks == ((),)


def test_a_box_may_be_the_object_of_two_that_overlap(video):
    loaded = a_clip(video, [(2, 20, 0, 0.9), (3, 20, 0, 0.9), (3, 21, 1, 0.8)])
    drawn = marks([[20, 5, 30, 15], [21, 5, 31, 15]], [0, 1], [0.9, 0.8])
    assert beside(loaded, 3, drawn, Still())[2].marks == ((0, 1),)


def test_neighbours_end_with_the_clip_and_say_what_was_not_looked_at(video):
    loaded = a_clip(video, [(0, 20, 0, 0.9)])
    drawn = marks(np.zeros((0, 4)), [], [])
    assert sorted(beside(loaded, 0, drawn, None)) == [1, 2, 3]
    assert sorted(beside(loaded, video.frames - 1, drawn, None)) == [16, 17, 18]
    scanned = np.ones(video.frames, bool)
    scanned[2] = False
    loaded.detections = replace(loaded.detections, scanned=scanned)
    assert [each.looked for each in beside(loaded, 0, drawn, Still()).values()] == [
        *(True, False, True)
    ]


def test_pictures_keep_to_the_bytes_of_the_report(build, video, tmp_path, monkeypatch):
    write_outputs(build.result(video), tmp_path / "all")
    page = build.page(tmp_path / "all")
    cards = [attrs for tag, attrs in page.tags if tag == "article"]
    assert [bool(card.get("data-sharp")) for card in cards] == [True, True]
    assert all(card["data-near"].count('"picture"') == 6 for card in cards[:1])
    # 17 of 20: three before, two after.
    assert cards[1]["data-near"].count('"picture"') == 5
    monkeypatch.setattr(pictures, "allowed", lambda frames: 0)
    write_outputs(build.result(video), tmp_path / "none")
    page = build.page(tmp_path / "none")
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not any(a.get("data-sharp") or a.get("data-near") for _, a in page.tags)
    assert len(list((tmp_path / "none" / "frames").iterdir())) == 2


def test_sharp_pictures_go_to_the_first_ranks_as_far_as_the_bytes_reach(build, video, tmp_path):
    result = build.result(video)
    first, second = result.query.frames
    held = Pictures(tmp_path, result, 2, other=0)
    for ref in (first, second):
        held._small(ref).write_bytes(b"x" * 30)
        held._sharp(ref).write_bytes(b"x" * 3000)
    assert held.fitting() == (2, 2)
    held = Pictures(tmp_path, result, 2, other=pictures.MOST_BYTES - 5000)
    assert held.fitting() == (2, 1)
    held = Pictures(tmp_path, result, 2, other=pictures.MOST_BYTES - 50)
    assert held.fitting() == (1, 0)
    assert pictures.allowed(500) == pictures.MOST_BYTES > pictures.allowed(501)
    assert pictures.allowed(501) == pictures.allowed(20_000) < 3_000_000


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ([0.9, 0.1], [True, False], "better than guessing"),
        ([0.1, 0.9], [True, False], "worse than guessing"),
        ([0.5, 0.5], [True, False], "no better than guessing"),
        ([0.5, 0.5], [False, False], "all rows turned out alike"),
        ([], [], "nothing could be judged"),
    ],
)
def test_how_far_probabilities_can_be_trusted_is_said_in_words(said, error, words):
    kind = reliability(np.array(said), np.array(error, bool), found=1)
    assert told.judgement(kind).startswith(words)


def test_counts_in_a_forecast_add_up():
    kinds = [reliability(np.zeros(0), np.zeros(0, bool), found=n) for n in (1, 1)]
    spans = [Interval(16.6, 9.2, 30.4, 5), Interval(7.8, 3, 12, 5), Interval(24.4, 14.9, 40.2, 5)]
    sentence = Forecast(1, *kinds, tuple(spans)).sentence
    assert "25 errors expected (17 false alarms, 8 misses, most likely 14 to 41)" in sentence
    assert "found 2 (1 false alarm, 1 miss)." in sentence


def test_what_the_annotators_found_is_said_of_the_picks():
    picks = Picks(3, false_positives=1, misses=0, fp_precision=0.5, fp_recall=1.0)
    words = " ".join(told.worth_words(picks))
    assert "had 1 false alarm and 0 misses." in words
    assert "called likely false alarms 50% were; 100% of the false alarms were pointed out" in words
    assert told.worth_words(Picks(3)) == told.worth_words(None) == []


def test_labels_by_class_are_told_before_and_after(build, video, tmp_path):
    result = build.result(video, labels_before={"car": 5, "": 1, "tram": 2})
    write_outputs(result, tmp_path / "before")
    words = " ".join(build.page(tmp_path / "before").text.split())
    assert "expected to add" in words
    for part in ("car5", "tram202", "unknown objects101"):
        assert part in words.replace(" ", "").replace("unknownobjects", "unknown objects")
    answered = replace(result, labels_answered={"pedestrian": 3}, frames_answered=1)
    write_outputs(answered, tmp_path / "after")
    words = " ".join(build.page(tmp_path / "after").text.split())
    assert "by the answers to 1 of its frames; 1 without an answer" in words
    assert "pedestrian033" in words.replace(" ", "")


def test_a_reason_that_most_cards_share_is_said_once(build, video, tmp_path):
    result = build.result(video)
    refs = tuple(replace(result.query.frames[0], index=n) for n in (3, 4, 5, 9))
    words = ("drawn", "drawn", "drawn", "rare")
    many = replace(
        result.query,
        frames=refs,
        scores=np.zeros(4),
        explanation=replace(result.query.explanation, words=words, parts={}),
        budget=4,
    )
    write_outputs(replace(result, query=many), tmp_path)
    page = build.page(tmp_path)
    assert "Unless a card says otherwise, the reason is: drawn." in page.text
    assert page.classes("p").count("reason") == 1
    assert sum(name.startswith("contents") for name in page.classes("p")) >= 2


def test_parts_of_a_score_are_beside_the_words_but_rough_ones_only_in_the_tables(
    build, video, tmp_path
):
    result = build.result(video)
    told = replace(result.query.explanation, rough=frozenset({"false_positives"}))
    write_outputs(replace(result, query=replace(result.query, explanation=told)), tmp_path)
    titles = [a.get("title") for tag, a in build.page(tmp_path).tags if a.get("class") == "score"]
    assert titles == ["doubt 0.5", "doubt –"]
    assert "part.false_positives" in (tmp_path / "query.csv").read_text().splitlines()[0]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "–"), (0.004, "–"), (-0.004, "–"), (0.12, "+12 %"), (-0.3, "-30 %"), (math.nan, "–")],
)
def test_no_labels_saved_is_a_dash(value, shown):
    assert _saved(Interval(value, -0.2, 0.3, 9))["value"] == shown
