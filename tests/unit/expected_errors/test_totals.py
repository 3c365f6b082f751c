"""Counts: by hand on few labels, and right on a process whose truth is known."""

import numpy as np
import pytest

from vidal.expected_errors import (
    Examples,
    ExpectedErrorsOptions,
    Judged,
    Misses,
    fit,
    model_totals,
)
from vidal.expected_errors.totals import Level, Totals, learn_totals

COLUMNS = ("chance", "noise")
EVEN = Level(1.0, 0.0, 4.0, 1.0, {})


def rows(chance, error, clip, frame, labels=None):
    evidence = np.stack([chance, np.linspace(0, 1, len(chance))], axis=1).astype(np.float32)
    given = () if labels is None else (labels,)
    return Examples(evidence, error, clip, frame, np.ones(len(error), bool), *given)


def none():
    empty = np.zeros(0)
    return rows(empty, np.zeros(0, bool), np.zeros(0, int), np.zeros(0, int))


def a_table(missed, covered, clip=None):
    n = len(missed)
    return Misses(np.zeros(n, int) if clip is None else clip, np.arange(n), missed, covered)


def test_misses_that_nothing_covers_are_counted_by_class_and_few_of_a_class_by_all():
    # Cars: 30 missed, 10 covered. Bikes: 2 missed, 2 covered.
    misses = a_table(np.array([[30, 2]]), np.array([[10, 2]]))
    judged = Judged(COLUMNS, none(), none(), 32, misses)
    ratio = learn_totals(judged, (np.zeros(0), np.zeros(0))).ratio
    whole = (20 + 1) / (12 + 2)
    assert ratio.tolist() == pytest.approx([1 + (20 + 10 * whole) / 20, 1 + 10 * whole / 12])


def test_what_is_told_is_the_sum_times_ratio_and_level():
    level = Level(1.2, 0.0, 4.0, 1.0, {3: (0.5, 0.1)})
    totals = Totals(np.array([2.0, 1.5]), (EVEN, level))
    counts = np.ones((2, 2, 2), np.float32)
    assert totals.told(counts, None)[0].tolist() == pytest.approx(
        np.array([[1, 2.4], [1, 1.8]]), rel=1e-6
    )
    np.testing.assert_allclose(totals.told(counts, 3)[1], [[1, 1.0], [1, 0.75]], rtol=1e-6)
    with pytest.raises(ValueError, match="3 classes"):
        totals.told(np.ones((2, 3, 2), np.float32), None)


def test_a_clip_with_labels_has_a_level_of_its_own_held_to_that_of_all():
    # Two clips of which one holds three times what is expected: 5 are said of each.
    clip, frame = np.repeat([0, 1], 10), np.tile(np.arange(10), 2)
    found = np.where(clip == 0, 1, 0).astype(bool)
    table = rows(np.full(20, 0.5), found, clip, frame)
    misses = Misses(clip, frame, np.zeros((20, 1), int), np.zeros((20, 1), int))
    judged = Judged(COLUMNS, table, none(), 0, misses)
    totals = learn_totals(judged, (np.full(20, 0.5), np.zeros(0)))
    level = totals.levels[0]
    # Each frame is off by a half: variance 20 / 4 over a mean of 10, so nothing is clumped.
    assert level.clumped == 1
    assert level.common == pytest.approx((10 + 10) / (10 + 10))
    k = level.shape
    assert level.of(0) == pytest.approx(((k + 10) / (k + 5), 1 / (k + 10)))
    assert level.of(1) == pytest.approx((k / (k + 5), 1 / k))
    assert level.of(7) == level.of(None) == (1.0, 1 / k)


def test_a_frame_without_rows_is_a_frame_all_the_same():
    misses = a_table(np.array([[0], [3], [1]]), np.array([[0], [1], [1]]))
    covered = rows(np.full(2, 0.5), np.ones(2, bool), np.zeros(2, int), np.array([1, 2]))
    totals = learn_totals(Judged(COLUMNS, none(), covered, 4, misses), (np.zeros(0), np.ones(2)))
    assert totals.ratio[0] == pytest.approx(1 + (2 + 10 * 3 / 4) / 12)
    # 4 found of 2 * ratio that were said.
    said = 2 * totals.ratio[0]
    assert totals.levels[1].common == pytest.approx((4 + 10) / (said + 10))


def test_without_the_misses_of_frames_nothing_is_learned():
    judged = Judged(COLUMNS, none(), none(), 3)
    with pytest.raises(ValueError, match="misses"):
        learn_totals(judged, (np.zeros(0), np.zeros(0)))
    model = fit(judged, np.random.default_rng(0), ExpectedErrorsOptions())
    assert model_totals(model) is None


def test_intervals_are_log_normal_around_the_sum():
    level = Level(1.0, 0.04, 4.0, 2.0, {0: (1.0, 0.01)})
    totals = Totals(np.ones(1), (level, level))
    sums = [(0, np.array([10.0, 0.0])), (None, np.array([20.0, 0.0]))]
    (low, high), nothing, both = totals.intervals(sums)
    variance = 10**2 * 0.01 + 20**2 / 4 + 2 * 30 + 0.04 * 30**2
    sigma = np.sqrt(np.log1p(variance / 30**2))
    assert np.log([low / 30, high / 30]) == pytest.approx([-1.959964 * sigma, 1.959964 * sigma])
    assert nothing == (0, 0)
    assert both == pytest.approx((low, high))


def a_process(seed, clips=12, frames=80, spread=0.3, share=0.5):
    """Clips whose candidates are misses by their chance times the level of the clip; of ``share``
    of the misses nothing is seen."""
    rng = np.random.default_rng(seed)
    levels = rng.gamma(1 / spread, spread, clips)
    parts = []
    for clip in range(clips):
        per = rng.poisson(4, frames)
        frame = np.repeat(np.arange(frames), per)
        chance = rng.beta(1, 5, len(frame))
        error = rng.random(len(frame)) < np.minimum(chance * levels[clip], 1)
        covered = np.bincount(frame[error], minlength=frames)
        missed = covered + rng.poisson(share / (1 - share) * covered)
        number = np.full(len(frame), clip)
        everything = Misses(
            np.full(frames, clip), np.arange(frames), missed[:, None], covered[:, None]
        )
        table = rows(chance, error, number, frame)
        parts.append(Judged(COLUMNS, table, table, int(missed.sum()), everything))
    return parts


def on(part, frames):
    """The part of these frames."""
    kept = [t.keep(frames[t.frame]) for t in (part.detections, part.candidates)]
    misses = part.misses.keep(frames[part.misses.frame])
    return Judged(part.columns, *kept, int(misses.missed.sum()), misses)


def test_counts_are_right_in_sum_and_clip_by_clip_where_the_truth_is_known():
    inside, clips_inside, factors, alike, plain = [], [], [], [], []
    for seed in range(6):
        parts = a_process(seed)
        rng = np.random.default_rng(seed)
        masks = [rng.random(80) < 0.15 for _ in parts]
        labelled = Judged.join([on(part, mask) for part, mask in zip(parts, masks, strict=True)])
        model = fit(labelled, rng, ExpectedErrorsOptions(estimator="logistic"))
        totals = model_totals(model)
        rest = [on(part, ~mask) for part, mask in zip(parts, masks, strict=True)]
        sums = [totals.of_rows(each, model.probabilities(each), own=True)[0] for each in rest]
        due = np.array([each.missed for each in rest])
        told = np.array([values[1] for _, values in sums])
        low, high = totals.intervals(sums)[1]
        inside.append(low <= due.sum() <= high)
        ends = [totals.intervals([each])[1] for each in sums]
        clips_inside += [a <= d <= b for (a, b), d in zip(ends, due, strict=True)]
        factors += np.maximum(told / due, due / told).tolist()
        same = np.array(
            [totals.of_rows(each, model.probabilities(each), own=False)[0][1][1] for each in rest]
        )
        alike += np.maximum(same / due, due / same).tolist()
        plain.append(sum(model.probabilities(each)[1].sum() for each in rest) / due.sum())
        assert told.sum() / due.sum() == pytest.approx(1, abs=0.25)
    assert np.mean(plain) < 0.65
    # What a clip's own few labels (a dozen misses) say of its level is worth half the error.
    assert np.median(factors) < 1.3 < np.median(alike)
    assert sum(inside) >= 5
    assert 0.85 <= np.mean(clips_inside) <= 1
