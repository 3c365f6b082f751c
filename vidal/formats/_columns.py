"""What the formats of plain text columns and numbered images share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from vidal.errors import FormatError, InputError
from vidal.formats._files import lines, visible
from vidal.formats._rows import Row
from vidal.formats._sizes import Size, image_size, same_size
from vidal.formats._tree import is_folder
from vidal.formats._xml import real, shown, whole
from vidal.types import UNKNOWN

IMAGES = frozenset((".png", ".jpg", ".jpeg"))
_MAX_ID = 2**63 - 1


def text_lines(path: Path) -> Iterator[tuple[str, str]]:
    """("line n", text) of every line of a text file, plain or ``.gz``, that is not blank.

    Raises:
        InputError: the file cannot be read.
        FormatError: the archive is broken, cut off or holds too much, or the text is not UTF-8.
    """
    for number, line in lines(path):
        if line.strip():
            yield f"line {number}", line.strip()


def numbers(path: Path, where: str, texts: Sequence[str], *, first: int) -> list[float]:
    """Texts as floats; ``first`` is the 1-based column of the first, for the error.

    Raises:
        FormatError: one is not a number.
    """
    columns = enumerate(texts, start=first)
    return [real(path, where, f"column {column}", text) for column, text in columns]


def identity(path: Path, where: str, text: str) -> int:
    """A track number, -1 = none.

    Raises:
        FormatError: not a whole number from -1 up.
    """
    value = whole(path, where, "track", text)
    if not -1 <= value <= _MAX_ID:
        raise FormatError(path, where, f"track: {value} is not an identity")
    return value


def refuse_twins(path: Path, rows: Iterable[Row]) -> None:
    """Refuse an identity that occurs twice in a frame: one of the boxes must be wrong.

    Raises:
        FormatError: names the second one's place and the first one's.
    """
    seen: dict[tuple[int, int], str] = {}
    for frame, _, _, track, _, where in rows:
        if track < 0:
            continue
        earlier = seen.setdefault((frame, track), where)
        if earlier != where:
            raise FormatError(path, where, f"track {track} is in its frame already ({earlier})")


def labeller(
    classes: Sequence[str], *, known: Iterable[str] | None, aliases: Mapping[str, str]
) -> Callable[[Path, str, str], int]:
    """A function (path, where, name) -> label; upper and lower case are the same.

    Args:
        classes: names that labels index.
        known: names that the format knows; any other is an error. None = every name is allowed.
        aliases: other spellings, lower case -> lower case.
    """
    index = {name.casefold(): label for label, name in enumerate(classes)}
    allowed = None if known is None else {name.casefold() for name in known}

    def label(path: Path, where: str, name: str) -> int:
        key = name.casefold()
        if key not in index:
            key = aliases.get(key, key)
        if key in index:
            return index[key]
        if allowed is not None and key not in allowed:
            raise FormatError(path, where, f"{shown(name)} is not a class of this format")
        return UNKNOWN

    return label


def numbered_images(folder: Path) -> dict[int, str]:
    """Number -> file name of the images of a folder, in order; empty where there is no folder.

    Raises:
        InputError: the folder cannot be read.
        FormatError: two images of one number.
    """
    found: dict[int, str] = {}
    if not is_folder(folder):
        return found
    for file in visible(folder):
        stem = re.fullmatch(r"\d{1,12}", file.stem, re.ASCII)
        if stem is None or file.suffix.lower() not in IMAGES:
            continue
        number = int(file.stem)
        if number in found:
            raise FormatError(folder, file.name, f"the same number as {found[number]}")
        found[number] = file.name
    return dict(sorted(found.items()))


def size_of_images(folder: Path, images: Iterable[str], stated: Size | None = None) -> Size | None:
    """(height, width) of a clip's images, by their heads; ``stated`` where none tells.

    An image that cannot be read tells nothing here; whoever decodes the clip says so.

    Args:
        folder: of the images.
        images: their file names.
        stated: what the labels say, if they do.

    Raises:
        FormatError: images of different sizes, or of another than stated; names both.
    """

    def size_of(name: str) -> Size | None:
        try:
            return image_size(folder / name)
        except InputError:
            return None

    sizes = ((name, size_of(name)) for name in images)
    return same_size(folder, chain([("the file of labels", stated)], sizes))
