"""A bounded, seeded sample of the frames of clips: small pictures, kept as JPEG.

Clips stream by once, one frame at a time; what stays is a few ten kilobytes a frame, however long
the clips are.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.errors import UnreadableClip, WeightsError
from vidal.store import atomic
from vidal.types import Clip, Image, IntArray, SkippedClip
from vidal.video import encode_jpeg, read_frames, resize

QUALITY = 95
"""Of the JPEG files that pictures are kept as."""

Reading = Callable[[int, int], None]
"""Told after every frame that is kept: how many, of how many."""


@dataclass(frozen=True, slots=True, eq=False)
class Picks:
    """Which frames are taken.

    Attributes:
        clip: (n,) int64, number of the clip, sorted.
        index: (n,) int64, of the frame, sorted within a clip.
        beside: (n,) int64, of a neighbouring frame; -1 = none.
    """

    clip: IntArray
    index: IntArray
    beside: IntArray


def draw_frames(lengths: Sequence[int], most: int, neighbours: int, rng: Generator) -> Picks:
    """Frames spread over all clips: one at a random place of each of ``most`` equal stretches.

    Args:
        lengths: frames of each clip.
        most: how many are taken; all where there are no more.
        neighbours: each frame gets one at most so far away, on either side, of the same clip;
            0 = none.
        rng: what is drawn from.
    """
    total = int(sum(lengths))
    count = min(most, total)
    bounds = np.arange(count + 1, dtype=np.int64) * total // max(count, 1)
    places = rng.integers(bounds[:-1], bounds[1:])
    ends = np.cumsum(np.asarray(lengths, np.int64))
    clip = np.searchsorted(ends, places, side="right").astype(np.int64)
    length = np.asarray(lengths, np.int64)[clip]
    index = (places - (ends[clip] - length)).astype(np.int64)
    beside = np.full(count, -1, np.int64)
    if neighbours > 0 and count:
        step = rng.integers(1, neighbours + 1, size=count) * rng.choice((-1, 1), size=count)
        for way in (step, -step):
            inside = (index + way >= 0) & (index + way < length) & (beside < 0)
            beside[inside] = (index + way)[inside]
    return Picks(clip, index, beside)


@dataclass(frozen=True, slots=True, eq=False)
class FrameSample:
    """Pictures of frames, with the one beside each where there is one.

    Attributes:
        data: (bytes,) uint8, JPEG files one after the other.
        start, stop: (n, V) int64, where they lie in ``data``; V = 2 with neighbours, else 1.
        lost: frames that did not decode.
        alone: frames whose neighbour is not there, and which are their own.
        skipped: (path, cause) of clips that could not be read.
    """

    data: NDArray[np.uint8]
    start: IntArray
    stop: IntArray
    lost: int
    alone: int
    skipped: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, at: int) -> tuple[Image, ...]:
        return tuple(
            _decoded(self.data[first:last])
            for first, last in zip(self.start[at], self.stop[at], strict=True)
        )


def _decoded(data: NDArray[np.uint8]) -> Image:
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image is not None  # written by ``collect``; a damaged file does not load
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def collect(
    clips: Sequence[Clip], picks: Picks, side: int, reading: Reading | None = None
) -> FrameSample:
    """Read the frames, each clip once from front to back.

    Args:
        clips: by the numbers of ``picks``.
        picks: see ``draw_frames``.
        side: short side of the kept pictures in pixels; smaller frames stay as they are.
        reading: who is told.
    """
    kept: list[list[tuple[int, int]]] = []
    parts: list[bytes] = []
    skipped: list[SkippedClip] = []
    width = 2 if (picks.beside >= 0).any() else 1
    lost = alone = at = 0
    for number in np.unique(picks.clip).tolist():
        rows = np.flatnonzero(picks.clip == number)
        places: dict[int, tuple[int, int]] = {}
        try:
            for index, data in _pictures(clips[number], picks, rows, side):
                places[index] = (at, at + len(data))
                parts.append(data)
                at += len(data)
                if reading is not None:
                    reading(len(kept) + len(places), len(picks.clip) * width)
        except UnreadableClip as error:
            skipped.append(SkippedClip(clips[number].path, error.why))
        for row in rows.tolist():
            mine = places.get(int(picks.index[row]))
            if mine is None:
                lost += 1
                continue
            other = places.get(int(picks.beside[row]))
            alone += width == 2 and other is None
            kept.append([mine, other or mine][:width])
    table = np.array(kept, np.int64).reshape(-1, width, 2)
    return FrameSample(
        np.frombuffer(b"".join(parts), np.uint8),
        table[:, :, 0],
        table[:, :, 1],
        lost,
        alone,
        tuple((str(each.path), each.reason) for each in skipped),
    )


def _pictures(clip: Clip, picks: Picks, rows: IntArray, side: int) -> Iterator[tuple[int, bytes]]:
    """Index and JPEG of the wanted frames of one clip."""
    wanted = set(picks.index[rows].tolist()) | set(picks.beside[rows].tolist()) - {-1}
    for frame in read_frames(clip, sorted(wanted)):
        height, width = frame.image.shape[:2]
        small = frame.image
        if min(height, width) > side:
            small = resize(frame.image, max(1, round(height * side / min(height, width))))
        yield frame.ref.index, encode_jpeg(small, QUALITY)


def save_sample(sample: FrameSample, path: Path, key: str) -> None:
    """Keep a sample, whole or not at all; ``key`` is of what it belongs to.

    Raises:
        OutputError: the place cannot be written.
    """
    file = io.BytesIO()
    np.savez(
        file,
        key=np.array(key),
        data=sample.data,
        start=sample.start,
        stop=sample.stop,
        counts=np.array([sample.lost, sample.alone]),
        skipped=np.array(sample.skipped, dtype=np.str_).reshape(-1, 2),
    )
    atomic.write_bytes(path, file.getvalue())


def load_sample(path: Path, key: str) -> FrameSample:
    """What ``save_sample`` kept.

    Raises:
        WeightsError: not such a file, or of another key.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            own = str(kept["key"])
            sample = FrameSample(
                kept["data"],
                kept["start"],
                kept["stop"],
                int(kept["counts"][0]),
                int(kept["counts"][1]),
                tuple((str(where), str(why)) for where, why in kept["skipped"]),
            )
    except Exception as error:
        # zipfile and NumPy raise whatever they meet first
        raise WeightsError(
            path, f"not a sample of frames ({type(error).__name__})", hint="Remove it."
        ) from error
    if own != key:
        raise WeightsError(
            path, "belongs to another pre-training", hint="Remove it, or name another --out."
        )
    return sample
