"""The fixed fusion of round 0."""

import numpy as np
import pytest

from vidal.expected_errors import fuse, fuse_with, signals
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


def test_a_priors_counts_of_both_kinds_count_alike_and_together_as_much_as_the_fusion():
    rng = np.random.default_rng(1)
    values = rng.gamma(1.0, 1.0, (60, 3, 4)).astype(np.float32)
    # A hundred times as many false alarms as misses: how the kinds compare is not believed.
    counts = rng.gamma(1.0, 1.0, (60, 3, 2)).astype(np.float32) * np.float32([100, 1])
    plain, kinds = fuse(values).sum(axis=(1, 2)), counts.sum(axis=1)
    prior = (kinds / kinds.std(axis=0)).sum(axis=1)
    found = fuse_with(values, counts)
    assert found.shape == (60, 3, 2)
    expected = plain / plain.std() + prior / prior.std()
    np.testing.assert_allclose(found.sum(axis=(1, 2)), expected, rtol=1e-4)
    scaled = fuse_with(values, counts * np.float32([7, 0.3]))
    np.testing.assert_allclose(scaled, found, rtol=1e-4)
    # What is said of a class and kind stays with it.
    only = np.zeros_like(counts)
    only[:, 2, 1] = counts[:, 2, 1]
    assert (fuse_with(np.zeros_like(values), only)[:, :2] == 0).all()


def test_a_prior_that_never_varies_leaves_the_fusions_order_and_no_frame_is_no_failure():
    rng = np.random.default_rng(2)
    values = rng.gamma(1.0, 1.0, (20, 1, 4)).astype(np.float32)
    found = fuse_with(values, np.ones((20, 1, 2), np.float32))
    plain = fuse(values)
    np.testing.assert_allclose(found, plain / plain.sum(axis=(1, 2)).std(), rtol=1e-5)
    assert fuse_with(values[:0], np.zeros((0, 1, 2), np.float32)).shape == (0, 1, 2)
    assert np.isfinite(fuse_with(values * 0, values[..., :2] * 0)).all()
