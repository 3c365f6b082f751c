"""What a query asked for: counted by answers, kept whole, matched region by region."""

import math

import numpy as np
import pytest

from vidal.errors import InputError
from vidal.selection.asked import (
    Asked,
    Counts,
    answered_items,
    asked_of,
    judge_asked,
    read_asked,
    write_asked,
)
from vidal.selection.history import AnsweredQuery, History, precision_sentences
from vidal.testing.strategies import a_pool
from vidal.types import BACKGROUND, Annotations, Explanation, Query

CLASSES = ("car", "cyclist")


def some(clips=("a",), clip=(0, 0, 0), frame=(1, 1, 2), boxes=None, classes=CLASSES, **columns):
    n = len(clip)
    given = [[0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 40, 40]] if boxes is None else boxes
    probs = np.full((n, len(classes) + 1), 1 / (len(classes) + 1))
    features = np.arange(2 * n).reshape(n, 2)
    return Asked(
        *("remembers", classes, clips, np.array(clip), np.array(frame)),
        *(np.array(given, np.float32).reshape(-1, 4), np.linspace(0.9, 0.5, n)),
        *(np.zeros(n, int), probs, features, columns),
    )


def answers(boxes, labels, frame, labelled, ignore=None, classes=CLASSES):
    n = len(boxes)
    return Annotations(
        classes=classes,
        labelled=np.array(labelled, bool),
        frame=np.array(frame, np.int64),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.array(labels, np.int64),
        track=np.full(n, -1),
        ignore=np.zeros(n, bool) if ignore is None else np.array(ignore),
    )


ON_BOTH = answers([[0, 0, 10, 9], [50, 50, 60, 59]], [1, -1], [1, 1], [0, 1, 1, 0])


def test_known_unknown_and_background_are_told_apart_and_background_is_no_object():
    counts = judge_asked(some(), {"a": ON_BOTH})
    assert counts == Counts(known=1, unknown=1, background=1)
    assert counts.precision == 0.5


def test_only_answered_frames_count():
    table = answers([[0, 0, 10, 9], [50, 50, 60, 59]], [1, -1], [1, 1], [0, 1, 0, 0])
    assert judge_asked(some(), {"a": table}) == Counts(1, 1, 0)
    assert judge_asked(some(), {}) == Counts()


def test_precision_is_nan_where_no_object_was_found():
    nothing = answers([], [], [], [0, 1, 1, 0])
    assert judge_asked(some(), {"a": nothing}) == Counts(0, 0, 3)
    assert math.isnan(judge_asked(some(), {"a": nothing}).precision)
    assert math.isnan(AnsweredQuery(0, "random", None).precision)


def test_a_region_in_an_ignore_region_counts_for_nothing():
    table = answers([[45, 45, 65, 65]], [-1], [1], [0, 1, 1, 0], ignore=[True])
    assert judge_asked(some(), {"a": table}) == Counts(0, 0, 2)


def test_classes_are_those_of_the_answers_where_the_detector_of_then_had_others():
    table = answers([[0, 0, 10, 9]], [0], [1], [0, 1, 1, 0], classes=("pedestrian",))
    assert judge_asked(some(), {"a": table}) == Counts(1, 0, 2)


def test_regions_beyond_the_clip_and_of_other_clips_are_left_out():
    assert judge_asked(some(), {"b": ON_BOTH}) == Counts()
    short = answers([], [], [], [1, 1])
    assert judge_asked(some(), {"a": short}) == Counts(0, 0, 2)


def test_what_was_kept_is_read_as_it_was(tmp_path):
    kept = some(uncertainty=np.array([0.1, 0.2, 0.3]), ranks=np.array([[1, 2], [3, 4], [5, 6]]))
    write_asked(tmp_path / "q" / "asked.npz", kept)
    again = read_asked(tmp_path / "q" / "asked.npz")
    for name in ("strategy", "classes", "clips"):
        assert getattr(again, name) == getattr(kept, name)
    for name in ("clip", "frame", "boxes", "scores", "labels", "probs", "features"):
        np.testing.assert_array_equal(getattr(again, name), getattr(kept, name))
        assert getattr(again, name).dtype == getattr(kept, name).dtype
    assert set(again.columns) == {"uncertainty", "ranks"}
    np.testing.assert_array_equal(again.columns["ranks"], kept.columns["ranks"])


def test_what_is_not_there_was_not_kept_and_what_is_damaged_is_refused_by_name(tmp_path):
    path = tmp_path / "asked.npz"
    assert read_asked(path) is None
    for text in (b"", b"nonsense", b"PK\x03\x04 broken"):
        path.write_bytes(text)
        with pytest.raises(InputError, match=r"asked\.npz"):
            read_asked(path)
    with path.open("wb") as file:
        np.savez(file, other=np.zeros(3))
    with pytest.raises(InputError, match=r"asked\.npz"):
        read_asked(path)


def test_regions_come_back_with_their_answers_and_the_columns_that_were_kept():
    kept = some(uncertainty=np.array([0.1, 0.2, 0.3]))
    items = answered_items(kept, {"a": ON_BOTH})
    assert items.answers.tolist() == [1, items.unknown, BACKGROUND]
    assert items.column("uncertainty").tolist() == [0.1, 0.2, 0.3]
    assert items.features.tolist() == kept.features.tolist()
    one = answers([], [], [], [0, 0, 1, 0])
    left = answered_items(kept, {"a": one})
    assert left.column("uncertainty").tolist() == [0.3]


class Recalling:
    needs = frozenset({"regions", "features", "asked"})

    def memory(self, pool, rows):
        return {"row": np.array(rows)}


class Wrapper:
    inner = Recalling()


@pytest.mark.parametrize("selector", [Recalling(), Wrapper()])
def test_a_strategy_that_remembers_keeps_its_columns_of_the_regions_of_the_chosen_frames(selector):
    pool = a_pool((6, 5))
    refs = tuple(pool.frames.ref(at) for at in (7, 2))
    query = Query(0, refs, np.zeros(2), Explanation(("", ""), {}), 2)
    kept = asked_of(query, lambda clip: None, pool, selector, strategy="x", threshold=0.5)
    assert kept.columns["row"].tolist() == [6, 7, 8, 21, 22, 23]
    assert {(kept.clips[c], f) for c, f in zip(kept.clip, kept.frame, strict=True)} == {
        (ref.clip, ref.index) for ref in refs
    }
    np.testing.assert_array_equal(kept.features, pool.regions.features[kept.columns["row"]])


def test_where_no_detector_looked_nothing_is_known_of_what_was_asked():
    pool = a_pool((6, 5), needs=())
    query = Query(0, (pool.frames.ref(1),), np.zeros(1), Explanation(("",), {}), 1)
    assert asked_of(query, lambda _: None, pool, object(), strategy="x", threshold=0.5) is None


def test_a_strategy_is_told_what_it_needs_and_no_more():
    history = History((AnsweredQuery(0, "x", Counts(3, 1, 2)),), lambda name: None)
    pool = a_pool((3,))
    assert history.told_to(pool, frozenset({"regions"}), "x") is pool
    assert history.told_to(pool, frozenset({"precision"}), "x").precisions == (0.75,)


def test_the_report_speaks_of_unknown_objects_where_some_were_met():
    closed = AnsweredQuery(0, "x", Counts(3, 0, 2))
    open_ = AnsweredQuery(1, "x", Counts(3, 1, 2))
    assert precision_sentences([closed]) == ()
    assert precision_sentences([closed, open_]) == (
        "Of 4 objects that round 1 asked about, 3 (75%) were of the classes and 1 unknown.",
    )
