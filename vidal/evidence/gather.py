"""Evidence of a clip: computed once, kept under content keys, reused by every strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from vidal.coherence import CoherenceOptions, estimate, prepare
from vidal.detect.spec import DetectorSpec
from vidal.engine.progress import report
from vidal.errors import EvidenceLost, UnreadableClip
from vidal.evidence.given import GivenDetections
from vidal.evidence.motion import KALMAN, MotionSource, tracked_motion, tracks_key
from vidal.evidence.places import store_at
from vidal.evidence.prints import keep_prints
from vidal.evidence.scan import gaps_after, scan_clip
from vidal.expected_errors import Evidence, ExpectedErrorsOptions, gather_evidence
from vidal.protocols import Detector, Motion, Store
from vidal.store import PLAIN, content_key, from_arrays, plain_fields, to_arrays
from vidal.track import FlowField, FlowMeter, FlowOptions, propagate
from vidal.track.kalman import KalmanMotion
from vidal.types import BoolArray, Clip, Detections, ErrorEstimate, SkippedClip
from vidal.video import read_frames
from vidal.video.prints import printed

VERSIONS = {"detections": 1, "flow": 1, "estimate": 1, "expected": 1}
"""Raise a number when the stage computes something else from the same options."""


@dataclass(frozen=True, slots=True)
class EvidencePlan:
    """What is computed for every clip.

    Attributes:
        store: root of the evidence store.
        detector: which detector; its ``key`` is part of every content key.
        batch: frames the detector sees at once.
        flow: how motion is measured; None where no estimate is wanted.
        coherence: how errors are estimated; None where they are not wanted.
        expected: how the evidence for expected errors is gathered; None where it is not wanted.
        tracker: what carries boxes; only ``flow`` reads the options of flow.
        suppressed: whether detections have to tell how many boxes they stand for: those that an
            earlier version stored do not, and are made anew.
        snapshots: earlier states of the detector, oldest first, whose detections are wanted too
            (``again``).
    """

    store: Path
    detector: DetectorSpec
    batch: int
    flow: FlowOptions | None
    coherence: CoherenceOptions | None
    expected: ExpectedErrorsOptions | None = None
    tracker: MotionSource = "flow"
    suppressed: bool = False
    snapshots: tuple[DetectorSpec, ...] = ()

    @property
    def again(self) -> tuple[EvidencePlan, ...]:
        """How the detections of each snapshot are computed."""
        bare = replace(
            self, flow=None, coherence=None, expected=None, suppressed=False, snapshots=()
        )
        return tuple(replace(bare, detector=snapshot) for snapshot in self.snapshots)

    @property
    def counts_suppressed(self) -> bool:
        """Whether stored detections without these counts are made anew: given ones cannot be."""
        return self.suppressed and not isinstance(self.detector, GivenDetections)

    def keys(self, clip: Clip) -> EvidenceKeys:
        """The content keys of one clip's evidence."""
        detections = content_key("detections", VERSIONS["detections"], [clip.id], self.detector.key)
        if self.flow is None or self.coherence is None:
            return EvidenceKeys(detections, None, None)
        flow, tracks, moves = None, None, dict(KALMAN)
        if clip.pixels and self.tracker == "flow":
            # Only clips with gaps have other keys than before gaps were seen.
            gaps = {"gaps": ends.tolist()} if len(ends := gaps_after(clip)) else {}
            flow = content_key("flow", VERSIONS["flow"], [clip.id], {**self.flow.key, **gaps})
            moves = dict(self.flow.motion_key)
        elif clip.pixels and not isinstance(self.tracker, str):
            tracks = tracks_key(detections, self.tracker, self.coherence, self.expected)
            moves = dict(self.tracker.key)
        options: dict[str, Any] = {"coherence": self.coherence.key, "motion": moves}
        verdicts = content_key("estimate", VERSIONS["estimate"], [detections, flow], options)
        if self.expected is None:
            return EvidenceKeys(detections, flow, verdicts, tracks=tracks)
        rows = content_key("expected", VERSIONS["expected"], [verdicts], self.expected.evidence_key)
        return EvidenceKeys(detections, flow, verdicts, rows, tracks)


@dataclass(frozen=True, slots=True)
class EvidenceKeys:
    """Where a clip's evidence lies in the store; None = not wanted."""

    detections: str
    flow: str | None
    estimate: str | None
    expected: str | None = None
    tracks: str | None = None


@dataclass(frozen=True, slots=True)
class EvidenceJob:
    """One clip to process: references only, so that it can travel to another process."""

    clip: Clip
    plan: EvidencePlan


@dataclass(frozen=True, slots=True)
class ClipEvidence:
    """What was done for a clip.

    Attributes:
        keys: where the evidence lies.
        classes: the detector's.
        lost: frames that did not decode.
        link_share: of the estimate, in [0, 1]; 1 where none was wanted.
        judged: detections that were judged; 0 where no estimate was wanted.
    """

    keys: EvidenceKeys
    classes: tuple[str, ...]
    lost: int
    link_share: float
    judged: int


def known_evidence(job: EvidenceJob, store: Store) -> ClipEvidence | SkippedClip | None:
    """What the store holds of a clip, if that is all that is wanted; else None.

    Only the few bytes that say so are read: the content is checked when it is used.
    """
    keys = job.plan.keys(job.clip)
    found = store.peek(keys.detections, (PLAIN, "scanned", "suppressed"))
    if found is None or len(found["scanned"]) != job.clip.frames:
        return None
    if job.plan.counts_suppressed and "suppressed" not in found:
        return None
    verdicts = None if keys.estimate is None else store.peek(keys.estimate, (PLAIN, "rows"))
    if keys.estimate is not None and verdicts is None:
        return None
    if keys.expected is not None and store.peek(keys.expected, ()) is None:
        return None
    judged = (0, 1.0)
    if verdicts is not None:
        judged = len(verdicts["rows"]), float(plain_fields(verdicts)["link_share"])
    return _summary(job, keys, found["scanned"], plain_fields(found)["classes"], judged)


def gather(job: EvidenceJob) -> ClipEvidence | SkippedClip:
    """Make sure that a clip's evidence is in the store. Runs wherever the engine wants."""
    store = store_at(job.plan.store)
    keys = job.plan.keys(job.clip)
    try:
        detections, verdicts = _compute(job, keys, store)
    except UnreadableClip as error:
        return SkippedClip(job.clip.path, error.why)
    judged = (0, 1.0) if verdicts is None else (len(verdicts.rows), verdicts.link_share)
    return _summary(job, keys, detections.scanned, detections.classes, judged)


def _summary(
    job: EvidenceJob,
    keys: EvidenceKeys,
    scanned: BoolArray,
    classes: Sequence[str],
    judged: tuple[int, float],
) -> ClipEvidence | SkippedClip:
    given = isinstance(job.plan.detector, GivenDetections)
    if not scanned.any():
        return SkippedClip(job.clip.path, "no frame could be decoded")
    return ClipEvidence(
        keys=keys,
        classes=tuple(classes),
        lost=0 if given else int((~scanned).sum()),
        link_share=judged[1],
        judged=judged[0],
    )


def _compute(
    job: EvidenceJob, keys: EvidenceKeys, store: Store
) -> tuple[Detections, ErrorEstimate | None]:
    """Scan for what is missing, then estimate; everything is put where it belongs."""
    plan, clip = job.plan, job.clip
    detections = _detections_of(clip, store, keys, counted=plan.counts_suppressed)
    motion = None if keys.flow is None else _load(store, keys.flow, FlowField)
    if motion is not None and len(motion.valid) != max(clip.frames - 1, 0):
        motion = None
    meter = None
    if plan.flow is not None and keys.flow is not None and motion is None:
        meter = FlowMeter(plan.flow, frames=clip.frames, size=clip.size)
    if meter is not None or (detections is None and clip.pixels):
        prints = np.zeros(clip.frames, np.uint64)
        found, measured = scan_clip(
            clip,
            printed(read_frames(clip), prints),
            detector=_detector(plan.detector) if detections is None else None,
            meter=meter,
            batch=plan.batch,
            report=report,
        )
        keep_prints(store, clip, prints)
        if found is not None:
            detections = found
            store.put(keys.detections, to_arrays(found))
        if measured is not None and keys.flow is not None:
            motion = measured
            store.put(keys.flow, measured.arrays())
    detections = _must(detections)
    if keys.estimate is None or plan.coherence is None or plan.flow is None:
        return detections, None
    if keys.flow is not None:
        motion = _must(motion).reading(mode=plan.flow.mode, scale=plan.flow.scale)
    else:
        motion = _other_motion(job, keys, detections, store)
    verdicts = estimate_errors(detections, motion, plan.coherence, size=clip.size)
    store.put(keys.estimate, to_arrays(verdicts))
    if keys.expected is not None and plan.expected is not None:
        rows = clip_evidence(detections, motion, verdicts, plan.expected, size=clip.size)
        store.put(keys.expected, to_arrays(rows))
    return detections, verdicts


def stored_motion(job: EvidenceJob, detections: Detections) -> Motion:
    """How a clip moves, by what ``gather`` has put into the store.

    Raises:
        EvidenceLost: the measured flow is not there any more.
    """
    store, keys, plan = store_at(job.plan.store), job.plan.keys(job.clip), job.plan
    if keys.flow is None or plan.flow is None:
        return _other_motion(job, keys, detections, store)
    field = _must(_load(store, keys.flow, FlowField))
    return field.reading(mode=plan.flow.mode, scale=plan.flow.scale)


def _other_motion(
    job: EvidenceJob, keys: EvidenceKeys, detections: Detections, store: Store
) -> Motion:
    """Motion that is not optical flow."""
    plan = job.plan
    if keys.tracks is None or isinstance(plan.tracker, str) or plan.coherence is None:
        return KalmanMotion.of(detections)
    return tracked_motion(
        job.clip,
        detections,
        plan.tracker,
        plan.coherence,
        plan.expected,
        store=store,
        key=keys.tracks,
        report=report,
    )


def estimate_errors(
    detections: Detections, motion: Motion, options: CoherenceOptions, *, size: tuple[int, int]
) -> ErrorEstimate:
    """Link, cluster, cut; ``rows`` of the result are rows of ``detections``."""
    judged = prepare(detections, options)
    carried = propagate(judged.detections, motion, window=options.window, size=size)
    verdicts = estimate(judged.detections, carried, options, size=size)
    return replace(verdicts, rows=judged.rows[verdicts.rows])


def clip_evidence(
    detections: Detections,
    motion: Motion,
    verdicts: ErrorEstimate | None,
    options: ExpectedErrorsOptions,
    *,
    size: tuple[int, int],
) -> Evidence:
    """Carry the detections that are looked at and gather the evidence of a clip.

    Args:
        detections: the clip's table.
        motion: of the clip.
        verdicts: of temporal coherence, ``rows`` of ``detections``; None = not known.
        options: threshold, floor and window are used.
        size: (H, W) of the frames.

    Raises:
        ValueError: verdicts on detections that are not looked at, because they were made with a
            lower threshold.
    """
    kept = np.flatnonzero(detections.scores > options.least_score)
    table = detections
    if len(kept) < len(detections):
        table = detections.keep(kept)
        if verdicts is not None:
            place = np.full(len(detections), -1, np.int64)
            place[kept] = np.arange(len(kept))
            if (place[verdicts.rows] < 0).any():
                raise ValueError("verdicts: on detections with scores that are not looked at")
            verdicts = replace(verdicts, rows=place[verdicts.rows])
    sure = np.flatnonzero(table.scores > min(options.carry, options.threshold))
    carried = propagate(table.keep(sure), motion, window=options.window, size=size)
    carried = replace(carried, origin=sure[carried.origin])
    evidence = gather_evidence(table, carried, verdicts, options, size=size)
    return replace(evidence, rows=kept[evidence.rows])


def load_detections(store: Store, keys: EvidenceKeys) -> Detections:
    """Detections that ``gather`` has put there."""
    return _must(_load(store, keys.detections, Detections))


def load_estimate(store: Store, keys: EvidenceKeys) -> ErrorEstimate | None:
    """The estimate that ``gather`` has put there; None where none was wanted."""
    return None if keys.estimate is None else _must(_load(store, keys.estimate, ErrorEstimate))


def load_evidence(store: Store, keys: EvidenceKeys) -> Evidence | None:
    """The rows for expected errors that ``gather`` has put there; None where none were wanted."""
    return None if keys.expected is None else _must(_load(store, keys.expected, Evidence))


def _detections_of(
    clip: Clip, store: Store, keys: EvidenceKeys, *, counted: bool
) -> Detections | None:
    """What is stored; None also where an earlier version counted the frames differently.

    Or where it did not count suppressed boxes, and they are to be ``counted``.
    """
    if counted and "suppressed" not in (store.peek(keys.detections, ("suppressed",)) or ()):
        return None
    detections = _load(store, keys.detections, Detections)
    return detections if detections is None or len(detections.scanned) == clip.frames else None


def _must(table: Any) -> Any:
    if table is None:
        raise EvidenceLost
    return table


def _load(store: Store, key: str, kind: type[Any]) -> Any:
    arrays = store.get(key)
    if arrays is None:
        return None
    return FlowField.from_arrays(arrays) if kind is FlowField else from_arrays(kind, arrays)


@lru_cache(maxsize=1)
def _detector(spec: DetectorSpec) -> Detector:
    """One loaded detector a process."""
    return spec.load()
