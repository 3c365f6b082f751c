"""Expected against found errors: of the right frames, by the model of the time."""

from dataclasses import replace

import numpy as np
import pytest

from vidal.expected_errors import Examples, ExpectedErrorsOptions, Judged
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


def judged_round(number, seed, rows=400, beyond=7):
    rng = np.random.default_rng(seed)
    candidates = examples(rng, rows)
    judged = Judged(("p",), examples(rng, rows), candidates, int(candidates.error.sum()) + beyond)
    return JudgedRound(number, judged, "unseen")


def test_a_round_is_expected_by_the_earlier_rounds_alone():
    rounds = [judged_round(n, seed) for n, seed in ((1, 5), (2, 6), (4, 7))]
    told = forecasts(rounds, 9, OPTIONS)
    assert [each.round for each in told] == [2, 4]
    model = fit_expected_errors(
        [each.judged for each in rounds[:2]], step_rng(9, 4, LEARN), OPTIONS
    )
    due = model.probabilities(rounds[2].judged)
    last = told[1]
    assert last.false_positives.said == pytest.approx(due[0].sum())
    assert last.false_positives.found == int(rounds[2].judged.detections.error.sum())
    # Objects that no candidate stands for were found all the same.
    assert last.misses.found == rounds[2].judged.missed
    assert last.misses.brier < last.misses.base
    assert f"annotators {last.false_positives.found + last.misses.found} " in last.sentence
    assert last.sentence.startswith("Round 4:")


def test_a_selection_tells_of_the_newest_round_or_of_all_labels():
    rounds = [judged_round(0, 1), judged_round(1, 2)]
    model = fit_expected_errors([each.judged for each in rounds], step_rng(0, 2, LEARN), OPTIONS)
    assert newest_forecast(rounds, model, 0).round == 1
    alone = fit_expected_errors([rounds[0].judged], step_rng(0, 1, LEARN), OPTIONS)
    told = newest_forecast(rounds[:1], alone, 0)
    assert told.round is None
    assert told == cross_forecast(alone)
    assert told.false_positives.rows == 400
    assert newest_forecast(rounds, None, 0) is None


def test_a_forecast_is_json_also_where_nothing_was_judged():
    earlier, empty = judged_round(0, 1), judged_round(1, 2, rows=0)
    (told,) = forecasts([earlier, empty], 0, OPTIONS)
    plain = told.as_dict()
    assert plain["misses"]["brier"] is None
    assert plain["misses"]["found"] == 7
    assert plain["round"] == 1
    nothing = replace(earlier, judged=empty.judged)
    assert forecasts([nothing, earlier], 0, OPTIONS) == []
