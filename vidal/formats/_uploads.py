"""Names of pictures that a service has changed on their way: taken back to those they had."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import PurePosixPath
from urllib.parse import unquote

from vidal.formats._names import Names, resolver
from vidal.types import FrameRef

_PREFIX = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an upload."""

_ENDING = re.compile(
    r"(?P<stem>.+)_(?:jpe?g|png|bmp|tiff?|webp)\.rf\.[0-9A-Za-z]{16,64}", re.IGNORECASE
)
"""What Roboflow makes of ``<stem>.jpg``; its suffix follows."""


def former_names(name: str) -> list[str]:
    """The names that a picture may have had, without folders: its own, then without additions."""
    pure = PurePosixPath(name.replace("\\", "/"))
    names = [pure.name]
    if (plain := PurePosixPath(unquote(pure.name))).name != pure.name:
        pure = PurePosixPath(plain.name)
        names.append(pure.name)
    if ending := _ENDING.fullmatch(pure.stem):
        names.append(ending["stem"] + pure.suffix)
    names += [_PREFIX.sub("", each, count=1) for each in names if _PREFIX.match(each)]
    return names


def finder(names: Names, known: Collection[str] = ()) -> Callable[[str], FrameRef | None]:
    """From a picture's name to its frame, whatever a service has added to it.

    A name means what it says, unless that is no frame, or not of a ``known`` clip where its former
    name is. ``<clip>_<index>`` of a ``known`` clip is understood whatever ``names`` says, unless
    that is a function, which knows the clips itself.

    Args:
        names: how frames are named; see ``vidal.formats._names``.
        known: clips, where they are known; none = any may be meant.
    """
    resolve, plain = resolver(names), resolver((lambda _: None) if callable(names) else None)

    def find(name: str) -> FrameRef | None:
        folder = PurePosixPath(name.replace("\\", "/")).parent
        candidates = [name, *(str(folder / each) for each in former_names(name))]
        found = [ref for each in candidates if (ref := resolve(each)) is not None]
        spelled = [ref for each in candidates if (ref := plain(each)) is not None]
        usual = next((ref for ref in (*found, *spelled) if ref.clip in known), None)
        return usual or (found[0] if found else None)

    return find
