"""Labels of elsewhere: they count by what they do for the own ones."""

from dataclasses import replace

import numpy as np
import pytest

from vidal.expected_errors import (
    Examples,
    ExpectedErrorsOptions,
    Judged,
    Misses,
    Rows,
    fit,
    weighed,
)
from vidal.expected_errors.foreign import WEIGHTS, foreign_weight
from vidal.expected_errors.totals import learn_totals

COLUMNS = ("sign", "noise")
OPTIONS = [ExpectedErrorsOptions(estimator=name, prior=0) for name in ("trees", "forest", "mixed")]


def examples(rng, frames, sign, clip=0, rows=4):
    """Rows whose error is likelier the higher (sign 1) or the lower (sign -1) the first column."""
    frame = np.repeat(np.arange(frames), rows)
    evidence = rng.normal(size=(len(frame), 2)).astype(np.float32)
    chance = 1 / (1 + np.exp(-3 * sign * evidence[:, 0]))
    error = rng.random(len(frame)) < chance
    return Examples(evidence, error, np.full(len(frame), clip), frame, np.ones(len(frame), bool))


def judged(seed, frames, sign=1.0, clip=0):
    rng = np.random.default_rng(seed)
    first, second = (examples(rng, frames, sign, clip) for _ in range(2))
    missed = np.bincount(second.frame[second.error], minlength=frames)[:, None]
    misses = Misses(np.full(frames, clip), np.arange(frames), missed + 1, missed)
    return Judged(COLUMNS, first, second, int(missed.sum()) + frames, misses)


def test_labels_that_mislead_count_little_and_labels_that_help_count_in_full():
    own = judged(0, 60)
    assert foreign_weight(own, judged(1, 300, sign=-1.0, clip=1)) <= 0.03
    assert foreign_weight(own, judged(1, 300, sign=1.0, clip=1)) == 1


@pytest.mark.parametrize("frames", [0, 5, 15])
def test_few_own_labels_cannot_tell(frames):
    own = judged(0, frames)
    assert foreign_weight(own, judged(1, 300, sign=-1.0, clip=1)) == 1
    assert foreign_weight(judged(0, 60), judged(1, 0)) == 1


def test_both_are_kept_and_the_foreign_ones_are_weighed_with_their_misses():
    own, foreign = judged(0, 60), judged(1, 300, sign=-1.0, clip=1)
    both, weight = weighed(own, foreign)
    assert weight in WEIGHTS
    assert weight < 1
    for rows, here in ((both.detections, own.detections), (both.candidates, own.candidates)):
        assert len(rows) == 4 * 360
        assert rows.weight.tolist() == [weight] * 1200 + [1.0] * 240
        np.testing.assert_array_equal(rows.evidence[1200:], here.evidence)
    assert both.misses.weight.tolist() == [weight] * 300 + [1.0] * 60
    assert both.missed == own.missed + foreign.missed


@pytest.mark.parametrize("options", OPTIONS, ids=lambda each: each.estimator)
def test_a_model_of_weighed_rows_follows_the_own_ones(options):
    own, foreign = judged(0, 60), judged(1, 600, sign=-1.0, clip=1)
    rows = Rows(
        np.zeros(2),
        np.tile([0, 0, 1, 1], (2, 1)),
        np.zeros(2),
        np.array([[-2, 0], [2, 0]], np.float32),
        COLUMNS,
    )
    mixed, alone = (
        fit(table, np.random.default_rng(0), options).missed(rows)
        for table in (Judged.join([foreign, own]), weighed(own, foreign)[0])
    )
    assert mixed[1] < 0.4 < 0.6 < mixed[0]
    assert alone[0] < 0.4 < 0.6 < alone[1]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda each: each.estimator)
def test_rows_of_no_weight_are_not_seen(options):
    own, foreign = judged(0, 60), judged(1, 300, sign=-1.0)
    nothing = replace(foreign.candidates, weight=np.zeros(1200))
    both = Judged(COLUMNS, own.detections, Examples.join([own.candidates, nothing]), 0)
    plain = Judged(COLUMNS, own.detections, own.candidates, 0)
    asked = examples(np.random.default_rng(5), 20, 1.0)
    rows = Rows(np.zeros(80), np.zeros((80, 4)), np.zeros(80), asked.evidence, COLUMNS)
    p, q = (fit(each, np.random.default_rng(0), options).missed(rows) for each in (both, plain))
    # The same rows, but other draws of the forest's splits.
    np.testing.assert_allclose(p, q, atol=0.2)
    assert np.corrcoef(p, q)[0, 1] > 0.95


def test_frames_that_count_less_count_less_in_totals():
    own, foreign = judged(0, 40), judged(1, 40, clip=1)
    half = replace(foreign.misses, weight=np.full(40, 0.5))
    both = Judged.join([own, replace(foreign, misses=half)])
    p = np.full(len(both.candidates), 0.5), np.full(len(both.candidates), 0.5)
    totals = learn_totals(both, p)
    covered = own.misses.covered.sum() + foreign.misses.covered.sum() / 2
    whole = (60 + 1) / (covered + 2)
    assert totals.ratio[0] == pytest.approx(1 + (60 + 10 * whole) / (covered + 10))


@pytest.mark.parametrize(
    "wrong", [np.full(3, 2.0), np.full(3, -0.1), np.full(3, np.nan), np.ones(2)]
)
def test_weights_that_are_none_are_refused(wrong):
    table = judged(0, 1).candidates.keep(np.arange(3))
    with pytest.raises(ValueError, match="weight"):
        replace(table, weight=wrong)
