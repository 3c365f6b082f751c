"""Batches that threads make ahead of the network are those that it would make itself."""

from __future__ import annotations

import threading
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from vidal.detect import DetectOptions, TrainOptions, fresh_detector, training
from vidal.detect.loading import AHEAD, training_batches
from vidal.errors import UsageError
from vidal.types import Sample

SIZES = ((64, 96), (48, 80), (64, 96))


def a_sample(seed):
    rng = default_rng(seed)
    size = SIZES[seed % 3]
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    boxes = np.array([[4, 4, 24, 30], [40, 10, 60, 40]], np.float32)
    return Sample(image, boxes, np.array([0, 1]), np.array([False, seed % 4 == 0]))


def a_detector(**options):
    chosen = {"epochs": 2, "batch": 2, "precision": "fp32", **options}
    detector = fresh_detector(
        "scenes-tiny",
        ("red", "blue"),
        default_rng(0),
        device="cpu",
        options=DetectOptions(precision="fp32"),
        training=TrainOptions(**chosen),
    )
    detector.network.transform.min_size = (64,)
    return detector


def weights(detector):
    return dict(detector.network.state_dict())


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("loaders", [1, 3])
def test_the_number_of_threads_changes_no_batch(loaders):
    detector, samples = a_detector(), [a_sample(n) for n in range(11)]
    made = {}
    for count in (0, loaders):
        made[count] = list(
            training_batches(
                samples,
                default_rng(1).permutation(11),
                detector.network.transform,
                detector.training,
                default_rng(2),
                loaders=count,
            )
        )
    assert len(made[0]) == len(made[loaders]) == 6
    for mine, theirs in zip(made[0], made[loaders], strict=True):
        assert torch.equal(mine.images, theirs.images)
        assert mine.images.stride() == theirs.images.stride()
        assert mine.sizes == theirs.sizes
        for one, other in zip(mine.targets, theirs.targets, strict=True):
            assert torch.equal(one.boxes, other.boxes)
            assert torch.equal(one.labels, other.labels)
            assert torch.equal(one.barred, other.barred)


def test_weights_do_not_depend_on_the_threads_that_read_samples():
    samples = [a_sample(n) for n in range(5)]
    alone = a_detector(loaders=0).fit(samples, default_rng(1))
    helped = a_detector(loaders=2).fit(samples, default_rng(1))
    assert same(weights(alone), weights(helped))


def test_a_training_may_go_on_with_another_number_of_threads(tmp_path):
    options = TrainOptions(epochs=2, batch=2, precision="fp32", loaders=2)
    state = training.begin(a_detector().network, options, 3)
    training.save_state(state, tmp_path / "state")
    other = replace(options, loaders=0)
    again = training.load_state(tmp_path / "state", a_detector().network, other)
    assert (again.seed, again.options.loaders) == (3, 0)
    assert "loaders" in asdict(options)


def test_only_a_few_batches_are_made_before_they_are_wanted():
    read = []

    class Lazy(list):
        def __getitem__(self, at):
            read.append(at)
            return a_sample(at)

    detector = a_detector()
    batches = training_batches(
        Lazy(range(40)),
        np.arange(40),
        detector.network.transform,
        detector.training,
        default_rng(0),
        loaders=2,
    )
    next(batches)
    assert len(read) <= 2 * (AHEAD + 2)
    batches.close()
    assert not [each for each in threading.enumerate() if each.name.startswith(("read", "load"))]


def test_a_sample_that_cannot_be_read_ends_the_training_with_its_own_error():
    class Broken(list):
        def __getitem__(self, at):
            if at == 3:
                raise OSError("gone")
            return a_sample(at)

    with pytest.raises(OSError, match="gone"):
        a_detector(loaders=2).fit(Broken(range(6)), default_rng(0))


def test_half_precision_scales_the_loss_and_a_stopped_training_goes_on_the_same(tmp_path):
    samples = [a_sample(n) for n in range(4)]
    detector = a_detector(precision="fp16", epochs=3)
    assert training.begin(a_detector().network, detector.training, 0).scaler.is_enabled()
    losses = []
    whole = detector.fit(samples, default_rng(1), lambda step: losses.append(step["loss"]))
    assert np.isfinite(losses).all()
    moved = weights(detector)["roi_heads.box_predictor.cls_score.weight"]
    assert not torch.equal(moved, weights(whole)["roi_heads.box_predictor.cls_score.weight"])

    class Stop(Exception):
        pass

    def stop(step):
        if step["step"] == 4:
            raise Stop

    with pytest.raises(Stop):
        detector.fit(samples, default_rng(1), stop, keep=tmp_path / "state")
    resumed = detector.fit(samples, default_rng(1), keep=tmp_path / "state")
    assert same(weights(whole), weights(resumed))


def test_other_arithmetic_scales_nothing():
    assert not training.begin(a_detector().network, TrainOptions(), 0).scaler.is_enabled()


def test_what_only_gpus_compute_is_refused_on_a_processor():
    with pytest.raises(UsageError, match="tf32"):
        training.begin(a_detector().network, TrainOptions(precision="tf32"), 0)
    with pytest.raises(UsageError, match="tf32"):
        fresh_detector(
            "scenes-tiny",
            ("red",),
            default_rng(0),
            device="cpu",
            options=DetectOptions(precision="tf32"),
        )


def test_fewer_threads_than_none_are_refused():
    with pytest.raises(UsageError, match="loaders"):
        TrainOptions(loaders=-1)
