"""Small pieces of SQL that the record of a campaign is made of."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidal.types import Annotations, FrameRef


def connect(path: Path) -> sqlite3.Connection:
    """A connection that waits for others and keeps the rules of the schema."""
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    return db


def nullable(score: float) -> float | None:
    """A score as SQL knows it: NaN is NULL."""
    return None if np.isnan(score) else float(score)


def set_state(db: sqlite3.Connection, ref: FrameRef, state: str) -> None:
    """A frame that was queried gets its answer."""
    db.execute(
        "UPDATE frames SET state = ? WHERE clip = ? AND frame = ?", (state, ref.clip, ref.index)
    )


def rows_of(tables: Mapping[str, Annotations], ref: FrameRef) -> list[tuple[Any, ...]]:
    """The boxes of a frame as rows of the table ``boxes``."""
    table = tables[ref.clip]
    rows = table.on(ref.index)
    return [
        (ref.clip, ref.index, *map(float, box), int(label), int(track), int(ignored))
        for box, label, track, ignored in zip(
            table.boxes[rows],
            table.labels[rows],
            table.track[rows],
            table.ignore[rows],
            strict=True,
        )
    ]
