"""Fitting a classifier to labelled images: one seeded loop, on a CPU the same bits every time.

Initial weights, the order of the images and what dropout leaves out come from the seed alone, so
strategies of one seed differ by the labels that they bought, and by nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from vidal.detect.device import use_bf16
from vidal.errors import UsageError, WeightsError
from vidal.images.data import Pixels
from vidal.images.networks import Classifier, NetworkSpec, Seen, build
from vidal.images.recipes import Recipe
from vidal.store import atomic
from vidal.types import IntArray

FORMAT = "vidal-classifier"
_LOOK = 512
"""Images a batch where nothing is trained."""
_FEW = 1 << 27
"""Numbers that are kept normalised: half a gigabyte."""


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and deviation of each channel (C,) in units of 0..255, of all images of the pool."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @staticmethod
    def of(pixels: Pixels) -> Scale:
        """Of (N, H, W, C) pixels; a channel without spread is only shifted."""
        values = pixels.reshape(-1, pixels.shape[-1])
        mean = values.mean(axis=0, dtype=np.float64)
        squares = np.zeros(len(mean))
        for at in range(0, len(values), 1 << 22):
            squares += ((values[at : at + (1 << 22)] - mean) ** 2).sum(axis=0)
        std = np.sqrt(squares / max(1, len(values)))
        return Scale(tuple(mean.tolist()), tuple(np.where(std > 1e-6, std, 1.0).tolist()))


class Stock:
    """Pixels on a device, handed out in normalised batches.

    They are normalised once where they are few, else batch by batch.

    Attributes:
        device: where they are.
    """

    def __init__(self, pixels: Tensor, scale: Scale, device: torch.device) -> None:
        self._scale = scale
        shape = (1, -1, 1, 1)
        self._mean = torch.tensor(scale.mean, device=device).view(shape)
        self._std = torch.tensor(scale.std, device=device).view(shape)
        self.device = device
        few = not pixels.is_floating_point() and pixels.numel() <= _FEW
        self._pixels = self._normal(pixels) if few else pixels

    @staticmethod
    def of(pixels: Pixels, scale: Scale, device: torch.device) -> Stock:
        """Pixels (N, H, W, C) moved to a device."""
        # seen as (N, C, H, W) that is channels_last already
        moved = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(0, 3, 1, 2)
        return Stock(moved, scale, device)

    def __len__(self) -> int:
        return len(self._pixels)

    def take(self, positions: IntArray) -> Stock:
        """Those at these positions."""
        chosen = self._pixels[torch.from_numpy(positions).to(self.device)]
        return Stock(chosen, self._scale, self.device)

    def batch(self, positions: Tensor) -> Tensor:
        """(n, C, H, W) float32, channels_last."""
        return self._normal(self._pixels[positions.to(self.device)])

    def batches(self) -> Iterator[Tensor]:
        """All of them, in order."""
        for at in range(0, len(self), _LOOK):
            yield self._normal(self._pixels[at : at + _LOOK])

    def _normal(self, pixels: Tensor) -> Tensor:
        if pixels.is_floating_point():
            return pixels
        scaled = pixels.float().sub_(self._mean).div_(self._std)
        return scaled.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted classifier.

    Attributes:
        network: in evaluation mode.
        scale: of the pixels that it was fitted to.
        bf16: arithmetic that it computes with.
    """

    network: Classifier
    scale: Scale
    bf16: bool

    def stock(self, pixels: Pixels) -> Stock:
        """Pixels where the network is."""
        return Stock.of(pixels, self.scale, next(self.network.parameters()).device)

    def seen(self, batch: Tensor) -> Seen:
        """What it makes of a batch; features and logits as float32."""
        with autocast(batch.device, self.bf16):
            found = self.network.look(batch)
        return Seen(found.stages, found.features.float(), found.logits.float())


@dataclass(frozen=True, eq=False)
class Body:
    """What a network begins with instead of random stages.

    Attributes:
        state: of ``Classifier.stages``.
        frozen: the stages stay as they are: only the last layer is trained.
    """

    state: Mapping[str, Tensor]
    frozen: bool


Watch = Callable[[int, Model], None]
"""Called after a part of a training with the part's number and the model so far."""

Extra = Callable[[Seen, Tensor, float], Tensor]
"""From what the network saw, the loss of each image, and the share of the steps that are done, to a
loss that is added."""


def fit(
    stock: Stock,
    scale: Scale,
    labels: IntArray,
    spec: NetworkSpec,
    recipe: Recipe,
    seed: int,
    *,
    start: int | None = None,
    parts: int = 0,
    watch: Watch | None = None,
    extra: tuple[nn.Module, Extra] | None = None,
    body: Body | None = None,
) -> Model:
    """Train a classifier from fresh weights, or from a pre-trained body.

    Args:
        stock: n >= 1 images.
        scale: that the stock has.
        labels: (n,) classes of the network's outputs.
        spec: of the network.
        recipe: how.
        seed: of order, changes of the images and dropout.
        start: seed of the weights; None = ``seed``.
        parts: after each of so many equal parts of the steps, ``watch`` is called.
        watch: see there; changes nothing of the training.
        extra: a module that is trained along, and its loss.
        body: what it begins with; None = weights drawn from ``start``.

    Raises:
        UsageError: the loss is not finite any more.
    """
    network = build(spec, seed if start is None else start).to(stock.device)
    model = Model(network, scale, use_bf16(recipe.precision, stock.device))
    _begin(network, body)
    optimizer = _optimizer(network, recipe, extra)
    known = torch.from_numpy(labels).to(stock.device)
    rng = np.random.default_rng([seed, 2])
    steps = recipe.length(len(labels))
    with drawing(seed, stock.device):
        _learn(network, body)
        for step, positions in enumerate(_orders(len(labels), steps, recipe.batch, rng)):
            pixels = changed(stock.batch(positions), recipe, rng)
            with autocast(stock.device, model.bf16):
                seen = network.look(pixels)
            losses = functional.cross_entropy(
                seen.logits.float(), known[positions.to(stock.device)], reduction="none"
            )
            loss = losses.mean()
            if extra is not None:
                loss = loss + extra[1](seen, losses, step / steps)
            _descend(optimizer, loss, recipe.rate(step, steps))
            ended = _ended(step + 1, steps, parts)
            if ended and watch is not None:
                network.eval()
                for part in ended:
                    watch(part, model)
                _learn(network, body)
    if not torch.isfinite(loss):
        why = f"the loss is not finite after {steps} steps."
        raise UsageError(why, hint="Give a lower training.lr.")
    network.eval()
    return model


def _optimizer(
    network: Classifier, recipe: Recipe, extra: tuple[nn.Module, Extra] | None
) -> torch.optim.Optimizer:
    own = [each for each in network.parameters() if each.requires_grad]
    return torch.optim.SGD(
        [*own, *([] if extra is None else extra[0].parameters())],
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
    )


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _ended(done: int, steps: int, parts: int) -> list[int]:
    """Parts of a training that end with its step ``done``; several where steps are few."""
    return [p for p in range(parts) if max(1, round((p + 1) * steps / parts)) == done]


def _begin(network: Classifier, body: Body | None) -> None:
    """Put a body into a network."""
    if body is not None:
        network.stages.load_state_dict(body.state)
        network.stages.requires_grad_(not body.frozen)


def _learn(network: Classifier, body: Body | None) -> None:
    """Training mode; a frozen body keeps its statistics, too."""
    network.train()
    if body is not None and body.frozen:
        network.stages.eval()


def _orders(images: int, steps: int, batch: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Positions of each step: pass after pass in new orders; a batch is never short.

    A batch of one image would leave batch norm nothing to go by.
    """
    size = min(batch, max(images, 2))
    left = np.zeros(0, np.int64)
    for _ in range(steps):
        while len(left) < size:
            left = np.concatenate([left, rng.permutation(images)])
        yield torch.from_numpy(left[:size])
        left = left[size:]


def changed(pixels: Tensor, recipe: Recipe, rng: np.random.Generator) -> Tensor:
    """The batch (n, C, H, W) as the recipe changes it: mirrored, shifted."""
    if recipe.flip:
        mirrored = torch.from_numpy(rng.random(len(pixels)) < 0.5).to(pixels.device)
        pixels = torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)
    if recipe.shift:
        pad, (height, width) = recipe.shift, pixels.shape[2:]
        wide = functional.pad(pixels, (pad, pad, pad, pad), mode="replicate")
        offsets = rng.integers(2 * pad + 1, size=(2, len(pixels)))
        y, x = (torch.from_numpy(each).to(pixels.device)[:, None] for each in offsets)
        rows = (y + torch.arange(height, device=pixels.device))[:, :, None]
        columns = (x + torch.arange(width, device=pixels.device))[:, None, :]
        every = torch.arange(len(pixels), device=pixels.device)[:, None, None]
        pixels = wide.permute(0, 2, 3, 1)[every, rows, columns].permute(0, 3, 1, 2)
    return pixels.contiguous(memory_format=torch.channels_last)


def autocast(device: torch.device, bf16: bool) -> Any:
    """The arithmetic of a block."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16)


@contextmanager
def drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block torch draws from a seed; afterwards its generators are as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums are taken in one order, whatever else the machine does and however many cores it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def save_model(path: Path, model: Model, classes: tuple[str, ...]) -> None:
    """Write a model as safetensors; whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    about = {
        "format": FORMAT,
        "spec": model.network.spec.as_dict(),
        "classes": list(classes),
        "mean": list(model.scale.mean),
        "std": list(model.scale.std),
        "bf16": model.bf16,
    }
    state = {n: each.detach().cpu().contiguous() for n, each in model.network.state_dict().items()}
    atomic.write_bytes(
        path, save(state, {"vidal": json.dumps(about, sort_keys=True, allow_nan=False)})
    )


def load_model(path: Path, device: torch.device) -> tuple[Model, tuple[str, ...]]:
    """A model that ``save_model`` wrote, and its classes.

    Raises:
        WeightsError: it is none.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("vidal", "{}"))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise WeightsError(path, f"not a model that can be read ({error})") from error
    with suppress(KeyError, TypeError, ValueError, RuntimeError):
        return _loaded(about, state, device)
    raise WeightsError(path, "not a classifier of vidal", hint="Give one of `vidal images select`.")


def _loaded(
    about: Mapping[str, Any], state: Mapping[str, Tensor], device: torch.device
) -> tuple[Model, tuple[str, ...]]:
    if about["format"] != FORMAT:
        raise ValueError(about["format"])
    network = build(NetworkSpec.from_dict(about["spec"]), 0)
    network.load_state_dict(state)
    network.to(device).eval()
    scale = Scale(tuple(map(float, about["mean"])), tuple(map(float, about["std"])))
    return Model(network, scale, bool(about["bf16"])), tuple(map(str, about["classes"]))
