"""What the answers to earlier queries say: of how many known objects each was, and of what the last
one asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vidal.selection.asked import Counts
from vidal.types import Items, Pool
from vidal.words import counted


@dataclass(frozen=True, slots=True)
class AnsweredQuery:
    """An answered query.

    Attributes:
        round: its number.
        strategy: that asked, as users write it.
        counts: what the regions of the answered frames turned out to be; None where it is not
            known what was asked for: no detector looked, or it was not kept.
    """

    round: int
    strategy: str
    counts: Counts | None

    @property
    def precision(self) -> float:
        """Query precision; NaN where it is not known."""
        return float("nan") if self.counts is None else self.counts.precision

    def as_dict(self) -> dict[str, Any]:
        """JSON values; null where nothing is known."""
        return {"round": self.round, "strategy": self.strategy, **counts_dict(self.counts)}


def counts_dict(counts: Counts | None) -> dict[str, Any]:
    """JSON values: query precision, and what it is made of."""
    if counts is None:
        return dict.fromkeys(("query_precision", *Counts._fields))
    known = counts.precision
    return {"query_precision": None if known != known else known, **counts._asdict()}


def _nothing(strategy: str) -> Items | None:
    del strategy
    return None


@dataclass(frozen=True, slots=True)
class History:
    """All answered queries of a campaign, oldest first.

    Attributes:
        queries: without labels that were there before, and without those that were taken back.
        last: name of a strategy -> what the newest of them asked for, with answers, where that
            strategy asked and remembers it; else None.
    """

    queries: tuple[AnsweredQuery, ...] = ()
    last: Callable[[str], Items | None] = _nothing

    def told_to(self, pool: Pool, needs: frozenset[str], strategy: str) -> Pool:
        """The pool with as much of it as a strategy needs."""
        changes: dict[str, Any] = {}
        if "precision" in needs:
            changes["precisions"] = tuple(each.precision for each in self.queries)
        if "asked" in needs:
            changes["asked"] = self.last(strategy)
        return replace(pool, **changes) if changes else pool

    @property
    def sentences(self) -> tuple[str, ...]:
        """For the report: the newest query that is known, where unknown objects were met."""
        return precision_sentences(self.queries)


NO_HISTORY = History()
"""Of the first query, and of selections outside campaigns."""


def precision_sentences(queries: Sequence[AnsweredQuery]) -> tuple[str, ...]:
    """How many known objects the newest judged query was of; nothing where no query met others."""
    known = [each for each in queries if each.counts is not None]
    if not any(each.counts.unknown for each in known if each.counts is not None):
        return ()
    last, counts = known[-1], known[-1].counts
    assert counts is not None
    objects = counts.known + counts.unknown
    if not objects:
        return ()
    return (
        f"Of {counted(objects, 'object')} that round {last.round} asked about,"
        f" {counts.known:,} ({counts.precision:.0%}) were of the classes and"
        f" {counts.unknown:,} unknown.",
    )
