"""What every propagator of ``vidal.assemble`` has to do."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from vidal.assemble import PROPAGATORS
from vidal.errors import UsageError
from vidal.protocols import Propagator
from vidal.testing import TrackerContract
from vidal.testing.trackers import BOXES, view

FOLLOWS = {"flow", "siamfc", "sparse", "template"}
"""Those that see motion; of RAFT an untrained network does not."""
NEEDS_WEIGHTS = {"raft", "siamfc"}
CLOSE = {"raft": 0.01, "siamfc": 0.6}
"""Pixels by which a box may move though nothing does, where that is not 0.2: SiamFC answers in
steps of half a pixel of its crop, either side of the centre."""
SEES_CUTS = {"flow"}
"""Those that judge the whole frame; the others are kept from steps across a cut by their caller."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Small random networks. RAFT's last layer is zero: its flow is, too. SiamFC's normalisation
    has seen the ground: random features of it tell places apart."""
    from safetensors.torch import save_file
    from torchvision.models.optical_flow import raft_small

    from vidal.track.siamfc_network import SiamFCNetwork, save_network

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    raft = raft_small()
    for value in raft.update_block.flow_head.conv2.parameters():
        torch.nn.init.zeros_(value)
    save_file(raft.state_dict(), folder / "raft.safetensors")
    network = SiamFCNetwork(8)
    network.begin(torch.Generator().manual_seed(0))
    network.train()
    with torch.no_grad():
        for index in range(20):
            network(torch.from_numpy(view(index).image.copy()).permute(2, 0, 1)[None].float())
    save_network(folder / "siamfc.safetensors", network)
    return {
        "raft": {"weights": str(folder / "raft.safetensors"), "updates": 2, "device": "cpu"},
        "siamfc": {"weights": str(folder / "siamfc.safetensors"), "device": "cpu"},
    }


Make = Callable[[str], Propagator]


@pytest.fixture
def make(weights: dict[str, dict[str, str]]) -> Make:
    return lambda name: PROPAGATORS[name](**weights.get(name, {}))


@pytest.fixture(params=sorted(PROPAGATORS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def suite(name: str) -> type:
    class Suite(TrackerContract):
        """The suite that vidal ships."""

        follows = name in FOLLOWS
        stays_within = CLOSE.get(name, 0.2)
        follows_within = 1.0 if name == "siamfc" else 0.5

        @pytest.fixture(autouse=True)
        def _made(self, make: Make) -> None:
            self._tracker = make(name)

        def make(self) -> Propagator:
            return dataclasses.replace(self._tracker)

    return Suite


globals().update({f"Test_{name}": suite(name) for name in PROPAGATORS})


@pytest.mark.parametrize("name", sorted(SEES_CUTS))
def test_boxes_are_not_carried_across_a_cut(name: str, make: Make) -> None:
    _, trust = make(name).step(view(0, seed=1), view(1, seed=2), BOXES)
    assert not trust.any()


@pytest.mark.parametrize("name", sorted(NEEDS_WEIGHTS))
def test_networks_without_weights_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="needs weights"):
        PROPAGATORS[name]().step(view(0), view(1), BOXES)
    with pytest.raises(UsageError, match="needs weights"):
        _ = PROPAGATORS[name]().key


def test_keys_are_json_and_tell_options_apart(name: str, make: Make) -> None:
    key = json.loads(json.dumps(dict(make(name).key)))
    assert key == dict(make(name).key)
    others = {other: json.dumps(dict(make(other).key)) for other in PROPAGATORS}
    assert len(set(others.values())) == len(others)


def test_a_session_carries_boxes_as_single_steps_do(name: str, make: Make) -> None:
    tracker = make(name)
    session, rows = tracker.session(), np.arange(3)
    before, after = view(0), view(1)
    moved, trust = session.follow(session.begin(before, BOXES), rows, before, after, BOXES)
    expected, sure = tracker.step(before, after, BOXES)
    np.testing.assert_array_equal(moved, expected)
    np.testing.assert_array_equal(trust, sure)
