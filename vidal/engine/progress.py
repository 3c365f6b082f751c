"""Progress from inside a work item to whoever started the engine.

The function that an engine maps calls ``report(done, total)``; outside an engine, and where nobody
listens, that does nothing. The engine's ``listener(position, done, total)`` is called in the
process and thread that iterates over the results, so it needs no lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[int, int, int], None]
"""Called with the position of the item, units done, and units in all (0 = not known)."""

Reporter = Callable[[int, int], None]

_INTERVAL = 0.05
_current: ContextVar[Reporter | None] = ContextVar("vidal_progress", default=None)


def report(done: int, total: int) -> None:
    """Say how far the current work item is: ``done`` of ``total`` units, e.g. frames.

    From one thread at a time. A thread started within the item needs a copy of its context
    (``contextvars.copy_context``) to be heard.
    """
    reporter = _current.get()
    if reporter is not None:
        reporter(done, total)


@contextmanager
def reporting_to(reporter: Reporter | None) -> Iterator[None]:
    """Within the block ``report`` calls ``reporter``."""
    token = _current.set(reporter)
    try:
        yield
    finally:
        _current.reset(token)


def throttled(reporter: Reporter, interval: float = _INTERVAL) -> Reporter:
    """Passes on at most one report per ``interval`` seconds, and every last one (done = total)."""
    last = -interval

    def passing(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= interval:
            last = now
            reporter(done, total)

    return passing
