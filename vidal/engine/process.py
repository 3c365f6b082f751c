"""The engine that uses the cores of one machine: spawned worker processes.

One pipe per worker instead of a shared queue: so the parent knows which item a worker has, and can
name it when the worker is killed; and no thread is needed, neither for results nor for progress.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import connection, resource_tracker
from typing import Any, Generic

from vidal.engine import worker
from vidal.engine.progress import Listener
from vidal.errors import UsageError, WorkerLost
from vidal.protocols import Item, Result

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# A network's buffers of tens of megabytes are freed and asked for again in every batch. glibc would
# return each to the system at once, and the page faults took a seventh of the time of a selection;
# other C libraries do not read these. What a user has set stays.
_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
_PATIENCE = 3.0


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
    """

    workers: int
    threads: int = 1
    initializer: Callable[[int], object] | None = None
    listener: Listener | None = None
    ahead: int = 64

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: {getattr(self, name)}.", hint="Give at least 1.")

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


@dataclass(eq=False, slots=True)
class _Worker:
    process: Any
    channel: connection.Connection[Any, Any]
    position: int = -1
    item: Any = None


@dataclass(slots=True)
class _Crew(Generic[Item]):
    """The workers of one ``map``."""

    engine: ProcessEngine
    function: Callable[[Item], Any]
    idle: deque[_Worker] = field(default_factory=deque)
    busy: dict[connection.Connection[Any, Any], _Worker] = field(default_factory=dict)

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
        """Wait until a worker says something; answers by position of their item."""
        found = {}
        for ready in connection.wait(list(self.busy)):
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
        everyone = [*self.idle, *self.busy.values()]
        for worker_ in everyone:
            if kindly:
                with suppress(BrokenPipeError, ConnectionResetError):
                    worker_.channel.send(None)
            else:
                worker_.process.terminate()
        for worker_ in everyone:
            worker_.process.join(_PATIENCE)
            if worker_.process.is_alive():
                worker_.process.kill()
                worker_.process.join()
            worker_.channel.close()
        self.idle.clear()
        self.busy.clear()

    def _hire(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe()
        arguments = (theirs, self.engine.initializer, self.engine.threads)
        process = context.Process(target=worker.serve, args=arguments, daemon=True)
        with _inherited(self.engine.threads), _undisturbed():
            process.start()
        theirs.close()
        return _Worker(process, mine)

    def _answer(self, worker_: _Worker, kind: str, content: list[Any]) -> _Answer:
        if kind == "result":
            return _Answer(content[0])
        error, text = content
        error.add_note(f"while processing item {worker_.position}: {worker_.item!r}")
        error.add_note(f"in a worker process:\n{text}")
        return _Answer(None, error)

    def _lost(self, worker_: _Worker) -> WorkerLost:
        del self.busy[worker_.channel]
        worker_.process.join(_PATIENCE)
        worker_.channel.close()
        return WorkerLost(repr(worker_.item), _ending(worker_.process.exitcode))


def _ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "closed its connection"
    if code >= 0:
        return f"ended with exit status {code}"
    return f"was killed by {signal.Signals(-code).name}"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A process that starts in this block never hears the interrupt of the terminal.

    It inherits the mask of signals, so that not even its interpreter's first lines can be
    interrupted (and print where); an interrupt of this process waits until the block ends.
    """
    resource_tracker.ensure_running()  # it would lift the mask when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _inherited(threads: int) -> Iterator[None]:
    """The environment that a new process inherits; libraries read it when they are loaded."""
    wanted = {name: os.environ.get(name, value) for name, value in _KEEP_MEMORY.items()}
    wanted |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
