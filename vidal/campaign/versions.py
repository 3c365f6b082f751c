"""Answers and their versions: given, corrected, taken back. What was once said stays in the record.

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
from vidal.errors import CampaignError
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
class Import:
    """A file of answers that changed something.

    Attributes:
        id: its number, from 1.
        time: when, UTC, ISO 8601.
        by: the user's name on that machine.
        source, sha256, format, split: see ``Source``.
        frames: frames that it answered.
        counting: those of them whose answer is still this import's.
        rounds: that these frames belong to.
    """

    id: int
    time: str
    by: str
    source: str
    sha256: str
    format: str
    split: str
    frames: int
    counting: int
    rounds: tuple[int, ...]


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
            stale = _outdate(record, min(_rounds_of(db, replace)))
            record.event(None, "replaced", {"frames": len(other), "import": number})
        if current is not None and not left:
            db.execute("UPDATE rounds SET state = 'answered' WHERE round = ?", (current.number,))
            record.event(current.number, "answered", {})
    return Given(len(new) + len(dropped), left, len(other), stale)


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
    text = json.dumps([row[2:] for row in rows], separators=(",", ":"))
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


def _rounds_of(db: sqlite3.Connection, refs: Iterable[FrameRef]) -> set[int]:
    found = set()
    for ref in refs:
        row = db.execute(
            "SELECT round FROM frames WHERE clip = ? AND frame = ?", (ref.clip, ref.index)
        ).fetchone()
        found.add(int(row[0]))
    return found


def stale_after(record: Record, refs: Iterable[FrameRef]) -> tuple[int, ...]:
    """The rounds whose models are stale once answers of these frames have changed."""
    rounds = _rounds_of(record.db, refs)
    return _models_from(record, min(rounds)) if rounds else ()


def _models_from(record: Record, number: int) -> tuple[int, ...]:
    return tuple(e.number for e in record.rounds() if e.number >= number and e.state == "trained")


def _outdate(record: Record, number: int) -> tuple[int, ...]:
    """The models from a round on are stale: those rounds count as answered, not as trained."""
    stale = _models_from(record, number)
    record.db.execute(
        "UPDATE rounds SET state = 'answered' WHERE round >= ? AND state = 'trained'", (number,)
    )
    return stale


# -- taking back -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Undone:
    """What was taken back.

    Attributes:
        what: the import's file, or ``round 2``.
        import_id: number of the import; None where a round was named.
        frames: that wait again, in order of their rank.
        held: frames of clips set aside that have no labels any more.
        round: that waits again; None where none does.
        later: rounds that were asked for after it.
        stale: rounds whose models were trained on what was taken back.
    """

    what: str
    import_id: int | None
    frames: tuple[FrameRef, ...]
    held: tuple[FrameRef, ...]
    round: int | None
    later: tuple[int, ...]
    stale: tuple[int, ...]


_LIVE = (
    "SELECT a.clip, a.frame FROM answers a WHERE a.import = ? AND a.state IN ('labelled','skipped')"
    " AND a.id = (SELECT max(id) FROM answers b WHERE b.clip = a.clip AND b.frame = a.frame)"
)


def imports(record: Record) -> list[Import]:
    """All imports that changed something, in order; none in a record of an older version."""
    if record.version < 3:
        return []
    found = []
    rows = record.db.execute(
        "SELECT id, time, by, source, sha256, format, split FROM imports ORDER BY id"
    ).fetchall()
    for row in rows:
        live = [FrameRef(*each) for each in record.db.execute(_LIVE, (row[0],))]
        all_of = record.db.execute(
            "SELECT count(DISTINCT clip || '@' || frame) FROM answers WHERE import = ?", (row[0],)
        ).fetchone()[0]
        rounds = _rounds_of(record.db, live) if row[6] == "train" else set()
        number, time, by, source, digest, kind, split = row
        found.append(
            Import(
                id=number,
                time=time,
                by=by,
                source=source,
                sha256=digest,
                format=kind,
                split=split,
                frames=int(all_of),
                counting=len(live),
                rounds=tuple(sorted(rounds)),
            )
        )
    return found


def undo(
    record: Record, *, number: int | None = None, file: str | None = None, dry_run: bool = False
) -> Undone:
    """Take answers back: the frames wait again, and every version stays in the record.

    Args:
        record: open for writing, or for reading with ``dry_run``.
        number: of the round whose answers are taken back.
        file: name of the file whose newest import is taken back, as it was given or its last part.
            Neither = the newest import.
        dry_run: only tell.

    Raises:
        CampaignError: there is no such import or round, nothing of it counts any more, its frames
            belong to several rounds, or another round waits: only one query can.
    """
    if number is not None:
        what, which = f"round {number}", None
        live = _answers_of_round(record, number)
    else:
        chosen = _chosen(record, file)
        what, which = chosen.source, chosen.id
        live = [FrameRef(*each) for each in record.db.execute(_LIVE, (chosen.id,))]
    order = {ref: at for at, ref in enumerate(_asked(record))}
    frames = sorted((ref for ref in live if ref in order), key=order.__getitem__)
    held = sorted(ref for ref in live if ref not in order)
    rounds = sorted(_rounds_of(record.db, frames))
    _check_waits(record, what, rounds)
    first = rounds[0] if rounds else None
    entries = record.rounds() if first is not None else []
    later = tuple(e.number for e in entries if e.number > (first or 0) and e.state != "withdrawn")
    stale = () if first is None else _models_from(record, first)
    if not dry_run:
        _take_back(record, which, frames, held, first)
    return Undone(what, which, tuple(frames), tuple(held), first, later, stale)


def _take_back(
    record: Record,
    which: int | None,
    frames: Sequence[FrameRef],
    held: Sequence[FrameRef],
    number: int | None,
) -> None:
    with record.transaction() as db:
        for ref in frames:
            add_version(db, None, ref, "queried", [])
            db.execute("DELETE FROM boxes WHERE clip = ? AND frame = ?", (ref.clip, ref.index))
            set_state(db, ref, "queried")
        for ref in held:
            add_version(db, None, ref, "free", [])
            for table in ("held_boxes", "held_frames"):
                sql = f"DELETE FROM {table} WHERE clip = ? AND frame = ?"
                db.execute(sql, (ref.clip, ref.index))
        if number is not None:
            _outdate(record, number)
            db.execute("UPDATE rounds SET state = 'queried' WHERE round = ?", (number,))
        detail = {"frames": len(frames), "held": len(held), "import": which}
        record.event(number, "undone", detail)


def _asked(record: Record) -> list[FrameRef]:
    rows = record.db.execute("SELECT clip, frame FROM frames ORDER BY round, rank")
    return [FrameRef(clip, frame) for clip, frame in rows]


def _answers_of_round(record: Record, number: int) -> list[FrameRef]:
    from vidal.campaign.entries import GIVEN

    entry = next((each for each in record.rounds() if each.number == number), None)
    if entry is None:
        have = ", ".join(str(each.number) for each in record.rounds()) or "none"
        raise CampaignError(f"there is no round {number}; rounds: {have}.")
    if entry.strategy == GIVEN:
        raise CampaignError(
            f"round {number} is the labels that the campaign began with; nobody was asked.",
            hint="Correct them with `vidal import --replace`, or begin another campaign.",
        )
    rows = record.db.execute(
        "SELECT clip, frame FROM frames WHERE round = ? AND state != 'queried'", (number,)
    ).fetchall()
    if not rows:
        raise CampaignError(f"round {number} has no answers; there is nothing to take back.")
    return [FrameRef(clip, frame) for clip, frame in rows]


def _chosen(record: Record, file: str | None) -> Import:
    """The newest import (of that file) of which something counts."""
    every = imports(record)
    named = [e for e in every if file in (None, e.source, _last(e.source))]
    if not named:
        have = ", ".join(dict.fromkeys(_last(each.source) for each in every)) or "none"
        what = "nothing was imported" if file is None else f"{file} was not imported"
        raise CampaignError(f"{what}; imports so far: {have}.", hint="Or name a --round.")
    live = [each for each in named if each.counting]
    if not live:
        what = "of all imports" if file is None else f"of {file}"
        raise CampaignError(f"no answer {what} counts any more; there is nothing to take back.")
    return live[-1]


def _last(source: str) -> str:
    return source.rstrip("/").rpartition("/")[2]


def _check_waits(record: Record, what: str, rounds: Sequence[int]) -> None:
    if len(rounds) > 1:
        some = " and ".join(map(str, rounds[:3]))
        raise CampaignError(
            f"the answers of {what} belong to rounds {some}, and only one query can wait.",
            hint="Give the right file with `vidal import --replace`, or undo one --round.",
        )
    current = record.open_round()
    if rounds and current is not None and current.number != rounds[0]:
        raise CampaignError(
            f"round {current.number} waits for its answer, and only one query can wait.",
            hint="Answer it or take it back (`vidal withdraw`) first, or give the right file with"
            " `vidal import --replace`.",
        )
