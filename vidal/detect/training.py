"""Fitting a network: one seeded loop, whose state can be kept after every epoch and continued.

Everything random is derived from (seed, epoch), so an epoch needs nothing but the state before it:
a run that was stopped and resumed gives the weights of an undisturbed one.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidal.detect.device import arithmetic, resolved
from vidal.detect.loading import training_batches
from vidal.detect.losses import training_losses
from vidal.detect.machine import loader_threads
from vidal.detect.options import TrainOptions
from vidal.errors import OutputError, UsageError, WeightsError
from vidal.types import Sample

Progress = Callable[[Mapping[str, float]], None]


@dataclass(slots=True)
class TrainState:
    """A training in progress; changed in place by ``run_epoch``.

    Attributes:
        network: what is trained, in training mode.
        optimizer: with its moments.
        average: the averaged weights (those that training returns).
        options: unchanged during the run.
        seed: what every epoch's randomness is derived from.
        epoch: how many are done.
        step: how many steps are done.
        scaler: of the loss, for ``fp16``; does nothing in other arithmetic.
    """

    network: Any
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    options: TrainOptions
    seed: int
    epoch: int = 0
    step: int = 0
    scaler: Any = field(default_factory=lambda: torch.amp.GradScaler("cpu", enabled=False))

    @property
    def device(self) -> torch.device:
        """Where the network is trained."""
        device: torch.device = next(self.network.parameters()).device
        return device


@dataclass(frozen=True, slots=True)
class Snapshots:
    """States of the network that are kept while it is trained, as checkpoints of their own.

    Attributes:
        folder: where; it exists.
        count: how many, evenly spaced over the epochs, the end not counted; fewer where there are
            no more epochs than that.
    """

    folder: Path
    count: int

    def epochs(self, total: int) -> frozenset[int]:
        """After which epochs (counted from 1) of a training one is kept."""
        every = np.linspace(0, total, self.count + 2)[1:-1].round().astype(int).tolist()
        return frozenset(every) - {0, total}

    def path(self, epoch: int) -> Path:
        """Of one of them; by name they are in order."""
        return self.folder / f"epoch-{epoch:05d}.safetensors"


def begin(network: Any, options: TrainOptions, seed: int) -> TrainState:
    """A training at its start; ``network`` is changed by it."""
    network.train()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    device = next(network.parameters()).device
    half = resolved(options.precision, device) == "fp16"
    return TrainState(
        network=network,
        optimizer=_optimizer(network, options),
        average={name: each.detach().clone() for name, each in network.state_dict().items()},
        options=options,
        seed=seed,
        scaler=torch.amp.GradScaler(device.type, enabled=half),
    )


def _optimizer(network: Any, options: TrainOptions) -> torch.optim.Optimizer:
    """Weight decay on matrices and kernels only, not on biases and norms."""
    weights = [each for each in network.parameters() if each.ndim > 1]
    others = [each for each in network.parameters() if each.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=options.lr, momentum=0.9)
    return torch.optim.AdamW(groups, lr=options.lr)


def learning_rate(step: int, steps: int, options: TrainOptions) -> float:
    """The rate of one step (counted from 0) of a run of ``steps``."""
    warmup = min(options.warmup, max(1, steps // 10))
    rise = min(1.0, (step + 1) / warmup) if options.warmup else 1.0
    if options.schedule == "steps":
        passed = sum(step >= drop * steps for drop in options.drops)
        return options.lr * rise * options.drop**passed
    return options.lr * rise * 0.5 * (1 + math.cos(math.pi * step / steps))


def _set_mode(state: TrainState) -> None:
    state.network.train()
    if state.options.freeze_norm:
        for module in state.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _follow(state: TrainState) -> None:
    """Move the averaged weights towards the current ones (faster at first)."""
    decay = min(state.options.ema, (1 + state.step) / (10 + state.step))
    for name, value in state.network.state_dict().items():
        if value.is_floating_point():
            state.average[name].lerp_(value.detach(), 1 - decay)
        else:
            state.average[name].copy_(value)


def run_epoch(
    state: TrainState, samples: Sequence[Sample], progress: Progress | None = None
) -> None:
    """One pass over the samples, in an order of its own; it ends early at the last step.

    Args:
        state: continued, and changed.
        samples: read one at a time, by number; may load lazily.
        progress: called after every step with ``loss``, ``epoch``, ``epochs``, ``step``, ``steps``
            (both counted over the whole run, from 1) and ``lr``.

    Raises:
        UsageError: the loss is not finite any more.
    """
    options, device = state.options, state.device
    rng = np.random.default_rng([state.seed, state.epoch])
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    steps, epochs = options.length(len(samples))
    order = rng.permutation(len(samples))[: (steps - state.step) * options.batch]
    _set_mode(state)
    batches = training_batches(
        samples,
        order,
        state.network.transform,
        options,
        rng,
        loaders=loader_threads(device.type) if options.loaders is None else options.loaders,
        pin=device.type == "cuda",
    )
    for batch in batches:
        images, sizes, targets = batch.on(device)
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(state.step, steps, options)
        with arithmetic(options.precision, device):
            losses = training_losses(state.network, images, sizes, targets, options, generator)
        loss = _descend(state, losses)
        if progress is not None:
            progress(
                {
                    "loss": loss,
                    "epoch": state.epoch + 1,
                    "epochs": epochs,
                    "step": state.step,
                    "steps": steps,
                    "lr": state.optimizer.param_groups[0]["lr"],
                }
            )
    state.epoch += 1


def _descend(state: TrainState, losses: dict[str, Tensor]) -> float:
    """One step of the optimizer; returns the loss before it."""
    total = torch.stack(list(losses.values())).sum()
    loss = float(total.detach())
    if not math.isfinite(loss):
        raise UsageError(
            f"training diverged at step {state.step}: the loss is {loss}.",
            hint="Lower the learning rate.",
        )
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(total).backward()
    state.scaler.unscale_(state.optimizer)
    nn.utils.clip_grad_norm_(state.network.parameters(), state.options.clip_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.step += 1
    _follow(state)
    return loss


def finish(state: TrainState) -> Any:
    """The trained network, with the averaged weights if they were asked for, ready to detect."""
    if state.options.ema:
        state.network.load_state_dict(state.average)
    state.network.eval()
    for parameter in state.network.parameters():
        parameter.requires_grad_(False)
    return state.network


def save_state(state: TrainState, path: Path) -> None:
    """Keep a training on disk, whole or not at all.

    Raises:
        OutputError: the place cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    content = {
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "average": state.average,
        "options": state.options.shaping,
        "seed": state.seed,
        "epoch": state.epoch,
        "step": state.step,
        **({"scaler": state.scaler.state_dict()} if state.scaler.is_enabled() else {}),
    }
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OutputError(path, str(error)) from error


def load_state(path: Path, network: Any, options: TrainOptions) -> TrainState:
    """Continue what ``save_state`` kept; ``network`` is filled and changed.

    Raises:
        WeightsError: not such a file, or made with another network or other options.
    """
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        if kept["options"] != options.shaping:
            raise WeightsError(
                path, "belongs to a training with other options", hint="Remove it to start anew."
            )
        state = begin(network, options, kept["seed"])
        network.load_state_dict(kept["network"])
        state.optimizer.load_state_dict(kept["optimizer"])
        for name, value in kept["average"].items():
            state.average[name].copy_(value)
        state.epoch, state.step = kept["epoch"], kept["step"]
        if state.scaler.is_enabled():
            state.scaler.load_state_dict(kept["scaler"])
    except WeightsError:
        raise
    except Exception as error:
        # torch raises whatever the unpickler, the archive reader or the network meets first
        raise WeightsError(
            path,
            f"not a training that can be continued ({type(error).__name__})",
            hint="Remove it.",
        ) from error
    return state


def train(
    network: Any,
    samples: Sequence[Sample],
    options: TrainOptions,
    seed: int,
    *,
    progress: Progress | None = None,
    keep: Path | None = None,
    after_epoch: Callable[[TrainState], None] | None = None,
) -> Any:
    """The network, trained; it is changed in place.

    Args:
        network: a torchvision ``FasterRCNN`` on the device to train on.
        samples: labels index the network's outputs, background not counted.
        options: how.
        seed: of order, augmentation and sampling.
        progress: see ``run_epoch``.
        keep: where the state is kept after every epoch, and continued from if it is there (with
            the seed it was started with). Removed at the end.
        after_epoch: called after every epoch, before the state is kept.

    Raises:
        UsageError: no samples, or the loss is not finite any more.
        WeightsError: ``keep`` holds something else.
    """
    if not len(samples):
        raise UsageError("there are no samples to train on.")
    if keep is not None and keep.exists():
        state = load_state(keep, network, options)
    else:
        state = begin(network, options, seed)
    _, epochs = options.length(len(samples))
    while state.epoch < epochs:
        run_epoch(state, samples, progress)
        if after_epoch is not None:
            after_epoch(state)
        if keep is not None:
            save_state(state, keep)
    if keep is not None:
        keep.unlink(missing_ok=True)
    return finish(state)
