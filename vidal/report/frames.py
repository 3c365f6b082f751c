"""The pictures of the selected frames."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidal.errors import UnreadableClip
from vidal.evidence.pictures import Form, Jpeg, Made, Wanted, make_pictures
from vidal.evidence.places import EngineMaker
from vidal.report.evidence import Progress
from vidal.types import Clip, FrameRef
from vidal.video.prints import Prints

FOLDER = "frames"
"""Name of the folder of pictures in the output folder."""

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
    last: dict[str, int] = {}  # number that a name has got last: smaller ones are taken
    for clip in dict.fromkeys(ref.clip for ref in frames):
        base = stem = _cut(clip, _UNSAFE.sub("_", clip).lstrip(".-") or "clip")
        number = last.get(base.casefold(), 1)
        while stem.casefold() in taken:
            number += 1
            stem = f"{base}-{number}"
        last[base.casefold()] = number
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


@dataclass(frozen=True, slots=True)
class Written:
    """The pictures of selected frames.

    Attributes:
        names: file name of each frame, also of those of clips without pixels, which have none.
        sizes: bytes of each file, and ``digests``: its SHA-256 in hexadecimal digits, by name.
    """

    names: dict[FrameRef, str]
    sizes: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)


def write_frames(
    frames: Sequence[FrameRef],
    clips: Mapping[str, Clip],
    folder: Path,
    *,
    beside: Mapping[str, Collection[int]] | None = None,
    more: Callable[[FrameRef], Sequence[tuple[Path, Form]]] | None = None,
    prints: Callable[[str], Prints | None] | None = None,
    engines: EngineMaker | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write each frame as a JPEG file, in one pass a clip; clips without pixels have none.

    Args:
        frames: which frames, in any order.
        clips: by id.
        folder: where to; exists, and holds what is left of it only if all went well.
        beside: clip id -> further frames that are decoded on the way, for ``more`` alone; those
            that do not decode are left out.
        more: from a frame to other files that are made of it.
        prints: clip id -> fingerprints of its frames as they were scored; None = not known. A
            picture that differs is decoded again from the beginning of its clip.
        engines: where the work is done; None = here.
        progress: told how many of ``frames`` are done.

    Raises:
        UnreadableClip: a frame cannot be decoded any more, or not to the picture that was scored;
            names it.
        OutputError: a picture cannot be written.
    """
    written = Written(frame_names(frames))
    wanted = _wanted(written.names, clips, folder, beside or {}, more)
    count = sum(len(each.files) - len(each.optional) for each in wanted)
    known = None if prints is None else lambda clip: prints(clip.id)
    for made in make_pictures(wanted, engines=engines, prints=known):
        _check(made, clips[made.clip])
        for file in made.files:
            if file.path.parent == folder:
                written.sizes[file.path.name] = file.size
                written.digests[file.path.name] = file.sha256
        if progress is not None:
            progress("frames", len(written.sizes), count)
    return written


def _wanted(
    names: Mapping[FrameRef, str],
    clips: Mapping[str, Clip],
    folder: Path,
    beside: Mapping[str, Collection[int]],
    more: Callable[[FrameRef], Sequence[tuple[Path, Form]]] | None,
) -> list[Wanted]:
    """What is made of the frames, clip by clip as they lie in ``clips``."""
    form = Jpeg(_QUALITY)
    chosen: dict[str, dict[int, str]] = {}
    for ref, name in names.items():
        if clips[ref.clip].pixels:
            chosen.setdefault(ref.clip, {})[ref.index] = name
    wanted = []
    for name in clips:
        if name not in chosen:
            continue
        mine, files = chosen[name], dict[int, list[tuple[Path, Form]]]()
        for index in sorted({*mine, *beside.get(name, ())}):
            own = [(folder / mine[index], form)] if index in mine else []
            files[index] = [*own, *(() if more is None else more(FrameRef(name, index)))]
        wanted.append(Wanted(clips[name], files, frozenset(files) - frozenset(mine)))
    return wanted


def _check(made: Made, clip: Clip) -> None:
    """Raises UnreadableClip where a selected frame is not there."""
    if made.error is not None:
        raise made.error
    if made.changed:
        raise UnreadableClip(
            clip.path,
            f"selected frame {made.changed[0]} is not the picture that was scored",
            hint="Has the file changed? Run the selection again; if that does not help,"
            " with another --cache.",
        )
    if made.lost:
        raise UnreadableClip(
            clip.path,
            f"selected frame {made.lost[0]} cannot be decoded",
            hint="Has the file changed since it was scanned? Run the selection again.",
        )
