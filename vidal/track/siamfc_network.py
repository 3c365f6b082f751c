"""The network of SiamFC (Bertinetto et al. 2016, Table 1), and weights for it."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from vidal.errors import OutputError, WeightsError
from vidal.track.device import State, check_shapes, read_state

RESPONSE_SCALE = 0.001
EXEMPLAR, SEARCH, STRIDE = 127, 255, 8
"""Sides of the crops in pixels, and pixels of a crop between cells of the response."""
WIDTHS = (8, 4, 2, 1)
"""The published network divided by 1; narrower ones are vidal's own, for CPUs."""
_CHANNELS = (96, 256, 384, 384, 256)
_LAYERS = 5
_NO_WEIGHTS = re.compile(r"(^|\.)(corr_bias|num_batches_tracked)$")
"""A constant added to the response changes no track; the counter of a normalisation neither."""


class SiamFCNetwork(nn.Module):
    """Five convolutions without padding; crops (N, 3, 127 | 255) -> features (N, C, 6 | 22).

    Args:
        divisor: divides the number of channels; 1 = as published.
    """

    def __init__(self, divisor: int = 1) -> None:
        super().__init__()
        self.divisor = divisor
        c = [channels // divisor for channels in _CHANNELS]
        self.conv1 = _layer(3, c[0], 11, stride=2, pool=True)
        self.conv2 = _layer(c[0], c[1], 5, groups=2, pool=True)
        self.conv3 = _layer(c[1], c[2], 3)
        self.conv4 = _layer(c[2], c[3], 3, groups=2)
        self.conv5 = nn.Sequential(nn.Conv2d(c[3], c[4], 3, groups=2))

    def forward(self, crops: Tensor) -> Tensor:
        """Features; values of ``crops`` are 0 to 255."""
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5):
            crops = layer(crops)
        return crops

    def begin(self, generator: torch.Generator) -> None:
        """Random weights (He et al. 2015), for training."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu", generator=generator
                )
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def _layer(
    before: int, after: int, kernel: int, *, stride: int = 1, groups: int = 1, pool: bool = False
) -> nn.Sequential:
    parts: list[nn.Module] = [
        nn.Conv2d(before, after, kernel, stride, groups=groups),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*parts, *([nn.MaxPool2d(3, 2)] if pool else []))


def response(exemplars: Tensor, searches: Tensor) -> Tensor:
    """Cross-correlation of features: (N, C, 6, 6) in (N, S, C, 22, 22) -> (N, S, 17, 17)."""
    n, s, c, height, width = searches.shape
    wide = searches.permute(1, 0, 2, 3, 4).reshape(s, n * c, height, width)
    return nn.functional.conv2d(wide, exemplars, groups=n).permute(1, 0, 2, 3) * RESPONSE_SCALE


def load_network(path: Path) -> SiamFCNetwork:
    """A network with the weights of a file, in evaluation mode.

    Read are vidal's own files and state dicts of the common PyTorch ports: layers named
    ``conv1`` ... ``conv5`` with numbered parts, or one sequence of numbered layers, below any
    prefix (``backbone.``, ``features.``, ``module.``).

    Raises:
        WeightsError: no file, not a state dict, or names or shapes of another network.
    """
    state, _ = read_state(path)
    state = _renamed(path, state)
    first = state.get("conv1.0.weight")
    sizes = {_CHANNELS[0] // divisor: divisor for divisor in WIDTHS}
    divisor = 1 if first is None else sizes.get(int(first.shape[0]), 1)
    network = SiamFCNetwork(divisor)
    check_shapes(path, state, network.state_dict(), "SiamFC")
    network.load_state_dict(state, strict=False)
    return network.eval()


def save_network(path: Path, network: SiamFCNetwork) -> None:
    """Write a network's weights as safetensors.

    Raises:
        OutputError: the place cannot be written.
    """
    state = {name: each.detach().cpu().contiguous() for name, each in network.state_dict().items()}
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(save(state, {"network": "siamfc"}))
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(path, str(error)) from error


def _renamed(path: Path, state: State) -> State:
    """The same weights under vidal's names."""
    kept = {name: each for name, each in state.items() if not _NO_WEIGHTS.search(name)}
    named = {name: re.search(r"(?:^|\.)(conv[1-5]\.\d+\.\w+)$", name) for name in kept}
    if any(named.values()):
        # Names that do not fit are left as they are, and refused where shapes are compared.
        return {match[1] if match else name: kept[name] for name, match in named.items()}
    numbered = {name: re.search(r"(?:^|\.)(\d+)\.(\w+)$", name) for name in kept}
    if not kept or not all(numbered.values()):
        raise WeightsError(path, "not weights of SiamFC: no layers conv1 to conv5")
    places = sorted({int(match[1]) for match in numbered.values() if match})
    # In the order of a sequence: convolution, normalisation, ..., convolution.
    order = [f"conv{i + 1}.{j}" for i in range(_LAYERS) for j in (0, 1)][: 2 * _LAYERS - 1]
    if len(places) != len(order):
        raise WeightsError(
            path, f"not weights of SiamFC: {len(places)} layers with weights, not {len(order)}"
        )
    to = dict(zip(places, order, strict=True))
    return {f"{to[int(m[1])]}.{m[2]}": kept[name] for name, m in numbered.items() if m}
