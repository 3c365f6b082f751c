"""What a simulation removes from its store once a model is not asked again."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.coherence import CoherenceOptions
from vidal.detect.spec import DetectorSpec
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.places import store_at
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.simulation.simulate import forget
from vidal.track import FlowOptions, SparseFlowPropagator
from vidal.types import Clip

CLIP = Clip("a", Path("a"), np.arange(4), Fraction(1, 25), Fraction(25), (48, 64))


@pytest.mark.parametrize(
    ("tracker", "gone", "kept"),
    [
        ("flow", {"detections", "estimate", "expected"}, {"flow"}),
        (SparseFlowPropagator(), {"detections", "estimate", "expected", "carried"}, set()),
    ],
)
def test_what_depends_on_the_model_is_forgotten_and_flow_is_not(tmp_path, tracker, gone, kept):
    plan = EvidencePlan(
        store=tmp_path,
        detector=DetectorSpec(name="scenes-tiny"),
        batch=1,
        flow=FlowOptions(),
        coherence=CoherenceOptions(),
        expected=ExpectedErrorsOptions(),
        tracker=tracker,
    )
    store, keys = store_at(tmp_path), plan.keys(CLIP)
    found = {name: getattr(keys, name) for name in gone | kept}
    for key in found.values():
        store.put(key, {"a": np.zeros(1)})
    forget(plan, {CLIP.id: CLIP})
    assert {name for name, key in found.items() if store.get(key) is None} == gone
