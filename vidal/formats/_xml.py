"""Streaming XML for annotation files: no document type, no entities, no tree in memory.

The parser is expat, which every Python has. A DOCTYPE is refused outright, so entities (and with
them the attacks that expand or fetch them) cannot be declared at all.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from vidal.errors import FormatError, InputError

_CHUNK = 1 << 16
_DEPTH = 64
_TEXT = 1 << 20


@dataclass(frozen=True, slots=True)
class Event:
    """The start or the end of an element.

    Attributes:
        start: whether it is the start; else the end.
        tag: name of the element.
        attributes: of the element, at both events.
        text: its own characters, at the end event; stripped.
        line: where the element starts, 1-based.
    """

    start: bool
    tag: str
    attributes: dict[str, str]
    text: str
    line: int

    @property
    def where(self) -> str:
        """Place for an error message."""
        return f"line {self.line}, <{self.tag}>"


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The XML inside a plain, gzip or zip file (zip: its one ``*.xml``)."""
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic[:2] == b"\x1f\x8b":
            with gzip.open(raw) as stream:
                yield stream  # type: ignore[misc]
        elif magic == b"PK\x03\x04":
            with zipfile.ZipFile(raw) as archive:
                names = [name for name in archive.namelist() if name.endswith(".xml")]
                if len(names) != 1:
                    raise FormatError(path, "", f"expected one .xml in the zip, found {len(names)}")
                with archive.open(names[0]) as member:
                    yield member
        else:
            yield raw


class _Collector:
    """Handlers of expat; ``events`` is drained by the reader after each chunk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        self.open: list[tuple[str, dict[str, str], int, list[str]]] = []
        self.length = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.ExternalEntityRefHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _where(self) -> str:
        return f"line {self.parser.CurrentLineNumber}"

    def _refuse(self, *_: Any) -> int:
        raise FormatError(self.path, self._where(), "document types and entities are refused")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.open) >= _DEPTH:
            raise FormatError(self.path, self._where(), "nested too deeply")
        line = self.parser.CurrentLineNumber
        self.open.append((tag, attributes, line, []))
        self.length = 0
        self.events.append(Event(True, tag, attributes, "", line))

    def _text(self, data: str) -> None:
        self.length += len(data)
        if self.length > _TEXT:
            raise FormatError(self.path, self._where(), "text too long")
        if self.open and data.strip():
            self.open[-1][3].append(data)

    def _end(self, tag: str) -> None:
        name, attributes, line, parts = self.open.pop()
        self.length = 0
        self.events.append(Event(False, name, attributes, "".join(parts).strip(), line))


def events(path: Path) -> Iterator[Event]:
    """Starts and ends of the elements of an XML file (plain, ``.gz`` or ``.zip``), in order.

    Memory does not grow with the length of the file.

    Raises:
        InputError: the file cannot be read.
        FormatError: not well-formed, cut off, nested too deeply, or with a DOCTYPE; says the line.
    """
    collector = _Collector(path)
    try:
        with _opened(path) as stream:
            while chunk := stream.read(_CHUNK):
                collector.parser.Parse(chunk, False)
                yield from collector.events
                collector.events.clear()
            collector.parser.Parse(b"", True)
            yield from collector.events
    except expat.ExpatError as error:
        why = f"not well-formed XML ({expat.ErrorString(error.code)})"
        raise FormatError(path, f"line {error.lineno}", why) from error
    except (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile) as error:
        raise FormatError(path, "", f"broken archive ({error})") from error
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror or error})") from error


def need(path: Path, event: Event, name: str) -> str:
    """An attribute that has to be there."""
    try:
        return event.attributes[name]
    except KeyError:
        raise FormatError(path, event.where, f"attribute {name!r} is missing") from None


def whole(path: Path, where: str, name: str, text: str) -> int:
    """Text as an integer."""
    try:
        return int(text)
    except ValueError:
        raise FormatError(path, where, f"{name}: {text!r} is not a whole number") from None


def real(path: Path, where: str, name: str, text: str) -> float:
    """Text as a float (``nan`` and ``inf`` pass; the check on rows lists them)."""
    try:
        return float(text)
    except ValueError:
        raise FormatError(path, where, f"{name}: {text!r} is not a number") from None


def flag(path: Path, event: Event, name: str) -> bool:
    """A ``0`` / ``1`` attribute; absent = False."""
    text = event.attributes.get(name, "0")
    if text not in ("0", "1"):
        raise FormatError(path, event.where, f"{name}: expected 0 or 1, got {text!r}")
    return text == "1"
