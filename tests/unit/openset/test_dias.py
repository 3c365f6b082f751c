"""DIAS: formulas by hand, and pictures that a classifier doubts as unknowns were made up."""

import math

import numpy as np
import pytest
import torch

from tests.unit.openset.learned_problems import planted
from vidal.errors import EvidenceMissing
from vidal.images.networks import NetworkSpec
from vidal.images.recipes import Recipe
from vidal.images.training import Scale, Stock, fit
from vidal.images.trunk import PictureTrunk
from vidal.openset.dias import Dias, rejection_threshold, smoothed_cross_entropy
from vidal.openset.dias_training import (
    LATENT,
    Discriminator,
    Generator,
    even,
    maps_of,
    not_kept,
    places,
    rest_of,
)
from vidal.openset.dias_training import smoothed as torch_smoothed
from vidal.query.select import lift
from vidal.types import FrameSet, HeadSpec, Pool, Regions

K = 2


def test_the_smoothed_loss_by_hand():
    logits = np.log([[0.5, 0.25, 0.25]])
    plain, own = -math.log(0.5), -(math.log(0.5) + 2 * math.log(0.25)) / 3
    assert smoothed_cross_entropy(logits, [0], 0.0) == pytest.approx(plain)
    assert smoothed_cross_entropy(logits, [0], 1.0) == pytest.approx(own)
    assert smoothed_cross_entropy(logits, [0], 0.4) == pytest.approx(0.6 * plain + 0.4 * own)
    assert smoothed_cross_entropy(logits, [1], 1.0) == pytest.approx(own)
    assert smoothed_cross_entropy(np.zeros((0, 3)), [], 0.5) == 0.0
    assert smoothed_cross_entropy(np.array([[7.0]]), [0], 0.5) == 0.0


def test_the_torch_losses_are_the_numpy_ones():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(9, 4)), rng.integers(0, 4, 9)
    given = torch.from_numpy(logits)
    for smoothing in (0.0, 0.5, 1.0):
        own = float(torch_smoothed(given, torch.from_numpy(labels), smoothing))
        assert own == pytest.approx(smoothed_cross_entropy(logits, labels, smoothing))
    assert float(even(given)) == pytest.approx(smoothed_cross_entropy(logits, labels, 1.0))


@pytest.mark.parametrize(("labels", "smoothing"), [([2], 0.5), ([0, 1], 0.5), ([0], 1.5)])
def test_what_does_not_fit_is_refused(labels, smoothing):
    with pytest.raises(ValueError, match="label"):
        smoothed_cross_entropy(np.zeros((1, 2)), labels, smoothing)


def test_the_threshold_by_hand():
    assert rejection_threshold(4) == pytest.approx(0.575)
    assert rejection_threshold(1) == pytest.approx(0.95)
    assert rejection_threshold(10, 0.2, 0.0) == pytest.approx(0.82)
    with pytest.raises(ValueError, match="0 classes"):
        rejection_threshold(0)


def drawn(kinds, rng):
    """Bright in a corner: 0 and 1 known; 2 and 3 unknown, in both corners at half the light."""
    pixels = rng.integers(0, 60, (len(kinds), 8, 8, 1))
    for row, kind in enumerate(kinds.tolist()):
        if kind in (0, 2):
            pixels[row, :4, :4] += 150 if kind == 0 else 75
        if kind in (1, 2):
            pixels[row, 4:, 4:] += 150 if kind == 1 else 75
        if kind == 3:
            pixels[row, :4, 4:] += 150
    return np.clip(pixels, 0, 255).astype(np.uint8)


def picture_problem(seed=0, steps=60):
    rng = np.random.default_rng(seed)
    waiting = np.arange(80) % 4
    known = np.arange(30) % K
    pixels = [drawn(each, rng) for each in (waiting, known)]
    recipe = Recipe(
        widths=(8, 8, 8), steps=steps, epochs=1, batch=16, precision="fp32", dropout=0.0
    )
    scale = Scale.of(pixels[0])
    pool, labelled = (Stock.of(each, scale, torch.device("cpu")) for each in pixels)
    spec = NetworkSpec.of(recipe, (8, 8, 1), K)
    model = fit(labelled, scale, known, spec, recipe, seed)
    return PictureTrunk(pool, labelled, known, model, recipe), waiting >= K


@pytest.fixture(scope="module")
def learned():
    """A trunk, who is unknown, and what DIAS learned there."""
    trunk, unknown = picture_problem()
    return trunk, unknown, Dias().learn(trunk, 1)


def as_pool(trunk, columns):
    n, none = trunk.size, np.zeros(0, np.int64)
    probs = np.concatenate([trunk.probs("pool"), np.zeros((n, 1))], axis=1)
    regions = Regions(
        np.arange(n),
        np.tile([0.0, 0, 8, 8], (n, 1)),
        probs.max(axis=1),
        probs[:, :K].argmax(axis=1),
        probs,
        np.zeros((n, 1)),
        dict(columns),
    )
    frames = FrameSet(("images",), np.zeros(n, np.int64), np.arange(n))
    return Pool(frames, ("a", "b"), FrameSet(("images",), none, none), regions=regions)


def test_the_surest_pictures_are_known_ones_more_often_than_by_chance_or_by_entropy(learned):
    trunk, unknown, found = learned
    pool = as_pool(trunk, found.pool)
    picks = lift(Dias(), 0).select(pool, 30, np.random.default_rng(0))
    least = np.argsort(trunk.probs("pool").max(axis=1), kind="stable")[:30]
    precision = (~unknown[picks]).mean()
    assert precision > 0.75
    assert precision > (~unknown[least]).mean()


def test_its_own_classifier_tells_known_classes(learned):
    trunk, unknown, found = learned
    own = found.known_probs(trunk.look(found.network, "pool").outputs)
    np.testing.assert_array_equal(own, found.pool["dias.probs"])
    kinds = np.arange(80) % 4
    assert (own.argmax(axis=1) == kinds)[~unknown].mean() > 0.9


def test_the_same_seed_gives_the_same_bits():
    trunk, _ = picture_problem(steps=5)
    first, second = (Dias().learn(trunk, 3).pool["dias.probs"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_going_through_stages_by_hand_is_the_network_itself():
    trunk, _ = picture_problem(steps=2)
    network = trunk.network({"logits": HeadSpec(K)}, 0).eval()
    pixels = trunk.inputs("pool", np.arange(5))
    whole = network(pixels).outputs["logits"]
    maps = maps_of(network, pixels)
    assert places(network) == (1, 2, 3)
    for done in places(network):
        torch.testing.assert_close(rest_of(network, maps[done - 1], done), whole)


def test_what_is_made_up_leaves_no_trace_in_running_statistics():
    trunk, _ = picture_problem(steps=2)
    network = trunk.network({"logits": HeadSpec(K)}, 0).train()
    pixels = trunk.inputs("pool", np.arange(8))
    before = {name: each.clone() for name, each in network.named_buffers()}
    with not_kept(network):
        network(pixels)
    assert before.keys() == dict(network.named_buffers()).keys()
    for name, each in network.named_buffers():
        assert torch.equal(each, before[name])
    network(pixels)
    assert any(not torch.equal(e, before[name]) for name, e in network.named_buffers())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 10, 7), (3, 32, 32)])
def test_made_up_pictures_have_the_shape_of_real_ones(shape):
    made = Generator(shape)(torch.randn(2, LATENT))
    assert made.shape == (2, *shape)
    assert made.abs().max() <= 4
    assert Discriminator(shape[0])(made).shape == (2,)


def test_reasons_say_on_which_side_of_the_threshold_a_picture_is():
    trunk, _ = picture_problem(steps=2)
    pool = as_pool(trunk, {"dias.probs": np.tile([[0.9, 0.1], [0.6, 0.4]], (40, 1))})
    words = Dias().explain(pool, np.array([0, 1])).words
    assert "above the threshold 0.700" in words[0]
    assert "below the threshold" in words[1]


def test_features_are_refused_with_the_way_out():
    with pytest.raises(EvidenceMissing) as caught:
        Dias().learn(planted().trunk(), 0)
    assert "certainty" in caught.value.hint
