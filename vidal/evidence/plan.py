"""What is computed for a clip, and under which keys it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from vidal.coherence import CoherenceOptions
from vidal.detect.spec import DetectorSpec
from vidal.evidence.given import GivenDetections
from vidal.evidence.motion import KALMAN, MotionSource, reach_of
from vidal.evidence.scan import gaps_after
from vidal.evidence.summary import VERSION as SUMMARY_VERSION
from vidal.evidence.summary import SummaryOptions
from vidal.evidence.windows import WINDOW, Window, cut_windows
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.store import Keys, content_key
from vidal.track import FlowOptions
from vidal.track.pixel_motion import VERSION as STEPS
from vidal.types import Clip

VERSIONS = {
    "detections": 1,
    "features": 1,
    "embeddings": 2,
    "flow": 1,
    "carried": 1,
    "estimate": 1,
    "expected": 2,
}
"""Raise a number when the stage computes something else from the same options."""

FEATURES, EMBEDDING = "features", "embedding"
"""What a detector says beside its boxes, and what is kept only where somebody reads it."""


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
        columns: of ``features`` and ``embedding``, those that somebody will read.
        summary: how boxes are summed up by frame; None where no sums are wanted.
        window: frames that are worked on, and kept, at once; longer clips are cut.
        keep_flow: whether measured flow stays in the store; else only the boxes that it carried.
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
    columns: frozenset[str] = frozenset()
    summary: SummaryOptions | None = None
    window: int = WINDOW
    keep_flow: bool = False

    @property
    def again(self) -> tuple[EvidencePlan, ...]:
        """How the detections of each snapshot are computed."""
        bare = replace(
            self,
            flow=None,
            coherence=None,
            expected=None,
            suppressed=False,
            snapshots=(),
            columns=frozenset(),
            summary=None,
        )
        return tuple(replace(bare, detector=snapshot) for snapshot in self.snapshots)

    @property
    def counts_suppressed(self) -> bool:
        """Whether stored detections without these counts are made anew: given ones cannot be."""
        return self.suppressed and not isinstance(self.detector, GivenDetections)

    def windows(self, clip: Clip) -> tuple[Window, ...]:
        """The windows that a clip is worked on in."""
        given = isinstance(self.detector, GivenDetections)
        return cut_windows(clip.frames, self.window, 1 if given else self.batch)

    def keys(self, clip: Clip) -> EvidenceKeys:
        """The content keys of one clip's evidence."""
        return next(self.keys_of([clip]))

    def keys_of(self, clips: Iterable[Clip]) -> Iterator[EvidenceKeys]:
        """The same of many, for much less than one by one: options are looked at once."""
        stages = _Stages.of(self)
        return (stages.keys(clip, self.windows(clip)) for clip in clips)


@dataclass(frozen=True, slots=True)
class _Stages:
    """What keys are made by; None = not wanted.

    Attributes:
        flow: of optical flow.
        flow_options: its options; clips with gaps have these as well.
        estimate, carried: without and with pixels, which boxes are carried by.
    """

    detections: Keys
    features: Keys | None
    embeddings: Keys | None
    flow: Keys | None
    flow_options: Mapping[str, Any]
    estimate: tuple[Keys, Keys] | None
    carried: tuple[Keys, Keys] | None
    expected: Keys | None
    summary: Keys | None

    @classmethod
    def of(cls, plan: EvidencePlan) -> _Stages:
        def stage(name: str, options: Mapping[str, Any]) -> Keys:
            return Keys(name, VERSIONS[name], options)

        flow, estimate, carried, expected, summary = None, None, None, None, None
        if plan.flow is not None and plan.coherence is not None:
            moves = dict(KALMAN)
            if plan.tracker == "flow":
                flow, moves = stage("flow", plan.flow.key), dict(plan.flow.motion_key)
            elif not isinstance(plan.tracker, str):
                moves = dict(plan.tracker.key)
            both = (dict(KALMAN), moves)
            key, reach = plan.coherence.key, reach_of(plan.coherence, plan.expected).key
            first, second = (stage("estimate", {"coherence": key, "motion": m}) for m in both)
            estimate = first, second
            first, second = (stage("carried", {"motion": m, "steps": STEPS, **reach}) for m in both)
            carried = first, second
            if plan.expected is not None:
                expected = stage("expected", plan.expected.evidence_key)
        if plan.summary is not None:
            summary = Keys("summary", SUMMARY_VERSION, plan.summary.key)
        return cls(
            stage("detections", plan.detector.key),
            stage("features", {}) if FEATURES in plan.columns else None,
            stage("embeddings", {}) if EMBEDDING in plan.columns else None,
            flow,
            {} if plan.flow is None else plan.flow.key,
            estimate,
            carried,
            expected,
            summary,
        )

    def keys(self, clip: Clip, windows: tuple[Window, ...]) -> EvidenceKeys:
        """Of a clip."""
        detections = self.detections([clip.id])
        flow, estimate, carried, expected = None, None, None, None
        if self.flow is not None and clip.pixels:
            # Only clips with gaps have other keys than before gaps were seen.
            flow = self.flow([clip.id])
            if len(ends := gaps_after(clip)):
                options = {**self.flow_options, "gaps": ends.tolist()}
                flow = content_key("flow", VERSIONS["flow"], [clip.id], options)
        if self.estimate is not None and self.carried is not None:
            estimate = self.estimate[clip.pixels]([detections, flow])
            carried = self.carried[clip.pixels]([detections, flow])
            expected = None if self.expected is None else self.expected([estimate])
        inputs = [detections, estimate, expected]
        return EvidenceKeys(
            detections,
            flow,
            estimate,
            expected,
            carried,
            None if self.features is None else self.features([detections]),
            None if self.embeddings is None else self.embeddings([detections]),
            None if self.summary is None else self.summary(inputs),
            windows,
        )


@dataclass(frozen=True, slots=True)
class EvidenceKeys:
    """Where the evidence of a clip, or of one window of it, lies in the store; None = not wanted.

    Attributes:
        windows: of the clip. Where there are more than one, each has keys of its own (``of``), and
            nothing lies under the keys of the clip.
    """

    detections: str
    flow: str | None
    estimate: str | None
    expected: str | None = None
    carried: str | None = None
    features: str | None = None
    embeddings: str | None = None
    summary: str | None = None
    windows: tuple[Window, ...] = ()

    def of(self, window: Window | None) -> EvidenceKeys:
        """The keys of one of the windows; of a clip that has one window, those of the clip."""
        if window is None or len(self.windows) < 2:
            return self
        own = {
            name: content_key("window", 1, [key, window.start, window.stop], {})
            for name, key in self.by_stage().items()
        }
        return replace(self, **own, windows=(window,))

    def parts(self) -> tuple[EvidenceKeys, ...]:
        """The keys of every window, in order."""
        return tuple(self.of(window) for window in self.windows) or (self,)

    def by_stage(self) -> Mapping[str, str]:
        """Name of the field -> key, of those that are wanted."""
        named = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: key for name, key in named if isinstance(key, str)}


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
