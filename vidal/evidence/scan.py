"""One pass over one clip: decode once; detection and optical flow run side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial

import numpy as np

from vidal.detect.columns import tables
from vidal.evidence.channel import Channel, ChannelCancelled
from vidal.evidence.windows import Window
from vidal.protocols import Detector
from vidal.track import FlowField, FlowMeter
from vidal.types import Clip, Detections, Frame, FrameRef, IntArray

DETECTION_WAITS = 2
"""Batches that may wait for the detector."""
FLOW_WAITS = 16
"""Frames that may wait for the flow: enough to use the cores while the detector prepares."""


GAP = 4
"""Frames are no neighbours if more than this many of the clip's usual steps lie between them."""


def gaps_after(clip: Clip) -> IntArray:
    """Indices of frames that have no neighbour after them: the clip leaves out a stretch there."""
    steps = np.diff(clip.pts)
    return np.flatnonzero(steps > GAP * np.median(steps)) if len(steps) else np.zeros(0, np.int64)


def batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """Frames in groups of ``size`` indices, counted from the clip's first frame.

    Where frames are missing a group is smaller: so a detector sees the same groups, whichever
    frame a clip is read from.
    """
    group: list[Frame] = []
    for frame in frames:
        index = frame.ref.index
        if group and index // size != group[0].ref.index // size:
            yield group
            group = []
        group.append(frame)
        if index % size == size - 1:
            yield group
            group = []
    if group:
        yield group


def scan_clip(
    clip: Clip,
    frames: Iterable[Frame],
    *,
    detector: Detector | None,
    meter: FlowMeter | None,
    batch: int,
    report: Callable[[int, int], None],
    window: Window | None = None,
    margin: int = 0,
) -> tuple[Detections | None, FlowField | None]:
    """Detections and flow of a clip or a window of it, in one pass with bounded memory.

    Args:
        clip: the clip.
        frames: those of the window and the margins, in order, each decoded once.
        detector: None = not wanted.
        meter: measures the flow between neighbours; None = not wanted.
        batch: frames the detector sees at once.
        report: called with (frames of the window done, frames in all).
        window: None = the whole clip.
        margin: more frames on both sides (where the clip has them) that only the meter sees; it
            counts frames from the first of them.

    Returns:
        What was wanted; detections count frames from the window's start; ``scanned`` is False for
        frames that did not decode.
    """
    window = window or Window(0, clip.frames)
    first = window.grown(margin, clip.frames).start
    to_detector: Channel[Frame] = Channel(batch * DETECTION_WAITS)
    to_meter: Channel[Frame] = Channel(FLOW_WAITS)
    open_to: list[tuple[Channel[Frame], Window | None]] = []
    open_to += [(to_detector, window)] if detector is not None else []
    open_to += [(to_meter, None)] if meter is not None else []
    with ThreadPoolExecutor(2, thread_name_prefix="scan") as threads:
        try:  # around the start of the threads, too: an interrupt may come there
            tasks = [threads.submit(_decode, frames, open_to)]
            if meter is not None:
                # Only one branch reports: the detector where there is one, being the slower.
                ticks = report if detector is None else None
                measure = partial(_measure, meter, to_meter, clip, (first, window), ticks)
                tasks.append(threads.submit(copy_context().run, measure))
            found = None
            if detector is not None:
                found = _detect(window, detector, batches(to_detector, batch), report)
            _finish(tasks)
        except BaseException:
            for channel, _ in open_to:
                channel.cancel()
            raise
    return found, None if meter is None else meter.finish()


def _decode(
    frames: Iterable[Frame], channels: Sequence[tuple[Channel[Frame], Window | None]]
) -> None:
    """``channels``: each with the frames that go through it; None = all."""
    try:
        for frame in frames:
            for channel, window in channels:
                if window is None or window.start <= frame.ref.index < window.stop:
                    channel.put(frame)
    except BaseException as error:
        for channel, _ in channels:
            channel.cancel()
        if not isinstance(error, ChannelCancelled):
            raise
    else:
        for channel, _ in channels:
            channel.close()


def _measure(
    meter: FlowMeter,
    frames: Channel[Frame],
    clip: Clip,
    place: tuple[int, Window],
    report: Callable[[int, int], None] | None,
) -> None:
    """``place``: the frame that the meter counts from, and the window whose frames are told."""
    gaps = set(gaps_after(clip).tolist())
    first, window = place
    try:
        for frame in frames:
            index = frame.ref.index
            meter.push(Frame(FrameRef(frame.ref.clip, index - first), frame.image))
            if index in gaps:
                meter.forget()
            done = index + 1 - window.start
            if report is not None and 0 < done <= window.frames and done % 8 == 0:
                report(done, window.frames)
    except BaseException:
        frames.cancel()
        raise


def _detect(
    window: Window,
    detector: Detector,
    groups: Iterable[list[Frame]],
    report: Callable[[int, int], None],
) -> Detections:
    """Every group, also those that the detector holds while it looks at others."""
    parts: list[Detections] = []
    indices: list[int] = []
    held: deque[list[int]] = deque()

    def given() -> Iterator[list[Frame]]:
        for group in groups:
            held.append([frame.ref.index - window.start for frame in group])
            yield group

    for table in tables(detector, given()):
        parts.append(table)
        indices.extend(held.popleft())
        report(len(indices), window.frames)
    classes = tuple(detector.classes)
    return Detections.gather(parts, indices, frames=window.frames, classes=classes)


def _finish(tasks: Sequence[Future[None]]) -> None:
    """Wait for all; raise the first real failure."""
    failures = []
    for task in tasks:
        with suppress(ChannelCancelled):
            error = task.exception()
            if error is not None:
                failures.append(error)
    if failures:
        raise failures[0]
