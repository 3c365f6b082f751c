"""Losses on tensors equal the NumPy ones, and their gradients go the way they should."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidal.openset import eaoa, eoal, evidential, losses
from vidal.openset.detector import detector_loss
from vidal.openset.one_vs_all import ova_probs, pairs

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, n, columns, spread=3.0):
    return np.random.default_rng(seed).normal(0, spread, (n, columns))


def tensor(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@given(SEEDS, st.integers(0, 6), st.integers(1, 4), st.booleans())
def test_entropic_one_vs_all_loss(seed, n, k, first):
    outputs = drawn(seed, n, 2 * k)
    labels = np.random.default_rng(seed).integers(0, k + 1, n)
    wanted = eoal.entropic_ova_loss(ova_probs(pairs(outputs)), labels, 0.8, first)
    given_ = tensor(outputs)
    found = losses.entropic_ova_loss(given_, torch.from_numpy(labels), 0.8, first)
    assert found.item() == pytest.approx(wanted)
    found.backward()
    assert torch.isfinite(given_.grad).all()


@given(SEEDS, st.integers(0, 6), st.integers(1, 4))
def test_tuplet_loss(seed, n, count):
    features, centres = drawn(seed, n, 3), drawn(seed + 1, count, 3)
    place = np.random.default_rng(seed).integers(0, count, n)
    wanted = eoal.tuplet_loss(features, centres, place)
    given_ = tensor(features)
    found = losses.tuplet_loss(given_, torch.from_numpy(centres), torch.from_numpy(place))
    assert found.item() == pytest.approx(wanted, abs=1e-9)
    found.backward()
    assert torch.isfinite(given_.grad).all()


def test_an_item_on_its_centre_has_a_finite_gradient():
    point = tensor(np.ones((1, 2)))
    losses.tuplet_loss(point, torch.ones(2, 2, dtype=torch.float64), torch.tensor([0])).backward()
    assert torch.isfinite(point.grad).all()


@given(SEEDS, st.integers(0, 6), st.integers(1, 4))
def test_energy_margin_loss(seed, n, k):
    logits = drawn(seed, n, k + 2)
    labels = np.random.default_rng(seed).integers(0, k + 2, n)  # background is in neither part
    wanted = eaoa.energy_margin_loss(logits, labels, k, -3.0, -1.0)
    found = losses.energy_margin_loss(tensor(logits), torch.from_numpy(labels), k, -3.0, -1.0)
    assert found.item() == pytest.approx(wanted)


@given(SEEDS, st.integers(0, 6), st.integers(1, 5), st.floats(0, 1))
def test_evidential_loss(seed, n, classes, weight):
    logits = drawn(seed, n, classes, 8.0)
    labels = np.random.default_rng(seed).integers(0, classes, n)
    wanted = evidential.edl_loss(logits, labels, weight, 1.5, 6.0)
    given_ = tensor(logits)
    found = losses.edl_loss(given_, torch.from_numpy(labels), weight, 1.5, 6.0)
    assert found.item() == pytest.approx(wanted, abs=1e-9)
    found.backward()
    assert torch.isfinite(given_.grad).all()


def test_the_detector_divides_logits_by_temperatures_and_puts_the_background_last():
    logits = torch.tensor([[1.0, 2, 0, 0], [0, 3, 1, 0], [0, 0, 0, 4.0]])
    targets = torch.tensor([0, 2, 3])  # class 0, unknown, background; K = 2
    found = detector_loss(logits, targets, 2, 0.5, 2.0)
    scaled = logits / torch.tensor([[0.5], [2.0], [0.5]])
    wanted = -torch.log_softmax(scaled, dim=1)[[0, 1, 2], [0, 2, 3]].mean()
    assert found.item() == pytest.approx(wanted.item())


def test_a_mean_over_nothing_is_0_with_a_gradient():
    values = torch.zeros(0, requires_grad=True)
    found = losses.mean_or_zero(values)
    assert found.item() == 0
    found.backward()
