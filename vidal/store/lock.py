"""One process at a time in a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidal.errors import OutputBusy
from vidal.store import atomic

NAME = ".vidal-lock"


@contextmanager
def locked(folder: Path, name: str = NAME) -> Iterator[None]:
    """Keep other processes of vidal out of a folder, for the time of the block.

    The operating system lets go of the lock when the process ends, however it ends: a file that a
    killed run left behind means nothing, and the next run removes it.

    Args:
        folder: exists.
        name: of the lock file in it; holds the process id.

    Raises:
        OutputBusy: another run, or another block of this process, holds it.
        OutputError: the folder cannot be written.
    """
    path = folder / name
    handle = _held(path)
    try:
        with atomic.reporting(path):
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        with suppress(OSError):  # removed while it is held: whoever waits for it looks again
            path.unlink()
        os.close(handle)


def _held(path: Path) -> int:
    """A handle of the lock file that lies there now, locked."""
    while True:
        with atomic.reporting(path):
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            handle = os.open(path, flags, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise OutputBusy(path.parent, _holder(path)) from None
        except OSError as error:
            os.close(handle)
            with atomic.reporting(path):
                raise error
        if _is_there(path, handle):
            return handle
        os.close(handle)  # the one who held it has removed the file: it guards nothing any more


def _is_there(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> int:
    """The process that holds the lock; 0 where nobody is named."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, ValueError):
        return 0
    return int(text) if text.isdecimal() else 0
