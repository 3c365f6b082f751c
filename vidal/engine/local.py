"""The engine that needs nothing: this process, one item after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from vidal.engine.progress import Listener, reporting_to
from vidal.errors import WorkerLost
from vidal.protocols import Item, Result


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Processes items in this process, in order; an item is taken when its result is asked for.

    Attributes:
        listener: told how far each item is.
    """

    listener: Listener | None = None

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        lost: Callable[[Item, WorkerLost], Result] | None = None,
    ) -> Iterator[Result]:
        """Results in the order of the items; an exception is raised with the item as a note.

        There is no worker to be lost but this process.
        """
        for position, item in enumerate(items):
            yield self._call(function, position, item)

    def _call(self, function: Callable[[Item], Result], position: int, item: Item) -> Result:
        listener = self.listener

        def pass_on(done: int, total: int) -> None:
            if listener is not None:
                listener(position, done, total)

        with reporting_to(pass_on):
            try:
                return function(item)
            except Exception as error:
                error.add_note(f"while processing item {position}: {item!r}")
                raise
