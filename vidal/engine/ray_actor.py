"""What runs in a Ray actor: the same as in a worker process, with Ray in between.

Functions, items and answers travel as bytes that are made and read here: Ray's own way would hand
out arrays that nobody may write to, which is not what the other engines do.
"""

from __future__ import annotations

import pickle
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from vidal.engine.worker import Failure, answer, attempt

_INTERVAL = 0.5
"""Seconds between reports of progress: each is an object of Ray's."""


class Hand:
    """One worker: begins once, then works on one item after the other."""

    def begin(self, folders: Sequence[str], content: bytes) -> bytes:
        """``("ready",)``, or what went wrong.

        Args:
            folders: that the caller imports from; those that are here too are searched last.
            content: initializer (None = none) and threads.
        """
        known = set(sys.path)
        sys.path += [folder for folder in folders if folder not in known and Path(folder).exists()]
        failed = attempt(lambda: self._begin(content))
        return _dumped(failed.parts if isinstance(failed, Failure) else ("ready",))

    def _begin(self, content: bytes) -> None:
        initializer, threads = _loaded(content)
        if initializer is not None:
            initializer(threads)

    def work(self, content: bytes) -> Iterator[bytes]:
        """Progress now and then, last the result or what went wrong."""
        said: queue.SimpleQueue[tuple[bool, bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._work, args=(content, said), daemon=True).start()
        last = False
        while not last:
            last, message = said.get()
            yield message

    def _work(self, content: bytes, said: queue.SimpleQueue[tuple[bool, bytes]]) -> None:
        loaded = attempt(lambda: _loaded(content))
        if isinstance(loaded, Failure):
            said.put((True, _dumped(loaded.parts)))
            return
        function, item = loaded
        told = answer(
            function, item, lambda *parts: said.put((False, _dumped(parts))), interval=_INTERVAL
        )
        said.put((True, told))


def _dumped(value: Any) -> bytes:
    return bytes(ForkingPickler.dumps(value))


def _loaded(content: bytes) -> Any:
    return pickle.loads(content)  # noqa: S301 (from the process that started this one)
