"""Whether the pictures that come with answers are those of the frames that they are named for.

A tool that renumbers frames, or a user who renames files, moves every box in silence. Pictures that
lie beside labels, in a folder or a zip, are therefore compared with those that the query was
exported with: the same bytes, or else nearly the same pixels, for tools write pictures anew. They
are nearer to their own frame than to any other of the campaign's, or they are refused.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidal.errors import InputError, LabelsMismatch, VidalError
from vidal.evidence.label_files import Names
from vidal.formats._sizes import image_size, shape
from vidal.formats._tree import Tree, is_folder, is_zip, tree_of
from vidal.formats._uploads import finder
from vidal.types import Clip, Frame, FrameRef, Skipped
from vidal.video import read_frames

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
SIDE = 96
"""Pixels a side of what is compared."""
ALIKE = 5.0
"""Mean difference of grey levels, 0 to 255, up to which two pictures may be one. On seven real
clips what JPEG at quality 20 makes of a frame stays below 2.5; different streets are above 32."""
NEARER, CLEARLY = 0.5, 0.5
"""A picture is another frame's where it is nearer to it by this factor and by so many levels. Of
117 pairs of frames 12 apart, written anew at quality 60 and swapped, that sees 111, and of those
left in their places it doubts none. The same bytes need no such guess."""

Small = NDArray[np.float32]


_BLOCK = 8
"""Pixels a side of the blocks whose means are compared first: no two pictures are nearer to each
other than the means of their blocks."""
_SLACK = 1e-3
"""Levels by which rounding may make the means differ more than the pictures."""
_HELD = 256
"""Small pictures that are held, and clips whose decoded ones are."""
_CLIPS_HELD = 4


@dataclass(slots=True)
class Pictures:
    """The campaign's own pictures of the frames that it has asked for.

    Attributes:
        files: frame -> picture that was written for annotators; it may be gone.
        clips: by id; frames without a picture are decoded, those of a clip in one pass.
    """

    files: Mapping[FrameRef, Path]
    clips: Mapping[str, Clip]
    _small: dict[FrameRef, Small | None] = field(default_factory=dict)
    _decoded: dict[str, dict[int, Small]] = field(default_factory=dict)
    _gone: dict[str, list[int]] | None = None
    _means: Small | None = None
    _digests: dict[str, list[FrameRef]] | None = None

    def owners(self, data: bytes) -> list[FrameRef]:
        """The frames whose picture these very bytes are."""
        if self._digests is None:
            self._digests = {}
            for ref, path in self.files.items():
                digest = _digest_of(path)
                if digest is not None:
                    self._digests.setdefault(digest, []).append(ref)
        return self._digests.get(hashlib.sha256(data).hexdigest(), [])

    def small(self, ref: FrameRef) -> Small | None:
        """(SIDE, SIDE) grey levels of a frame; None where there is neither picture nor clip."""
        if ref not in self._small:
            path = self.files.get(ref)
            image = None if path is None or not path.is_file() else cv2.imread(str(path))
            self._small[ref] = self._of_clip(ref) if image is None else _shrunk(image)
            if len(self._small) > _HELD:
                self._small.pop(next(iter(self._small)))
        return self._small[ref]

    def _of_clip(self, ref: FrameRef) -> Small | None:
        clip = self.clips.get(ref.clip)
        if clip is None or not clip.pixels or ref.index >= clip.frames:
            return None
        held = self._decoded.get(ref.clip)
        if held is None or ref.index not in held:
            held = {frame.ref.index: _shrunk(frame.image[..., ::-1]) for frame in self._read(clip)}
            if ref.index not in held:  # no query has asked for it, or it does not decode
                found = read_frames(clip, [ref.index])
                held |= {frame.ref.index: _shrunk(frame.image[..., ::-1]) for frame in found}
            self._decoded[ref.clip] = held
            if len(self._decoded) > _CLIPS_HELD:
                self._decoded.pop(next(iter(self._decoded)))
        return held.get(ref.index)

    def _read(self, clip: Clip) -> Iterator[Frame]:
        """The frames of a clip whose picture is gone."""
        if self._gone is None:
            self._gone = {}
            for ref, path in self.files.items():
                if not path.is_file():
                    self._gone.setdefault(ref.clip, []).append(ref.index)
        gone = self._gone.get(clip.id, ())
        return read_frames(clip, [at for at in gone if at < clip.frames])

    def nearest(self, look: Small, than: FrameRef, within: float) -> tuple[FrameRef, float] | None:
        """The other frame with a picture that looks most like this one, nearer than ``within``."""
        refs = list(self.files)
        if self._means is None:
            blank = np.full((SIDE // _BLOCK, SIDE // _BLOCK), np.nan, np.float32)
            smalls = (self.small(ref) for ref in refs)
            self._means = np.array([blank if s is None else _blocks(s) for s in smalls], np.float32)
        if not refs:
            return None
        least = np.abs(self._means - _blocks(look)).mean(axis=(1, 2)) - _SLACK
        best: tuple[FrameRef, float] | None = None
        for at in np.argsort(least, kind="stable").tolist():
            if not least[at] < within:  # nor are those after it; NaN: there is no picture
                break
            other = None if refs[at] == than else self.small(refs[at])
            if other is not None:
                apart = float(np.abs(other - look).mean())
                if apart < within:
                    best, within = (refs[at], apart), apart
        return best


def _blocks(small: Small) -> Small:
    """(SIDE / _BLOCK, SIDE / _BLOCK) means of blocks."""
    side = SIDE // _BLOCK
    means: Small = small.reshape(side, _BLOCK, side, _BLOCK).mean(axis=(1, 3))
    return means


def check_pictures(
    path: Path, names: Names, frames: Collection[FrameRef], own: Pictures, skipped: Skipped
) -> int:
    """Compare the pictures beside answers with the frames that they are named for.

    Args:
        path: what is imported; only a folder or a zip holds pictures.
        names: from the name of a picture to its frame.
        frames: those that are answered; pictures of others are passed over.
        own: the campaign's pictures.
        skipped: receives pictures that cannot be read: they are not compared.

    Returns:
        How many were compared.

    Raises:
        LabelsMismatch: a picture of another size than its clip's, or of another frame.
    """
    folder = path.parent if path.suffix.lower() in (".yaml", ".yml") else path
    if not frames or not (is_folder(folder) or is_zip(folder)):
        return 0
    find: Callable[[str], FrameRef | None] = finder(names, {ref.clip for ref in frames})
    count = 0
    with tree_of(folder) as tree:
        for file in tree.files(folder):
            if file.suffix.lower() not in SUFFIXES:
                continue
            ref = find(file.relative_to(folder).as_posix())
            if ref is not None and ref in frames:
                count += _check(path, tree, file, ref, own, skipped)
    return count


def _check(
    path: Path, tree: Tree, file: Path, ref: FrameRef, own: Pictures, skipped: Skipped
) -> bool:
    data = tree.read(file)
    owners = own.owners(data)
    if ref in owners:
        return True
    name = file.name
    if owners:
        raise _other(path, name, ref, owners[0])
    try:
        size = image_size(file, io.BytesIO(data))
    except InputError:
        skipped.add(path, name, "no picture that can be read: not compared with its frame")
        return False
    clip = own.clips.get(ref.clip)
    if clip is not None and clip.pixels and size != tuple(clip.size):
        raise LabelsMismatch(
            path,
            f"its picture {name} has {shape(size)} pixels, but frame {ref} has {shape(clip.size)}",
            hint="Annotate pictures of the clip's own size.",
        )
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    mine = own.small(ref)
    if image is None or mine is None:
        skipped.add(path, name, "no picture that can be read: not compared with its frame")
        return False
    look = _shrunk(image)
    apart = float(np.abs(mine - look).mean())
    if apart > CLEARLY:
        near = own.nearest(look, ref, min(NEARER * apart, apart - CLEARLY))
        if near is not None:
            raise _other(path, name, ref, near[0])
    if apart > ALIKE:
        raise LabelsMismatch(
            path,
            f"its picture {name} does not show frame {ref}",
            hint="Frames were renumbered or renamed on the way; nothing of it was taken.",
        )
    return True


def _other(path: Path, name: str, ref: FrameRef, other: FrameRef) -> VidalError:
    return LabelsMismatch(
        path,
        f"its picture {name} is named for frame {ref}, but it shows {other}",
        hint="Frames were renumbered or renamed on the way; nothing of it was taken.",
    )


def _shrunk(image: NDArray[Any]) -> Small:
    """(SIDE, SIDE) grey levels of a BGR picture."""
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2GRAY).astype(np.float32)
    small: Small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return small


def _digest_of(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
