"""Pictures that no query has written yet: neighbours of picks, and frames that were labelled.

They are decoded into a hidden folder beside the archive and kept there until it is complete: an
export that was interrupted goes on where it was. Their names there are made of the clip's id, which
is made of its content, so that nothing of another clip is ever taken.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidal.errors import UnreadableClip, UsageError
from vidal.evidence.pictures import Form, Jpeg, Made, Wanted, make_pictures
from vidal.evidence.places import EngineMaker
from vidal.exports import archive
from vidal.store import atomic
from vidal.types import Clip, FrameRef
from vidal.video.prints import Prints
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
class Picture:
    """A picture of a frame that lies in a folder of its own.

    Attributes:
        path: the file.
        sha256: of its content.
        print: fingerprint of the frame, 16 hex digits; empty where it was not decoded just now.
    """

    path: Path
    sha256: str
    print: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pictures of frames in a folder that outlives an interrupted export.

    Attributes:
        folder: hidden, beside the archive.
        known: what is known of how frames looked when they were scored.
        engines: where they are made; None = here.
    """

    folder: Path
    known: KnownPrints
    engines: EngineMaker | None = None

    def pictures(
        self,
        wanted: Sequence[tuple[Clip, Collection[int]]],
        done: Callable[[int], None] | None = None,
        *,
        lenient: bool = False,
    ) -> dict[FrameRef, Picture]:
        """A picture for each of these frames; those that are there are not decoded again.

        Args:
            wanted: frames, clip by clip, no clip twice.
            done: called with the number of pictures that came to be there.
            lenient: leave out frames that do not decode, or not to the picture that was scored.

        Raises:
            UnreadableClip: a frame does not (unless ``lenient``), or the clip cannot be opened.
            OutputError: it cannot be written.
        """
        found: dict[FrameRef, Picture] = {}
        missing: list[Wanted] = []
        refs: dict[Path, FrameRef] = {}
        for clip, indices in wanted:
            place = self._place(clip)
            left: dict[int, list[tuple[Path, Form]]] = {}
            for index in sorted(indices):
                path, ref = place / f"{index:06d}.jpg", FrameRef(clip.id, index)
                if path.is_file():
                    found[ref] = Picture(path, archive.sha256(path))
                else:
                    refs[path], left[index] = ref, [(path, Jpeg(QUALITY))]
            if left:
                optional = frozenset(left) if lenient else frozenset()
                missing.append(Wanted(clip, left, optional, whole=True))
        if done is not None:
            done(len(found))
        clips = {clip.id: clip for clip, _ in wanted}
        for made in make_pictures(missing, engines=self.engines, prints=self.known):
            _check(made, clips[made.clip])
            for file in made.files:
                ref = refs[file.path]
                value = f"{made.prints[ref.index]:016x}"
                found[ref] = Picture(file.path, file.sha256, value)
            if done is not None:
                done(len(made.files))
        return {ref: found[ref] for ref in sorted(found)}

    def _place(self, clip: Clip) -> Path:
        """Of a clip's pictures; made where it is missing."""
        place = self.folder / hashlib.blake2b(clip.id.encode(), digest_size=8).hexdigest()
        with atomic.reporting(place):
            place.mkdir(parents=True, exist_ok=True)
        return place


def _check(made: Made, clip: Clip) -> None:
    if made.error is not None:
        raise made.error
    if made.changed:
        why = f"frame {made.changed[0]} is not the picture that was scored"
        raise UnreadableClip(clip.path, why, hint="Has the file changed?")
    if made.lost:
        raise UnreadableClip(clip.path, f"frame {made.lost[0]} cannot be decoded")


def prints_of(
    clips: Sequence[Clip],
    refs: Collection[FrameRef],
    known: KnownPrints,
    engines: EngineMaker | None = None,
) -> dict[FrameRef, str]:
    """Fingerprints of frames, 16 hex digits; frames that cannot be read have none.

    Those that were scored are known; others are decoded, in one pass a clip.
    """
    found: dict[FrameRef, str] = {}
    wanted: dict[str, list[int]] = {}
    for ref in refs:
        wanted.setdefault(ref.clip, []).append(ref.index)
    missing: list[Wanted] = []
    for clip in clips:
        indices = [at for at in wanted.get(clip.id, ()) if at < clip.frames]
        if not clip.pixels or not indices:
            continue
        prints = known(clip)
        values = {at: int(prints[at]) for at in indices if prints is not None and prints[at]}
        found |= {FrameRef(clip.id, at): f"{value:016x}" for at, value in values.items()}
        left = [at for at in indices if at not in values]
        if left:
            missing.append(Wanted(clip, dict.fromkeys(left, ())))
    for made in make_pictures(missing, engines=engines):
        # Of a clip that cannot be read the map states none, and the export says how many.
        found |= {FrameRef(made.clip, at): f"{value:016x}" for at, value in made.prints.items()}
    return found
