"""What vidal says of boxes that it proposes, under the names that annotation tools are told.

Tools drop what their label definitions do not declare: ``vidal`` is a choice of one verdict,
``vidal_certainty`` a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

VERDICT = "vidal"
"""Name of the attribute that holds the verdict on a box."""

CERTAINTY = "vidal_certainty"
"""Name of the attribute that holds how sure the verdict is, in [0, 1]."""

NO_VERDICT = "no_verdict"
"""The verdict on boxes that nobody judged, those that annotators draw among them."""

VERDICTS = (
    "likely_correct",
    "unsure",
    "likely_false_alarm",
    "likely_miss",
    "likely_unknown",
)
"""What may be said of a box."""


@dataclass(frozen=True, slots=True)
class RowNote:
    """What is said of one box.

    Attributes:
        verdict: of ``VERDICTS``, or one that a later version knows; empty = none.
        certainty: of the verdict in [0, 1]; NaN = not stated.
        score: of the detector in [0, 1]; NaN where it did not see the object.
    """

    verdict: str = ""
    certainty: float = math.nan
    score: float = math.nan

    @property
    def value(self) -> str:
        """The verdict as the tools' attribute has it."""
        return self.verdict or NO_VERDICT


Notes = Mapping[str, Sequence[RowNote]]
"""Name of a clip -> one note a row of its table."""

NOTHING = RowNote()


def note_of(notes: Notes | None, clip: str, row: int) -> RowNote | None:
    """What is said of a row; None where nothing is said of any."""
    if notes is None:
        return None
    rows = notes.get(clip, ())
    return rows[row] if row < len(rows) else NOTHING


def values_of(notes: Notes | None) -> tuple[str, ...]:
    """The values that the attribute may have: all that are known, and those met besides."""
    met: Iterable[str] = (note.value for rows in (notes or {}).values() for note in rows)
    return tuple(dict.fromkeys((NO_VERDICT, *VERDICTS, *sorted(set(met)))))
