"""Where evidence lies and where work is done: one store a root and process, engines by need."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from vidal.engine import Listener, LocalEngine, ProcessEngine
from vidal.protocols import Engine
from vidal.store import FileStore

FEW = 24
"""Clips that are opened faster here than worker processes start."""


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


@dataclass(frozen=True, slots=True)
class Engines:
    """Chooses an engine.

    Attributes:
        workers: processes; 0 = one a core, or one where a GPU does the work.
        device: of the detector: auto, cpu or cuda.
        detects: a detector runs at all.
    """

    workers: int = 0
    device: str = "auto"
    detects: bool = True

    def __call__(self, items: int, *, heavy: bool, listener: Listener | None = None) -> Engine:
        """This process for little work, else worker processes that share the cores."""
        if not items or (not heavy and items <= FEW):
            return LocalEngine(listener)
        workers = self.workers or (cores() if not heavy or not self._on_gpu() else 1)
        workers = max(1, min(workers, items))
        if workers == 1:
            return LocalEngine(listener)
        threads = max(1, cores() // workers)
        return ProcessEngine(workers, threads, initializer=_limit_opencv, listener=listener)

    def _on_gpu(self) -> bool:
        if not self.detects or self.device == "cpu":
            return False
        import torch

        return torch.cuda.is_available()


def _limit_opencv(threads: int) -> None:
    """OpenCV gets one thread: flow and detection share the cores.

    torch takes its number from the environment that the engine sets; importing it here would cost
    work that does not need it.
    """
    del threads
    import cv2

    cv2.setNumThreads(1)
