"""The evidence store of a folder: where it lies, and sizes and ages as people write them."""

from __future__ import annotations

import re
from pathlib import Path

from vidal.errors import InputError, UsageError
from vidal.store import FileStore

_PARTS = ("fresh", "shards", "manifest")
_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmgt]i?|)b?", re.IGNORECASE)
_SECONDS = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
_AGE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*([hdw])", re.IGNORECASE)


def store_below(folder: Path) -> Path:
    """The root of the store of a campaign, of a simulation or of a selection, or the folder itself.

    Raises:
        InputError: there is none.
    """
    for root in (folder / "evidence", folder / ".vidal", folder):
        if root.is_dir() and (root != folder or _is_store(root)):
            return root
    raise InputError(
        folder,
        "no evidence is kept there",
        hint="Name a campaign, the --out of a selection, or the --cache that it was given.",
    )


def _is_store(root: Path) -> bool:
    """Whether something of a store is in a folder; an entry of an earlier version too."""
    if any((root / name).is_dir() for name in _PARTS):
        return True
    return next(FileStore(root, read_only=True).earlier.keys(), None) is not None


def bytes_of(text: str) -> int:
    """Of a size such as ``200GB``, ``1.5 TB``, ``512MiB``, ``1000000``.

    Raises:
        UsageError: it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a size.", hint="Write it like 200GB or 512MiB.")
    return round(float(found[1]) * {**_SIZES, **_BINARY}[found[2].lower()])


def seconds_of(text: str) -> float:
    """Of an age such as ``30d``, ``12h``, ``2w``.

    Raises:
        UsageError: it is none.
    """
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not an age.", hint="Write it like 12h, 30d or 8w.")
    return float(found[1]) * _SECONDS[found[2].lower()]
