"""A clip's stored detections with the links between them, which the store does not hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

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
from vidal.track import propagate
from vidal.types import Clip, Detections, ErrorEstimate, IntArray, Links


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


@dataclass(frozen=True, slots=True, eq=False)
class NearLinks:
    """The links around some frames of a clip.

    Attributes:
        rows: (N,) int64, increasing: rows of the clip's ``Detections`` that were carried.
        links: of these; ``src``, ``dst`` and ``carried.origin`` count positions in ``rows``.
    """

    rows: IntArray
    links: Links


@dataclass(frozen=True, slots=True)
class LinksAround:
    """Links around frames of a run's clips, for whoever shows them; made when they are asked for.

    Attributes:
        plan: how the run's evidence was gathered.
        clips: clip id -> clip.
    """

    plan: EvidencePlan
    clips: Mapping[str, Clip] = field(default_factory=dict)

    def __call__(self, clip: str, frames: Collection[int]) -> NearLinks | None:
        """Links of the detections at most a window away from ``frames``, as the estimate had them.

        Returns:
            None where none are estimated, or the measured motion is not kept any more.
        """
        coherence = self.plan.coherence
        if coherence is None or clip not in self.clips or not frames:
            return None
        job = EvidenceJob(self.clips[clip], self.plan)
        try:
            detections = load_detections(store_at(self.plan.store), self.plan.keys(job.clip))
            motion = stored_motion(job, detections)
        except EvidenceLost:
            return None
        judged = prepare(detections, coherence)
        away = np.abs(judged.detections.frame[:, None] - np.array(sorted(frames))[None])
        near = np.flatnonzero(away.min(axis=1) <= coherence.window)
        table = judged.detections.keep(near)
        carried = propagate(table, motion, window=coherence.window, size=job.clip.size)
        return NearLinks(judged.rows[near], link(table, carried, coherence, size=job.clip.size))
