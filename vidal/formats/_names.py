"""Names of query frames: ``<clip id>_<index>.jpg``, written and read back in one place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from vidal.errors import FormatError, UsageError
from vidal.types import FrameRef

PATTERN = r"(?P<clip>.+)_(?P<index>\d+)"
"""How the stem of an image's name says clip and frame."""

Names = Callable[[str], FrameRef | None] | Mapping[str, FrameRef] | str | None
"""From an image's name to its frame: a function, a mapping, a regular expression with the groups
``clip`` and ``index`` for the whole stem, or None for ``PATTERN``."""


def frame_name(ref: FrameRef, suffix: str = ".jpg") -> str:
    """``<clip id>_<index>.jpg``, the index with at least six digits."""
    return f"{ref.clip}_{ref.index:06d}{suffix}"


def resolver(names: Names) -> Callable[[str], FrameRef | None]:
    """One function for all the ways to name frames; None where a name says nothing.

    Raises:
        UsageError: not a regular expression, or without the groups ``clip`` and ``index``.
    """
    if callable(names):
        return names
    if isinstance(names, Mapping):
        return names.get
    try:
        pattern = re.compile(PATTERN if names is None else names)
    except re.error as error:
        raise UsageError(f"frame pattern {names!r}: {error}.") from error
    if not {"clip", "index"} <= set(pattern.groupindex):
        raise UsageError(
            f"frame pattern {names!r}: needs the groups 'clip' and 'index'.",
            hint=f"For example {PATTERN!r}.",
        )

    def resolve(name: str) -> FrameRef | None:
        found = pattern.fullmatch(PurePosixPath(name.replace("\\", "/")).stem)
        if found is None or not found["index"].isdecimal() or len(found["index"]) > 12:
            return None
        return FrameRef(found["clip"], int(found["index"]))

    return resolve


LONGEST = 10_000_000
"""Frames of the longest clip that is believed (90 hours at 30 a second)."""


def believable(path: Path, where: str, frames: int) -> int:
    """A number of frames, or FormatError: a wild number must not become a wild allocation."""
    if not 0 <= frames <= LONGEST:
        raise FormatError(path, where, f"{frames} frames cannot be right")
    return frames
