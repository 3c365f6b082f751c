"""The store on disk."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from numpy.typing import NDArray

from vidal.errors import InputError
from vidal.store import atomic, npz
from vidal.store.about import checked_key
from vidal.types import Stored

T = TypeVar("T")


class FileStore:
    """One uncompressed npz file per key, below a root folder.

    Several processes may use one root: an entry is written under a temporary name and renamed, and
    equal keys mean equal content. A damaged entry (wrong checksum, cut short) counts as absent and
    is removed, so that it is computed anew, and is listed in ``corrupt``.

    Attributes:
        root: the folder.
        corrupt: files that were found damaged by this object, in the order met.
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
        self._read_only = read_only
        if read_only:
            return
        with atomic.reporting(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            atomic.remove_stale(self.root)
        probe = self.root / "writable"
        atomic.write_bytes(probe, b"")
        probe.unlink(missing_ok=True)

    def path(self, key: str) -> Path:
        """Where the entry of a key lies.

        Raises:
            ValueError: not a key: 8 to 128 lower-case hexadecimal digits.
        """
        return self.root / checked_key(key)[:2] / f"{key}.npz"

    def get(self, key: str) -> Mapping[str, NDArray[Any]] | None:
        """The arrays put under a key; None where there are none, or they are damaged.

        Raises:
            InputError: the file is there and cannot be read.
        """
        return self._read(key, lambda file: npz.parsed(file, None))

    def peek(self, key: str, names: Collection[str]) -> Mapping[str, NDArray[Any]] | None:
        """Some arrays of an entry; None as for ``get``.

        The others are not read: that they are there, and how large, is checked, their content not
        (but once an entry was found damaged, whole entries are read: it is seldom the only one).

        Raises:
            InputError: the file is there and cannot be read.
        """

        def some(file: IO[bytes]) -> Mapping[str, NDArray[Any]]:
            arrays = npz.parsed(file, None if self.corrupt else names)
            return {name: array for name, array in arrays.items() if name in names}

        return self._read(key, some)

    def known(self, keys: Sequence[str]) -> Sequence[Stored | None]:
        """What is there, None where nothing is.

        Raises:
            InputError: a file is there and cannot be read.
        """
        return [self._read(key, npz.told) for key in keys]

    def scan(
        self, keys: Sequence[str], names: Collection[str] | None = None
    ) -> Iterator[tuple[int, Mapping[str, NDArray[Any]]]]:
        """Entries (position in ``keys``, arrays) in the order in which they lie.

        Those that are not there, or damaged, are left out.

        Raises:
            InputError: a file is there and cannot be read.
        """
        for position in sorted(range(len(keys)), key=keys.__getitem__):
            arrays = self.get(keys[position]) if names is None else self.peek(keys[position], names)
            if arrays is not None:
                yield position, arrays

    def drop(self, keys: Sequence[str]) -> None:
        """Forget entries; those that are not there are no error.

        Raises:
            OutputError: they cannot be removed.
        """
        for key in keys:
            path = self.path(key)
            with atomic.reporting(path):
                path.unlink(missing_ok=True)

    def pack(self) -> None:
        """Put what was added one by one together, so that much of it is read at once."""

    def _read(self, key: str, reading: Callable[[IO[bytes]], T]) -> T | None:
        path = self.path(key)
        try:
            with path.open("rb") as file:
                return reading(file)
        except FileNotFoundError:
            return None
        except OSError as error:
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

    def put(
        self, key: str, arrays: Mapping[str, NDArray[Any]], about: Stored | None = None
    ) -> None:
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
