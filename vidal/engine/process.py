"""The engine that uses the cores of one machine: spawned worker processes.

One pipe per worker instead of a shared queue: so the parent knows which item a worker has, and can
name it when the worker is killed; and no thread is needed, neither for results nor for progress.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any

from vidal.engine.crew import Crew, Said, work_through
from vidal.engine.hiring import PATIENCE, Standby, Terms, Worker, dismiss, hire
from vidal.engine.progress import Listener
from vidal.errors import UsageError, WorkerLost
from vidal.protocols import Item, Result


@dataclass(frozen=True, slots=True)
class ProcessEngine:
    """Processes items in worker processes; each ``map`` starts its own and ends them.

    Workers are started as they are needed, at most one an item. They ignore the interrupt of the
    terminal and end when the results are no longer iterated over, when an exception leaves, and
    when this process dies. Results that are not due yet are held, at most ``ahead``.

    A worker that is killed costs its item a try; there are three. Where the kernel killed it, the
    last try has the machine for itself: nothing else is worked on meanwhile.

    Attributes:
        workers: processes at once.
        threads: threads each may use; set in the environment before a worker starts, and passed
            to ``initializer``.
        initializer: called once in each worker with ``threads``, e.g. ``torch.set_num_threads``;
            importable by name.
        listener: told how far each item is.
        ahead: items that may be taken beyond the one whose result is due.
        standby: workers that were started before; taken over where they are on the same terms.
        places: variables of the environment that differ between workers, see ``Terms``.
    """

    workers: int
    threads: int = 1
    initializer: Callable[[int], object] | None = None
    listener: Listener | None = None
    ahead: int = 64
    standby: Standby | None = field(default=None, compare=False, repr=False)
    places: tuple[Mapping[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: {getattr(self, name)}.", hint="Give at least 1.")

    @property
    def terms(self) -> Terms:
        """On which workers are hired."""
        return Terms(self.initializer, self.threads, self.places)

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
            lost: makes the result of an item that has cost three workers, in this process.

        Raises:
            WorkerLost: an item has cost three workers, and there is no ``lost``; or no worker can
                start; or every item costs its workers.
        """
        staff = _Processes(self)
        crew = Crew(staff, function, limit=self.workers, lost=lost, listener=self.listener)
        return work_through(crew, items, ahead=self.ahead)


class _Processes:
    """Worker processes, as a crew sees them."""

    together = True

    def __init__(self, engine: ProcessEngine) -> None:
        self._engine = engine
        self._there = [0] * max(1, len(engine.places))

    def hire(self) -> Worker:
        standby, terms = self._engine.standby, self._engine.terms
        found = None if standby is None else standby.take(terms)
        if found is None:
            found = hire(terms, (), self._there.index(min(self._there)))
        self._there[found.place] += 1
        return found

    def give(self, worker: Worker, function: Callable[[Any], Any], item: Any) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it is gone; noticed on reading
            worker.channel.send((function, item))

    def listen(self, workers: Collection[Worker], seconds: float) -> Iterable[tuple[Worker, Said]]:
        by_channel = {worker.channel: worker for worker in workers}
        for ready in connection.wait(list(by_channel), seconds):
            worker = by_channel[ready]  # type: ignore[index]
            try:
                kind, *content = worker.channel.recv()
            except (EOFError, OSError):  # OSError: it was killed within a message
                yield worker, Said("ended", self._ending(worker))
                continue
            yield worker, Said(kind, content)

    def dismiss(self, workers: Sequence[Worker], *, kindly: bool) -> None:
        for worker in workers:
            self._there[worker.place] -= 1
        dismiss(workers, kindly=kindly)

    def _ending(self, worker: Worker) -> tuple[str, bool]:
        """How it ended in words, and whether the kernel may have done it for want of memory."""
        self._there[worker.place] -= 1
        worker.process.join(PATIENCE)
        code = worker.process.exitcode
        if code is None:  # it lives, and cannot be talked to
            dismiss([worker], kindly=False)
            return "closed its connection", False
        worker.channel.close()
        if code >= 0:
            return f"ended with exit status {code}", False
        return f"was killed by {signal.Signals(-code).name}", -code == signal.SIGKILL
