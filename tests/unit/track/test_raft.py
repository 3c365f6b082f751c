"""RAFT: padding, scaling and weights; the network itself is torchvision's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vidal.errors import UnknownName, UsageError, WeightsError
from vidal.track import RaftPropagator
from vidal.track.raft import raft_flow


class Seen(nn.Module):
    """Answers with the value of the first image as flow, and keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, first, second, num_flow_updates):
        self.shapes.append(tuple(first.shape))
        return [torch.zeros_like(first[:, :2])] * (num_flow_updates - 1) + [first[:, :2]]


@pytest.mark.parametrize(
    ("size", "padded"), [((40, 60), (128, 128)), ((130, 300), (136, 304)), ((128, 136), (128, 136))]
)
def test_images_are_padded_to_eights_and_the_last_flow_is_cut_back(size, padded) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    network = Seen()
    flow = raft_flow(network, image, image, updates=3)
    assert network.shapes == [(1, 3, *padded)]
    np.testing.assert_allclose(flow, image[..., :2] / 127.5 - 1, atol=1e-6)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    from torchvision.models.optical_flow import raft_small

    torch.save(raft_small().state_dict(), tmp_path / "small.pth")
    with pytest.raises(WeightsError, match="not weights of raft_large"):
        RaftPropagator(weights=str(tmp_path / "small.pth"), model="large", device="cpu").session()
    with pytest.raises(WeightsError, match="no such file"):
        RaftPropagator(weights=str(tmp_path / "none.pth"), device="cpu").session()


def test_options_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(UnknownName, match="medium"):
        RaftPropagator(model="medium")
    with pytest.raises(UsageError, match="updates"):
        RaftPropagator(updates=0)
    with pytest.raises(UsageError, match="needs weights"):
        RaftPropagator().session()
