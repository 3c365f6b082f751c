"""Text that people read: counts with their nouns, and names that may hold anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path


def counted(number: int, noun: str, nouns: str = "") -> str:
    """``1 frame``, ``2 frames``, ``1,200 frames``; ``nouns`` where the plural takes no s."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_PEOPLE = {"person": "people", "child": "children", "man": "men", "woman": "women"}


def several(number: int, noun: str) -> str:
    """``two cars``, ``12 buses``: nouns of which nobody gave the plural."""
    if number == 1:
        return noun
    head, _, last = noun.rpartition(" ")
    if last in _PEOPLE:
        many = _PEOPLE[last]
    elif last.endswith(("s", "x", "ch", "sh")):
        many = last + "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        many = last[:-1] + "ies"
    else:
        many = last + "s"
    count = _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"
    return f"{count} {head} {many}" if head else f"{count} {many}"


_EDGE = 0.01
_WIDE = 0.8
_FIFTHS = ("far left", "on the left", "in the middle", "on the right", "far right")


_UNITS = ("B", "kB", "MB", "GB", "TB")


def size_words(count: float) -> str:
    """Bytes in words: ``0 B``, ``1.2 GB``, ``30 GB``."""
    at = 0
    while count >= 1000 and at + 1 < len(_UNITS):
        count, at = count / 1000, at + 1
    unit = _UNITS[at]
    return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"


def place_of(box: Sequence[float], size: tuple[int, int]) -> str:
    """Where a box (4,) xyxy lies in a picture of ``size`` (H, W): ``far left``, ..."""
    height, width = size
    x1, _, x2, y2 = box
    left, right = x1 <= _EDGE * width, x2 >= (1 - _EDGE) * width
    if x2 - x1 > _WIDE * width or (left and right):
        return "across the picture"
    if left or right:
        return f"at the {'left' if left else 'right'} edge"
    if y2 >= (1 - _EDGE) * height:
        return "at the bottom edge"
    return _FIFTHS[min(4, max(0, int(5 * (x1 + x2) / 2 / width)))]


def distinct(paths: Sequence[Path]) -> list[str]:
    """A short name for each path, printable: its last part, and as many folders as tell it apart.

    ``a/video.mp4`` and ``b/video.mp4`` keep their folders, ``other.mp4`` needs none.
    """
    names = [""] * len(paths)
    left, depth = list(range(len(paths))), 1
    while left:
        shown = {at: "/".join(paths[at].parts[-depth:]) for at in left}
        count = Counter(shown.values())
        longer = [at for at in left if count[shown[at]] > 1 and len(paths[at].parts) > depth]
        for at in set(left) - set(longer):
            names[at] = printable(shown[at])
        left, depth = longer, depth + 1
    return names


_RATIO = r"\s*[-+]?[0-9._]{1,40}(?:[eE][-+]?[0-9]{1,2}|/[0-9_]{1,40})?\s*"


def ratio(text: object) -> Fraction:
    """A number as people write it: ``10``, ``12.5``, ``1e2``, ``30000/1001``.

    Raises:
        ValueError: it is none, or one of so many digits (``1e200000000``) that it cannot be meant.
    """
    found = re.fullmatch(
        r"\s*[-+]?[0-9._]{1,40}(?:[eE][-+]?[0-9]{1,2}|/[0-9_]{1,40})?\s*", str(text)
    )
    if not found:
        raise ValueError(f"{str(text)[:40]!r} is not a number")
    try:
        return Fraction(str(text))
    except ZeroDivisionError as error:
        raise ValueError(f"{text!r} divides by zero") from error


def printable(text: object) -> str:
    """One line that any terminal, HTML page or UTF-8 file can hold.

    Control characters, line breaks, marks that turn the direction of writing, and bytes of file
    names that are not UTF-8 become escapes, such as ``\\n``, ``\\u202e`` and ``\\xe9``.
    """
    return "".join(one if one.isprintable() else _escape(one) for one in str(text))


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
