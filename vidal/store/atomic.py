"""Files and folders that appear whole or not at all.

Everything is written beside its place under a hidden temporary name, flushed to the disk, and
renamed. After a crash there is the old state or the new one, plus at most a temporary file.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vidal.errors import OutputError

SUFFIX = ".vidal-tmp"
DAY = 24 * 3600.0


def write_text(path: Path, text: str) -> None:
    """Replace a file by this text, in UTF-8.

    Raises:
        OutputError: it cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file by these bytes.

    Raises:
        OutputError: it cannot be written.
    """
    with open_new(path) as file:
        file.write(data)


@contextmanager
def open_new(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of ``path`` when the block ends without an exception.

    The folder is made if it is missing. Seekable.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = beside(path)
    with reporting(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``path`` when the block ends without an exception.

    Args:
        path: where it will be. An empty folder there is replaced.
        replace: also replace a folder that is not empty. Between two renames the old one lies
            beside ``path`` under a temporary name; it is deleted last.

    Raises:
        OutputError: it cannot be written, or there is something already.
    """
    with reporting(path):
        if not replace and path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise OutputError(path, "it exists already", hint="Name another place, or remove it.")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = beside(path)
        temporary.mkdir()
        try:
            yield temporary
            for folder, _, files in os.walk(temporary):
                for name in ("", *files):
                    sync_folder(Path(folder, name))
            _swap(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(path.parent)


def remove_stale(folder: Path, *, older_than: float = DAY) -> int:
    """Delete temporary files below ``folder`` that a crash left; how many there were.

    Args:
        folder: searched with its subfolders.
        older_than: seconds since the last write; younger ones may belong to a running process.
    """
    limit = time.time() - older_than
    removed = 0
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if name.startswith(".") and name.endswith(SUFFIX):
                removed += _remove(Path(place, name), limit)
        folders[:] = [name for name in folders if not name.endswith(SUFFIX)]
    return removed


def remove_old(path: Path, *, older_than: float = DAY) -> bool:
    """Delete one temporary file or folder, unless it is younger; whether it was there."""
    return _remove(path, time.time() - older_than)


def _remove(path: Path, limit: float) -> bool:
    try:
        if path.lstat().st_mtime >= limit:
            return False
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:  # another process was faster
        return False
    return True


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Operating system errors of the block, whatever they are about, as an ``OutputError``."""
    try:
        yield
    except OSError as error:
        raise OutputError(path, (error.strerror or str(error)).lower()) from error


def sync_folder(path: Path) -> None:
    """Flush an entry (of a folder: its names) to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(new: Path, path: Path) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        new.replace(path)
        return
    old = beside(path)
    path.replace(old)
    try:
        new.replace(path)
    except OSError:
        old.replace(path)
        raise
    shutil.rmtree(old)


def beside(path: Path) -> Path:
    """A hidden temporary name in the folder of a path, that no other run has."""
    return path.with_name(f".{path.name[:40]}-{secrets.token_hex(6)}{SUFFIX}")
