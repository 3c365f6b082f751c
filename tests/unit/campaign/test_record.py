"""What must not happen in a record, forbidden by the database itself."""

import sqlite3
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.campaign.record import ClipEntry, Record
from vidal.errors import AwaitingAnnotation, CampaignError, InputError
from vidal.types import Annotations, Clip, Explanation, FrameRef, Query

CLASSES = ("car", "person")
LENGTH = 8


def a_clip(name: str) -> Clip:
    return Clip(name, Path(name), np.arange(LENGTH), Fraction(1, 25), Fraction(25), (50, 50))


def a_query(number: int, frames) -> Query:
    refs = tuple(FrameRef(clip, index) for clip, index in frames)
    words = Explanation(("why",) * len(refs), {})
    return Query(number, refs, np.full(len(refs), np.nan), words, max(1, len(refs)))


def labels(boxes=(), labelled=range(LENGTH)) -> Annotations:
    """Boxes as (frame, label); ``labelled`` frames."""
    mask = np.zeros(LENGTH, bool)
    mask[list(labelled)] = True
    n = len(boxes)
    return Annotations(
        classes=CLASSES,
        labelled=mask,
        frame=np.array([frame for frame, _ in boxes], np.int64),
        boxes=np.tile([0, 0, 5, 5], (n, 1)),
        labels=np.array([label for _, label in boxes], np.int64),
        track=np.full(n, -1),
        ignore=np.zeros(n, bool),
    )


@pytest.fixture
def record(tmp_path):
    clips = [ClipEntry(name, name, LENGTH, "train") for name in ("a", "b")]
    clips += [ClipEntry("t", "t", LENGTH, "test"), ClipEntry("v", "v", LENGTH, "validation")]
    Record.create(tmp_path / "r.sqlite", CLASSES, clips)
    with Record(tmp_path / "r.sqlite") as opened:
        yield opened


def raw(record: Record) -> sqlite3.Connection:
    return sqlite3.connect(record._path, isolation_level=None)


def test_a_query_that_was_taken_back_is_not_counted_among_those_before(record):
    assert record.asked_before() == 0
    record.add_query(a_query(0, [("a", 1)]), "random", {})
    record.answer({"a": labels([(1, 0)])})
    record.add_query(a_query(1, [("a", 3)]), "random", {})
    assert record.asked_before() == 2
    record.withdraw()
    assert record.asked_before() == 1
    record.add_query(a_query(2, [("a", 5), ("a", 7)]), "random", {})
    record.answer({"a": labels([(5, 0)], labelled=[5])})
    record.withdraw()  # of this one a frame is answered: it was a round
    assert [record.asked_before(number) for number in (0, 1, 2, 3, None)] == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("clip", ["t", "v"])
def test_a_frame_of_a_clip_that_is_set_aside_can_never_be_queried(record, clip):
    with pytest.raises(sqlite3.IntegrityError, match="only frames of training clips"):
        record.add_query(a_query(0, [("a", 1), (clip, 1)]), "random", {})
    assert record.rounds() == []
    assert record.events() == []


def test_a_frame_beyond_the_end_of_its_clip_cannot_be_queried(record):
    with pytest.raises(sqlite3.IntegrityError, match="beyond the end"):
        record.add_query(a_query(0, [("a", LENGTH)]), "random", {})


def test_a_second_query_waits_until_the_first_is_answered(record):
    record.add_query(a_query(0, [("a", 1)]), "random", {})
    with pytest.raises(AwaitingAnnotation, match="1 queried frame is not answered"):
        record.next_round()
    with pytest.raises(sqlite3.IntegrityError):
        record.add_query(a_query(1, [("a", 2)]), "random", {})


def test_annotated_and_empty_differs_from_not_annotated(record):
    record.add_query(a_query(0, [("a", 1), ("a", 3)]), "random", {})
    assert record.answer({"a": labels(labelled=[1])}) == (1, 1)
    table = record.annotations("a", LENGTH)
    assert table.labelled.tolist() == [False, True] + [False] * 6
    assert len(table) == 0
    assert record.waiting() == [FrameRef("a", 3)]
    assert record.rounds()[0].state == "queried"


def test_labels_of_frames_that_nobody_asked_for_are_not_taken(record):
    record.add_query(a_query(0, [("a", 1)]), "random", {})
    record.answer({"a": labels([(1, 0), (2, 1)]), "b": labels([(0, 0)])})
    assert record.annotations("a", LENGTH).frame.tolist() == [1]
    assert not record.annotations("b", LENGTH).labelled.any()
    assert record.rounds()[0].state == "answered"


def test_skipped_frames_are_neither_labelled_nor_asked_for_again(record):
    record.add_query(a_query(0, [("a", 1), ("a", 2)]), "random", {})
    record.answer({"a": labels([(2, 1)])}, skipped=[FrameRef("a", 1)])
    states = record.states(a_clip("a"))
    assert np.flatnonzero(states.skipped).tolist() == [1]
    assert np.flatnonzero(states.labelled).tolist() == [2]
    with pytest.raises(sqlite3.IntegrityError):
        record.add_query(a_query(1, [("a", 1)]), "random", {})


def test_withdrawn_frames_are_free_again_and_answers_are_kept(record):
    record.add_query(a_query(0, [("a", 1), ("a", 2)]), "random", {})
    record.answer({"a": labels([(1, 0)], labelled=[1])})
    record.withdraw()
    assert record.rounds()[0].state == "answered"
    assert record.counts() == {"queried": 0, "labelled": 1, "skipped": 0, "frames": 2 * LENGTH}
    record.add_query(a_query(1, [("a", 2)]), "random", {})
    record.withdraw()
    assert record.rounds()[1].state == "withdrawn"
    assert record.next_round() == 2
    with pytest.raises(CampaignError, match="nothing to take back"):
        record.withdraw()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE events SET kind = 'x'", "DELETE FROM events", "UPDATE events SET detail = '{}'"],
)
def test_events_cannot_be_changed_or_removed(record, statement):
    record.note(None, "remark", {"text": "kept"})
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw(record).execute(statement)
    assert record.events() == [(None, "remark", {"text": "kept"})]


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE frames SET state = 'queried'", "an answered frame does not change"),
        ("INSERT INTO frames VALUES ('a', 1, 0, 2, NULL, 'queried')", "UNIQUE"),
        ("INSERT INTO boxes VALUES ('a', 2, 0, 0, 1, 1, 0, -1, 0)", "only on labelled frames"),
        ("INSERT INTO boxes VALUES ('a', 1, 5, 0, 5, 1, 0, -1, 0)", "CHECK"),
    ],
)
def test_the_database_refuses_what_contradicts_an_answer(record, statement, why):
    record.add_query(a_query(0, [("a", 1)]), "random", {})
    record.answer({"a": labels([(1, 0)])})
    with pytest.raises(sqlite3.IntegrityError, match=why):
        raw(record).execute(statement)


def test_training_needs_labels(record):
    record.add_query(a_query(0, [("a", 1)]), "random", {})
    with pytest.raises(CampaignError, match="no labels to train on"):
        record.trained(0, "m", {})


def test_given_labels_are_an_answered_round_from_the_start(tmp_path):
    clips = [ClipEntry("a", "a", LENGTH, "train")]
    given_labels = {"a": labels([(2, 1)], labelled=[2, 5])}
    Record.create(tmp_path / "r.sqlite", CLASSES, clips, given=given_labels)
    with Record(tmp_path / "r.sqlite") as record:
        entry = record.rounds()[0]
        assert (entry.number, entry.strategy, entry.state) == (0, "given", "answered")
        table = record.annotations("a", LENGTH)
        assert np.flatnonzero(table.labelled).tolist() == [2, 5]
        assert table.labels.tolist() == [1]


def test_a_second_record_does_not_replace_the_first(tmp_path):
    path = tmp_path / "r.sqlite"
    Record.create(path, CLASSES, [])
    with pytest.raises(CampaignError, match="a campaign here already"):
        Record.create(path, CLASSES, [])
    with pytest.raises(InputError, match="no campaign here"):
        Record(tmp_path / "other.sqlite")


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["query", "answer", "skip", "withdraw", "train"]),
        st.lists(st.integers(0, 2 * LENGTH - 1), min_size=1, max_size=5, unique=True),
    ),
    max_size=12,
)


def ref_of(number: int) -> FrameRef:
    return FrameRef("ab"[number // LENGTH], number % LENGTH)


@settings(max_examples=30, deadline=None)
@given(moves=MOVES)
def test_whatever_happens_every_frame_is_in_one_state_and_answers_stay(tmp_path_factory, moves):
    path = tmp_path_factory.mktemp("r") / "r.sqlite"
    Record.create(path, CLASSES, [ClipEntry(c, c, LENGTH, "train") for c in "ab"])
    with Record(path) as record:
        answered: set[FrameRef] = set()
        for kind, numbers in moves:
            before = record.events()
            refs = [ref_of(number) for number in numbers]
            try:
                make_move(record, kind, refs)
            except (CampaignError, sqlite3.IntegrityError):
                assert record.events() == before
            assert record.events()[: len(before)] == before
            masks = [record.states(a_clip(c)) for c in "ab"]
            for mask in masks:
                assert (mask.queried.astype(int) + mask.labelled + mask.skipped <= 1).all()
            now = {
                FrameRef(c, int(i))
                for c, mask in zip("ab", masks, strict=True)
                for i in np.flatnonzero(mask.labelled | mask.skipped)
            }
            assert answered <= now
            answered = now
            waiting = record.waiting()
            assert len(set(waiting)) == len(waiting)
            assert not set(waiting) & answered
            assert bool(waiting) == (record.open_round() is not None)


def make_move(record: Record, kind: str, refs: list[FrameRef]) -> None:
    if kind == "query":
        record.add_query(
            a_query(record.next_round(), [(r.clip, r.index) for r in refs]), "random", {}
        )
    elif kind == "answer":
        only = {c: labels(labelled=[r.index for r in refs if r.clip == c]) for c in "ab"}
        record.answer(only)
    elif kind == "skip":
        record.answer({}, skipped=refs)
    elif kind == "withdraw":
        record.withdraw()
    else:
        record.trained(len(record.rounds()) - 1, "model", {})
