"""RAFT optical flow (Teed and Deng 2020) by torchvision: a network, better with a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np

from vidal.errors import UnknownName, UsageError, WeightsError
from vidal.track.device import check_shapes, choose_device, device_key, file_digest, read_state
from vidal.track.field import FlowField
from vidal.track.session import Recent, one_step
from vidal.types import FloatArray, Frame, Image, IntArray
from vidal.types.devices import Devices

VERSION = 1
"""Raised whenever the same options would give other boxes than before."""
DOWNLOAD = "download"
"""Instead of a file: torchvision's own weights, by torchvision's own download."""
_LARGEST_FLOW = 60000.0
"""Pixels; float16 holds no more than 65504."""

Size = Literal["small", "large"]


@dataclass(frozen=True, slots=True)
class RaftPropagator:
    """Boxes move by the median of RAFT's flow inside them, as with ``FlowPropagator``.

    There is no default for the weights: a network without them would move boxes at random. Trust
    is 1, or 0 where the flow is not finite.

    Attributes:
        weights: a file (state dict of torchvision's ``raft_small`` or ``raft_large``), or
            ``download``.
        model: small (1.0 M parameters) or large (5.3 M).
        updates: iterations of the flow.
        height: frames are shrunk to this height in pixels; never enlarged.
        device: auto, cpu, cuda, or cuda:1.
        scale: boxes also grow and shrink with the divergence of the flow.
    """

    weights: str | None = None
    model: Size = "small"
    updates: int = 12
    height: int = 520
    device: str = "auto"
    scale: bool = True

    def __post_init__(self) -> None:
        Devices.parse(self.device)
        if self.model not in get_args(Size):
            raise UnknownName("RAFT model", self.model, get_args(Size))
        for name, (low, high) in {"updates": (1, 64), "height": (32, 4320)}.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} {value!r} is not between {low} and {high}.")

    @property
    def key(self) -> Mapping[str, Any]:
        """What carried boxes depend on.

        Raises:
            UsageError: no weights are named.
            WeightsError: no such file.
        """
        source = self.source
        digest = DOWNLOAD if source is None else file_digest(source)
        own = {"tracker": "raft", "version": VERSION, "digest": digest}
        options = {k: v for k, v in asdict(self).items() if k not in ("weights", "device")}
        return {**own, **options, **device_key(self.device)}

    @property
    def source(self) -> Path | None:
        """The file of weights; None = torchvision's download.

        Raises:
            UsageError: no weights are named.
        """
        if not self.weights:
            raise UsageError(
                "RAFT needs weights.", hint=f"Give weights=FILE, or weights={DOWNLOAD}."
            )
        return None if self.weights == DOWNLOAD else Path(self.weights)

    def session(self) -> _Session:
        """For one clip.

        Raises:
            UsageError: no weights are named, or there is no such device.
            WeightsError: the weights cannot be had, or are another network's.
        """
        return _Session(self)

    def step(self, before: Frame, after: Frame, boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4) of ``before`` -> boxes (N, 4) in ``after`` and trust (N,), 0 or 1.

        Raises:
            ValueError: frames of different sizes or clips.
        """
        return one_step(self.session(), before, after, boxes)


class _Session:
    """Keeps the flow between the last few pairs of frames."""

    def __init__(self, options: RaftPropagator) -> None:
        self._options = options
        source = options.source
        changed = "" if source is None else file_digest(source)
        self._network = _network(options.model, source, changed, options.device)
        self._fields = Recent(self._field)

    def begin(self, frame: Frame, boxes: FloatArray) -> None:
        """Nothing is learned."""

    def follow(
        self, targets: None, rows: IntArray, before: Frame, after: Frame, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        start = np.zeros(len(boxes), dtype=np.int64)
        return self._fields(before, after).step(start, start + 1, boxes)

    def _field(self, before: Frame, after: Frame) -> FlowField:
        size = before.image.shape[:2]
        factor = min(1.0, self._options.height / size[0])
        small = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        flow = raft_flow(
            self._network,
            _shrunk(before.image, small),
            _shrunk(after.image, small),
            updates=self._options.updates,
        )
        flow *= np.array([size[1] / small[1], size[0] / small[0]], dtype=np.float32)
        kept = np.clip(flow, -_LARGEST_FLOW, _LARGEST_FLOW).astype(np.float16)[None]
        return FlowField(
            forward=kept,
            backward=kept,
            valid=np.ones(1, dtype=np.bool_),
            size=(size[0], size[1]),
            scale=self._options.scale,
        )


def raft_flow(network: Any, before: Image, after: Image, *, updates: int) -> FloatArray:
    """(h, w, 2) float32 flow in pixels, last axis (dx, dy), between images (h, w, 3) uint8.

    Values are scaled to [-1, 1]; height and width are padded by repetition to multiples of 8, 128
    at least, and the flow is cut back (torchvision's conditions).
    """
    import torch

    height, width = before.shape[:2]
    down, right = (max(128, -(-side // 8) * 8) - side for side in (height, width))
    pad = ((0, down), (0, right), (0, 0))
    where = next(network.parameters()).device
    with torch.inference_mode():
        first, second = (
            torch.from_numpy(np.pad(image, pad, mode="edge")).to(where).permute(2, 0, 1)[None]
            for image in (before, after)
        )
        flows = network(
            first.float() / 127.5 - 1, second.float() / 127.5 - 1, num_flow_updates=updates
        )
        flow = flows[-1][0, :, :height, :width].permute(1, 2, 0).float().cpu().numpy()
    return np.array(flow, dtype=np.float32)


def _shrunk(image: Image, size: tuple[int, int]) -> Image:
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


@lru_cache(maxsize=1)
def _network(model: Size, source: Path | None, changed: str, device: str) -> Any:  # noqa: ARG001
    """The network with its weights, once a process (``changed`` tells files of one name apart)."""
    from torchvision.models import optical_flow

    where = choose_device(device)
    network = {"small": optical_flow.raft_small, "large": optical_flow.raft_large}[model]()
    if source is None:
        state, source = _downloaded(model), Path(f"raft_{model}")
    else:
        state, _ = read_state(source)
    check_shapes(source, state, network.state_dict(), f"raft_{model}")
    network.load_state_dict(state, strict=False)
    return network.eval().to(where)


def _downloaded(model: Size) -> Any:
    from torchvision.models.optical_flow import Raft_Large_Weights, Raft_Small_Weights

    kind = {"small": Raft_Small_Weights, "large": Raft_Large_Weights}[model]
    try:
        return kind.DEFAULT.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"raft_{model}",
            f"torchvision's weights could not be downloaded ({error})",
            hint="Give a file instead: weights=FILE.",
        ) from error
