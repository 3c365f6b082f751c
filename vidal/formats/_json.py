"""Values of JSON annotation files, checked: what the readers of COCO and BDD100K share."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any

from vidal.errors import FormatError
from vidal.formats._sizes import LARGEST, Size
from vidal.formats._xml import shown

Key = int | str
"""An id."""

_FASTEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Fields:
    """Reads keys of the objects of one file; every refusal names the file and the key.

    All methods raise ``FormatError``.
    """

    path: Path

    def fail(self, where: str, why: str) -> FormatError:
        """The error to raise."""
        return FormatError(self.path, where, why)

    def items(
        self, value: Mapping[str, Any], key: str, *, required: bool = False
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """(where, object) of a list of objects; nothing where the key is absent or null."""
        found = value.get(key)
        if found is None:
            if required:
                raise self.fail(key, "is missing")
            return
        if not isinstance(found, list):
            raise self.fail(key, "not a list")
        for at, item in enumerate(found):
            if not isinstance(item, dict):
                raise self.fail(f"{key}[{at}]", "not an object")
            yield f"{key}[{at}]", item

    def key(self, where: str, item: Mapping[str, Any], name: str) -> Key:
        """An id: a whole number, or text."""
        key = item.get(name)
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise self.fail(f"{where}.{name}", "not an id" if name in item else "is missing")
        return key

    def new_key(self, where: str, item: Mapping[str, Any], known: Container[Key]) -> Key:
        """The ``id`` of an object, that no other has."""
        key = self.key(where, item, "id")
        if key in known:
            raise self.fail(f"{where}.id", f"{shown(key)} is there already")
        return key

    def whole(self, where: str, item: Mapping[str, Any], name: str, *, least: int = 0) -> int:
        """A whole number below 2**63; ``192.0`` is one."""
        value = item.get(name)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
            why = "is missing" if value is None else f"{shown(value)} is not a whole number"
            raise self.fail(f"{where}.{name}", why)
        return value

    def text(self, where: str, item: Mapping[str, Any], name: str) -> str:
        """Text that can be written down; "" where it is absent."""
        value = item.get(name, "")
        if not isinstance(value, str) or not _writable(value):
            raise self.fail(f"{where}.{name}", "not text")
        return value

    def texts(self, where: str, item: Mapping[str, Any], name: str) -> list[str] | None:
        """A list of such texts."""
        value = item.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(
            isinstance(text, str) and _writable(text) for text in value
        ):
            raise self.fail(f"{where}.{name}", "not a list of texts")
        return value

    def size(self, where: str, item: Mapping[str, Any]) -> Size | None:
        """(height, width) of ``height`` and ``width``; None where one is absent or null."""
        if item.get("height") is None or item.get("width") is None:
            return None
        height, width = (self.whole(where, item, name) for name in ("height", "width"))
        if not (1 <= height <= LARGEST and 1 <= width <= LARGEST):
            raise self.fail(where, f"an image of {width}x{height} pixels")
        return height, width

    def number(self, where: str, value: Any) -> float:
        """A number, as Python's JSON reads it: NaN and the infinities are among them."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(where, f"{shown(value)} is not a number")
        try:
            return float(value)
        except OverflowError:
            raise self.fail(where, "a number too large") from None

    def rate(self, where: str, value: Any) -> Fraction:
        """Frames a second: a number, or text such as ``30000/1001`` or ``29.97``."""
        rate = Fraction(0)
        if isinstance(value, str) and len(value) <= 24 and not set(value) - set("0123456789./"):
            try:
                rate = Fraction(value)
            except (ValueError, ZeroDivisionError):
                rate = Fraction(0)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            # Comparing comes first: a fraction of a wild number is as wild.
            rate = Fraction(value) if 0 < value <= _FASTEST and isfinite(value) else rate
        rate = rate.limit_denominator(100_000)
        if not 0 < rate <= _FASTEST:
            raise self.fail(where, f"{shown(value)} is not a rate")
        return rate


def _writable(text: str) -> bool:
    """No half of a surrogate pair, which no file and no terminal takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
