"""How the GPUs and the cores of one machine are shared by processes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vidal.types.devices import BOUND

FEW, MANY = 4, 12
"""Cores a GPU: from so many on two processes share it, from so many on three. While one of them
estimates and writes, another keeps the GPU busy; each decodes and measures flow beside it."""
OTHERS = 2
"""Cores of a process that do not measure flow: one decodes, one feeds the GPU."""


@dataclass(frozen=True, slots=True)
class Share:
    """Processes for some GPUs.

    Attributes:
        workers: how many.
        threads: cores of each.
        places: the environment of each place: which GPU is theirs.
    """

    workers: int
    threads: int
    places: tuple[Mapping[str, str], ...]


def share(gpus: Sequence[str], cores: int, *, workers: int, items: int) -> Share:
    """Share GPUs and cores.

    Args:
        gpus: their names; each process has one, and takes turns.
        cores: of the machine that may be used.
        workers: processes that were asked for; 0 = as many as keep the GPUs busy.
        items: more processes than these are of no use.
    """
    own = cores // len(gpus)
    each = 1 if own < FEW else 2 if own < MANY else 3
    count = max(1, min(workers or each * len(gpus), items))
    places = tuple({BOUND: name} for name in gpus[:count])
    return Share(count, max(1, cores // count), places)


def begin_on_ray(threads: int) -> None:
    """The same in a Ray actor, which sees no GPUs but its own: the first of these is meant."""
    os.environ.setdefault(BOUND, "cuda")
    begin_beside_gpu(threads)


def begin_beside_gpu(threads: int) -> None:
    """What a process does first whose detector runs on a GPU: flow gets the cores that are left."""
    import cv2

    from vidal.track.flow import use_threads

    cv2.setNumThreads(1)
    use_threads(max(1, threads - OTHERS))
