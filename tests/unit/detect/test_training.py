"""The loop: what it learns from, what it leaves out, and that it can be continued."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from vidal.boxes import iou
from vidal.detect import DetectOptions, TrainOptions, fresh_detector, training
from vidal.detect.augment import draw, make_batch, target_of, warp_boxes, warp_image
from vidal.detect.faster_rcnn import FasterRCNNDetector
from vidal.detect.losses import Target, covered, sample, training_losses
from vidal.errors import OutputError, UsageError, WeightsError
from vidal.types import Frame, FrameRef, Sample

SQUARES = ("red", "blue")
COLOURS = np.array([[220, 40, 40], [40, 40, 220]], dtype=np.uint8)


def a_sample(seed: int, objects: int = 2, size: tuple[int, int] = (64, 96)) -> Sample:
    """Coloured squares on grey noise."""
    rng = default_rng(seed)
    image = rng.integers(90, 140, (*size, 3), dtype=np.uint8)
    labels = rng.integers(0, 2, objects)
    boxes = []
    for number, label in enumerate(labels):
        side = int(rng.integers(12, 24))
        x = int(rng.integers(0, 46 - side)) + 48 * (number % 2)
        y = int(rng.integers(0, size[0] - side))
        image[y : y + side, x : x + side] = COLOURS[label]
        boxes.append((x, y, x + side, y + side))
    table = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return Sample(image, table, labels.astype(np.int64), np.zeros(objects, np.bool_))


def a_detector(**options: Any) -> FasterRCNNDetector:
    chosen: dict[str, Any] = {"epochs": 2, "batch": 2, "precision": "fp32", **options}
    detector = fresh_detector(
        "scenes-tiny",
        SQUARES,
        default_rng(0),
        device="cpu",
        options=DetectOptions(precision="fp32"),
        training=TrainOptions(**chosen),
    )
    detector.network.transform.min_size = (64,)
    return detector


def state_of(detector: FasterRCNNDetector) -> dict[str, torch.Tensor]:
    return dict(detector.network.state_dict())


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_squares_are_learned() -> None:
    losses: list[float] = []
    detector = a_detector(epochs=10, batch=4, lr=2e-3, warmup=5, ema=0.9, scale=(0.9, 1.1))
    fitted = detector.fit(
        [a_sample(seed) for seed in range(28)],
        default_rng(0),
        lambda step: losses.append(step["loss"]),
    )
    assert np.mean(losses[-8:]) < 0.5 * np.mean(losses[:4])
    held_out = [a_sample(seed) for seed in range(1000, 1006)]
    found = fitted.detect([Frame(FrameRef("a", n), each.image) for n, each in enumerate(held_out)])
    hits = 0
    for number, each in enumerate(held_out):
        mine = found.keep(found.frame == number)
        good = iou(mine.boxes, each.boxes) > 0.5
        hits += int((good & (mine.labels[:, None] == each.labels)).any(axis=0).sum())
    assert hits >= 10  # of 12


def test_the_same_generator_gives_the_same_weights_and_another_gives_others() -> None:
    samples = [a_sample(seed) for seed in range(5)]
    detector = a_detector(epochs=1)
    first = detector.fit(samples, default_rng(1))
    torch.manual_seed(99)
    second = detector.fit(samples, default_rng(1))
    third = detector.fit(samples, default_rng(2))
    assert same(state_of(first), state_of(second))
    assert first.key == second.key != third.key


def test_fitting_leaves_the_detector_and_the_global_generators_alone() -> None:
    detector = a_detector(epochs=1)
    before = {name: value.clone() for name, value in state_of(detector).items()}
    torch.manual_seed(5)
    generator = torch.get_rng_state()
    detector.fit([a_sample(0)], default_rng(0))
    assert same(before, state_of(detector))
    assert not detector.network.training
    assert torch.equal(generator, torch.get_rng_state())


class Interrupted(Exception):
    pass


def test_a_resumed_training_equals_an_undisturbed_one(tmp_path: Path) -> None:
    samples = [a_sample(seed) for seed in range(5)]
    detector = a_detector(epochs=3)
    whole = detector.fit(samples, default_rng(1))

    def stop(step: Any) -> None:
        if step["step"] == 5:  # in the second epoch of three steps each
            raise Interrupted

    with pytest.raises(Interrupted):
        detector.fit(samples, default_rng(1), stop, keep=tmp_path / "state")
    assert (tmp_path / "state").exists()
    steps: list[float] = []
    # another generator: the kept seed counts
    resumed = detector.fit(
        samples, default_rng(7), lambda step: steps.append(step["step"]), keep=tmp_path / "state"
    )
    assert steps == [4, 5, 6, 7, 8, 9]
    assert same(state_of(whole), state_of(resumed))
    assert list(tmp_path.iterdir()) == []


def test_a_state_of_other_options_or_of_nothing_is_refused(tmp_path: Path) -> None:
    detector = a_detector()
    training.save_state(
        training.begin(a_detector().network, TrainOptions(epochs=9), 0), tmp_path / "a"
    )
    with pytest.raises(WeightsError, match="other options"):
        detector.fit([a_sample(0)], default_rng(0), keep=tmp_path / "a")
    (tmp_path / "b").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="not a training that can be continued"):
        detector.fit([a_sample(0)], default_rng(0), keep=tmp_path / "b")
    with pytest.raises(OutputError):
        detector.fit([a_sample(0)], default_rng(0), keep=tmp_path / "none" / "c")


class Lazy(Sequence[Sample]):
    """Samples made when they are asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: Any) -> Any:
        self.made.append(number)
        return a_sample(number)


def test_samples_are_read_one_by_one_once_an_epoch_in_another_order() -> None:
    samples = Lazy(5)
    a_detector(epochs=2).fit(samples, default_rng(0))
    assert sorted(samples.made[:5]) == sorted(samples.made[5:]) == list(range(5))
    assert samples.made[:5] != samples.made[5:]


def test_progress_counts_to_the_last_step() -> None:
    steps: list[dict[str, float]] = []
    a_detector(epochs=2).fit(
        [a_sample(n) for n in range(3)], default_rng(0), lambda step: steps.append(dict(step))
    )
    assert [(each["epoch"], each["step"]) for each in steps] == [(1, 1), (1, 2), (2, 3), (2, 4)]
    assert all(each["steps"] == 4 and each["epochs"] == 2 for each in steps)


@pytest.mark.parametrize(
    ("samples", "steps", "due"),
    [
        (4, 0, (4, 2)),
        (5, 0, (6, 2)),
        (4, 5, (5, 3)),
        (4, 4, (4, 2)),
        (1, 3, (3, 3)),
        (9, 2, (2, 1)),
    ],
)
def test_a_training_has_so_many_steps_or_so_many_passes(samples, steps, due) -> None:
    assert TrainOptions(epochs=2, batch=2, steps=steps).length(samples) == due


def test_a_training_by_steps_ends_at_its_last_step_whatever_the_samples() -> None:
    for count in (1, 4):
        seen: list[Any] = []
        samples = [a_sample(n) for n in range(count)]
        a_detector(steps=5).fit(samples, default_rng(0), seen.append)
        assert [each["step"] for each in seen] == [1, 2, 3, 4, 5]
        assert {each["steps"] for each in seen} == {5}
        assert seen[-1]["epoch"] == seen[-1]["epochs"] == math.ceil(5 / math.ceil(count / 2))
        # the rate falls over the steps, not over passes
        assert seen[-1]["lr"] < 0.2 * max(each["lr"] for each in seen)


def test_a_training_by_steps_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    samples = [a_sample(n) for n in range(3)]
    whole = a_detector(steps=5).fit(samples, default_rng(1), None)

    def stop(state: Any) -> None:
        if state["step"] == 4:
            raise KeyboardInterrupt

    keep = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        a_detector(steps=5).fit(samples, default_rng(1), stop, keep=keep)
    again = a_detector(steps=5).fit(samples, default_rng(1), None, keep=keep)
    for name, value in state_of(whole).items():
        assert torch.equal(value, state_of(again)[name]), name


def test_no_samples_and_divergence_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="no samples"):
        a_detector().fit([], default_rng(0))
    with pytest.raises(UsageError, match="diverged"):
        a_detector(lr=1e30, warmup=0, clip_norm=1e30, epochs=9).fit([a_sample(0)], default_rng(0))


def test_frozen_statistics_stay_while_weights_move() -> None:
    detector = a_detector(freeze_norm=True, ema=0.0, epochs=1)
    fitted = state_of(detector.fit([a_sample(0)], default_rng(0)))
    before = state_of(detector)
    means = [name for name in before if name.endswith("running_mean")]
    assert len(means) == 9
    assert all(torch.equal(before[name], fitted[name]) for name in means)
    assert not torch.equal(before["backbone.stem.0.weight"], fitted["backbone.stem.0.weight"])


def test_training_returns_the_average_of_the_weights_of_all_steps() -> None:
    detector = a_detector(epochs=2, ema=0.6, lr=5e-3)
    state = training.begin(detector.network, detector.training, 3)
    names = [name for name, value in state_of(detector).items() if value.is_floating_point()]
    due = {name: state_of(detector)[name].clone().double() for name in names}
    steps = []

    def follow(step: Any) -> None:
        # Slower by and by: 2/11, 3/12, ... of what was there is kept, at most the option's share.
        keep = min(0.6, (1 + step["step"]) / (10 + step["step"]))
        steps.append(keep)
        for name in names:
            due[name] = keep * due[name] + (1 - keep) * state_of(detector)[name].double()

    samples = [a_sample(seed) for seed in range(6)]
    for _ in range(2):
        training.run_epoch(state, samples, follow)
    last = {name: state_of(detector)[name].clone() for name in names}
    fitted = dict(training.finish(state).state_dict())
    assert len(steps) == 6
    for name in names:
        torch.testing.assert_close(fitted[name].double(), due[name], rtol=1e-4, atol=1e-5)
    moved = "backbone.stem.0.weight"
    assert float((fitted[moved] - last[moved]).abs().max()) > 1e-4


def test_without_an_average_training_returns_the_last_weights() -> None:
    detector = a_detector(epochs=1, ema=0.0)
    state = training.begin(detector.network, detector.training, 3)
    training.run_epoch(state, [a_sample(0), a_sample(1)])
    last = {name: value.clone() for name, value in state_of(detector).items()}
    assert same(last, dict(training.finish(state).state_dict()))


def test_the_rate_warms_up_and_falls() -> None:
    cosine = TrainOptions(lr=1.0, warmup=10, schedule="cosine")
    assert training.learning_rate(0, 100, cosine) == pytest.approx(0.1)
    assert training.learning_rate(50, 100, cosine) == pytest.approx(0.5)
    assert training.learning_rate(99, 100, cosine) < 0.001
    steps = TrainOptions(lr=1.0, warmup=0, schedule="steps", drops=(0.5, 0.8))
    rates = [training.learning_rate(step, 10, steps) for step in (4, 5, 7, 8)]
    assert rates == pytest.approx([1.0, 0.1, 0.1, 0.01])


def test_boxes_inside_a_barred_region_are_covered() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [6, 0, 16, 10]])
    assert covered(boxes, torch.tensor([[0.0, 0, 10, 10]])).tolist() == [True, True, False]
    assert covered(boxes, torch.zeros(0, 4)).tolist() == [False] * 3


def test_sampling_leaves_barred_entries_out_and_bounds_the_positive_share() -> None:
    labels = torch.tensor([1, -1, 0, 2, 0, -1, 0, 3, 0, 0])
    rows = sample(labels, 4, 0.5, torch.Generator().manual_seed(0))
    assert len(rows) == 4
    assert (labels[rows] > 0).tolist() == [True, True, False, False]
    assert len(sample(torch.full((3,), -1), 4, 0.5, torch.Generator())) == 0
    rows = sample(labels, 100, 0.5, torch.Generator())
    assert sorted(rows.tolist()) == [0, 2, 3, 4, 6, 7, 8, 9]


def test_an_image_that_is_barred_as_a_whole_teaches_nothing() -> None:
    detector = a_detector()
    network = detector.network.train()
    target = Target(
        torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.tensor([[0.0, 0, 96, 64]])
    )
    options = TrainOptions()
    losses = training_losses(
        network, torch.randn(1, 3, 64, 96), [(64, 96)], [target], options, torch.Generator()
    )
    free = training_losses(
        network,
        torch.randn(1, 3, 64, 96),
        [(64, 96)],
        [Target(target.boxes, target.labels, torch.zeros(0, 4))],
        options,
        torch.Generator(),
    )
    # anchors that mostly stick out of the image are not covered; nothing inside is background
    assert 0 < float(losses["objectness"]) < math.inf
    assert [float(losses[name]) for name in ("proposals", "classes", "boxes")] == [0, 0, 0]
    assert float(free["classes"]) > 0.5


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_batches_of_barred_images_alone_are_trained_through(precision: str) -> None:
    whole = np.array([[0, 0, 96, 64]], np.float32)
    barred = [
        Sample(each.image, whole, np.zeros(1, np.int64), np.ones(1, np.bool_))
        for each in (a_sample(0), a_sample(1))
    ]
    losses: list[float] = []
    detector = a_detector(epochs=3, scale=(1.0, 1.0), precision=precision)
    before = state_of(detector)
    fitted = state_of(detector.fit(barred, default_rng(0), lambda s: losses.append(s["loss"])))
    assert len(losses) == 3
    assert all(math.isfinite(loss) for loss in losses)
    assert all(bool(torch.isfinite(value).all()) for value in fitted.values())
    head = "roi_heads.box_predictor.cls_score.weight"
    # No proposal was looked at, so what classifies them has only been decayed.
    assert torch.allclose(fitted[head], before[head], rtol=1e-2, atol=1e-4)


def test_a_barred_image_beside_another_leaves_the_losses_of_the_other() -> None:
    made = a_sample(3)
    barred = Sample(
        made.image, np.array([[0, 0, 96, 64]], np.float32), np.zeros(1, np.int64), np.ones(1, bool)
    )
    options = TrainOptions(scale=(1.0, 1.0), batch=2)
    network = a_detector().network.train()
    images, sizes, targets = make_batch([barred, made], network.transform, options, default_rng(0))
    losses = training_losses(network, images, sizes, targets, options, torch.Generator())
    assert all(0 < float(loss) < math.inf for loss in losses.values())


def test_unknown_and_ignored_objects_are_barred_not_learned() -> None:
    boxes = np.array([[0, 0, 20, 20], [30, 0, 50, 20], [60, 0, 80, 20]], np.float32)
    made = Sample(
        np.zeros((64, 96, 3), np.uint8),
        boxes,
        np.array([1, -1, 0]),
        np.array([False, False, True]),
    )
    target = target_of(made, np.array([[1, 0, 0], [0, 1, 0]], np.float32), (64, 96))
    assert target.boxes.tolist() == [[0, 0, 20, 20]]
    assert target.labels.tolist() == [2]
    assert target.barred.tolist() == [[30, 0, 50, 20], [60, 0, 80, 20]]


def test_objects_that_mostly_leave_the_image_are_barred() -> None:
    boxes = np.array([[0, 0, 20, 20], [0, 30, 30, 50], [70, 0, 90, 20]], np.float32)
    made = Sample(
        np.zeros((64, 96, 3), np.uint8), boxes, np.zeros(3, np.int64), np.zeros(3, np.bool_)
    )
    # 15 px to the left: 5 of 20 columns remain of the first, 15 of 30 of the second
    target = target_of(made, np.array([[1, 0, -15], [0, 1, 0]], np.float32), (64, 96))
    assert target.boxes.tolist() == [[0, 30, 15, 50], [55, 0, 75, 20]]
    assert target.barred.tolist() == [[0, 0, 5, 20]]


def test_image_and_boxes_move_together() -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:30, 40:60] = 255
    box = np.array([[40, 10, 60, 30]], np.float32)
    for seed in range(8):
        matrix = draw((64, 96), 1.0, TrainOptions(scale=(0.9, 1.4)), default_rng(seed))
        moved = warp_boxes(box, matrix)[0]
        bright = warp_image(image, matrix, (64, 96))[..., 0] > 127
        rows, columns = np.nonzero(bright)
        seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        np.testing.assert_allclose(seen, np.clip(moved, 0, (96, 64, 96, 64)), atol=1.0)


def test_images_of_different_sizes_are_padded_into_one_batch() -> None:
    detector = a_detector()
    samples = [a_sample(0), a_sample(1, size=(64, 160))]
    images, sizes, targets = make_batch(
        samples, detector.network.transform, TrainOptions(), default_rng(0)
    )
    assert sizes == [(64, 96), (64, 160)]
    assert tuple(images.shape) == (2, 3, 64, 160)
    assert float(images[0, :, :, sizes[0][1] :].abs().max()) < 1e-5
    assert len(targets) == 2
