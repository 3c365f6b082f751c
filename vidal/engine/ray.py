"""The engine that uses a cluster: Ray actors, each one worker.

Actors are not restarted by Ray (tries would meet an actor that is just starting): one that dies is
replaced by a new one, as worker processes are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import Any

from vidal.engine.crew import Crew, Said, work_through
from vidal.engine.hiring import environment
from vidal.engine.progress import Listener
from vidal.engine.ray_actor import Hand
from vidal.engine.ray_session import check_address, check_ray, session
from vidal.errors import UsageError, WorkerLost
from vidal.protocols import Item, Result


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Processes items in Ray actors; each ``map`` starts its own and ends them.

    Functions are importable by name on every machine of the cluster, and paths are the same there.
    Results that are not due yet are held, at most ``ahead``.

    Attributes:
        workers: actors at once; 0 = as many as the cluster has room for.
        threads: threads (and Ray's CPUs) of each.
        gpus: GPUs of each, such as 0.25: four share one; 0 = none.
        address: of the cluster: ``auto``, ``HOST:PORT``; None = what ``RAY_ADDRESS`` names, else
            a local Ray is started and stopped.
        initializer: called once in each actor with ``threads``; importable by name.
        listener: told how far each item is.
        ahead: items that may be taken beyond the one whose result is due.
    """

    workers: int = 0
    threads: int = 1
    gpus: float = 0.0
    address: str | None = None
    initializer: Callable[[int], object] | None = None
    listener: Listener | None = None
    ahead: int = 64

    def __post_init__(self) -> None:
        for name, least in (("workers", 0), ("threads", 1), ("gpus", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name}: {getattr(self, name)}.", hint=f"Give at least {least}.")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise UsageError(f"gpus: {self.gpus}.", hint="Give a share of one, or whole ones.")
        check_ray()
        check_address(self.address)

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        lost: Callable[[Item, WorkerLost], Result] | None = None,
    ) -> Iterator[Result]:
        """Results in the order of the items; the first exception is raised where it is due.

        Args:
            function: importable by name.
            items: picklable.
            lost: makes the result of an item that has cost three actors, in this process.

        Raises:
            WorkerLost: as of worker processes.
            UsageError: there is no such cluster, or no room for an actor in it.
        """
        cpus = max(self.workers, 1) * self.threads
        with session(self.address, cpus=cpus, gpus=max(self.workers, 1) * self.gpus) as ray:
            limit = self._limit(ray)
            staff = _Actors(ray, self)
            crew = Crew(staff, function, limit=limit, lost=lost, listener=self.listener)
            yield from work_through(crew, items, ahead=max(self.ahead, 2 * limit))

    def _limit(self, ray: Any) -> int:
        """Actors at once.

        Raises:
            UsageError: no machine of the cluster has what one actor needs.
        """
        room = 0
        for node in ray.nodes():
            has = node["Resources"] if node["Alive"] else {}
            fit = has.get("CPU", 0) // self.threads
            room += int(min(fit, has.get("GPU", 0) / self.gpus) if self.gpus else fit)
        if not room:
            needs = f"{self.threads} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")
            raise UsageError(f"no machine of the Ray cluster has {needs} for a worker.")
        return self.workers or room


@dataclass(eq=False, slots=True)
class _Actor:
    """An actor, and what will be heard of it next."""

    handle: Any
    coming: Any = None


class _Actors:
    """Ray actors, as a crew sees them."""

    together = False

    def __init__(self, ray: Any, engine: RayEngine) -> None:
        self._ray, self._engine = ray, engine
        self._begin = _dumped((engine.initializer, engine.threads))
        self._kind = ray.remote(Hand).options(
            num_cpus=engine.threads,
            num_gpus=engine.gpus,
            max_restarts=0,
            max_task_retries=0,
            runtime_env={"env_vars": environment(engine.threads)},
        )

    def hire(self) -> _Actor:
        handle = self._kind.remote()
        folders = [folder for folder in sys.path if folder]
        return _Actor(handle, handle.begin.remote(folders, self._begin))

    def give(self, worker: _Actor, function: Callable[[Any], Any], item: Any) -> None:
        work = worker.handle.work.options(num_returns="streaming")
        worker.coming = work.remote(_dumped((function, item)))

    def listen(self, workers: Collection[_Actor], seconds: float) -> Iterable[tuple[_Actor, Said]]:
        pending = [worker for worker in workers if worker.coming is not None]
        coming = [worker.coming for worker in pending]
        found, _ = self._ray.wait(coming, num_returns=1, timeout=seconds)
        if found:  # and what else is there
            found, _ = self._ray.wait(coming, num_returns=len(coming), timeout=0)
        ready = {id(each) for each in found}
        for worker in pending:
            if id(worker.coming) in ready:
                yield worker, self._heard(worker)

    def dismiss(self, workers: Sequence[_Actor], *, kindly: bool) -> None:
        del kindly
        for worker in workers:
            with suppress(Exception):  # it is gone, or the cluster is
                self._ray.kill(worker.handle)

    def _heard(self, worker: _Actor) -> Said:
        """What an actor says, or how it ended."""
        starting = isinstance(worker.coming, self._ray.ObjectRef)
        try:
            place = worker.coming if starting else next(worker.coming)
            kind, *content = ForkingPickler.loads(self._ray.get(place))
        except (self._ray.exceptions.RayError, StopIteration) as error:
            worker.coming = None
            return Said("ended", _ending(str(error)))
        if kind != "progress":
            worker.coming = None
        return Said(kind, content)


def _ending(text: str) -> tuple[str, bool]:
    """How an actor ended in words, and whether memory may have run out."""
    if "memory pressure" in text or "OutOfMemory" in text:
        return "was ended by Ray for want of memory", True
    if "SYSTEM_ERROR" in text:
        return "was killed", True
    if "Error: " in text:  # it could not be made there: no vidal, or another one
        line = [each.strip() for each in text.splitlines() if "Error: " in each][-1]
        return f"failed ({line})", False
    return "died", True


def _dumped(value: Any) -> bytes:
    return bytes(ForkingPickler.dumps(value))
