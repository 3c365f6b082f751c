"""Pictures of chosen frames: decoded and encoded by the engine, in one pass over each clip.

Frames of a clip are read in order: from the key frame before the first of a stretch, on through
near ones, sought anew only where that is shorter (``vidal.video``). Whatever is made of a frame is
made while it is at hand, so that nothing is decoded twice. Long clips are shared by workers, cut
where decoding begins anew anyhow: the files are the same for every number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vidal.errors import OutputError, UnreadableClip
from vidal.evidence.places import FEW, EngineMaker, cores
from vidal.types import Clip, Frame, Image
from vidal.video import encode_jpeg, read_frames, save_bytes
from vidal.video.decode import pieces
from vidal.video.prints import Prints, frame_print

Form = Callable[[Image], bytes]
"""From a picture to the content of a file; it travels to another process."""

PIECE = 400
"""Frames that are decoded for one work item, about."""
_AT_ONCE = 4
"""Work items at once in this process: decoding and encoding leave the interpreter to others."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """The whole picture as a JPEG file of that quality."""

    quality: int = 92

    def __call__(self, image: Image) -> bytes:
        return encode_jpeg(image, self.quality)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Chosen frames of a clip, and what is made of them.

    Attributes:
        clip: with pixels.
        files: index -> the files that are made of the frame; none = it is only looked at.
        optional: frames that may be lost, or look otherwise than they did: nothing is made of them.
        prints: index -> fingerprint of the frame as it was scored; missing = not known.
        whole: write each file under another name first, for a folder that outlives a kill.
    """

    clip: Clip
    files: Mapping[int, Sequence[tuple[Path, Form]]]
    optional: frozenset[int] = frozenset()
    prints: Mapping[int, int] = field(default_factory=dict)
    whole: bool = False

    def known(self, prints: Prints | None) -> Wanted:
        """With the fingerprints of the clip's frames, (F,) uint64, 0 or None = not known."""
        if prints is None:
            return self
        values = ((index, int(prints[index])) for index in self.files)
        return replace(self, prints={index: value for index, value in values if value})

    def parts(self) -> list[Wanted]:
        """The same as work items."""
        wanted = np.array(sorted(self.files), np.int64)
        return [
            replace(
                self,
                files={index: self.files[index] for index in part},
                optional=self.optional.intersection(part),
            )
            for part in (piece.tolist() for piece in pieces(self.clip, wanted, PIECE))
        ]

    def __repr__(self) -> str:
        return f"{len(self.files)} frames of {self.clip.path}"


@dataclass(frozen=True, slots=True)
class File:
    """A file that was written."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a work item.

    Attributes:
        clip: id.
        files: by frame, in the order of ``Wanted``.
        prints: index -> fingerprint of every frame that is as it was scored.
        lost: frames that do not decode; optional ones are not told.
        changed: frames that decode to another picture than was scored; the same.
        error: why the clip cannot be opened any more; then all that was not made is lost.
    """

    clip: str
    files: tuple[File, ...]
    prints: Mapping[int, int]
    lost: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    error: UnreadableClip | None = None


def make_pictures(
    wanted: Iterable[Wanted],
    *,
    engines: EngineMaker | None = None,
    prints: Callable[[Clip], Prints | None] | None = None,
) -> Iterator[Made]:
    """Make files of chosen frames.

    Args:
        wanted: clip by clip, no clip twice.
        engines: where the work is done; None, or little of it = in this process.
        prints: the fingerprints of a clip's frames as they were scored; None = not known.

    Returns:
        What was made, part by part, in the order of the clips and their frames.

    Raises:
        OutputError: a file cannot be written.
    """
    parts = [part for each in wanted for part in each.parts()]
    items = parts if prints is None else _with_prints(parts, prints)
    if engines is None or len(parts) <= FEW:
        return _in_threads(items)
    return engines(len(parts), heavy=False).map(make, items)


def make(wanted: Wanted) -> Made:
    """Make the files of one work item. Runs wherever the engine wants; may be repeated."""
    files: dict[int, list[File]] = {}
    seen: dict[int, int] = {}
    looks = _Looks(wanted)
    error = None
    try:
        for frame, value in looks.frames():
            index = frame.ref.index
            seen[index] = value
            files[index] = [
                _written(path, form(frame.image), whole=wanted.whole)
                for path, form in wanted.files[index]
            ]
    except UnreadableClip as why:
        error = why
    lost = set(wanted.files) - set(seen) - looks.changed
    made = tuple(file for index in sorted(files) for file in files[index])
    missing = [tuple(sorted(each - wanted.optional)) for each in (lost, looks.changed)]
    return Made(wanted.clip.id, made, seen, missing[0], missing[1], error)


@dataclass(slots=True)
class _Looks:
    """Reads frames that look as they did when they were scored.

    They are sought first; what looks otherwise then is read once more, in sequence from the first
    frame on, as it was scored: a stream may mark frames as key frames that are none.

    Attributes:
        wanted: which.
        changed: frames that looked otherwise when they were read last.
    """

    wanted: Wanted
    changed: set[int] = field(default_factory=set)

    def frames(self) -> Iterator[tuple[Frame, int]]:
        """The frames with their fingerprints."""
        left = sorted(self.wanted.files)
        for seek in (True, False):
            for frame in read_frames(self.wanted.clip, left, seek=seek):
                index, value = frame.ref.index, frame_print(frame.image)
                if self.wanted.prints.get(index, value) == value:
                    self.changed.discard(index)
                    yield frame, value
                else:
                    self.changed.add(index)
            left = sorted(self.changed)
            if not left:
                return


def _with_prints(
    parts: Sequence[Wanted], prints: Callable[[Clip], Prints | None]
) -> Iterator[Wanted]:
    """Fingerprints are looked up as the work goes on, once a clip."""
    last, known = "", None
    for part in parts:
        if part.clip.id != last:
            last, known = part.clip.id, prints(part.clip)
        yield part.known(known)


def _in_threads(items: Iterable[Wanted]) -> Iterator[Made]:
    with ThreadPoolExecutor(min(_AT_ONCE, cores()), thread_name_prefix="pictures") as threads:
        try:
            yield from threads.map(make, items)
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)
            raise


def _written(path: Path, data: bytes, *, whole: bool) -> File:
    if whole:
        save_bytes(path, data)
    else:
        try:
            path.write_bytes(data)
        except OSError as error:
            raise OutputError(path, (error.strerror or str(error)).lower()) from error
    return File(path, len(data), hashlib.sha256(data).hexdigest())
