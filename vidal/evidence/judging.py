"""From the detections of a window and of those around it to its verdicts and sums."""

from __future__ import annotations

from dataclasses import dataclass

from vidal.coherence import Part
from vidal.engine.progress import report
from vidal.evidence.estimates import estimate_window, evidence_window, first_halo
from vidal.evidence.load import (
    load_carried,
    load_detections,
    load_estimate,
    load_evidence,
    must,
    put,
    put_estimate,
)
from vidal.evidence.motion import KALMAN_HALO, reach_of, tracked_motion
from vidal.evidence.summary import summarise
from vidal.evidence.windowed import Work
from vidal.evidence.windows import Window
from vidal.expected_errors import Evidence
from vidal.protocols import Motion
from vidal.store import to_arrays
from vidal.track.kalman import KalmanMotion
from vidal.types import Carried, Detections, ErrorEstimate


@dataclass(frozen=True, slots=True)
class _Judged:
    verdicts: ErrorEstimate | None
    rows: Evidence | None


def carry_window(work: Work, window: Window) -> None:
    """Carry the detections of a window where that takes no optical flow.

    By a tracker, which needs detections first, or by the detections alone.

    Raises:
        EvidenceLost: detections are not there.
        UnreadableClip: the file cannot be opened any more.
    """
    plan, clip, keys = work.job.plan, work.clip, work.keys.of(window)
    if plan.coherence is None or keys.carried is None or keys.flow is not None:
        return
    if work.store.known([keys.carried])[0] is not None:
        return
    reach = reach_of(plan.coherence, plan.expected)
    by_tracker = clip.pixels and not isinstance(plan.tracker, str)
    # A tracker's steps with the boxes of other frames may be this window's too, where boxes agree.
    around = window.grown(
        2 * reach.window if by_tracker else KALMAN_HALO + reach.window, clip.frames
    )
    there = _detections(work, around)
    motion: Motion = KalmanMotion.of(there)
    if by_tracker and not isinstance(plan.tracker, str):
        motion = tracked_motion(clip, there, plan.tracker, reach, around, report)
    work.keep_carried(window, there, motion, window.start - around.start)


def judge_window(work: Work, window: Window) -> None:
    """Estimate the errors of a window and sum it up; all windows have been looked at.

    Raises:
        EvidenceLost: what was seen is not there any more.
    """
    keys, plan = work.keys.of(window), work.job.plan
    wanted = [keys.estimate, keys.expected, keys.summary]
    known = [key is None or work.store.known([key])[0] is not None for key in wanted]
    if all(known):
        return
    if known[0] and known[1]:
        judged = _Judged(
            load_estimate(work.store, work.keys, window),
            load_evidence(work.store, work.keys, window),
        )
    else:
        judged = _judge(work, window)
        if keys.expected is not None:
            arrays = to_arrays(must(judged.rows))
            put(work.store, keys.expected, arrays, "expected", work.clip, window)
        put_estimate(work.store, must(keys.estimate), work.clip, window, must(judged.verdicts))
    if keys.summary is not None and plan.summary is not None:
        table = work.detections(window)
        summary = summarise(table, judged.verdicts, judged.rows, plan.summary)
        put(work.store, keys.summary, summary.arrays(), "summary", work.clip, window)


def _judge(work: Work, window: Window) -> _Judged:
    """Look at more and more of what lies around a window until it is certain what is in it."""
    plan, clip = work.job.plan, work.clip
    assert plan.coherence is not None
    halo = first_halo(plan.coherence, plan.expected)
    while True:
        around = window.grown(halo, clip.frames)
        there, carried = _detections(work, around), _carried(work, around)
        own = Window(window.start - around.start, window.stop - around.start)
        part = None
        if around != window:
            before, after = around.start > 0, around.stop < clip.frames
            part = Part(own.start, own.stop, before, after)
        verdicts = estimate_window(there, carried, plan.coherence, part, size=clip.size)
        if verdicts is not None:
            break
        halo *= 2
    rows = None
    if plan.expected is not None:
        rows = evidence_window(there, carried, verdicts, plan.expected, own, size=clip.size)
    return _Judged(verdicts, rows)


def _detections(work: Work, stretch: Window) -> Detections:
    if len(work.windows) == 1:
        return work.detections(work.windows[0])
    return load_detections(work.store, work.keys, stretch, columns=())


def _carried(work: Work, stretch: Window) -> Carried:
    if len(work.windows) == 1:
        made: Carried | None = work.made.get(must(work.keys.carried))
        if made is not None:
            return made
    carried: Carried = must(load_carried(work.store, work.keys, stretch))
    return carried
