"""The pictures of the selected frames."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vidal.errors import UnreadableClip
from vidal.report.evidence import Progress
from vidal.types import Clip, Frame, FrameRef
from vidal.video import read_frames, save_jpeg
from vidal.video.prints import Prints, same

FOLDER = "frames"
"""Name of the folder of pictures in the output folder."""

_AT_ONCE = 4
"""Clips that are read at once, and so frames in memory."""
_QUALITY = 92

_UNSAFE = re.compile(
    r"""[\x00-\x1f\x7f/\\:*?"'<>|%#\s\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"""
)
_LONGEST = 160
"""Bytes of a file name before the frame's number: file systems take 255, annotation tools less."""


def frame_names(frames: Sequence[FrameRef]) -> dict[FrameRef, str]:
    """A file name for each frame: ``<clip id>_<index>.jpg``, six digits at least.

    Characters that some file system refuses become ``_``, and a long id is cut and gets a digest of
    the whole; ids that are the same after that (or differ in case only) get a number.
    """
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for clip in dict.fromkeys(ref.clip for ref in frames):
        base = stem = _cut(clip, _UNSAFE.sub("_", clip).lstrip(".-") or "clip")
        number = 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{base}-{number}"
        taken.add(stem.casefold())
        stems[clip] = stem
    return {ref: f"{stems[ref.clip]}_{ref.index:06d}.jpg" for ref in frames}


def _cut(clip: str, stem: str) -> str:
    """``stem``, or its beginning and a digest of the id where it is long."""
    data = stem.encode()
    if len(data) <= _LONGEST:
        return stem
    digest = hashlib.blake2b(clip.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{data[: _LONGEST - 9].decode(errors='ignore')}-{digest}"


def picture_path(clip: Clip, name: str) -> str:
    """Of a frame's picture, from the output folder; empty for a clip without pixels."""
    return f"{FOLDER}/{name}" if clip.pixels else ""


def write_frames(
    frames: Sequence[FrameRef],
    clips: Mapping[str, Clip],
    folder: Path,
    *,
    beside: Mapping[str, Collection[int]] | None = None,
    seen: Callable[[Frame], None] | None = None,
    prints: Callable[[str], Prints | None] | None = None,
    progress: Progress | None = None,
) -> dict[FrameRef, str]:
    """Write each frame as a JPEG file, decoding every clip once; clips without pixels have none.

    Args:
        frames: which frames, in any order.
        clips: by id.
        folder: where to; exists.
        beside: clip id -> further frames that are decoded on the way, but not written; those
            that do not decode are left out.
        seen: called with every decoded frame, in several threads.
        prints: clip id -> fingerprints of its frames as they were scored; None = not known. A
            picture that differs is decoded again from the beginning of its clip.

    Returns:
        The file name of each frame.

    Raises:
        UnreadableClip: a frame cannot be decoded any more, or not to the picture that was scored;
            names it.
        OutputError: a picture cannot be written.
    """
    names = frame_names(frames)
    wanted: dict[str, set[int]] = defaultdict(set)
    for ref in frames:
        if clips[ref.clip].pixels:
            wanted[ref.clip].add(ref.index)
    count = sum(len(indices) for indices in wanted.values())

    def write(name: str) -> int:
        """The pictures of one clip; how many."""
        missing = wanted[name].copy()
        more = set((beside or {}).get(name, ())) - missing
        known = None if prints is None else prints(name)
        for frame in _verified(clips[name], frozenset(missing), more, known):
            if frame.ref.index in missing:
                save_jpeg(folder / names[frame.ref], frame.image, _QUALITY)
                missing.remove(frame.ref.index)
            if seen is not None:
                seen(frame)
        if missing:
            raise _lost(clips[name], min(missing))
        return len(wanted[name])

    # Decoding and encoding leave the interpreter to others: clips are written side by side.
    done = 0
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            for written in threads.map(write, wanted):
                done += written
                if progress is not None:
                    progress("frames", done, count)
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)
            raise
    return names


def _verified(
    clip: Clip, wanted: Collection[int], more: Collection[int], prints: Prints | None
) -> Iterator[Frame]:
    """Frames that look as they did when they were scored; sought first, else read in sequence.

    Of ``more`` those that look otherwise are left out.
    """
    left = {*wanted, *more}
    for seek in (True, False):
        for frame in read_frames(clip, sorted(left), seek=seek) if left else ():
            if same(frame, prints):
                left.remove(frame.ref.index)
                yield frame
            elif not seek and frame.ref.index in wanted:
                raise UnreadableClip(
                    clip.path,
                    f"selected frame {frame.ref.index} is not the picture that was scored",
                    hint="Has the file changed? Run the selection again; if that does not help,"
                    " with another --cache.",
                )
        if prints is None or not left & set(wanted):
            return


def _lost(clip: Clip, index: int) -> UnreadableClip:
    return UnreadableClip(
        clip.path,
        f"selected frame {index} cannot be decoded",
        hint="Has the file changed since it was scanned? Run the selection again.",
    )
