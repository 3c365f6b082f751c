"""Entries that were put one by one: a file each, until they are packed."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from numpy.typing import NDArray

from vidal.errors import InputError
from vidal.store import atomic, npz
from vidal.types import Stored

T = TypeVar("T")
MUCH = 128
"""Fresh entries, and"""
MUCH_BYTES = 32 << 20
"""bytes of them, either of which are worth a shard."""
USED = 3600.0
"""Seconds after which it is noted again that a file was needed."""
_FOLDER = re.compile(r"[0-9a-f]{2}")
_FILE = re.compile(r"([0-9a-f]{8,128})\.npz")


@dataclass(frozen=True, slots=True)
class File:
    """An entry's file.

    Attributes:
        key: of the entry.
        path: where it lies.
        state: device, inode, size and time of change: another file has another one.
    """

    key: str
    path: Path
    state: tuple[int, int, int, int]

    @property
    def size(self) -> int:
        """Bytes."""
        return self.state[2]

    @property
    def made(self) -> int:
        """When it was written, ns since 1970."""
        return self.state[3]


class Folder:
    """npz files, one per key, in 256 folders.

    Attributes:
        root: need not be there.
        corrupt: damaged files are added to it.
    """

    def __init__(self, root: Path, corrupt: list[Path], *, read_only: bool) -> None:
        self.root = root
        self.corrupt = corrupt
        self._read_only = read_only
        self._used: dict[str, float] = {}

    def path(self, key: str) -> Path:
        """Where the entry of a key lies."""
        return self.root / key[:2] / f"{key}.npz"

    def get(self, key: str, names: Collection[str] | None) -> Mapping[str, NDArray[Any]] | None:
        """Arrays of an entry (of these names; None = all); None where it is not there, or damaged.

        Once something was found damaged, whole entries are read: it is seldom the only one.

        Raises:
            InputError: the file is there and cannot be read.
        """

        def some(file: IO[bytes]) -> Mapping[str, NDArray[Any]]:
            arrays = npz.parsed(file, None if self.corrupt else names)
            return {n: a for n, a in arrays.items() if names is None or n in names}

        return self.read(key, some)

    def told(self, key: str) -> Stored | None:
        """What is said of an entry; None where it is not there, or damaged.

        Raises:
            InputError: the file is there and cannot be read.
        """
        return self.read(key, npz.told)

    def use(self, key: str) -> None:
        """Note that an entry was needed, for ``vidal cache``: the time of its file says so.

        Not of one that is younger than ``USED``: whoever packs it would take it for another one.
        """
        now = time.time()
        if self._read_only or now - self._used.get(key, 0.0) < USED:
            return
        self._used[key] = now
        path = self.path(key)
        with suppress(OSError):
            if now - path.stat().st_mtime >= USED:
                os.utime(path)

    def read(self, key: str, reading: Callable[[IO[bytes]], T]) -> T | None:
        """What ``reading`` makes of a file; None where there is none, or it is damaged.

        Raises:
            InputError: the file is there and cannot be read.
        """
        path = self.path(key)
        try:
            with path.open("rb") as file:
                return reading(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ESTALE:  # another machine has packed it
                return None
            if error.errno != errno.EINVAL:  # what seeking to a damaged place says
                raise InputError(path, (error.strerror or str(error)).lower()) from error
        except npz.DAMAGE:
            pass
        if path not in self.corrupt:
            self.corrupt.append(path)
        if not self._read_only:
            with suppress(OSError):  # else whoever only asks whether it is there would believe it
                path.unlink()
        return None

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]], about: Stored | None) -> None:
        """Keep arrays; afterwards they are on disk whole or, after a crash, not at all.

        Raises:
            OutputError: the disk is full, or the root cannot be written.
            ValueError: an array of objects, or an ``about`` that cannot be kept.
        """
        path = self.path(key)
        with atomic.open_new(path) as file:
            npz.write(file, arrays, about)
        if path in self.corrupt:
            self.corrupt.remove(path)

    def drop(self, key: str) -> None:
        """Remove an entry, if it is there.

        Raises:
            OutputError: it cannot be removed.
        """
        path = self.path(key)
        with atomic.reporting(path):
            path.unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        """Of the entries that are there.

        Raises:
            InputError: a folder cannot be read.
        """
        for entry in self._entries():
            yield entry.name.removesuffix(".npz")

    def files(self) -> Iterator[File]:
        """Of the entries that are there.

        Raises:
            InputError: a folder cannot be read.
        """
        for entry in self._entries():
            with suppress(FileNotFoundError):  # packed, or dropped
                state = state_of(Path(entry.path))
                yield File(entry.name.removesuffix(".npz"), Path(entry.path), state)

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        for folder in _listed(self.root):
            if _FOLDER.fullmatch(folder.name):
                for entry in _listed(Path(folder.path)):
                    name = _FILE.fullmatch(entry.name)
                    if name and name[1].startswith(folder.name):
                        yield entry


def is_much(files: Collection[File]) -> bool:
    """Whether it is worth while to pack them."""
    return len(files) >= MUCH or sum(file.size for file in files) >= MUCH_BYTES


def state_of(path: Path) -> tuple[int, int, int, int]:
    """As of ``File``."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(folder, (error.strerror or str(error)).lower()) from error
