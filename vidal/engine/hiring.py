"""Starting and ending worker processes, also before their work is known."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker, spawn
from typing import Any, NamedTuple, Self

from vidal.engine import worker

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# A network's buffers of tens of megabytes are freed and asked for again in every batch. glibc would
# return each to the system at once, and the page faults took a seventh of the time of a selection;
# other C libraries do not read these. What a user has set stays.
_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
PATIENCE = 3.0
"""Seconds a worker has to end by itself."""


class Terms(NamedTuple):
    """On which workers are hired.

    Attributes:
        initializer: called first in each.
        threads: each may use.
        places: variables of the environment that differ between workers, such as which GPU is
            theirs: a new worker has the place that the fewest have.
    """

    initializer: worker.Initializer | None
    threads: int
    places: tuple[Mapping[str, str], ...] = ()


@dataclass(eq=False, slots=True)
class Worker:
    """A worker process, and the way to talk to it."""

    process: Any
    channel: connection.Connection[Any, Any]
    place: int = 0


def hire(terms: Terms, modules: Sequence[str] = (), place: int = 0) -> Worker:
    """Start a worker at one of the places; it imports ``modules`` before it says it is ready."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    arguments = (theirs, terms.initializer, terms.threads, modules)
    process = context.Process(target=worker.work, args=arguments, daemon=True)
    own = terms.places[place] if terms.places else {}
    with _inherited({**environment(terms.threads), **own}), _undisturbed(), _without_main():
        process.start()
    theirs.close()
    return Worker(process, mine, place)


def dismiss(workers: Sequence[Worker], *, kindly: bool) -> None:
    """End workers: by a word, to be heeded soon, or by a signal."""
    for each in workers:
        if kindly:
            with suppress(BrokenPipeError, ConnectionResetError):
                each.channel.send(None)
        else:
            each.process.terminate()
    for each in workers:
        each.process.join(PATIENCE)
        if each.process.is_alive():
            each.process.kill()
            each.process.join()
        each.channel.close()


class Standby:
    """Workers that start before their work is known, while this process finds out.

    A ``ProcessEngine`` takes them over. Those that none has taken end with the block.
    """

    def __init__(self) -> None:
        self._waiting: list[Worker] = []
        self._terms: Terms | None = None

    def start(self, count: int, terms: Terms, modules: Sequence[str]) -> None:
        """Start ``count`` workers that import ``modules`` at once; nothing if some wait already."""
        if not self._waiting:
            self._terms = terms
            for number in range(count):
                place = number % len(terms.places) if terms.places else 0
                self._waiting.append(hire(terms, modules, place))

    def take(self, terms: Terms) -> Worker | None:
        """One that waits on these terms; those on others are of no use, and end."""
        if terms != self._terms:
            self.end()
        while self._waiting:
            found = self._waiting.pop()
            if found.process.is_alive():
                return found
            dismiss([found], kindly=False)
        return None

    def end(self) -> None:
        """End those that wait."""
        waiting, self._waiting = self._waiting, []
        dismiss(waiting, kindly=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()


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
def _without_main() -> Iterator[None]:
    """A process that starts in this block does not run the script of this one again.

    ``multiprocessing`` has it do so, for functions that are defined there; of a script without
    ``if __name__ == "__main__":`` that ends in an error, after half of it has been done twice.
    Functions for a worker are importable by name.
    """
    whole = spawn.get_preparation_data

    def bare(name: str) -> dict[str, Any]:
        parts = whole(name)
        return {key: value for key, value in parts.items() if not key.startswith("init_main")}

    spawn.get_preparation_data = bare
    try:
        yield
    finally:
        spawn.get_preparation_data = whole


def environment(threads: int) -> dict[str, str]:
    """Variables of a worker's environment; libraries read them when they are loaded."""
    kept = {name: os.environ.get(name, value) for name, value in _KEEP_MEMORY.items()}
    return kept | dict.fromkeys(_THREAD_VARIABLES, str(threads))


@contextmanager
def _inherited(wanted: Mapping[str, str]) -> Iterator[None]:
    """The environment that a new process inherits."""
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
