"""NT-Xent by hand, views of pictures, and encoders that learn from pictures without labels."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from vidal.errors import UsageError
from vidal.openset.contrastive import (
    ContrastiveOptions,
    embeddings,
    fit_contrastive,
    nt_xent,
    nt_xent_torch,
    turned,
)
from vidal.openset.views import ViewOptions, fixed_crops, random_views

FEW = ContrastiveOptions(steps=40, batch=16, width=8)


def pictures(count=48, side=8, seed=0):
    """Two kinds: a bright bar on the left of some, a bright corner below in others."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0, 0.3, (count, 1, side, side))
    pixels[: count // 2, :, :, : side // 3] += 3
    pixels[count // 2 :, :, -side // 3 :, -side // 3 :] += 3
    return torch.from_numpy(pixels).float()


def encoder(seed=0, channels=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(128, 16),
            nn.ReLU(),
        )


def views_of(pixels, options=None):
    options = ViewOptions(least=0.6, flip=False) if options is None else options
    return lambda rows, rng: random_views(pixels[torch.from_numpy(rows)], options, rng)


def as_they_are(pixels):
    return lambda rows, rng: pixels[torch.from_numpy(rows)]


def fitted(seed=3, **changes):
    options = ContrastiveOptions(**{"steps": 40, "batch": 16, "width": 8, **changes})
    pixels = pictures()
    return fit_contrastive(encoder(), 16, views_of(pixels), len(pixels), options, seed)


def test_two_instances_at_right_angles_by_hand():
    views = np.eye(2)
    # each view: its partner at cosine 1, two others at 0, temperature 1/2
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert nt_xent(views, views) == pytest.approx(expected)
    assert nt_xent(3 * views, 0.1 * views) == pytest.approx(expected)


def test_one_instance_has_nothing_to_be_mistaken_for():
    assert nt_xent(np.ones((1, 3)), np.ones((1, 3))) == 0.0


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_the_torch_loss_is_the_numpy_one_and_a_plain_sum_of_cross_entropies(temperature):
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 5, 4))
    own = nt_xent(first, second, temperature)
    other = nt_xent_torch(torch.from_numpy(first), torch.from_numpy(second), temperature)
    assert float(other) == pytest.approx(own, rel=1e-12)
    views = np.concatenate([first, second])
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    total = 0.0
    for i in range(10):
        terms = [math.exp(views[i] @ views[j] / temperature) for j in range(10) if j != i]
        total -= math.log(math.exp(views[i] @ views[(i + 5) % 10] / temperature) / sum(terms))
    assert own == pytest.approx(total / 10)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"two arrays"):
        nt_xent(np.ones((2, 3)), np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"two arrays"):
        nt_xent(np.ones((0, 3)), np.ones((0, 3)))


def test_turns_are_by_90_degrees_and_keep_the_size():
    pixels = torch.arange(4.0).view(1, 1, 2, 2)
    found = turned(pixels)
    assert [each.flatten().tolist() for each in found] == [
        [0, 1, 2, 3],
        [1, 3, 0, 2],
        [3, 2, 1, 0],
        [2, 0, 3, 1],
    ]
    assert turned(torch.zeros(2, 3, 4, 6)).shape == (8, 3, 4, 6)
    assert torch.equal(turned(pixels, 1), pixels)


def test_views_have_the_shape_of_the_pictures_and_come_from_the_generator():
    pixels = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    options = ViewOptions()
    first, same, other = (
        random_views(pixels, options, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == pixels.shape
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_views_that_change_nothing_are_the_pictures():
    pixels = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = fixed_crops(pixels, np.random.default_rng(0), 1.0)
    torch.testing.assert_close(whole, pixels)


def test_a_crop_of_a_ramp_spans_its_share_of_it():
    ramp = torch.arange(32.0).expand(5, 1, 32, 32)
    found = fixed_crops(ramp, np.random.default_rng(0), 0.25)
    spans = found[:, 0, 0, -1] - found[:, 0, 0, 0]
    torch.testing.assert_close(spans, torch.full((5,), 15.5), atol=0.01, rtol=0)
    assert (found >= 0).all()
    assert (found <= 31).all()


@pytest.mark.parametrize("turns", [True, False])
def test_an_encoder_tells_kinds_apart_that_it_was_never_told(turns):
    pixels = pictures()
    network = fitted(turned=turns)
    found = embeddings(network, as_they_are(pixels), len(pixels), 0, turns=1)[:, 0]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    cosines = found @ found.T
    np.fill_diagonal(cosines, -2)
    kind = np.arange(48) < 24
    assert (kind[cosines.argmax(axis=1)] == kind).mean() > 0.95


def test_rotations_are_told_apart_where_they_are_instances():
    pixels = pictures()
    network = fitted(steps=150)
    with torch.inference_mode():
        _, rotation = network(turned(pixels))
    truth = torch.arange(4).repeat_interleave(len(pixels))
    assert (rotation.argmax(dim=1) == truth).float().mean() > 0.7


def test_the_same_seed_gives_the_same_bits_and_leaves_torch_as_it_was():
    before = torch.random.get_rng_state()
    first, second, other = fitted(), fitted(), fitted(seed=4)
    assert torch.equal(torch.random.get_rng_state(), before)
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_embeddings_have_one_row_a_picture_and_one_column_a_turn():
    network, pixels = fitted(), pictures()
    found = embeddings(network, views_of(pixels), len(pixels), 5, looks=3)
    assert found.shape == (48, 4, 8)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found, embeddings(network, views_of(pixels), len(pixels), 5, looks=3)
    )
    upright = embeddings(network, as_they_are(pixels), len(pixels), 5, turns=1)
    every = embeddings(network, as_they_are(pixels), len(pixels), 5)
    np.testing.assert_allclose(upright[:, 0], every[:, 0], atol=1e-5)
    assert embeddings(network, as_they_are(pixels), 0, 5).shape == (0, 4, 8)


def test_one_picture_cannot_be_contrasted():
    pixels = pictures(2)
    with pytest.raises(UsageError, match="at least two"):
        fit_contrastive(encoder(), 16, views_of(pixels), 1, FEW, 0)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"batch": 1}, {"temperature": 0.0}, {"lr": -1.0}, {"width": 0}]
)
def test_options_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(UsageError, match=f"contrastive {next(iter(wrong))}"):
        ContrastiveOptions(**wrong)
