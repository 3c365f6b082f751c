"""How far apart the frames of one clip have to be that are labelled: in frames, or in seconds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from vidal.errors import UsageError

_TEXT = re.compile(
    r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})\s*(?P<word>[a-z]{0,12})",
    re.IGNORECASE | re.ASCII,
)
_WORDS: dict[str, tuple[Literal["frames", "seconds"], Fraction]] = {
    **dict.fromkeys(("", "frame", "frames"), ("frames", Fraction(1))),
    **dict.fromkeys(("s", "sec", "second", "seconds"), ("seconds", Fraction(1))),
    "ms": ("seconds", Fraction(1, 1000)),
}
_FINEST = 10**12
_FORMS = "Give frames (12) or seconds (0.4s); 0 excludes no neighbours."


@dataclass(frozen=True, slots=True)
class Gap:
    """What lies between any two frames of a clip that are labelled or chosen.

    In frames it is the number excluded on either side: two of them are more than ``amount`` apart
    in index. In seconds it is the least distance in time: two of them are at least ``amount``
    apart, by their presentation times, exactly. Either way 0 excludes nothing.

    Attributes:
        amount: frames (a whole number) or seconds; not negative.
        unit: of the amount.
    """

    amount: Fraction
    unit: Literal["frames", "seconds"] = "frames"

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise UsageError(f"gap {self.amount}: negative.", hint=_FORMS)
        if self.unit == "frames" and self.amount.denominator != 1:
            raise UsageError(f"gap {float(self.amount):g}: not a whole number.", hint=_FORMS)

    @staticmethod
    def of(given: AnyGap) -> Gap:
        """A number counts frames; a text is read as on the command line.

        Raises:
            UsageError: what is no gap.
        """
        if isinstance(given, Gap):
            return given
        if isinstance(given, int) and not isinstance(given, bool):
            return Gap(Fraction(given))
        if not isinstance(given, str):
            raise UsageError(f"gap {given!r}: neither frames nor a text.", hint=_FORMS)
        return Gap._parsed(given)

    @staticmethod
    def _parsed(text: str) -> Gap:
        found = _TEXT.fullmatch(text.strip())
        if found is None or found["word"].lower() not in _WORDS:
            negative = bool(re.fullmatch(rf"-\s*{_TEXT.pattern}", text.strip(), _TEXT.flags))
            why = "negative" if negative else "not a number of frames or seconds"
            raise UsageError(f"gap {text if negative else repr(text)}: {why}.", hint=_FORMS)
        unit, each = _WORDS[found["word"].lower()]
        amount = Fraction(found["number"]) * each
        if (amount * _FINEST).denominator != 1:  # it could not be written back
            raise UsageError(f"gap {text!r}: finer than a picosecond.", hint=_FORMS)
        return Gap(amount, unit)

    def __bool__(self) -> bool:
        """Whether it excludes anything."""
        return self.amount > 0

    def reach(self, tick: Fraction) -> int:
        """The largest distance that is excluded: frames, or ticks of ``tick`` seconds."""
        if self.unit == "frames":
            return int(self.amount)
        return max(0, math.ceil(self.amount / tick) - 1)

    @property
    def plain(self) -> int | str:
        """As a JSON value, and as ``of`` reads it: ``3``, ``"0.5s"``."""
        return int(self.amount) if self.unit == "frames" else f"{_number(self.amount)}s"

    @property
    def words(self) -> str:
        """``0.5 s``, ``1 frame`` or ``3 frames``."""
        if self.unit == "seconds":
            return f"{_number(self.amount)} s"
        return "1 frame" if self.amount == 1 else f"{int(self.amount)} frames"

    @property
    def apart(self) -> str:
        """How far two frames are from each other: ``at least 0.5 s``, ``more than 3 frames``."""
        return f"{'at least' if self.unit == 'seconds' else 'more than'} {self.words}"


AnyGap = Gap | int | str
"""What is taken for a gap: a number counts frames, a text says what it counts."""

DEFAULT = Gap(Fraction(1, 2), "seconds")
"""Two pictures of a street half a second apart are not copies of each other any more; see
docs/reasons.md for what was measured."""


def _number(amount: Fraction) -> str:
    """As a decimal, exactly: seconds have at most 12 digits behind the point."""
    whole, rest = divmod(round(amount * _FINEST), _FINEST)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")
