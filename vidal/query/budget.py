"""How much may be annotated: ``2%`` or ``150`` frames, ``800boxes`` or ``6h``; parsed once."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from vidal.errors import BudgetError

Unit = Literal["frames", "boxes", "time"]
"""What a budget counts."""

_NUMBER = re.compile(
    r"(?P<number>[0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})"
    r"\s*(?P<percent>%?)\s*(?P<word>[a-z]{0,12})",
    re.IGNORECASE | re.ASCII,
)
_FORMS = "Give a number of frames (150), a share (2%), boxes (800boxes) or time (6h, 90min)."
_WORDS: dict[str, tuple[Unit, int]] = {
    **dict.fromkeys(("", "frame", "frames"), ("frames", 1)),
    **dict.fromkeys(("box", "boxes"), ("boxes", 1)),
    **dict.fromkeys(("h", "hour", "hours"), ("time", 3600)),
    **dict.fromkeys(("min", "minute", "minutes"), ("time", 60)),
}
"""Word -> what it counts, and how many of the base unit (frames, boxes, seconds) it is."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A number of frames, a share of the base, a number of boxes, or a time.

    Attributes:
        text: as the user gave it.
        amount: frames or boxes (whole numbers), the share in (0, 1], or seconds of work.
        share: whether ``amount`` is a share of the frames.
        unit: what is counted.
    """

    text: str
    amount: Fraction
    share: bool
    unit: Unit = "frames"

    @staticmethod
    def parse(text: str) -> Budget:
        """``"2%"``, ``"0.5 %"``, ``"150"``, ``"800boxes"``, ``"6h"``, ``"1.5 h"`` or ``"90min"``.

        Raises:
            BudgetError: anything else; zero; more than 100%; a fraction of a frame or box; a share
                of anything but frames.
        """
        found = _NUMBER.fullmatch(text.strip())
        word = None if found is None else _WORDS.get(found["word"].lower())
        if found is None or word is None:
            raise BudgetError(
                text, "not a number of frames, a percentage, boxes or a time", hint=_FORMS
            )
        (unit, each), amount, share = word, Fraction(found["number"]), bool(found["percent"])
        if share and unit != "frames":
            why = {"boxes": "how many boxes there are", "time": "how long all of it would take"}
            raise BudgetError(
                text,
                f"a share of boxes or of time: nobody knows beforehand {why[unit]}",
                hint="Give a share of the frames (2%), or boxes (800boxes) or time (6h).",
            )
        if amount == 0:
            raise BudgetError(text, "asks for nothing", hint=_FORMS)
        if share and amount > 100:
            raise BudgetError(text, "more than 100%", hint="Give at most 100%.")
        if not share and unit != "time" and amount.denominator != 1:
            raise BudgetError(text, f"not a whole number of {unit}", hint=_FORMS)
        return Budget(text.strip(), amount / 100 if share else amount * each, share, unit)

    @property
    def counts_frames(self) -> bool:
        """Whether it says how many frames; else what they may cost, see ``vidal.query.cost``."""
        return self.unit == "frames"

    def frames(self, base: int) -> int:
        """The number of frames, where a percentage refers to ``base`` frames.

        A share is rounded down, exactly (no floating point), but is at least one frame.

        Raises:
            BudgetError: it is in boxes or time.
        """
        if not self.counts_frames:
            hint = "Give a number (150) or a share (2%)."
            raise BudgetError(
                self.text,
                f"in {self.unit}, where only a number or a share can be asked for",
                hint=hint,
            )
        if not self.share:
            return int(self.amount)
        return max(1, math.floor(self.amount * base))

    def words(self, base: str) -> str:
        """With what it is taken from; see ``budget_words``."""
        return budget_words(self.text, base, self.unit)

    def check(self, count: int, selectable: int) -> None:
        """Refuse a ``count`` of frames above the ``selectable`` ones.

        Raises:
            BudgetError: there are fewer.
        """
        if count > selectable:
            have = f"only {selectable:,} can be" if selectable else "none can be"
            asked = f"{count:,} frame" + ("s" if count != 1 else "")
            raise BudgetError(
                self.text,
                f"{asked} of which {have} selected",
                hint="Lower the budget, or add clips." if selectable else "Add clips.",
            )


def budget_words(text: str, base: str, unit: Unit) -> str:
    """``2% of 1,200 frames of 5 clips``, or ``6h, from 1,200 frames of 5 clips``."""
    return (" of " if unit == "frames" else ", from ").join(part for part in (text, base) if part)
