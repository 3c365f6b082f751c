"""Every trunk gives methods what ``protocols.Trunk`` promises, whatever its inputs are."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from vidal.heads.options import HeadOptions
from vidal.heads.trunk import RegionTrunk
from vidal.images.networks import NetworkSpec
from vidal.images.recipes import Recipe
from vidal.images.training import Scale as PictureScale
from vidal.images.training import Stock, fit
from vidal.images.trunk import PictureTrunk
from vidal.openset.learning import (
    class_outputs,
    class_targets,
    targets_of,
    teachers,
    train,
    without_background,
)
from vidal.protocols import Trunk
from vidal.types import BACKGROUND, HeadSpec, Items

K = 2
CENTRES = np.array([[4.0, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 4]])


def region_trunk(seed=0):
    """Two classes, unknown objects and background, apart from each other."""
    rng = np.random.default_rng(seed)
    places = np.repeat([0, 1, 2, 3], 20)
    items = Items(
        CENTRES[places] + rng.normal(size=(80, 4)),
        rng.dirichlet(np.ones(K + 1), 80),
        np.array([0, 1, K, BACKGROUND])[places],
    )
    pool = CENTRES[np.arange(40) % 4] + rng.normal(size=(40, 4))
    options = HeadOptions(width=16, epochs=2, least_steps=150)
    return RegionTrunk(items, pool, rng.dirichlet(np.ones(K + 1), 40), options)


def picture_trunk(seed=0):
    """Two known classes and unknown pictures, bright in places of their own."""
    rng = np.random.default_rng(seed)

    def drawn(places):
        pixels = rng.integers(0, 60, (len(places), 8, 8, 1))
        for row, place in enumerate(places):
            y, x = 4 * np.array(divmod(int(place), 2))
            pixels[row, y : y + 4, x : x + 4] += 150
        return pixels.astype(np.uint8)

    answers = np.repeat([0, 1, K], 15)
    labelled, waiting = drawn(answers), drawn(np.arange(24) % 3)
    recipe = Recipe(widths=(8, 8, 8), steps=60, epochs=1, batch=16, precision="fp32", shift=1)
    scale, device = PictureScale.of(waiting), torch.device("cpu")
    stocks = [Stock.of(each, scale, device) for each in (waiting, labelled)]
    known = np.flatnonzero(answers < K)
    spec = NetworkSpec.of(recipe, (8, 8, 1), K)
    model = fit(stocks[1].take(known), scale, answers[known], spec, recipe, seed)
    frozen = {"pool": waiting.reshape(24, -1), "labelled": labelled.reshape(45, -1)}
    return PictureTrunk(*stocks, answers, model, recipe, frozen=frozen)


TRUNKS = {"regions": region_trunk, "pictures": picture_trunk}


@pytest.fixture(params=sorted(TRUNKS))
def make(request):
    return TRUNKS[request.param]


def detector(trunk, seed=3, looks=None):
    """A head that tells K classes, unknown objects and background apart."""
    network = trunk.network({"logits": HeadSpec(class_outputs(trunk, K + 1))}, seed)

    def loss(batch):
        return functional.cross_entropy(
            batch.seen.outputs["logits"], class_targets(batch.targets, K, K + 1)
        )

    rows = teachers(trunk, unknown=True)
    train(trunk, network, loss, rows=rows, seed=seed, looks=0 if looks is None else 3, look=looks)
    return network


def test_it_is_a_trunk(make):
    trunk = make()
    assert isinstance(trunk, Trunk)
    assert trunk.known == K
    assert trunk.answers.min() >= BACKGROUND
    assert trunk.answers.max() <= K
    assert trunk.background or (trunk.answers >= 0).all()
    assert trunk.pictures != trunk.background


def test_a_method_learns_on_it_to_tell_unknown_objects(make):
    trunk = make()
    found = trunk.look(detector(trunk), "labelled").outputs["logits"].argmax(axis=1)
    assert (found == targets_of(trunk)).mean() > 0.9


def test_the_same_seed_gives_the_same_bits_and_leaves_torch_as_it_was(make):
    before = torch.random.get_rng_state()
    first, second = (make().look(detector(make()), "pool") for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.outputs["logits"], second.outputs["logits"])


def test_looking_gives_every_item_of_a_side_one_row(make):
    trunk = make()
    network = trunk.network({"a": HeadSpec(3), "b": HeadSpec(5, bias=False)}, 1, projection=7)
    for side, count in (("pool", trunk.size), ("labelled", len(trunk.answers))):
        found = trunk.look(network, side)
        assert found.features.shape == (count, 7)
        assert {name: each.shape for name, each in found.outputs.items()} == {
            "a": (count, 3),
            "b": (count, 5),
        }
        probs = trunk.probs(side)
        assert probs.shape == (count, K)
        np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)
        assert len(trunk.frozen(side)) == count
    assert network.heads["b"].bias is None


def test_looking_while_it_trains_changes_nothing(make):
    trunk, seen = make(), []
    watched = detector(trunk, looks=seen.append)
    plain = detector(make())
    assert seen == [0, 1, 2]
    for one, other in zip(watched.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_network_of_the_closed_classifier_begins_where_it_is(make):
    trunk = make()
    heads = {"logits": HeadSpec(class_outputs(trunk, K))}
    fresh, closed = (trunk.network(heads, 1, start=each) for each in ("fresh", "closed"))
    again = trunk.network(heads, 1, start="closed")
    assert not torch.equal(next(fresh.parameters()), next(closed.parameters()))
    assert torch.equal(next(again.parameters()), next(closed.parameters()))


def test_the_background_column_is_dropped_before_scoring(make):
    trunk = make()
    logits = trunk.look(detector(trunk), "pool").outputs["logits"]
    assert without_background(logits, K + 1).shape == (trunk.size, K + 1)


def test_a_course_is_as_long_as_it_says_and_its_rates_are_numbers(make):
    course = make().course(30)
    assert course.steps >= 1
    assert course.epoch == -(-30 // course.batch)
    rates = [course.rate(step) for step in range(course.steps)]
    assert (np.isfinite(rates) & (np.array(rates) >= 0)).all()
    assert max(rates) > 0


def test_inputs_are_changed_in_training_alone():
    trunk, rows = picture_trunk(), np.arange(5)
    plain, again = (trunk.inputs("pool", rows) for _ in range(2))
    assert torch.equal(plain, again)
    assert not torch.equal(plain, trunk.inputs("pool", rows, np.random.default_rng(0)))
