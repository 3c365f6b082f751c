"""Evidence of a clip: computed once, kept under content keys, reused by every strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidal.errors import UnreadableClip
from vidal.evidence.estimates import clip_evidence, estimate_errors
from vidal.evidence.given import GivenDetections
from vidal.evidence.judging import carry_window, judge_window
from vidal.evidence.known import known_clips, known_evidence
from vidal.evidence.load import (
    load_carried,
    load_detections,
    load_estimate,
    load_evidence,
    load_summary,
    must,
)
from vidal.evidence.plan import (
    VERSIONS,
    ClipEvidence,
    EvidenceJob,
    EvidenceKeys,
    EvidencePlan,
)
from vidal.evidence.stored_motion import stored_motion
from vidal.evidence.windowed import Work, scan_windows
from vidal.evidence.windows import Window
from vidal.types import SkippedClip
from vidal.video.stretch import run_up

__all__ = [
    "VERSIONS",
    "ClipEvidence",
    "EvidenceJob",
    "EvidenceKeys",
    "EvidencePlan",
    "WindowJob",
    "clip_evidence",
    "estimate_errors",
    "gather",
    "gather_window",
    "known_clips",
    "known_evidence",
    "load_carried",
    "load_detections",
    "load_estimate",
    "load_evidence",
    "load_summary",
    "stored_motion",
]


@dataclass(frozen=True, slots=True)
class WindowJob:
    """One step with some windows of a clip: references only, so that it can travel.

    Attributes:
        job: the clip.
        windows: that follow each other.
        step: ``look`` at their frames, or look ``anew`` from the clip's first frame on; ``carry``
            their detections (where looking has not done it), or ``judge`` them: each needs the step
            before of all windows of the clip.
    """

    job: EvidenceJob
    windows: tuple[Window, ...]
    step: str


def gather(job: EvidenceJob) -> ClipEvidence | SkippedClip:
    """Make sure that a clip's evidence is in the store. Runs wherever the engine wants."""
    work = Work.on(job)
    try:
        scan_windows(work, work.windows)
        for window in work.windows:
            carry_window(work, window)
        for window in work.windows:
            judge_window(work, window)
    except UnreadableClip as error:
        return SkippedClip(job.clip.path, error.why)
    outcome: ClipEvidence | SkippedClip = must(known_evidence(job, work.store))
    return outcome


def gather_window(work: WindowJob) -> SkippedClip | None:
    """One step with some windows of a clip. Runs wherever the engine wants."""
    clip = Work.on(work.job)
    try:
        if work.step in ("look", "anew"):
            scan_windows(clip, work.windows, anew=work.step == "anew")
        else:
            step = carry_window if work.step == "carry" else judge_window
            for window in work.windows:
                step(clip, window)
    except UnreadableClip as error:
        return SkippedClip(work.job.clip.path, error.why)
    return None


def steps_of(job: EvidenceJob) -> tuple[str, ...]:
    """The steps that a clip's windows go through, in order."""
    keys = job.plan.keys(job.clip)
    by_flow = keys.flow is not None or keys.carried is None
    return ("look", "judge") if by_flow else ("look", "carry", "judge")


def stretches(job: EvidenceJob, windows: Sequence[Window]) -> list[tuple[Window, ...]]:
    """Windows in groups that are looked at in one go.

    Where decoding cannot begin near a window's start, it is looked at by whoever looks at the
    window before it: at most half as many frames again are decoded in vain.
    """
    margin = Work.on(job).margin
    groups: list[list[Window]] = []
    for window in windows:
        start = window.grown(margin, job.clip.frames).start
        follows = bool(groups) and groups[-1][-1].stop == window.start
        near = not job.clip.pixels or 2 * (start - run_up(job.clip, start)) <= window.frames
        if follows and not near:
            groups[-1].append(window)
        else:
            groups.append([window])
    return [tuple(group) for group in groups]


def is_given(job: EvidenceJob) -> bool:
    """Whether no detector runs."""
    return isinstance(job.plan.detector, GivenDetections)
