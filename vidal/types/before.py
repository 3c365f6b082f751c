"""Names of what a detector tells of the time before suppression."""

from __future__ import annotations

AROUND = (
    "around",
    "around close",
    "around score",
    "around spread",
    "around loser",
    "around overlap",
    "around consensus",
    "around hull",
    "around objectness",
    "around foreground",
    "own objectness",
    "own moved",
)
REFUSED = ("x1", "y1", "x2", "y2", "objectness", "foreground")
REFUSED_KEPT = 12
