"""Estimators: what they learn, what they do without enough to learn from, and that they repeat."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier

from vidal.errors import UsageError
from vidal.expected_errors import (
    Evidence,
    Examples,
    ExpectedErrorsOptions,
    Judged,
    Rows,
    cross_probabilities,
    fit,
    frame_sums,
    refit,
)
from vidal.expected_errors import estimator as estimator_module
from vidal.expected_errors.correction import Calibration, calibrate, importance
from vidal.expected_errors.options import Settled
from vidal.store import from_arrays, to_arrays

COLUMNS = ("a", "b")
EMPTY = (np.zeros((0, 2), np.float32),) * 2
FIRST = ExpectedErrorsOptions(version=1)
TREES, LOGISTIC, FOREST, MIXED = (
    ExpectedErrorsOptions(estimator=name) for name in ("trees", "logistic", "forest", "mixed")
)
EVERY = pytest.mark.parametrize(
    "options", [TREES, LOGISTIC, FOREST, MIXED], ids=["trees", "logistic", "forest", "mixed"]
)


def examples(n, seed=0, rate=None, random=True):
    """Rows whose error depends on column ``a`` alone, through a steep curve; some NaN in ``b``."""
    rng = np.random.default_rng(seed)
    evidence = rng.normal(size=(n, 2)).astype(np.float32)
    chance = 1 / (1 + np.exp(-3 * evidence[:, 0])) if rate is None else np.full(n, rate)
    error = rng.random(n) < chance
    evidence[rng.random(n) < 0.2, 1] = np.nan
    clip, frame = rng.integers(0, 8, n), rng.integers(0, 50, n)
    return Examples(evidence, error, clip, frame, np.full(n, random))


def judged(n=600, seed=0, **more):
    return Judged(COLUMNS, examples(n, seed, **more), examples(n, seed + 1, **more), missed=n)


def rows_of(evidence, frame=None, labels=None):
    n = len(evidence)
    return Rows(
        np.zeros(n) if frame is None else frame,
        np.tile([0, 0, 1, 1], (n, 1)),
        np.zeros(n) if labels is None else labels,
        np.asarray(evidence, np.float32),
        COLUMNS,
    )


@EVERY
def test_the_probability_follows_the_evidence(options):
    model = fit(judged(), np.random.default_rng(0), options)
    p = model.false_positive(rows_of([[-2, 0], [0, 0], [2, np.nan]]))
    # A forest draws one of two columns at every split, and one of them tells nothing.
    sure = 0.1 if options in (TREES, LOGISTIC) else 0.3
    assert p[0] < sure
    assert 0.3 < p[1] < 0.7
    assert p[2] > 1 - sure


@EVERY
def test_sums_of_probabilities_are_counts(options):
    model, new = fit(judged(2000), np.random.default_rng(0), options), examples(2000, seed=9)
    expected = model.missed(rows_of(new.evidence)).sum()
    assert expected == pytest.approx(new.error.sum(), rel=0.1)


def test_one_seed_one_model_and_a_stored_model_is_the_same():
    first = fit(judged(), np.random.default_rng(5), TREES)
    second = fit(judged(), np.random.default_rng(5), TREES)
    kept = from_arrays(Judged, to_arrays(first.judged))
    third = refit(kept, first.seed, first.options, first.pool)
    rows = rows_of(examples(50, seed=3).evidence)
    np.testing.assert_array_equal(first.false_positive(rows), second.false_positive(rows))
    np.testing.assert_array_equal(first.missed(rows), third.missed(rows))


@pytest.mark.parametrize(
    ("n", "rate", "share"), [(0, 0.5, 1 / 2), (8, 0.0, 1 / 10), (8, 1.0, 9 / 10)]
)
def test_of_too_few_errors_only_the_share_is_learned(n, rate, share):
    model = fit(judged(n, rate=rate), np.random.default_rng(0), TREES)
    assert model.false_positive(rows_of([[0, 0], [9, 9]])).tolist() == pytest.approx([share] * 2)


@given(st.integers(0, 10**6))
@settings(max_examples=5, deadline=None)
def test_probabilities_lie_between_0_and_1(seed):
    for options in (replace(TREES, ensemble=1), LOGISTIC, FOREST):
        model = fit(judged(200, seed), np.random.default_rng(seed), options)
        p = model.false_positive(rows_of(1e3 * examples(100, seed + 2).evidence))
        assert ((p >= 0) & (p <= 1)).all()


def test_rows_of_other_columns_are_refused():
    model = fit(judged(20), np.random.default_rng(0), TREES)
    rows = rows_of([[0, 0]])
    with pytest.raises(ValueError, match="other columns"):
        model.missed(Rows(rows.frame, rows.boxes, rows.labels, rows.evidence, ("b", "a")))


def test_frame_sums_fall_on_frame_and_class():
    rows = rows_of(np.zeros((4, 2)), frame=[0, 0, 2, 2], labels=[0, 1, 1, 1])
    sums = frame_sums(rows, np.array([0.5, 0.25, 0.125, 1.0]), 3, 2)
    assert sums.tolist() == [[0.5, 0.25], [0, 0], [0, 1.125]]


def test_counts_hold_false_positives_first_and_misses_second():
    model = fit(judged(8, rate=0.0), np.random.default_rng(0), replace(TREES, blend=0.0))
    evidence = Evidence(
        2, COLUMNS, rows_of([[0, 0]], frame=[1]), np.array([0]), rows_of([[0, 0]] * 3)
    )
    # Too few examples: every row counts 1/10.
    np.testing.assert_allclose(model.counts(evidence, 1), [[[0, 0.3]], [[0.1, 0]]], rtol=1e-6)
    smooth = replace(model, options=replace(TREES, blend=1.0, width=0.5))
    side = np.exp(-2.0)
    near = smooth.counts(evidence, 1)
    assert near[:, 0, 1].tolist() == pytest.approx([0.3 / (1 + side), 0.3 * side / (1 + side)])
    assert near[1, 0, 0] == pytest.approx(0.05 + 0.05 / (1 + side))


def test_version_1_is_the_boosted_pair_of_the_first_publication():
    table = judged(600, 3)
    model, new = fit(table, np.random.default_rng(7), FIRST), examples(80, 11)
    rows = rows_of(new.evidence, frame=np.sort(np.arange(80) % 8))
    seed = int(np.random.default_rng(7).integers(2**31))
    for shift, (examples_, said) in enumerate(
        [(table.detections, model.false_positive), (table.candidates, model.missed)]
    ):
        pair = [
            HistGradientBoostingClassifier(
                max_iter=80,
                learning_rate=0.08,
                max_leaf_nodes=12,
                min_samples_leaf=20,
                max_features=0.3,
                early_stopping=False,
                random_state=seed + shift + member,
            ).fit(examples_.evidence, examples_.error)
            for member in (0, 1)
        ]
        due = np.mean([each.predict_proba(new.evidence)[:, 1] for each in pair], axis=0)
        np.testing.assert_array_equal(said(rows), due)
    # Each frame is expected by itself.
    counts = model.counts(Evidence(8, COLUMNS, rows, np.arange(80), rows), 1)
    np.testing.assert_array_equal(
        counts[..., 0], frame_sums(rows, model.false_positive(rows), 8, 1)
    )


def test_what_is_given_goes_before_what_the_version_says():
    assert FIRST.settled == Settled(0.3, "trees", 0.0, totals=False, weigh=False)
    whole = replace(FIRST, same=0.5, estimator="mixed", blend=0.5, totals=True, weigh=True)
    assert ExpectedErrorsOptions().settled == whole.settled
    assert ExpectedErrorsOptions(same=0.3).evidence_key == FIRST.evidence_key


@pytest.mark.parametrize(
    "wrong", [{"version": 3}, {"same": 0.2}, {"same": 1.5}, {"blend": -0.1}, {"width": -1.0}]
)
def test_options_that_cannot_be_meant_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(UsageError, match=name):
        ExpectedErrorsOptions(**wrong)


def test_a_mixed_model_says_the_mean_of_its_two_families():
    table, rows = judged(), rows_of(examples(50, 3).evidence)
    trees, forest, mixed = (
        fit(table, np.random.default_rng(0), options).missed(rows)
        for options in (TREES, FOREST, MIXED)
    )
    np.testing.assert_allclose(mixed, (trees + forest) / 2, rtol=1e-12)


def test_a_member_that_drew_rows_of_one_verdict_alone_is_left_out(monkeypatch):
    table = examples(4000, rate=0.0)
    few = replace(table, error=np.arange(4000) < 6)
    monkeypatch.setattr(estimator_module, "MOST_ROWS", 50)
    model = fit(Judged(COLUMNS, few, few, 6), np.random.default_rng(0), MIXED)
    assert model.missed(rows_of([[0, 0]])).tolist() == pytest.approx([7 / 4002])


def test_joined_rounds_keep_all_rows_in_order():
    parts = [judged(30, seed) for seed in (0, 5)]
    both = Judged.join(parts)
    assert both.missed == 60
    for name in ("evidence", "error", "clip", "frame", "random"):
        each = [getattr(part.candidates, name) for part in parts]
        np.testing.assert_array_equal(getattr(both.candidates, name), np.concatenate(each))
    with pytest.raises(ValueError, match="other columns"):
        Judged.join([parts[0], replace(parts[1], columns=("a", "c"))])


def test_out_of_fold_probabilities_do_not_know_their_own_rows():
    noise = judged(400, rate=0.5)
    model = fit(noise, np.random.default_rng(0), TREES)
    p, _ = cross_probabilities(model)
    seen = model.false_positive(rows_of(noise.detections.evidence))
    error = noise.detections.error
    brier = ((p - error) ** 2).mean()
    # Noise cannot be predicted: at least the 1/4 of always saying 1/2.
    assert brier > 0.25
    assert ((seen - error) ** 2).mean() < brier - 0.05


@pytest.mark.parametrize(("clips", "frames"), [(40, 1), (3, 14)], ids=["clips", "frames"])
def test_rows_of_one_clip_or_frame_do_not_teach_one_another(clips, frames):
    # Every group has a look and a verdict of its own: who has seen one row of it knows them all.
    rng = np.random.default_rng(2)
    clip = np.repeat(np.arange(clips), frames * 20)
    frame = np.tile(np.repeat(np.arange(frames), 20), clips)
    group = clip * frames + frame
    verdict, look = rng.random(clips * frames) < 0.5, rng.normal(size=(clips * frames, 2))
    table = Examples(
        look[group].astype(np.float32), verdict[group], clip, frame, np.ones(len(group), bool)
    )
    p, _ = cross_probabilities(refit(Judged(COLUMNS, table, table, 0), 0, TREES, EMPTY))
    assert ((p - table.error) ** 2).mean() > 0.2
    # Every fold is used, and what one fold cannot know another does not tell it.
    assert len(np.unique(p.round(6))) > 5


def test_calibration_is_learned_from_rows_that_the_estimator_had_not_seen():
    # A faint sign: on its own rows an ensemble is too sure and yet too right.
    rng = np.random.default_rng(3)
    evidence = rng.normal(size=(800, 2)).astype(np.float32)
    error = rng.random(800) < 0.5 + 0.15 * np.sign(evidence[:, 0])
    number = np.arange(800)
    table = Examples(evidence, error, number % 8, number, np.ones(800, bool))
    plain, calibrated = (
        refit(Judged(COLUMNS, table, table, 0), 0, replace(TREES, correction=name), EMPTY)
        for name in ("none", "calibration")
    )
    rows = rows_of(rng.normal(size=(2000, 2)))
    due = np.where(rows.evidence[:, 0] > 0, 0.65, 0.35)
    off = [np.abs(model.missed(rows) - due).mean() for model in (plain, calibrated)]
    assert calibrated.missed(rows).std() < 0.8 * plain.missed(rows).std()
    assert off[1] < 0.9 * off[0]


def test_of_many_rows_each_member_learns_from_its_own_part(monkeypatch):
    monkeypatch.setattr(estimator_module, "MOST_ROWS", 300)
    table = judged(3000)
    whole = fit(table, np.random.default_rng(0), TREES)
    part = fit(table, np.random.default_rng(0), replace(TREES, ensemble=1))
    rows = rows_of(examples(500, 9).evidence)
    again = fit(table, np.random.default_rng(0), TREES)
    np.testing.assert_array_equal(whole.missed(rows), again.missed(rows))
    assert np.abs(whole.missed(rows) - part.missed(rows)).max() > 0.01
    assert whole.missed(rows).mean() == pytest.approx(0.5, abs=0.06)


def test_importance_weights_make_the_chosen_look_like_the_pool():
    rng = np.random.default_rng(0)
    pool = rng.normal(size=(4000, 2)).astype(np.float32)
    chosen = rng.normal((1.0, 0.0), size=(2000, 2)).astype(np.float32)
    weights = importance(chosen, pool)
    assert weights.mean() == pytest.approx(1)
    assert chosen[:, 0].mean() > 0.9
    assert abs(np.average(chosen[:, 0], weights=weights)) < 0.25


def test_columns_that_tell_nothing_apart_do_no_harm():
    table = examples(300)
    blank = np.full((300, 1), np.nan, np.float32)
    wide = replace(table, evidence=np.hstack([blank, table.evidence[:, :1], np.ones_like(blank)]))
    both = Judged(("x", "a", "y"), wide, wide, 0)
    pool = np.zeros((5, 3), np.float32)
    for options in (TREES, LOGISTIC, FOREST, replace(MIXED, correction="importance")):
        p = refit(both, 0, options, (pool, pool))
        rows = replace(rows_of(np.zeros((2, 2))), columns=both.columns, evidence=wide.evidence[:2])
        assert np.isfinite(p.missed(rows)).all()


def test_importance_without_a_pool_is_refused():
    with pytest.raises(ValueError, match="pool"):
        fit(judged(20), np.random.default_rng(0), replace(TREES, correction="importance"))


def test_calibration_moves_the_level_to_that_of_the_random_rows_and_keeps_the_order():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.02, 0.98, 4000)
    error = rng.random(4000) < p / 2
    line = calibrate(p, error)
    assert line.apply(p).sum() == pytest.approx(error.sum(), rel=0.03)
    assert (np.diff(line.apply(np.sort(p))) > 0).all()


def test_calibration_is_left_alone_with_few_or_inverted_verdicts():
    p = np.linspace(0.1, 0.9, 200)
    assert calibrate(p, p > 2) == Calibration()
    assert calibrate(p, p < 0.5) == Calibration()


def test_a_model_calibrated_on_the_random_share_counts_right_on_the_pool():
    # Chosen frames hold twice the errors that the same evidence means in the pool.
    drawn, chosen = examples(1500, 1), examples(1500, 2, rate=0.9, random=False)
    drawn = replace(drawn, error=drawn.error & (np.arange(1500) % 2 == 0))
    both = Examples.join([drawn, chosen])
    table = Judged(COLUMNS, both, both, 0)
    plain, corrected = (
        fit(table, np.random.default_rng(0), replace(TREES, correction=correction, ensemble=1))
        for correction in ("none", "calibration")
    )
    rows, due = rows_of(examples(3000, 7).evidence), examples(3000, 7).error.sum() / 2
    off = [abs(model.missed(rows).sum() - due) for model in (plain, corrected)]
    assert off[1] < 0.5 * off[0]


def test_half_of_the_models_do_not_see_where_in_the_image_a_box_lies():
    table = Judged(("bottom", "b"), examples(600), examples(600, 1), missed=600)
    rows = replace(rows_of([[-2, 0], [2, 0]]), columns=("bottom", "b"))

    def spread(count, estimator="trees"):
        options = ExpectedErrorsOptions(ensemble=count, estimator=estimator)
        p = fit(table, np.random.default_rng(0), options).false_positive(rows)
        return p[1] - p[0]

    assert spread(1) > 0.8
    assert 0.4 < spread(2) < 0.6
    assert abs(spread(1, "logistic")) < 0.05
