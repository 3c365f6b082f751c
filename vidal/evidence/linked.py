"""A clip's stored detections with the links between them, which the store does not hold."""

from __future__ import annotations

from dataclasses import dataclass

from vidal.coherence import Prepared, link, prepare
from vidal.evidence.gather import (
    EvidenceJob,
    load_detections,
    load_estimate,
    load_evidence,
    stored_motion,
)
from vidal.evidence.places import store_at
from vidal.expected_errors import Evidence
from vidal.track import propagate
from vidal.types import Detections, ErrorEstimate, Links


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
