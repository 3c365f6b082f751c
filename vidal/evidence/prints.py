"""Fingerprints of the frames that were scored, kept beside the evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidal.evidence.windows import Window
from vidal.protocols import Store
from vidal.store import content_key
from vidal.types import Clip, Stored
from vidal.video.prints import DECODERS, Prints

_VERSION = 1


def keep_prints(
    store: Store,
    clip: Clip,
    prints: Prints,
    window: Window | None = None,
    windows: Sequence[Window] = (),
) -> None:
    """Remember how the frames of a clip, or of one of its windows, looked when they were scored.

    Args:
        store: where.
        clip: the clip.
        prints: of the window's frames.
        window: None = the whole clip.
        windows: of the clip.
    """
    window = window or Window(0, clip.frames)
    about = Stored("prints", clip.id, window.start, window.stop, len(prints))
    if len(windows) < 2:
        store.put(_key(clip), {"prints": prints}, about)
        return
    store.put(_key(clip, window), {"prints": prints}, about)
    # Who looks for them knows the clip, and not in which windows it was scored.
    table = np.array([(each.start, each.stop) for each in windows], np.int64)
    found = store.get(_key(clip))
    if found is None or not np.array_equal(found.get("windows", ()), table):
        store.put(_key(clip), {"windows": table}, Stored("prints", clip.id, 0, clip.frames))


def known_prints(store: Store, clip: Clip) -> Prints | None:
    """(F,) uint64, 0 = not decoded, or not looked at; None where no decoder of this version has
    scanned the clip."""
    arrays = store.get(_key(clip))
    if arrays is not None and "windows" in arrays:
        return _joined(store, clip, [Window(*each) for each in arrays["windows"].tolist()])
    if arrays is None or arrays["prints"].shape != (clip.frames,):
        return None
    return arrays["prints"]


def _joined(store: Store, clip: Clip, windows: Sequence[Window]) -> Prints | None:
    if windows[-1].stop != clip.frames:
        return None
    prints = np.zeros(clip.frames, np.uint64)
    for window in windows:
        found = store.get(_key(clip, window))
        if found is not None and found["prints"].shape == (window.frames,):
            prints[window.start : window.stop] = found["prints"]
    return prints


def _key(clip: Clip, window: Window | None = None) -> str:
    parts = [] if window is None else [window.start, window.stop]
    return content_key("prints", _VERSION, [clip.id, *parts], DECODERS)
