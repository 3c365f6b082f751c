"""A bounded queue between two threads that ends cleanly on either side's failure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition
from typing import Generic, TypeVar

Item = TypeVar("Item")


class ChannelCancelled(Exception):
    """The reader has gone; the writer should stop."""


class Channel(Generic[Item]):
    """At most ``capacity`` items wait; ``put`` blocks while full, iteration while empty.

    ``queue.Queue`` cannot be closed (before Python 3.13): a writer blocked on a full queue whose
    reader has failed would wait for ever.
    """

    def __init__(self, capacity: int) -> None:
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._closed = False
        self._cancelled = False
        self._changed = Condition()

    def put(self, item: Item) -> None:
        """Append an item.

        Raises:
            ChannelCancelled: nobody will read it.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._capacity or self._cancelled)
            if self._cancelled:
                raise ChannelCancelled
            self._items.append(item)
            self._changed.notify_all()

    def close(self) -> None:
        """No more items will come; those that wait are still read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Drop what waits and stop both sides."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._closed or self._cancelled)
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
