"""The report's view of a run: parts of a clip say what the whole clip says of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.unit.selection.test_stored_pool import (
    CASES,
    EVERYTHING,
    OPTIONS,
    Run,
    a_plan,
    labelled,
    lookup_of,
)
from vidal.errors import EvidenceLost
from vidal.evidence.load import put_carried
from vidal.evidence.motion import CarriedMotion, carry, reach_of
from vidal.evidence.places import store_at
from vidal.evidence.tables import frames_of
from vidal.evidence.windows import Window
from vidal.selection.loads import Loader, counted
from vidal.selection.near import stretches
from vidal.selection.reasons import box_sentences
from vidal.selection.scored import Scored
from vidal.selection.stored_pool import stored_pool

NEEDS = EVERYTHING - {"embedding"}


class Drift:
    """Everything moves two pixels a frame to the right."""

    def step(self, before, after, boxes):
        shift = 2 * (after - before)[:, None] * np.array([1, 0, 1, 0])
        return (boxes + shift).astype(np.float32), np.ones(len(boxes), np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """With carried boxes of every window; a clip has four."""
    root = tmp_path_factory.mktemp("scored")
    plan = a_plan(root / "store")
    made = Run(root, 4, plan)
    store, reach = store_at(plan.store), reach_of(plan.coherence, plan.expected)
    for clip in made.clips:
        keys, table = plan.keys(clip), made.tables[clip.id]
        for window in keys.windows or (Window(0, clip.frames),):
            carried = carry(table, Drift(), reach, clip.size, window)
            part = frames_of(table, window)
            put_carried(store, keys.of(window).carried, clip, window, carried, part)
    return made


def scored(run: Run, clips=None, options=OPTIONS) -> Scored:
    lookup = lookup_of(run, None if clips is None else labelled(run, clips), options, plan=run.plan)
    pool = stored_pool(lookup, needs=NEEDS, threshold=0.5)
    scores = np.arange(len(pool), dtype=np.float64)
    return Scored(lookup, pool.frames, scores, 0.5)


def rows_near(loaded, frames) -> Iterator[tuple]:
    """What is known of the boxes on some frames, with absolute frames, independent of rows."""
    found, said = loaded.detections, loaded.verdicts
    use = np.isin(found.frame, frames)
    for name in ("frame", "boxes", "scores", "labels", "probs"):
        yield name, getattr(found, name)[use]
    yield "scanned", found.scanned[frames]
    judged = np.isin(found.frame[said.rows], frames)
    yield "judged frames", found.frame[said.rows][judged]
    yield "judged boxes", found.boxes[said.rows][judged]
    for name in ("kind", "alarm"):
        yield name, getattr(said, name)[judged]
    missed = np.isin(said.missed_frame, frames)
    for name in ("missed_frame", "missed_boxes", "missed_label", "missed_score", "missed"):
        yield name, getattr(said, name)[missed]
    yield "faint", said.faint[np.isin(said.faint, frames)]


@pytest.fixture(scope="module", params=CASES)
def case(request, run, tmp_path_factory) -> tuple[str, Run, Scored]:
    """Its name, the run and its view."""
    clips, options = CASES[request.param]
    if request.param == "fusion":  # summaries ask the prior, or not, as the run does
        root = tmp_path_factory.mktemp("fusion")
        run = Run(root, 4, a_plan(root / "store", options))
    return request.param, run, scored(run, clips, options)


def test_parts_of_a_clip_say_what_the_whole_clip_says(case):
    _, run, look = case
    assert isinstance(look, Loader)
    assert look.estimated
    for name in (clip.id for clip in run.clips):
        whole = look(name)
        for picks in ((0,), (17, 18), (3, 60), (15, 16, 47)):
            picks = [at for at in picks if at < whole.clip.frames]
            if not picks:
                continue
            near = look.near(name, picks, 2)
            frames = np.unique(np.add.outer(picks, range(-2, 3)).clip(0, whole.clip.frames - 1))
            for mine, due in zip(rows_near(near, frames), rows_near(whole, frames), strict=True):
                assert mine[0] == due[0]
                np.testing.assert_array_equal(mine[1], due[1], err_msg=mine[0])
            for field in ("scores", "selectable", "labelled"):
                np.testing.assert_array_equal(getattr(near, field), getattr(whole, field))
        plain = look.bare(name)
        assert plain.detections is plain.estimate is plain.judged is None
        np.testing.assert_array_equal(plain.selectable, whole.selectable)


def test_counts_of_frames_are_those_of_the_boxes(case):
    name, run, look = case
    seen = {clip.id: np.zeros(clip.frames, bool) for clip in run.clips}
    whole = {clip: counted(look(clip), 0.5) for clip in seen}
    for part in look.counts():
        own = slice(part.start, part.start + len(part.scanned))
        seen[part.clip][own] = True
        due = whole[part.clip]
        np.testing.assert_array_equal(part.scanned, due.scanned[own])
        np.testing.assert_array_equal(part.by_class, due.by_class[own])
        doubts = due.doubts[own]
        if part.doubts.ndim == 2:
            doubts = doubts.sum(axis=1)
        np.testing.assert_array_equal(part.doubts, doubts)
    assert all(mask.all() for mask in seen.values())
    if look.doubts_by_class is not None:
        due = sum(part.doubts[look(clip).selectable].sum(axis=0) for clip, part in whole.items())
        np.testing.assert_array_equal(look.doubts_by_class, due)
    assert (look.doubts_by_class is None) == (name in ("prior", "fusion"))


def test_only_windows_with_picks_are_read(run):
    look = scored(run)
    long = run.clips[3].id
    assert look.near(long, [], 2).detections is None
    near = look.near(long, [20], 2)
    assert set(near.detections.frame.tolist()) <= set(range(16, 32))
    assert not near.detections.scanned[:16].any()
    assert not near.detections.scanned[32:].any()


def test_windows_that_meet_are_read_as_one(run):
    name = run.clips[3].id
    assert stretches(run.gathered, name, [20], 3) == (Window(16, 32),)
    assert stretches(run.gathered, name, [17], 3) == (Window(0, 32),)
    assert stretches(run.gathered, name, [5, 40], 3) == (Window(0, 16), Window(32, 48))
    assert stretches(run.gathered, name, [63, 0], 3) == (Window(0, 16), Window(48, 64))
    assert stretches(run.gathered, name, [5, 20], 3) == (Window(0, 32),)
    assert stretches(run.gathered, run.clips[1].id, [0], 3) == (None,)


def test_sentences_name_neighbours_as_in_the_whole_clip(run):
    """Also of picks beside the border of a window, and in windows with others between."""
    look = scored(run)
    plan = run.plan
    for clip in (run.clips[0], run.clips[3]):
        picks = [at for at in (2, 14, 15, 16, 33, 50, 62) if at < clip.frames]
        near = look.near(clip.id, picks, plan.coherence.window)
        motion = look.motion(near, picks, plan.coherence.window)
        whole, table = look(clip.id), run.tables[clip.id]
        reach = reach_of(plan.coherence, plan.expected)
        carried = carry(table, Drift(), reach, clip.size, Window(0, clip.frames))
        due = CarriedMotion(table, carried, reach)
        how = {"threshold": 0.5, "window": plan.coherence.window, "unknown": {}}
        assert box_sentences(near, picks, motion, **how) == box_sentences(whole, picks, due, **how)


def test_motion_that_is_not_there_any_more_is_said(run, tmp_path):
    other = Run(tmp_path, 4, a_plan(tmp_path / "store"))
    look = scored(other)
    for clip in (other.clips[0], other.clips[3]):
        near = look.near(clip.id, [5], 3)
        with pytest.raises(EvidenceLost):
            look.motion(near, [5], 3)


def test_a_lost_summary_is_said(tmp_path):
    other = Run(tmp_path, 4, a_plan(tmp_path / "store"))
    look = scored(other)
    store_at(other.plan.store).drop([other.plan.keys(other.clips[0]).parts()[0].summary])
    with pytest.raises(EvidenceLost):
        list(look.counts())
