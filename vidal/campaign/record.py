"""The record of a campaign: SQLite, one transaction a step, append-only events.

What must never happen (a frame both labelled and waiting, a second open query, boxes on a frame
nobody labelled, a changed event) is forbidden by ``schema.sql`` itself, not by this code.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from vidal.campaign._sql import (
    SCHEMA,
    SCHEMAS,
    check_whole,
    connect,
    nullable,
    reporting_sql,
    statements,
    table_of,
)
from vidal.campaign.entries import GIVEN, ClipEntry, FrameStates, Round, Split
from vidal.campaign.migrate import check_version, set_home
from vidal.campaign.oracle import given_query
from vidal.campaign.versions import drop_models, give
from vidal.errors import AwaitingAnnotation, CampaignError, InputError
from vidal.types import Annotations, Clip, FrameRef, Query

__all__ = ["GIVEN", "ClipEntry", "FrameStates", "Record", "Round", "Split"]


class Record:
    """The open record of one campaign; close it when done.

    Every method that writes is one transaction: after a crash it happened or it did not.

    Attributes:
        db: the connection, for modules of this package.
        version: of the record; below ``SCHEMA`` only where it was opened for reading.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open it.

        Args:
            path: the file.
            read_only: nothing will be written; a record of an older version can be read too.

        Raises:
            InputError: there is none, it is damaged, or of another version.
            OutputError, CampaignError: see ``reporting_sql``.
        """
        if not path.is_file():
            raise InputError(path, "no campaign here", hint="Make one with `vidal init`.")
        self._path = path
        with reporting_sql(path):
            self.db = connect(path, read_only=read_only)
            try:
                check_whole(self.db, path)
                self.version = int(self.db.execute("PRAGMA user_version").fetchone()[0])
                check_version(path, self.version, oldest=1 if read_only else SCHEMA)
            except BaseException:
                self.db.close()
                raise

    @staticmethod
    def create(
        path: Path,
        classes: Sequence[str],
        clips: Iterable[ClipEntry],
        *,
        given: Mapping[str, Annotations] | None = None,
        home: Path | None = None,
        told: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """A new record; the file appears whole.

        Args:
            path: where.
            classes: names, in the order of their labels.
            clips: all of the campaign.
            given: clip id -> labels that are there already. They are round 0, which nobody was
                asked for and which is answered.
            home: what relative paths of clips count from; None = the folder of ``path``.
            told: kind -> detail of events that it begins with.

        Raises:
            CampaignError: there is one already.
        """
        if path.exists():
            raise CampaignError(f"{path}: there is a campaign here already.")
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        with closing(sqlite3.connect(temporary)) as db, reporting_sql(path):
            for name in SCHEMAS:
                for statement in statements(name):
                    db.execute(statement)
            with db:
                db.execute(f"PRAGMA user_version = {SCHEMA}")
                set_home(db, home or path.parent)
                db.executemany("INSERT INTO classes VALUES (?, ?)", enumerate(classes))
                db.executemany(
                    "INSERT INTO clips VALUES (?, ?, ?, ?, ?)",
                    [(clip.id, clip.path, clip.frames, clip.split, clip.root) for clip in clips],
                )
        if given or told:
            with Record(temporary) as record, reporting_sql(path):
                for kind, detail in (told or {}).items():
                    record.note(None, kind, detail)
                if given:
                    record.add_query(given_query(given), GIVEN, {})
                    record.answer(given)
        temporary.replace(path)

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- reading -----------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their labels."""
        rows = self.db.execute("SELECT name FROM classes ORDER BY label")
        return tuple(name for (name,) in rows)

    def clips(self, split: Split | None = None) -> list[ClipEntry]:
        """The clips, of one split or all, by id."""
        rows = self.db.execute(
            "SELECT id, path, frames, split, root FROM clips"
            " WHERE ? IS NULL OR split = ? ORDER BY id",
            (split, split),
        )
        return [ClipEntry(*row) for row in rows]

    def rounds(self) -> list[Round]:
        """All rounds in order, withdrawn ones included."""
        rows = self.db.execute(
            "SELECT round, strategy, wanted, state, model FROM rounds ORDER BY round"
        )
        return [Round(*row) for row in rows]

    def open_round(self) -> Round | None:
        """The round whose query waits for its answer."""
        return next((entry for entry in self.rounds() if entry.state == "queried"), None)

    def next_round(self) -> int:
        """The number of the next round.

        Raises:
            AwaitingAnnotation: the last query is not answered.
        """
        waiting = self.open_round()
        if waiting is not None:
            raise AwaitingAnnotation(waiting.number, len(self.waiting()))
        return len(self.rounds())

    def asked_before(self, number: int | None = None) -> int:
        """How many rounds there were before one (None = the next) that were not taken back."""
        return sum(
            each.state != "withdrawn"
            for each in self.rounds()
            if number is None or each.number < number
        )

    def waiting(self) -> list[FrameRef]:
        """The queried frames without an answer, most wanted first."""
        rows = self.db.execute(
            "SELECT clip, frame FROM frames WHERE state = 'queried' ORDER BY rank"
        )
        return [FrameRef(clip, frame) for clip, frame in rows]

    def queried_in(self, number: int) -> list[FrameRef]:
        """All frames of a round, whatever became of them, most wanted first."""
        rows = self.db.execute(
            "SELECT clip, frame FROM frames WHERE round = ? ORDER BY rank", (number,)
        )
        return [FrameRef(clip, frame) for clip, frame in rows]

    def drawn(self, number: int) -> list[FrameRef]:
        """The frames of a round that were drawn at random beside those of its strategy."""
        rows = self.db.execute(
            "SELECT frames.clip, frames.frame FROM frames, events WHERE events.round = ?1"
            " AND events.kind = 'queried' AND frames.round = ?1 AND frames.rank >"
            " json_extract(events.detail, '$.frames') - json_extract(events.detail, '$.drawn')"
            " ORDER BY frames.rank",
            (number,),
        )
        return [FrameRef(clip, frame) for clip, frame in rows]

    def states(self, clip: Clip, *, before: int | None = None) -> FrameStates:
        """What is known of each frame of a clip; ``before``: by rounds with a lower number only."""
        masks = {
            name: np.zeros(clip.frames, np.bool_) for name in ("queried", "labelled", "skipped")
        }
        for frame, state in self.db.execute(
            "SELECT frame, state FROM frames WHERE clip = ? AND round < ?",
            (clip.id, 2**62 if before is None else before),
        ):
            masks[state][frame] = True
        return FrameStates(**masks)

    def labelled_clips(self, *, through: int = 2**62) -> list[str]:
        """Ids of the clips with labelled frames, of rounds up to a number."""
        rows = self.db.execute(
            "SELECT DISTINCT clip FROM frames WHERE state = 'labelled' AND round <= ?"
            " ORDER BY clip",
            (through,),
        )
        return [clip for (clip,) in rows]

    def counts(self) -> dict[str, int]:
        """Number of frames in each state, and of all frames of training clips."""
        counts = {"queried": 0, "labelled": 0, "skipped": 0}
        counts.update(self.db.execute("SELECT state, count(*) FROM frames GROUP BY state"))
        total = self.db.execute("SELECT sum(frames) FROM clips WHERE split = 'train'").fetchone()
        counts["frames"] = int(total[0] or 0)
        return counts

    def tally(self) -> dict[int, dict[str, int]]:
        """Round -> number of its frames in each state."""
        result: dict[int, dict[str, int]] = {
            entry.number: {"queried": 0, "labelled": 0, "skipped": 0} for entry in self.rounds()
        }
        for number, state, count in self.db.execute(
            "SELECT round, state, count(*) FROM frames GROUP BY round, state"
        ):
            result[number][state] = count
        return result

    def annotations(self, clip_id: str, frames: int) -> Annotations:
        """The imported labels of one clip."""
        labelled = self.db.execute(
            "SELECT frame FROM frames WHERE clip = ? AND state = 'labelled'", (clip_id,)
        ).fetchall()
        rows = self.db.execute(
            "SELECT frame, x1, y1, x2, y2, label, track, ignored FROM boxes WHERE clip = ?"
            " ORDER BY frame, rowid",
            (clip_id,),
        ).fetchall()
        return table_of(self.classes, frames, labelled, rows)

    def events(self) -> list[tuple[int | None, str, dict[str, Any]]]:
        """(round, kind, detail) in order; the times are left out, being the only thing that
        differs between two runs of the same campaign."""
        rows = self.db.execute("SELECT round, kind, detail FROM events ORDER BY id")
        return [(number, kind, json.loads(detail)) for number, kind, detail in rows]

    # -- writing -----------------------------------------------------------------------------

    def add_query(
        self,
        query: Query,
        strategy: str,
        detail: Mapping[str, Any],
        *,
        trained: tuple[int, str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Open a round with its query.

        ``trained``: number, model and detail of an earlier round, whose model selected it and was
        made elsewhere: that is recorded with it, or not at all.
        """
        with self.transaction() as db:
            if trained is not None:
                self._trained(*trained)
            db.execute(
                "INSERT INTO rounds VALUES (?, ?, ?, 'queried', NULL)",
                (query.round, strategy, query.budget),
            )
            db.executemany(
                "INSERT INTO frames VALUES (?, ?, ?, ?, ?, 'queried')",
                [
                    (ref.clip, ref.index, query.round, rank, nullable(score))
                    for rank, (ref, score) in enumerate(
                        zip(query.frames, query.scores, strict=True), start=1
                    )
                ],
            )
            self.event(query.round, "queried", {"frames": len(query), **detail})

    def answer(
        self, tables: Mapping[str, Annotations], *, skipped: Iterable[FrameRef] = ()
    ) -> tuple[int, int]:
        """Labels for frames that wait; the round is answered when none waits any more.

        Args:
            tables: clip id -> annotations; only frames that wait are taken.
            skipped: frames that the annotators refused.

        Returns:
            How many frames were answered, and how many still wait.
        """
        if self.open_round() is None:
            raise CampaignError(
                "no query waits for an answer.", hint="Make one with `vidal select --campaign`."
            )
        given = give(self, tables, skipped=skipped)
        return given.answered, given.waiting

    def withdraw(self) -> Round:
        """Take the open query back: frames without an answer are unlabelled again.

        A round with some answers counts as answered with those.
        """
        current = self.open_round()
        if current is None:
            raise CampaignError("no query waits; there is nothing to take back.")
        with self.transaction() as db:
            gone = db.execute("DELETE FROM frames WHERE state = 'queried'").rowcount
            kept = db.execute(
                "SELECT count(*) FROM frames WHERE round = ?", (current.number,)
            ).fetchone()[0]
            state = "answered" if kept else "withdrawn"
            db.execute("UPDATE rounds SET state = ? WHERE round = ?", (state, current.number))
            drop_models(db)
            self.event(current.number, "withdrawn", {"frames": gone, "kept": kept})
        return current

    def trained(self, number: int, model: str, detail: Mapping[str, Any]) -> None:
        """The model of a round is there."""
        with self.transaction():
            self._trained(number, model, detail)

    def _trained(self, number: int, model: str, detail: Mapping[str, Any]) -> None:
        changed = self.db.execute(
            "UPDATE rounds SET state = 'trained', model = ? WHERE round = ?"
            " AND state IN ('answered', 'trained')",
            (model, number),
        ).rowcount
        if not changed:
            raise CampaignError(f"round {number} has no labels to train on.")
        self.event(number, "trained", {"model": model, **detail})

    def note(self, number: int | None, kind: str, detail: Mapping[str, Any]) -> None:
        """Append an event."""
        with self.transaction():
            self.event(number, kind, detail)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that happens in the block, or nothing of it."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
        except BaseException:
            if self.db.in_transaction:  # a full disk has ended it already
                self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def event(self, number: int | None, kind: str, detail: Mapping[str, Any]) -> None:
        """Append an event; within a transaction."""
        self.db.execute(
            "INSERT INTO events (time, round, kind, detail) VALUES (?, ?, ?, ?)",
            (datetime.now(UTC).isoformat(), number, kind, json.dumps(detail, sort_keys=True)),
        )
