"""Detections that were stored before boxes were counted are made anew where counts are wanted."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from vidal.detect.spec import DetectorSpec
from vidal.evidence.gather import (
    EvidenceJob,
    EvidencePlan,
    gather,
    known_evidence,
    load_detections,
)
from vidal.evidence.places import store_at
from vidal.video import open_clip, write_video


@pytest.fixture
def job(tmp_path):
    images = [np.full((48, 64, 3), 60 + 20 * at, np.uint8) for at in range(3)]
    write_video(tmp_path / "c.mp4", images, Fraction(10))
    spec = DetectorSpec("scenes-tiny", device="cpu")
    plan = EvidencePlan(tmp_path / "store", spec, 2, None, None, suppressed=True)
    return EvidenceJob(open_clip(tmp_path / "c.mp4"), plan)


def without_counts(job):
    """As an earlier version stored them."""
    store, key = store_at(job.plan.store), job.plan.keys(job.clip).detections
    arrays = dict(store.get(key))
    del arrays["suppressed"]
    store.put(key, arrays)


def test_old_detections_are_read_and_only_a_strategy_that_counts_makes_them_anew(job):
    assert known_evidence(job, store_at(job.plan.store)) is None
    gather(job)
    store, keys = store_at(job.plan.store), job.plan.keys(job.clip)
    whole = load_detections(store, keys)
    assert known_evidence(job, store) is not None
    without_counts(job)
    assert known_evidence(job, store) is None
    plain = replace(job, plan=replace(job.plan, suppressed=False))
    assert known_evidence(plain, store) is not None
    assert load_detections(store, keys).suppressed.shape == (0,)
    assert plain.plan.keys(job.clip) == keys
    gather(job)
    np.testing.assert_array_equal(load_detections(store, keys).suppressed, whole.suppressed)


def test_states_of_a_training_are_looked_at_without_motion_or_estimates(job, tmp_path):
    other = DetectorSpec(weights=tmp_path / "state.safetensors", device="cpu")
    plan = replace(job.plan, snapshots=(other,))
    (again,) = plan.again
    assert again.detector == other
    assert (again.flow, again.coherence, again.expected, again.snapshots) == (None, None, None, ())
    assert job.plan.again == ()
