"""A long clip that is worked on in windows has the evidence of the whole, to the bit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

from vidal.coherence import CoherenceOptions
from vidal.detect.spec import DetectorSpec
from vidal.engine import LocalEngine
from vidal.evidence import estimates, prints
from vidal.evidence.gather import EvidenceJob, EvidencePlan, gather, load_detections, stored_motion
from vidal.evidence.gathered import Gathered, gather_clips
from vidal.evidence.gathering import look_at
from vidal.evidence.given import GivenDetections
from vidal.evidence.linked import load_linked
from vidal.evidence.load import keeper
from vidal.evidence.places import store_at
from vidal.evidence.prints import known_prints
from vidal.evidence.summary import SummaryOptions
from vidal.evidence.windows import Window, cut_windows
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.store import to_arrays
from vidal.track import FlowMeter, FlowOptions, TemplatePropagator, propagate
from vidal.types import Frame, FrameRef
from vidal.video import open_clip, read_frames, write_video

EXPECTED = ExpectedErrorsOptions(threshold=0.5)


class Quiet:
    """A watcher that keeps what it is told."""

    def __init__(self):
        self.told = []

    def begin(self, clips, known):
        self.told.append(("begin", [clip.frames for clip in clips], known))

    def advance(self, item, done, total):
        self.told.append(("advance", item, done, total))

    def finish(self, item, remark):
        self.told.append(("finish", item, remark))


def here(items, *, heavy, listener=None):
    del items, heavy
    return LocalEngine(listener)


@pytest.fixture(scope="module")
def pictures(rendered):
    """120 frames of three clips, cuts between them, at half the size."""
    images = []
    for path in sorted((rendered / "clips").iterdir()):
        images += [cv2.resize(frame.image, (240, 150)) for frame in read_frames(open_clip(path))]
    return images


@pytest.fixture(scope="module")
def clip(pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    write_video(path, pictures, Fraction(25))
    return open_clip(path)


@pytest.fixture(scope="module")
def broken_folder(pictures, tmp_path_factory):
    """60 small images, a gap in their numbers, and some that do not decode."""
    folder = tmp_path_factory.mktemp("folder") / "cam"
    folder.mkdir()
    numbers = [*range(50), *range(60, 70)]
    for number, image in zip(numbers, pictures[30:90], strict=True):
        small = cv2.resize(image, (160, 100))
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), small)
    for number in (17, 44, 45, 60):
        (folder / f"{number:06d}.jpg").write_bytes(b"no picture")
    return open_clip(folder)


def plan_of(store, **changed):
    plan = EvidencePlan(
        store=store,
        detector=DetectorSpec("scenes-tiny", device="cpu"),
        batch=4,
        flow=FlowOptions(),
        coherence=CoherenceOptions(),
        expected=EXPECTED,
        columns=frozenset({"features", "embedding"}),
        summary=SummaryOptions(0.5, expected=EXPECTED),
    )
    return replace(plan, **changed)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The stores of the whole clip and of its windows: detections are shared by the tests."""
    return tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("windows")


def gathered(plan, clip, watcher=None):
    return gather_clips(plan, [clip], engines=here, watcher=watcher or Quiet())


def all_of(found: Gathered, clip, window=None):
    name = clip.id
    return (
        found.detections(name, window),
        found.estimate(name, window),
        found.rows(name, window),
        found.summary(name, window) if window in (None, *found.windows(name)) else None,
    )


def assert_same(one: Any, other: Any, where: str = "") -> None:
    assert type(one) is type(other), where
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, where
        np.testing.assert_array_equal(one, other, err_msg=where)
    elif isinstance(one, tuple) and one and is_dataclass(one[0]):
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs, where)
    elif is_dataclass(one):
        for field in fields(one):
            names = f"{where}.{type(one).__name__}.{field.name}"
            assert_same(getattr(one, field.name), getattr(other, field.name), names)
    else:
        assert one == other, where


@pytest.fixture(autouse=True)
def small_halo(monkeypatch):
    """As little as is right: else the windows of short clips would see all of them."""
    monkeypatch.setattr(estimates, "HALO", 1)


def test_windows_begin_at_whole_batches_and_a_short_rest_belongs_to_the_last():
    assert cut_windows(0, 16) == (Window(0, 0),)
    assert cut_windows(20, 16) == (Window(0, 20),)
    assert cut_windows(21, 16) == (Window(0, 16), Window(16, 21))
    assert cut_windows(100, 10, batch=4)[:2] == (Window(0, 8), Window(8, 16))
    assert cut_windows(10, 3, batch=4) == (Window(0, 4), Window(4, 8), Window(8, 10))
    for one, two in pairwise(cut_windows(5000, 1024, 6)):
        assert (one.stop, one.start % 6) == (two.start, 0)


def both(clip, stores, **changed):
    """What is gathered of the whole clip, and in windows."""
    whole = gathered(plan_of(stores[0], **changed), clip)
    found = gathered(plan_of(stores[1], window=20, **changed), clip)
    assert len(found.windows(clip.id)) == 6
    assert_same(all_of(found, clip), all_of(whole, clip))
    mine, theirs = (replace(each.evidence[clip.id], keys=None) for each in (found, whole))
    assert mine == theirs
    return whole, found


def test_windows_have_the_evidence_of_the_whole_clip(clip, stores):
    whole, found = both(clip, stores)
    table, estimate, _, summary = all_of(whole, clip)
    assert len(table) > 500
    assert table.features.shape[1] > 0
    assert table.embedding.any()
    assert estimate.missed.any()
    assert summary.prior.any()
    np.testing.assert_array_equal(found.prints(clip.id), whole.prints(clip.id))


@pytest.mark.parametrize("tracker", ["kalman", TemplatePropagator()])
def test_so_they_have_whatever_carries_boxes(clip, stores, tracker):
    both(clip, stores, tracker=tracker)


def test_so_they_have_with_other_options_without_another_look(clip, stores, monkeypatch):
    both(clip, stores)
    monkeypatch.setattr("vidal.evidence.windowed.scan_clip", None)
    options = CoherenceOptions(weight=4, window=2, link_mode="one_to_one", clustering="greedy")
    both(clip, stores, coherence=options)


def test_any_frames_of_a_clip_can_be_read(clip, stores):
    whole, found = both(clip, stores)
    for window in (Window(0, 20), Window(13, 77), Window(118, 120), Window(0, 120)):
        assert_same(
            all_of(found, clip, window)[:1] + all_of(found, clip, window)[2:3],
            all_of(whole, clip, window)[:1] + all_of(whole, clip, window)[2:3],
        )
        mine, theirs = found.estimate(clip.id, window), whole.estimate(clip.id, window)
        drop = {"energy": 0.0, "link_share": 0.0}  # of the windows that are read
        assert_same(replace(mine, **drop), replace(theirs, **drop))


def test_boxes_go_where_they_went_in_the_whole_clip(clip, stores):
    both(clip, stores)
    jobs = [
        EvidenceJob(clip, plan_of(stores[0])),
        EvidenceJob(clip, plan_of(stores[1], window=20)),
    ]
    one, two = (load_linked(job) for job in jobs)
    assert len(one.links.src) > 100
    assert_same((two.links,), (one.links,))
    window = Window(33, 62)
    found = load_detections(store_at(stores[1]), jobs[1].plan.keys(clip), window, columns=())
    table = found.keep(found.scores > 0.5)
    carried = propagate(table, stored_motion(jobs[1], found, window), size=clip.size)
    meter = FlowMeter(FlowOptions(), window.frames, clip.size)
    for frame in read_frames(clip, range(window.start, window.stop)):
        meter.push(Frame(FrameRef(clip.id, frame.ref.index - window.start), frame.image))
    assert_same((carried,), (propagate(table, meter.finish(), size=clip.size),))


def test_motion_of_boxes_that_were_not_carried_is_refused(clip, stores):
    both(clip, stores)
    job = EvidenceJob(clip, plan_of(stores[1], window=20))
    found = load_detections(store_at(stores[1]), job.plan.keys(clip))
    motion = stored_motion(job, found)
    strong = found.keep(found.scores > 0.5)
    weak = found.keep(found.scores < 0.2)
    propagate(strong, motion, window=3, size=clip.size)
    for table, window in ((weak, 1), (strong, 4)):
        with pytest.raises(ValueError, match="not carried so far"):
            propagate(table, motion, window=window, size=clip.size)


def test_gaps_and_images_that_do_not_decode_change_nothing(broken_folder, tmp_path):
    stores = [tmp_path / name for name in ("whole", "windows", "alone")]
    plain = {"columns": frozenset(), "summary": None}
    whole = gathered(plan_of(stores[0], **plain), broken_folder)
    windows = plan_of(stores[1], window=16, **plain)
    found = gathered(windows, broken_folder)
    assert len(found.windows(broken_folder.id)) == 4
    assert_same(all_of(found, broken_folder), all_of(whole, broken_folder))
    assert found.evidence[broken_folder.id].lost == 4
    looks = known_prints(store_at(stores[1]), broken_folder)
    assert looks.tolist().count(0) == 4
    np.testing.assert_array_equal(looks, whole.prints(broken_folder.id))
    # One item that does all windows, one after the other, is the same.
    outcome = gather(EvidenceJob(broken_folder, replace(windows, store=stores[2])))
    assert outcome == found.evidence[broken_folder.id]
    alone = Gathered({broken_folder.id: broken_folder}, {broken_folder.id: outcome}, (), stores[2])
    assert_same(all_of(alone, broken_folder), all_of(whole, broken_folder))


def test_the_detector_looks_again_only_for_what_it_was_not_asked_for(broken_folder, tmp_path):
    plan = plan_of(tmp_path, window=16, columns=frozenset(), coherence=None, flow=None)
    plan = replace(plan, expected=None, summary=None)
    first = gathered(plan, broken_folder)
    assert first.notes == ()
    assert first.detections(broken_folder.id).features.shape[1] == 0
    assert first.detections(broken_folder.id).embedding.shape[1] == 0
    more = replace(plan, columns=frozenset({"embedding"}))
    watcher = Quiet()
    second = gathered(more, broken_folder, watcher)
    assert second.notes == (
        "The detector looked at 60 frames once more: the strategy reads embeddings of frames, which"
        " are kept only where they are asked for.",
    )
    assert second.detections(broken_folder.id).embedding.shape[1] > 0
    assert second.detections(broken_folder.id, columns=()).embedding.shape[1] == 0
    again = Quiet()
    assert gathered(more, broken_folder, again).notes == ()
    assert gathered(plan, broken_folder, again).notes == ()
    assert again.told == []


def test_what_is_told_of_a_long_clip_counts_its_frames_once(broken_folder, tmp_path):
    plan = plan_of(tmp_path, window=16, summary=None, expected=None, columns=frozenset())
    watcher = Quiet()
    gathered(plan, broken_folder, watcher)
    assert watcher.told[0] == ("begin", [60], 0)
    done = [each[2] for each in watcher.told if each[0] == "advance"]
    assert done == sorted(done)
    assert done[-1] == 56  # 4 did not decode
    assert watcher.told[-1] == ("finish", 0, "")
    keys = plan.keys(broken_folder).of(Window(16, 32))
    store_at(tmp_path).drop([keys.detections, keys.estimate])
    rest = Quiet()
    gathered(plan, broken_folder, rest)
    assert rest.told[0] == ("begin", [16], 0)
    assert max(each[2] for each in rest.told if each[0] == "advance") == 15  # 1 did not decode


def test_flow_is_measured_and_forgotten_unless_it_is_to_be_kept(
    broken_folder, tmp_path, monkeypatch
):
    plan = plan_of(tmp_path, window=16, summary=None, columns=frozenset())
    store = store_at(tmp_path)
    gathered(plan, broken_folder)
    flows = [part.flow for part in plan.keys(broken_folder).parts()]
    assert list(store.known(flows)) == [None] * 4
    kept = replace(plan, keep_flow=True)
    parts = plan.keys(broken_folder).parts()
    store.drop([key for part in parts for key in (part.carried, part.estimate)])
    first = gathered(kept, broken_folder)
    assert [each.stage for each in store.known(flows)] == ["flow"] * 4
    whole = all_of(first, broken_folder)
    store.drop([key for part in parts for key in (part.carried, part.estimate, part.expected)])
    monkeypatch.setattr("vidal.evidence.windowed.scan_clip", None)  # nothing is decoded
    assert_same(all_of(gathered(plan, broken_folder), broken_folder), whole)


@pytest.mark.parametrize("pixels", [True, False])
def test_detections_that_came_as_files_are_cut_into_windows(clip, stores, tmp_path, pixels):
    whole, _ = both(clip, stores)
    table = whole.detections(clip.id, columns=("features",))
    looked = table.scanned.copy()
    looked[[5, 39, 40, 41, 80]] = False  # frames that the files do not list
    table = replace(table, scanned=table.scanned).keep(looked[table.frame])
    table = replace(table, scanned=looked)
    if not pixels:
        clip = replace(clip, reader="none", keyframes=np.zeros(0, np.int64))
    given = GivenDetections(name="detections", digest="of these")
    options = {"detector": given, "columns": frozenset({"features"}), "batch": 7}
    results = []
    for folder, window in ((tmp_path / "whole", 1024), (tmp_path / "windows", 19)):
        plan = plan_of(folder, window=window, **options)
        keeper(plan)(clip, table)
        results.append(gathered(plan, clip))
    assert [len(each.windows(clip.id)) for each in results] == [1, 7]
    assert_same(all_of(results[1], clip), all_of(results[0], clip))
    assert results[1].evidence[clip.id].lost == 0
    assert results[1].detections(clip.id) == table
    assert results[1].estimate(clip.id).false_positive.any()


def test_features_that_came_as_files_are_kept_whoever_asks(clip, stores, tmp_path):
    whole, _ = both(clip, stores)
    table = whole.detections(clip.id, columns=("features",))
    given = GivenDetections(name="detections", digest="of these")
    plan = plan_of(tmp_path, window=50, detector=given, columns=frozenset(), summary=None)
    plan = replace(plan, coherence=None, flow=None, expected=None)
    keeper(plan)(clip, table)
    assert gathered(plan, clip).detections(clip.id).features.shape[1] == 0
    later = gathered(replace(plan, columns=frozenset({"features"})), clip)
    assert later.notes == ()
    assert later.detections(clip.id) == table


def test_a_table_that_an_earlier_version_kept_in_one_is_cut_and_not_made_anew(
    clip, stores, tmp_path, monkeypatch
):
    whole, _ = both(clip, stores)
    plain = {"columns": frozenset(), "summary": None}
    plan = plan_of(tmp_path, window=20, **plain)
    old = whole.detections(clip.id, columns=())
    store_at(tmp_path).put(plan.keys(clip).detections, to_arrays(old))
    monkeypatch.setattr("vidal.evidence.windowed._detector", None)
    found = gathered(plan, clip)
    assert found.detections(clip.id) == old
    assert_same((found.rows(clip.id),), (whole.rows(clip.id),))
    assert store_at(tmp_path).get(plan.keys(clip).detections) is None


@pytest.mark.parametrize("window", [50, 1024])
def test_features_of_given_detections_that_an_earlier_version_kept_are_not_lost(
    clip, stores, tmp_path, window
):
    whole, _ = both(clip, stores)
    table = whole.detections(clip.id)
    table = replace(table, embedding=np.zeros((table.frames, 0), np.float32))
    assert table.features.shape[1]
    given = GivenDetections(name="detections", digest="of these")
    plan = plan_of(tmp_path, window=window, detector=given, columns=frozenset(), summary=None)
    plan = replace(plan, coherence=None, flow=None, expected=None)
    store_at(tmp_path).put(plan.keys(clip).detections, to_arrays(table))
    assert gathered(plan, clip).detections(clip.id).features.shape[1] == 0
    later = gathered(replace(plan, columns=frozenset({"features"})), clip)
    assert later.detections(clip.id) == table


@pytest.mark.parametrize("window", [16, 1024])
def test_embeddings_and_features_in_tables_of_an_earlier_version_take_no_other_look(
    broken_folder, tmp_path, window, monkeypatch
):
    plan = plan_of(tmp_path / "new", window=1024, coherence=None, flow=None)
    plan = replace(plan, expected=None, summary=None)
    first = gathered(plan, broken_folder)
    table = first.detections(broken_folder.id)
    assert table.features.shape[1]
    assert table.embedding.shape[1]
    old = replace(plan, store=tmp_path / "old", window=window)
    store_at(old.store).put(old.keys(broken_folder).detections, to_arrays(table))
    monkeypatch.setattr("vidal.evidence.windowed.scan_clip", None)  # nothing is decoded
    found = gathered(old, broken_folder)
    assert found.notes == ()
    assert found.detections(broken_folder.id) == table


def test_windows_that_were_not_compared_yet_are_whoever_looked_at_them(broken_folder, tmp_path):
    plan = plan_of(tmp_path, window=32, columns=frozenset(), coherence=None, flow=None)
    plan = replace(plan, expected=None, summary=None)
    store, job = store_at(tmp_path), EvidenceJob(broken_folder, plan)
    windows = plan.windows(broken_folder)
    assert len(windows) == 2
    for window in windows:  # as two shards do, or a run that is killed afterwards
        assert look_at([(job, [window])], store=tmp_path, engines=here, watcher=Quiet()) == [None]
    key = prints._key(broken_folder, windows[1])
    seen = dict(store.get(key))
    store.put(key, {**seen, "before": seen["before"] ^ np.uint64(1)}, store.known([key])[0])
    assert prints.disagreeing(store, broken_folder, windows) == list(windows)
    first = gathered(plan, broken_folder)
    assert prints.disagreeing(store, broken_folder, windows) == []
    again = Quiet()
    assert gathered(plan, broken_folder, again).evidence == first.evidence
    assert again.told == []
