"""Features and embeddings are computed where they are asked for; all else is the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from vidal.detect import DetectOptions, fresh_detector
from vidal.detect.columns import WIDE, giving, narrowed, tables
from vidal.testing.detectors import a_frame

FRAMES = [a_frame(n, (72, 112) if n % 3 else (96, 80)) for n in range(7)]


@pytest.fixture(scope="module")
def detector():
    options = DetectOptions(precision="fp32")
    made = fresh_detector(
        "scenes-tiny", ("car", "bus"), default_rng(3), device="cpu", options=options
    )
    made.network.transform.min_size = (72,)
    return made


class Foreign:
    """A detector of somebody else, who knows of no columns."""

    def __init__(self, own):
        self._own, self.classes, self.key = own, own.classes, own.key

    def detect(self, frames):
        return self._own.detect(frames)

    def fit(self, samples, rng, progress=None):
        return self


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("wanted", [(), ("features",), ("embedding",), tuple(WIDE)])
def test_what_is_not_asked_for_has_no_width_and_all_else_is_the_same(detector, wanted, foreign):
    whole = detector.detect(FRAMES)
    narrow = giving(Foreign(detector) if foreign else detector, wanted)
    found = narrow.detect(FRAMES)
    assert len(whole) > 20
    assert found == narrowed(whole, wanted)
    assert (found.features.shape[1] > 0) == ("features" in wanted)
    assert (found.embedding.shape[1] > 0) == ("embedding" in wanted)
    nothing = narrow.detect([])
    assert nothing.features.shape[1] == found.features.shape[1]
    assert nothing.embedding.shape[1] == found.embedding.shape[1]


@pytest.mark.parametrize("foreign", [False, True])
def test_tables_come_group_by_group_whoever_detects(detector, foreign):
    groups = [FRAMES[:3], FRAMES[3:4], [], FRAMES[4:]]
    found = list(tables(Foreign(detector) if foreign else detector, iter(groups)))
    assert found == [detector.detect(group) for group in groups]


def test_columns_are_no_part_of_a_detectors_key(detector):
    assert dict(giving(detector, ()).key) == dict(detector.key)


def test_what_is_no_wide_column_is_refused(detector):
    with pytest.raises(ValueError, match="boxes"):
        giving(detector, ("boxes",))


def test_features_are_not_computed_where_nobody_asks(detector, monkeypatch):
    asked = []
    narrow = giving(detector, ())
    monkeypatch.setattr(
        torch.Tensor, "half", lambda self: asked.append(1) or self.to(torch.float16)
    )
    narrow.detect(FRAMES[:1])
    assert not asked
    detector.detect(FRAMES[:1])
    assert asked


def test_a_detector_of_other_columns_trains_and_narrows_alike(detector):
    other = replace(giving(detector, ()), classes=("bus",), _cache={})
    assert np.array_equal(other.class_layer()[1], detector.class_layer()[1][[1]])
