"""The pictures inside a report: small ones of every card, sharp ones and neighbours of the first.

A report has a size that can be mailed, however much was selected. Small pictures come first, then
as many ranks as fit get a sharp picture and a strip of their neighbours. Everything is encoded
while the clips are decoded for ``frames/``: one pass a clip.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidal.evidence.pictures import Form
from vidal.report.near import REACH
from vidal.selection.result import SelectionResult
from vidal.types import FrameRef, Image
from vidal.video.images import encode_webp, thumbnail

MOST_BYTES = 4_800_000
"""Of a report of few frames, so that it can be mailed."""
MOST_BYTES_OF_MANY, MANY = 2_800_000, 500
"""Of a report of more selected frames than these: it is looked through, not at each of them."""
MOST_SHARP = 48
"""Ranks that may have a sharp picture and a strip, where the bytes suffice."""

_SHARP = (1280, 64)
_STRIP = (256, 46)
_SMALL = (
    (440, 60),
    (360, 56),
    (300, 52),
    (260, 48),
    (220, 44),
    (190, 40),
    (160, 36),
    (130, 30),
    (104, 24),
)
"""Longest side and quality of a small picture: the first of these that is small enough."""
_SMALL_BYTES = (1_000, 15_000)
_LEAST_DENSITY = 0.025
"""Bytes a pixel that hardly any picture is below: where looking for one small enough begins."""
_BASE64 = 4 / 3
_SHARE = 0.85
"""Of the bytes that are left for pictures, what small ones may take where there are many."""


def allowed(frames: int) -> int:
    """Bytes that a report of so many selected frames may have."""
    return MOST_BYTES if frames <= MANY else MOST_BYTES_OF_MANY


@dataclass(frozen=True, slots=True)
class Near:
    """The picture of a frame beside a selected one; empty where it did not decode."""

    index: int
    picture: str


@dataclass(frozen=True, slots=True)
class Webp:
    """A picture with no side over ``longest`` pixels, as a WebP file of that quality."""

    longest: int
    quality: int

    def __call__(self, image: Image) -> bytes:
        return encode_webp(np.ascontiguousarray(thumbnail(image, self.longest)), self.quality)


@dataclass(frozen=True, slots=True)
class Fitting:
    """The largest of the small pictures that has at most ``limit`` bytes; else the smallest."""

    limit: float

    def __call__(self, image: Image) -> bytes:
        height, width = image.shape[:2]
        data = b""
        for longest, quality in _SMALL:
            scale = min(1.0, longest / max(height, width))
            if (longest, quality) != _SMALL[-1] and (
                _LEAST_DENSITY * scale**2 * height * width > self.limit
            ):
                continue
            data = Webp(longest, quality)(image)
            if len(data) <= self.limit:
                break
        return data


@dataclass(slots=True)
class Pictures:
    """The pictures of one report; called with a frame, tells what is to be made of it.

    Attributes:
        folder: where they lie until the report is written.
        small: selected frame -> whether its small picture is wanted.
        cards: how many selected frames are shown with a picture.
        other: bytes of the page without pictures.
        sharp: how many of them may get a sharp picture and neighbours.
    """

    folder: Path
    result: SelectionResult
    cards: int
    other: int
    sharp: int = MOST_SHARP
    _ranks: dict[FrameRef, int] = field(default_factory=dict)
    _beside: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    _clips: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._clips = {name: number for number, name in enumerate(self.result.clips)}
        for rank, ref in enumerate(self.result.query.frames[: self.cards], start=1):
            self._ranks[ref] = rank
            if rank <= self.sharp and self.result.clips[ref.clip].pixels:
                self._beside[ref.clip].update(self.around(ref))

    @property
    def beside(self) -> Mapping[str, set[int]]:
        """Clip id -> the neighbours that are wanted, too."""
        return self._beside

    def around(self, ref: FrameRef) -> list[int]:
        """The neighbours of a frame, in order, itself left out."""
        last = self.result.clips[ref.clip].frames - 1
        first, end = max(0, ref.index - REACH), min(last, ref.index + REACH)
        return [index for index in range(first, end + 1) if index != ref.index]

    def __call__(self, ref: FrameRef) -> list[tuple[Path, Form]]:
        """What is made of a frame, and where it is put."""
        files: list[tuple[Path, Form]] = []
        rank = self._ranks.get(ref)
        if rank is not None:
            files.append((self._small(ref), Fitting(self._limit)))
            if rank <= self.sharp:
                files.append((self._sharp(ref), Webp(*_SHARP)))
        if ref.index in self._beside.get(ref.clip, ()):
            files.append((self._strip(ref), Webp(*_STRIP)))
        return files

    def small(self, ref: FrameRef) -> str:
        """The small picture of a selected frame in base64; empty where there is none."""
        return _base64(self._small(ref))

    def sharp_one(self, ref: FrameRef) -> str:
        """The sharp one."""
        return _base64(self._sharp(ref))

    def strip(self, ref: FrameRef) -> list[Near]:
        """The neighbours of a selected frame."""
        return [
            Near(index, _base64(self._strip(FrameRef(ref.clip, index))))
            for index in self.around(ref)
        ]

    def fitting(self) -> tuple[int, int]:
        """How many ranks, from the first, have a small picture, and a sharp one with neighbours."""
        left = float(allowed(len(self.result.query)) - self.other)
        small, sharp = 0, 0
        for ref in self._ranks:
            left -= _size(self._small(ref)) * _BASE64
            if left < 0:
                return small, 0
            small += 1
        for ref in list(self._ranks)[: self.sharp]:
            paths = [self._strip(FrameRef(ref.clip, index)) for index in self.around(ref)]
            left -= sum(map(_size, [self._sharp(ref), *paths])) * _BASE64
            if left < 0:
                break
            sharp += 1
        return small, sharp

    @property
    def _limit(self) -> float:
        """Bytes that a small picture may have, to leave room for those of all others."""
        least, most = _SMALL_BYTES
        room = allowed(len(self.result.query)) - self.other
        return min(most, max(least, _SHARE * room / max(self.cards, 1) / _BASE64))

    def _small(self, ref: FrameRef) -> Path:
        return self.folder / f"small-{self._clips[ref.clip]}-{ref.index}"

    def _sharp(self, ref: FrameRef) -> Path:
        return self.folder / f"sharp-{self._clips[ref.clip]}-{ref.index}"

    def _strip(self, ref: FrameRef) -> Path:
        return self.folder / f"strip-{self._clips[ref.clip]}-{ref.index}"


def _base64(path: Path) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode("ascii")
    except FileNotFoundError:
        return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
