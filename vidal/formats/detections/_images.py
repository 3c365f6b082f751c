"""From the name of an image file to clip and frame number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from vidal.errors import FormatError

_STEM = re.compile(r"(?P<prefix>.*?)[-_. ]?(?P<number>\d{1,12})", re.ASCII | re.DOTALL)


def image_clip(path: Path, where: str, name: str) -> tuple[str, str, int]:
    """(folder, prefix, number) of ``folder/prefix_000123.jpg``; folder or prefix may be empty.

    Raises:
        FormatError: the name does not end with a number.
    """
    pure = PurePosixPath(name.replace("\\", "/"))
    found = _STEM.fullmatch(pure.stem)
    if found is None:
        raise FormatError(path, where, f"{name!r:.60} has no frame number")
    folder = pure.parent.as_posix().strip("/")
    return "" if folder == "." else folder, found["prefix"], int(found["number"])


def clip_names(groups: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """What the clip of each (folder, prefix) may be called, the most specific first.

    The folder alone names a clip only where all its images have one prefix.
    """
    every = list(groups)
    prefixes = Counter(folder for folder, _ in every)
    names = {}
    for folder, prefix in every:
        both = f"{folder}/{prefix}" if folder and prefix else ""
        alone = folder if prefixes[folder] == 1 else ""
        found = tuple(dict.fromkeys(name for name in (both, prefix, alone) if name))
        names[folder, prefix] = found or (folder or "images",)
    return names
