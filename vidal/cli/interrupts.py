"""Interrupts that wait where they would do harm.

Libraries begin with C++ that calls back into Python; an exception there ends the process with the
words of C++ (torch does so), or leaves a module half imported. A worker whose start is broken off
prints a traceback of its own.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import popen_spawn_posix
from types import FrameType

_AGAIN = 0.05
"""Seconds until an interrupt that came too early is tried again."""

_UNDISTURBED = ("<frozen importlib", popen_spawn_posix.__file__)
"""Files whose functions are not interrupted."""


@contextmanager
def patient() -> Iterator[None]:
    """In this block the interrupt of the terminal is never raised in an import or a worker's start.

    It changes nothing outside the main thread, and where interrupts are ignored or handled.
    """
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise it, or send it again in a moment."""
    if not _undisturbed(frame):
        signal.default_int_handler(number, frame)
    main = threading.main_thread().ident
    again = threading.Timer(_AGAIN, signal.pthread_kill, (main, number))
    again.daemon = True
    again.start()


def _undisturbed(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_UNDISTURBED):
            return True
        frame = frame.f_back
    return False
