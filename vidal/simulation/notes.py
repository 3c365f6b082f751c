"""What is said of the runs of a simulation, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from vidal.evaluate.curves import Row
from vidal.words import counted


def pseudo_notes(rows: Sequence[Row]) -> list[str]:
    """Of every run that trained on labels nobody gave: how many, and how many of them are right."""
    notes = []
    for name in dict.fromkeys(row.strategy for row in rows if row.pseudo_labels):
        mine = [row.pseudo_labels for row in rows if row.strategy == name and row.pseudo_labels]
        total = {k: sum(each[k] for each in mine) for k in ("frames", "boxes", "right")}
        share = f"{total['right'] / total['boxes']:.0%}" if total["boxes"] else "none"
        notes.append(
            f"{name}: trained on pseudo-labels, too: {counted(total['boxes'], 'box', 'boxes')} on"
            f" {counted(total['frames'], 'frame')} over all rounds and seeds; {share} of them are"
            " right."
        )
    return notes
