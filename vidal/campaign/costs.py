"""What a campaign's rounds were expected to cost, and what they did cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vidal.campaign.folder import Campaign
from vidal.campaign.record import GIVEN
from vidal.query.cost import Cost, Spent


@dataclass(frozen=True, slots=True)
class RoundCost:
    """Of one round that was asked for.

    Attributes:
        round: its number.
        expected: of all its frames, as they were chosen; None where no detector said what is on
            them, or an older version of vidal chose.
        real: of those that are annotated; None where none is.
        waiting: frames without an answer yet.
    """

    round: int
    expected: Spent | None
    real: Spent | None
    waiting: int

    @property
    def sentence(self) -> str:
        """``round 1: expected 4 frames, 35 boxes, 4 min; real 4 frames, 33 boxes, 4 min``."""
        expected = "not known" if self.expected is None else self.expected.text
        words = f"round {self.round}: expected {expected}"
        if self.real is None:
            return words
        return f"{words}; {'so far' if self.waiting else 'real'} {self.real.text}"

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        sides = {"expected": self.expected, "real": self.real}
        plain = {name: None if each is None else each.as_dict() for name, each in sides.items()}
        return {"round": self.round, **plain, "waiting": self.waiting}


def round_costs(campaign: Campaign) -> list[RoundCost]:
    """Of every round that a strategy was asked for, by number.

    Regions that evaluation ignores are no objects, here as everywhere.
    """
    cost, tally = campaign.config.selection.cost, campaign.record.tally()
    expected, found = _expected(campaign, cost), _boxes(campaign)
    costs = []
    for entry in campaign.record.rounds():
        counts = tally[entry.number]
        if entry.strategy == GIVEN or entry.state == "withdrawn":
            continue
        known, unknown = found.get(entry.number, (0, 0))
        real = Spent(counts["labelled"], known, unknown, cost) if counts["labelled"] else None
        costs.append(RoundCost(entry.number, expected.get(entry.number), real, counts["queried"]))
    return costs


def total(costs: Sequence[RoundCost]) -> Spent | None:
    """What is annotated of all rounds together; None where nothing is."""
    real = [each.real for each in costs if each.real is not None]
    if not real:
        return None
    return Spent(
        sum(each.frames for each in real),
        sum(each.known for each in real),
        sum(each.unknown for each in real),
        real[0].cost,
    )


def cost_lines(cost: Cost, costs: Sequence[RoundCost]) -> list[str]:
    """For people: the rates, a line a round, and the sum."""
    if not costs:
        return []
    lines = [f"cost at {cost.text}:", *(f"  {each.sentence}" for each in costs)]
    whole = total(costs)
    if whole is not None and len(costs) > 1:
        lines.append(f"  all annotated so far: {whole.text}")
    return lines


def costs_dict(cost: Cost, costs: Sequence[RoundCost]) -> dict[str, Any]:
    """JSON values."""
    whole = total(costs)
    return {
        "rates": cost.as_dict(),
        "rounds": [each.as_dict() for each in costs],
        "real": None if whole is None else whole.as_dict(),
    }


def told_expected(spent: Spent | None) -> dict[str, Any]:
    """What a round's entry in the record says of the expected cost."""
    return {} if spent is None else {"expected": {"known": spent.known, "unknown": spent.unknown}}


def _expected(campaign: Campaign, cost: Cost) -> dict[int, Spent]:
    """Round -> what its entry in the record says."""
    return {
        number: Spent(
            detail["frames"], detail["expected"]["known"], detail["expected"]["unknown"], cost
        )
        for number, kind, detail in campaign.record.events()
        if kind == "queried" and number is not None and "expected" in detail
    }


def _boxes(campaign: Campaign) -> dict[int, tuple[int, int]]:
    """Round -> annotated objects of the campaign's classes, and others."""
    rows = campaign.record.db.execute(
        "SELECT frames.round, sum(boxes.label >= 0), sum(boxes.label < 0) FROM boxes"
        " JOIN frames ON frames.clip = boxes.clip AND frames.frame = boxes.frame"
        " WHERE boxes.ignored = 0 GROUP BY frames.round"
    )
    return {number: (known, unknown) for number, known, unknown in rows}
