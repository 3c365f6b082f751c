"""The bootstrap over seeds and test clips: against a loop that judges every draw anew."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_runs import simulated

from vidal.evaluate.curves import AP50_AT_HALF, Measure, area, curves, of_seeds
from vidal.evaluate.intervals import Interval, mean_interval
from vidal.evaluate.resampling import (
    Resampler,
    at_boxes,
    at_round,
    difference_of,
    over_area,
    ratio_of,
    widened,
)

GAINS = {"random-r": 0.5, "oracle": (0.6, 0.7, 2.0)}
ROWS, SCORES = simulated(GAINS, seeds=4, labelled=(30, 48, 66), all_data=None)
CURVES = curves(ROWS)


def resampler(scores=SCORES, draws=60, seed=0):
    return Resampler(scores, np.random.default_rng(seed), draws=draws)


def by_hand(name, number, seed=0, draws=60, clips=None):
    """The same draws, one after the other, each judged as a list of clips with repetition."""
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(32, np.full(32, 1 / 32), size=draws)
    places = (rng.random((draws, 4)) * 4).astype(int)
    found = []
    for weight, seeds in zip(weights, places, strict=True):
        sample = np.repeat(np.arange(32), weight)
        sample = sample if clips is None else sample[np.isin(sample, clips)]
        each = [
            np.nanmean(SCORES[name, s, number].scored.average_precisions(clips=sample))
            for s in seeds
        ]
        found.append(np.mean(each))
    return np.array(found)


def test_draws_are_those_of_judging_every_draw_anew():
    for number in (0, 2):
        curve = CURVES["oracle"]
        found = resampler().mean(curve, at_round(curve, number), Measure())
        np.testing.assert_allclose(found, by_hand("oracle", number), rtol=0, atol=1e-12)


def test_draws_of_a_condition_take_its_clips_alone():
    rows = curves(ROWS, Measure("condition", "night"))["oracle"]
    found = resampler().mean(rows, at_round(rows, 1), Measure("condition", "night"))
    due = by_hand("oracle", 1, clips=np.arange(8))
    np.testing.assert_allclose(found, due, rtol=0, atol=1e-12)


def test_draws_of_a_class_that_no_drawn_clip_shows_are_left_out():
    measure = Measure("class", "wheelchair")
    scores = {run: s for run, s in SCORES.items() if run[0] == "oracle"}
    curve = curves(ROWS, measure)["oracle"]
    draws = resampler(scores, draws=3000).mean(curve, at_round(curve, 2), measure)
    assert np.isnan(draws).any()  # one in 900
    interval = difference_of((curve, at_round(curve, 2)), None, resampler(scores, 3000), measure)
    assert np.isfinite([interval.low, interval.high]).all()


def test_the_same_clips_and_seeds_are_drawn_for_both_sides():
    same = CURVES["oracle"]
    sides = (same, at_round(same, 2)), (same, at_round(same, 2))
    assert difference_of(*sides, resampler(), Measure()) == Interval(0.0, 0.0, 0.0, 4)
    one, two = (CURVES[name] for name in GAINS)
    draws = [resampler().mean(c, at_round(c, 2), Measure()) for c in (one, two)]
    assert np.std(draws[0] - draws[1]) < 0.8 * np.std(draws[1])


def test_an_interval_repeats_with_the_seed_of_its_draws():
    def interval(seed):
        curve = CURVES["oracle"]
        return difference_of((curve, at_round(curve, 2)), None, resampler(seed=seed), Measure())

    assert interval(1) == interval(1) != interval(2)


def test_an_interval_reaches_as_far_as_the_wider_of_both():
    students = mean_interval([0.0, 0.1, 0.2])
    assert widened(students, None) == students
    assert widened(students, np.full(3, np.nan)) == students
    assert widened(students, np.full(9, 0.1)) == students
    wide = widened(students, np.linspace(-5, 0.1, 1001))
    assert (wide.low, wide.high) == (pytest.approx(-4.8725), students.high)
    assert widened(mean_interval([0.3]), np.zeros(5)).low == -np.inf


def test_runs_without_scores_rest_on_their_seeds():
    partly = {run: s for run, s in SCORES.items() if run != ("oracle", 3, 2)}
    curve = CURVES["oracle"]
    for scores in ({}, partly):
        found = difference_of((curve, at_round(curve, 2)), None, resampler(scores), Measure())
        assert found == mean_interval(curve.values[:, 2])
    assert resampler(partly).mean(curve, at_round(curve, 1), Measure()) is not None
    half = curves(ROWS, AP50_AT_HALF)["oracle"]
    assert resampler().mean(half, at_round(half, 1), AP50_AT_HALF) is None


def test_runs_judged_on_other_clips_are_left_out_and_counted():
    other = dict(SCORES)
    run = ("oracle", 1, 2)
    other[run] = replace(other[run], clips=("x", *other[run].clips[1:]))
    found = resampler(other)
    assert found.left_out == 1
    curve = CURVES["oracle"]
    assert found.mean(curve, at_round(curve, 2), Measure()) is None


def test_weights_over_rounds_give_the_area_and_values_between():
    curve = CURVES["oracle"]
    areas = (curve.values * over_area(curve)).sum(axis=1)
    due = [area(x, y) for x, y in zip(curve.labelled, curve.values, strict=True)]
    np.testing.assert_allclose(areas, due)
    single = replace(curve, rounds=(0,), values=curve.values[:, :1], labelled=curve.labelled[:, :1])
    np.testing.assert_array_equal(over_area(single), np.ones((4, 1)))
    at = [0, 250, 10**6, curve.boxes[3, 1]]
    found = (curve.values * at_boxes(curve, at)).sum(axis=1)
    due = [np.interp(a, x, y) for a, x, y in zip(at, curve.boxes, curve.values, strict=True)]
    np.testing.assert_allclose(found, due)


def test_a_share_of_nothing_is_none_and_one_of_a_single_seed_has_no_interval():
    mine = CURVES["oracle"]
    side = (mine, at_round(mine, 2))
    nothing = replace(mine, values=np.zeros_like(mine.values))
    assert ratio_of(side, (nothing, at_round(nothing, 2)), resampler()) is None
    whole = ratio_of(side, side, resampler())
    assert (whole.value, whole.low, whole.high) == pytest.approx((1.0, 1.0, 1.0))
    one = of_seeds(mine, [2])
    alone = ratio_of((one, at_round(one, 2)), (one, at_round(one, 1)), resampler())
    assert alone.low == -np.inf
