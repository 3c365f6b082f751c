"""Streaming XML for annotation files: no document type, no entities, no tree in memory.

The parser is expat, which every Python has. A DOCTYPE is refused outright, so entities (and with
them the attacks that expand or fetch them) cannot be declared at all. Expat itself reads UTF-8,
UTF-16, Latin-1 and ASCII; text in any other encoding that Python knows is recoded for it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from xml.parsers import expat

from vidal.errors import FormatError
from vidal.formats._files import Source, opened

_CHUNK = 1 << 16
_DEPTH = 64
_TEXT = 1 << 20
_TAG = 8 << 20
"""Bytes of the longest tag, attributes and all; expat holds one, and reads it again with each chunk
(a mask of a large image takes some hundred kilobytes)."""

_NATIVE = frozenset(("utf-8", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "us-ascii"))
_NO_TEXT = frozenset(("unicode-escape", "raw-unicode-escape", "punycode", "idna", "undefined"))
_WIDE = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    b"<\0\0\0": "utf-32-le",
    b"\0\0\0<": "utf-32-be",
}
_DECLARED = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([^\"'>]{0,200})[\"']"
)


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


def _encoding(path: Path, start: bytes) -> str | None:
    """Python's name of the encoding that ``start`` shows or declares; None = expat knows it."""
    for magic, name in _WIDE.items():
        if start.startswith(magic):
            return name
    found = _DECLARED.match(start)
    if found is None or (name := found[1].decode("latin-1")).lower() in _NATIVE:
        return None
    try:
        b"<".decode(
            name, "replace"
        )  # LookupError also for codecs that are not of text, such as zip
        known = codecs.lookup(name).name.replace("_", "-")
    except (LookupError, ValueError):
        known = "undefined"
    if known in _NO_TEXT:
        raise FormatError(
            path, "line 1", f"unknown encoding {shown(name)}", hint="Save it as UTF-8."
        )
    return name


def _recoded(source: Source, start: bytes, encoding: str) -> Iterator[bytes]:
    """All chunks of a file as UTF-8.

    Raises:
        FormatError: bytes that the encoding does not have.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    rest = iter(lambda: source.read(_CHUNK), b"")
    try:
        for chunk in chain((start,), rest):
            yield decoder.decode(chunk).encode("utf-8")
        yield decoder.decode(b"", final=True).encode("utf-8")
    except UnicodeError as error:
        raise FormatError(source.path, "", f"not text in the encoding {encoding!r}") from error


class _Collector:
    """Handlers of expat; ``events`` is drained by the reader after each chunk."""

    def __init__(self, path: Path, encoding: str | None) -> None:
        self.path = path
        self.events: list[Event] = []
        self.open: list[tuple[str, dict[str, str], int, list[str]]] = []
        self.length = 0
        self.fed = 0
        self.parser = expat.ParserCreate(encoding)
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.ExternalEntityRefHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that a chunk completes; an empty chunk ends the file."""
        self.events = []
        try:
            self.parser.Parse(chunk, not chunk)
        except (LookupError, ValueError) as error:  # a declaration that ``_encoding`` did not see
            why = "unknown encoding"
            raise FormatError(self.path, "line 1", why, hint="Save it as UTF-8.") from error
        self.fed += len(chunk)
        if self.fed - self.parser.CurrentByteIndex > _TAG:
            raise FormatError(self.path, self._where(), f"a tag of more than {_TAG >> 20} MB")
        return self.events

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
        FormatError: not well-formed, cut off, nested too deeply, with a DOCTYPE, a tag or a text
            without end, or in an unknown encoding; says the line. A broken or too large archive.
    """
    try:
        with opened(path, "*.xml") as source:
            start = source.read(_CHUNK)
            encoding = _encoding(path, start)
            collector = _Collector(path, None if encoding is None else "utf-8")
            if encoding is not None:
                chunks = _recoded(source, start, encoding)
            else:
                chunks = chain((start,), iter(lambda: source.read(_CHUNK), b""))
            for chunk in chunks:
                if chunk:
                    yield from collector.feed(chunk)
            yield from collector.feed(b"")
    except expat.ExpatError as error:
        why = f"not well-formed XML ({expat.ErrorString(error.code)})"
        raise FormatError(path, f"line {error.lineno}", why) from error


def shown(text: object) -> str:
    """A value of a file for an error message: as Python writes it, cut after 60 characters."""
    written = repr(text)
    return written if len(written) <= 60 else f"{written[:57]}..."


def need(path: Path, event: Event, name: str) -> str:
    """An attribute that has to be there."""
    try:
        return event.attributes[name]
    except KeyError:
        raise FormatError(path, event.where, f"attribute {name!r} is missing") from None


def whole(path: Path, where: str, name: str, text: str) -> int:
    """Text as an integer of at most 18 digits (so that it fits into 64 bits)."""
    if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text) is None:
        raise FormatError(path, where, f"{name}: {shown(text)} is not a whole number")
    return int(text)


def real(path: Path, where: str, name: str, text: str) -> float:
    """Text as a float (``nan`` and ``inf`` pass; the check on rows lists them)."""
    try:
        if "_" in text:
            raise ValueError(text)  # Python alone takes 1_0 for ten
        return float(text)
    except ValueError:
        raise FormatError(path, where, f"{name}: {shown(text)} is not a number") from None


def pixels(path: Path, where: str, name: str, text: str) -> int:
    """Text as the width or height of an image: 1 to 2**20."""
    value = whole(path, where, name, text)
    if not 1 <= value <= 2**20:
        raise FormatError(path, where, f"{name}: an image of {value} pixels")
    return value


def flag(path: Path, event: Event, name: str) -> bool:
    """A ``0`` / ``1`` attribute; absent = False."""
    text = event.attributes.get(name, "0")
    if text not in ("0", "1"):
        raise FormatError(path, event.where, f"{name}: expected 0 or 1, got {shown(text)}")
    return text == "1"
