"""The engine that uses the cores of one machine: spawned worker processes.

One pipe per worker instead of a shared queue: so the parent knows which item a worker has, and can
name it when the worker is killed; and no thread is needed, neither for results nor for progress.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import connection
from typing import Any, Generic

from vidal.engine.hiring import PATIENCE, Standby, Terms, Worker, dismiss, hire
from vidal.engine.progress import Listener
from vidal.errors import UsageError, WorkerLost
from vidal.protocols import Item, Result

HEED = 0.5
"""Seconds between looks at interrupts: one that arrives just before the wait begins does not end
it, and would be heeded only when a worker says something."""


@dataclass(frozen=True, slots=True)
class ProcessEngine:
    """Processes items in worker processes; each ``map`` starts its own and ends them.

    Workers are started as they are needed, at most one an item. They ignore the interrupt of the
    terminal and end when the results are no longer iterated over, when an exception leaves, and
    when this process dies. Results that are not due yet are held, at most ``ahead``.

    Attributes:
        workers: processes at once.
        threads: threads each may use; set in the environment before a worker starts, and passed
            to ``initializer``.
        initializer: called once in each worker with ``threads``, e.g. ``torch.set_num_threads``;
            importable by name.
        listener: told how far each item is.
        ahead: items that may be taken beyond the one whose result is due.
        standby: workers that were started before; taken over where they are on the same terms.
    """

    workers: int
    threads: int = 1
    initializer: Callable[[int], object] | None = None
    listener: Listener | None = None
    ahead: int = 64
    standby: Standby | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: {getattr(self, name)}.", hint="Give at least 1.")

    @property
    def terms(self) -> Terms:
        """On which workers are hired."""
        return Terms(self.initializer, self.threads)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of the items; the first exception is raised where it is due.

        Raises:
            WorkerLost: a worker was killed, or ended by itself, with an item at hand.
        """
        crew: _Crew[Item] = _Crew(self, function)
        waiting = enumerate(items)
        done: dict[int, _Answer] = {}
        due = 0
        try:
            while True:
                room = max(self.ahead, self.workers) - len(done) - len(crew.busy)
                for position, item in islice(waiting, min(room, crew.free)):
                    crew.start(position, item)
                if due in done:
                    yield done.pop(due).result()
                    due += 1
                elif crew.busy:
                    done.update(crew.answers())
                else:
                    return
        finally:
            crew.end(kindly=not crew.busy)


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any
    error: BaseException | None = None

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(slots=True)
class _Crew(Generic[Item]):
    """The workers of one ``map``."""

    engine: ProcessEngine
    function: Callable[[Item], Any]
    idle: deque[Worker] = field(default_factory=deque)
    busy: dict[connection.Connection[Any, Any], Worker] = field(default_factory=dict)

    @property
    def free(self) -> int:
        """How many items could be started now."""
        return self.engine.workers - len(self.busy)

    def start(self, position: int, item: Item) -> None:
        """Hand an item to an idle worker, or to a new one."""
        worker_ = self.idle.popleft() if self.idle else self._hire()
        worker_.position, worker_.item = position, item
        self.busy[worker_.channel] = worker_
        with suppress(BrokenPipeError, ConnectionResetError):  # it is gone; noticed on reading
            worker_.channel.send((self.function, item))

    def answers(self) -> dict[int, _Answer]:
        """What workers say within a moment; answers by position of their item."""
        found = {}
        for ready in connection.wait(list(self.busy), HEED):
            worker_ = self.busy[ready]  # type: ignore[index]
            try:
                kind, *content = worker_.channel.recv()
            except (EOFError, ConnectionResetError):
                found[worker_.position] = _Answer(None, self._lost(worker_))
                continue
            if kind == "progress":
                if self.engine.listener is not None:
                    self.engine.listener(worker_.position, *content)
                continue
            found[worker_.position] = self._answer(worker_, kind, content)
            self.idle.append(self.busy.pop(worker_.channel))
        return found

    def end(self, *, kindly: bool) -> None:
        """End all workers: by a word to those that wait, by a signal to those that work."""
        dismiss([*self.idle, *self.busy.values()], kindly=kindly)
        self.idle.clear()
        self.busy.clear()

    def _hire(self) -> Worker:
        standby, terms = self.engine.standby, self.engine.terms
        waiting = None if standby is None else standby.take(terms)
        return waiting or hire(terms)

    def _answer(self, worker_: Worker, kind: str, content: list[Any]) -> _Answer:
        if kind == "result":
            return _Answer(content[0])
        error, text = content
        error.add_note(f"while processing item {worker_.position}: {worker_.item!r}")
        error.add_note(f"in a worker process:\n{text}")
        return _Answer(None, error)

    def _lost(self, worker_: Worker) -> WorkerLost:
        del self.busy[worker_.channel]
        worker_.process.join(PATIENCE)
        worker_.channel.close()
        return WorkerLost(repr(worker_.item), _ending(worker_.process.exitcode))


def _ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "closed its connection"
    if code >= 0:
        return f"ended with exit status {code}"
    return f"was killed by {signal.Signals(-code).name}"
