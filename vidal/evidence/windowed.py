"""The look at the frames of a window: detections, and where its optical flow carries them.

What is there already is not done again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from vidal.detect.columns import giving
from vidal.detect.spec import DetectorSpec
from vidal.engine.progress import report
from vidal.evidence.given import GivenDetections
from vidal.evidence.load import (
    load_detections,
    load_scanned,
    must,
    own_windows,
    put,
    put_carried,
    put_detections,
)
from vidal.evidence.motion import SHOWN, carry, reach_of
from vidal.evidence.places import store_at
from vidal.evidence.plan import EvidenceJob, EvidenceKeys
from vidal.evidence.prints import keep_prints, keep_window_prints
from vidal.evidence.scan import scan_clip
from vidal.evidence.tables import bare, moved
from vidal.evidence.windows import Window
from vidal.protocols import Detector, Motion, Store
from vidal.track import FlowField, FlowMeter
from vidal.types import Clip, Detections, Frame
from vidal.video import read_frames
from vidal.video.prints import printed
from vidal.video.stretch import read_stretch


@dataclass(slots=True)
class Work:
    """A clip at work: what is wanted of it, and where it goes.

    Attributes:
        job: the clip and the plan.
        store: where evidence goes.
        keys: of the clip.
        made: store key -> table, where the clip has one window: saves reading it back.
    """

    job: EvidenceJob
    store: Store
    keys: EvidenceKeys
    made: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def on(cls, job: EvidenceJob) -> Work:
        """As the job says."""
        return cls(job, store_at(job.plan.store), job.plan.keys(job.clip))

    @property
    def clip(self) -> Clip:
        """The clip."""
        return self.job.clip

    @property
    def windows(self) -> tuple[Window, ...]:
        """Of the clip, in order."""
        return own_windows(self.keys, self.clip.frames)

    @property
    def margin(self) -> int:
        """Frames beside a window that are decoded with it.

        Its detections are carried to them, and neighbouring windows are compared there.
        """
        plan, least = self.job.plan, SHOWN if len(self.windows) > 1 else 0
        if plan.coherence is None:
            return least
        return reach_of(plan.coherence, plan.expected).window

    def remember(self, key: str, table: Any) -> None:
        """A table that will be asked for again soon."""
        if len(self.windows) == 1:
            self.made[key] = table

    def detections(self, window: Window) -> Detections:
        """Of a window, without features and embedding."""
        known: Detections | None = self.made.get(self.keys.of(window).detections)
        if known is not None:
            return known
        return load_detections(self.store, self.keys, window, columns=())

    def keep_carried(self, window: Window, there: Detections, motion: Motion, at: int) -> None:
        """Carry the detections of a window, and keep it.

        Args:
            window: the window.
            there: a stretch that holds its detections.
            motion: of the stretch.
            at: where the window begins, counted from the first frame of the stretch.
        """
        plan, key = self.job.plan, must(self.keys.of(window).carried)
        assert plan.coherence is not None
        reach, own = reach_of(plan.coherence, plan.expected), Window(at, at + window.frames)
        carried = carry(there, motion, reach, self.clip.size, own)
        put_carried(self.store, key, self.clip, window, carried, self.detections(window))
        self.remember(key, carried)


@dataclass(frozen=True, slots=True)
class Missing:
    """What of a window is not there yet and takes its pixels."""

    detections: bool
    carried: bool

    def __bool__(self) -> bool:
        return self.detections or self.carried


def missing(work: Work, window: Window) -> Missing:
    """What is missing of a window; nothing that pixels have no part in."""
    keys, plan = work.keys.of(window), work.job.plan
    detections = not has_detections(work.store, keys, window, counted=plan.counts_suppressed)
    if keys.flow is None:
        return Missing(detections, carried=False)
    carried = work.store.known([must(keys.carried)])[0] is None
    return Missing(detections, carried or detections)


def has_detections(store: Store, keys: EvidenceKeys, window: Window, *, counted: bool) -> bool:
    """Whether a window's detections are there as they are wanted.

    Not where an earlier version counted the frames differently, or did not count suppressed boxes
    and they are to be ``counted``; nor without the features and the embedding that are wanted.
    """
    found = store.peek(keys.detections, ("scanned", *(["suppressed"] if counted else [])))
    if found is None or len(found["scanned"]) != window.frames:
        return False
    beside = [key for key in (keys.features, keys.embeddings) if key is not None]
    return (not counted or "suppressed" in found) and None not in list(store.known(beside))


def scan_windows(work: Work, windows: Sequence[Window], *, anew: bool = False) -> None:
    """Look at the frames of some windows, one after the other, where anything is missing of them.

    Args:
        work: the clip.
        windows: in order.
        anew: whatever is there, and by decoding from the clip's first frame on.

    Raises:
        UnreadableClip: the file cannot be opened any more.
        EvidenceLost: given detections are gone.
    """
    if anew:
        _forget(work, windows)
    look: list[tuple[Window, Missing]] = []
    for window in windows:
        found = _all_of(work) if anew else missing(work, window)
        kept = _kept_flow(work, window) if found.carried and not found.detections else None
        if kept is not None:
            _carry(work, window, kept)
        elif found:
            look.append((window, found))
    frames = _Frames(work.clip, [window for window, _ in look], work.margin, anew=anew)
    done, total = 0, sum(window.frames for window, _ in look)
    for window, found in look:
        _scan(work, window, found, frames, _ticks(done, total))
        done += window.frames


def _forget(work: Work, windows: Sequence[Window]) -> None:
    given = isinstance(work.job.plan.detector, GivenDetections)
    stays = {"detections", "features"} if given else set()
    gone = [work.keys.of(window).by_stage().items() for window in windows]
    work.store.drop([key for stages in gone for stage, key in stages if stage not in stays])


def _all_of(work: Work) -> Missing:
    """All that pixels tell."""
    given = isinstance(work.job.plan.detector, GivenDetections)
    return Missing(not given, carried=work.keys.flow is not None)


def _ticks(done: int, total: int) -> Callable[[int, int], None]:
    def tick(more: int, _: int) -> None:
        report(done + more, total)

    return tick


def _scan(
    work: Work, window: Window, found: Missing, frames: _Frames, tick: Callable[[int, int], None]
) -> None:
    """One pass over the frames of a window."""
    plan, clip, keys = work.job.plan, work.clip, work.keys.of(window)
    around = window.grown(frames.margin, clip.frames)
    prints = np.zeros(around.frames, np.uint64)
    meter = None
    if found.carried and plan.flow is not None:
        meter = FlowMeter(plan.flow, frames=around.frames, size=clip.size)
    table, flow = scan_clip(
        clip,
        printed(frames.of(window), prints, first=around.start),
        detector=giving(_detector(plan.detector), plan.columns) if found.detections else None,
        meter=meter,
        batch=plan.batch,
        report=tick,
        window=window,
        margin=frames.margin,
    )
    if len(work.windows) == 1:
        keep_prints(work.store, clip, prints)
    else:
        keep_window_prints(work.store, clip, window, prints, around, work.windows)
    if table is not None:
        put_detections(work.store, keys, clip, window, table)
        work.remember(keys.detections, bare(table))
    if flow is not None:
        if plan.keep_flow:
            put(work.store, must(keys.flow), flow.arrays(), "flow", clip, window)
        _carry(work, window, flow)


def _carry(work: Work, window: Window, flow: FlowField) -> None:
    """Carry the detections of a window by the flow of it and its margins."""
    plan = work.job.plan
    assert plan.flow is not None
    around = window.grown(work.margin, work.clip.frames)
    at, table = window.start - around.start, work.detections(window)
    # Flow is not valid next to frames that did not decode: no track goes there.
    scanned = np.ones(around.frames, np.bool_)
    if isinstance(plan.detector, GivenDetections):
        scanned = load_scanned(work.store, work.keys, around).copy()
    scanned[at : at + window.frames] = table.scanned
    motion = flow.reading(mode=plan.flow.mode, scale=plan.flow.scale)
    work.keep_carried(window, moved(table, at, scanned), motion, at)


def _kept_flow(work: Work, window: Window) -> FlowField | None:
    """The window's flow, where it was kept and reaches over the margins."""
    arrays = work.store.get(must(work.keys.of(window).flow))
    if arrays is None:
        return None
    flow = FlowField.from_arrays(arrays)
    frames = window.grown(work.margin, work.clip.frames).frames
    return flow if len(flow.valid) == max(0, frames - 1) else None


class _Frames:
    """The frames of windows and their margins; of windows that follow each other decoded once."""

    def __init__(
        self, clip: Clip, windows: Sequence[Window], margin: int, *, anew: bool = False
    ) -> None:
        self.margin = margin
        self._clip, self._windows, self._anew = clip, windows, anew
        self._stream: Iterator[Frame] = iter(())
        self._next = -1  # where the window begins that the stream goes on with
        self._held: deque[Frame] = deque(maxlen=2 * margin + 1)

    def of(self, window: Window) -> Iterator[Frame]:
        """Of one of the windows, in order: read these to the end, and the windows in order."""
        around = self._around(window)
        if window.start != self._next and not (self._anew and self._next >= 0):
            self._held.clear()
            self._stream = self._read(window)
        self._next = window.stop
        for frame in tuple(self._held):
            if around.start <= frame.ref.index < around.stop:
                yield frame
        for frame in self._stream:
            self._held.append(frame)
            if around.start <= frame.ref.index < around.stop:
                yield frame
            if frame.ref.index >= around.stop - 1:
                return

    def _around(self, window: Window) -> Window:
        return window.grown(self.margin, self._clip.frames)

    def _read(self, window: Window) -> Iterator[Frame]:
        """From a window on, to the end of the last of those that follow each other."""
        if self._anew:
            spans = [range(w.start, w.stop) for w in map(self._around, self._windows)]
            return read_frames(self._clip, chain.from_iterable(spans), seek=False)
        first = self._around(window).start
        for each in self._windows:
            if each.start == window.stop:
                window = each
        return read_stretch(self._clip, first, self._around(window).stop)


@lru_cache(maxsize=1)
def _detector(spec: DetectorSpec) -> Detector:
    """One loaded detector a process."""
    return spec.load()
