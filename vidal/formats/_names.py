"""Names of query frames: ``<clip id>_<index>.jpg``, written and read back in one place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeVar

from vidal.errors import FormatError, UsageError
from vidal.types import FrameRef

T = TypeVar("T")

PATTERN = r"(?P<clip>.+)_(?P<index>\d+)"
"""How the stem of an image's name says clip and frame."""

Names = Callable[[str], FrameRef | None] | Mapping[str, FrameRef] | str | None
"""From an image's name, with the folders that the file gives it, to its frame: a function, a
mapping (with or without folders), a regular expression with the groups
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
        return lambda name: names.get(name, names.get(PurePosixPath(name.replace("\\", "/")).name))
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


def of_clip(known: Mapping[str, T], name: str) -> T | None:
    """What is known of the clip that a file calls ``name``; None where nothing is.

    ``known`` is keyed by names or by clip ids (``day__cam-1a2b3c4d``): the name itself counts
    first, then the id without its digest, then its last part. Where several clips could be meant,
    what is the same for all of them is known all the same.
    """
    if name in known:
        return known[name]
    pure = PurePosixPath(name)
    bare = {key: key.rpartition("-")[0] for key in known}
    tails = ("__".join(pure.parts[at:]) for at in range(len(pure.parts)))
    for wanted in dict.fromkeys((*tails, pure.stem)):
        same = [known[key] for key, value in bare.items() if value == wanted or key == wanted]
        same = same or [known[k] for k, value in bare.items() if value.endswith(f"__{wanted}")]
        if same:
            return same[0] if all(value == same[0] for value in same) else None
    return None


LONGEST = 10_000_000
"""Frames of the longest clip that is believed (90 hours at 30 a second)."""


TOGETHER = 10 * LONGEST
"""Frames of all clips of one file that are believed, where nothing but the file states them."""


def believable_sum(path: Path, frames: int) -> int:
    """A number of frames of all clips so far, or FormatError; see ``believable``."""
    if frames > TOGETHER:
        raise FormatError(path, "", f"more than {TOGETHER} frames in all cannot be right")
    return frames


def believable(path: Path, where: str, frames: int) -> int:
    """A number of frames, or FormatError: a wild number must not become a wild allocation."""
    if not 0 <= frames <= LONGEST:
        raise FormatError(path, where, f"{frames} frames cannot be right")
    return frames
