"""What the store holds of the frames of many clips, read in one go and laid out in a row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import EvidenceLost
from vidal.evidence.gathered import Gathered
from vidal.evidence.load import BLOCK, LOOKS
from vidal.evidence.places import store_at
from vidal.protocols import Store
from vidal.selection.clip_frames import ClipFrames
from vidal.types import BoolArray, Deferred, FloatArray, IntArray

MANY = 500_000
"""Frames of a pool of which each is looked at; of more, one of every ``BLOCK``."""
LARGEST_COLUMN = 2**30
"""Bytes of a column that is held; a larger one is read when it is asked for."""
_EMBEDDING = "embedding"

Sums = dict[str, NDArray[Any]]
"""Fields of ``FrameSummary`` of all frames in a row, (N, ...) each."""

_FIELDS: Mapping[str, tuple[tuple[int, ...], Any]] = {
    "scanned": ((), np.bool_),
    "by_class": ((0,), np.int32),
    "class_mass": ((0,), np.float32),
    "mass": ((0,), np.float64),
    "objects": ((0,), np.float32),
    "signals": ((0, 4), np.float32),
    "prior": ((0, 2), np.float32),
    "judgeable": ((), np.bool_),
}
"""Shape of a frame's part, 0 = the number of classes, and type, as it is held."""


def field_of(name: str, frames: int, classes: int) -> NDArray[Any]:
    """(N, ...) zeros: a field of ``FrameSummary`` where nothing is known."""
    shape, dtype = _FIELDS[name]
    return np.zeros((frames, *(side or classes for side in shape)), dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The entries of one stage, of every clip or of every window of it, in the order of clips.

    Attributes:
        keys: where they lie.
        first, last: (n,) int64, the frames of each in the row of all clips, half-open.
    """

    keys: tuple[str, ...]
    first: IntArray
    last: IntArray

    @staticmethod
    def of(gathered: Gathered, frames: ClipFrames, stage: str) -> Entries | None:
        """Of a stage, by its name in ``EvidenceKeys``; None where it was not wanted."""
        keys: list[str] = []
        ends: list[int] = []
        for number, clip in enumerate(frames.clips):
            own, start = gathered.evidence[clip.id].keys, int(frames.starts[number])
            stops = [window.stop for window in own.windows] or [clip.frames]
            for part, stop in zip(own.parts(), stops, strict=True):
                key = getattr(part, stage)
                if key is None:
                    return None
                keys.append(key)
                ends.append(start + stop)
        last = np.array(ends, np.int64)
        first = np.concatenate([np.zeros(1, np.int64), last])[: len(last)]
        return Entries(tuple(keys), first, last)

    def __len__(self) -> int:
        return len(self.keys)


def read_sums(gathered: Gathered, frames: ClipFrames, names: Collection[str], classes: int) -> Sums:
    """Fields of the summaries of all clips.

    Args:
        gathered: where they lie.
        frames: the clips.
        names: of the fields.
        classes: K.

    Raises:
        EvidenceLost: a summary is not there, or damaged.
    """
    entries = _must(Entries.of(gathered, frames, "summary"))
    flat = {name: field_of(name, len(frames), classes) for name in names}
    seen = np.zeros(len(entries), np.bool_)
    ends = list(zip(entries.first.tolist(), entries.last.tolist(), strict=True))
    for at, arrays in store_at(gathered.store).scan(entries.keys, names):
        first, last = ends[at]
        for name, values in flat.items():
            values[first:last] = arrays[name]
        seen[at] = True
    if not seen.all():
        raise EvidenceLost
    return flat


def read_embedding(
    gathered: Gathered, frames: ClipFrames, pool: BoolArray, labelled: BoolArray
) -> tuple[FloatArray | Deferred, FloatArray]:
    """(F, E) what the frames of a pool look like, and (L, E) those beside it.

    Of more than ``MANY`` frames, or where they take more than ``LARGEST_COLUMN``, looks of blocks
    of frames are held; single frames are read where somebody asks for them.

    Raises:
        EvidenceLost: it is not there, or damaged.
    """
    entries = _must(Entries.of(gathered, frames, "embeddings"))
    store = store_at(gathered.store)
    width = _width(store, entries)
    reader = _Rows(store, entries, width)
    rows, beside = np.flatnonzero(pool), np.flatnonzero(labelled)
    if len(rows) > MANY or 4 * width * len(rows) > LARGEST_COLUMN:
        looks, block = _coarse(store, entries, width)
        return Deferred(rows, width, reader.read, (looks, block[rows])), reader.read(beside)
    return reader.read(rows), reader.read(beside)


def _coarse(store: Store, entries: Entries, width: int) -> tuple[FloatArray, IntArray]:
    """(B, E) looks of blocks of frames, and (N,) the block of each frame of all clips."""
    frames = entries.last - entries.first
    blocks = -(-frames // BLOCK)
    starts = np.cumsum(blocks) - blocks
    looks = np.zeros((int(blocks.sum()), width), np.float32)
    done = 0
    for at, arrays in store.scan(entries.keys, (LOOKS,)):
        found = arrays[LOOKS]
        done += 1
        if found.shape[1]:
            looks[starts[at] : starts[at] + blocks[at]] = found
    if done != len(entries):
        raise EvidenceLost
    within = np.arange(int(frames.sum())) - np.repeat(entries.first, frames)
    return looks, within // BLOCK + np.repeat(starts, frames)


def _width(store: Store, entries: Entries) -> int:
    """E; windows in which nothing was looked at do not know it."""
    for key in entries.keys:
        arrays = store.peek(key, (_EMBEDDING,))
        if arrays is None:
            raise EvidenceLost
        if arrays[_EMBEDDING].shape[1]:
            return int(arrays[_EMBEDDING].shape[1])
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Reads what some frames look like; one pass over the entries that hold them."""

    store: Store
    entries: Entries
    width: int

    def read(self, rows: IntArray) -> FloatArray:
        """(n, E) of frames by their place in the row of all clips."""
        values = np.zeros((len(rows), self.width), np.float32)
        order = None
        if len(rows) > 1 and not (np.diff(rows) > 0).all():
            order = np.argsort(rows, kind="stable")
        sought = rows if order is None else rows[order]
        low = np.searchsorted(sought, self.entries.first)
        high = np.searchsorted(sought, self.entries.last)
        wanted = np.flatnonzero(low < high)
        keys = [self.entries.keys[at] for at in wanted.tolist()]
        done = 0
        for number, arrays in self.store.scan(keys, (_EMBEDDING,)):
            at = int(wanted[number])
            mine = slice(int(low[at]), int(high[at]))
            found = arrays[_EMBEDDING]
            done += 1
            if found.shape[1]:
                here = found[_within(sought[mine] - self.entries.first[at])]
                values[mine if order is None else order[mine]] = here
        if done != len(keys):
            raise EvidenceLost
        return values


def _within(rows: IntArray) -> IntArray | slice:
    """Increasing rows; as a slice where they are all of a stretch, which copies nothing."""
    whole = rows[-1] - rows[0] + 1 == len(rows)
    return slice(int(rows[0]), int(rows[-1]) + 1) if whole else rows


def _must(entries: Entries | None) -> Entries:
    if entries is None:
        raise EvidenceLost
    return entries
