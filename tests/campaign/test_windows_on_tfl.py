"""Real clips of traffic cameras, a real detector's output: windows are the whole, to the bit."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidal.coherence import CoherenceOptions
from vidal.evidence import estimates
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.gathered import gather_clips
from vidal.evidence.given import GivenDetections
from vidal.evidence.given_clips import take_in
from vidal.evidence.load import keeper
from vidal.evidence.places import Engines
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.simulation.simulate import Unwatched
from vidal.track import FlowOptions, SparseFlowPropagator
from vidal.video import open_clip

DATA = Path(__file__).parents[3] / "shared" / "data" / "video" / "tfl_jamcam"


def assert_same(one: Any, other: Any) -> None:
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, theirs, err_msg=field.name)
        elif hasattr(mine, "__dataclass_fields__"):
            assert_same(mine, theirs)
        else:
            assert mine == theirs, field.name


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["3601_2019-06-28", "6514_2019-06-28"])
@pytest.mark.parametrize("tracker", ["flow", "kalman", SparseFlowPropagator()])
def test_windows_of_a_real_clip_have_the_evidence_of_the_whole(
    name, tracker, tmp_path, monkeypatch
):
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there")
    monkeypatch.setattr(estimates, "HALO", 1)
    clip = open_clip(DATA / name / "video.mp4")
    given = GivenDetections.of(DATA / name / "yolox_nano_416.jsonl")
    plan = EvidencePlan(
        tmp_path / "whole",
        given,
        4,
        FlowOptions(),
        CoherenceOptions(),
        ExpectedErrorsOptions(threshold=0.5),
        tracker=tracker,
    )
    results = []
    for each in (plan, replace(plan, store=tmp_path / "windows", window=32)):
        none = frozenset[str]()
        take_in(given, [clip], needs=none, strategy="", keep=keeper(each), rate=Fraction(25))
        found = gather_clips(each, [clip], engines=Engines(1), watcher=Unwatched())
        results.append(found)
    whole, windows = results
    assert len(windows.windows(clip.id)) > 4
    assert replace(windows.evidence[clip.id], keys=None) == replace(
        whole.evidence[clip.id], keys=None
    )
    assert windows.detections(clip.id) == whole.detections(clip.id)
    assert whole.estimate(clip.id).false_positive.any()
    assert_same(windows.estimate(clip.id), whole.estimate(clip.id))
    assert_same(windows.rows(clip.id), whole.rows(clip.id))
