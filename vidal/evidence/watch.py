"""Who is told how far a run is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vidal.types import Clip


class Watcher(Protocol):
    """Who is told how far a run is. All methods may do nothing."""

    def begin(self, clips: Sequence[Clip], known: int) -> None:
        """Evidence of these clips will be gathered; that of ``known`` others is there."""
        ...

    def advance(self, item: int, done: int, total: int) -> None:
        """Clip ``item`` has ``done`` of ``total`` frames."""
        ...

    def finish(self, item: int, remark: str) -> None:
        """Clip ``item`` is done."""
        ...
