"""Frames of a clip by index: streaming, by presentation time, seeking where that is shorter.

A decoded frame is identified by its presentation time, never by counting from where a seek is
believed to have landed, so a wrong frame cannot come out; a frame that does not decode, or in which
the decoder reports damage, is absent. Seeks go to keyframes that are whole pictures only: where a
stream refreshes its picture bit by bit, decoding begins at the last whole one. Frames that were
predicted from a damaged one, up to the next keyframe, come as the decoder conceals the damage,
which may depend on where decoding began: ``prints`` tells whether a picture is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from av.video.frame import VideoFrame

from vidal.errors import UnreadableClip
from vidal.types import Clip, Frame, FrameRef, Image, IntArray
from vidal.video import folder, opencv
from vidal.video.source import Source, told_of

_WORTH_A_SEEK = 8
"""Frames that must be saved before a seek is preferred to decoding on."""

_BACK = (0, 1, 3, 8)
"""Keyframes to go back before a frame counts as undecodable (for streams whose keyframes need
frames before them, e.g. gradual refresh)."""


def read_frames(
    clip: Clip, indices: Iterable[int] | None = None, *, threads: int = 1, seek: bool = True
) -> Iterator[Frame]:
    """The frames of a clip, in increasing order, each once.

    Args:
        clip: as returned by ``open_clip``.
        indices: the wanted frames in any order; None = all.
        threads: threads of the decoder; they change nothing in the output.
        seek: skip what is not wanted where a keyframe allows it; False = decode from the first
            frame on, as when a clip is read whole.

    Returns:
        An iterator with a few frames in memory at a time. A frame that does not decode, or not
        to the clip's size, is left out: compare ``frame.ref.index`` with what was asked for.

    Raises:
        ValueError: an index outside the clip (at once, not while iterating).
        UnreadableClip: the file cannot be opened any more (while iterating).
    """
    wanted = (
        np.arange(clip.frames) if indices is None else np.unique(np.fromiter(indices, np.int64))
    )
    if len(wanted) and (wanted[0] < 0 or wanted[-1] >= clip.frames):
        wrong = int(wanted[0] if wanted[0] < 0 else wanted[-1])
        raise ValueError(f"{clip.id}: no frame {wrong}, it has frames 0..{clip.frames - 1}")
    return _frames(clip, wanted, threads, seek)


def read_frame(clip: Clip, index: int, *, threads: int = 1) -> Frame:
    """One frame.

    Raises:
        ValueError: an index outside the clip.
        UnreadableClip: the frame does not decode.
    """
    for frame in read_frames(clip, (index,), threads=threads):
        return frame
    raise UnreadableClip(clip.path, f"frame {index} does not decode")


def _frames(clip: Clip, wanted: IntArray, threads: int, seek: bool) -> Iterator[Frame]:
    if not len(wanted):
        return
    with told_of(clip.path):
        for index, image in _images(clip, wanted, threads, seek):
            if image is not None and image.shape[:2] == clip.size:
                yield Frame(FrameRef(clip.id, index), image)


def _images(
    clip: Clip, wanted: IntArray, threads: int, seek: bool
) -> Iterator[tuple[int, Image | None]]:
    if clip.reader == "images":
        yield from folder.read(clip, wanted)
    elif clip.reader == "opencv":
        yield from opencv.read(clip.path, wanted)
    else:
        with Source(clip.path, threads) as source:
            if clip.reader == "order":
                yield from _by_order(source, wanted)
            else:
                for run in _runs(clip, wanted) if seek else [wanted]:
                    yield from _run(source, clip, run, seek)


def _by_order(source: Source, wanted: IntArray) -> Iterator[tuple[int, Image | None]]:
    left = iter(wanted.tolist())
    target = next(left)
    for index, frame in enumerate(source.counted()):
        if index == target:
            if frame is not None:
                yield index, source.image(frame)
            if (target := next(left, -1)) < 0:
                return


def pieces(clip: Clip, wanted: IntArray, most: int) -> list[IntArray]:
    """Wanted indices in pieces, which are read one by one at no more cost than all at once.

    Args:
        clip: the clip; where its frames are found by counting from the first, there is one piece.
        wanted: increasing, each once.
        most: frames, about, that are decoded for a piece; more where no keyframe allows a cut.
    """
    if clip.reader == "images":
        return np.split(wanted, range(most, len(wanted), most)) if len(wanted) else []
    if clip.reader != "pts" or not len(wanted):
        return [wanted] if len(wanted) else []
    start = _starts(clip, wanted)
    alone = wanted - start + 1  # frames that are decoded for it where nothing was before
    near = np.append(False, start[1:] - wanted[:-1] <= _WORTH_A_SEEK)
    cost = np.where(near, np.diff(wanted, prepend=-1), alone)
    apart = np.append(True, start[1:] > start[:-1]) & (start > 0)
    cuts, spent = list[int](), 0
    for at, (ours, first, may) in enumerate(zip(cost, alone, apart, strict=True)):
        if may and spent and spent + ours > most:
            cuts.append(at)
            spent = 0
        spent += int(ours if spent else first)
    return np.split(wanted, cuts)


def _runs(clip: Clip, wanted: IntArray) -> list[IntArray]:
    """Wanted indices, split where seeking ahead is shorter than decoding on."""
    if not len(clip.keyframes):
        return [wanted]
    start = _starts(clip, wanted)
    return np.split(wanted, np.flatnonzero(start[1:] - wanted[:-1] > _WORTH_A_SEEK) + 1)


def _starts(clip: Clip, wanted: IntArray) -> IntArray:
    """Where decoding has to start at the latest for each wanted frame; 0 = the first one."""
    if not len(clip.keyframes):
        return np.zeros(len(wanted), np.int64)
    key = np.searchsorted(clip.keyframes, wanted, side="right") - 1
    return np.where(key >= 0, clip.keyframes[np.maximum(key, 0)], 0)


def _run(
    source: Source, clip: Clip, run: IntArray, seek: bool
) -> Iterator[tuple[int, Image | None]]:
    """Decode one run; where a frame is missing, once more from further back."""
    done, tried = 0, -1  # frames of the run dealt with; keyframes gone back for the next one
    while done < len(run):
        key, back = _start(clip, int(run[done]), tried) if seek else (None, 0)
        frames = source.restart() if key is None else source.start_at(int(clip.pts[key]))
        if frames is None:
            tried = back
            continue
        for index, frame in indexed(clip, frames):
            while done < len(run) and run[done] < index and _settled(clip, run[done], key):
                done += 1
            if done == len(run) or run[done] < index:
                break
            if run[done] == index:
                yield index, source.image(frame)
                done, tried = done + 1, -1
                if done == len(run):
                    return
        else:
            while done < len(run) and _settled(clip, run[done], key):
                done += 1
        if done < len(run):
            tried = _keyframes_between(clip, run[done], key)


def _start(clip: Clip, index: int, tried: int) -> tuple[int | None, int]:
    """The frame to start from (None = beginning of the file) and how many keyframes back it is."""
    at = int(np.searchsorted(clip.keyframes, index, side="right")) - 1
    for back in _BACK:
        if back > tried and at - back >= 0 and clip.keyframes[at - back] > 0:
            return int(clip.keyframes[at - back]), back
    return None, at + 1


def _keyframes_between(clip: Clip, index: int, key: int | None) -> int:
    """How many keyframes before the nearest one decoding of a frame had begun."""
    before = np.searchsorted(clip.keyframes, index, side="right")
    return int(before - np.searchsorted(clip.keyframes, key or 0, side="right"))


def _settled(clip: Clip, index: int, key: int | None) -> bool:
    """Whether a frame missing after a start at ``key`` is undecodable for good."""
    return key is None or _keyframes_between(clip, index, key) >= _BACK[-1]


def indexed(clip: Clip, frames: Iterator[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
    """Decoded frames with their index; those whose time is not in the clip's table are dropped."""
    for frame in frames:
        if frame.pts is None:
            continue
        index = int(clip.pts.searchsorted(frame.pts))
        if index < clip.frames and clip.pts[index] == frame.pts:
            yield index, frame
