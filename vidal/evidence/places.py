"""Where evidence lies and where work is done: one store a root and process, engines by need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, get_args

from vidal.detect.machine import this_machine
from vidal.engine import Listener, LocalEngine, ProcessEngine, RayEngine, Standby
from vidal.errors import UnknownName, UsageError
from vidal.evidence.devices import begin_beside_gpu, begin_on_ray, share
from vidal.protocols import Engine
from vidal.store import FileStore

FEW = 24
"""Clips that are opened faster here than worker processes start."""

GATHERING = ("vidal.evidence.gather",)
DETECTING = ("vidal.detect.faster_rcnn",)
"""Modules that early workers import; by name, because this process does without torch."""


@lru_cache(maxsize=4)
def store_at(root: Path) -> FileStore:
    """The store of a root: opened once a process, since opening looks for leftovers."""
    return FileStore(root)


def cores() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class EngineMaker(Protocol):
    """Makes an engine for a number of items."""

    def __call__(self, items: int, *, heavy: bool, listener: Listener | None = None) -> Engine:
        """``heavy``: the items run a detector or optical flow."""
        ...


EngineName = Literal["auto", "local", "process", "ray"]
"""``auto`` = ``process`` where more than one worker is worth while, else ``local``."""
ENGINES: tuple[str, ...] = get_args(EngineName)


@dataclass(frozen=True, slots=True)
class Engines:
    """Chooses an engine.

    Attributes:
        workers: processes; 0 = one a core, or one to three a GPU where GPUs do the work (by the
            cores each has); of Ray on a cluster 0 = as many as it has room for.
        device: of the detector: auto, cpu, cuda, cuda:1, or cuda:0,1 for several.
        detects: a detector runs at all.
        modules: imported by workers that start early.
        standby: workers that start early; None = none do.
        engine: which kind.
        ray_address: of a Ray cluster; None = what ``RAY_ADDRESS`` names, else a local Ray.
        ray_gpus: GPUs of an actor, such as 0.25; None = one where the detector runs on a GPU.

    Raises:
        UsageError: (UnknownName) no such engine, options that contradict it, or Ray is missing.
    """

    workers: int = 0
    device: str = "auto"
    detects: bool = True
    modules: tuple[str, ...] = GATHERING + DETECTING
    standby: Standby | None = field(default=None, compare=False)
    engine: EngineName = "auto"
    ray_address: str | None = None
    ray_gpus: float | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UnknownName("engine", self.engine, ENGINES)
        if self.engine == "local" and self.workers > 1:
            hint = "Drop one of them."
            raise UsageError(f"engine local with {self.workers} workers.", hint=hint)
        if self.engine == "ray":
            RayEngine(gpus=self.ray_gpus or 0.0, address=self.ray_address)
        elif self.ray_address is not None or self.ray_gpus is not None:
            hint = "Give --engine ray, too."
            raise UsageError("options of Ray, but another engine.", hint=hint)

    @contextmanager
    def early(self) -> Iterator[Engines]:
        """Within the block, workers for heavy work start as soon as it is likely to come.

        That is when clips are opened that were not opened before: no detector has seen them. The
        workers import what they need while this process opens the clips.
        """
        with Standby() as standby:
            yield replace(self, standby=standby)

    def __call__(self, items: int, *, heavy: bool, listener: Listener | None = None) -> Engine:
        """This process for little work, else worker processes that share the cores."""
        if not items:
            return LocalEngine(listener)
        if heavy:
            return self._engine(items, listener, heavy=True)
        if self.standby is not None and self.detects:
            coming = self._engine(items, listener, heavy=True)
            if isinstance(coming, ProcessEngine):
                self.standby.start(coming.workers, coming.terms, self.modules)
        return LocalEngine(listener) if items <= FEW else self._engine(items, listener, heavy=False)

    def _engine(self, items: int, listener: Listener | None, *, heavy: bool) -> Engine:
        """For as many items as make more than one worker worth while."""
        if self.engine == "ray" and (heavy or self.ray_address is not None):
            return self._ray(items, listener)
        if heavy and self._on_gpu():
            return self._gpus(items, listener)
        workers = max(1, min(self.workers or cores(), items))
        alone = workers == 1 and not (heavy and self.engine == "process")
        if alone or self.engine == "local":
            return LocalEngine(listener)
        return ProcessEngine(
            workers,
            threads=max(1, cores() // workers),
            initializer=_limit_opencv,
            listener=listener,
            standby=self.standby if heavy else None,
        )

    def _gpus(self, items: int, listener: Listener | None) -> Engine:
        """Processes that share the GPUs; also one alone, which shares the cores in its own way."""
        own = share(this_machine().devices(self.device), cores(), workers=self.workers, items=items)
        if self.engine == "local":
            begin_beside_gpu(cores())
            return LocalEngine(listener)
        return ProcessEngine(
            own.workers,
            threads=own.threads,
            initializer=begin_beside_gpu,
            listener=listener,
            standby=self.standby,
            places=own.places,
        )

    def _ray(self, items: int, listener: Listener | None) -> RayEngine:
        """On a cluster every actor has one CPU; a local one is shared as the cores are."""
        gpus = self.ray_gpus
        if gpus is None:
            gpus = 1.0 if self._on_gpu() else 0.0
        far = self.ray_address is not None or "RAY_ADDRESS" in os.environ
        workers = self.workers or (0 if far else 1 if gpus else cores())
        return RayEngine(
            min(workers, items),
            threads=1 if far else max(1, cores() // max(1, min(workers, items))),
            gpus=gpus,
            address=self.ray_address,
            initializer=begin_on_ray if gpus else _limit_opencv,
            listener=listener,
        )

    def _on_gpu(self) -> bool:
        return self.detects and self.device != "cpu" and this_machine().gpu


def _limit_opencv(threads: int) -> None:
    """OpenCV gets one thread: flow and detection share the cores.

    torch takes its number from the environment that the engine sets; importing it here would cost
    work that does not need it.
    """
    del threads
    import cv2

    cv2.setNumThreads(1)
