"""What runs in a worker process: receives items, sends progress and results.

Messages to a worker: ``(function, item)``, or None = no more. Messages from it: ``("ready",)``
once, ``("progress", done, total)``, ``("result", value)``, ``("error", exception, traceback)``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import connection, parent_process
from multiprocessing.reduction import ForkingPickler
from typing import Any

from vidal.engine.progress import reporting_to, throttled

Initializer = Callable[[int], object]


def work(*given: Any) -> None:
    """``serve``, then end at once: taking torch's modules apart took each worker half a second.

    Results and evidence have left by then. Handlers of ``atexit`` do not run, as in any worker
    that ``multiprocessing`` has forked.
    """
    serve(*given)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # none, or closed
            stream.flush()
    os._exit(0)


def serve(
    channel: Any, initializer: Initializer | None, threads: int, modules: Sequence[str] = ()
) -> None:
    """Answer items until there are no more, or the parent is gone.

    Args:
        channel: duplex connection to the parent.
        initializer: called once with ``threads``; its exception ends the run.
        threads: how many threads the numeric libraries of this process may use.
        modules: imported at once. What fails here fails again, and is told, where an item needs it.
    """
    # An interrupt from the terminal reaches the whole group; the parent decides and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    for name in modules:
        with suppress(Exception):
            import_module(name)
    try:
        if initializer is not None:
            failed = attempt(lambda: initializer(threads))
            if isinstance(failed, Failure):
                channel.send(failed.parts)
                return
        channel.send(("ready",))
        while True:
            message = _received(channel)
            if message is None:
                return
            if isinstance(message, Failure):
                channel.send(message.parts)
            else:
                function, item = message
                channel.send_bytes(answer(function, item, lambda *said: channel.send(said)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


class Failure:
    """An exception in a form that surely crosses the border between processes."""

    def __init__(self, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error))
        try:
            ForkingPickler.loads(ForkingPickler.dumps(error))
            self.parts = ("error", error, text)
        except Exception:
            stand_in = RuntimeError(f"{type(error).__name__}: {error}")
            self.parts = ("error", stand_in, text)


def _received(channel: Any) -> Any:
    """The next message; a failure where the function or the item cannot be loaded here."""
    data = channel.recv_bytes()
    return attempt(lambda: ForkingPickler.loads(data))


def attempt(call: Callable[[], Any]) -> Any:
    """What a call returns, or its failure."""
    try:
        return call()
    except Exception as error:
        return Failure(error)


def answer(
    function: Callable[[Any], Any],
    item: Any,
    say: Callable[[str, int, int], None],
    *,
    interval: float = 0.05,
) -> bytes:
    """The message with the result of an item, or with what went wrong.

    Args:
        function: called with the item.
        item: picklable.
        say: told ``("progress", done, total)``.
        interval: seconds between two of these.
    """
    told = throttled(lambda done, total: say("progress", done, total), interval)
    with reporting_to(told):
        result = attempt(lambda: function(item))
    if isinstance(result, Failure):
        return bytes(ForkingPickler.dumps(result.parts))
    # Serialised before anything is sent, so that a result that cannot travel is reported too.
    data = attempt(lambda: bytes(ForkingPickler.dumps(("result", result))))
    return data if isinstance(data, bytes) else bytes(ForkingPickler.dumps(data.parts))


def _follow_parent() -> None:
    """End this process when the parent is gone, however it went and whatever runs here."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
