"""The frames of many clips in a row: where each clip begins, and sets of frames as flat masks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidal.types import BoolArray, Clip, FrameSet, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrames:
    """Clips one behind the other, N frames in all.

    Attributes:
        clips: in order.
        starts: (C + 1,) int64, where each clip begins, and N.
    """

    clips: tuple[Clip, ...]
    starts: IntArray
    _numbers: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def of(clips: Sequence[Clip]) -> ClipFrames:
        """These clips, none twice."""
        lengths = np.array([clip.frames for clip in clips], np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        return ClipFrames(tuple(clips), starts, {clip.id: n for n, clip in enumerate(clips)})

    def __len__(self) -> int:
        return int(self.starts[-1])

    def place(self, clip: str) -> slice | None:
        """The frames of a clip; None = it is none of these."""
        number = self._numbers.get(clip)
        if number is None:
            return None
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def mask(
        self, frames: Mapping[str, BoolArray | Collection[int]], mask: BoolArray | None = None
    ) -> BoolArray:
        """(N,) bool: these frames of clips, by clip id; clips that are none of these do not count.

        Args:
            frames: masks of (F,), or indices.
            mask: set there; None = a new one.
        """
        flat = np.zeros(len(self), np.bool_) if mask is None else mask
        for clip, some in frames.items():
            where = self.place(clip)
            if where is None:
                continue
            if isinstance(some, np.ndarray):
                flat[where] |= some
            else:
                flat[where][list(some)] = True
        return flat

    def frame_set(self, mask: BoolArray) -> FrameSet:
        """The frames of a mask, in order, with their times."""
        lengths = np.diff(self.starts)
        pts = [clip.pts for clip in self.clips]
        clip: NDArray[np.int64] = np.repeat(np.arange(len(lengths)), lengths)
        times = np.concatenate(pts) if pts else np.zeros(0, np.int64)
        index = np.arange(len(self)) - self.starts[clip]
        if not mask.all():
            clip, index, times = clip[mask], index[mask], times[mask]
        return FrameSet(
            clips=tuple(each.id for each in self.clips),
            clip=clip,
            index=index,
            pts=times,
            time_bases=tuple(each.time_base for each in self.clips),
            sizes=tuple(each.size for each in self.clips),
        )
