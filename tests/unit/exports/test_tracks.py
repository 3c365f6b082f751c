"""Tracks of whole clips: who follows whom, what thinning may change, and what it must keep."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vidal.exports.bundle import Boxes
from vidal.exports.tracks import identities, whole_clip
from vidal.formats import cvat
from vidal.formats._notes import RowNote
from vidal.types import Annotations, Carried, Detections, LabelledClip, Links

FRAMES = 40


@st.composite
def moving(draw):
    """Up to four tracks with gaps, that drift and jitter; and some frames that were picked."""
    rows = []
    for track in range(draw(st.integers(1, 4))):
        shown = draw(st.sets(st.integers(0, FRAMES - 1), min_size=1, max_size=FRAMES))
        x, y = draw(st.floats(0, 300)), draw(st.floats(0, 200))
        speed = draw(st.floats(-4, 4))
        seed = draw(st.integers(0, 999))
        jitter = np.random.default_rng(seed).normal(0, draw(st.floats(0, 3)), (FRAMES, 4))
        for frame in sorted(shown):
            left, top = x + 200 + speed * frame, y + 50
            box = np.array([left, top, left + 60, top + 50]) + np.clip(jitter[frame], -9, 9)
            rows.append((frame, track, box))
    rows.sort(key=lambda row: row[:2])
    picks = draw(st.sets(st.integers(0, FRAMES - 1), max_size=5))
    table = Annotations(
        classes=("car",),
        labelled=np.ones(FRAMES, bool),
        frame=np.array([row[0] for row in rows]),
        boxes=np.array([row[2] for row in rows], np.float32),
        labels=np.zeros(len(rows), np.int64),
        track=np.array([row[1] for row in rows]),
        ignore=np.zeros(len(rows), bool),
    )
    return table, picks


def by_place(table: Annotations) -> dict[tuple[int, int], np.ndarray]:
    return {
        (int(frame), int(track)): box
        for frame, track, box in zip(table.frame, table.track, table.boxes, strict=True)
    }


@given(moving())
def test_thinned_tracks_err_by_a_pixel_at_most_and_keep_gaps_and_picks(case):
    table, picks = case
    clip = LabelledClip("c", table, size=(500, 800))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.xml"
        cvat.write(path, [clip], tolerance=1.0, fixed={"c": picks})
        (back,) = cvat.read(path)
    before, after = by_place(table), by_place(back.annotations)
    assert set(before) == set(after)  # no box in a gap, none lost
    for place, box in before.items():
        error = np.abs(after[place] - box).max()
        assert error <= (0.006 if place[0] in picks else 1.011)


def links_of(pairs: list[tuple[int, int, float]]) -> Links:
    none = np.zeros(0, np.int64)
    carried = Carried(none, none, np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    pairs = sorted(pairs)
    return Links(
        np.array([pair[0] for pair in pairs], np.int64),
        np.array([pair[1] for pair in pairs], np.int64),
        np.array([pair[2] for pair in pairs], np.float32),
        carried,
        np.zeros(0, bool),
    )


def test_the_nearest_frame_wins_then_the_larger_overlap():
    frame = np.array([0, 0, 1, 1, 2])
    links = links_of([(0, 2, 0.6), (1, 2, 0.9), (0, 3, 0.5), (1, 4, 0.99), (2, 4, 0.55)])
    track = identities(links, frame, np.ones(5, bool))
    assert track.tolist() == [0, 1, 1, 0, 1]


def test_rows_that_are_not_kept_belong_to_no_track_and_break_none():
    frame = np.array([0, 1, 2])
    links = links_of([(0, 1, 0.9), (1, 2, 0.9), (0, 2, 0.7)])
    track = identities(links, frame, np.array([True, False, True]))
    assert track.tolist() == [0, -1, 0]


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.floats(0, 1)), max_size=40))
def test_a_track_is_never_twice_in_a_frame(pairs):
    frame = np.arange(12) // 3
    fine = {(a, b): c for a, b, c in pairs if frame[a] < frame[b]}
    track = identities(links_of([(*p, c) for p, c in fine.items()]), frame, np.ones(12, bool))
    places = list(zip(frame.tolist(), track.tolist(), strict=True))
    assert len(set(places)) == 12
    assert (track >= 0).all()


def test_picks_show_what_is_proposed_there_on_the_tracks_of_their_detections():
    found = Detections(
        classes=("car", "bus"),
        scanned=np.ones(3, bool),
        frame=[0, 1, 1, 2],
        boxes=[[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10], [-4, 0, 12, 10]],
        scores=[0.9, 0.8, 0.7, 0.6],
        labels=[0, 0, 1, 0],
        probs=np.zeros((4, 3)),
        features=np.zeros((4, 0)),
        embedding=np.zeros((3, 0)),
    )
    miss = RowNote("likely_miss", 0.8)
    given = Boxes.of([[1, 0, 11, 10], [20, 20, 30, 30]], [0, 0], [RowNote("unsure"), miss])
    table, notes = whole_clip(
        found, np.array([0, 0, 1, 0]), {1: given}, classes=("car",), labels=[0, -1], size=(40, 70)
    )
    assert table.frame.tolist() == [0, 1, 1, 2]
    assert table.track.tolist() == [0, 0, -1, 0]
    assert table.boxes[3].tolist() == [0, 0, 12, 10]  # cut to the picture
    assert [note.verdict for note in notes] == ["", "unsure", "likely_miss", ""]
    assert table.labelled.all()
