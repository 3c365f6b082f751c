"""Every trunk gives methods what ``protocols.Trunk`` promises, whatever its inputs are."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from vidal.heads.options import HeadOptions
from vidal.heads.trunk import RegionTrunk
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


TRUNKS = {"regions": region_trunk}


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
