"""The loop of SimSiam: its loss in torch, its randomness, resuming, and collapse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vidal.errors import UsageError, WeightsError
from vidal.pretrain.network import feature_width, simsiam_network, torch_loss
from vidal.pretrain.options import SimSiamOptions
from vidal.pretrain.simsiam import simsiam_loss
from vidal.pretrain.training import Arrays, batches, pretrain, steps_of

OPTIONS = SimSiamOptions(epochs=2, batch=4, size=16, dim=16, hidden=8, lr=1.0)


def an_encoder():
    torch.manual_seed(3)
    layers = nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def pictures(count=9, seed=0):
    """Each of a colour of its own, with noise."""
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, 200, (count, 1, 1, 3))
    return Arrays((colour + rng.integers(0, 50, (count, 20, 24, 3))).astype(np.uint8))


def trained(options=OPTIONS, seed=0, images=None, **more):
    encoder = an_encoder()
    network = simsiam_network(encoder, 8, options, np.random.default_rng(1))
    outcome = pretrain(network, images or pictures(), options, seed, **more)
    return {name: value.clone() for name, value in encoder.state_dict().items()}, outcome


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_the_loss_in_torch_is_that_in_numpy_in_both_precisions():
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.float64):
        four = [torch.randn((7, 5), generator=generator, dtype=dtype) for _ in range(4)]
        four[0][2] = 0  # without a direction
        assert float(torch_loss(*four)) == pytest.approx(
            simsiam_loss(*(each.numpy() for each in four)), abs=1e-6
        )


def test_no_gradient_flows_through_projections_and_that_of_predictions_is_right():
    four = [torch.randn((3, 4), requires_grad=True) for _ in range(4)]
    torch_loss(*four).backward()
    p1, z1, p2, z2 = four
    assert z1.grad is None
    assert z2.grad is None
    step = torch.zeros((3, 4))
    step[1, 2] = 1e-3
    for place, each in ((0, p1), (2, p2)):
        above, below = list(four), list(four)
        above[place], below[place] = each + step, each - step
        with torch.no_grad():
            slope = float(torch_loss(*above) - torch_loss(*below)) / 2e-3
        assert float(each.grad[1, 2]) == pytest.approx(slope, abs=1e-3)


def test_an_encoder_gets_its_gradient_through_the_predicted_view_alone():
    """With a predictor that is constant, nothing moves: z is a constant of the loss."""
    network = simsiam_network(an_encoder(), 8, OPTIONS, np.random.default_rng(0)).train()
    for layer in network.predictor:
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.weight)
    views = torch.randint(0, 255, (4, 3, 16, 16), dtype=torch.uint8)
    (z1, p1), (z2, p2) = network(views), network(views.flip(3))
    torch_loss(p1, z1, p2, z2).backward()
    moved = [each.grad for each in network.encoder.parameters() if each.grad is not None]
    assert all(float(each.abs().max()) == 0 for each in moved)


def test_the_same_seed_gives_the_same_weights_and_another_gives_others():
    state = torch.get_rng_state()
    first, outcome = trained()
    second, again = trained()
    other, _ = trained(seed=1)
    assert same(first, second)
    assert outcome == again
    assert not same(first, other)
    torch.manual_seed(3)
    an_encoder()
    assert not torch.equal(state, torch.get_rng_state())  # of the encoder alone
    before = torch.get_rng_state()
    simsiam_network(nn.Linear(2, 8), 8, OPTIONS, np.random.default_rng(1))
    network = simsiam_network(encoder := an_encoder(), 8, OPTIONS, np.random.default_rng(1))
    at = torch.get_rng_state()
    pretrain(network, pictures(), OPTIONS, 0)
    assert torch.equal(at, torch.get_rng_state())
    assert before is not None
    assert not encoder.training


def test_training_moves_the_loss_down_and_the_features_stay_spread():
    options = replace(OPTIONS, epochs=30, batch=8)
    _, outcome = trained(options, images=pictures(16))
    assert len(outcome.losses) == len(outcome.stds) == 30
    assert outcome.steps == 60
    assert np.mean(outcome.losses[-5:]) < outcome.losses[0] - 0.2
    assert all(-1 <= loss <= 1 for loss in outcome.losses)
    assert 0.5 < outcome.spread <= 1.05
    assert not outcome.collapsed


def test_features_that_are_all_the_same_are_called_collapse():
    class Blind(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(8))

        def forward(self, images):
            return self.weight.expand(len(images), 8)

    options = replace(OPTIONS, epochs=1)
    network = simsiam_network(Blind(), 8, options, np.random.default_rng(0))
    outcome = pretrain(network, pictures(), options, 0)
    assert outcome.spread == pytest.approx(0, abs=1e-3)
    assert outcome.collapsed


def test_a_resumed_pretraining_equals_an_undisturbed_one(tmp_path):
    options = replace(OPTIONS, epochs=3)
    whole, outcome = trained(options)

    def stop(at):
        if at["step"] == 5:  # in the last epoch of two steps each
            raise KeyboardInterrupt

    keep = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        trained(options, progress=stop, keep=keep, key="a")
    seen = []
    again, resumed = trained(options, progress=seen.append, keep=keep, key="a")
    assert [at["step"] for at in seen] == [5, 6]
    assert same(whole, again)
    assert resumed == outcome
    with pytest.raises(WeightsError, match="belongs to another pre-training"):
        trained(options, keep=keep, key="b")
    with pytest.raises(WeightsError, match="belongs to another pre-training"):
        trained(replace(options, lr=0.5), keep=keep, key="a")
    keep.write_bytes(b"broken")
    with pytest.raises(WeightsError, match="not a pre-training"):
        trained(options, keep=keep, key="a")


def test_progress_tells_the_spread_beside_what_is_healthy():
    seen = []
    trained(progress=seen.append)
    assert [at["step"] for at in seen] == [1, 2, 3, 4]
    assert {at["steps"] for at in seen} == {4}
    assert {at["healthy"] for at in seen} == {0.25}
    assert all(0 < at["std"] < 0.3 for at in seen)
    assert seen[0]["lr"] == pytest.approx(1.0 * 4 / 256)
    assert seen[-1]["lr"] < seen[1]["lr"]


def test_a_pass_shows_every_picture_once_in_whole_batches_or_all_in_one():
    class Numbered:
        def __len__(self):
            return 9

        def __getitem__(self, at):
            return (np.full((2, 2, 3), at, np.uint8),)

    groups = list(batches(Numbered(), OPTIONS, np.random.default_rng(0)))
    shown = [int(image[0, 0, 0]) for (images,) in groups for image in images]
    assert [len(images) for (images,) in groups] == [4, 4]
    assert len(set(shown)) == 8
    few = replace(OPTIONS, batch=64)
    ((images,),) = batches(Numbered(), few, np.random.default_rng(0))
    assert len(images) == 9
    assert steps_of(9, few) == 1


def test_a_picture_beside_it_is_a_further_positive():
    class Pairs(Arrays):
        def __getitem__(self, at):
            return self.images[at], self.images[(at + 1) % len(self)]

    alone, _ = trained()
    beside, outcome = trained(images=Pairs(pictures().images))
    assert not same(alone, beside)
    assert outcome.steps == 4


def test_one_channel_images_can_be_learned_from():
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = Arrays(np.random.default_rng(0).integers(0, 255, (6, 12, 12, 1), dtype=np.uint8))
    width = feature_width(encoder, channels=1, size=16)
    rng = np.random.default_rng(0)
    network = simsiam_network(encoder, width, OPTIONS, rng, mean=(0.5,), std=(0.25,))
    assert width == 4
    assert pretrain(network, images, OPTIONS, 0).steps == 2


@pytest.mark.parametrize("lr", [0.0, -1.0, float("inf"), float("nan")])
def test_a_learning_rate_that_is_no_number_above_zero_is_refused(lr):
    with pytest.raises(UsageError, match="not a number above 0"):
        SimSiamOptions(lr=lr)


def test_one_picture_and_divergence_are_refused():
    with pytest.raises(UsageError, match="at least two"):
        trained(images=pictures(1))
    with pytest.raises(UsageError, match="diverged"):
        trained(replace(OPTIONS, lr=1e30, epochs=5))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0), ("batch", 1), ("size", 4), ("lr", 0.0), ("lr", float("nan")), ("flip", 1.5),
        ("crop", (0.0, 1.0)), ("crop", (0.9, 0.2)), ("jitter", (0.4, 0.4, 0.4, 0.7)),
        ("sigma", (0.0, 2.0)), ("momentum", 1.0), ("weight_decay", -1.0),
    ],
)  # fmt: skip
def test_options_that_cannot_be_meant_are_refused(name, value):
    with pytest.raises(UsageError, match=name):
        replace(OPTIONS, **{name: value})
