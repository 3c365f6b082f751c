"""What the record does not know is never deleted: it is moved aside."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from vidal.store import atomic


def make_room(folder: Path, frames: Sequence[tuple[str, int]]) -> None:
    """A query's folder that the record does not know goes aside; that of this very query goes.

    The same frames: a run that was killed before the record knew the round. Others: a record that
    was put back from a copy, and people may have annotated these pictures.

    Args:
        folder: of the query that will be written.
        frames: (clip, index) of that query, in order.

    Raises:
        OutputError: it cannot be moved.
    """
    if not os.path.lexists(folder):
        return
    if _frames_in(folder / "query.json") == list(frames):
        shutil.rmtree(folder, ignore_errors=True)
        return
    number = 1
    while os.path.lexists(aside := folder.with_name(f"{folder.name}-unknown-{number}")):
        number += 1
    with atomic.reporting(folder):
        folder.replace(aside)


def _frames_in(path: Path) -> list[tuple[str, int]] | None:
    """The frames of a query file; None where it is none."""
    try:
        frames = json.loads(path.read_text("utf-8"))["frames"]
        return [(row["clip"], row["ordinal"]) for row in frames]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
