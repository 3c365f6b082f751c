"""Any tracker, bound to the frames of a clip as they stream by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vidal.protocols import Propagator
from vidal.track.flow import CutFinder
from vidal.track.propagate import visible
from vidal.track.session import PairSession, Session, Tracker
from vidal.types import BoolArray, Detections, FloatArray, Frame, IntArray, frozen

VERSION = 1
"""Raised whenever the same tracker would be asked for other steps than before."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelMotion:
    """The steps that a tracker took with the detections of a clip. Implements ``Motion``.

    Knows how these boxes move, and no others: ``propagate`` asks for just these.

    Attributes:
        frame: (S,) int64, the frame that a step began in.
        toward: (S,) int64, +1 or -1: whether it led to the next frame or to the one before.
        boxes: (S, 4) float32, before the step.
        moved: (S, 4) float32, after it.
        trust: (S,) float32 in [0, 1].
    """

    frame: IntArray
    toward: IntArray
    boxes: FloatArray
    moved: FloatArray
    trust: FloatArray
    # Names of the steps, sorted, and the row of each: every step asked for is looked up in them.
    _known: NDArray[Any] = field(init=False, repr=False)
    _rows: IntArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n = len(self.frame)
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "frame": (np.int64, (n,)),
            "toward": (np.int64, (n,)),
            "boxes": (np.float32, (n, 4)),
            "moved": (np.float32, (n, 4)),
            "trust": (np.float32, (n,)),
        }
        for name, (dtype, shape) in shapes.items():
            object.__setattr__(self, name, frozen(getattr(self, name), dtype, shape, name))
        names = step_names(self.frame, self.toward, self.boxes)
        order = np.argsort(names, kind="stable")
        object.__setattr__(self, "_known", names[order])
        object.__setattr__(self, "_rows", order)

    def step(
        self, before: IntArray, after: IntArray, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4), row i in frame ``before[i]`` -> the same in ``after[i]``, trust (N,).

        Raises:
            ValueError: frames that are not neighbours, or a box that was not tracked there.
        """
        toward = after - before
        if (np.abs(toward) != 1).any():
            raise ValueError("step: frames that are not neighbours")
        if not len(before):
            return boxes.astype(np.float32), np.zeros(0, dtype=np.float32)
        asked = step_names(before, toward, boxes)
        place = np.minimum(np.searchsorted(self._known, asked), len(self._known) - 1)
        if not len(self._known) or (self._known[place] != asked).any():
            raise ValueError("step: a box that was not tracked in that frame")
        rows = self._rows[place]
        return self.moved[rows], self.trust[rows]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The steps as named arrays, for a store."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The steps that ``arrays()`` was taken from.

        Raises:
            KeyError: an array is missing.
            ValueError: shapes do not fit.
        """
        return cls(**{each.name: arrays[each.name] for each in fields(cls) if each.init})


def step_names(frame: IntArray, toward: IntArray, boxes: FloatArray) -> NDArray[Any]:
    """(N,) sortable name of each step: frame, direction and the bits of the box."""
    bits = np.ascontiguousarray(boxes, dtype=np.float32).view(np.uint32).astype(np.int64)
    whole = np.column_stack([frame, toward, bits]).astype(np.int64)
    return np.ascontiguousarray(whole).view(np.dtype((np.void, whole.itemsize * 6)))[:, 0]


def record_motion(
    detections: Detections,
    frames: Iterable[Frame],
    propagator: Propagator,
    *,
    window: int,
    size: tuple[int, int],
    cuts: bool = True,
    report: Callable[[int, int], None] | None = None,
) -> PixelMotion:
    """Track every detection over its window, both ways, in one pass over the frames of a clip.

    Never more than ``window + 1`` frames are held: forward tracks move on with every frame that
    arrives; backward tracks go from it through the frames that are still held. Both directions
    begin from the detection itself, with the same targets.

    Args:
        detections: all rows are tracked.
        frames: of the clip, in order; some may be missing.
        propagator: a ``Tracker`` keeps its targets over the window.
        window: frames each way.
        size: (H, W) of the frames.
        cuts: no step leads across a shot cut (as optical flow sees it, see ``CutFinder``).
        report: called with (frames done, frames in all).

    Returns:
        The steps that ``propagate`` with this window, or a smaller one, will ask for.

    Raises:
        ValueError: frames out of order, of another size or outside the clip.
    """
    recorder = _Recorder(detections, propagator, window, size, cuts)
    for done, frame in enumerate(frames, start=1):
        recorder.push(frame)
        if report is not None and done % 8 == 0:
            report(done, detections.frames)
    return recorder.finish()


@dataclass(slots=True)
class _Tracks:
    """The tracks of one frame's detections, going one way."""

    targets: Any
    rows: IntArray
    boxes: FloatArray
    left: int


_Part = tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]


class _Recorder:
    def __init__(
        self,
        detections: Detections,
        propagator: Propagator,
        window: int,
        size: tuple[int, int],
        cuts: bool,
    ) -> None:
        self._session: Session = (
            propagator.session() if isinstance(propagator, Tracker) else PairSession(propagator)
        )
        self._detections, self._window, self._size = detections, window, size
        self._cuts = CutFinder(size) if cuts else None
        self._held: deque[tuple[Frame, bool]] = deque(maxlen=window + 1)
        self._forward: list[_Tracks] = []
        self._parts: list[_Part] = []

    def push(self, frame: Frame) -> None:
        """The next frame; whether a cut lies before it is kept with it."""
        index = frame.ref.index
        if not 0 <= index < self._detections.frames:
            raise ValueError(f"{frame.ref}: not in a clip of {self._detections.frames} frames")
        if frame.image.shape[:2] != self._size:
            raise ValueError(f"{frame.ref}: size {frame.image.shape[:2]}, expected {self._size}")
        last = self._held[-1][0].ref.index if self._held else index - 1
        if index <= last:
            raise ValueError(f"{frame.ref}: not a later frame of the clip")
        if index != last + 1:
            self._held.clear()
            self._forward.clear()
        cut = self._cuts is not None and self._cuts.push(frame)
        for tracks in self._forward:
            self._advance(tracks, self._held[-1][0], frame, cut)
        self._held.append((frame, cut))
        self._begin(frame)
        self._forward = [each for each in self._forward if each.left and len(each.rows)]

    def _begin(self, frame: Frame) -> None:
        detections = self._detections
        low, high = np.searchsorted(detections.frame, [frame.ref.index, frame.ref.index + 1])
        if low == high or not self._window or not detections.scanned[frame.ref.index]:
            return
        boxes = detections.boxes[low:high]
        targets = self._session.begin(frame, boxes)
        rows = np.arange(high - low)
        self._forward.append(_Tracks(targets, rows, boxes, self._window))
        backward = _Tracks(targets, rows, boxes, self._window)
        held = list(self._held)
        for place in range(len(held) - 1, 0, -1):
            if not (backward.left and len(backward.rows)):
                break
            (after, _), (before, cut) = held[place - 1], held[place]
            self._advance(backward, before, after, cut)

    def _advance(self, tracks: _Tracks, before: Frame, after: Frame, cut: bool) -> None:
        """Move tracks by a frame and write the step down; ``propagate`` ends the same tracks."""
        boxes = tracks.boxes
        if not self._detections.scanned[after.ref.index]:
            tracks.left = 0
            return
        if cut or not len(boxes):
            moved, trust = boxes, np.zeros(len(boxes), dtype=np.float32)
        else:
            moved, trust = self._session.follow(tracks.targets, tracks.rows, before, after, boxes)
        count, toward = len(boxes), after.ref.index - before.ref.index
        self._parts.append(
            (np.full(count, before.ref.index), np.full(count, toward), boxes, moved, trust)
        )
        alive: BoolArray = (trust > 0) & visible(moved, self._size)
        tracks.rows, tracks.boxes, tracks.left = tracks.rows[alive], moved[alive], tracks.left - 1

    def finish(self) -> PixelMotion:
        empty = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
        none: _Part = (empty[0], empty[0], empty[1], empty[1], np.zeros(0, np.float32))
        columns = (np.concatenate(each) for each in zip(none, *self._parts, strict=True))
        return PixelMotion(*columns)
