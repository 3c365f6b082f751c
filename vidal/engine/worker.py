"""What runs in a worker process: receives items, sends progress and results.

Messages to a worker: ``(function, item)``, or None = no more. Messages from it:
``("progress", done, total)``, ``("result", value)``, ``("error", exception, traceback)``.
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
        initializer: called once with ``threads``; its exception is reported for the first item.
        threads: how many threads the numeric libraries of this process may use.
        modules: imported at once. What fails here fails again, and is told, where an item needs it.
    """
    # An interrupt from the terminal reaches the whole group; the parent decides and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    for name in modules:
        with suppress(Exception):
            import_module(name)
    ready = initializer is None
    try:
        while True:
            message = _received(channel)
            if message is None:
                return
            if isinstance(message, _Failure):
                channel.send(message.parts)
                continue
            if not ready and initializer is not None:
                failed = _attempt(lambda: initializer(threads))
                ready = not isinstance(failed, _Failure)
                if isinstance(failed, _Failure):
                    channel.send(failed.parts)
                    continue
            _answer(channel, message)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


class _Failure:
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
    return _attempt(lambda: ForkingPickler.loads(data))


def _attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return _Failure(error)


def _answer(channel: Any, message: tuple[Callable[[Any], Any], Any]) -> None:
    function, item = message
    reporter = throttled(lambda done, total: channel.send(("progress", done, total)))
    with reporting_to(reporter):
        result = _attempt(lambda: function(item))
    if isinstance(result, _Failure):
        channel.send(result.parts)
        return
    # Serialised before anything is sent, so that a result that cannot travel is reported too.
    data = _attempt(lambda: ForkingPickler.dumps(("result", result)))
    if isinstance(data, _Failure):
        channel.send(data.parts)
    else:
        channel.send_bytes(data)


def _follow_parent() -> None:
    """End this process when the parent is gone, however it went and whatever runs here."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
