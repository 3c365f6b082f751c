"""Fingerprints of the frames that were scored, kept beside the evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidal.evidence.given import GivenDetections
from vidal.evidence.plan import EvidenceJob, EvidenceKeys
from vidal.evidence.windows import Window
from vidal.protocols import Store
from vidal.store import content_key
from vidal.types import Clip, Stored
from vidal.video.prints import DECODERS, Prints

_VERSION = 1


def keep_prints(store: Store, clip: Clip, prints: Prints) -> None:
    """Remember how the frames of a clip looked when they were scored."""
    about = Stored("prints", clip.id, 0, clip.frames, len(prints))
    store.put(_key(clip), {"prints": prints}, about)


def keep_window_prints(
    store: Store, clip: Clip, window: Window, prints: Prints, around: Window, all_: Sequence[Window]
) -> None:
    """The same of one of several windows.

    Args:
        store: where.
        clip: the clip.
        window: the window.
        prints: of the frames ``around`` it.
        around: the window and the frames on both sides that were decoded with it.
        all_: windows of the clip.
    """
    first, last = window.start - around.start, window.stop - around.start
    parts = {"before": prints[:first], "prints": prints[first:last], "after": prints[last:]}
    about = Stored("prints", clip.id, window.start, window.stop, window.frames)
    store.put(_key(clip, window), parts, about)
    # Who looks for them knows the clip, and not in which windows it was scored.
    table = np.array([(each.start, each.stop) for each in all_], np.int64)
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


def disagreeing(store: Store, clip: Clip, windows: Sequence[Window]) -> list[Window]:
    """Neighbours whose common frames look otherwise in one than in the other, in order.

    So it is where a decoder made up for damage in another way than if it had come from the clip's
    first frame: in either of the two. Windows whose prints are not there agree.
    """
    found = [store.get(_key(clip, window)) for window in windows]
    wrong: set[Window] = set()
    for at in range(1, len(windows)):
        one, two = found[at - 1], found[at]
        if one is None or two is None or "after" not in one or "before" not in two:
            continue
        first = np.concatenate(
            [one["prints"][len(one["prints"]) - len(two["before"]) :], one["after"]]
        )
        second = np.concatenate([two["before"], two["prints"][: len(one["after"])]])
        if not np.array_equal(first, second):
            wrong |= {windows[at - 1], windows[at]}
    return sorted(wrong)


def compared_key(job: EvidenceJob, keys: EvidenceKeys) -> str | None:
    """Under which it stands that the windows of a clip were compared (``disagreeing``).

    None where nobody has to know: nothing is compared, or verdicts are only made after it.
    """
    given = isinstance(job.plan.detector, GivenDetections)
    if len(keys.windows) < 2 or keys.estimate is not None or given or not job.clip.pixels:
        return None
    spans = [number for each in keys.windows for number in (each.start, each.stop)]
    return content_key("compared", _VERSION, [keys.detections, *spans], DECODERS)


def note_compared(job: EvidenceJob, store: Store) -> None:
    """Remember that the windows of a clip were compared, and looked at anew where that was due."""
    key, clip = compared_key(job, job.plan.keys(job.clip)), job.clip
    if key is not None:
        done = {"compared": np.ones(1, np.bool_)}
        store.put(key, done, Stored("compared", clip.id, 0, clip.frames))


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
