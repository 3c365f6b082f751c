"""A store in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.store.about import checked, checked_key
from vidal.types import Stored


class MemoryStore:
    """A store that forgets everything with the process; for tests and throw-away runs."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[dict[str, NDArray[Any]], Stored]] = {}

    def get(self, key: str) -> Mapping[str, NDArray[Any]] | None:
        """Copies of the arrays put under a key, or None."""
        return self._copies(key, None)

    def peek(self, key: str, names: Collection[str]) -> Mapping[str, NDArray[Any]] | None:
        """Copies of some arrays of an entry, or None."""
        return self._copies(key, names)

    def put(
        self, key: str, arrays: Mapping[str, NDArray[Any]], about: Stored | None = None
    ) -> None:
        """Keep copies of arrays.

        Raises:
            ValueError: a key, an array or an ``about`` that a ``FileStore`` would not take.
        """
        checked_key(key)
        told = checked(about)
        if any(array.dtype.hasobject for array in arrays.values()):
            raise ValueError("arrays of objects cannot be stored")
        self._entries[key] = {name: np.array(array) for name, array in arrays.items()}, told

    def known(self, keys: Sequence[str]) -> Sequence[Stored | None]:
        """What is there."""
        found = [self._entries.get(key) for key in keys]
        return [None if entry is None else entry[1] for entry in found]

    def scan(
        self, keys: Sequence[str], names: Collection[str] | None = None
    ) -> Iterator[tuple[int, Mapping[str, NDArray[Any]]]]:
        """Copies, in the order of the keys."""
        for position, key in enumerate(keys):
            arrays = self._copies(key, names)
            if arrays is not None:
                yield position, arrays

    def drop(self, keys: Sequence[str]) -> None:
        """Forget entries."""
        for key in keys:
            self._entries.pop(key, None)

    def pack(self) -> None:
        """Nothing: all is together."""

    def _copies(self, key: str, names: Collection[str] | None) -> dict[str, NDArray[Any]] | None:
        if key not in self._entries:
            return None
        arrays, _ = self._entries[key]
        return {n: a.copy() for n, a in arrays.items() if names is None or n in names}
