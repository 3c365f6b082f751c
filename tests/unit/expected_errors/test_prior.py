"""The prior that comes with vidal: what it is made of, and what it may be asked about."""

import json
import zipfile

import numpy as np
import pytest

from vidal.evidence.gather import clip_evidence
from vidal.expected_errors import ExpectedErrorsOptions, fit, nothing_judged, prior_for
from vidal.expected_errors.prior import PRIOR, shipped_prior
from vidal.types import Detections

KINDS = ("detections", "candidates")
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
    assert PRIOR.stat().st_size < 1.5e6
    with zipfile.ZipFile(PRIOR) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                array = np.lib.format.read_array(member, allow_pickle=False)
            assert array.dtype.kind in "fu"


def test_the_prior_is_of_todays_evidence():
    """Fails where evidence has gained, lost or renamed a column: run tools/make_prior.py."""
    assert shipped_prior().judged.columns == evidence_of(PARKED).columns


def test_detectors_of_every_strength_are_in_the_prior_and_errors_of_both_kinds():
    prior = shipped_prior()
    json.dumps(prior.about)
    precisions = list(prior.about["AP50"].values())
    assert precisions == sorted(precisions)
    assert precisions[0] < 0.1
    assert precisions[-1] > 0.8
    for kind in KINDS:
        rows = getattr(prior.judged, kind)
        detector = rows.clip // 1000
        counts = np.bincount(detector)
        assert len(counts) == len(precisions)
        assert (counts == counts[0]).all()
        shares = [rows.error[detector == n].mean() for n in range(len(counts))]
        assert 0 < min(shares) < max(shares) < 1
        # Of a stronger detector less of what is above the threshold is false.
        assert kind == "candidates" or shares == sorted(shares, reverse=True)


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
