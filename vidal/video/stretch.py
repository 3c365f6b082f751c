"""A stretch of a clip, with the pixels that a reading of the whole clip gives.

For most files decoding may begin at any keyframe. Where a picture is damaged, though, a decoder
makes up what is missing from what it decoded before, so that pixels depend on where it began.
Reading therefore begins a whole group of pictures early: damage in one group is made up from the
group before it. If anything of that group does not decode either, the file is read from its start.
What remains is damage in both that no decoder reports; ``vidal.evidence.prints.disagreeing`` finds
it where stretches overlap.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidal.types import Clip, Frame, FrameRef, Image
from vidal.video.decode import indexed, read_frames
from vidal.video.source import Source, told_of

_REFERENCES = 16
"""Frames that a picture may be made from at most (H.264 and HEVC, level limits)."""


def run_up(clip: Clip, start: int) -> int:
    """The frame that decoding begins at, for frames from ``start`` on to be as in the whole clip.

    0 where a file is read from its first frame whatever is wanted; ``start`` for images.
    """
    if clip.reader == "images":
        return start
    if clip.reader != "pts" or not len(clip.keyframes):
        return 0
    nearest = int(np.searchsorted(clip.keyframes, start, side="right")) - 1
    if nearest < 0:
        return 0
    limit = int(clip.keyframes[nearest]) - _REFERENCES
    before = int(np.searchsorted(clip.keyframes, limit, side="right")) - 1
    return int(clip.keyframes[before]) if before >= 0 else 0


def read_stretch(clip: Clip, start: int, stop: int) -> Iterator[Frame]:
    """Frames ``start`` to ``stop`` (left out), in order; pixels as ``read_frames`` of the clip.

    A frame that does not decode, or not to the clip's size, is left out.

    Raises:
        ValueError: frames outside the clip (at once).
        UnreadableClip: the file cannot be opened any more (while iterating).
    """
    if not 0 <= start <= stop <= clip.frames:
        raise ValueError(f"{clip.id}: no frames {start} to {stop}, it has {clip.frames}")
    key = run_up(clip, start)
    if clip.reader != "pts" or key <= 0:
        return read_frames(clip, range(start, stop), seek=clip.reader == "images")
    return _frames(clip, key, start, stop)


def _frames(clip: Clip, key: int, start: int, stop: int) -> Iterator[Frame]:
    with told_of(clip.path), Source(clip.path) as source:
        for index, image in _images(source, clip, key, start, stop):
            if image is not None and image.shape[:2] == clip.size:
                yield Frame(FrameRef(clip.id, index), image)


def _images(
    source: Source, clip: Clip, key: int, start: int, stop: int
) -> Iterator[tuple[int, Image | None]]:
    frames = source.start_at(int(clip.pts[key]))
    due, last = key, start - 1  # ``due``: of the group before, all of which has to be there
    for index, frame in () if frames is None else indexed(clip, frames):
        if due < start:
            if index > due:
                break
            due += index == due
        elif index >= stop:
            return
        elif index > last:
            last = index
            yield index, source.image(frame)
    else:
        if due == start:
            return
    for index, frame in indexed(clip, source.restart()):
        if index >= stop:
            return
        if index > last:
            last = index
            yield index, source.image(frame)
