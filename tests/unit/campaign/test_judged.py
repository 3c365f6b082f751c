"""What a campaign learns from its answers: by whom frames are judged, and that it is the truth."""

from dataclasses import replace

import numpy as np
import pytest

from vidal.assemble.campaign import begin_campaign, plan_round
from vidal.assemble.evaluation import _queries
from vidal.campaign import judged
from vidal.campaign.accuracy import TRAINED_ON
from vidal.campaign.config import parse_config
from vidal.campaign.folder import open_campaign
from vidal.campaign.judged import judge_rounds
from vidal.campaign.loop import answer_round, select_round, train_round
from vidal.campaign.oracle import TruthOracle
from vidal.campaign.source import open_source
from vidal.campaign.training import detector_spec
from vidal.detect import load_detector
from vidal.detect.checkpoints import load_checkpoint
from vidal.evaluate.matching import match_clip
from vidal.evidence.gather import load_detections
from vidal.evidence.gathered import gather_clips
from vidal.evidence.places import store_at
from vidal.scenes import plan
from vidal.scenes.scene_files import write_scenes
from vidal.selection.forecast import forecasts
from vidal.selection.learn import learn
from vidal.selection.quality import judge_query

CLASSES = ["car", "pedestrian", "cyclist", "wheelchair"]


class Quiet:
    def __init__(self):
        self.scanned = 0

    def begin(self, clips, known):
        self.scanned += len(clips)

    def advance(self, item, done, total):
        pass

    def finish(self, item, remark):
        pass


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Three short rendered clips with labels."""
    out = tmp_path_factory.mktemp("scenes")
    write_scenes(out, plan(3, 5, frames=(14, 14)))
    return out


@pytest.fixture
def make(tmp_path, scenes):
    """Begins a campaign on rendered clips, opened."""
    opened = []

    def begin(start="weights", detector=None, classes=CLASSES, **selection):
        name = f"w{len(opened)}"
        values = {
            "data": {
                "videos": str(scenes / "clips"),
                "labels": str(scenes / "labels.coco.json"),
                "classes": classes,
            },
            "detector": detector or {"name": "scenes-tiny", "start": start, "device": "cpu"},
            "selection": {
                "initial": 6, "budget": 3, "gap": 1,
                "strategy": "expected-errors", "threshold": 0.3,
                **selection,
            },
            "training": {"epochs": 1, "batch": 2, "lr": 1e-5},
            "workers": 1,
        }  # fmt: skip
        begin_campaign(tmp_path / name, parse_config(values, "x"), initial_labels=False)
        context = open_campaign(tmp_path / name)
        opened.append(context)
        return context.__enter__()

    yield begin
    for context in opened:
        context.__exit__(None, None, None)


def one_round(campaign):
    """Select, answer by the truth, train; the result of the selection."""
    job = plan_round(campaign)
    clips = campaign.clips(job.engines)
    result = select_round(
        campaign, job.plan, clips, engines=job.engines, watcher=Quiet(), write=lambda *_: None
    )
    answer_round(campaign, TruthOracle(truth(campaign)))
    train_round(campaign, clips)
    return result


def truth(campaign):
    source = open_source(
        campaign.config,
        engines=plan_round(campaign).engines,
        store=campaign.evidence,
        scenes=campaign.folder,
    )
    return source.truth("train")


def judge(campaign, before, watcher=None):
    job = plan_round(campaign)
    clips = campaign.clips(job.engines)
    return judge_rounds(
        campaign,
        job.plan.evidence,
        clips,
        before=before,
        engines=job.engines,
        watcher=watcher or Quiet(),
    )


def errors_of(campaign, spec, number):
    """False positives and misses on the frames of a round, counted by another route."""
    job = plan_round(campaign)
    store = store_at(job.plan.evidence.store)
    evidence = replace(job.plan.evidence, detector=spec)
    tables, total = truth(campaign), np.zeros(2, np.int64)
    for name, clip in campaign.clips(job.engines).items():
        asked = [ref.index for ref in campaign.record.queried_in(number) if ref.clip == name]
        if asked:
            found = load_detections(store, evidence.keys(clip))
            match = match_clip(found, tables[name], score_floor=0.3)
            total += [
                np.isin(found.frame[match.false_positive], asked).sum(),
                np.isin(match.truth.frame[match.missed], asked).sum(),
            ]
    return total.tolist()


def test_each_round_is_judged_by_the_detector_that_had_not_seen_it(make):
    campaign = make()
    one_round(campaign)
    result = one_round(campaign)
    first, second = judge(campaign, before=2)
    for each, spec in (
        (first, detector_spec(campaign.config)),
        (second, detector_spec(campaign.config, model=campaign.model(0))),
    ):
        false, missed = errors_of(campaign, spec, each.number)
        assert each.how == "unseen"
        assert int(each.judged.detections.error.sum()) == false
        assert each.judged.missed == missed
        assert 0 < len(each.judged.detections) > false
    assert result.notes[0].startswith("Expected errors were learned from")
    assert f"{first.judged.missed} missed objects" in result.notes[0]
    assert first.judged.detections.random.all()
    assert not second.judged.detections.random.any()


@pytest.mark.parametrize("classes", [["pedestrian", "car"], CLASSES[::-1]])
def test_a_detector_of_more_classes_or_in_another_order_judges_by_those_of_the_campaign(
    make, classes
):
    campaign = make(classes=classes)
    one_round(campaign)
    result = one_round(campaign)  # learned from the first round, counts for the classes of the next
    first = judge(campaign, before=2)[0]
    assert first.how == "unseen"
    whole = replace(detector_spec(campaign.config), classes=tuple(classes))
    false, missed = errors_of(campaign, whole, 0)
    assert int(first.judged.detections.error.sum()) == false
    assert first.judged.missed == missed
    assert first.judged.detections.labels.max() < len(classes)
    assert len(result.query)


def test_a_round_is_forecast_by_the_weighted_model_that_selected_it(make):
    campaign = make(expected={"correction": "importance", "estimator": "logistic"})
    one_round(campaign)
    job = plan_round(campaign)
    clips = campaign.clips(job.engines)
    one_round(campaign)
    rounds = judge(campaign, before=2)
    # The model of that selection, by the route that the selection takes.
    evidence, seed = job.plan.evidence, campaign.config.seed
    found = gather_clips(evidence, list(clips.values()), engines=job.engines, watcher=Quiet())
    lesson = learn(found, evidence.expected, None, rounds[:1], seed=seed, number=1)
    due = [p.sum() for p in lesson.model.probabilities(rounds[1].judged)]
    (told,) = forecasts(rounds, seed, evidence.expected)
    assert (told.false_positives.said, told.misses.said) == pytest.approx(due)
    assert len(lesson.model.pool[0]) > 0
    # Weights need the pool of that time: without its evidence there is no forecast.
    for path in campaign.evidence.rglob("*.npz"):
        path.unlink()
    again = [replace(each, pool=rounds[1].pool) for each in rounds]
    assert forecasts(again, seed, evidence.expected) == []


def test_queries_are_judged_by_the_scores_that_chose_them_whatever_the_configuration_says_now(make):
    campaign = make()
    one_round(campaign)
    result = one_round(campaign)
    clips = campaign.clips(plan_round(campaign).engines)
    answers = {name: campaign.record.annotations(name, clips[name].frames) for name in clips}
    due = judge_query(result.query, result.load, answers, threshold=result.threshold)
    assert due.score_spearman is not None
    found = {number: (name, picks) for number, name, picks in _queries(campaign, Quiet())}
    assert found[1] == ("expected-errors", due)
    changed = campaign.config.changed(selection={"strategy": "entropy"})
    again = replace(campaign, config=changed)
    assert {n: (name, picks) for n, name, picks in _queries(again, Quiet())} == found


def test_judged_rows_are_kept_when_the_evidence_is_gone(make):
    campaign = make()
    one_round(campaign)
    (before,) = judge(campaign, before=1)
    job = plan_round(campaign)
    store = store_at(campaign.evidence)
    evidence = replace(job.plan.evidence, detector=detector_spec(campaign.config))
    for clip in campaign.clips(job.engines).values():
        store.path(evidence.keys(clip).detections).unlink(missing_ok=True)
    watcher = Quiet()
    (after,) = judge(campaign, before=1, watcher=watcher)
    assert watcher.scanned == 0
    np.testing.assert_array_equal(
        before.judged.candidates.evidence, after.judged.candidates.evidence
    )


def test_labels_that_every_model_has_seen_are_cross_fitted_by_clips(make):
    campaign = make(start="fresh", initial=9)
    one_round(campaign)
    (found,) = judge(campaign, before=1)
    assert found.how == "cross-fitted"
    rows = found.judged
    assert len(np.unique(np.r_[rows.detections.clip, rows.candidates.clip])) <= 3
    boxes = sum(int((table.labels >= 0).sum()) for table in labelled(campaign))
    matched = int((~rows.detections.error).sum())
    assert rows.missed + matched == boxes
    assert campaign.fold(0, 0).exists()
    assert campaign.fold(0, 1).exists()
    assert campaign.newest_model() == campaign.model(0)


def test_no_fold_is_judged_by_a_detector_that_was_trained_on_its_clips(make):
    campaign = make(start="fresh", initial=9)
    one_round(campaign)
    job = plan_round(campaign)
    clips = campaign.clips(job.engines)
    bench = judged._Bench(campaign, job.plan.evidence, clips, job.engines, Quiet())
    (entry,) = campaign.record.rounds()
    tables = judged._labels(campaign, clips, entry)
    assert len(tables) == 3
    seen = []
    for spec, mine in judged._cross_fitted(bench, entry, tables):
        trained = set(load_checkpoint(spec.weights).notes[TRAINED_ON])
        assert trained | set(mine) == set(tables)
        assert not trained & set(mine)
        seen += mine
    assert sorted(seen) == sorted(tables)


def test_labels_of_later_rounds_judge_nothing_of_earlier_ones(make):
    campaign = make()
    one_round(campaign)
    one_round(campaign)
    (first,) = judge(campaign, before=1)
    names = sorted(campaign.clips(plan_round(campaign).engines))
    rows = (first.judged.detections, first.judged.candidates)
    judged_frames = {
        (names[clip], frame)
        for kind in rows
        for clip, frame in zip(kind.clip.tolist(), kind.frame.tolist(), strict=True)
    }
    asked = [{(r.clip, r.index) for r in campaign.record.queried_in(n)} for n in (0, 1)]
    assert judged_frames
    assert judged_frames <= asked[0]
    assert not judged_frames & asked[1]
    assert [each.number for each in judge(campaign, before=2)] == [0, 1]


def test_clips_that_the_starting_weights_were_trained_on_judge_nothing(make, tmp_path):
    plain = make()
    first, *rest = sorted(plain.clips(plan_round(plain).engines))
    weights = tmp_path / "mine.safetensors"
    load_detector("scenes-tiny", device="cpu").save(weights, {TRAINED_ON: [first]})
    campaign = make(detector={"name": "scenes-tiny", "weights": str(weights), "device": "cpu"})
    one_round(campaign)
    (found,) = judge(campaign, before=1)
    assert found.how == "unseen"
    clips = np.r_[found.judged.detections.clip, found.judged.candidates.clip]
    assert {ref.clip for ref in campaign.record.queried_in(0)} == {first, *rest}
    assert set(clips.tolist()) == {1, 2}
    # What a model was trained on before is handed down with its weights.
    notes = load_checkpoint(campaign.model(0)).notes[TRAINED_ON]
    assert notes == sorted([first, *rest])


def labelled(campaign):
    clips = campaign.clips(plan_round(campaign).engines)
    return [campaign.record.annotations(name, clip.frames) for name, clip in clips.items()]


def test_a_strategy_that_learns_nothing_judges_nothing(make):
    campaign = make(strategy="entropy")
    one_round(campaign)
    assert judge(campaign, before=1) == []
