"""How the report and the reasons read a run: no more of a clip than they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vidal.errors import EvidenceLost
from vidal.evidence.verdicts import count_detections, count_verdicts
from vidal.protocols import Motion
from vidal.selection.result import ClipResult, SelectionResult
from vidal.types import BoolArray, Clip, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class FrameCounts:
    """Frames of a clip, or of a window of it, without their boxes.

    Attributes:
        clip: id.
        start: its first frame.
        scanned: (n,) bool, frames that the detector looked at.
        by_class: (n, K) integers, detections above the threshold.
        doubts: (n, K, 3) integers, likely false alarms, unsure detections and likely misses; or
            (n, 3), of all classes together, where ``Loader.doubts_by_class`` tells of classes.
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

    def motion(self, loaded: ClipResult, frames: Sequence[int], reach: int) -> Motion:
        """How the boxes move that ``near`` has loaded.

        Raises:
            EvidenceLost: that is not known, or not any more.
        """
        ...

    @property
    def doubts_by_class(self) -> IntArray | None:
        """(K, 3) the doubts on all frames that may be chosen; None where ``counts`` tells them."""
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
    moves: Callable[[str], Motion | None]

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
            if loaded.detections is not None:
                yield counted(loaded, self.threshold)

    def motion(self, loaded: ClipResult, frames: Sequence[int], reach: int) -> Motion:
        """Of all of it."""
        del frames, reach
        found = self.moves(loaded.clip.id)
        if found is None:
            raise EvidenceLost
        return found

    @property
    def doubts_by_class(self) -> None:
        """``counts`` tells them."""
        return

    @property
    def estimated(self) -> bool:
        """Of any clip."""
        loads = (self.load(name) for name in self.clips)
        return any(each.judged is not None or each.estimate is not None for each in loads)


def loader_of(result: SelectionResult) -> Loader:
    """What loads the clips of a run, as a ``Loader``."""
    load = result.load
    if isinstance(load, Loader):
        return load
    return Whole(load, result.clips, result.threshold, result.motion)


def counted(loaded: ClipResult, threshold: float) -> FrameCounts:
    """What is counted of a clip with detections, from these."""
    found, said = loaded.detections, loaded.verdicts
    assert found is not None
    doubts = np.zeros((found.frames, len(found.classes), 3), np.int64)
    if said is not None:
        doubts = count_verdicts(said, found)
    counts = count_detections(found, threshold)
    return FrameCounts(loaded.clip.id, 0, found.scanned, counts, doubts)
