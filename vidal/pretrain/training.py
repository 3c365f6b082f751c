"""The loop of SimSiam: seeded, watched for collapse, continued after an interruption.

Everything random is derived from (seed, epoch), as in the training of detectors: a run that was
stopped and resumed gives the weights of an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from vidal.errors import UsageError, WeightsError
from vidal.pretrain.augment import random_views
from vidal.pretrain.network import SimSiam, torch_loss
from vidal.pretrain.options import SimSiamOptions
from vidal.pretrain.simsiam import COLLAPSED, healthy_std, spread, unit_std
from vidal.store import atomic
from vidal.types import Image

Progress = Callable[[Mapping[str, float]], None]


class Pictures(Protocol):
    """Unlabelled pictures; may load lazily."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, at: int, /) -> tuple[Image, ...]:
        """A picture, uint8 (H, W, C), and perhaps one more that shows nearly the same."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """Pictures of one size, uint8 (N, H, W, C)."""

    images: Image

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, at: int) -> tuple[Image, ...]:
        return (self.images[at],)


@dataclass(slots=True)
class PretrainState:
    """A pre-training in progress; changed in place by ``run_epoch``.

    Attributes:
        network: what is trained, in training mode.
        optimizer: with its momentum.
        options: unchanged during the run.
        seed: what every epoch's randomness is derived from.
        epoch, step: how many are done.
        losses, stds: means of every finished epoch, of the loss and of ``unit_std``.
    """

    network: SimSiam
    optimizer: torch.optim.Optimizer
    options: SimSiamOptions
    seed: int
    epoch: int = 0
    step: int = 0
    losses: list[float] = field(default_factory=list)
    stds: list[float] = field(default_factory=list)

    def outcome(self) -> PretrainOutcome:
        """What is known so far."""
        return PretrainOutcome(tuple(self.losses), tuple(self.stds), self.options.dim, self.step)


@dataclass(frozen=True, slots=True)
class PretrainOutcome:
    """What a pre-training did.

    Attributes:
        losses: of every epoch, in [-1, 1].
        stds: ``unit_std`` of every epoch.
        dim: of the projections.
        steps: of the optimiser.
    """

    losses: tuple[float, ...]
    stds: tuple[float, ...]
    dim: int
    steps: int

    @property
    def spread(self) -> float:
        """Of the last tenth of the epochs: about 1 is healthy, 0 is collapse."""
        last = self.stds[-max(1, len(self.stds) // 10) :]
        return spread(float(np.mean(last)), self.dim) if last else 0.0

    @property
    def collapsed(self) -> bool:
        """Whether all pictures end with nearly the same projection."""
        return self.spread < COLLAPSED


def begin(network: SimSiam, options: SimSiamOptions, seed: int) -> PretrainState:
    """A pre-training at its start; ``network`` is changed by it."""
    network.train()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=options.rate,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
    )
    return PretrainState(network, optimizer, options, seed)


def steps_of(pictures: int, options: SimSiamOptions) -> int:
    """Steps of an epoch: whole batches, for the batch norms; one smaller where there are few."""
    return max(1, pictures // options.batch)


def batches(
    pictures: Pictures, options: SimSiamOptions, rng: Generator
) -> Iterator[tuple[list[Image], ...]]:
    """One pass: pictures in random order, and those beside them where there are any."""
    order = rng.permutation(len(pictures))
    for first in range(0, steps_of(len(pictures), options) * options.batch, options.batch):
        rows = [pictures[int(at)] for at in order[first : first + options.batch]]
        yield tuple(list(each) for each in zip(*rows, strict=True))


def run_epoch(
    state: PretrainState,
    groups: Iterable[tuple[list[Image], ...]],
    steps: int,
    progress: Progress | None = None,
    *,
    rng: Generator,
    bf16: bool = False,
) -> None:
    """One pass over batches of pictures.

    Args:
        state: continued, and changed.
        groups: batches of uint8 images (H, W, C), two at least; a second list of a batch holds
            further positives, row by row.
        steps: of an epoch, for the learning rate.
        progress: called after every step with ``loss``, ``std``, ``healthy`` (the ``std`` of
            directions spread evenly), ``epoch``, ``epochs``, ``step``, ``steps``, ``lr``.
        rng: of the views.
        bf16: compute in bf16 autocast.

    Raises:
        UsageError: the loss is not finite any more.
    """
    options, told = state.options, []
    total = steps * options.epochs
    for images, *others in groups:
        rate = options.rate * 0.5 * (1 + math.cos(math.pi * state.step / total))
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        first, second = (random_views(images, options, rng) for _ in range(2))
        beside = [random_views(each, options, rng) for each in others]
        with torch.autocast(state.network.mean.device.type, dtype=torch.bfloat16, enabled=bf16):
            loss, std = _loss(state.network, first, second, beside)
        told.append((_descend(state, loss), std))
        if progress is not None:
            progress(
                {
                    "loss": told[-1][0],
                    "std": std,
                    "healthy": healthy_std(options.dim),
                    "epoch": state.epoch + 1,
                    "epochs": options.epochs,
                    "step": state.step,
                    "steps": total,
                    "lr": rate,
                }
            )
    state.epoch += 1
    state.losses.append(float(np.mean([loss for loss, _ in told])))
    state.stds.append(float(np.mean([std for _, std in told])))


def _loss(
    network: SimSiam, first: Tensor, second: Tensor, beside: list[Tensor]
) -> tuple[Tensor, float]:
    """Loss of a batch (the mean over its pairs of views), and ``unit_std`` of its projections."""
    z1, p1 = network(first)
    losses = []
    for views in [second, *beside]:
        z2, p2 = network(views)
        losses.append(torch_loss(p1, z1, p2, z2))
    return torch.stack(losses).mean(), unit_std(z1.detach().float().cpu().numpy())


def _descend(state: PretrainState, loss: Tensor) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise UsageError(
            f"pre-training diverged at step {state.step}: the loss is {value}.",
            hint="Lower the learning rate.",
        )
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
    state.step += 1
    return value


def save_state(state: PretrainState, path: Path, key: str) -> None:
    """Keep a pre-training on disk, whole or not at all.

    Args:
        state: at the end of an epoch.
        path: of the file.
        key: of what it belongs to.

    Raises:
        OutputError: the place cannot be written.
    """
    content = {
        "key": key,
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "options": {k: list(v) if isinstance(v, tuple) else v for k, v in _plain(state.options)},
        "seed": state.seed,
        "epoch": state.epoch,
        "step": state.step,
        "losses": state.losses,
        "stds": state.stds,
    }
    with atomic.open_new(path) as file:
        torch.save(content, file)


def _plain(options: SimSiamOptions) -> Iterable[tuple[str, Any]]:
    return asdict(options).items()


def load_state(path: Path, network: SimSiam, options: SimSiamOptions, key: str) -> PretrainState:
    """Continue what ``save_state`` kept; ``network`` is filled and changed.

    Raises:
        WeightsError: not such a file, or it belongs to something else.
    """
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in _plain(options)}
        if kept["key"] != key or kept["options"] != plain:
            raise WeightsError(
                path, "belongs to another pre-training", hint="Remove it, or name another --out."
            )
        state = begin(network, options, kept["seed"])
        network.load_state_dict(kept["network"])
        state.optimizer.load_state_dict(kept["optimizer"])
        state.epoch, state.step = kept["epoch"], kept["step"]
        state.losses, state.stds = list(kept["losses"]), list(kept["stds"])
    except WeightsError:
        raise
    except Exception as error:
        # torch raises whatever the unpickler, the archive reader or the network meets first
        raise WeightsError(
            path,
            f"not a pre-training that can be continued ({type(error).__name__})",
            hint="Remove it.",
        ) from error
    return state


def pretrain(
    network: SimSiam,
    pictures: Pictures,
    options: SimSiamOptions,
    seed: int,
    *,
    progress: Progress | None = None,
    keep: Path | None = None,
    key: str = "",
    bf16: bool = False,
) -> PretrainOutcome:
    """Train a network's encoder in place; at the end it is in evaluation mode.

    Args:
        network: of ``simsiam_network``, on the device to train on.
        pictures: two at least.
        options: how.
        seed: of order and views.
        progress: see ``run_epoch``.
        keep: where the state is kept after every epoch, and continued from if it is there. It is
            left to the caller to remove it, once what came of it is kept elsewhere.
        key: of what ``keep`` belongs to: another one is refused.
        bf16: compute in bf16 autocast.

    Raises:
        UsageError: fewer than two pictures, or the loss is not finite any more.
        WeightsError: ``keep`` holds something else.
    """
    if len(pictures) < 2:
        raise UsageError(f"{len(pictures)} pictures: at least two are needed to tell apart.")
    if keep is not None and keep.exists():
        state = load_state(keep, network, options, key)
    else:
        state = begin(network, options, seed)
    steps = steps_of(len(pictures), options)
    while state.epoch < options.epochs:
        rng = np.random.default_rng([state.seed, state.epoch])
        groups = batches(pictures, options, rng)
        run_epoch(state, groups, steps, progress, rng=rng, bf16=bf16)
        if keep is not None:
            save_state(state, keep, key)
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return state.outcome()
