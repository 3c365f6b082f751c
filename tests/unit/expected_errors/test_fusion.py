"""The fixed fusion of round 0."""

import numpy as np
import pytest

from vidal.expected_errors import fuse, signals
from vidal.types import Detections, ErrorEstimate


def test_signals_of_a_clip_by_frame_and_class():
    detections = Detections(
        classes=("car", "van"),
        scanned=[True, True],
        frame=[0, 0, 0, 1, 1],
        boxes=[[0, 0, 1, 1]] * 5,
        scores=[0.9, 0.75, 0.25, 0.5, 0.04],
        labels=[0, 0, 1, 1, 0],
        probs=np.zeros((5, 3)),
        features=np.zeros((5, 0)),
        embedding=np.zeros((2, 0)),
    )
    verdicts = ErrorEstimate(
        rows=[0, 1],
        false_positive=[False, True],
        false_positive_confidence=[0, 1],
        missed_frame=[1, 1],
        missed_boxes=[[0, 0, 1, 1]] * 2,
        missed_label=[0, 1],
        missed=[True, False],
        missed_confidence=[1, 0],
        energy=0.0,
        link_share=1.0,
    )
    values = signals(detections, verdicts, threshold=0.5)
    # 1 - score; temporal false positives; weak scores; temporal misses.
    np.testing.assert_allclose(values[0], [[0.35, 1, 0, 0], [0, 0, 0.25, 0]], atol=1e-6)
    np.testing.assert_allclose(values[1], [[0, 0, 0, 1], [0, 0, 0.5, 0]], atol=1e-6)
    assert signals(detections, None, threshold=0.5)[:, :, [1, 3]].sum() == 0


def test_the_fusion_has_the_order_of_summed_z_scores():
    rng = np.random.default_rng(0)
    values = rng.gamma(1.0, 1.0, (50, 3, 4)).astype(np.float32)
    frames = values.sum(axis=1, dtype=np.float64)
    columns = frames[:, 0], frames[:, 2], frames[:, 1] + frames[:, 3]
    z = sum(w * (x - x.mean()) / x.std() for w, x in zip((1.0, 1.0, 0.5), columns, strict=True))
    fused = fuse(values).sum(axis=(1, 2))
    np.testing.assert_allclose(fused - fused.mean(), z, atol=1e-4)


def test_a_signal_that_never_varies_counts_nothing():
    values = np.zeros((3, 1, 4), np.float32)
    values[:, 0, 0] = 2.0
    values[:, 0, 2] = [0, 1, 2]
    fused = fuse(values)
    assert fused[:, 0, 0].tolist() == [0, 0, 0]
    assert fused[2, 0, 1] == pytest.approx(2 / np.std([0, 1, 2]))
    assert fuse(values[:0]).shape == (0, 1, 2)
