"""Image networks that begin with what SimSiam learned from the pool."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from vidal.assemble.images import plan_images, simulate_images
from vidal.engine import LocalEngine
from vidal.errors import UsageError, WeightsError
from vidal.images.config import dump_images_config, parse_images
from vidal.images.networks import NetworkSpec, build
from vidal.images.pretraining import (
    Encoder,
    load_body,
    pretrain_images,
    save_body,
    simsiam_options,
    spread_of,
)
from vidal.images.recipes import Recipe
from vidal.images.training import Body, Scale, Stock, fit
from vidal.pretrain.options import SimSiamOptions

RECIPE = Recipe(widths=(4, 6, 8), steps=6, epochs=1, batch=8, precision="fp32")
FEW = SimSiamOptions(epochs=2, batch=8, size=12, dim=16, hidden=8, flip=0.0)
CPU = torch.device("cpu")


def pictures(count=24, channels=1):
    """Bars, upright or lying."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (count, 12, 12, channels)).astype(np.uint8)
    labels = np.arange(count) % 2
    for image, label in zip(images, labels, strict=True):
        at = int(rng.integers(2, 9))
        image[(slice(at, at + 2), slice(None)) if label else (slice(None), slice(at, at + 2))] = 220
    return images, labels


def pretrained(tmp_path=None, **changes):
    images, _ = pictures()
    spec = NetworkSpec.of(RECIPE, (12, 12, 1), 2)
    keep = None if tmp_path is None else tmp_path / "pretraining.pt"
    return pretrain_images(
        images, Scale.of(images), spec, replace(FEW, **changes), 0, start=5, device=CPU, keep=keep
    )


def fitted(body):
    images, labels = pictures()
    scale = Scale.of(images)
    spec = NetworkSpec.of(RECIPE, (12, 12, 1), 2)
    return fit(Stock.of(images, scale, CPU), scale, labels, spec, RECIPE, 0, start=5, body=body)


def test_stages_are_trained_from_the_networks_own_first_weights_and_the_seed_decides(tmp_path):
    state, outcome = pretrained(tmp_path)
    again, _ = pretrained()
    first = build(NetworkSpec.of(RECIPE, (12, 12, 1), 2), 5)
    assert set(state) == set(first.stages.state_dict())
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert not torch.equal(state["0.0.weight"], first.stages.state_dict()["0.0.weight"])
    assert outcome.steps == 6
    assert not list(tmp_path.iterdir())


def test_an_encoder_shares_the_stages_and_averages_places():
    network = build(NetworkSpec.of(RECIPE, (12, 12, 1), 2), 0).eval()
    pixels = torch.rand((3, 1, 12, 12), generator=torch.Generator().manual_seed(0))
    last = network.look(pixels).stages[-1]
    assert torch.equal(Encoder(network).eval()(pixels), last.mean(dim=(2, 3)))


def test_a_frozen_body_stays_and_a_free_one_is_trained_on():
    state, _ = pretrained()
    frozen = fitted(Body(state, True)).network.stages.state_dict()
    free = fitted(Body(state, False)).network.stages.state_dict()
    assert all(torch.equal(frozen[name], state[name]) for name in state)
    assert not torch.equal(free["0.0.weight"], state["0.0.weight"])
    plain = fitted(None).network.stages.state_dict()
    assert not torch.equal(free["0.0.weight"], plain["0.0.weight"])


def test_a_body_is_read_as_it_was_kept_and_anything_else_is_refused(tmp_path):
    state, outcome = pretrained()
    file = tmp_path / "body.safetensors"
    save_body(file, state, outcome)
    body = load_body(file, frozen=True)
    assert body.frozen
    assert all(torch.equal(body.state[name], state[name]) for name in state)
    assert spread_of(file) == outcome.spread
    file.write_bytes(b"broken")
    for read in (spread_of, lambda path: load_body(path, frozen=False)):
        for path in (file, tmp_path / "none"):
            with pytest.raises(WeightsError):
                read(path)


def test_views_suit_the_pictures_and_options_take_their_place():
    config = parse_images({"data": {"path": "x.npz"}, "pretrain": {"epochs": 3}}, "x", base=None)
    grey = simsiam_options(config.pretrain, Recipe(), (28, 20, 1))
    assert (grey.size, grey.flip, grey.epochs) == (28, 0.0, 3)
    colour = simsiam_options(config.pretrain, Recipe(flip=True), (32, 32, 3))
    assert colour.flip == 0.5


@pytest.mark.parametrize(
    ("values", "what"),
    [({"epoch": 3}, "'epoch'"), ({"frozen": "perhaps"}, "frozen"), ({"lr": -1}, "lr")],
)
def test_options_that_cannot_be_meant_are_refused(values, what):
    with pytest.raises(UsageError, match=what):
        parse_images({"data": {"path": "x.npz"}, "pretrain": values}, "x", base=None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    images, labels = pictures(60)
    path = tmp_path_factory.mktemp("data") / "bars.npz"
    np.savez(path, x_train=images[:40, :, :, 0], y_train=labels[:40],
             x_test=images[40:, :, :, 0], y_test=labels[40:])  # fmt: skip
    return path


class Silent:
    def begin(self, title, names, units):
        return lambda item, done, total: None

    def finish(self, item):
        pass

    def end(self):
        pass


def here(items, *, heavy, listener=None):
    return LocalEngine(listener)


def a_config(data, **changes):
    values = {
        "data": {"path": str(data)},
        "initial": 4, "budget": 2, "rounds": 2, "device": "cpu", "workers": 1,
        "training": {"widths": [4, 6, 8], "steps": 4, "epochs": 1, "precision": "fp32"},
        "evidence": {"members": 2},
        "simulation": {"strategies": ["ensemble"], "seeds": 1},
        "pretrain": {"epochs": 1, "batch": 8, "dim": 16, "hidden": 8},
        **changes,
    }  # fmt: skip
    return parse_images(values, "x", base=None)


def test_a_simulation_pretrains_once_a_seed_and_every_run_begins_with_that(data, tmp_path):
    config = a_config(data)
    assert (
        parse_images(json.loads(json.dumps(config.model_dump(mode="json"))), "x", base=None)
        == config
    )
    assert "pretrain" in dump_images_config(config)
    plan = plan_images(
        config, strategies=["ensemble"], seeds=1, rounds=2, out=tmp_path / "out", all_data=True
    )
    result = simulate_images(replace(plan, engines=here), Silent())
    assert {row.strategy for row in result.rows} == {"random", "ensemble", "all-data"}
    assert any("SimSiam learned from the images" in note for note in result.notes)
    files = [path.parent.name for path in (tmp_path / "out/runs").glob("*/body.safetensors")]
    assert files == ["initial-0"]


def test_frozen_stages_are_those_of_the_body_in_every_model(data, tmp_path):
    config = a_config(data, pretrain={"epochs": 1, "batch": 8, "dim": 16, "frozen": True})
    plan = plan_images(
        config, strategies=[], seeds=1, rounds=1, out=tmp_path / "out", all_data=False
    )
    simulate_images(replace(plan, engines=here), Silent())
    from safetensors.torch import load_file

    folder = tmp_path / "out/runs/initial-0"
    body, model = load_file(folder / "body.safetensors"), load_file(folder / "model.safetensors")
    assert all(torch.equal(model[f"stages.{name}"], value) for name, value in body.items())
