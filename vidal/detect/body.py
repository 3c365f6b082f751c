"""The body of a network: what turns an image into feature maps, before the pyramid and the heads.

It can be pre-trained without labels (``vidal pretrain``), kept in a file of its own, and put into
a detector of the same architecture.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from vidal.detect.architectures import ARCHITECTURES, architecture, skeleton
from vidal.detect.checkpoints import Checkpoint, differences, load_checkpoint, refuse
from vidal.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from vidal.detect.faster_rcnn import FasterRCNNDetector


class Body(nn.Module):
    """The body of a network as an encoder; it shares the network's weights.

    Attributes:
        parts: images (B, 3, H, W), normalised -> the coarsest feature map, or maps with it last.
    """

    def __init__(self, name: str, network: Any) -> None:
        """Of a torchvision ``FasterRCNN`` of that architecture."""
        super().__init__()
        backbone = network.backbone
        own = name == "scenes-tiny"
        self.parts = nn.Sequential(backbone.stem, *backbone.stages) if own else backbone.body

    def forward(self, images: Tensor) -> Tensor:
        """(B, W) the average of the coarsest map of each image."""
        maps = self.parts(images)
        top: Tensor = list(maps.values())[-1] if isinstance(maps, Mapping) else maps
        return top.mean(dim=(2, 3))


def body_state(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of a detector's state dict is its body, under the names that the detector uses."""
    return {key: each for key, each in state.items() if key.startswith(architecture(name).body)}


def read_body(path: Path, name: str) -> dict[str, Tensor]:
    """The body in a file that ``vidal pretrain`` wrote, or of a whole detector.

    Args:
        path: of a checkpoint.
        name: architecture that it has to be for.

    Raises:
        WeightsError: no checkpoint, made for another architecture, or not all of its body; says so.
    """
    checkpoint = load_checkpoint(path)
    own = checkpoint.architecture
    if own is not None and own != name:
        raise WeightsError(
            path,
            f"a backbone made for {own}, not for {name}",
            hint=f"Use --detector {own}, or pre-train one with `vidal pretrain --detector {name}`.",
        )
    found = body_state(name, checkpoint.state)
    wanted = body_state(name, skeleton(name, 2).state_dict())
    refuse(path, f"not a backbone of {name}", differences(wanted, found))
    return found


def with_body(detector: FasterRCNNDetector, path: Path) -> FasterRCNNDetector:
    """A copy of a detector with the body in a file; its pyramid and heads are as they were.

    Raises:
        WeightsError: as ``read_body``.
        UsageError: a detector of another kind than torchvision's.
    """
    name = getattr(detector, "architecture", None)
    if name not in ARCHITECTURES:
        raise UsageError(
            f"a backbone can be put into {', '.join(ARCHITECTURES)}, not into this detector.",
            hint="Leave out detector.backbone.",
        )
    found = read_body(path, detector.architecture)
    network = copy.deepcopy(detector.network)
    network.load_state_dict(found, strict=False)  # all names were compared
    return replace(detector, network=network, _cache={})


def body_checkpoint(name: str, network: Any, notes: Mapping[str, Any]) -> Checkpoint:
    """The body of a network as a checkpoint of its own."""
    return Checkpoint(body_state(name, network.state_dict()), name, None, notes)
