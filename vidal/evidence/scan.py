"""One pass over one clip: decode once; detection and optical flow run side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from itertools import islice

import numpy as np

from vidal.evidence.channel import Channel, ChannelCancelled
from vidal.protocols import Detector
from vidal.track import FlowField, FlowMeter
from vidal.types import Clip, Detections, Frame, IntArray

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
    """Lists of ``size`` frames; the last may be shorter."""
    stream = iter(frames)
    while batch := list(islice(stream, size)):
        yield batch


def scan_clip(
    clip: Clip,
    frames: Iterable[Frame],
    *,
    detector: Detector | None,
    meter: FlowMeter | None,
    batch: int,
    report: Callable[[int, int], None],
) -> tuple[Detections | None, FlowField | None]:
    """Detections and flow of a clip, in one pass with bounded memory.

    Args:
        clip: the clip.
        frames: its frames in order, each decoded once.
        detector: None = not wanted.
        meter: measures the flow between neighbours; None = not wanted.
        batch: frames the detector sees at once.
        report: called with (frames done, frames in all).

    Returns:
        What was wanted; ``scanned`` is False for frames that did not decode.
    """
    to_detector: Channel[Frame] = Channel(batch * DETECTION_WAITS)
    to_meter: Channel[Frame] = Channel(FLOW_WAITS)
    open_to = [
        channel
        for channel, user in ((to_detector, detector), (to_meter, meter))
        if user is not None
    ]
    with ThreadPoolExecutor(2, thread_name_prefix="scan") as threads:
        tasks = [threads.submit(_decode, frames, open_to)]
        if meter is not None:
            # Only one branch reports: the detector where there is one, being the slower.
            ticks = report if detector is None else None
            measure = partial(_measure, meter, to_meter, clip, ticks)
            tasks.append(threads.submit(copy_context().run, measure))
        try:
            found = None
            if detector is not None:
                found = _detect(clip, detector, batches(to_detector, batch), report)
            _finish(tasks)
        except BaseException:
            for channel in open_to:
                channel.cancel()
            raise
    return found, None if meter is None else meter.finish()


def _decode(frames: Iterable[Frame], channels: Sequence[Channel[Frame]]) -> None:
    try:
        for frame in frames:
            for channel in channels:
                channel.put(frame)
    except BaseException as error:
        for channel in channels:
            channel.cancel()
        if not isinstance(error, ChannelCancelled):
            raise
    else:
        for channel in channels:
            channel.close()


def _measure(
    meter: FlowMeter,
    frames: Channel[Frame],
    clip: Clip,
    report: Callable[[int, int], None] | None,
) -> None:
    gaps = set(gaps_after(clip).tolist())
    try:
        for done, frame in enumerate(frames, start=1):
            meter.push(frame)
            if frame.ref.index in gaps:
                meter.forget()
            if report is not None and done % 8 == 0:
                report(done, clip.frames)
    except BaseException:
        frames.cancel()
        raise


def _detect(
    clip: Clip,
    detector: Detector,
    groups: Iterable[list[Frame]],
    report: Callable[[int, int], None],
) -> Detections:
    parts: list[Detections] = []
    indices: list[int] = []
    for group in groups:
        parts.append(detector.detect(group))
        indices.extend(frame.ref.index for frame in group)
        report(len(indices), clip.frames)
    return Detections.gather(parts, indices, frames=clip.frames, classes=tuple(detector.classes))


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
