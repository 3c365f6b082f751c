"""What became of the frames of a round."""

from __future__ import annotations

from vidal.campaign.record import Record
from vidal.types import FrameRef


def states_of(record: Record, number: int) -> dict[FrameRef, str]:
    """The frames of a round, most wanted first: ``queried`` (waits), ``labelled``, ``skipped``."""
    rows = record.db.execute(
        "SELECT clip, frame, state FROM frames WHERE round = ? ORDER BY rank", (number,)
    )
    return {FrameRef(clip, frame): state for clip, frame, state in rows}
