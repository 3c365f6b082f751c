"""SiamFC (Bertinetto et al. 2016): a learned similarity, searched over three scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vidal.errors import UsageError
from vidal.track.device import choose_device, device_key, file_digest
from vidal.track.session import one_step
from vidal.types import FloatArray, Frame, Image, IntArray
from vidal.types.devices import Devices

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
"""Raised whenever the same options would give other boxes than before."""
EXEMPLAR, SEARCH, STRIDE = 127, 255, 8
CONTEXT = 0.5
"""Of the sum of the sides of a box, added to each of them."""
_LEAST_SIDE = 2.0
"""Pixels: smaller boxes show nothing."""


@dataclass(frozen=True, slots=True)
class SiamFCPropagator:
    """Finds what a box shows by cross-correlation of learned features.

    The defaults are those of the common PyTorch ports with three scales; the exemplar is taken
    where a track begins and never renewed, and serves both directions. Trust is 1: the response has
    no absolute meaning. A box that is empty or has no pixel in the image is lost.

    Attributes:
        weights: file of weights; see ``load_network``. There is no default.
        scale_step: ratio of neighbouring search scales.
        scale_penalty: factor on the responses of the outer scales.
        scale_rate: share of a change of scale that is taken over.
        window_influence: weight of the Hann window, 0 to 1.
        upsampling: of the response, bicubic.
        bgr: the network was trained on images with blue first.
        device: auto, cpu, cuda, or cuda:1.
    """

    weights: str | None = None
    scale_step: float = 1.0375
    scale_penalty: float = 0.9745
    scale_rate: float = 0.59
    window_influence: float = 0.176
    upsampling: int = 16
    bgr: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        Devices.parse(self.device)
        ranges = {"scale_step": (1, 2), "scale_penalty": (0, 1), "scale_rate": (0, 1)}
        for name, (low, high) in {
            **ranges, "window_influence": (0, 1), "upsampling": (1, 64)
        }.items():  # fmt: skip
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
        own = {"tracker": "siamfc", "version": VERSION, "digest": file_digest(self.source)}
        options = {k: v for k, v in asdict(self).items() if k not in ("weights", "device")}
        return {**own, **options, **device_key(self.device)}

    @property
    def source(self) -> Path:
        """The file of weights.

        Raises:
            UsageError: no weights are named.
        """
        if not self.weights:
            hint = "Give weights=FILE; `vidal train-tracker` makes one."
            raise UsageError("SiamFC needs weights.", hint=hint)
        return Path(self.weights)

    def session(self) -> _Session:
        """For one clip.

        Raises:
            UsageError: no weights are named, or there is no such device.
            WeightsError: no such file, or weights of another network.
        """
        return _Session(self)

    def step(self, before: Frame, after: Frame, boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4) of ``before`` -> boxes (N, 4) in ``after`` and trust (N,), 0 or 1.

        Raises:
            ValueError: frames of different sizes or clips.
        """
        return one_step(self.session(), before, after, boxes)


class _Session:
    def __init__(self, options: SiamFCPropagator) -> None:
        self._options = options
        source = options.source
        self._network = _network(source, file_digest(source), options.device)
        hann = np.hanning(17 * options.upsampling)
        window = np.outer(hann, hann)
        self._window = window / window.sum()
        self._factors = options.scale_step ** np.array([-1.0, 0.0, 1.0])

    def begin(self, frame: Frame, boxes: FloatArray) -> Tensor:
        import torch

        centre, side = crop_geometry(boxes)
        crops = [
            crop(frame.image, at, edge, EXEMPLAR) for at, edge in zip(centre, side, strict=True)
        ]
        if not crops:
            return torch.zeros((0, 1, 6, 6))
        return self._features(crops)

    def follow(
        self, targets: Tensor, rows: IntArray, before: Frame, after: Frame, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        moved = boxes.astype(np.float32)
        seen = np.flatnonzero(_seen(boxes, after.image.shape))
        for row in seen:
            moved[row] = self._found(targets[int(rows[row])], after.image, boxes[row])
        trust = np.zeros(len(boxes), dtype=np.float32)
        trust[seen] = 1
        return moved, trust

    def _found(self, target: Tensor, image: Image, box: FloatArray) -> FloatArray:
        """The box of one target in the next image."""
        from vidal.track.siamfc_network import response

        centre, side = (each[0] for each in crop_geometry(box[None]))
        wide = float(side) * SEARCH / EXEMPLAR
        crops = [crop(image, centre, wide * factor, SEARCH) for factor in self._factors]
        maps = response(target[None], self._features(crops)[None])[0].cpu().numpy()
        shift, scale = locate(maps, self._options, self._window)
        centre = centre + shift * wide * self._factors[scale] / SEARCH
        rate = self._options.scale_rate
        half = (box[2:] - box[:2]) / 2 * ((1 - rate) + rate * self._factors[scale])
        return np.concatenate([centre - half, centre + half]).astype(np.float32)

    def _features(self, crops: list[Image]) -> Tensor:
        import torch

        stacked = np.stack(crops)
        if self._options.bgr:
            stacked = stacked[..., ::-1].copy()
        where = next(self._network.parameters()).device
        with torch.inference_mode():
            inputs = torch.from_numpy(stacked).to(where).permute(0, 3, 1, 2).float()
            features: Tensor = self._network(inputs)
        return features


def locate(
    maps: FloatArray, options: SiamFCPropagator, window: np.ndarray
) -> tuple[np.ndarray, int]:
    """Where responses (3, 17, 17) peak: shift (dx, dy) in pixels of the search crop, and scale.

    Bicubic upsampling, penalty on the outer scales, the scale with the highest peak; of its map
    the minimum is subtracted, the sum becomes 1 and the Hann window is blended in.
    """
    up = maps.shape[1] * options.upsampling
    large = np.stack([cv2.resize(each, (up, up), interpolation=cv2.INTER_CUBIC) for each in maps])
    large[[0, 2]] *= options.scale_penalty
    scale = int(np.argmax(large.max(axis=(1, 2))))
    chosen = large[scale].astype(np.float64)
    chosen -= chosen.min()
    chosen /= chosen.sum() + 1e-16
    share = options.window_influence
    chosen = (1 - share) * chosen + share * window
    row, column = np.unravel_index(int(np.argmax(chosen)), chosen.shape)
    offset = np.array([column, row]) - (up - 1) / 2
    return offset * STRIDE / options.upsampling, scale


def crop_geometry(boxes: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 2) and sides (N,) of exemplar crops: sqrt((w + p) (h + p)), p = (w + h) / 2."""
    values = boxes.astype(np.float64)
    sides = np.maximum(values[:, 2:] - values[:, :2], _LEAST_SIDE)
    context = CONTEXT * sides.sum(axis=1, keepdims=True)
    return (values[:, :2] + values[:, 2:]) / 2, np.sqrt((sides + context).prod(axis=1))


def crop(image: Image, centre: np.ndarray, side: float, out: int) -> Image:
    """(out, out, 3) a square part of an image, padded with the mean colour of the image."""
    # Pixel i covers [i, i + 1); OpenCV counts from the centre of the first pixel.
    scale = side / out
    start = centre - side / 2 + scale / 2 - 0.5
    matrix = np.array([[scale, 0, start[0]], [0, scale, start[1]]])
    mean = _mean_colour(image)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if scale > 2:
        # Linear interpolation alone would skip pixels: shrink by whole pixels first.
        whole = int(scale)
        height, width = (-(-edge // whole) for edge in image.shape[:2])
        down, right = height * whole - image.shape[0], width * whole - image.shape[1]
        even = cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE)
        image = np.asarray(
            cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
        matrix /= whole
        matrix[:, 2] += 0.5 / whole - 0.5
    result = cv2.warpAffine(
        image, matrix, (out, out), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=mean
    )
    return np.asarray(result, dtype=np.uint8)


def _mean_colour(image: Image) -> tuple[float, ...]:
    return tuple(cv2.mean(np.ascontiguousarray(image))[:3])


def _seen(boxes: FloatArray, shape: tuple[int, ...]) -> np.ndarray:
    """(N,) bool: of some size, with a part inside the image."""
    height, width = shape[:2]
    inside = (boxes[:, :2] < (width, height)) & (boxes[:, 2:] > 0)
    return np.asarray(inside.all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))


@lru_cache(maxsize=1)
def _network(source: Path, changed: str, device: str) -> Any:  # noqa: ARG001
    """The network, once a process (``changed`` tells files of one name apart)."""
    from vidal.track.siamfc_network import load_network

    where = choose_device(device)
    return load_network(source).to(where)
