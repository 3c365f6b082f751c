"""Expected errors in a run: who judges what, and what is learned or fused."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.coherence import CoherenceOptions
from vidal.detect.spec import DetectorSpec
from vidal.evidence.gather import ClipEvidence, EvidencePlan, clip_evidence, estimate_errors
from vidal.evidence.gathered import Gathered
from vidal.evidence.judge import judge
from vidal.evidence.labels import LabelMatch
from vidal.evidence.places import store_at
from vidal.evidence.summary import SummaryOptions, summarise
from vidal.expected_errors import ExpectedErrorsOptions, Judged, Misses, Totals, prior_for
from vidal.expected_errors.totals import Level
from vidal.query.expected_errors import BEFORE_LABELS, ExpectedErrors
from vidal.selection.expected import JudgedRound, judge_stored
from vidal.selection.learn import Lesson, expected_sentence, learn
from vidal.selection.lookup import Lookup
from vidal.selection.pool import PoolClip, build_pool
from vidal.selection.stored_pool import stored_pool
from vidal.store import from_arrays, to_arrays
from vidal.track import FlowOptions
from vidal.types import Annotations, Clip, Detections, Explanation, FrameRef, Query

CLASSES = ("car", "van")
SIZE = (100, 200)
OPTIONS = ExpectedErrorsOptions()


class Still:
    """A motion without motion."""

    def step(self, before, after, boxes):
        return boxes.copy(), np.ones(len(boxes), np.float32)


def detections(rows, frames):
    """Rows of (frame, label, score, x); boxes of 10 x 10 at height 20."""
    rows = np.array(rows, np.float64).reshape(-1, 4)
    n = len(rows)
    corner = np.stack([rows[:, 3], np.full(n, 20.0)], axis=1)
    return Detections(
        classes=CLASSES,
        scanned=np.ones(frames, bool),
        frame=rows[:, 0],
        boxes=np.hstack([corner, corner + 10]),
        scores=rows[:, 2],
        labels=rows[:, 1],
        probs=np.zeros((n, 3)),
        features=np.zeros((n, 0)),
        embedding=np.zeros((frames, 0)),
    )


def labels(rows, labelled, classes=CLASSES):
    """Rows of (frame, label, x, ignore), where they lie on labelled frames."""
    mask = np.asarray(labelled, bool)
    rows = sorted(row for row in rows if mask[int(row[0])])
    rows = np.array(rows, np.float64).reshape(-1, 4)
    n = len(rows)
    corner = np.stack([rows[:, 2], np.full(n, 20.0)], axis=1)
    return Annotations(
        classes=classes,
        labelled=mask,
        frame=rows[:, 0],
        boxes=np.hstack([corner, corner + 10]),
        labels=rows[:, 1],
        track=np.full(n, -1),
        ignore=rows[:, 3],
    )


def gathered(table):
    return clip_evidence(table, Still(), None, OPTIONS, size=SIZE)


# x = 0: a car that is found, but weakly in frame 1. x = 50: false. x = 100: in an ignore region.
# x = 150: a car that nobody ever sees.
FOUND = [
    (0, 0, 0.9, 0), (0, 0, 0.7, 50), (0, 0, 0.8, 100),
    (1, 0, 0.3, 0), (1, 0, 0.3, 100),
    (2, 0, 0.9, 0),
]  # fmt: skip
TRUE = [(f, 0, 0, 0) for f in range(3)] + [(f, -1, 100, 1) for f in range(3)] + [(1, 0, 150, 0)]


def test_labels_judge_detections_and_candidates():
    table = detections(FOUND, 3)
    judged = judge(gathered(table), table, labels(TRUE, [1, 1, 1]), threshold=0.5, clip=4)
    # Above the threshold: found, false, (ignored), found.
    assert judged.detections.error.tolist() == [False, True, False]
    assert judged.detections.frame.tolist() == [0, 0, 2]
    # Candidates: frame 1 the weak car (missed) and the false one's place; frame 2 the same place.
    # What lies in the ignore region is left out.
    assert judged.candidates.frame.tolist() == [1, 1, 2]
    assert sorted(judged.candidates.error.tolist()) == [False, False, True]
    assert judged.missed == 2
    assert judged.detections.clip.tolist() == [4, 4, 4]
    # Frame 1: both cars are missed, and a candidate stands for the weak one alone.
    misses = judged.misses
    assert (misses.clip.tolist(), misses.frame.tolist()) == ([4, 4, 4], [0, 1, 2])
    assert misses.missed.sum(axis=1).tolist() == [0, 2, 0]
    assert misses.covered.sum(axis=1).tolist() == [0, 1, 0]
    assert misses.missed.shape == (3, len(table.classes))


def test_misses_are_known_of_labelled_frames_alone():
    table = detections(FOUND, 3)
    judged = judge(gathered(table), table, labels(TRUE[:4], [1, 0, 0]), threshold=0.5)
    assert judged.misses.frame.tolist() == [0]
    both = Judged.join([judged, replace(judged, misses=Misses.none())])
    assert len(both.misses) == 1


SCORES = [0.0, 0.02, 0.05, 0.3, 0.5, 0.50001, 0.9, 1.0]


def at_every_score():
    """A detection of every score on each of three frames, far from one another."""
    return detections(
        [(f, 0, score, 22 * n) for f in range(3) for n, score in enumerate(SCORES)], 3
    )


def evidence_at(table, threshold, floor):
    verdicts = estimate_errors(
        table, Still(), CoherenceOptions(score_threshold=threshold), size=SIZE
    )
    options = ExpectedErrorsOptions(threshold=threshold, floor=floor)
    return clip_evidence(table, Still(), verdicts, options, size=SIZE), options


@pytest.mark.parametrize("threshold", [0, 0.02, 0.3, 0.5, 1])
@pytest.mark.parametrize("floor", [0, 0.05, 0.3, 0.5, 1])
def test_what_scores_above_the_threshold_is_never_left_out_whatever_the_floor(threshold, floor):
    table = at_every_score()
    found, options = evidence_at(table, threshold, floor)
    assert found.rows.tolist() == np.flatnonzero(table.scores > threshold).tolist()
    np.testing.assert_array_equal(found.detections.column("score"), table.scores[found.rows])
    np.testing.assert_array_equal(found.detections.boxes, table.boxes[found.rows])
    # Weak detections lie strictly above the floor; at most the threshold.
    weak = found.candidates.column("score")[found.candidates.column("is detection") == 1]
    due = table.scores[(table.scores > min(floor, threshold)) & (table.scores <= threshold)]
    assert sorted(weak.tolist()) == sorted(due.tolist())
    judged = judge(found, table, labels([], [1, 1, 1]), threshold=threshold)
    assert judged.detections.error.sum() == (table.scores > threshold).sum()
    # A floor above the threshold is no floor: the same evidence under the same key.
    same, other = evidence_at(table, threshold, min(floor, threshold))
    np.testing.assert_array_equal(found.detections.evidence, same.detections.evidence)
    np.testing.assert_array_equal(found.candidates.evidence, same.candidates.evidence)
    assert options.evidence_key == other.evidence_key


def test_the_key_of_evidence_still_tells_floors_below_the_threshold_apart():
    keys = [ExpectedErrorsOptions(floor=floor).evidence_key for floor in (0.05, 0.1)]
    assert keys[0] != keys[1]


def test_verdicts_on_detections_that_are_not_looked_at_are_refused():
    table = at_every_score()
    verdicts = estimate_errors(table, Still(), CoherenceOptions(score_threshold=0.02), size=SIZE)
    with pytest.raises(ValueError, match="verdicts"):
        clip_evidence(table, Still(), verdicts, ExpectedErrorsOptions(floor=0.3), size=SIZE)


def test_frames_without_labels_judge_nothing():
    table = detections(FOUND, 3)
    judged = judge(gathered(table), table, labels(TRUE, [0, 0, 1]), threshold=0.5)
    assert judged.detections.frame.tolist() == [2]
    assert judged.candidates.frame.tolist() == [2]
    assert judged.missed == 0


def test_one_missed_object_is_one_candidate():
    rows = [(0, 0, 0.9, 60), (1, 0, 0.3, 60), (1, 0, 0.2, 62), (2, 0, 0.9, 60)]
    table = detections(rows, 3)
    judged = judge(gathered(table), table, labels([(1, 0, 60, 0)], [0, 1, 0]), threshold=0.5)
    assert judged.candidates.error.tolist() == [True, False]


def test_a_candidate_of_another_class_is_no_miss():
    table = detections([(0, 1, 0.3, 60)], 1)
    judged = judge(gathered(table), table, labels([(0, 0, 60, 0)], [1]), threshold=0.5)
    assert judged.candidates.error.tolist() == [False]
    assert judged.missed == 1


def test_detections_below_the_floor_are_not_looked_at_and_rows_stay_rows_of_the_table():
    table = detections([(0, 0, 0.01, 0), (0, 0, 0.9, 60), (1, 0, 0.04, 0)], 2)
    evidence = gathered(table)
    assert evidence.rows.tolist() == [1]
    assert evidence.candidates.column("is detection").tolist() == [0]


def test_hardly_scored_detections_are_met_but_not_carried():
    # At x = 0 a weak and a strong detection in turn; at x = 60 nothing but 0.1.
    table = detections([(0, 0, 0.1, 0), (0, 0, 0.1, 60), (1, 0, 0.9, 0)], 3)
    evidence = gathered(table)
    candidates = evidence.candidates
    # Frame 2 expects what was strong; nobody expects what scored 0.1.
    assert candidates.frame.tolist() == [0, 0, 2]
    assert candidates.boxes[2].tolist() == [0, 20, 10, 30]
    assert evidence.detections.column("any linked").tolist() == [0.5]


def a_clip(name, frames):
    return Clip(name, Path(name), np.arange(frames), Fraction(1, 25), Fraction(25), SIZE)


def a_run(tmp_path, clips=4, frames=30, seed=0, seen=(1, 1, 1, 0)):
    """Stored evidence of clips whose detections are false where they are weak; three labelled."""
    plan = EvidencePlan(
        store=tmp_path / "store",
        detector=DetectorSpec(name="scenes-tiny"),
        batch=1,
        flow=FlowOptions(),
        coherence=CoherenceOptions(),
        expected=OPTIONS,
        summary=SummaryOptions(0.5, 0.05, OPTIONS),
    )
    store, rng = store_at(plan.store), np.random.default_rng(seed)
    found, tables = [], {}
    for number in range(clips):
        clip = a_clip(f"clip-{number}", frames)
        score = rng.uniform(0.51, 0.99, (frames, 3))
        rows = [(f, 0, s, 60 * k) for f in range(frames) for k, s in enumerate(score[f])]
        true = [(f, 0, x, 0) for f, _, s, x in rows if s > 0.75]
        table = detections(rows, frames)
        keys = plan.keys(clip)
        store.put(keys.detections, to_arrays(table))
        store.put(keys.expected, to_arrays(gathered(table)))
        found.append(clip)
        if seen[number]:
            tables[clip.id] = labels(true, np.ones(frames), classes=("Car", "Tram"))
    return plan, found, tables


def test_stored_evidence_is_judged_under_the_names_of_the_detectors_classes(tmp_path):
    plan, clips, tables = a_run(tmp_path)
    keys = {clip.id: plan.keys(clip) for clip in clips}
    judged = judge_stored(store_at(plan.store), keys, tables, OPTIONS)
    assert len(judged.detections) == 3 * 30 * 3
    assert judged.missed == 0
    weak = judged.detections.evidence[:, judged.columns.index("score")] <= 0.75
    np.testing.assert_array_equal(judged.detections.error, weak)
    assert np.unique(judged.detections.clip).tolist() == [0, 1, 2]
    assert judge_stored(store_at(plan.store), keys, {}, OPTIONS) is None


def found_by(plan, clips):
    """The evidence of a run, as its store holds it."""
    known = {clip.id: ClipEvidence(plan.keys(clip), CLASSES, 0, 1.0, 0) for clip in clips}
    return Gathered({clip.id: clip for clip in clips}, known, (), plan.store)


OWN = ExpectedErrorsOptions(prior=0)


def a_lesson(plan, clips, labels, rounds, options=OWN):
    return learn(found_by(plan, clips), options, labels, rounds, seed=0, number=0)


def by_id(clip):
    return clip.id


def test_what_is_expected_of_a_query_is_the_sum_of_what_is_told_of_its_frames():
    level = Level(1.0, 0.0, 4.0, 1.0, {0: (1.0, 0.01)})
    totals = Totals(np.ones(1), (level, level))
    frames = tuple(FrameRef(name, index) for name, index in (("a", 1), ("b", 7), ("a", 5)))
    parts = {"false_positives": np.array([1.0, 2.0, 3.0]), "misses": np.array([0.5, 4.0, 0.0])}
    query = Query(0, frames, np.zeros(3), Explanation(("",) * 3, parts), 3)
    lesson = Lesson(totals=totals, numbers={"a": 0})
    false, missed, both = lesson.expected(query)
    assert (false.value, missed.value, both.value) == (6, 4.5, 10.5)
    ends = totals.intervals([(0, np.array([4, 0.5])), (None, np.array([2, 4.0]))])
    assert [(each.low, each.high) for each in (false, missed, both)] == list(ends)
    told = expected_sentence((false, missed, both))
    assert told.startswith("The chosen frames are expected to hold 10 errors, most likely 5 to ")
    assert Lesson().expected(query) is None
    bare = replace(query, explanation=Explanation(("",) * 3, {}))
    assert lesson.expected(bare) is None


def test_labels_given_to_a_selection_teach_it(tmp_path):
    plan, clips, tables = a_run(tmp_path)
    lesson = a_lesson(plan, clips, LabelMatch(tables, ()), None)
    model, remarks = lesson.model, lesson.remarks
    evidence = gathered(detections([(0, 0, 0.6, 0), (0, 0, 0.9, 60)], 1))
    p = model.false_positive(evidence.detections)
    assert p[0] > 0.65
    assert p[1] < 0.1
    assert lesson.numbers == {clip.id: n for n, clip in enumerate(sorted(clips, key=by_id))}
    assert "learned from" in remarks[0]
    assert "trained on these frames" in remarks[0]


def test_without_enough_labels_nothing_is_learned_and_it_is_said(tmp_path):
    plan, clips, _ = a_run(tmp_path, frames=4)
    for match in (None, LabelMatch({}, ())):
        lesson = a_lesson(plan, clips, match, None)
        assert lesson.model is None
        assert "too few labelled errors" in lesson.remarks[0]
        assert lesson.source == {"by": "fusion", "order_by": "fusion", "weight_of_prior": None}


def test_before_there_are_labels_the_shipped_prior_counts_and_ranks_with_the_fusion(tmp_path):
    plan, clips, _ = a_run(tmp_path, frames=4)
    lesson = a_lesson(plan, clips, None, None, OPTIONS)
    assert lesson.model.own_share == (0.0, 0.0)
    assert lesson.source == {
        "by": "prior",
        "order_by": "fusion",
        "weight_of_prior": {"false_alarms": 1.0, "misses": 1.0},
    }
    (remark,) = lesson.remarks
    assert "the prior that comes with vidal" in remark
    assert "not learned from your labels" in remark
    assert lesson.forecast is None
    evidence = gathered(detections([(0, 0, 0.55, 0), (0, 0, 0.99, 60)], 1))
    p = lesson.model.false_positive(evidence.detections)
    assert 1 > p[0] > p[1] > 0
    store = store_at(plan.store)
    for clip in clips:
        keys = plan.keys(clip)
        table = from_arrays(Detections, store.get(keys.detections))
        verdicts = estimate_errors(table, Still(), CoherenceOptions(), size=SIZE)
        store.put(keys.estimate, to_arrays(verdicts))
        rows = found_by(plan, clips).rows(clip.id)
        summary = summarise(table, verdicts, rows, plan.summary)
        store.put(keys.summary, summary.arrays())
    pools = [
        stored_pool(
            Lookup(found_by(plan, clips), None, {}, model, ranks=lesson.ranks),
            needs=ExpectedErrors.needs,
            threshold=0.5,
        )
        for model in (lesson.model, None)
    ]
    told = ExpectedErrors().explain(pools[0], np.arange(16))
    assert all(each.startswith(BEFORE_LABELS) for each in told.words)
    said = np.concatenate(
        [
            lesson.model.counts(found_by(plan, clips).rows(clip.id), len(CLASSES)).sum(axis=1)
            for clip in clips
        ]
    )
    np.testing.assert_allclose(told.parts["false_positives"], said[:, 0], rtol=1e-5)
    # What ranks is the fusion and these counts, either in its standard deviations.
    plain = ExpectedErrors(per="frame").score(pools[1])
    kinds = said[:, said.std(axis=0) > 0]
    counts = (kinds / kinds.std(axis=0)).sum(axis=1)
    expected = plain / plain.std() + counts / counts.std()
    np.testing.assert_allclose(ExpectedErrors(per="frame").score(pools[0]), expected, rtol=1e-3)
    plain = ExpectedErrors(per="frame").explain(pools[1], np.arange(16))
    assert not any("prior" in each for each in plain.words)


def test_evidence_that_was_gathered_in_another_way_has_no_prior(tmp_path):
    for options in (ExpectedErrorsOptions(floor=0.1), ExpectedErrorsOptions(version=1)):
        assert prior_for(gathered(detections(FOUND, 3)).columns, options) is None
    assert prior_for(("a", "b"), OPTIONS) is None
    for threshold in (0.02, 0.3, 0.9):
        options = ExpectedErrorsOptions(threshold=threshold)
        assert prior_for(gathered(detections(FOUND, 3)).columns, options) is not None


def test_from_ten_judged_errors_on_own_labels_alone_speak(tmp_path):
    plan, clips, tables = a_run(tmp_path)
    evidence = gathered(detections([(0, 0, 0.6, 0), (0, 0, 0.9, 60)], 1)).detections
    lessons = [
        a_lesson(plan, clips, LabelMatch(tables, ()), None, options) for options in (OPTIONS, OWN)
    ]
    mine, without = (each.model.false_positive(evidence) for each in lessons)
    np.testing.assert_array_equal(mine, without)
    assert lessons[0].ranks
    assert lessons[0].source == {
        "by": "labels",
        "order_by": "expected errors",
        "weight_of_prior": {"false_alarms": 0.0, "misses": 0.0},
    }
    assert not any("prior" in each for each in lessons[0].remarks)


def test_a_few_judged_errors_temper_the_prior_and_do_not_rank(tmp_path):
    plan, clips, tables = a_run(tmp_path, frames=4, seed=1, seen=(1, 0, 0, 0))
    lesson = a_lesson(plan, clips, LabelMatch(tables, ()), None, OPTIONS)
    errors = int(lesson.model.judged.detections.error.sum())
    assert 0 < errors < 10
    assert not lesson.ranks
    assert lesson.source["by"] == "prior and labels"
    assert lesson.source["weight_of_prior"]["false_alarms"] == pytest.approx(20 / (errors + 20))
    assert lesson.remarks[0].startswith("Expected errors are those of the prior")


def test_what_earlier_rounds_judged_is_used_instead_of_the_labels(tmp_path):
    plan, clips, tables = a_run(tmp_path)
    keys = {clip.id: plan.keys(clip) for clip in clips}
    earlier = judge_stored(store_at(plan.store), keys, tables, OPTIONS)
    rounds = [JudgedRound(0, earlier, "cross-fitted"), JudgedRound(1, earlier, "unseen")]
    lesson = a_lesson(plan, clips, None, rounds)
    model, remarks = lesson.model, lesson.remarks
    assert len(model.judged.detections) == 2 * len(earlier.detections)
    assert "trained on these frames" not in remarks[0]
    assert "trained on other clips" in remarks[0]
    lesson = a_lesson(plan, clips, LabelMatch(tables, ()), [])
    assert lesson.model is None


def part(name, expected):
    frames = 2
    table = detections([(0, 0, 0.9, 0), (1, 1, 0.2, 0)], frames)
    mask = np.ones(frames, bool)
    return PoolClip(a_clip(name, frames), mask, ~mask, table, None, expected)


def a_pool(*parts):
    needs = frozenset({"expected", "learned"})
    return build_pool(parts, classes=CLASSES, needs=needs, threshold=0.5)


def test_the_pool_holds_what_a_model_expects():
    expected = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    pool = a_pool(part("a", expected), part("b", expected + 1))
    assert pool.column("expected").tolist() == [*expected.tolist(), *(expected + 1).tolist()]
    assert pool.column("learned").tolist() == [True] * 4


def test_what_is_told_of_a_frame_stands_beside_what_ranks_it():
    expected = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    needs = frozenset({"expected", "told"})
    parts = [part("a", expected), replace(part("b", expected), told=3 * expected)]
    pool = build_pool(parts, classes=CLASSES, needs=needs, threshold=0.5)
    assert pool.column("expected").tolist() == [*expected.tolist()] * 2
    assert pool.column("told").tolist() == [*expected.tolist(), *(3 * expected).tolist()]
    # Before there is a model, what ranks is all that there is.
    pool = build_pool([part("a", None)], classes=CLASSES, needs=needs, threshold=0.5)
    assert pool.column("told").tolist() == pool.column("expected").tolist()


def test_without_a_model_the_pool_holds_the_fusion():
    pool = a_pool(part("a", None), part("b", None))
    assert pool.column("learned").tolist() == [False] * 4
    # 0.1 of unsureness against none, 0.2 of weak score against none: two deviations each.
    np.testing.assert_allclose(
        pool.column("expected")[:2], [[[2, 0], [0, 0]], [[0, 0], [0, 2]]], rtol=1e-5
    )


@pytest.mark.parametrize("needs", [frozenset(), frozenset({"errors"})])
def test_nothing_is_expected_unless_it_is_needed(needs):
    pool = build_pool([part("a", None)], classes=CLASSES, needs=needs, threshold=0.5)
    assert not {"expected", "learned"} & set(pool.columns)
