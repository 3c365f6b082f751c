"""What the answers to a campaign's queries say: read from the record and from the queries' files.

The one place: what strategies are told, what is recorded, and what people read is made here, from
what is recorded at that moment. So an answer that changes, or is taken back, changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vidal.campaign.folder import Campaign
from vidal.campaign.oracle import by_clip, only
from vidal.campaign.record import GIVEN, Round
from vidal.selection.asked import FILE, Asked, answered_items, judge_asked, read_asked
from vidal.selection.history import AnsweredQuery, History
from vidal.types import UNKNOWN, Annotations, FloatArray, FrameRef, Items


def history_of(campaign: Campaign, *, before: int | None = None) -> History:
    """All answered queries (with a lower number than ``before``).

    Raises:
        InputError: what a query asked for was kept, and cannot be read.
    """
    entries = [
        entry
        for entry in campaign.record.rounds()
        if entry.strategy != GIVEN
        and entry.state in ("answered", "trained")
        and (before is None or entry.number < before)
    ]

    def last(strategy: str) -> Items | None:
        newest = entries[-1] if entries else None
        asked = None if newest is None else _asked(campaign, newest)
        if newest is None or asked is None or asked.strategy != strategy or not asked.columns:
            return None
        return answered_items(asked, _answers(campaign, newest))

    return History(tuple(_answered(campaign, entry) for entry in entries), last)


def called_unknown(campaign: Campaign, frames: Sequence[FrameRef]) -> dict[FrameRef, FloatArray]:
    """Frame -> (n, 4) boxes that annotators called unknown objects, of frames with some."""
    record = campaign.record
    lengths = {clip.id: clip.frames for clip in record.clips("train")}
    found = {}
    for name, indices in by_clip(frames).items():
        table = record.annotations(name, lengths[name])
        for index in indices:
            rows = np.flatnonzero((table.frame == index) & (table.labels == UNKNOWN))
            if len(rows):
                found[FrameRef(name, index)] = table.boxes[rows]
    return found


def _answered(campaign: Campaign, entry: Round) -> AnsweredQuery:
    asked = _asked(campaign, entry)
    counts = None if asked is None else judge_asked(asked, _answers(campaign, entry))
    return AnsweredQuery(entry.number, entry.strategy, counts)


def _asked(campaign: Campaign, entry: Round) -> Asked | None:
    return read_asked(campaign.query(entry.number) / FILE)


def _answers(campaign: Campaign, entry: Round) -> Mapping[str, Annotations]:
    """Clip id -> the labels of the round's frames, as the campaign has them."""
    record = campaign.record
    lengths = {clip.id: clip.frames for clip in record.clips("train")}
    return {
        name: only(record.annotations(name, lengths[name]), indices)
        for name, indices in sorted(by_clip(record.queried_in(entry.number)).items())
    }
