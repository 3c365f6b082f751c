"""Two stores: files on disk, and memory for tests and throw-away runs."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import InputError
from vidal.store import atomic

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
    equal keys mean equal content. A damaged entry (wrong checksum, cut short) counts as absent, so
    that it is computed anew, and is listed in ``corrupt``.

    Attributes:
        root: the folder.
        corrupt: files that were found damaged by this object, in the order met.
    """

    def __init__(self, root: Path) -> None:
        """Open or make a store, and delete temporary files older than a day.

        Raises:
            OutputError: the folder cannot be made or written.
        """
        self.root = Path(root)
        self.corrupt: list[Path] = []
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
        path = self.path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(path, (error.strerror or str(error)).lower()) from error
        try:
            return _parsed(data)
        except _DAMAGE:
            if path not in self.corrupt:
                self.corrupt.append(path)
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


def _parsed(data: bytes) -> dict[str, NDArray[Any]]:
    """Reads each member whole, so that its checksum is verified before a header is believed."""
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if archive.comment != _seal(archive):
            raise zipfile.BadZipFile("the list of members is damaged")
        for info in archive.infolist():
            member = io.BytesIO(archive.read(info))
            name = info.filename.removesuffix(".npy")
            arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays


def _seal(archive: zipfile.ZipFile) -> bytes:
    """Digest of the members' names, sizes and checksums.

    A zip file guards each member, but not its directory: one changed bit there can hide a member.
    """
    members = [(info.filename, info.file_size, info.CRC) for info in archive.infolist()]
    return hashlib.blake2b(repr(members).encode(), digest_size=16).hexdigest().encode()
