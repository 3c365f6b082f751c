"""Training batches: made where they are used, or by threads ahead of a GPU that never waits.

Chance is drawn in the order of the samples, whoever changes their pixels: the batches are the same
for any number of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from vidal.detect.augment import Drawn, as_batch, change, draw_one, make_batch
from vidal.detect.losses import Target
from vidal.detect.options import TrainOptions
from vidal.types import FloatArray, IntArray, Sample

AHEAD = 3
"""Batches that are made before they are wanted."""


class TrainingBatch(NamedTuple):
    """One step's images, normalised and padded, with the size and the truth of each."""

    images: Tensor
    sizes: list[tuple[int, int]]
    targets: list[Target]

    def on(self, device: torch.device) -> TrainingBatch:
        """The same on a device; from pinned memory without waiting for the copy."""
        targets = [Target(*(_sent(each, device) for each in _tensors(t))) for t in self.targets]
        return TrainingBatch(_sent(self.images, device), self.sizes, targets)

    def pinned(self) -> TrainingBatch:
        """The same in memory that a GPU reads by itself."""
        targets = [Target(*(each.pin_memory() for each in _tensors(t))) for t in self.targets]
        return TrainingBatch(self.images.pin_memory(), self.sizes, targets)


def _tensors(target: Target) -> tuple[Tensor, Tensor, Tensor]:
    return target.boxes, target.labels, target.barred


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device, non_blocking=tensor.is_pinned() if device.type == "cuda" else False)


def training_batches(
    samples: Sequence[Sample],
    order: IntArray,
    transform: Any,
    options: TrainOptions,
    rng: Generator,
    *,
    loaders: int,
    pin: bool = False,
) -> Iterator[TrainingBatch]:
    """Batches of an epoch, in order.

    Args:
        samples: read in order by one thread; may load lazily.
        order: their numbers.
        transform: of the network.
        options: batch size and ranges of augmentation.
        rng: what is drawn from, in the order of the samples; not to be used by others meanwhile.
        loaders: threads that change pixels, beside one that reads; 0 = the caller does it all.
        pin: into memory that a GPU reads by itself.
    """
    starts = range(0, len(order), options.batch)
    groups = ([int(n) for n in order[first : first + options.batch]] for first in starts)
    if not loaders:
        for group in groups:
            chosen = [samples[number] for number in group]
            yield TrainingBatch(*make_batch(chosen, transform, options, rng))
        return
    with (
        ThreadPoolExecutor(1, thread_name_prefix="read") as reader,
        ThreadPoolExecutor(loaders, thread_name_prefix="load") as pool,
    ):
        coming: deque[Future[TrainingBatch]] = deque()
        made = (samples, transform, options, rng, pool, pin)
        try:
            for group in groups:
                coming.append(reader.submit(_made, group, *made))
                if len(coming) > AHEAD:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for task in coming:
                task.cancel()


def _made(
    group: Sequence[int],
    samples: Sequence[Sample],
    transform: Any,
    options: TrainOptions,
    rng: Generator,
    pool: ThreadPoolExecutor,
    pin: bool,
) -> TrainingBatch:
    """Read and draw in order; the pixels are changed by the threads of a pool."""
    drawn: list[Drawn] = []
    tasks: list[Future[tuple[FloatArray, Target]]] = []
    for number in group:
        sample = samples[number]
        drawn.append(draw_one(sample, transform, options, rng))
        tasks.append(pool.submit(change, sample, drawn[-1]))
    changed = [task.result() for task in tasks]
    images = as_batch([np.asarray(image) for image, _ in changed], transform)
    batch = TrainingBatch(images, [each.size for each in drawn], [target for _, target in changed])
    return batch.pinned() if pin else batch
