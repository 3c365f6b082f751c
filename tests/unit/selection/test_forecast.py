"""Expected against found errors: of the right frames, by the model of the time."""

from dataclasses import replace

import numpy as np
import pytest

from vidal.expected_errors import (
    Evidence,
    Examples,
    ExpectedErrorsOptions,
    Judged,
    Misses,
    Rows,
    cross_probabilities,
    model_totals,
)
from vidal.selection.draws import LEARN, step_rng
from vidal.selection.expected import JudgedRound, fit_expected_errors
from vidal.selection.forecast import cross_forecast, forecasts, newest_forecast

OPTIONS = ExpectedErrorsOptions(ensemble=1)


def examples(rng, rows, clips=6):
    """One column that tells the probability of an error, which is drawn by it."""
    p = rng.uniform(0, 1, rows).astype(np.float32)
    return Examples(
        evidence=p[:, None],
        error=rng.random(rows) < p,
        clip=np.sort(rng.integers(0, clips, rows)),
        frame=np.arange(rows),
        random=np.ones(rows, bool),
    )


def judged_round(number, seed, rows=400, beyond=7, known=False):
    """A round in which ``beyond`` objects were missed where no candidate lies."""
    rng = np.random.default_rng(seed)
    first, candidates = examples(rng, rows), examples(rng, rows)
    missed, misses = int(candidates.error.sum()) + beyond, Misses.none()
    if known:
        covered = candidates.error.astype(int)[:, None]
        more = (np.arange(rows) < beyond).astype(int)[:, None]
        misses = Misses(candidates.clip, candidates.frame, covered + more, covered)
    return JudgedRound(number, Judged(("p",), first, candidates, missed, misses), "unseen")


def test_a_round_is_expected_by_the_earlier_rounds_alone():
    rounds = [judged_round(n, seed) for n, seed in ((1, 5), (2, 6), (4, 7))]
    told = forecasts(rounds, 9, OPTIONS)
    assert [each.round for each in told] == [2, 4]
    model = fit_expected_errors(
        [each.judged for each in rounds[:2]], step_rng(9, 4, LEARN), OPTIONS
    )
    due = model.probabilities(rounds[2].judged)
    only = fit_expected_errors([rounds[0].judged], step_rng(9, 2, LEARN), OPTIONS)
    assert said(told[0]) == pytest.approx(
        sum(p.sum() for p in only.probabilities(rounds[1].judged))
    )
    last = told[1]
    assert last.false_positives.said == pytest.approx(due[0].sum())
    assert last.false_positives.found == int(rounds[2].judged.detections.error.sum())
    # Objects that no candidate stands for were found all the same.
    assert last.misses.found == rounds[2].judged.missed
    assert last.misses.brier < last.misses.base
    assert f"annotators found {last.false_positives.found + last.misses.found} (" in last.sentence
    assert last.sentence.startswith("Round 4:")


def test_a_selection_tells_of_the_newest_round_or_of_all_labels():
    rounds = [judged_round(0, 1), judged_round(1, 2)]
    model = fit_expected_errors([each.judged for each in rounds], step_rng(0, 2, LEARN), OPTIONS)
    assert newest_forecast(rounds, model, None, 0).round == 1
    alone = fit_expected_errors([rounds[0].judged], step_rng(0, 1, LEARN), OPTIONS)
    told = newest_forecast(rounds[:1], alone, None, 0)
    assert told.round is None
    assert told == cross_forecast(alone, None)
    assert told.false_positives.rows == 400
    assert newest_forecast(rounds, None, None, 0) is None


def turned(entry):
    """The same round, judged by a model that erred where this one is right."""
    kinds = (entry.judged.detections, entry.judged.candidates)
    first, second = (replace(each, error=~each.error) for each in kinds)
    return replace(entry, judged=replace(entry.judged, detections=first, candidates=second))


@pytest.mark.parametrize("version", [1, 2])
def test_rounds_of_models_that_erred_elsewhere_age_out(version):
    options = replace(OPTIONS, version=version, estimator="forest")
    old, new = turned(judged_round(0, 1, rows=1200)), judged_round(1, 2, rows=300)
    model = fit_expected_errors(
        [each.judged for each in (old, new)], step_rng(0, 2, LEARN), options
    )
    ends = Rows(
        np.zeros(2), np.zeros((2, 4)), np.zeros(2), np.array([[0.1], [0.9]], np.float32), ("p",)
    )
    low, high = model.missed(ends)
    if version == 1:
        assert low > high
        assert (model.judged.candidates.weight == 1).all()
    else:
        assert low < 0.35 < 0.65 < high


def test_labels_of_clips_that_nothing_is_chosen_from_count_by_what_they_do_for_the_others():
    old, new = turned(judged_round(0, 1, rows=1200)), judged_round(0, 2, rows=300)
    moved = [
        replace(each, clip=each.clip + 50)
        for each in (old.judged.detections, old.judged.candidates)
    ]
    both = Judged.join([replace(old.judged, detections=moved[0], candidates=moved[1]), new.judged])
    weights = [
        fit_expected_errors(
            [both], step_rng(0, 1, LEARN), OPTIONS, own=own
        ).judged.candidates.weight
        for own in (None, range(6), range(60))
    ]
    assert (weights[0] == 1).all()
    assert weights[1].max() == 1
    assert weights[1].min() <= 0.03
    assert (weights[2] == 1).all()


@pytest.mark.parametrize("version", [1, 2])
def test_a_forecast_counts_also_what_no_candidate_covers_and_says_how_sure_it_is(version):
    options = replace(OPTIONS, version=version, estimator="logistic")
    rounds = [judged_round(n, n, beyond=150, known=True) for n in (0, 1)]
    (told,) = forecasts(rounds, 0, options)
    model = fit_expected_errors([rounds[0].judged], step_rng(0, 1, LEARN), options)
    found = told.false_positives.found + told.misses.found
    if version == 1:
        assert told.expected is None
        assert said(told) < 0.85 * found
        assert "most likely" not in told.sentence
        return
    # By the model that selected the round, with its own totals.
    totals = model_totals(model)
    sums = totals.of_rows(rounds[1].judged, model.probabilities(rounds[1].judged), own=True)
    assert told.expected[2].value == pytest.approx(sum(values.sum() for _, values in sums))
    assert told.expected[2].value == pytest.approx(found, rel=0.1)
    assert told.expected[2].low < found < told.expected[2].high
    parts = [round(each.value) for each in told.expected[:2]]
    assert f": {sum(parts):,} error" in told.sentence
    assert told.as_dict()["expected"]["errors"]["low"] == told.expected[2].low


def test_labels_of_other_clips_are_told_without_the_level_of_the_clip_itself():
    judged = judged_round(0, 3, beyond=100, known=True)
    model = fit_expected_errors([judged.judged], step_rng(0, 1, LEARN), OPTIONS)
    totals = model_totals(model)
    told = newest_forecast([judged], model, totals, 0).expected[1]
    said_ = cross_probabilities(model)[1].sum()
    assert told.value == pytest.approx(said_ * totals.ratio[0] * totals.levels[1].common)


def test_a_forecast_is_json_also_where_nothing_was_judged():
    earlier, empty = judged_round(0, 1), judged_round(1, 2, rows=0)
    (told,) = forecasts([earlier, empty], 0, OPTIONS)
    plain = told.as_dict()
    assert plain["misses"]["brier"] is None
    assert plain["misses"]["found"] == 7
    assert plain["round"] == 1
    nothing = replace(earlier, judged=empty.judged)
    assert forecasts([nothing, earlier], 0, OPTIONS) == []


CALIBRATED = replace(OPTIONS, correction="calibration")
WEIGHTED = replace(OPTIONS, correction="importance")


def chosen_round(number, seed, rows=800):
    """Chosen frames hold twice the errors that the same evidence means among drawn ones."""
    rng = np.random.default_rng(seed)
    kinds = []
    for _ in range(2):
        table = examples(rng, rows)
        drawn = rng.random(rows) < 0.5
        error = table.error & (~drawn | (rng.random(rows) < 0.5))
        kinds.append(replace(table, error=error, random=drawn))
    judged = Judged(("p",), *kinds, int(kinds[1].error.sum()))
    return JudgedRound(number, judged, "unseen")


def a_pool(low, high, rows=500):
    """Evidence of one clip, evenly between two values of the column."""
    p = np.linspace(low, high, rows, dtype=np.float32)[:, None]
    table = Rows(
        np.zeros(rows, int), np.tile([0, 0, 1, 1], (rows, 1)), np.zeros(rows, int), p, ("p",)
    )
    return [Evidence(1, ("p",), table, np.arange(rows), table)]


def said(told):
    return told.false_positives.said + told.misses.said


def test_labels_of_other_clips_are_expected_by_a_model_calibrated_like_the_one_that_selects():
    judged = chosen_round(0, 3)
    model, plain = (
        fit_expected_errors([judged.judged], step_rng(0, 1, LEARN), options)
        for options in (CALIBRATED, OPTIONS)
    )
    # What the model that selects expects of these frames: far less than an uncalibrated one.
    due = sum(p.sum() for p in model.probabilities(judged.judged))
    told = said(newest_forecast([judged], model, None, 0))
    assert told == pytest.approx(due, rel=0.1)
    assert said(newest_forecast([judged], plain, None, 0)) > 1.25 * told


def test_labels_of_other_clips_are_expected_by_a_model_weighted_like_the_one_that_selects():
    # Errors do not follow the column in one line: which part of it counts changes the fit.
    rng = np.random.default_rng(8)
    p = rng.uniform(0, 1, 1500).astype(np.float32)
    error = rng.random(1500) < np.where(p < 0.5, 0.8, 0.2) * (1 - p)
    table = replace(examples(rng, 1500), evidence=p[:, None], error=error)
    judged = Judged(("p",), table, table, int(error.sum()))
    logistic = replace(WEIGHTED, estimator="logistic")
    low, high = (
        fit_expected_errors([judged], step_rng(0, 1, LEARN), logistic, pool=a_pool(*ends))
        for ends in ((0.0, 0.3), (0.7, 1.0))
    )
    rounds = [JudgedRound(0, judged, "unseen")]
    for model in (low, high):
        due = sum(p.sum() for p in model.probabilities(judged))
        assert said(newest_forecast(rounds, model, None, 0)) == pytest.approx(due, rel=0.05)
    assert abs(said(cross_forecast(low, None)) - said(cross_forecast(high, None))) > 50


def test_a_round_is_expected_with_the_weights_of_the_pool_it_was_selected_from():
    asked = []

    def pool():
        asked.append(1)
        return a_pool(0.0, 0.2)

    first, second = chosen_round(0, 4), replace(chosen_round(1, 5), pool=pool)
    (told,) = forecasts([first, second], 0, WEIGHTED)
    model = fit_expected_errors(
        [first.judged], step_rng(0, 1, LEARN), WEIGHTED, pool=a_pool(0.0, 0.2)
    )
    due = sum(p.sum() for p in model.probabilities(second.judged))
    assert said(told) == pytest.approx(due, rel=1e-9)
    plain = fit_expected_errors([first.judged], step_rng(0, 1, LEARN), OPTIONS)
    assert abs(due - sum(p.sum() for p in plain.probabilities(second.judged))) > 0.1
    assert asked == [1]


def test_a_calibrated_round_is_expected_by_the_calibrated_model_of_the_time():
    first, second = chosen_round(0, 4), chosen_round(1, 5)
    (told,) = forecasts([first, second], 0, CALIBRATED)
    model = fit_expected_errors([first.judged], step_rng(0, 1, LEARN), CALIBRATED)
    assert said(told) == pytest.approx(sum(p.sum() for p in model.probabilities(second.judged)))


@pytest.mark.parametrize("gone", [None, lambda: None], ids=["no model", "evidence deleted"])
def test_without_the_pool_of_the_time_no_other_model_speaks_for_a_weighted_one(gone):
    rounds = [chosen_round(0, 4), replace(chosen_round(1, 5), pool=gone)]
    assert forecasts(rounds, 0, WEIGHTED) == []
    model = fit_expected_errors(
        [each.judged for each in rounds], step_rng(0, 2, LEARN), WEIGHTED, pool=a_pool(0, 1)
    )
    assert newest_forecast(rounds, model, None, 0).round is None
    # The others need no pool.
    assert [each.round for each in forecasts(rounds, 0, OPTIONS)] == [1]
