"""What the methods share when they train: targets, the background column, one seeded loop.

A method gives a loss; the trunk gives network, inputs and course. Random numbers come from the seed
alone, so a training is the same bits on a CPU every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from vidal.errors import UsageError
from vidal.protocols import Trunk
from vidal.types import BACKGROUND, IntArray, Seen


class Batch(NamedTuple):
    """One step of a training.

    Attributes:
        seen: of labelled items.
        targets: (n,) 0..K-1 known, K unknown, K+1 background.
        rows: (n,) of the labelled side.
        share: of the training that is done, in [0, 1).
        pool: of items of the pool, where the loss asks for them.
        pool_rows: (m,) of the pool.
    """

    seen: Seen
    targets: Tensor
    rows: IntArray
    share: float
    pool: Seen | None = None
    pool_rows: IntArray | None = None


Loss = Callable[[Batch], Tensor]

LONGEST = 10.0
"""Norm that gradients are cut to: rates of the papers are a tenth of those of short trainings, and
losses of distances, of energies or at a low temperature run away with these."""


def targets_of(trunk: Trunk) -> IntArray:
    """(M,) answers with background as K+1, the last column of a head of ``class_outputs``."""
    return np.where(trunk.answers == BACKGROUND, trunk.known + 1, trunk.answers).astype(np.int64)


def class_outputs(trunk: Trunk, classes: int) -> int:
    """Outputs of a head that tells ``classes`` apart: one more, the last, where there is
    background."""
    return classes + int(trunk.background)


def class_targets(targets: Tensor, known: int, classes: int) -> Tensor:
    """Targets of ``Batch`` for a head of ``class_outputs``: background is its last column.

    With ``classes`` = K there is no column for unknown objects: leave their rows out before.
    """
    return torch.where(targets == known + 1, torch.full_like(targets, classes), targets)


def without_background(logits: NDArray[Any], classes: int) -> NDArray[Any]:
    """The columns that are scored: background is dropped before."""
    return logits[:, :classes]


def objects(trunk: Trunk) -> IntArray:
    """Rows of labelled items that are objects, known or not."""
    return np.flatnonzero(trunk.answers != BACKGROUND)


def teachers(trunk: Trunk, *, unknown: bool) -> IntArray:
    """Rows a classifier learns from: known classes and background, and unknown objects if told."""
    return np.flatnonzero(unknown | (trunk.answers != trunk.known))


def train(
    trunk: Trunk,
    network: Any,
    loss: Loss,
    *,
    rows: IntArray,
    seed: int,
    pool: int = 0,
    more: Iterable[Any] = (),
    each_epoch: Callable[[int], None] | None = None,
    looks: int = 0,
    look: Callable[[int], None] | None = None,
) -> None:
    """Fit a network in place; it is in evaluation mode afterwards.

    Args:
        trunk: what it stands on.
        network: of ``trunk.network``.
        loss: of a step, a scalar.
        rows: (n,) labelled items that are learned from, n >= 1.
        seed: of the order, changes of inputs and dropout.
        pool: items of the pool beside the labelled ones of every step.
        more: parameters that are trained along.
        each_epoch: called before each epoch, with the network in evaluation mode.
        looks: how often ``look`` is called, evenly spaced, the last time at the end.
        look: called with the number of the look, the network in evaluation mode.

    Raises:
        UsageError: the loss is not finite.
    """
    course = trunk.course(len(rows))
    parameters = [*network.parameters(), *more]
    optimizer = course.optimizer(parameters)
    rng = np.random.default_rng([seed, 5])
    targets = torch.from_numpy(targets_of(trunk))
    due = np.linspace(0, course.steps, looks + 1).round().astype(int)[1:].tolist()
    drawn, waiting = _orders(rows, course.batch, rng), _pool_orders(trunk.size, pool, rng)
    with trunk.drawing(seed):
        network.train()
        for step in range(course.steps):
            if each_epoch is not None and step % course.epoch == 0:
                _aside(network, each_epoch, step // course.epoch)
            for group in optimizer.param_groups:
                group["lr"] = course.rate(step)
            batch = _batch(trunk, network, next(drawn), next(waiting), targets, rng)
            value = loss(batch._replace(share=step / course.steps))
            optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, LONGEST)
            optimizer.step()
            for number in [n for n, at in enumerate(due) if at == step + 1]:
                if look is not None:
                    _aside(network, look, number)
    if not torch.isfinite(value):
        why = f"the loss is not finite after {course.steps} steps."
        raise UsageError(why, hint="Give a lower rate.")
    network.eval()


def _aside(network: Any, what: Callable[[int], None], number: int) -> None:
    network.eval()
    what(number)
    network.train()


def _batch(
    trunk: Trunk,
    network: Any,
    rows: IntArray,
    pool_rows: IntArray | None,
    targets: Tensor,
    rng: Generator,
) -> Batch:
    inputs = trunk.inputs("labelled", rows, rng)
    own = targets[torch.from_numpy(rows)].to(inputs.device)
    if pool_rows is None:
        return Batch(network(inputs), own, rows, 0.0)
    both = network(torch.cat([inputs, trunk.inputs("pool", pool_rows, rng)]))
    cut = len(rows)
    first, second = (
        Seen(both.features[part], {name: each[part] for name, each in both.outputs.items()})
        for part in (slice(None, cut), slice(cut, None))
    )
    return Batch(first, own, rows, 0.0, second, pool_rows)


def _orders(rows: IntArray, batch: int, rng: Generator) -> Iterator[IntArray]:
    """Rows of each step: pass after pass in new orders; a batch is never short of two."""
    size = min(batch, max(len(rows), 2))
    left = np.zeros(0, np.int64)
    while True:
        while len(left) < size:
            left = np.concatenate([left, rng.permutation(rows)])
        yield left[:size]
        left = left[size:]


def _pool_orders(size: int, batch: int, rng: Generator) -> Iterator[IntArray | None]:
    if not batch or not size:
        while True:
            yield None
    yield from _orders(np.arange(size), batch, rng)
