"""Two stores: files on disk, and memory for tests and throw-away runs."""

from __future__ import annotations

import errno
import hashlib
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import InputError
from vidal.store import atomic

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_CHUNK = 1 << 18
_KEY = re.compile(r"[0-9a-f]{8,128}")

# What zipfile and NumPy raise over damaged bytes: wrong checksum or structure, a member cut short,
# a compression or encryption flag that was never set.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)


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
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a store key: {key!r}")
        return self.root / key[:2] / f"{key}.npz"

    def get(self, key: str) -> Mapping[str, NDArray[Any]] | None:
        """The arrays put under a key; None where there are none, or they are damaged.

        Raises:
            InputError: the file is there and cannot be read.
        """
        return self._read(key, None)

    def peek(self, key: str, names: Collection[str]) -> Mapping[str, NDArray[Any]] | None:
        """Some arrays of an entry; None as for ``get``.

        The others are not read: that they are there, and how large, is checked, their content not
        (but once an entry was found damaged, whole entries are read: it is seldom the only one).

        Raises:
            InputError: the file is there and cannot be read.
        """
        return self._read(key, names)

    def _read(self, key: str, names: Collection[str] | None) -> Mapping[str, NDArray[Any]] | None:
        path = self.path(key)
        try:
            with path.open("rb") as file:
                arrays = _parsed(file, None if self.corrupt else names)
                return {n: a for n, a in arrays.items() if names is None or n in names}
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EINVAL:  # what seeking to a damaged place says
                raise InputError(path, (error.strerror or str(error)).lower()) from error
        except _DAMAGE:
            pass
        if path not in self.corrupt:
            self.corrupt.append(path)
        if not self._read_only:
            with suppress(OSError):  # else whoever only asks whether it is there would believe it
                path.unlink()
        return None

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays; afterwards they are on disk whole or, after a crash, not at all.

        Raises:
            OutputError: the disk is full, or the root cannot be written.
            ValueError: an array of objects.
        """
        path = self.path(key)
        with atomic.open_new(path) as file:
            _write(file, arrays)
        if path in self.corrupt:
            self.corrupt.remove(path)


class MemoryStore:
    """A store that forgets everything with the process; for tests and throw-away runs."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, NDArray[Any]]] = {}

    def get(self, key: str) -> Mapping[str, NDArray[Any]] | None:
        """Copies of the arrays put under a key, or None."""
        entry = self._entries.get(key)
        return None if entry is None else {name: array.copy() for name, array in entry.items()}

    def peek(self, key: str, names: Collection[str]) -> Mapping[str, NDArray[Any]] | None:
        """Copies of some arrays of an entry, or None."""
        entry = self._entries.get(key)
        return None if entry is None else {n: a.copy() for n, a in entry.items() if n in names}

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep copies of arrays.

        Raises:
            ValueError: a key or an array that a ``FileStore`` would not take.
        """
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a store key: {key!r}")
        if any(array.dtype.hasobject for array in arrays.values()):
            raise ValueError("arrays of objects cannot be stored")
        self._entries[key] = {name: np.array(array) for name, array in arrays.items()}


def _write(file: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """As ``numpy.savez``, which has names it does not take (``file``) and stamps the time."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
        archive.comment = _seal(archive)


def _parsed(file: IO[bytes], names: Collection[str] | None) -> dict[str, NDArray[Any]]:
    """The arrays of these names, or all; memory for the arrays themselves, and for nothing else."""
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        if archive.comment != _seal(archive):
            raise zipfile.BadZipFile("the list of members is damaged")
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if names is None or name in names:
                arrays[name] = _array(archive, info)
    return arrays


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """One member; a header that claims another size than the sealed one is not believed."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        header = _HEADERS.get(version)
        if header is None:
            raise ValueError(f"npy version {version}")
        shape, fortran, dtype = header(member)
        if dtype.hasobject:
            raise ValueError("an array of objects")
        size = math.prod(shape) * dtype.itemsize
        if member.tell() + size != info.file_size:
            raise ValueError("the header does not fit the member")
        data = np.empty(size, np.uint8)
        at = 0
        while chunk := member.read(_CHUNK):  # to the end, where the checksum is verified
            data[at : at + len(chunk)] = np.frombuffer(chunk, np.uint8)
            at += len(chunk)
    return data.view(dtype).reshape(shape, order="F" if fortran else "C")


def _seal(archive: zipfile.ZipFile) -> bytes:
    """Digest of the members' names, sizes and checksums.

    A zip file guards each member, but not its directory: one changed bit there can hide a member.
    """
    members = [(info.filename, info.file_size, info.CRC) for info in archive.infolist()]
    return hashlib.blake2b(repr(members).encode(), digest_size=16).hexdigest().encode()
