"""Answers taken back, of one import or one round; and the list of imports.

Every version of an answer stays in the record, see ``vidal.campaign.versions``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidal.campaign._sql import set_state
from vidal.campaign.entries import GIVEN
from vidal.campaign.record import Record
from vidal.campaign.versions import add_version, models_from, outdate, rounds_of
from vidal.errors import CampaignError
from vidal.types import FrameRef


@dataclass(frozen=True, slots=True)
class Import:
    """A file of answers that changed something.

    Attributes:
        id: its number, from 1.
        time: when, UTC, ISO 8601.
        by: the user's name on that machine.
        source, sha256, format, split: see ``vidal.campaign.versions.Source``.
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
        rounds = rounds_of(record.db, live) if row[6] == "train" else set()
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
    rounds = sorted(rounds_of(record.db, frames))
    _check_waits(record, what, rounds)
    first = rounds[0] if rounds else None
    entries = record.rounds() if first is not None else []
    later = tuple(e.number for e in entries if e.number > (first or 0) and e.state != "withdrawn")
    stale = () if first is None else models_from(record, first)
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
            outdate(record, number)
            db.execute("UPDATE rounds SET state = 'queried' WHERE round = ?", (number,))
        detail = {"frames": len(frames), "held": len(held), "import": which}
        record.event(number, "undone", detail)


def _asked(record: Record) -> list[FrameRef]:
    rows = record.db.execute("SELECT clip, frame FROM frames ORDER BY round, rank")
    return [FrameRef(clip, frame) for clip, frame in rows]


def _answers_of_round(record: Record, number: int) -> list[FrameRef]:
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
