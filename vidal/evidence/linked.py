"""A clip's stored detections with the links between them, which the store does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vidal.coherence import Prepared, link, prepare
from vidal.errors import EvidenceLost
from vidal.evidence.gather import (
    EvidenceJob,
    EvidencePlan,
    load_detections,
    load_estimate,
    load_evidence,
    stored_motion,
)
from vidal.evidence.places import store_at
from vidal.expected_errors import Evidence
from vidal.protocols import Motion
from vidal.track import propagate
from vidal.types import Clip, Detections, ErrorEstimate, Links


@dataclass(frozen=True, slots=True, eq=False)
class Linked:
    """What is known of a clip's detections.

    Attributes:
        detections: all of the clip.
        judged: those above the threshold.
        links: of the judged ones.
        estimate: the cut's verdicts, row by row of the judged ones, and its candidates.
        evidence: of expected errors.
    """

    detections: Detections
    judged: Prepared
    links: Links
    estimate: ErrorEstimate
    evidence: Evidence


def load_linked(job: EvidenceJob) -> Linked:
    """What ``gather`` has put into the store; links are made again, from the stored motion.

    Args:
        job: its plan estimates errors and gathers evidence for expected ones.

    Raises:
        EvidenceLost: it is not there.
    """
    plan, clip = job.plan, job.clip
    assert plan.coherence is not None
    store, keys = store_at(plan.store), plan.keys(clip)
    detections = load_detections(store, keys)
    estimate, evidence = load_estimate(store, keys), load_evidence(store, keys)
    assert estimate is not None
    assert evidence is not None
    judged = prepare(detections, plan.coherence)
    carried = propagate(
        judged.detections,
        stored_motion(job, detections),
        window=plan.coherence.window,
        size=clip.size,
    )
    links = link(judged.detections, carried, plan.coherence, size=clip.size)
    return Linked(detections, judged, links, estimate, evidence)


@dataclass(frozen=True, slots=True)
class MotionOf:
    """How the clips of a run move, for whoever shows neighbouring frames; read when asked for.

    Attributes:
        plan: how the run's evidence was gathered.
        clips: clip id -> clip.
    """

    plan: EvidencePlan
    clips: Mapping[str, Clip] = field(default_factory=dict)

    def __call__(self, clip: str) -> Motion | None:
        """Of one clip; None where none was measured, or it is not kept any more."""
        if self.plan.coherence is None or clip not in self.clips:
            return None
        job = EvidenceJob(self.clips[clip], self.plan)
        try:
            detections = load_detections(store_at(self.plan.store), self.plan.keys(job.clip))
            return stored_motion(job, detections)
        except EvidenceLost:
            return None
