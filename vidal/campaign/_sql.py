"""Small pieces of SQL that the record of a campaign is made of."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from vidal.errors import CampaignError, InputError, OutputError, VidalError
from vidal.types import Annotations, FrameRef

SCHEMA = 3
"""The version of the record that this code writes."""
SCHEMAS = ("schema.sql", "schema_2.sql", "schema_3.sql")
"""What makes a record of each version out of the one before."""
PATIENCE = 30.0
"""Seconds to wait for another program that holds the record."""
CHECKED = 64 * 2**20
"""Records up to this many bytes are checked whole when they are opened."""


@contextmanager
def reporting_sql(path: Path) -> Iterator[None]:
    """Errors of SQLite about the file ``path`` as vidal's own.

    Broken rules of the schema (``IntegrityError``) stay what they are: they are bugs.

    Raises:
        InputError: damaged, or it cannot be opened.
        OutputError: it cannot be written (disk full, read-only).
        CampaignError: another program holds it.
    """
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        told = _told(path, error)
        if told is None:
            raise
        raise told from error


def _told(path: Path, error: sqlite3.Error) -> VidalError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    why, kind = str(error), code & 0xFF
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return CampaignError(
            f"{path}: another program holds the record of this campaign.",
            hint="Close it (a database browser?), and run this again.",
        )
    if kind in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
        return OutputError(path, why, hint="Nothing was recorded; mend it and run this again.")
    if kind in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return InputError(path, f"cannot be opened ({why})")
    return damaged(path, why)


def damaged(path: Path, why: str) -> InputError:
    """The error of a record that is not whole."""
    return InputError(path, f"the record is damaged ({why})", hint="Put back a copy of it.")


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection that waits for others and keeps the rules of the schema.

    Args:
        path: of the record.
        read_only: never write; the folder may be read-only too.
    """
    if read_only:
        return _reading(path)
    db = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        db.close()
        raise
    return db


def _reading(path: Path) -> sqlite3.Connection:
    """A connection for reading: a plain one where the folder may be written.

    A write-ahead log cannot be read without writing beside it. In a read-only folder the file is
    read as it is or, where a log with changes lies beside it, in a copy.
    """
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        db = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)
    else:
        log = path.with_name(f"{path.name}-wal")
        if log.is_file() and log.stat().st_size:
            with tempfile.TemporaryDirectory(prefix="vidal-") as folder:
                copied = Path(shutil.copy(path, folder))
                shutil.copy(log, folder)
                db = sqlite3.connect(":memory:", isolation_level=None)
                source = sqlite3.connect(copied)
                try:
                    source.backup(db)
                finally:
                    source.close()
        else:
            place = f"file:{quote(str(path.resolve()))}?immutable=1"
            db = sqlite3.connect(place, uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA query_only = ON")
    except BaseException:
        db.close()
        raise
    return db


def check_whole(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a damaged record before it gives wrong answers.

    Raises:
        InputError: it is damaged.
    """
    if path.stat().st_size <= CHECKED:
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise damaged(path, " ".join(str(found).split())[:100])


def statements(name: str) -> Iterator[str]:
    """The statements of a file of SQL of this package, one at a time.

    ``executescript`` would end the transaction that they have to be part of.
    """
    text = resources.files("vidal.campaign").joinpath(name).read_text("utf-8")
    whole = ""
    for line in text.splitlines(keepends=True):
        whole += line
        if sqlite3.complete_statement(whole):
            yield whole
            whole = ""


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


def table_of(
    classes: tuple[str, ...], frames: int, labelled: list[Any], boxes: list[Any]
) -> Annotations:
    """Labels of a clip from rows of the record.

    Args:
        classes: names, in the order of their labels.
        frames: of the clip.
        labelled: rows (frame,).
        boxes: rows (frame, x1, y1, x2, y2, label, track, ignored), sorted by frame.
    """
    mask = np.zeros(frames, np.bool_)
    mask[[frame for (frame,) in labelled]] = True
    table = np.array(boxes, np.float64).reshape(-1, 8)
    return Annotations(
        classes=classes,
        labelled=mask,
        frame=table[:, 0].astype(np.int64),
        boxes=table[:, 1:5].astype(np.float32),
        labels=table[:, 5].astype(np.int64),
        track=table[:, 6].astype(np.int64),
        ignore=table[:, 7].astype(np.bool_),
    )
