"""Dense inverse search flow between the frames of a clip, measured as they stream by.

OpenCV's DIS runs mostly on one thread (its variational refinement aside), so ``cv2.setNumThreads``
is left as the process has it: with the default preset one or two threads differ by less than the
noise (3.36 against 3.42 ms a pair at 480x300). OpenCV releases the interpreter lock, so a meter can
run on its own Python thread beside a detector.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import local
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidal.track.field import FlowField
from vidal.track.options import FlowOptions
from vidal.track.session import Recent
from vidal.types import FloatArray, Frame, FrameRef, HalfArray, Image, IntArray

_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
_LARGEST_FLOW = 60000.0
"""Pixels; float16 holds no more than 65504."""

CUT_CONSISTENCY = 0.15
"""Shot cut: forward and backward flow agree, to half a pixel and 5 % of their length, at less than
this share of the pixels. Measured: at most 0.08 at cuts between eight real clips, at least 0.19
within them (0.09 once at a fifth of the frame rate)."""
CUT_DIFFERENCE = 10.0
"""... and the frames, one warped onto the other, still differ by more than this many grey levels.
Measured: at least 19 at cuts; under 10 in rain at night, where flow is not consistent either. A cut
from one nearly black shot to another is therefore not seen."""
CUT_CONTRAST = 0.5
"""... and by more than this share of the frame's own contrast. Measured: at least 0.59 at cuts, at
most 0.49 within clips, even at a fifth of the frame rate."""


_threads = 1


def use_threads(count: int) -> None:
    """How many threads of this process measure a clip's flow where its options do not say.

    One is enough beside a detector on the processor, which has the other cores; a GPU waits for
    flow that one thread measures.
    """
    global _threads
    _threads = count


class FlowMeter:
    """Measures the flow of one clip, both ways between neighbours, frame by frame.

    ``push`` is not for several threads at once. With ``options.threads`` pairs of neighbours are
    measured beside it, by one DIS instance a thread, since DIS keeps state; the field is the same
    to the bit. Use one meter a clip.

    Args:
        options: how to measure.
        frames: length of the clip.
        size: (H, W) of its frames.
    """

    def __init__(self, options: FlowOptions, frames: int, size: tuple[int, int]) -> None:
        self._options = options
        self._size = size
        self._measure = _Measure(options, size)
        height, width = self._measure.kept
        shape = (max(frames - 1, 0), height, width, 2)
        self._forward: HalfArray = np.zeros(shape, dtype=np.float16)
        self._backward: HalfArray = np.zeros(shape, dtype=np.float16)
        self._valid = np.zeros(shape[0], dtype=np.bool_)
        self._last: tuple[FrameRef, Image] | None = None
        self._beside = _Beside(options, size) if (options.threads or _threads) > 1 else None

    def push(self, frame: Frame) -> None:
        """The next frame of the clip. A gap in the indices leaves no flow across it.

        Raises:
            ValueError: not a later frame of this clip, or of another size.
        """
        index, last = frame.ref.index, self._last
        if not 0 <= index <= len(self._valid):
            raise ValueError(f"{frame.ref}: not in a clip of {len(self._valid) + 1} frames")
        if last is not None and (last[0].clip != frame.ref.clip or index <= last[0].index):
            raise ValueError(f"{frame.ref}: not a later frame of the clip of {last[0]}")
        if frame.image.shape[:2] != self._size:
            raise ValueError(f"{frame.ref}: size {frame.image.shape[:2]}, expected {self._size}")
        grey = self._measure.grey(frame.image)
        if last is not None and index == last[0].index + 1:
            self._between(last[0].index, last[1], grey)
        self._last = frame.ref, grey

    def forget(self) -> None:
        """The next frame follows after a gap: no flow across it."""
        self._last = None

    def _between(self, pair: int, before: Image, after: Image) -> None:
        if self._beside is None:
            self._put(pair, _both_ways(self._measure, before, after, cuts=self._options.cuts))
        else:
            for done, found in self._beside.submit(pair, before, after):
                self._put(done, found)

    def _put(self, pair: int, found: _Between) -> None:
        self._forward[pair], self._backward[pair], self._valid[pair] = found

    def finish(self) -> FlowField:
        """The flow of the clip, not valid between frames that were not both pushed. Call once."""
        if self._beside is not None:
            for done, found in self._beside.end():
                self._put(done, found)
        return FlowField(
            forward=self._forward,
            backward=self._backward,
            valid=self._valid,
            size=self._size,
            mode=self._options.mode,
            scale=self._options.scale,
        )


_Between = tuple[FloatArray, FloatArray, bool]
"""Flow forward and backward between neighbours, and whether it is valid."""


def _both_ways(measure: _Measure, before: Image, after: Image, *, cuts: bool) -> _Between:
    forward, backward = measure.flow(before, after), measure.flow(after, before)
    return forward, backward, not (cuts and measure.is_cut(before, after, forward, backward))


class _Beside:
    """Threads that measure pairs of neighbours of one clip; a few pairs wait at most."""

    def __init__(self, options: FlowOptions, size: tuple[int, int]) -> None:
        self._options, self._size = options, size
        self._count = options.threads or _threads
        self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="flow")
        self._own = local()
        self._waiting: deque[tuple[int, Future[_Between]]] = deque()

    def submit(self, pair: int, before: Image, after: Image) -> list[tuple[int, _Between]]:
        """Measure a pair beside; what is found of earlier ones, where too many wait."""
        self._waiting.append((pair, self._pool.submit(self._measured, before, after)))
        return self._found() if len(self._waiting) > 2 * self._count else []

    def end(self) -> list[tuple[int, _Between]]:
        """What is found of all that wait; no more pairs may come."""
        try:
            return [(pair, task.result()) for pair, task in self._waiting]
        finally:
            self._waiting.clear()
            self._pool.shutdown(cancel_futures=True)

    def _found(self) -> list[tuple[int, _Between]]:
        pair, task = self._waiting.popleft()
        return [(pair, task.result())]

    def _measured(self, before: Image, after: Image) -> _Between:
        if not hasattr(self._own, "measure"):
            self._own.measure = _Measure(self._options, self._size)
        return _both_ways(self._own.measure, before, after, cuts=self._options.cuts)


class CutFinder:
    """Says where the shots of a clip are cut, frame by frame, without keeping its flow.

    Args:
        size: (H, W) of the frames.
        options: how flow is measured; the thresholds were measured with the default.
    """

    def __init__(self, size: tuple[int, int], options: FlowOptions | None = None) -> None:
        self._measure = _Measure(options or FlowOptions(), size)
        self._last: tuple[int, Image] | None = None

    def push(self, frame: Frame) -> bool:
        """Whether a cut lies between this frame and its neighbour before it, if that was pushed."""
        last, grey = self._last, self._measure.grey(frame.image)
        self._last = frame.ref.index, grey
        if last is None or frame.ref.index != last[0] + 1:
            return False
        forward = self._measure.flow(last[1], grey)
        backward = self._measure.flow(grey, last[1])
        return self._measure.is_cut(last[1], grey, forward, backward)


@dataclass(frozen=True, slots=True)
class FlowPropagator:
    """Carries boxes by the flow between two frames; the ``Propagator`` for single pairs.

    Whole clips are cheaper by ``FlowMeter`` and ``FlowField``: flow is measured once and kept.
    """

    options: FlowOptions = FlowOptions()

    @property
    def key(self) -> Mapping[str, Any]:
        """What carried boxes depend on."""
        return self.options.motion_key

    def session(self) -> _FlowSession:
        """For one clip."""
        return _FlowSession(self)

    def step(self, before: Frame, after: Frame, boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4) of ``before`` -> boxes (N, 4) in ``after`` and trust (N,), 0 or 1.

        Raises:
            ValueError: frames of different sizes or clips.
        """
        height, width = before.image.shape[:2]
        meter = FlowMeter(self.options, 2, (height, width))
        # Either may come first in time: number them in the order in which the boxes move.
        for position, frame in enumerate((before, after)):
            meter.push(Frame(ref=FrameRef(frame.ref.clip, position), image=frame.image))
        start = np.zeros(len(boxes), dtype=np.int64)
        return meter.finish().step(start, start + 1, boxes)


class _FlowSession:
    """Keeps the flow between the last few frames."""

    def __init__(self, propagator: FlowPropagator) -> None:
        self._options = propagator.options
        self._fields = Recent(self._field)

    def begin(self, frame: Frame, boxes: FloatArray) -> None:
        """Nothing is learned."""

    def follow(
        self, targets: None, rows: IntArray, before: Frame, after: Frame, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        earlier, later = sorted((before, after), key=lambda frame: frame.ref.index)
        start = np.full(len(boxes), int(before is later))
        return self._fields(earlier, later).step(start, 1 - start, boxes)

    def _field(self, earlier: Frame, later: Frame) -> FlowField:
        height, width = earlier.image.shape[:2]
        meter = FlowMeter(self._options, 2, (height, width))
        for position, frame in enumerate((earlier, later)):
            meter.push(Frame(ref=FrameRef(frame.ref.clip, position), image=frame.image))
        return meter.finish()


class _Measure:
    """One DIS instance and the sizes it works at."""

    def __init__(self, options: FlowOptions, size: tuple[int, int]) -> None:
        self._frame = size
        height, width = size
        factor = min(1.0, options.height / height)
        self._size = max(1, round(height * factor)), max(1, round(width * factor))
        rows, columns = (max(1, round(side / options.divisor)) for side in self._size)
        self.kept = rows, columns
        # OpenCV reads outside small images (a crash at 40x12): it needs patches of 8 at the finest
        # scale, and changes that scale by itself where the longer side is short.
        least = 32 << options.finest_scale
        self._pad = tuple(max(0, least - side) for side in self._size)
        unit = np.array([width / self._size[1], height / self._size[0]], dtype=np.float32)
        self._near = 0.5 * unit.max()
        # Written out in full: a product with two numbers over and over takes eight times as long.
        self._unit = None if (unit == 1).all() else np.tile(unit, (rows, columns, 1))
        # Any: OpenCV's type stubs do not know that the initial flow may be None.
        self._dis: Any = cv2.DISOpticalFlow.create(_PRESETS[options.preset])
        self._dis.setFinestScale(options.finest_scale)
        self._dis.setPatchStride(options.patch_stride)
        # Cuts are judged at every second kept pixel: a share of them is all that is asked.
        y, x = np.mgrid[:rows:2, :columns:2].astype(np.float32)
        self._x, self._y = x, y

    def grey(self, image: Image) -> Image:
        """The frame as flow sees it: 8-bit grey at the processed size."""
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        return np.asarray(_resize(grey, self._size), dtype=np.uint8)

    def flow(self, before: Image, after: Image) -> FloatArray:
        """(h, w, 2) float32 flow at the kept resolution, in pixels of the frame."""
        down, right = self._pad
        if down or right:
            before, after = (
                np.pad(image, ((0, down), (0, right)), mode="edge") for image in (before, after)
            )
        full = self._dis.calc(before, after, None)[: self._size[0], : self._size[1]]
        kept = np.asarray(_resize(full, self.kept), dtype=np.float32)
        if self._unit is not None:
            kept *= self._unit
        return np.clip(kept, -_LARGEST_FLOW, _LARGEST_FLOW, out=kept)

    def is_cut(
        self, before: Image, after: Image, forward: FloatArray, backward: FloatArray
    ) -> bool:
        """Whether the two frames belong to different shots."""
        height, width = self.kept
        share = np.float32(width / self._frame[1]), np.float32(height / self._frame[0])
        forward = np.ascontiguousarray(forward[::2, ::2])
        x, y = self._x + forward[..., 0] * share[0], self._y + forward[..., 1] * share[1]
        # Nearly everywhere within a shot every second row holds enough that agrees, of all pixels.
        for rows in (slice(None, None, 2), slice(None)):
            agreeing = self._agreeing(forward[rows], backward, x[rows], y[rows])
            if agreeing / x.size >= CUT_CONSISTENCY:
                return False
        first, moved = (_resize(image, self.kept).astype(np.float32) for image in (before, after))
        warped = cv2.remap(moved, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        here = first[::2, ::2]
        least = max(CUT_DIFFERENCE, CUT_CONTRAST * float(here.std()))
        return bool(np.abs(here - warped).mean() > least)

    def _agreeing(
        self, forward: FloatArray, backward: FloatArray, x: FloatArray, y: FloatArray
    ) -> int:
        """How many pixels come back to where they began; x, y: where they go."""
        there = cv2.remap(backward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        back = forward + there
        apart = np.hypot(back[..., 0], back[..., 1])
        length = np.hypot(forward[..., 0], forward[..., 1]) + np.hypot(there[..., 0], there[..., 1])
        height, width = self.kept
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return int(np.count_nonzero((apart < self._near + 0.05 * length) & inside))


def _resize(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    if image.shape[:2] == size:
        return image
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
