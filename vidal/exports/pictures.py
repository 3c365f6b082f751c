"""Pictures that no query has written yet: neighbours of picks, and frames that were labelled.

They are decoded into a hidden folder beside the archive and kept there until it is complete: an
export that was interrupted goes on where it was. Their names there are made of the clip's id, which
is made of its content, so that nothing of another clip is ever taken.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidal.errors import UnreadableClip, UsageError
from vidal.store import atomic
from vidal.types import Clip, Frame, FrameRef
from vidal.video import read_frames, save_jpeg
from vidal.video.prints import Prints, frame_print, same
from vidal.words import ratio

QUALITY = 92
"""Of JPEG, as in the folders of queries."""

KnownPrints = Callable[[Clip], Prints | None]
"""The fingerprints of a clip's frames, where they are known."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far neighbours go, on either side: ``frames`` or ``seconds``, the other is 0."""

    frames: int = 0
    seconds: float = 0.0

    @staticmethod
    def parse(text: str) -> Reach:
        """``2s``, ``0.5s``, ``12`` (frames).

        Raises:
            UsageError: it is neither.
        """
        hint = "Give seconds (2s) or a number of frames (12)."
        found = re.fullmatch(r"\s*(\d{1,6}|\d{0,6}\.\d{1,6})\s*(s|sec|seconds)?\s*", text)
        if found is None or (found[2] is None and "." in found[1]):
            raise UsageError(f"context {text!r} is not a length.", hint=hint)
        value = float(ratio(found[1]))
        if value <= 0:
            raise UsageError(f"context {text!r}: nothing.", hint=hint)
        return Reach(seconds=value) if found[2] else Reach(frames=int(value))

    def around(self, clip: Clip, index: int, without: Collection[int]) -> list[int]:
        """The neighbours of a frame, in order; itself and those ``without`` are none."""
        if self.frames:
            low, high = index - self.frames, index + self.frames
        else:
            seconds = (clip.pts - clip.pts[index]).astype(np.float64) * float(clip.time_base)
            near = np.flatnonzero(np.abs(seconds) <= self.seconds + 1e-9)
            low, high = int(near[0]), int(near[-1])
        wanted = range(max(low, 0), min(high, clip.frames - 1) + 1)
        return [at for at in wanted if at != index and at not in without]


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pictures of frames in a folder that outlives an interrupted export.

    Attributes:
        folder: hidden, beside the archive.
        known: what is known of how frames looked when they were scored.
    """

    folder: Path
    known: KnownPrints

    def pictures(
        self,
        clip: Clip,
        indices: Collection[int],
        done: Callable[[int], None] | None = None,
        *,
        lenient: bool = False,
    ) -> dict[int, Path]:
        """A picture for each of these frames; those that are there are not decoded again.

        Args:
            clip: the clip.
            indices: which frames.
            done: called with the number of pictures that came to be there.
            lenient: leave out frames that do not decode, or not to the picture that was scored.

        Raises:
            UnreadableClip: a frame does not (unless ``lenient``), or the clip cannot be opened.
            OutputError: it cannot be written.
        """
        place = self.folder / hashlib.blake2b(clip.id.encode(), digest_size=8).hexdigest()
        with atomic.reporting(place):
            place.mkdir(parents=True, exist_ok=True)
        paths = {index: place / f"{index:06d}.jpg" for index in sorted(indices)}
        missing = {index for index, path in paths.items() if not path.is_file()}
        if done is not None:
            done(len(paths) - len(missing))
        for frame in verified(clip, missing, self.known(clip), lenient=lenient):
            save_jpeg(paths[frame.ref.index], frame.image, QUALITY)
            missing.discard(frame.ref.index)
            if done is not None:
                done(1)
        if missing and not lenient:
            raise UnreadableClip(clip.path, f"frame {min(missing)} cannot be decoded")
        return {index: path for index, path in paths.items() if index not in missing}


def verified(
    clip: Clip, wanted: Collection[int], prints: Prints | None, *, lenient: bool = False
) -> Iterator[Frame]:
    """Frames that look as they did when they were scored; sought first, else read in sequence.

    Raises:
        UnreadableClip: a frame does not; where ``lenient`` it is left out.
    """
    left = set(wanted)
    for seek in (True, False):
        for frame in read_frames(clip, sorted(left), seek=seek) if left else ():
            if same(frame, prints):
                left.discard(frame.ref.index)
                yield frame
            elif not seek and not lenient:
                why = f"frame {frame.ref.index} is not the picture that was scored"
                raise UnreadableClip(clip.path, why, hint="Has the file changed?")
        if prints is None:
            return


def prints_of(
    clips: Sequence[Clip], refs: Collection[FrameRef], known: KnownPrints
) -> dict[FrameRef, str]:
    """Fingerprints of frames, 16 hex digits; frames that cannot be read have none.

    Those that were scored are known; others are decoded, one by one.
    """
    found: dict[FrameRef, str] = {}
    wanted: dict[str, list[int]] = {}
    for ref in refs:
        wanted.setdefault(ref.clip, []).append(ref.index)
    for clip in clips:
        indices = [at for at in wanted.get(clip.id, ()) if at < clip.frames]
        if not clip.pixels or not indices:
            continue
        prints = known(clip)
        values = {at: int(prints[at]) for at in indices if prints is not None and prints[at]}
        left = [at for at in indices if at not in values]
        try:
            for frame in read_frames(clip, left) if left else ():
                values[frame.ref.index] = frame_print(frame.image)
        except UnreadableClip:  # the map states none, and the export says how many are missing
            pass
        found |= {FrameRef(clip.id, at): f"{value:016x}" for at, value in values.items()}
    return found
