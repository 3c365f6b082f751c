"""How much may be annotated: ``2%`` or ``150`` frames, parsed once at the border."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from vidal.errors import BudgetError

_NUMBER = re.compile(r"(?P<number>[0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})\s*(?P<percent>%?)")
_FORMS = "Give a number of frames (150) or a share of them (2%)."


@dataclass(frozen=True, slots=True)
class Budget:
    """A number of frames, or a share of the base.

    Attributes:
        text: as the user gave it.
        amount: frames (a whole number), or the share in (0, 1].
        share: whether ``amount`` is a share.
    """

    text: str
    amount: Fraction
    share: bool

    @staticmethod
    def parse(text: str) -> Budget:
        """``"2%"``, ``"0.5 %"`` or ``"150"``.

        Raises:
            BudgetError: anything else; zero; more than 100%; a fraction of a frame.
        """
        found = _NUMBER.fullmatch(text.strip())
        if found is None:
            raise BudgetError(text, "not a number of frames and not a percentage", hint=_FORMS)
        amount = Fraction(found["number"])
        share = bool(found["percent"])
        if amount == 0:
            raise BudgetError(text, "asks for nothing", hint=_FORMS)
        if share and amount > 100:
            raise BudgetError(text, "more than 100%", hint="Give at most 100%.")
        if not share and amount.denominator != 1:
            raise BudgetError(text, "not a whole number of frames", hint=_FORMS)
        return Budget(text.strip(), amount / 100 if share else amount, share)

    def frames(self, base: int) -> int:
        """The number of frames, where a percentage refers to ``base`` frames.

        A share is rounded down, exactly (no floating point), but is at least one frame.
        """
        if not self.share:
            return int(self.amount)
        return max(1, math.floor(self.amount * base))

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
