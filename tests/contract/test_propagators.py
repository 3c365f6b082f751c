"""What every propagator of ``vidal.assemble`` has to do."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from vidal.assemble import PROPAGATORS
from vidal.errors import UsageError
from vidal.protocols import Propagator
from vidal.types import Frame, FrameRef

FOLLOWS = {"flow", "siamfc", "sparse", "template"}
"""Those that see motion; of RAFT an untrained network does not."""
NEEDS_WEIGHTS = {"raft", "siamfc"}
CLOSE = {"raft": 0.01, "siamfc": 0.6}
"""Pixels by which a box may move though nothing does, where that is not 0.2: SiamFC answers in
steps of half a pixel of its crop, either side of the centre."""
SEES_CUTS = {"flow"}
"""Those that judge the whole frame; the others are kept from steps across a cut by their caller."""

BOXES = np.float32([[60, 60, 100, 90], [10, 20, 30, 60], [250, 130, 330, 200]])


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


def view(index: int, *, seed: int = 0) -> Frame:
    """A textured ground that moves by (3, 0) px a frame, 180 x 320 px."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.normal(size=(180, 400)).astype(np.float32), (0, 0), 3)
    grey = cv2.normalize(ground, None, 0, 255, cv2.NORM_MINMAX)[:, 60 - 3 * index : 380 - 3 * index]
    return Frame(FrameRef("a", index), np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2))


def test_it_is_a_propagator_made_of_its_options(name: str, make: Make) -> None:
    made = make(name)
    assert isinstance(made, Propagator)
    assert dataclasses.is_dataclass(made)
    assert hash(made) == hash(make(name))
    assert made == make(name)


def test_boxes_and_trust_have_their_shapes_and_ranges(name: str, make: Make) -> None:
    moved, trust = make(name).step(view(0), view(1), BOXES)
    assert (moved.shape, moved.dtype) == ((3, 4), np.float32)
    assert (trust.shape, trust.dtype) == ((3,), np.float32)
    assert ((trust >= 0) & (trust <= 1)).all()
    assert np.isfinite(moved).all()


def test_no_boxes_are_no_boxes(name: str, make: Make) -> None:
    moved, trust = make(name).step(view(0), view(1), np.zeros((0, 4), dtype=np.float32))
    assert moved.shape == (0, 4)
    assert trust.shape == (0,)


def test_inputs_are_left_as_they_are(name: str, make: Make) -> None:
    before, after, boxes = view(0), view(1), BOXES.copy()
    make(name).step(before, after, boxes)
    np.testing.assert_array_equal(boxes, BOXES)
    np.testing.assert_array_equal(before.image, view(0).image)
    np.testing.assert_array_equal(after.image, view(1).image)


def test_the_same_step_gives_the_same_boxes(name: str, make: Make) -> None:
    propagator = make(name)
    one, two = (propagator.step(view(0), view(1), BOXES) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)


def test_boxes_are_independent_of_each_other(name: str, make: Make) -> None:
    propagator = make(name)
    together, _ = propagator.step(view(0), view(1), BOXES)
    alone = [propagator.step(view(0), view(1), BOXES[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=0, atol=1e-4)


def test_identical_frames_leave_boxes_where_they_are(name: str, make: Make) -> None:
    moved, trust = make(name).step(view(0), dataclasses.replace(view(0)), BOXES)
    np.testing.assert_allclose(moved, BOXES, atol=CLOSE.get(name, 0.2))
    assert (trust > 0).all()


@pytest.mark.parametrize("name", sorted(FOLLOWS))
@pytest.mark.parametrize(("before", "after", "dx"), [(0, 1, 3), (1, 0, -3), (2, 5, 9)])
def test_boxes_follow_the_ground_in_either_direction_of_time(
    name: str, before: int, after: int, dx: int, make: Make
) -> None:
    inside = BOXES[:1]
    moved, trust = make(name).step(view(before), view(after), inside)
    np.testing.assert_allclose(
        moved, inside + np.float32([dx, 0, dx, 0]), atol=1 if name == "siamfc" else 0.5
    )
    assert (trust > 0).all()


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
