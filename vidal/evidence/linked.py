"""A clip's stored detections with the links between them, which the store does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vidal.coherence import Prepared, link, prepare
from vidal.errors import EvidenceLost
from vidal.evidence.estimates import only
from vidal.evidence.load import load_carried, load_detections, load_estimate, load_evidence, must
from vidal.evidence.places import store_at
from vidal.evidence.plan import EvidenceJob, EvidencePlan
from vidal.evidence.stored_motion import stored_motion
from vidal.evidence.windows import Window
from vidal.expected_errors import Evidence
from vidal.protocols import Motion
from vidal.track import propagate
from vidal.types import Carried, Clip, Detections, ErrorEstimate, Links


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
    """What ``gather`` has put into the store; links are made again, from the carried boxes.

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
    carried = _carried(job, detections, judged)
    links = link(judged.detections, carried, plan.coherence, size=clip.size)
    return Linked(detections, judged, links, estimate, evidence)


def _carried(job: EvidenceJob, detections: Detections, judged: Prepared) -> Carried:
    plan = job.plan
    assert plan.coherence is not None
    try:
        found = must(load_carried(store_at(plan.store), plan.keys(job.clip)))
        return only(found, detections, judged.rows, plan.coherence.window)
    except EvidenceLost:  # an earlier version kept the motion, not the boxes
        motion, window = stored_motion(job, detections), plan.coherence.window
        return propagate(judged.detections, motion, window=window, size=job.clip.size)


@dataclass(frozen=True, slots=True)
class MotionOf:
    """How the clips of a run move, for whoever shows neighbouring frames; read when asked for.

    Attributes:
        plan: how the run's evidence was gathered.
        clips: clip id -> clip.
    """

    plan: EvidencePlan
    clips: Mapping[str, Clip] = field(default_factory=dict)

    def __call__(self, clip: str, window: Window | None = None) -> Motion | None:
        """Of one clip, or of some frames of it, counted from the first of these; None where no
        motion was measured, or it is not kept any more."""
        if self.plan.coherence is None or clip not in self.clips:
            return None
        job = EvidenceJob(self.clips[clip], self.plan)
        try:
            keys = self.plan.keys(job.clip)
            store = store_at(self.plan.store)
            return stored_motion(job, load_detections(store, keys, window, columns=()), window)
        except EvidenceLost:
            return None
