"""How a clip moves, as far as its detections were carried."""

from __future__ import annotations

from vidal.errors import EvidenceLost
from vidal.evidence.load import load_carried
from vidal.evidence.motion import CarriedMotion, reach_of
from vidal.evidence.places import store_at
from vidal.evidence.plan import EvidenceJob
from vidal.evidence.windows import Window
from vidal.protocols import Motion
from vidal.track import FlowField
from vidal.track.kalman import KalmanMotion
from vidal.types import Detections


def stored_motion(job: EvidenceJob, detections: Detections, window: Window | None = None) -> Motion:
    """How a clip moves, by what ``gather`` has put into the store.

    Args:
        job: the clip; its plan estimates errors.
        detections: of the clip, or of the frames of ``window``.
        window: some of its frames; None = all.

    Returns:
        Knows where the detections went that the plan carries, as far as it carries them.

    Raises:
        EvidenceLost: that is not there any more.
    """
    plan, store, keys = job.plan, store_at(job.plan.store), job.plan.keys(job.clip)
    assert plan.coherence is not None
    try:
        carried = load_carried(store, keys, window)
    except EvidenceLost:
        carried = None
    if carried is not None:
        return CarriedMotion(detections, carried, reach_of(plan.coherence, plan.expected))
    # What an earlier version has left: the flow itself.
    if keys.flow is None and window is None and isinstance(plan.tracker, str):
        return KalmanMotion.of(detections)
    arrays = store.get(keys.flow) if keys.flow is not None and window is None else None
    if arrays is None or plan.flow is None:
        raise EvidenceLost
    return FlowField.from_arrays(arrays).reading(mode=plan.flow.mode, scale=plan.flow.scale)
