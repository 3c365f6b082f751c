"""Fingerprints of the frames that were scored, kept beside the evidence."""

from __future__ import annotations

from vidal.protocols import Store
from vidal.store import content_key
from vidal.types import Clip
from vidal.video.prints import DECODERS, Prints

_VERSION = 1


def keep_prints(store: Store, clip: Clip, prints: Prints) -> None:
    """Remember how the frames of a clip looked when they were scored."""
    store.put(_key(clip), {"prints": prints})


def known_prints(store: Store, clip: Clip) -> Prints | None:
    """(F,) uint64, 0 = not decoded; None where no decoder of this version has scanned the clip."""
    arrays = store.get(_key(clip))
    if arrays is None or arrays["prints"].shape != (clip.frames,):
        return None
    return arrays["prints"]


def _key(clip: Clip) -> str:
    return content_key("prints", _VERSION, [clip.id], DECODERS)
