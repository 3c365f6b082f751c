"""One entry as a file: an uncompressed npz that says what it is, and notices every changed bit."""

from __future__ import annotations

import hashlib
import math
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vidal.store.about import from_json, to_json
from vidal.types import Stored

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_CHUNK = 1 << 18
_SEAL = 32


# What zipfile and NumPy raise over damaged bytes: wrong checksum or structure, a member cut short,
# a compression or encryption flag that was never set.
DAMAGE = (
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


def write(file: Any, arrays: Mapping[str, NDArray[Any]], about: Stored | None) -> None:
    """As ``numpy.savez``, which has names it does not take (``file``) and stamps the time.

    What is said about the entry stands in the comment at the end, behind the seal.

    Raises:
        ValueError: an array of objects, or an ``about`` that cannot be kept.
    """
    told = b"" if about is None else to_json(about).encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
        archive.comment = seal(archive, told) + told


def parsed(file: IO[bytes], names: Collection[str] | None) -> dict[str, NDArray[Any]]:
    """The arrays of these names, or all; memory for the arrays themselves, and for nothing else.

    Raises:
        DAMAGE: the file is damaged.
    """
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        if archive.comment[:_SEAL] != seal(archive, archive.comment[_SEAL:]):
            raise zipfile.BadZipFile("the list of members is damaged")
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if names is None or name in names:
                arrays[name] = _array(archive, info)
    return arrays


def told(file: IO[bytes]) -> Stored:
    """What is said about the entry; ``Stored("")`` where nothing is.

    Raises:
        DAMAGE: the file is damaged.
    """
    with zipfile.ZipFile(file) as archive:
        text = archive.comment[_SEAL:]
        if archive.comment[:_SEAL] != seal(archive, text):
            raise zipfile.BadZipFile("the list of members is damaged")
    return from_json(text.decode()) if text else Stored("")


def head(file: IO[bytes]) -> tuple[Stored, list[tuple[str, str]], int]:
    """What is said about the entry; names and dtypes of its arrays; bytes of all of them.

    Raises:
        DAMAGE: the file is damaged.
    """
    about = told(file)
    layout, size = [], 0
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                _, _, dtype = _header(member)
                layout.append((info.filename.removesuffix(".npy"), dtype.str))
                size += info.file_size - member.tell()
    return about, layout, size


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, dtype."""
    version = np.lib.format.read_magic(member)
    reading = _HEADERS.get(version)
    if reading is None:
        raise ValueError(f"npy version {version}")
    shape, fortran, dtype = reading(member)
    if dtype.hasobject:
        raise ValueError("an array of objects")
    return shape, fortran, dtype


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """One member; a header that claims another size than the sealed one is not believed."""
    with archive.open(info) as member:
        shape, fortran, dtype = _header(member)
        size = math.prod(shape) * dtype.itemsize
        if member.tell() + size != info.file_size:
            raise ValueError("the header does not fit the member")
        data = np.empty(size, np.uint8)
        at = 0
        while chunk := member.read(_CHUNK):  # to the end, where the checksum is verified
            data[at : at + len(chunk)] = np.frombuffer(chunk, np.uint8)
            at += len(chunk)
    return data.view(dtype).reshape(shape, order="F" if fortran else "C")


def seal(archive: zipfile.ZipFile, text: bytes = b"") -> bytes:
    """Digest of the members' names, sizes and checksums, and of what is said about the entry.

    A zip file guards each member, but not its directory: one changed bit there can hide a member.
    """
    members = [(info.filename, info.file_size, info.CRC) for info in archive.infolist()]
    digest = hashlib.blake2b(repr(members).encode(), digest_size=_SEAL // 2)
    digest.update(text)
    return digest.hexdigest().encode()
