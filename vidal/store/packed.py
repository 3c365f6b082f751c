"""The shards of a store and its manifest, as one process sees them."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vidal.errors import InputError, OutputError
from vidal.store import manifest, shard
from vidal.store.columns import Damaged, Entry, from_table
from vidal.store.fresh import USED
from vidal.store.manifest import Index, Place, dead_at, entries_of, read_part, write_part
from vidal.store.shard import Shard
from vidal.types import IntArray

OPEN = 16
"""Shards that are kept open."""
_TABLES = 8
_KEPT = 8 << 20
"""Bytes of a decoded row group that is kept for the next entry of it."""
_TRIES = 5
_GONE = (errno.ENOENT, errno.ESTALE)


class Packed:
    """What is packed. Other processes may pack, drop and damage it meanwhile.

    Attributes:
        shards, parts: folders; need not be there.
        corrupt: damaged files are added to it.
    """

    def __init__(self, root: Path, corrupt: list[Path], *, read_only: bool) -> None:
        self.shards, self.parts = root / "shards", root / "manifest"
        self.corrupt = corrupt
        self.index = Index.of([], [], ())
        self._read_only = read_only
        self._listing: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()
        self._tables: dict[str, pa.Table] = {}
        self._orphans: dict[str, pa.Table] = {}
        self._bad: set[str] = set()
        self._buried: set[Place] = set()
        self._open: OrderedDict[str, Shard] = OrderedDict()
        self._decoded: OrderedDict[tuple[Any, ...], pa.Table] = OrderedDict()
        self._vanished = False
        self._used: dict[str, float] = {}
        self._lock = threading.RLock()

    def refresh(self, *, anew: bool = False) -> bool:
        """Look again what there is; whether something has changed.

        Raises:
            InputError: a file is there and cannot be read.
        """
        with self._lock:
            listing = _names(self.shards, shard.NAME), _names(self.parts, manifest.NAME)
            if listing == self._listing and not anew:
                return False
            for _ in range(_TRIES):
                self._listing, self._vanished = listing, False
                self._load()
                if not self._vanished:
                    break
                listing = _names(self.shards, shard.NAME), _names(self.parts, manifest.NAME)
            return True

    def _load(self) -> None:
        """Read the parts, and the shards that none of them lists."""
        there = self._listing[0] - self._bad
        parts = [(name, self._part(name)) for name in sorted(self._listing[1] - self._bad)]
        self._tables = {name: table for name, table in parts if table is not None}
        entries = [table for name, table in self._tables.items() if name.startswith("e")]
        dead = [table for name, table in self._tables.items() if name.startswith("d")]
        covered = {name for table in entries for name in _shards(table)}
        orphans = [(name, self._orphan(name)) for name in sorted(there - covered)]
        self._orphans = {name: table for name, table in orphans if table is not None}
        every, buried = [*entries, *self._orphans.values()], [*dead, dead_at(self._buried)]
        self.index = Index.of(every, buried, there - self._bad)
        self._forget(there)

    @property
    def part_names(self) -> list[str]:
        """Of the parts that are read as one."""
        return list(self._tables)

    @property
    def scattered(self) -> int:
        """How many parts there are now."""
        return len(_names(self.parts, manifest.NAME))

    @property
    def orphans(self) -> list[pa.Table]:
        """Entries of shards that no part lists: a packer was killed, or a part was lost."""
        return list(self._orphans.values())

    def find(self, keys: Sequence[str]) -> tuple[Index, IntArray]:
        """The index, and the positions of keys in it; -1 = not there. Notes that they are needed.

        Raises:
            InputError: a file is there and cannot be read.
        """
        self.refresh()
        index = self.index
        found = index.find(keys)
        for code in np.unique(index.shard[found[found >= 0]]):
            self._use(index.shards[code])
        return index, found

    def read(self, key: str, names: Collection[str] | None) -> Mapping[str, NDArray[Any]] | None:
        """The arrays of an entry (of these names, or all); None where it is not there, or damaged.

        Raises:
            InputError: its shard is there and cannot be read.
        """
        with self._lock:
            for _ in range(_TRIES):
                position = int(self.index.find([key])[0])
                if position < 0:
                    if not self.refresh():
                        return None
                    continue
                place = self.index.place(position)
                entry = self._entry(place, names, key)
                if entry is not None:
                    return entry.arrays
            return None

    def scan(
        self, keys: Sequence[str], names: Collection[str] | None
    ) -> Iterator[tuple[int, Mapping[str, NDArray[Any]] | None]]:
        """Entries in the order in which they lie; None where one has to be looked for again.

        Raises:
            InputError: a shard is there and cannot be read.
        """
        index, found = self.find(keys)
        there = np.flatnonzero(found >= 0)
        places = [index.shard[found[there]], index.group[found[there]], index.row[found[there]]]
        there = there[np.lexsort(places[::-1])]
        at = 0
        while at < len(there):
            name, group, _ = index.place(int(found[there[at]]))
            end = at + 1
            while end < len(there) and index.place(int(found[there[end]]))[:2] == (name, group):
                end += 1
            positions = there[at:end]
            rows = index.row[found[positions]].tolist()
            entries = self._group(name, group, rows, names)
            for position, entry in zip(positions.tolist(), entries, strict=True):
                good = entry is not None and entry.key == keys[position]
                yield position, entry.arrays if good and entry is not None else None
            at = end

    def _group(
        self, name: str, group: int, rows: Sequence[int], names: Collection[str] | None
    ) -> list[Entry | None]:
        """Entries of one row group; None where one is damaged, or the shard is gone."""
        with self._lock:
            try:
                table = self._opened(name).table(group, self._wanted(names))
                found = [entry for _, entry in from_table(table, rows, names)]
            except Damaged:
                self._damaged(name, group, None)
                return [None] * len(rows)
            except OSError as error:
                self._unreadable(name, error)
                return [None] * len(rows)
            for row, entry in zip(rows, found, strict=True):
                if entry is None:
                    self._damaged(name, group, row)
            return found

    def _entry(self, place: Place, names: Collection[str] | None, key: str | None) -> Entry | None:
        """One entry; None where it is damaged or its shard is gone, and the index says so then."""
        name, group, row = place
        try:
            table = self._table(name, group, self._wanted(names))
            ((_, entry),) = from_table(table, [row], names)
        except Damaged:
            self._damaged(name, group, None)
            return None
        except OSError as error:
            self._unreadable(name, error)
            return None
        if entry is None or key not in (None, entry.key):
            self._damaged(name, group, row)
            return None
        self._use(name)
        return entry

    def _wanted(self, names: Collection[str] | None) -> Collection[str] | None:
        """Once something was found damaged, whole entries are read: it is seldom the only one."""
        return None if self.corrupt else names

    def _table(self, name: str, group: int, names: Collection[str] | None) -> pa.Table:
        at = (name, group, None if names is None else frozenset(names))
        if at in self._decoded:
            self._decoded.move_to_end(at)
            return self._decoded[at]
        table = self._opened(name).table(group, names)
        if table.nbytes <= _KEPT:
            self._decoded[at] = table
            while len(self._decoded) > _TABLES:
                self._decoded.popitem(last=False)
        return table

    def entry(self, place: Place) -> Entry | None:
        """What lies at a place; None where it is damaged, or its shard is gone.

        Raises:
            InputError: the shard is there and cannot be read.
        """
        with self._lock:
            return self._entry(place, None, None)

    def opened(self, name: str) -> Shard:
        """A shard of this name.

        Raises:
            Damaged: it is not what was written.
            OSError: it is not there, or cannot be read.
        """
        with self._lock:
            return self._opened(name)

    def _opened(self, name: str) -> Shard:
        if name not in self._open:
            self._open[name] = Shard(self.shards / name)
            while len(self._open) > OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(name)
        return self._open[name]

    def bury(self, places: Iterable[Place]) -> None:
        """Entries at these places are not there any more, for this process and for others.

        Raises:
            OutputError: it cannot be written down.
        """
        with self._lock:
            fresh = set(places) - self._buried
            if not fresh:
                return
            self._buried |= fresh
            if not self._read_only:
                write_part(self.parts, dead_at(fresh))
            self.refresh(anew=True)

    def _damaged(self, name: str, group: int, row: int | None) -> None:
        """An entry, or all of a row group, cannot be believed; or the whole shard cannot."""
        path = self.shards / name
        if path not in self.corrupt:
            self.corrupt.append(path)
        try:
            self._opened(name)  # what was read of it may lie in memory, and the file be closed
        except Damaged:
            self._lost(path)
            self.refresh(anew=True)
            return
        except OSError as error:
            self._unreadable(name, error)
            return
        index = self.index
        if name not in index.shards:
            return
        at = (index.shard == index.shards.index(name)) & (index.group == group)
        if row is not None:
            at &= index.row == row
        places = {index.place(int(position)) for position in np.flatnonzero(at)}
        try:
            self.bury(places)
        except OutputError:  # this process knows it at least
            self.refresh(anew=True)

    def _unreadable(self, name: str, error: OSError) -> None:
        """A shard that is gone (packed anew, pruned) is looked for in another place.

        Raises:
            InputError: it is there.
        """
        held = self._open.pop(name, None)
        if error.errno not in _GONE:
            why = (error.strerror or str(error)).lower()
            raise InputError(self.shards / name, why) from error
        if held is not None:  # a handle that another machine, or the server, has made stale
            held.close()
            return
        if not self.refresh() and name in self._listing[0]:
            self._bad.add(name)  # listed, but not there: as a file system says of late
            self.refresh(anew=True)

    def _lost(self, path: Path) -> None:
        """A file that is damaged as a whole."""
        self._bad.add(path.name)
        if path not in self.corrupt:
            self.corrupt.append(path)
        if not self._read_only:
            with suppress(OSError):
                path.unlink()

    def _part(self, name: str) -> pa.Table | None:
        if name in self._tables:
            return self._tables[name]
        return self._checked(self.parts / name, read_part)

    def _orphan(self, name: str) -> pa.Table | None:
        if name in self._orphans:
            return self._orphans[name]
        return self._checked(self.shards / name, self._listed)

    def _listed(self, path: Path) -> pa.Table:
        """What a shard itself says that it holds, but for row groups that are damaged."""
        found = list(self._opened(path.name).about())
        if any(each is None for each in found) and path not in self.corrupt:
            self.corrupt.append(path)
        good = [each for each in found if each is not None]
        if not good:
            raise Damaged
        return entries_of(path.name, pa.concat_tables(good))

    def _checked(self, path: Path, reading: Any) -> pa.Table | None:
        """None where a file is damaged, or gone since it was listed."""
        try:
            table: pa.Table = reading(path)
        except Damaged:
            self._lost(path)
            return None
        except OSError as error:
            if error.errno in _GONE:
                self._vanished = True
                return None
            raise InputError(path, (error.strerror or str(error)).lower()) from error
        return table

    def _forget(self, there: Collection[str]) -> None:
        """Let go of shards that are not there any more."""
        for name in [each for each in self._open if each not in there]:
            self._open.pop(name).close()
        for at in [each for each in self._decoded if each[0] not in there]:
            del self._decoded[at]

    def _use(self, name: str) -> None:
        """Note that a shard was needed, for ``vidal cache``: its time says so."""
        now = time.time()
        if self._read_only or now - self._used.get(name, 0.0) < USED:
            return
        self._used[name] = now
        with suppress(OSError):
            os.utime(self.shards / name)


def _names(folder: Path, pattern: Any) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(each.name for each in entries if pattern.fullmatch(each.name))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as error:
        raise InputError(folder, (error.strerror or str(error)).lower()) from error


def _shards(table: pa.Table) -> set[str]:
    """Names of the shards that a part lists."""
    found: set[str] = set()
    for chunk in table.column("shard").chunks:
        used = np.unique(chunk.indices.to_numpy())
        found.update(chunk.dictionary.take(pa.array(used)).to_pylist())
    return found
