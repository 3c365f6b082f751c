"""What annotating costs: frames and boxes at stated rates, and how far a budget reaches.

A frame costs a fixed time (it is opened and looked over) and a time for each box that is drawn on
it. An object that is none of the target classes costs ``unknown`` times what a known one does (the
cost c_OOD of MQ-Net, Park et al., NeurIPS 2022, section 5.5).

The rates are defaults to be replaced by one's own. 7 seconds a box are what extreme clicking takes
(Papadopoulos et al., "Extreme clicking for efficient object annotation", ICCV 2017; drawing a box
by its corners takes 35 seconds there, after Su et al., HCOMP 2012). 2 seconds a frame are an
assumption: no published figure is known to us.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import UnknownName, UsageError
from vidal.query.budget import Budget, Unit
from vidal.types import IntArray, ScoreArray
from vidal.words import counted

_SECONDS = ("frame", "box")
_UNITS = {"s": 1, "min": 60}
_LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class Cost:
    """Rates of annotation; all are finite and not negative.

    Attributes:
        frame: seconds that a frame takes, whatever is on it.
        box: seconds that a box takes.
        known: boxes that an object of a target class counts for.
        unknown: boxes that an object of no target class counts for.
    """

    frame: float = 2.0
    box: float = 7.0
    known: float = 1.0
    unknown: float = 1.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"cost: {each.name} {value!r} is negative or not finite.")
        if not (self.frame or self.box):
            raise UsageError("cost: frame and box are both 0.", hint="Nothing would take time.")
        if not (self.known or self.unknown):
            raise UsageError("cost: known and unknown are both 0.", hint="No box would count.")

    @staticmethod
    def of(values: Mapping[str, Any]) -> Cost:
        """From plain values: ``{"frame": 2, "box": "7s", "unknown": 0.5}``.

        ``seconds_per_frame`` and ``seconds_per_box`` are other names of ``frame`` and ``box``.

        Raises:
            UsageError: (UnknownName) a name or value that cannot be meant.
        """
        known = [each.name for each in fields(Cost)]
        found: dict[str, float] = {}
        for key, value in values.items():
            name = str(key).removeprefix("seconds_per_") if str(key) in _LONG else str(key)
            if name not in known:
                raise UnknownName("rate of cost", str(key), known)
            if name in found:
                raise UsageError(f"cost: {name} is given twice.")
            found[name] = _rate(name, value)
        return Cost(**found)

    def as_dict(self) -> dict[str, float]:
        """Plain values; ``Cost.of`` takes them back."""
        return {each.name: float(getattr(self, each.name)) for each in fields(self)}

    @property
    def text(self) -> str:
        """The rates in words: ``2 s a frame, 7 s a box, an unknown object counts 0.5``."""
        words = f"{self.frame:g} s a frame, {self.box:g} s a box"
        if self.known != 1:
            words += f", a known object counts {self.known:g}"
        return words + ("" if self.unknown == 1 else f", an unknown object counts {self.unknown:g}")

    def boxes(self, known: Any, unknown: Any = 0.0) -> Any:
        """Boxes that objects count for; numbers or arrays."""
        return self.known * known + self.unknown * unknown

    def seconds(self, frames: Any, known: Any, unknown: Any = 0.0) -> Any:
        """Seconds of work; numbers or arrays."""
        return self.frame * frames + self.box * self.boxes(known, unknown)

    def of_frames(self, budget: Budget, known: ScoreArray, unknown: ScoreArray) -> ScoreArray:
        """(F,) float64: what each frame costs, in the unit of a budget (1, boxes or seconds).

        Args:
            budget: its unit is read.
            known, unknown: (F,) objects on each frame.
        """
        if budget.counts_frames:
            return np.ones(len(known))
        if budget.unit == "boxes":
            return np.asarray(self.boxes(known, unknown), np.float64)
        return np.asarray(self.seconds(1.0, known, unknown), np.float64)


_LONG = tuple(f"seconds_per_{name}" for name in _SECONDS)


@dataclass(frozen=True, slots=True)
class Spent:
    """What frames cost, expected or real.

    Attributes:
        frames: how many.
        known, unknown: objects on them, of target classes and of none; sums of expectations where
            it is expected.
        cost: the rates.
    """

    frames: int
    known: float
    unknown: float
    cost: Cost

    @property
    def boxes(self) -> float:
        """Boxes that they count for."""
        return float(self.cost.boxes(self.known, self.unknown))

    @property
    def seconds(self) -> float:
        """Seconds of work."""
        return float(self.cost.seconds(self.frames, self.known, self.unknown))

    def of(self, unit: Unit) -> float:
        """In the unit of a budget: frames, boxes or seconds."""
        return {"frames": float(self.frames), "boxes": self.boxes, "time": self.seconds}[unit]

    @property
    def text(self) -> str:
        """``31 frames, 240 boxes (12 of unknown objects), 0.5 h``; without the rates.

        Boxes are those that are drawn; where they count for another number (``boxes``), so it says.
        """
        drawn = self.known + self.unknown
        words = (
            f"{counted(self.frames, 'frame')}, {drawn:,.0f} box{'' if round(drawn) == 1 else 'es'}"
        )
        if self.unknown:
            words += f" ({self.unknown:,.0f} of unknown objects)"
        if f"{self.boxes:,.0f}" != f"{drawn:,.0f}":
            words += f" that count{'s' if round(drawn) == 1 else ''} for {self.boxes:,.0f}"
        return f"{words}, {duration(self.seconds)}"

    def as_dict(self) -> dict[str, float]:
        """JSON values; ``boxes`` is what they count for, ``known`` + ``unknown`` are drawn."""
        return {
            "frames": self.frames,
            "known": round(self.known, 6),
            "unknown": round(self.unknown, 6),
            "boxes": round(self.boxes, 6),
            "hours": round(self.seconds / 3600, 6),
        }


def duration(seconds: float) -> str:
    """``45 s``, ``12 min`` or ``6.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """How far an order was walked.

    Attributes:
        taken: (n,) the entries of the order that fit, in its order.
        before: how many of them come before the first one that did not fit.
        ended: whether more of the order could change nothing.
    """

    taken: IntArray
    before: int
    ended: bool


def walk(
    order: NDArray[Any], costs: ScoreArray, limit: float | Fraction, *, fill: bool = True
) -> Walk:
    """Take what fits, from front to back; the sum of what is taken is never above the limit.

    With ``fill`` one that does not fit is passed over, as long as what is left would pay for an
    average one of those taken; then it ends: nobody digs for the cheapest of all to use up the
    last bit. Without, it ends at the first that does not fit (MQ-Net, section 5.5). Where
    everything costs 1, both take the first ``floor(limit)``. Sums are exact (of the floats as they
    are), so ``math.fsum(costs[taken]) <= limit``.

    Args:
        order: (n,) positions in ``costs``, none twice.
        costs: (F,) finite, not negative.
        limit: in the unit of ``costs``; not negative.
        fill: see above.

    Raises:
        ValueError: a cost is negative, infinite or NaN, or so is the limit.
    """
    values = np.asarray(costs, np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError("costs: negative, infinite or NaN")
    if not (math.isfinite(limit) and limit >= 0):
        raise ValueError(f"limit {limit}: negative, infinite or NaN")
    left, whole = Fraction(limit), Fraction(limit)
    taken: list[int] = []
    before: int | None = None
    for pos in np.asarray(order, np.int64).tolist():
        if not left:
            return Walk(np.array(taken, np.int64), len(taken) if before is None else before, True)
        price = Fraction(float(values[pos]))
        if price <= left:
            taken.append(pos)
            left -= price
            continue
        before = len(taken) if before is None else before
        if not fill or left * len(taken) < whole - left:
            return Walk(np.array(taken, np.int64), before, True)
    count = len(taken) if before is None else before
    return Walk(np.array(taken, np.int64), count, False)


def cost_of(given: object) -> Cost:
    """From what a user wrote: a line (see ``parse_cost``), a mapping (``Cost.of``), or None.

    Raises:
        UsageError: anything else.
    """
    if given is None or isinstance(given, Cost):
        return given or Cost()
    if isinstance(given, str):
        return parse_cost(given)
    if isinstance(given, Mapping):
        return Cost.of(given)
    raise UsageError(f"cost: {given!r} is neither rates by name nor a text.", hint=_EXAMPLE)


def parse_cost(text: str) -> Cost:
    """``frame=2s,box=7s,unknown=0.5``; what is not named keeps its default.

    Raises:
        UsageError: anything else.
    """
    values: dict[str, str] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, mark, value = part.partition("=")
        if not mark:
            raise UsageError(f"cost: {part!r} is not NAME=VALUE.", hint=_EXAMPLE)
        if name.strip() in values:
            raise UsageError(f"cost: {name.strip()} is given twice.")
        values[name.strip()] = value.strip()
    if not values:
        raise UsageError("cost: no rate is named.", hint=_EXAMPLE)
    return Cost.of(values)


_EXAMPLE = "Such as frame=2s,box=7s,unknown=0.5."


def _rate(name: str, value: Any) -> float:
    """A rate as a number: seconds, or how many boxes it counts for."""
    number: Any = value
    text = str(value).strip()
    if isinstance(value, str):
        unit = next((u for u in ("min", "s") if name in _SECONDS and text.endswith(u)), "")
        plain = text.removesuffix(unit)
        try:
            number = float(plain) * _UNITS.get(unit, 1)
        except ValueError:
            number = None
        if not plain.isascii() or "_" in plain:  # Python's own ways to write numbers
            number = None
    numeric = isinstance(number, Real) and not isinstance(number, bool)
    if not numeric or number > _LARGEST:
        kind = "seconds" if name in _SECONDS else "a number of boxes"
        raise UsageError(f"cost: {name} {value!r} is not {kind}.", hint=_EXAMPLE)
    return float(number) + 0.0  # -0 is 0
