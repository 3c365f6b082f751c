"""From the name of an image file to clip and frame number."""

from __future__ import annotations

import re
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
