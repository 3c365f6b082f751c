"""How the report and the reasons read a run: no more of a clip than they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vidal.evidence.verdicts import count_detections, count_verdicts
from vidal.selection.result import ClipResult
from vidal.types import BoolArray, Clip


@dataclass(frozen=True, slots=True, eq=False)
class FrameCounts:
    """Frames of a clip, or of a window of it, without their boxes.

    Attributes:
        clip: id.
        start: its first frame.
        scanned: (n,) bool, frames that the detector looked at.
        by_class: (n, K) integers, detections above the threshold.
        doubts: (n, K, 3) integers, likely false alarms, unsure detections and likely misses.
    """

    clip: str
    start: int
    scanned: BoolArray
    by_class: NDArray[Any]
    doubts: NDArray[Any]


@runtime_checkable
class Loader(Protocol):
    """Reads the clips of a run."""

    def __call__(self, clip: str) -> ClipResult:
        """All of a clip; hold one at a time."""
        ...

    def near(self, clip: str, frames: Sequence[int], reach: int) -> ClipResult:
        """A clip with the boxes of these frames and of ``reach`` frames on both sides; there may
        be more. Frames and rows count as they do in the result itself."""
        ...

    def bare(self, clip: str) -> ClipResult:
        """A clip without any boxes."""
        ...

    def counts(self) -> Iterator[FrameCounts]:
        """What is counted of every frame that has detections, in any order of clips."""
        ...

    @property
    def estimated(self) -> bool:
        """Whether anything is said of single boxes."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A ``Loader`` of whatever loads whole clips."""

    load: Callable[[str], ClipResult]
    clips: Mapping[str, Clip]
    threshold: float

    def __call__(self, clip: str) -> ClipResult:
        return self.load(clip)

    def near(self, clip: str, frames: Sequence[int], reach: int) -> ClipResult:
        """All of it."""
        del frames, reach
        return self.load(clip)

    def bare(self, clip: str) -> ClipResult:
        """All of it, without boxes."""
        return replace(self.load(clip), detections=None, estimate=None, judged=None)

    def counts(self) -> Iterator[FrameCounts]:
        """Clip by clip."""
        for name in self.clips:
            loaded = self.load(name)
            found, said = loaded.detections, loaded.verdicts
            if found is not None:
                doubts = np.zeros((found.frames, len(found.classes), 3), np.int64)
                if said is not None:
                    doubts = count_verdicts(said, found)
                counts = count_detections(found, self.threshold)
                yield FrameCounts(name, 0, found.scanned, counts, doubts)

    @property
    def estimated(self) -> bool:
        """Of any clip."""
        loads = (self.load(name) for name in self.clips)
        return any(each.judged is not None or each.estimate is not None for each in loads)


def loader_of(
    load: Callable[[str], ClipResult], clips: Mapping[str, Clip], threshold: float
) -> Loader:
    """What loads the clips of a run, as a ``Loader``."""
    return load if isinstance(load, Loader) else Whole(load, clips, threshold)
