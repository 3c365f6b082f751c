"""Labels of clips that are set aside: in tables of their own, which training cannot read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vidal.campaign._sql import rows_of, table_of
from vidal.campaign.record import Record
from vidal.campaign.same import same_answer
from vidal.campaign.versions import Source, enter_held
from vidal.types import Annotations, FrameRef


def hold(record: Record, tables: Mapping[str, Annotations], *, source: Source | None = None) -> int:
    """Keep labels of test and validation clips, in place of what was known of these frames.

    Where nothing is said that is not known already, nothing is written.

    Args:
        record: open for writing.
        tables: clip id -> labels with the classes of the campaign.
        source: the file that they come from.

    Returns:
        How many frames have labels now that had none.
    """
    new, other = held_changes(record, tables)
    changed = [*new, *other]
    if not changed:
        return 0
    with record.transaction() as db:
        for ref in changed:
            at = (ref.clip, ref.index)
            db.execute("DELETE FROM held_boxes WHERE clip = ? AND frame = ?", at)
            db.execute("INSERT OR IGNORE INTO held_frames VALUES (?, ?)", at)
            db.executemany(
                "INSERT INTO held_boxes VALUES (?,?,?,?,?,?,?,?,?)", rows_of(tables, ref)
            )
        enter_held(record, source, [(ref, rows_of(tables, ref)) for ref in changed])
        record.event(None, "held", {"frames": len(changed), "new": len(new)})
    return len(new)


def held_changes(
    record: Record, tables: Mapping[str, Annotations]
) -> tuple[list[FrameRef], list[FrameRef]]:
    """Frames that have no labels yet, and frames whose labels would be others."""
    new, other = [], []
    for name in sorted(tables):
        table = tables[name]
        known = held(record, name, table.frames)
        for index in np.flatnonzero(table.labelled).tolist():
            ref = FrameRef(name, index)
            if not known.labelled[index]:
                new.append(ref)
            elif not same_answer(known, table, index):
                other.append(ref)
    return new, other


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
