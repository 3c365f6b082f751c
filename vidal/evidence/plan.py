"""What is computed for a clip, and under which keys it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from vidal.store import KeyMaker, content_key
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
        """The content keys of one clip's evidence; of many clips better ``keys_of``."""
        return self.keys_of((clip,))[0]

    def keys_of(self, clips: Sequence[Clip]) -> list[EvidenceKeys]:
        """The content keys of each of many clips, in order."""
        makers = _Makers(self)
        return [makers.keys(clip) for clip in clips]


class _Makers:
    """Makes the keys of clips: what options say is put into words once."""

    def __init__(self, plan: EvidencePlan) -> None:
        self._plan = plan
        self._detections = _maker("detections", plan.detector.key)
        self._beside = {
            stage: _maker(stage, {}) for stage in _BESIDE if _BESIDE[stage] in plan.columns
        }
        self._moves: dict[bool, _Moves] = {}
        self._summary = None
        if plan.summary is not None:
            self._summary = KeyMaker("summary", SUMMARY_VERSION, plan.summary.key)

    def keys(self, clip: Clip) -> EvidenceKeys:
        """Of one clip."""
        plan, detections = self._plan, self._detections([clip.id])
        more: dict[str, Any] = {stage: made([detections]) for stage, made in self._beside.items()}
        if plan.flow is not None and plan.coherence is not None:
            if clip.pixels not in self._moves:
                self._moves[clip.pixels] = _Moves(plan, pixels=clip.pixels)
            more |= self._moves[clip.pixels].keys(clip, detections)
        more = {"flow": None, "estimate": None, **more}
        keys = EvidenceKeys(detections, windows=plan.windows(clip), **more)
        if self._summary is None:
            return keys
        summary = self._summary([keys.detections, keys.estimate, keys.expected])
        return replace(keys, summary=summary)


class _Moves:
    """Makes the keys of motion, and of what is estimated by it, of clips with pixels or without."""

    def __init__(self, plan: EvidencePlan, *, pixels: bool) -> None:
        assert plan.flow is not None
        assert plan.coherence is not None
        self._flow = dict(plan.flow.key) if pixels and plan.tracker == "flow" else None
        self._measured = None if self._flow is None else _maker("flow", self._flow)
        moves: dict[str, Any] = dict(KALMAN)
        if self._flow is not None:
            moves = dict(plan.flow.motion_key)
        elif pixels and not isinstance(plan.tracker, str):
            moves = dict(plan.tracker.key)
        self._estimate = _maker("estimate", {"coherence": plan.coherence.key, "motion": moves})
        reach = reach_of(plan.coherence, plan.expected).key
        self._carried = _maker("carried", {"motion": moves, "steps": STEPS, **reach})
        self._expected = None
        if plan.expected is not None:
            self._expected = _maker("expected", plan.expected.evidence_key)

    def keys(self, clip: Clip, detections: str) -> dict[str, str | None]:
        """By stage."""
        flow = None
        if self._flow is not None and self._measured is not None:
            # Only clips with gaps have other keys than before gaps were seen.
            ends = gaps_after(clip)
            made = self._measured
            if len(ends):
                made = _maker("flow", {**self._flow, "gaps": ends.tolist()})
            flow = made([clip.id])
        estimate = self._estimate([detections, flow])
        expected = None if self._expected is None else self._expected([estimate])
        carried = self._carried([detections, flow])
        return {"flow": flow, "carried": carried, "estimate": estimate, "expected": expected}


_BESIDE = {"features": FEATURES, "embeddings": EMBEDDING}
"""Stage -> what a detector says beside its boxes."""


def _maker(stage: str, options: Mapping[str, Any]) -> KeyMaker:
    return KeyMaker(stage, VERSIONS[stage], options)


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
