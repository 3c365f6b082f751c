"""Answers and their versions: given and corrected. What was once said stays in the record.

The tables ``frames`` and ``boxes`` hold the answers that count; ``answers`` holds every version of
each, with the import it came with. Everything here is one transaction of the record's.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vidal.campaign._sql import rows_of, set_state
from vidal.campaign.oracle import known
from vidal.types import Annotations, FrameRef

if TYPE_CHECKING:
    import sqlite3

    from vidal.campaign.record import Record


@dataclass(frozen=True, slots=True)
class Source:
    """Where answers come from.

    Attributes:
        name: of the file or folder, as it was given.
        sha256: of its content.
        format: that it was read as.
        split: of the clips that it is about.
    """

    name: str
    sha256: str
    format: str
    split: str = "train"


@dataclass(frozen=True, slots=True)
class Given:
    """What answers changed.

    Attributes:
        answered: frames that waited and have an answer now, skipped ones included.
        waiting: frames that still wait.
        replaced: frames whose answer is another one now.
        stale: rounds whose models were trained on answers that are not those any more.
    """

    answered: int
    waiting: int
    replaced: int = 0
    stale: tuple[int, ...] = ()


def give(
    record: Record,
    tables: Mapping[str, Annotations],
    *,
    skipped: Iterable[FrameRef] = (),
    replace: Sequence[FrameRef] = (),
    source: Source | None = None,
) -> Given:
    """Labels for frames that wait, and other labels for frames that were answered.

    The open round is answered when none of its frames waits any more. Rounds whose models were
    trained on answers that are replaced are answered again: their models are stale.

    Args:
        record: open for writing.
        tables: clip id -> annotations; taken are frames that wait and those of ``replace``.
        skipped: frames that the annotators refused.
        replace: frames that are answered already, and get the answer given here.
        source: the file; None = no file (a simulation).
    """
    current, waiting, refused = record.open_round(), record.waiting(), set(skipped)
    new = [ref for ref in waiting if ref not in refused and _said(tables, ref)]
    dropped = [ref for ref in waiting if ref in refused]
    other = [(ref, "skipped" if ref in refused else "labelled") for ref in replace]
    left = len(waiting) - len(new) - len(dropped)
    stale: tuple[int, ...] = ()
    with record.transaction() as db:
        number = _enter(db, source) if source is not None and (new or dropped or other) else None
        for ref in new:
            _answer(db, number, ref, "labelled", rows_of(tables, ref))
        for ref in dropped:
            _answer(db, number, ref, "skipped", [])
        for ref, state in other:
            rows = rows_of(tables, ref) if state == "labelled" else []
            _answer(db, number, ref, state, rows, again=True)
        detail: dict[str, Any] = {"labelled": len(new), "skipped": len(dropped), "waiting": left}
        detail |= {} if number is None else {"import": number}
        if current is not None and (new or dropped):
            record.event(current.number, "imported", detail)
        if other:
            stale = outdate(record, min(rounds_of(db, replace)))
            record.event(None, "replaced", {"frames": len(other), "import": number})
        if current is not None and not left:
            db.execute("UPDATE rounds SET state = 'answered' WHERE round = ?", (current.number,))
            record.event(current.number, "answered", {})
        drop_models(db)
    return Given(len(new) + len(dropped), left, len(other), stale)


def drop_models(db: sqlite3.Connection) -> None:
    """Stale models of rounds without a label are none any more: nothing would fit them anew."""
    db.execute(
        "UPDATE rounds SET model = NULL WHERE state IN ('answered', 'withdrawn') AND NOT EXISTS"
        " (SELECT 1 FROM frames WHERE frames.round = rounds.round AND frames.state = 'labelled')"
    )


def _said(tables: Mapping[str, Annotations], ref: FrameRef) -> bool:
    return ref.clip in tables and known(tables[ref.clip], ref.index)


def _enter(db: sqlite3.Connection, source: Source) -> int:
    """Write down an import; its number."""
    try:
        by = getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name
        by = "unknown"
    return int(
        db.execute(
            "INSERT INTO imports (time, by, source, sha256, format, split)"
            " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
            (
                datetime.now(UTC).isoformat(),
                by,
                source.name,
                source.sha256,
                source.format,
                source.split,
            ),
        ).fetchone()[0]
    )


def _answer(
    db: sqlite3.Connection,
    number: int | None,
    ref: FrameRef,
    state: str,
    rows: list[tuple[Any, ...]],
    *,
    again: bool = False,
) -> None:
    """A version more of an answer, and the answer itself."""
    add_version(db, number, ref, state, rows)
    if again:
        db.execute("DELETE FROM boxes WHERE clip = ? AND frame = ?", (ref.clip, ref.index))
    set_state(db, ref, state)
    db.executemany("INSERT INTO boxes VALUES (?,?,?,?,?,?,?,?,?)", rows)


def add_version(
    db: sqlite3.Connection,
    number: int | None,
    ref: FrameRef,
    state: str,
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Append a version; within a transaction.

    Args:
        db: of a record.
        number: of the import; None = not from a file.
        ref: the frame.
        state: ``labelled``, ``skipped``, ``queried`` or ``free``.
        rows: of the table ``boxes``.
    """
    text = json.dumps([row[2:] for row in rows], separators=(",", ":"), allow_nan=False)
    db.execute(
        "INSERT INTO answers (import, clip, frame, state, boxes) VALUES (?, ?, ?, ?, ?)",
        (number, ref.clip, ref.index, state, text),
    )


def enter_held(
    record: Record,
    source: Source | None,
    answers: Sequence[tuple[FrameRef, Sequence[tuple[Any, ...]]]],
) -> None:
    """Versions of labels of clips that are set aside; within a transaction."""
    number = None if source is None else _enter(record.db, source)
    for ref, rows in answers:
        add_version(record.db, number, ref, "labelled", rows)


def rounds_of(db: sqlite3.Connection, refs: Iterable[FrameRef]) -> set[int]:
    """The rounds that frames belong to; each was asked for in one."""
    found = set()
    for ref in refs:
        row = db.execute(
            "SELECT round FROM frames WHERE clip = ? AND frame = ?", (ref.clip, ref.index)
        ).fetchone()
        found.add(int(row[0]))
    return found


def stale_after(record: Record, refs: Iterable[FrameRef]) -> tuple[int, ...]:
    """The rounds whose models are stale once answers of these frames have changed."""
    rounds = rounds_of(record.db, refs)
    return models_from(record, min(rounds)) if rounds else ()


def models_from(record: Record, number: int) -> tuple[int, ...]:
    """The rounds from a number on that have a model which is not stale."""
    return tuple(e.number for e in record.rounds() if e.number >= number and e.state == "trained")


def outdate(record: Record, number: int) -> tuple[int, ...]:
    """The models from a round on are stale: those rounds count as answered, not as trained."""
    stale = models_from(record, number)
    record.db.execute(
        "UPDATE rounds SET state = 'answered' WHERE round >= ? AND state = 'trained'", (number,)
    )
    return stale
