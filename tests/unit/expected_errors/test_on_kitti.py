"""Published KITTI detections: what is learned on some sequences holds on another one."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from vidal.evaluate.matching import match_clip
from vidal.evaluate.quality import rank_correlation
from vidal.evaluate.true_errors import true_errors
from vidal.evidence.gather import clip_evidence
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.formats import kitti_tracking
from vidal.selection.expected import JudgedClip, fit_expected_errors, judge_clips
from vidal.track.kalman import KalmanMotion
from vidal.types import Detections

REAL = Path(__file__).parents[4] / "shared" / "data" / "kitti_tracking"
OPTIONS = ExpectedErrorsOptions()


def clip(name):
    if not REAL.is_dir():
        pytest.skip(f"no {REAL}")
    source = kitti_tracking.read(REAL, classes=("Car",), ignore=("Van",))
    truth = next(each.annotations for each in source if each.name == name)
    text = gzip.decompress((REAL / "pointrcnn_car" / f"{name}.txt.gz").read_bytes()).decode()
    rows = np.array([line.split(",") for line in text.split()], dtype=object)
    rows = rows[:, [0, 2, 3, 4, 5, 6]].astype(np.float64)
    rows = rows[(rows[:, 3] > rows[:, 1]) & (rows[:, 4] > rows[:, 2])]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    scores, n = 1 / (1 + np.exp(-rows[:, 5])), len(rows)
    found = Detections(
        classes=("Car",),
        scanned=np.ones(truth.frames, bool),
        frame=rows[:, 0],
        boxes=rows[:, 1:5],
        scores=scores,
        labels=np.zeros(n),
        probs=np.stack([scores, 1 - scores], axis=1),
        features=np.zeros((n, 0)),
        embedding=np.zeros((truth.frames, 0)),
    )
    evidence = clip_evidence(found, KalmanMotion.of(found), None, OPTIONS, size=(375, 1242))
    return JudgedClip(evidence, found, truth, int(name))


@pytest.mark.realdata
def test_learned_counts_follow_the_true_ones_better_than_the_detectors_own_doubt():
    judged = judge_clips([clip("0000"), clip("0004")], OPTIONS)
    model = fit_expected_errors([judged], np.random.default_rng(0), OPTIONS)
    new = clip("0008")
    match = match_clip(new.detections, new.truth, score_floor=OPTIONS.threshold)
    true = true_errors(match).per_frame.sum(axis=1)
    learned = model.counts(new.evidence, 1).sum(axis=(1, 2))
    strong = new.detections.scores > OPTIONS.threshold
    doubt = np.bincount(
        new.detections.frame[strong], 1 - new.detections.scores[strong], minlength=len(true)
    )
    assert rank_correlation(learned, true) > 0.7
    assert rank_correlation(learned, true) > rank_correlation(doubt, true)
