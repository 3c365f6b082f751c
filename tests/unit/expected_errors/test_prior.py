"""The prior that comes with vidal: what it is made of, and what it may be asked about."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidal.evidence.gather import clip_evidence
from vidal.expected_errors import (
    Examples,
    ExpectedErrorsOptions,
    fit,
    nothing_judged,
    prior_for,
)
from vidal.expected_errors.prior import (
    PRIOR,
    Prior,
    Trees,
    own_share,
    read_prior,
    shipped_prior,
)
from vidal.types import Detections

ROOT = Path(__file__).parents[3]
OPTIONS = ExpectedErrorsOptions()


class Still:
    """A motion without motion."""

    def step(self, before, after, boxes):
        return boxes.copy(), np.ones(len(boxes), np.float32)


def evidence_of(scores):
    """Of parked cars: one a column of (F, N) scores, in every frame; nowhere where it is 0."""
    scores = np.array(scores, np.float32)
    frame, car = np.nonzero(scores)
    corner = np.stack([60 * car, np.full(len(car), 40)], axis=1)
    score = scores[frame, car]
    found = Detections(
        classes=("car",),
        scanned=np.ones(len(scores), bool),
        frame=frame,
        boxes=np.hstack([corner, corner + np.array([20, 10])]),
        scores=score,
        labels=np.zeros(len(car)),
        probs=np.stack([score, 1 - score], axis=1),
        features=np.zeros((len(car), 0)),
        embedding=np.zeros((len(scores), 0)),
    )
    return clip_evidence(found, Still(), None, OPTIONS, size=(100, 200))


# Seen, seen, hardly seen, not seen, seen.
PARKED = [[0.9], [0.8], [0.2], [0], [0.6]]


def test_the_prior_is_small_and_holds_plain_arrays():
    assert PRIOR.stat().st_size < 1e5
    with zipfile.ZipFile(PRIOR) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                array = np.lib.format.read_array(member, allow_pickle=False)
            assert array.dtype.kind in "fub"


def test_the_prior_is_of_todays_evidence():
    """Fails where evidence has gained, lost or renamed a column: run tools/make_prior.py."""
    assert shipped_prior().columns == evidence_of(PARKED).columns


def test_detectors_from_useless_to_good_are_in_the_prior():
    about = shipped_prior().about
    assert json.loads(json.dumps(about)) == about
    precisions = list(about["AP50"].values())
    assert len(precisions) == 5
    assert precisions == sorted(precisions)
    assert precisions[0] < 0.1
    assert precisions[-1] > 0.8


NAN = float("nan")
# Two trees. Column 0: up to 1 left, unknown right. Below it on the right column 1: up to 5 left,
# unknown left. The second tree asks column 1 alone: up to 0 left, unknown left.
BY_HAND = Trees(
    roots=np.array([0, 5]),
    feature=np.array([0, 0, 1, 0, 0, 1, 0, 0]),
    threshold=np.array([1, 0, 5, 0, 0, 0, 0, 0], np.float32),
    left=np.array([1, 1, 3, 3, 4, 6, 6, 7]),
    right=np.array([2, 1, 4, 3, 4, 7, 6, 7]),
    unknown_left=np.array([0, 0, 1, 0, 0, 1, 0, 0], np.bool_),
    value=np.array([0, 10, 0, 20, 30, 0, 1, 2.0]),
    base=-20.0,
    depth=2,
)


@pytest.mark.parametrize(
    ("row", "sum_of_leaves"),
    [
        ([1, 0], 10 + 1),  # a value at the threshold goes left
        ([1.01, 5], 20 + 2),
        ([2, 5.01], 30 + 2),
        ([NAN, 9], 30 + 2),
        ([NAN, NAN], 20 + 1),
        ([0, NAN], 10 + 1),
    ],
)
def test_a_row_adds_up_the_leaves_that_it_falls_into(row, sum_of_leaves):
    odds = -20 + sum_of_leaves
    (p,) = BY_HAND.probability(np.array([row], np.float32))
    assert p == pytest.approx(1 / (1 + np.exp(-odds)))


def test_any_number_of_rows_is_asked_and_none():
    assert BY_HAND.probability(np.zeros((0, 2), np.float32)).shape == (0,)
    rows = np.random.default_rng(0).normal(1, 3, (9001, 2)).astype(np.float32)
    each = np.concatenate([BY_HAND.probability(rows[at : at + 1]) for at in (0, 256, 9000)])
    np.testing.assert_array_equal(BY_HAND.probability(rows)[[0, 256, 9000]], each)


def test_kept_trees_say_what_scikit_learn_says(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "tools")
    make_prior = pytest.importorskip("make_prior")
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(3000, 6)).astype(np.float32)
    error = evidence[:, 0] + np.abs(evidence[:, 1]) + rng.normal(size=3000) > 1
    evidence[rng.random(evidence.shape) < 0.2] = np.nan
    forest = make_prior.HistGradientBoostingClassifier(max_iter=20, random_state=0)
    forest.fit(evidence[:2000], error[:2000])
    trees = make_prior.exported(forest)
    said = forest.predict_proba(evidence)[:, 1]
    np.testing.assert_allclose(trees.probability(evidence), said, rtol=1e-6)
    path = tmp_path / "prior.npz"
    make_prior.write_prior(path, Prior(tuple("abcdef"), (trees, BY_HAND), {"seed": 1}))
    again = read_prior(path)
    assert (again.columns, again.about) == (tuple("abcdef"), {"seed": 1})
    np.testing.assert_allclose(again.trees[0].probability(evidence), said, rtol=1e-4)


def test_a_model_of_nothing_but_the_prior_is_the_prior():
    evidence = evidence_of(PARKED)
    model = fit(nothing_judged(evidence.columns), np.random.default_rng(0), OPTIONS)
    false, missed = prior_for(evidence.columns, OPTIONS)
    assert model.own_share == (0.0, 0.0)
    rows, places = evidence.detections, evidence.candidates
    np.testing.assert_array_equal(model.false_positive(rows), false.probability(rows.evidence))
    np.testing.assert_array_equal(model.missed(places), missed.probability(places.evidence))


@pytest.mark.parametrize("seed", [0, 7])
def test_the_prior_does_not_depend_on_the_seed_of_a_run(seed):
    evidence = evidence_of(PARKED)
    first, second = (
        fit(nothing_judged(evidence.columns), np.random.default_rng(n), OPTIONS).counts(evidence, 1)
        for n in (seed, seed + 1)
    )
    np.testing.assert_array_equal(first, second)


def test_a_surer_detection_is_expected_to_be_false_less_often():
    evidence = evidence_of([[0.55, 0.99]] * 5)
    model = fit(nothing_judged(evidence.columns), np.random.default_rng(0), OPTIONS)
    unsure, sure = model.false_positive(evidence.detections).reshape(5, 2).T
    assert (unsure > sure).all()


def test_without_a_prior_nothing_judged_is_worth_a_half():
    evidence = evidence_of(PARKED)
    own = ExpectedErrorsOptions(prior=0)
    model = fit(nothing_judged(evidence.columns), np.random.default_rng(0), own)
    assert model.own_share == (1.0, 1.0)
    assert model.false_positive(evidence.detections).tolist() == [0.5] * 3


def test_the_prior_fades_as_errors_are_judged_and_is_gone_after_nine_times_its_worth():
    shares = [own_share(errors, 20) for errors in (0, 5, 20, 60, 179)]
    assert shares == pytest.approx([0, 0.2, 0.5, 0.75, 179 / 199])
    assert own_share(180, 20) == own_share(10_000, 20) == own_share(0, 0) == 1


def test_own_labels_and_the_prior_are_mixed_by_that_share():
    evidence = evidence_of([[0.55, 0.99]] * 30)
    rows = evidence.detections
    error = np.arange(60) % 2 == 0
    none = np.zeros(60, np.int64)
    examples = Examples(rows.evidence, error, none, rows.frame, np.ones(60, np.bool_))
    judged = replace(nothing_judged(rows.columns), detections=examples)
    alone, prior, mixed = (
        fit(table, np.random.default_rng(0), ExpectedErrorsOptions(prior=worth))
        for table, worth in ((judged, 0), (nothing_judged(rows.columns), 20), (judged, 60))
    )
    assert mixed.own_share == (pytest.approx(30 / 90), 0.0)
    expected = alone.false_positive(rows) / 3 + 2 * prior.false_positive(rows) / 3
    np.testing.assert_allclose(mixed.false_positive(rows), expected)
