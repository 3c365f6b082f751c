"""How readers open files: plain, gzip or zip, with limits; and which files they pass over.

An archive of a few kilobytes can hold gigabytes. Reading stops with a word where the content is
more than ``RATIO`` times the archive and more than ``FREE`` bytes; real annotation files stay far
below (XML of boxes shrinks 10 to 40 times). What is broken, encrypted or cut short is a
``FormatError``, whatever ``zipfile``, ``gzip`` and the codecs raise.
"""

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any

from vidal.errors import FormatError, InputError

FREE = 32 << 20
"""Bytes that an archive may always expand to."""

RATIO = 100
"""How many times its own size an archive may expand to beyond that."""

UTF_8 = "Save it as UTF-8."

LINE = 64 << 20
"""Bytes of the longest line of text that is read."""

_CHUNK = 1 << 18
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x85]")
_CLUTTER = frozenset(
    (
        *("__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db", "$recycle.bin"),
        *("frame_map.json", "label_config.xml"),
    )
)
"""What systems leave in folders, and what `vidal export` adds that is neither picture nor label."""
_GZIP, _ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")
_OTHERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"Rar!": "RAR",
}

# What zipfile, gzip and the decompressors raise over damaged bytes, and over a compression or an
# encryption that they do not know; ``reporting`` tells the OSError that some raise apart.
_DAMAGE = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    KeyError,
    IndexError,
)


def hidden(name: str | PurePath) -> bool:
    """Whether a path below a folder or in a zip is none of the data: ``._a.xml``, ``__MACOSX/``,
    ``.DS_Store``, ``Thumbs.db`` and the like, and all that lies in such a folder.

    Args:
        name: relative to the folder that the user named (which may itself be hidden).
    """
    parts = str(name).replace("\\", "/").split("/")
    return any(
        (part.startswith(".") and part not in (".", "..")) or part.casefold() in _CLUTTER
        for part in parts
    )


def visible(folder: Path, *patterns: str, deep: bool = False) -> list[Path]:
    """The files of a folder that are not ``hidden``, sorted.

    Args:
        folder: where to look.
        patterns: globs for the name, in any case (``*.xml``); none = every file.
        deep: look into subfolders too (links to folders are not followed).

    Raises:
        InputError: no such folder, or one that cannot be read.
    """
    found: list[Path] = []
    left = [str(folder)]  # no recursion: folders may lie deeper than Python calls itself
    while left:
        place = left.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if hidden(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        left += [entry.path] if deep else []
                    elif _matches(entry.name, patterns) and not _leads_to_folder(entry):
                        found.append(Path(entry.path))
        except OSError as error:
            why = f"cannot be read ({error.strerror or error})"
            raise InputError(error.filename or place, why) from error
    return sorted(found)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle: whoever reads it says so
        return False


def _matches(name: str, patterns: Sequence[str]) -> bool:
    lower = name.lower()
    return not patterns or any(fnmatch(lower, pattern.lower()) for pattern in patterns)


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Whatever goes wrong with the bytes of a file, as an error of vidal's."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # gzip and bz2 say so of damaged bytes
            raise FormatError(path, "", f"broken archive ({_line(error)})") from error
        raise InputError(path, f"cannot be read ({error.strerror or error})") from error
    except _DAMAGE as error:
        raise FormatError(path, "", f"broken archive ({_line(error)})") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def check_regular(path: Path) -> None:
    """Refuse what is neither a file nor a folder: a pipe waits for ever, a device has no end.

    Raises:
        InputError: it is such, or not there.
    """
    with reporting(path):
        mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        hint = "Write its content to a file, and name that."
        raise InputError(path, "a pipe or a device, not a file", hint=hint)


class Source:
    """The bytes of a file, expanded, within the limits."""

    def __init__(self, path: Path, stream: IO[bytes], limit: int | None) -> None:
        self.path = path
        self._stream = stream
        self._limit = limit
        self._taken = 0

    def read(self, size: int = _CHUNK) -> bytes:
        """The next at most ``size`` bytes; none at the end.

        Raises:
            InputError: the file cannot be read.
            FormatError: a broken archive, or one that holds too much.
        """
        with reporting(self.path):
            data = self._stream.read(size)
        self._taken += len(data)
        if self._limit is not None and self._taken > self._limit:
            why = f"expands to more than {self._limit >> 20} MB, over {RATIO} times its size"
            raise FormatError(self.path, "", why, hint="Unpack it, if it is what it should be.")
        return data


@contextmanager
def opened(path: Path, *members: str) -> Iterator[Source]:
    """A plain or gzip file, or the one member of a zip whose name matches ``members``.

    What kind it is, its first bytes say, not its name.

    Args:
        path: the file.
        members: globs for the member's name in any case (``*.xml``); none = no zip is expected.

    Raises:
        InputError: the file cannot be read.
        FormatError: another kind of archive, a broken or encrypted one, a zip without such a
            member or with several; and as ``Source.read``.
    """
    path = Path(path)
    check_regular(path)
    with ExitStack() as stack:
        with reporting(path):
            raw = stack.enter_context(path.open("rb"))
            size = os.fstat(raw.fileno()).st_size
            magic = raw.read(6)
            raw.seek(0)
            limit = max(FREE, RATIO * size)
            if magic.startswith(_GZIP):
                packed = stack.enter_context(gzip.GzipFile(fileobj=raw))
                source = Source(path, packed, limit)  # type: ignore[arg-type]
            elif magic.startswith(_ZIP):
                archive = stack.enter_context(zipfile.ZipFile(raw))
                member = stack.enter_context(_member(path, archive, members))
                source = Source(path, member, limit)
            else:
                source = Source(path, raw, None)
        for start, name in _OTHERS.items():
            if magic.startswith(start):
                raise FormatError(path, "", f"a {name} archive", hint="Unpack it first.")
        yield source


def members_of(path: Path, archive: zipfile.ZipFile) -> list[tuple[PurePosixPath, zipfile.ZipInfo]]:
    """The files of a zip that are not hidden, in its order; nothing is ever unpacked.

    Raises:
        FormatError: one leads out of the archive, is a link, or is there twice.
    """
    found: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or re.match(r"[A-Za-z]:", name.as_posix()):
            raise FormatError(path, "", f"{info.filename!r:.60} leads out of the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise FormatError(path, "", f"{info.filename!r:.60} is a link, not a file")
        if info.is_dir() or hidden(name):
            continue
        if name in found:
            raise FormatError(path, "", f"{info.filename!r:.60} is in the archive twice")
        found[name] = info
    return list(found.items())


def _member(path: Path, archive: zipfile.ZipFile, members: Sequence[str]) -> IO[bytes]:
    if not members:
        raise FormatError(path, "", "a zip archive", hint="Unpack it, and give the folder or file.")
    every = members_of(path, archive)
    found = [info for name, info in every if _matches(name.name, members)]
    wanted = " or ".join(pattern.lstrip("*") for pattern in members)
    if len(found) != 1:
        names = ", ".join(repr(info.filename)[:60] for info in found[:3])
        some = f" ({names}{', ...' if len(found) > 3 else ''})" if found else ""
        why = f"expected one {wanted} in the zip, found {len(found)}{some}"
        raise FormatError(path, "", why, hint="Unpack it, and give the folder or file.")
    if found[0].flag_bits & 1:
        raise FormatError(path, "", "an encrypted zip", hint="Unpack it first.")
    return archive.open(found[0])


def read_raw(path: Path) -> Iterator[bytes]:
    """A file as it lies on disk, piece by piece, whatever it holds.

    Raises:
        InputError: it cannot be read.
    """
    check_regular(path)
    with reporting(path), path.open("rb") as stream:
        while part := stream.read(_CHUNK):
            yield part


def read_bytes(path: Path, *members: str) -> bytes:
    """All of a file; arguments and errors as ``opened``."""
    with opened(path, *members) as source:
        parts = []
        while part := source.read():
            parts.append(part)
    return b"".join(parts)


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without its end) of every line of UTF-8 text, plain or gzip.

    Lines end with LF, CR LF or CR. A byte order mark is passed over. One line is held at a time.

    Raises:
        InputError: the file cannot be read.
        FormatError: the archive is broken or holds too much, the text is not UTF-8 (says at which
            byte), or a line is longer than ``LINE``.
    """
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    number, rest, before = 1, [""], 0
    with opened(path) as source:
        while True:
            data = source.read()
            try:
                text = newlines.decode(decoder.decode(data, final=not data), final=not data)
            except UnicodeDecodeError as error:
                at = before + error.start
                raise FormatError(path, f"byte {at}", "not UTF-8 text", hint=UTF_8) from error
            before += len(data) - _pending(decoder)
            first, *more = text.split("\n")
            rest.append(first)
            if sum(map(len, rest)) > LINE:
                raise FormatError(path, f"line {number}", "longer than any line can be")
            for line in more:
                yield number, printable(path, f"line {number}", "".join(rest))
                number, rest = number + 1, [line]
            if not data:
                break
    if last := "".join(rest):
        yield number, printable(path, f"line {number}", last)


def printable(path: Path, where: str, text: str) -> str:
    """Text without control characters but tab and line ends.

    A damaged line end would join two lines into one of twice the columns, which may mean something.

    Raises:
        FormatError: there is one.
    """
    if found := _CONTROL.search(text):
        raise FormatError(path, where, f"control character {found[0]!r}: not plain text")
    return text


def _pending(decoder: Any) -> int:
    """Bytes that the decoder still holds: the first ones of a character."""
    return len(decoder.getstate()[0])
