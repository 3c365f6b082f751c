"""The pool from sums by frame is, bit for bit, the one that is built clip by clip from tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.selection.test_expected import OPTIONS, a_clip, detections, gathered, labels
from vidal.assemble import STRATEGIES, build_strategy
from vidal.coherence import CoherenceOptions
from vidal.detect.spec import DetectorSpec
from vidal.errors import EvidenceLost
from vidal.evidence.gather import ClipEvidence, EvidencePlan
from vidal.evidence.gathered import Gathered
from vidal.evidence.labels import LabelMatch
from vidal.evidence.load import block_looks, put, put_detections, put_estimate
from vidal.evidence.places import store_at
from vidal.evidence.summary import SummaryOptions, summarise
from vidal.evidence.tables import frames_of
from vidal.evidence.windows import Window
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.selection.again import columns_of
from vidal.selection.learn import learn
from vidal.selection.lookup import Lookup
from vidal.selection.pool import PoolClip, build_pool
from vidal.selection.stored_pool import stored_pool
from vidal.store import to_arrays
from vidal.testing.pools import COLUMNS
from vidal.track import FlowOptions
from vidal.types import Clip, Detections, ErrorEstimate, Pool
from vidal.types.deferred import Deferred

CLASSES = ("car", "van")
BOXES = frozenset({"regions", "features", "labelled", "suppressed", "verdict", "false_alarm"})
EVERYTHING = COLUMNS | BOXES
FRAMES = (40, 1, 23, 64, 9)
"""Of the clips; one is worked on in four windows."""


def a_plan(root: Path, expected: ExpectedErrorsOptions | None = OPTIONS) -> EvidencePlan:
    return EvidencePlan(
        root,
        DetectorSpec(name="scenes-tiny"),
        1,
        FlowOptions(),
        CoherenceOptions(),
        expected,
        columns=frozenset({"features", "embedding"}),
        summary=SummaryOptions(0.5, 0.05, expected),
        window=16,
    )


def a_table(frames: int, rng: np.random.Generator) -> Detections:
    count = rng.integers(0, 8, frames)
    rows = [
        (frame, int(rng.integers(2)), float(rng.uniform(0.06, 0.99)), int(rng.integers(0, 240)))
        for frame in range(frames)
        for _ in range(count[frame])
    ]
    table = detections(rows, frames)
    scanned = np.ones(frames, bool)
    scanned[np.flatnonzero(count == 0)[::2]] = False
    return replace(
        table,
        scanned=scanned,
        features=rng.normal(size=(len(table), 6)).astype(np.float16),
        embedding=(rng.normal(size=(frames, 5)) * scanned[:, None]).astype(np.float32),
        suppressed=rng.integers(1, 9, len(table)),
    )


def verdicts_on(table: Detections, rng: np.random.Generator) -> ErrorEstimate:
    rows = np.flatnonzero(table.scores > 0.5)
    m = table.frames // 2
    return ErrorEstimate(
        rows,
        rng.random(len(rows)) < 0.3,
        rng.random(len(rows)),
        np.sort(rng.integers(0, table.frames, m)),
        np.tile([0, 0, 9, 9.0], (m, 1)),
        rng.integers(0, 2, m),
        rng.random(m) < 0.5,
        rng.random(m),
        0.0,
        0.5,
    )


class Run:
    """Evidence of random clips in a store, window by window, and the same tables in hand."""

    def __init__(self, root: Path, seed: int, plan: EvidencePlan) -> None:
        rng = np.random.default_rng(seed)
        self.plan = plan
        self.clips = [a_clip(f"clip-{n}", frames) for n, frames in enumerate(FRAMES)]
        self.tables: dict[str, Detections] = {}
        self.verdicts: dict[str, ErrorEstimate] = {}
        self.rows = {}
        store = store_at(plan.store)
        for clip in self.clips:
            self.tables[clip.id] = a_table(clip.frames, rng)
            self.verdicts[clip.id] = verdicts_on(self.tables[clip.id], rng)
            self._put(store, clip)
        store.pack()
        known = {clip.id: ClipEvidence(plan.keys(clip), CLASSES, 0, 1.0, 0) for clip in self.clips}
        self.gathered = Gathered({c.id: c for c in self.clips}, known, (), plan.store)
        for clip in self.clips:
            self.rows[clip.id] = self.gathered.rows(clip.id)

    def _put(self, store, clip: Clip) -> None:
        """Every window has evidence of its own frames."""
        keys, table, said = self.plan.keys(clip), self.tables[clip.id], self.verdicts[clip.id]
        for window in keys.windows or (Window(0, clip.frames),):
            own, part = keys.of(window), frames_of(table, window)
            put_detections(store, own, clip, window, part)
            verdicts = within(said, table, window)
            put_estimate(store, own.estimate, clip, window, verdicts)
            rows = None
            if own.expected is not None:
                rows = gathered(part)
                put(store, own.expected, to_arrays(rows), "expected", clip, window)
            summary = summarise(part, verdicts, rows, self.plan.summary)
            put(store, own.summary, summary.arrays(), "summary", clip, window)

    def by_clip(self, lookup: Lookup) -> Iterator[PoolClip]:
        """As the pool was built before there were summaries: tables and one model a clip."""
        model = lookup.model
        for clip in self.clips:
            part = replace(
                lookup.part(clip),
                detections=self.tables[clip.id],
                estimate=self.gathered.estimate(clip.id),
            )
            if lookup.snapshots:
                earlier = [each.detections(clip.id) for each in lookup.snapshots]
                part = replace(part, row_columns=columns_of(part.detections, earlier))
            if model is not None:
                rows = self.rows[clip.id]
                counts = model.counts(rows, len(CLASSES))
                told = counts
                if lookup.totals is not None:
                    told = lookup.totals.told(counts, lookup.numbers.get(clip.id))
                alarm = np.zeros(len(part.detections), np.float32)
                alarm[rows.rows] = model.false_positive(rows.detections)
                part = replace(
                    part,
                    expected=counts if lookup.ranks else None,
                    told=told,
                    prior=1 - min(model.own_share),
                    row_columns={**part.row_columns, "false_alarm": alarm},
                )
            yield part


def within(said: ErrorEstimate, table: Detections, window: Window) -> ErrorEstimate:
    """The verdicts on a window."""
    first = int(np.searchsorted(table.frame, window.start))
    use = (table.frame[said.rows] >= window.start) & (table.frame[said.rows] < window.stop)
    gone = (said.missed_frame >= window.start) & (said.missed_frame < window.stop)
    return replace(
        said,
        rows=said.rows[use] - first,
        false_positive=said.false_positive[use],
        false_positive_confidence=said.false_positive_confidence[use],
        missed_frame=said.missed_frame[gone] - window.start,
        missed_boxes=said.missed_boxes[gone],
        missed_label=said.missed_label[gone],
        missed=said.missed[gone],
        missed_confidence=said.missed_confidence[gone],
    )


def labelled(run: Run, clips: tuple[int, ...]) -> LabelMatch:
    """Every other frame of some clips; weak detections are false there."""
    tables = {}
    for number in clips:
        clip, table = run.clips[number], run.tables[run.clips[number].id]
        mask = np.arange(clip.frames) % 2 == 0
        true = (table.scores > 0.85) & mask[table.frame]
        boxes = [
            (f, int(k), int(b[0]), 0)
            for f, k, b in zip(
                table.frame[true], table.labels[true], table.boxes[true], strict=True
            )
        ]
        tables[clip.id] = labels(boxes, mask, classes=CLASSES)
    return LabelMatch(tables, ())


def lookup_of(run: Run, match: LabelMatch | None, options=OPTIONS, **more) -> Lookup:
    lesson = learn(run.gathered, options, match, None, seed=0, number=0)
    barred = {"clip-3": np.arange(64) % 10 == 5}
    return Lookup(
        run.gathered,
        match,
        barred,
        lesson.model,
        lesson.totals,
        lesson.numbers,
        lesson.ranks,
        unreadable={"clip-2": frozenset({3, 4})},
        by_region=True,
        **more,
    )


def told(pool: Pool) -> dict[str, np.ndarray]:
    """Every array of a pool, by name."""
    found = {f"frames.{n}": getattr(pool.frames, n) for n in ("clip", "index", "pts")}
    found |= {f"labelled.{n}": getattr(pool.labelled, n) for n in ("clip", "index", "pts")}
    found |= {name: np.asarray(values) for name, values in pool.columns.items()}
    found |= {f"labelled {name}": values for name, values in pool.labelled_columns.items()}
    if pool.regions is not None:
        names = ("pos", "boxes", "scores", "labels", "probs", "features")
        found |= {f"regions.{name}": getattr(pool.regions, name) for name in names}
        found |= {f"regions {name}": values for name, values in pool.regions.columns.items()}
    if pool.items is not None:
        found |= {f"items.{n}": getattr(pool.items, n) for n in ("features", "probs", "answers")}
        found |= {f"items {name}": values for name, values in pool.items.columns.items()}
    return found


def compare(run: Run, lookup: Lookup, needs: frozenset[str], truth=None) -> Pool:
    stored = stored_pool(lookup, needs=needs, threshold=0.5, truth=truth)
    by_clip = build_pool(
        run.by_clip(lookup), classes=CLASSES, needs=needs, threshold=0.5, truth=truth
    )
    mine, due = told(stored), told(by_clip)
    assert mine.keys() == due.keys()
    for name, values in due.items():
        assert mine[name].dtype == values.dtype, name
        np.testing.assert_array_equal(mine[name], values, err_msg=name)
    assert stored.frames.clips == by_clip.frames.clips
    assert stored.frames.sizes == by_clip.frames.sizes
    return stored


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    root = tmp_path_factory.mktemp("stored")
    return Run(root, 3, a_plan(root / "store"))


CASES = {
    "prior": (None, OPTIONS),
    "prior and few labels": ((1,), OPTIONS),
    "labels": ((0, 3), OPTIONS),
    "labels, no prior": ((0, 3), replace(OPTIONS, prior=0)),
    "labels, no leaning": ((0, 2, 3), replace(OPTIONS, blend=0.0)),
    "one estimator": ((0, 3), replace(OPTIONS, estimator="trees")),
    "fusion": (None, replace(OPTIONS, prior=0)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_pool_is_the_one_that_is_built_clip_by_clip(run, case, monkeypatch):
    monkeypatch.setattr("vidal.selection.expecting.MOST_ROWS", 100)
    monkeypatch.setattr("vidal.expected_errors.smoothing._AT_ONCE", 30)
    clips, options = CASES[case]
    match = None if clips is None else labelled(run, clips)
    lookup = lookup_of(run, match, options)
    assert (lookup.model is None) == (case == "fusion")
    assert lookup.ranks == case.startswith(("labels", "one"))
    compare(run, lookup, EVERYTHING)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_the_pool_of_every_strategy_is_the_same(run, name):
    needs = build_strategy(name, gap=1, options={}).needs | {"expected_objects"}
    stored = compare(run, lookup_of(run, None), needs, truth={})
    assert set(stored.columns) <= needs


def test_true_errors_are_those_of_the_tables(run):
    truth = labelled(run, (0, 2)).annotations
    pool = compare(run, lookup_of(run, None), frozenset({"truth_errors", "errors"}), truth)
    assert pool.column("truth_errors").sum() > 0


def test_other_states_of_the_detector_are_asked_about_its_detections(run):
    lookup = lookup_of(run, None, snapshots=(run.gathered, run.gathered))
    compare(run, lookup, frozenset({"regions", "votes", "members"}))


def test_a_threshold_of_a_query_without_estimates_is_that_of_its_sums(tmp_path):
    plan = replace(a_plan(tmp_path, None), coherence=None, summary=SummaryOptions(0.3))
    assert plan.keys(a_clip("a", 3)).summary != a_plan(tmp_path, None).keys(a_clip("a", 3)).summary


def test_no_row_is_read_where_sums_are_enough(run, monkeypatch):
    lookup = lookup_of(run, None)
    stages = []
    store = store_at(run.plan.store)
    keys = {
        key: stage
        for clip in run.clips
        for part in run.plan.keys(clip).parts()
        for stage, key in part.by_stage().items()
    }

    class Watched:
        def scan(self, wanted, names=None):
            stages.extend((keys[key], frozenset(names)) for key in wanted)
            return store.scan(wanted, names)

        def __getattr__(self, name):
            raise AssertionError(f"{name} was called")

    monkeypatch.setattr("vidal.selection.stored.store_at", lambda root: Watched())
    needs = build_strategy("expected-errors", gap=3, options={"spread": "clips"}).needs
    stored_pool(lookup, needs=needs | {"expected_objects"}, threshold=0.5)
    assert {stage for stage, _ in stages} == {"summary"}
    assert {name for _, names in stages for name in names} == {
        *("scanned", "by_class", "objects", "signals", "prior", "judgeable")
    }


def test_a_lost_summary_is_said_not_guessed(tmp_path):
    run = Run(tmp_path, 5, a_plan(tmp_path / "store"))
    store_at(run.plan.store).drop([run.plan.keys(run.clips[3]).parts()[2].summary])
    with pytest.raises(EvidenceLost):
        stored_pool(lookup_of(run, None), needs=frozenset({"errors"}), threshold=0.5)


def test_lost_rows_are_said_not_guessed(tmp_path):
    run = Run(tmp_path, 5, a_plan(tmp_path / "store"))
    lookup = lookup_of(run, labelled(run, (0, 3)))
    store_at(run.plan.store).drop([run.plan.keys(run.clips[2]).parts()[1].expected])
    with pytest.raises(EvidenceLost):
        stored_pool(lookup, needs=frozenset({"expected", "told"}), threshold=0.5)


def test_rows_of_another_kind_are_refused(run):
    lookup = lookup_of(run, labelled(run, (0, 3)))
    other = replace(lookup.model.judged, columns=("score",))
    model = replace(lookup, model=replace(lookup.model, judged=other))
    with pytest.raises(ValueError, match="other columns"):
        stored_pool(model, needs=frozenset({"expected"}), threshold=0.5)


def test_looks_that_are_too_large_to_hold_are_read_when_asked_for(run, monkeypatch):
    needs = frozenset({"embedding", "labelled"})
    match = labelled(run, (0, 3))
    held = stored_pool(lookup_of(run, match), needs=needs, threshold=0.5)
    monkeypatch.setattr("vidal.selection.stored.LARGEST_COLUMN", 100)
    unread = stored_pool(lookup_of(run, match), needs=needs, threshold=0.5)
    looks, due = unread.columns["embedding"], held.columns["embedding"]
    assert isinstance(looks, Deferred)
    assert looks.shape == due.shape
    order = np.random.default_rng(0).permutation(len(due))[:40]
    np.testing.assert_array_equal(looks[order], due[order])
    np.testing.assert_array_equal(unread.column("embedding"), due)
    np.testing.assert_array_equal(looks.take(order)[5:9], due[order[5:9]])
    mine, known = (pool.labelled_columns["embedding"] for pool in (unread, held))
    np.testing.assert_array_equal(mine, known)


def test_of_many_frames_one_of_each_block_is_what_the_others_look_like(run, monkeypatch):
    needs = frozenset({"embedding"})
    held = stored_pool(lookup_of(run, None), needs=needs, threshold=0.5)
    monkeypatch.setattr("vidal.selection.stored.MANY", 10)
    looks, block = (
        stored_pool(lookup_of(run, None), needs=needs, threshold=0.5).columns["embedding"].coarse
    )
    # Windows of 16 frames and less: a block each.
    windows = [(clip.id, each) for clip in run.clips for each in run.gathered.windows(clip.id)]
    assert len(looks) == len(windows)
    for (clip, window), look in zip(windows, looks, strict=True):
        own = run.tables[clip].embedding[window.start : window.stop]
        assert (own == look).all(axis=1).any()
    clips = held.frames.clip[np.flatnonzero(np.diff(block, prepend=-1))]
    assert [run.clips[number].id for number in clips] == [windows[n][0] for n in np.unique(block)]


@pytest.mark.parametrize(
    ("frames", "unseen", "middles"),
    [(70, (), (16, 48, 69)), (33, (16, 17), (15, 32)), (5, (4,), (3,)), (32, (), (16,))],
)
def test_the_look_of_a_block_is_that_of_the_frame_nearest_its_middle(frames, unseen, middles):
    table = detections([], frames)
    scanned = np.ones(frames, bool)
    scanned[list(unseen)] = False
    embedding = np.arange(frames, dtype=np.float32)[:, None] * scanned[:, None]
    looks = block_looks(replace(table, scanned=scanned, embedding=embedding))
    assert looks[:, 0].tolist() == list(middles)
    nothing = replace(table, scanned=np.zeros(frames, bool), embedding=0 * embedding)
    assert block_looks(nothing).tolist() == [[0.0]] * len(middles)
