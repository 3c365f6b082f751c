"""Versions of the record: which can be read, and how an older one becomes the present one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from vidal.campaign._sql import (
    SCHEMA,
    SCHEMAS,
    check_whole,
    connect,
    damaged,
    reporting_sql,
    statements,
)
from vidal.campaign.places import located, place
from vidal.errors import InputError
from vidal.store import atomic


def check_version(path: Path, version: int, *, oldest: int = SCHEMA) -> None:
    """Refuse a record that this code cannot read.

    Raises:
        InputError: of a version below ``oldest`` or above ``SCHEMA``.
    """
    if version > SCHEMA:
        raise InputError(
            path,
            f"a campaign of version {version}, made by a newer vidal; this one reads up to"
            f" version {SCHEMA}",
            hint="Install the newer vidal.",
        )
    if version < 1:
        raise damaged(path, "it does not say its version")
    if version < oldest:
        raise InputError(
            path,
            f"a campaign of version {version}; the present version is {SCHEMA}",
            hint="`vidal status` brings it up to date where its folder can be written.",
        )


def version_of(path: Path) -> int:
    """The version of a record; nothing is changed.

    Raises:
        InputError, OutputError, CampaignError: see ``reporting_sql``.
    """
    with reporting_sql(path), closing(connect(path, read_only=True)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(path: Path) -> str:
    """Bring a record of an older version up to date, in one transaction; the caller holds the lock.

    The record as it was is copied beside it first (``campaign.v1.sqlite``). In one of version 1
    paths of clips become relative where the clips lie in the campaign's project; what is not there
    keeps its path. The answers of one below version 3 become their own first versions.

    Returns:
        What was done, one sentence.

    Raises:
        InputError: damaged, or of a version that cannot be brought up to date.
        OutputError: the folder cannot be written.
    """
    with reporting_sql(path), closing(connect(path)) as db:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        check_version(path, version, oldest=1)
        check_whole(db, path)
        kept = _copy(db, path, version)
        db.execute("BEGIN IMMEDIATE")
        try:
            for name in SCHEMAS[version:]:
                for statement in statements(name):
                    db.execute(statement)
            if version < 2:
                _shorten(db, path.parent)
                set_home(db, path.parent)
            _first_versions(db)
            db.execute(
                "INSERT INTO events (time, round, kind, detail) VALUES (?, NULL, 'migrated', ?)",
                (datetime.now(UTC).isoformat(), f'{{"from": {version}, "to": {SCHEMA}}}'),
            )
            db.execute(f"PRAGMA user_version = {SCHEMA}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    return (
        f"{path.parent}: brought the campaign from version {version} to version {SCHEMA};"
        f" the record as it was is {kept.name}."
    )


def _copy(db: sqlite3.Connection, path: Path, version: int) -> Path:
    """The record as it is, in another file: whole or not at all; an earlier copy is kept."""
    target, number = path.with_name(f"{path.stem}.v{version}{path.suffix}"), 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.stem}.v{version}-{number}{path.suffix}")
    temporary = target.with_name(f".{target.name}.new")
    with atomic.reporting(target):
        temporary.unlink(missing_ok=True)
        with closing(sqlite3.connect(temporary)) as copied:
            db.backup(copied)
        temporary.replace(target)
        atomic.sync_folder(target.parent)
    return target


def _shorten(db: sqlite3.Connection, folder: Path) -> None:
    """Paths of clips relative to the campaign where they lie in its project."""
    for clip, path, root in db.execute("SELECT id, path, root FROM clips").fetchall():
        whole, base = located(path, folder, None), located(root, folder, None)
        if whole.exists():
            db.execute(
                "UPDATE clips SET path = ?, root = ? WHERE id = ?",
                (place(whole, folder), place(base, folder), clip),
            )


def _first_versions(db: sqlite3.Connection) -> None:
    """Answers that nobody kept versions of: what they say now is their first."""
    boxes: dict[tuple[str, int], list[tuple[float, ...]]] = {}
    for table in ("boxes", "held_boxes"):
        for clip, frame, *rest in db.execute(f"SELECT * FROM {table} ORDER BY rowid"):
            boxes.setdefault((clip, frame), []).append(tuple(rest))
    rows = db.execute(
        "SELECT clip, frame, state FROM frames WHERE state != 'queried' UNION ALL"
        " SELECT clip, frame, 'labelled' FROM held_frames ORDER BY 1, 2"
    ).fetchall()
    db.executemany(
        "INSERT INTO answers (clip, frame, state, boxes) VALUES (?, ?, ?, ?)",
        [
            (*row, json.dumps(boxes.get(row[:2], []), separators=(",", ":"), allow_nan=False))
            for row in rows
        ],
    )


def set_home(db: sqlite3.Connection, folder: Path) -> None:
    """Write down where the campaign lies: its relative paths count from there."""
    db.execute("INSERT OR REPLACE INTO meta VALUES ('home', ?)", (str(folder.resolve()),))


def home_of(db: sqlite3.Connection) -> Path | None:
    """Where the campaign lay when its paths were written; None in a record of version 1."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        return None
    row = db.execute("SELECT value FROM meta WHERE key = 'home'").fetchone()
    return None if row is None else Path(row[0])
