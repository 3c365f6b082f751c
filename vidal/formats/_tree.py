"""The files of a data set, in a folder or in one zip.

A file in a zip has the path ``archive.zip/labels/a.txt``: the rest of a reader need not know.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from vidal.errors import FormatError, InputError
from vidal.formats._files import (
    FREE,
    RATIO,
    UTF_8,
    members_of,
    printable,
    read_bytes,
    reporting,
    visible,
)
from vidal.formats._sizes import Size, image_size


class Tree(Protocol):
    """What a reader asks of a data set's files; errors are those of ``vidal.formats._files``."""

    def is_dir(self, folder: Path) -> bool:
        """Is there such a folder?"""

    def files(self, folder: Path, *patterns: str, deep: bool = True) -> list[Path]:
        """Its files that are not hidden, sorted."""

    def read(self, file: Path) -> bytes:
        """All of a file."""

    def size(self, image: Path) -> Size:
        """(height, width) of a picture."""


def is_folder(path: Path) -> bool:
    """``Path.is_dir``, but a name that the system cannot hold is just not there.

    Raises:
        InputError: it cannot be told, because a folder above may not be read.
    """
    try:
        return path.is_dir()
    except PermissionError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from error
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """``Path.is_file``; as ``is_folder``."""
    try:
        return path.is_file()
    except PermissionError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from error
    except OSError:
        return False


class _Folder:
    def is_dir(self, folder: Path) -> bool:
        return is_folder(folder)

    def files(self, folder: Path, *patterns: str, deep: bool = True) -> list[Path]:
        return visible(folder, *patterns, deep=deep)

    def read(self, file: Path) -> bytes:
        return read_bytes(file)

    def size(self, image: Path) -> Size:
        return image_size(image)


class _Zip:
    """The members of an archive; all that is read of it together stays within the limits."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._left = max(FREE, RATIO * path.stat().st_size)
        self._members: dict[Path, zipfile.ZipInfo] = {}
        for name, info in members_of(path, archive):
            self._members[path / name] = info

    def is_dir(self, folder: Path) -> bool:
        return any(file.is_relative_to(folder) for file in self._members)

    def files(self, folder: Path, *patterns: str, deep: bool = True) -> list[Path]:
        found = (f for f in self._members if f.parent == folder or (deep and folder in f.parents))
        return sorted(
            file
            for file in found
            if not patterns or any(fnmatch(file.name.lower(), each) for each in patterns)
        )

    def read(self, file: Path) -> bytes:
        info = self._member(file)
        with reporting(file), self._archive.open(info) as stream:
            data = stream.read(self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            why = f"expands to more than {RATIO} times its size"
            raise FormatError(self._path, "", why, hint="Unpack it, if it is what it should be.")
        return data

    def size(self, image: Path) -> Size:
        info = self._member(image)
        with reporting(image), self._archive.open(info) as stream:
            return image_size(image, stream)

    def _member(self, file: Path) -> zipfile.ZipInfo:
        info = self._members[file]
        if info.flag_bits & 1:
            raise FormatError(self._path, "", "an encrypted zip", hint="Unpack it first.")
        return info


@contextmanager
def tree_of(path: Path) -> Iterator[Tree]:
    """The tree that a folder, or a zip, is the root of.

    Raises:
        InputError: the zip cannot be read.
        FormatError: a broken zip, or one with a member that leads out of it.
    """
    if not is_zip(path):
        yield _Folder()
        return
    with reporting(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield _Zip(path, archive)


def is_zip(path: Path) -> bool:
    """Whether it is a file that begins as a zip does.

    Raises:
        InputError: a file that cannot be read.
    """
    if not is_file(path):
        return False
    with reporting(path), path.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def decoded(file: Path, data: bytes) -> str:
    """Bytes as UTF-8 (a byte order mark is allowed).

    Raises:
        FormatError: they are not (says at which byte), or hold control characters.
    """
    try:
        return printable(file, "", data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise FormatError(file, f"byte {error.start}", "not UTF-8 text", hint=UTF_8) from error


def shallowest(files: Sequence[Path]) -> list[Path]:
    """Those that lie least deep, and then by name."""
    return sorted(files, key=lambda file: (len(file.parts), file))
