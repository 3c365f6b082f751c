"""The body of a detector: an encoder, a file of its own, and a part that can be exchanged."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vidal.detect import fresh_detector, load_detector
from vidal.detect.architectures import ARCHITECTURES, skeleton
from vidal.detect.body import Body, body_checkpoint, body_state, read_body, with_body
from vidal.detect.checkpoints import Checkpoint, save_checkpoint
from vidal.errors import UsageError, WeightsError
from vidal.types import Frame, FrameRef


@pytest.fixture(scope="module")
def tiny():
    return fresh_detector("scenes-tiny", ("car",), np.random.default_rng(0), device="cpu")


@pytest.fixture
def file(tiny, tmp_path):
    """The body of another scenes-tiny."""
    other = fresh_detector("scenes-tiny", ("bus", "van"), np.random.default_rng(7), device="cpu")
    path = tmp_path / "backbone.safetensors"
    save_checkpoint(path, body_checkpoint("scenes-tiny", other.network, {"pretrained": {}}))
    return path


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_architecture_has_a_body_that_is_all_its_encoder_has_and_no_head(name):
    network = skeleton(name, 3)
    mine = body_state(name, network.state_dict())
    own = sum(each.numel() for each in Body(name, network).state_dict().values())
    assert own == sum(each.numel() for each in mine.values())
    assert not any("fpn" in key or "rpn" in key or "roi" in key for key in mine)
    left = [key for key in network.state_dict() if key not in mine and "backbone" in key]
    assert left
    assert all("fpn" in key for key in left)


def test_an_encoder_shares_the_networks_weights_and_averages_its_coarsest_map(tiny):
    encoder = Body("scenes-tiny", tiny.network)
    images = torch.rand((2, 3, 64, 96), generator=torch.Generator().manual_seed(0))
    backbone = tiny.network.backbone
    top = backbone.stem(images)
    for stage in backbone.stages:
        top = stage(top)
    assert torch.equal(encoder(images), top.mean(dim=(2, 3)))
    assert encoder.parts[0][0].weight is backbone.stem[0].weight


def test_a_detector_with_another_body_differs_in_that_alone(tiny, file):
    changed = with_body(tiny, file)
    before, after = tiny.network.state_dict(), changed.network.state_dict()
    body = set(body_state("scenes-tiny", before))
    other = read_body(file, "scenes-tiny")
    for key in before:
        if key in body:
            assert torch.equal(after[key], other[key])
        else:
            assert torch.equal(after[key], before[key])
    assert any(not torch.equal(before[key], after[key]) for key in body)
    assert changed.key["weights"] != tiny.key["weights"]
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    changed.detect([Frame(FrameRef("a", 0), image)])


def test_a_whole_detector_lends_its_body(tiny):
    from vidal.detect.load import shipped_checkpoint

    whole = load_detector("scenes-day", device="cpu")
    changed = with_body(tiny, shipped_checkpoint("scenes-day"))
    for key, value in body_state("scenes-tiny", whole.network.state_dict()).items():
        assert torch.equal(changed.network.state_dict()[key], value)


def test_a_body_of_another_architecture_is_refused_by_name(file):
    with pytest.raises(WeightsError, match="made for scenes-tiny, not for fasterrcnn-mobilenet"):
        read_body(file, "fasterrcnn-mobilenet-320")


def test_a_body_with_parts_missing_or_of_other_shapes_is_refused_by_their_names(file, tmp_path):
    state = dict(read_body(file, "scenes-tiny"))
    key = "backbone.stem.0.weight"
    for changed, what in (
        ({k: v for k, v in state.items() if k != key}, f"{key} is missing"),
        ({**state, key: state[key][:5].clone()}, f"{key} is \\(5, 3, 3, 3\\)"),
        ({}, "is missing"),
    ):
        path = tmp_path / "part.safetensors"
        save_checkpoint(path, Checkpoint(changed))
        with pytest.raises(WeightsError, match=what):
            read_body(path, "scenes-tiny")
    with pytest.raises(WeightsError, match="no such file"):
        read_body(tmp_path / "none.safetensors", "scenes-tiny")


def test_a_backbone_given_as_weights_is_refused_with_the_way_out(file):
    with pytest.raises(WeightsError, match="not a Faster R-CNN") as refused:
        load_detector("scenes-tiny", weights=file, device="cpu")
    assert "--backbone" in refused.value.hint


def test_a_detector_of_another_kind_is_refused(tiny, file):
    with pytest.raises(UsageError, match="not into this detector"):
        with_body(replace(tiny, architecture="another"), file)
