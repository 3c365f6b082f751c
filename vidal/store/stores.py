"""The store on disk."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from vidal.store import atomic
from vidal.store.about import checked_key
from vidal.store.fresh import Folder, is_much
from vidal.types import BoolArray, IntArray, Stored

if TYPE_CHECKING:
    from vidal.store.manifest import Index
    from vidal.store.packed import Packed

BUDGET = "budget.json"
"""Name of the file that says how large the store may become."""
_SCATTERED = 32
"""Parts of the manifest that are put together even where little is fresh."""
_FEW = 64
"""Keys that are looked for one by one; for more of them folders are listed."""


class FileStore:
    """Entries below a root folder: files that were put one by one, and shards of many.

    ```
    ROOT/fresh/ab/KEY.npz                an entry that was put, until ``pack``
    ROOT/shards/STAGE-HASH.parquet       many entries of one stage; never changes
    ROOT/manifest/entries-HASH.parquet   what the shards hold
    ROOT/manifest/dead-HASH.parquet      what of it counts no more
    ROOT/ab/KEY.npz                      an entry of an earlier version of vidal, read where it is
    ```

    Several processes, on several machines, may use one root: everything is written under a
    temporary name and renamed, and equal keys mean equal content. A damaged entry (wrong checksum,
    cut short) counts as absent, so that it is computed anew, and its file is listed in ``corrupt``.

    Attributes:
        root: the folder.
        corrupt: files that were found damaged by this object, in the order met.
        opened: seconds since 1970.
        over_budget: bytes above the budget of the store that ``pack`` could not free, because runs
            of the last day need them.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        """Open or make a store, and delete temporary files older than a day.

        Args:
            root: the folder.
            read_only: nothing is made, written or removed; the folder need not be there.

        Raises:
            OutputError: the folder cannot be made or written.
        """
        self.root = Path(root)
        self.corrupt: list[Path] = []
        self.read_only = read_only
        self.opened = time.time()
        self.over_budget = 0
        self._read_whole: set[str] = set()
        self.fresh = Folder(self.root / "fresh", self.corrupt, read_only=read_only)
        self.earlier = Folder(self.root, self.corrupt, read_only=read_only)
        if read_only:
            return
        with atomic.reporting(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            atomic.remove_stale(self.root)
        probe = self.root / "writable"
        atomic.write_bytes(probe, b"")
        probe.unlink(missing_ok=True)

    @cached_property
    def packed(self) -> Packed:
        """The shards; Arrow is imported when they are first looked at."""
        from vidal.store.packed import Packed

        return Packed(self.root, self.corrupt, read_only=self.read_only)

    @property
    def has_shards(self) -> bool:
        """Whether something is packed: Arrow takes 40 MB, and small stores do without it."""
        return "packed" in self.__dict__ or (self.root / "shards").is_dir()

    def path(self, key: str) -> Path:
        """Where ``put`` writes the entry of a key; it may have been packed since.

        Raises:
            ValueError: not a key: 8 to 128 lower-case hexadecimal digits.
        """
        return self.fresh.path(checked_key(key))

    def get(self, key: str) -> Mapping[str, NDArray[Any]] | None:
        """The arrays put under a key; None where there are none, or they are damaged.

        Raises:
            InputError: a file is there and cannot be read.
        """
        return self._read(key, None)

    def peek(self, key: str, names: Collection[str]) -> Mapping[str, NDArray[Any]] | None:
        """Some arrays of an entry; None as for ``get``.

        The others are not read: that they are there, and how large, is checked, their content not
        (but once an entry was found damaged, whole entries are read: it is seldom the only one).

        Raises:
            InputError: a file is there and cannot be read.
        """
        return self._read(key, names)

    def put(
        self, key: str, arrays: Mapping[str, NDArray[Any]], about: Stored | None = None
    ) -> None:
        """Keep arrays; afterwards they are on disk whole or, after a crash, not at all.

        Raises:
            OutputError: the disk is full, or the root cannot be written.
            ValueError: an array of objects, or an ``about`` that cannot be kept.
        """
        checked_key(key)
        self.fresh.put(key, arrays, Stored("") if about is None else about)
        self.earlier.drop(key)

    def put_many(self, entries: Sequence[tuple[str, Mapping[str, NDArray[Any]], Stored]]) -> None:
        """Keep many entries (key, arrays, about), packed at once: faster than one after the other.

        Raises:
            OutputError, ValueError: as of ``put``; some of them may be there.
        """
        if len(entries) > _FEW:
            from vidal.store.together import put_together

            put_together(self, entries)
            return
        for key, arrays, about in entries:
            self.put(key, arrays, about)

    def known(self, keys: Sequence[str]) -> Sequence[Stored | None]:
        """What is there, None where nothing is; shards are not opened.

        But once something was found damaged, each of these entries is read, once: it is seldom the
        only one, and whoever is told that an entry is there will not compute it anew.

        Raises:
            InputError: a file is there and cannot be read.
        """
        if self.corrupt:
            unread = [key for key in keys if key not in self._read_whole]
            self._read_whole.update(unread[at] for at, _ in self.scan(unread))
        fresh = self._there(self.fresh, keys)
        told = {at: found for at in fresh if (found := self.fresh.told(keys[at])) is not None}
        for at in told:
            self.fresh.use(keys[at])
        index, positions = self._found(keys)
        left = [at for at in np.flatnonzero(positions < 0).tolist() if at not in told]
        for at in self._there(self.earlier, [keys[each] for each in left]):
            told[left[at]] = Stored("")
            self.earlier.use(keys[left[at]])
        return Known(told, index, positions)

    def scan(
        self, keys: Sequence[str], names: Collection[str] | None = None
    ) -> Iterator[tuple[int, Mapping[str, NDArray[Any]]]]:
        """Entries (position in ``keys``, arrays as of ``peek``) in the order in which they lie.

        Each shard is opened once. Entries that are not there, or damaged, are left out.

        Raises:
            InputError: a file is there and cannot be read.
        """
        for key in keys:
            checked_key(key)
        fresh = set(self._there(self.fresh, keys))
        rest = [at for at in range(len(keys)) if at not in fresh]
        again = set(rest)
        packed = self.packed.scan([keys[at] for at in rest], names) if self.has_shards else ()
        for place, arrays in packed:
            if arrays is not None:
                again.discard(rest[place])
                yield rest[place], arrays
        for at in sorted(fresh | again, key=lambda at: keys[at]):
            arrays = self._read(keys[at], names)
            if arrays is not None:
                yield at, arrays

    def drop(self, keys: Sequence[str]) -> None:
        """Forget entries; those that are not there are no error.

        Raises:
            OutputError: they cannot be removed.
        """
        for key in keys:
            checked_key(key)
        if self.has_shards:
            self.packed.refresh()
            index = self.packed.index
            self.packed.bury(index.place(int(at)) for at in index.copies(keys))
        for folder in (self.fresh, self.earlier):
            for at in self._there(folder, keys):
                folder.drop(keys[at])

    def pack(self) -> None:
        """Put what was added one by one together into shards, if it is much; keep to the budget.

        Raises:
            OutputError: the disk is full, or the root cannot be written.
            InputError: a file is there and cannot be read.
        """
        if self.read_only:
            return
        files = list(self.fresh.files())
        if is_much(files) or (self.has_shards and self.packed.scattered >= _SCATTERED):
            from vidal.store.packing import pack_fresh

            pack_fresh(self, files if is_much(files) else [])
        self.over_budget = 0
        if (self.root / BUDGET).exists():
            from vidal.store.usage import keep_budget

            self.over_budget = keep_budget(self)

    def _read(self, key: str, names: Collection[str] | None) -> Mapping[str, NDArray[Any]] | None:
        checked_key(key)
        arrays = self.fresh.get(key, names)
        if arrays is not None:
            self.fresh.use(key)
            return arrays
        if self.has_shards:
            arrays = self.packed.read(key, names)
        if arrays is None:
            arrays = self.earlier.get(key, names)
            if arrays is not None:
                self.earlier.use(key)
        return arrays

    def _found(self, keys: Sequence[str]) -> tuple[Index | None, IntArray]:
        """The positions of keys in the index of what is packed."""
        if self.has_shards:
            return self.packed.find(keys)
        return None, np.full(len(keys), -1, np.int64)

    def _there(self, folder: Folder, keys: Sequence[str]) -> list[int]:
        """Positions of the keys that have a file in a folder."""
        if len(keys) <= _FEW:
            return [at for at, key in enumerate(keys) if folder.path(checked_key(key)).exists()]
        found = set(folder.keys())
        return [at for at, key in enumerate(keys) if key in found] if found else []


class Known(Sequence[Stored | None]):
    """What a store holds of some keys; a ``Stored`` is made when it is asked for."""

    def __init__(
        self, told: Mapping[int, Stored], index: Index | None, positions: IntArray
    ) -> None:
        self._told = told
        self._index = index
        self._positions = positions

    @property
    def there(self) -> BoolArray:
        """(n,) which are there."""
        found: BoolArray = self._positions >= 0
        found[list(self._told)] = True
        return found

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, at: int) -> Stored | None: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Stored | None]: ...
    def __getitem__(self, at: int | slice) -> Stored | Sequence[Stored | None] | None:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        where = range(len(self))[at]
        if where in self._told:
            return self._told[where]
        position = int(self._positions[where])
        return None if position < 0 or self._index is None else self._index.stored(position)
