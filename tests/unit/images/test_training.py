"""Classifiers: the same bits for the same seed, and what else is read off a training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_pictures import pictures

from vidal.errors import UsageError, WeightsError
from vidal.images.evidence import vote_watcher
from vidal.images.labelledness import labelledness
from vidal.images.looking import accuracy, dropout_passes, look, predicted
from vidal.images.networks import NetworkSpec, build
from vidal.images.predicted_loss import predicted_loss, ranking_loss
from vidal.images.recipes import RECIPES, Recipe, VaalOptions
from vidal.images.training import Scale, Stock, changed, fit, load_model, save_model
from vidal.query.learning_loss import ranking_loss as pure_ranking_loss
from vidal.query.uncertainty import bald

CPU = torch.device("cpu")
QUICK = Recipe(steps=40, epochs=1, batch=16, widths=(4, 8, 8), precision="fp32")
SHAPE = (8, 8, 1)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def lot():
    """Stock, scale, labels."""
    pixels, labels = pictures(80, rng(), noise=30)
    scale = Scale.of(pixels)
    return Stock.of(pixels, scale, CPU), scale, labels


def trained(lot, recipe=QUICK, seed=3, on=None, **more):
    stock, scale, labels = lot
    on = np.arange(60) if on is None else on
    spec = NetworkSpec.of(recipe, SHAPE, 4)
    return fit(stock.take(on), scale, labels[on], spec, recipe, seed, **more)


def weights(model):
    return {name: each.clone() for name, each in model.network.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_scale_is_mean_and_deviation_of_each_channel():
    pixels = rng().integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    pixels[..., 2] = 7
    scale = Scale.of(pixels)
    np.testing.assert_allclose(scale.mean, pixels.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(scale.std[:2], pixels.std(axis=(0, 1, 2))[:2])
    assert scale.std[2] == 1


def test_it_learns(lot):
    model = trained(lot)
    found = predicted(model, lot[0])
    assert (found[60:] == lot[2][60:]).mean() > 0.9


def test_one_seed_gives_the_same_bits_and_leaves_torchs_generator_alone(lot):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(trained(lot))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert same(first, weights(trained(lot)))
    assert not same(first, weights(trained(lot, seed=4)))


def test_noting_votes_changes_nothing_of_the_training(lot):
    votes, watch = vote_watcher(lot[0], 4)
    model = trained(lot, parts=4, watch=watch)
    assert same(weights(model), weights(trained(lot)))
    np.testing.assert_array_equal(votes[:, -1], predicted(model, lot[0]))
    assert (votes[:, 0] != votes[:, -1]).any()


def test_votes_are_noted_in_full_where_there_are_more_of_them_than_steps(lot):
    votes, watch = vote_watcher(lot[0], 7)
    votes[:] = -1
    trained(lot, replace(QUICK, steps=3), parts=7, watch=watch)
    assert (votes >= 0).all()


def test_rounds_of_a_seed_begin_with_the_same_weights(lot):
    still = replace(QUICK, lr=1e-30, steps=1)
    first, second = (trained(lot, still, seed=s, start=9).network.last.weight for s in (1, 2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("count", [1, 2, 17])
def test_few_images_make_whole_batches(lot, count):
    trained(lot, replace(QUICK, steps=3), on=np.arange(count))


def test_a_loss_that_is_not_finite_is_told_with_the_way_out(lot):
    with pytest.raises(UsageError, match="not finite") as caught:
        trained(lot, replace(QUICK, lr=1e8, schedule="constant"))
    assert "training.lr" in caught.value.hint


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_rates_follow_the_recipes(name):
    recipe = RECIPES[name]
    steps = 100
    rates = [recipe.rate(step, steps) for step in range(steps)]
    assert max(rates) == pytest.approx(recipe.lr)
    if name == "thesis":
        assert [rates[s] for s in (59, 60, 80)] == pytest.approx([0.02, 0.004, 0.0008])
    if name == "lfo":
        assert [rates[s] for s in (0, 30, 60, 90)] == pytest.approx([0.01 / 2**i for i in range(4)])
    if name == "small":
        assert rates[0] == pytest.approx(0.004)
        assert int(np.argmax(rates)) == 30
        assert rates[-1] < 0.001


def test_trainings_have_a_least_number_of_steps_and_else_epochs():
    assert RECIPES["small"].length(20) == 200
    assert RECIPES["small"].length(6400) == 4000
    assert RECIPES["thesis"].length(5000) == 100 * 20


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 13, 3), (28, 28, 1), (32, 32, 3)])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_small_network_takes_any_size(shape, stride):
    spec = NetworkSpec.of(replace(QUICK, stride=stride), shape, 5)
    seen = build(spec, 0).eval().look(torch.zeros(2, shape[2], *shape[:2]))
    assert seen.logits.shape == (2, 5)
    assert [stage.shape[1] for stage in seen.stages] == [4, 8, 8]
    assert seen.features.shape == (2, build(spec, 0).last.in_features)


def test_resnet_18_has_the_stem_for_small_pictures():
    network = build(NetworkSpec.of(RECIPES["thesis"], (32, 32, 3), 10), 0).eval()
    with torch.inference_mode():
        seen = network.look(torch.zeros(1, 3, 32, 32))
    assert [tuple(stage.shape[1:]) for stage in seen.stages] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
    ]
    assert sum(each.numel() for each in network.parameters()) == 11_173_962  # of He's CIFAR variant


def test_mirrored_and_shifted_pictures_hold_what_was_there():
    batch = torch.arange(2 * 8 * 8, dtype=torch.float32).view(2, 1, 8, 8)
    flipped = changed(batch, replace(QUICK, flip=True), rng())
    for own, new in zip(batch, flipped, strict=True):
        assert torch.equal(own, new) or torch.equal(own.flip(2), new)
    shifted = changed(batch, replace(QUICK, shift=2), rng(1))
    assert shifted.shape == batch.shape
    assert set(shifted[0].unique().tolist()) <= set(batch[0].unique().tolist())
    assert not torch.equal(shifted, batch)
    assert torch.equal(changed(batch, QUICK, rng()), batch)


def test_only_dropout_is_stochastic_in_passes_and_norms_stay(lot):
    model = trained(lot)
    before = weights(model)
    looks = look(model, lot[0])
    passes = dropout_passes(model, looks.features, 5, 1)
    assert same(before, weights(model))
    assert passes.shape == (80, 5, 4)
    np.testing.assert_allclose(passes.sum(axis=2), 1, rtol=1e-5)
    assert bald(np.moveaxis(passes, 1, 0)).max() > 0
    np.testing.assert_array_equal(passes, dropout_passes(model, looks.features, 5, 1))
    none = trained(lot, replace(QUICK, dropout=0.0))
    still = dropout_passes(none, look(none, lot[0]).features, 5, 1)
    assert bald(np.moveaxis(still, 1, 0)).max() == pytest.approx(0, abs=1e-6)


def test_the_ranking_loss_is_the_pure_one_with_gradients():
    for seed in range(5):
        scores, targets = rng(seed).normal(size=(2, 7)).astype(np.float32).round(1)
        own = ranking_loss(torch.from_numpy(scores), torch.from_numpy(targets))
        assert float(own) == pytest.approx(pure_ranking_loss(scores, targets), abs=1e-6)


def test_predicted_losses_are_higher_where_the_label_is_not_clear(lot):
    stock, scale, labels = lot
    hard, _ = pictures(40, rng(8), noise=30)
    hard[:] = hard[rng(9).permutation(40)] // 2 + hard // 2  # two classes at once
    easy, _ = pictures(40, rng(8), noise=30)
    recipe = replace(QUICK, steps=150)
    pool = Stock.of(np.concatenate([easy, hard]), scale, CPU)
    found = predicted_loss(stock, labels, pool, NetworkSpec.of(recipe, SHAPE, 4), recipe, scale, 0)
    assert found.shape == (80,)
    assert found[40:].mean() > found[:40].mean()


def test_what_looks_like_labelled_images_has_a_higher_labelledness():
    pixels, labels = pictures(120, rng(), noise=20)
    scale = Scale.of(pixels)
    stock = Stock.of(pixels, scale, CPU)
    options = VaalOptions(steps=60, batch=16, width=4, adversary=0.1)
    labelled = np.flatnonzero(labels < 2)[:30]
    pool = np.setdiff1d(np.arange(120), labelled)
    found = labelledness(stock.take(labelled), stock.take(pool), SHAPE, options, 1)
    assert ((found >= 0) & (found <= 1)).all()
    alike = labels[pool] < 2
    assert found[alike].mean() > found[~alike].mean() + 0.05
    again = labelledness(stock.take(labelled), stock.take(pool), SHAPE, options, 1)
    np.testing.assert_array_equal(found, again)


def test_accuracy_is_told_by_class():
    whole, each = accuracy(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), 4)
    assert whole == 0.75
    np.testing.assert_array_equal(each, [1, 1, 0.5, np.nan])


def test_models_are_read_back_and_other_files_are_refused(tmp_path, lot):
    model = trained(lot)
    save_model(tmp_path / "m.safetensors", model, ("a", "b", "c", "d"))
    again, classes = load_model(tmp_path / "m.safetensors", CPU)
    assert classes == ("a", "b", "c", "d")
    np.testing.assert_array_equal(look(again, lot[0]).probs, look(model, lot[0]).probs)
    (tmp_path / "x.safetensors").write_bytes(b"no model")
    torch.save({}, tmp_path / "y.pt")
    for name in ("x.safetensors", "y.pt", "none"):
        with pytest.raises(WeightsError):
            load_model(tmp_path / name, CPU)
