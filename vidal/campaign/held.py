"""Labels of clips that are set aside: in tables of their own, which training cannot read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vidal.campaign._sql import rows_of, table_of
from vidal.campaign.record import Record
from vidal.types import Annotations, FrameRef


def hold(record: Record, tables: Mapping[str, Annotations]) -> int:
    """Keep labels of test and validation clips, in place of what was known of these frames.

    Args:
        record: open for writing.
        tables: clip id -> labels with the classes of the campaign.

    Returns:
        How many frames have labels now that had none.
    """
    refs = [
        FrameRef(name, int(index))
        for name in sorted(tables)
        for index in np.flatnonzero(tables[name].labelled)
    ]
    new = 0
    with record.transaction() as db:
        for ref in refs:
            at = (ref.clip, ref.index)
            db.execute("DELETE FROM held_boxes WHERE clip = ? AND frame = ?", at)
            new += db.execute("INSERT OR IGNORE INTO held_frames VALUES (?, ?)", at).rowcount
            db.executemany(
                "INSERT INTO held_boxes VALUES (?,?,?,?,?,?,?,?,?)", rows_of(tables, ref)
            )
        record.event(None, "held", {"frames": len(refs), "new": new})
    return new


def held(record: Record, clip_id: str, frames: int) -> Annotations:
    """The labels of a clip that is set aside.

    Args:
        record: open.
        clip_id: of the clip.
        frames: its length.
    """
    if record.version < 2:
        return table_of(record.classes, frames, [], [])
    labelled = record.db.execute("SELECT frame FROM held_frames WHERE clip = ?", (clip_id,))
    rows = record.db.execute(
        "SELECT frame, x1, y1, x2, y2, label, track, ignored FROM held_boxes WHERE clip = ?"
        " ORDER BY frame, rowid",
        (clip_id,),
    )
    return table_of(record.classes, frames, labelled.fetchall(), rows.fetchall())
