"""What is computed for a clip, and under which keys it is kept."""

from __future__ import annotations

from collections.abc import Mapping
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
from vidal.store import content_key
from vidal.track import FlowOptions
from vidal.track.pixel_motion import VERSION as STEPS
from vidal.types import Clip

VERSIONS = {
    "detections": 1,
    "features": 1,
    "embeddings": 1,
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
        detections = content_key("detections", VERSIONS["detections"], [clip.id], self.detector.key)
        keys = EvidenceKeys(
            detections,
            None,
            None,
            features=self._beside(FEATURES, "features", detections),
            embeddings=self._beside(EMBEDDING, "embeddings", detections),
            windows=self.windows(clip),
        )
        if self.flow is not None and self.coherence is not None:
            keys = self._estimated(clip, keys)
        if self.summary is not None:
            inputs = [keys.detections, keys.estimate, keys.expected]
            key = content_key("summary", SUMMARY_VERSION, inputs, self.summary.key)
            keys = replace(keys, summary=key)
        return keys

    def _beside(self, column: str, stage: str, detections: str) -> str | None:
        if column not in self.columns:
            return None
        return content_key(stage, VERSIONS[stage], [detections], {})

    def _estimated(self, clip: Clip, keys: EvidenceKeys) -> EvidenceKeys:
        """With the keys of motion and of what is estimated by it."""
        assert self.flow is not None
        assert self.coherence is not None
        flow, moves = None, dict(KALMAN)
        if clip.pixels and self.tracker == "flow":
            # Only clips with gaps have other keys than before gaps were seen.
            gaps = {"gaps": ends.tolist()} if len(ends := gaps_after(clip)) else {}
            flow = content_key("flow", VERSIONS["flow"], [clip.id], {**self.flow.key, **gaps})
            moves = dict(self.flow.motion_key)
        elif clip.pixels and not isinstance(self.tracker, str):
            moves = dict(self.tracker.key)
        options: dict[str, Any] = {"coherence": self.coherence.key, "motion": moves}
        detections = keys.detections
        estimate = content_key("estimate", VERSIONS["estimate"], [detections, flow], options)
        reach = {"motion": moves, "steps": STEPS, **reach_of(self.coherence, self.expected).key}
        carried = content_key("carried", VERSIONS["carried"], [detections, flow], reach)
        expected = None
        if self.expected is not None:
            how = self.expected.evidence_key
            expected = content_key("expected", VERSIONS["expected"], [estimate], how)
        return replace(keys, flow=flow, carried=carried, estimate=estimate, expected=expected)


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
